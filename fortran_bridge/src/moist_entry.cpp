#include "moist_entry.hpp"

namespace emagram {
namespace {

void read_waters(const ConstraintEntry& entry, MoistLaw& law) {
  std::vector<int> rates;
  for (const char* name : {"vapor", "liquid", "ice"}) {
    law.water[rates.size()] = entry.prognostic(entry.at(name), "kg kg-1", "kg kg-1 s-1");
    rates.push_back(law.water[rates.size()].rate);
  }
  entry.check_distinct("vapor, liquid and ice", rates);
}

void read_winds(const ConstraintEntry& entry, MoistLaw& law) {
  std::vector<Prognostic> winds;
  for (const auto& wind : entry.list("winds")) winds.push_back(entry.prognostic(wind, "m s-1", "m s-2"));
  if (winds.size() != 0 && winds.size() != 2) entry.refuse("expected two 'winds' or none, got ", winds.size());
  for (const auto& wind : winds) law.winds[law.n_wind++] = wind;
}

void read_radiation(const ConstraintEntry& entry, std::vector<FluxTerm>& radiation) {
  std::vector<int> fluxes;
  for (const auto& term : entry.list("radiation")) {
    radiation.push_back(entry.flux(term));
    const auto [is_output, offset] = radiation.back().flux;
    fluxes.push_back(is_output ? -1 - offset : offset);
  }
  entry.check_distinct("radiation", fluxes);
}

}  // namespace

std::vector<Budget> moist_budgets(const ConstraintEntry& entry) {
  return {{entry.name() + "_water", "kg m-2 s-1", water_tolerance},
          {entry.name() + "_energy", "W m-2", energy_tolerance}};
}

MoistLaw read_moist(const ConstraintEntry& entry, std::vector<FluxTerm>& radiation) {
  MoistLaw law{};
  law.n_level = entry.n_level();
  law.interface_pressure = entry.interface_pressure();
  law.temperature_rate = entry.output(entry.at("temperature_rate"), EMAGRAM_PER_LAYER, "K s-1");
  law.precipitation = entry.output(entry.at("precipitation"), EMAGRAM_PER_COLUMN, "m s-1");
  law.snowfall = entry.output(entry.at("snowfall"), EMAGRAM_PER_COLUMN, "m s-1");
  entry.check_distinct("precipitation and snowfall", {law.precipitation, law.snowfall});
  law.gravity = entry.constant("gravity");
  law.fusion = entry.constant("latent_heat_fusion");
  law.density = entry.constant("density_liquid_water");
  law.heat_capacity = entry.constant("heat_capacity_dry_air");
  law.latent[0] = entry.constant("latent_heat_vaporization") + law.fusion;
  law.latent[1] = law.fusion;
  law.dt = entry.time_step();
  read_waters(entry, law);
  read_winds(entry, law);
  read_radiation(entry, radiation);
  law.radiation = {radiation.data(), static_cast<int>(radiation.size())};
  return law;
}

}  // namespace emagram
