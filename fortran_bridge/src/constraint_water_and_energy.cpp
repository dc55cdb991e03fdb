#include "constraint_entry.hpp"
#include "law_water_and_energy.hpp"

namespace emagram {
namespace {

class WaterAndEnergy final : public Constraint {
 public:
  explicit WaterAndEnergy(const ConstraintEntry& entry)
      : Constraint(LawType::water_and_energy, {{entry.name() + "_water", "kg m-2 s-1", water_tolerance},
                                               {entry.name() + "_energy", "W m-2", energy_tolerance}}),
        law_(law_of(entry)) {
    read_waters(entry);
    read_winds(entry);
    read_radiation(entry);
    entry.check_distinct("precipitation and snowfall", {law_.precipitation, law_.snowfall});
  }

 private:
  static WaterAndEnergyLaw law_of(const ConstraintEntry& entry);
  void read_waters(const ConstraintEntry& entry);
  void read_winds(const ConstraintEntry& entry);
  void read_radiation(const ConstraintEntry& entry);
  const void* law() const override { return &law_; }

  std::vector<FluxTerm> radiation_;
  WaterAndEnergyLaw law_;
};

/// Without the lists.
WaterAndEnergyLaw WaterAndEnergy::law_of(const ConstraintEntry& entry) {
  WaterAndEnergyLaw law{};
  law.n_level = entry.n_level();
  law.interface_pressure = entry.interface_pressure();
  law.temperature_rate = entry.output(entry.at("temperature_rate"), EMAGRAM_PER_LAYER, "K s-1");
  law.precipitation = entry.output(entry.at("precipitation"), EMAGRAM_PER_COLUMN, "m s-1");
  law.snowfall = entry.output(entry.at("snowfall"), EMAGRAM_PER_COLUMN, "m s-1");
  law.gravity = entry.constant("gravity");
  law.fusion = entry.constant("latent_heat_fusion");
  law.density = entry.constant("density_liquid_water");
  law.projection = {.temperature_variance = entry.positive("temperature_variance"),
                    .water_variance = entry.positive("water_variance"),
                    .heat_capacity = entry.constant("heat_capacity_dry_air"),
                    .latent = {entry.constant("latent_heat_vaporization") + law.fusion, law.fusion, 0.0},
                    .dt = entry.time_step()};
  law.top_pressure = entry.optional_top_pressure();
  return law;
}

void WaterAndEnergy::read_waters(const ConstraintEntry& entry) {
  std::vector<int> rates;
  for (const char* name : {"vapor", "liquid", "ice"}) {
    law_.water[rates.size()] = entry.prognostic(entry.at(name), "kg kg-1", "kg kg-1 s-1");
    rates.push_back(law_.water[rates.size()].rate);
  }
  entry.check_distinct("vapor, liquid and ice", rates);
}

void WaterAndEnergy::read_winds(const ConstraintEntry& entry) {
  std::vector<Prognostic> winds;
  for (const auto& wind : entry.list("winds")) winds.push_back(entry.prognostic(wind, "m s-1", "m s-2"));
  if (winds.size() != 0 && winds.size() != 2) entry.refuse("expected two 'winds' or none, got ", winds.size());
  for (const auto& wind : winds) law_.winds[law_.n_wind++] = wind;
}

void WaterAndEnergy::read_radiation(const ConstraintEntry& entry) {
  std::vector<int> fluxes;
  for (const auto& term : entry.list("radiation")) {
    radiation_.push_back(entry.flux(term));
    const auto [is_output, offset] = radiation_.back().flux;
    fluxes.push_back(is_output ? -1 - offset : offset);
  }
  entry.check_distinct("radiation", fluxes);
  law_.radiation = {radiation_.data(), static_cast<int>(radiation_.size())};
}

}  // namespace

std::unique_ptr<const Constraint> water_and_energy(const ConstraintEntry& entry) {
  return std::make_unique<WaterAndEnergy>(entry);
}

}  // namespace emagram
