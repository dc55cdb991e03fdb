#include <algorithm>

#include "column_sum.hpp"
#include "constraint_entry.hpp"
#include "projection.hpp"
#include "upper_layers.hpp"
#include "water.hpp"

namespace emagram {
namespace {

/// Closes water and energy at once, by the projection of projection.hpp:
///   r_A = Σ m (q̇v + q̇l + q̇i) + P,   P = ρw · precipitation, S = ρw · snowfall [kg m-2 s-1]
///   r_B = Σ m [cp Ṫ + (Lv + Lf) q̇v + Lf q̇l + u̇ (u + ½ dt u̇) + …] + Lf (P − S) − R_net [W m-2]
/// Water that no species can account for is rain. In upper layers temperature alone changes.
class WaterAndEnergy final : public Constraint {
 public:
  explicit WaterAndEnergy(const ConstraintEntry& entry);

  void residuals(const double* inputs, const double* outputs, double* residual) const override {
    residual[0] = water_imbalance(inputs, outputs);
    residual[1] = energy_imbalance(inputs, outputs);
  }

  void apply(const double* inputs, double* outputs) const override;

 private:
  double water_imbalance(const double* inputs, const double* outputs) const;
  double energy_imbalance(const double* inputs, const double* outputs) const;
  Water water(int species, const double* inputs, double* outputs) const;
  void take_from_rain(double water, double* outputs) const;

  int n_level_;
  int interface_pressure_;                     // offset in the row of inputs [Pa] (n_level + 1)
  int temperature_rate_;                       // offset in the row of outputs [K s-1] (n_level)
  std::array<Prognostic, n_species> species_;  // [kg kg-1] and [kg kg-1 s-1] (n_level)
  std::vector<Prognostic> winds_;              // [m s-1] and [m s-2] (n_level)
  int precipitation_, snowfall_;               // offsets in the row of outputs [m s-1]
  std::vector<FluxTerm> radiation_;            // net radiation into the column
  double gravity_, fusion_, density_;          // [m s-2], [J kg-1], of liquid water [kg m-3]
  Projection projection_;
  UpperLayers upper_;
};

WaterAndEnergy::WaterAndEnergy(const ConstraintEntry& entry)
    : Constraint({{entry.name() + "_water", "kg m-2 s-1", water_tolerance},
                  {entry.name() + "_energy", "W m-2", energy_tolerance}}),
      n_level_(entry.n_level()),
      interface_pressure_(entry.interface_pressure()),
      temperature_rate_(entry.output(entry.at("temperature_rate"), EMAGRAM_PER_LAYER, "K s-1")),
      precipitation_(entry.output(entry.at("precipitation"), EMAGRAM_PER_COLUMN, "m s-1")),
      snowfall_(entry.output(entry.at("snowfall"), EMAGRAM_PER_COLUMN, "m s-1")),
      gravity_(entry.constant("gravity")),
      fusion_(entry.constant("latent_heat_fusion")),
      density_(entry.constant("density_liquid_water")),
      projection_{entry.positive("temperature_variance"),
                  entry.positive("water_variance"),
                  entry.constant("heat_capacity_dry_air"),
                  {entry.constant("latent_heat_vaporization") + fusion_, fusion_, 0.0},
                  entry.time_step()},
      upper_(entry.optional_top_pressure()) {
  std::vector<int> rates;
  for (const char* name : {"vapor", "liquid", "ice"}) {
    species_[rates.size()] = entry.prognostic(entry.at(name), "kg kg-1", "kg kg-1 s-1");
    rates.push_back(species_[rates.size()].rate);
  }
  for (const auto& wind : entry.list("winds")) winds_.push_back(entry.prognostic(wind, "m s-1", "m s-2"));
  if (winds_.size() != 0 && winds_.size() != 2) entry.refuse("expected two 'winds' or none, got ", winds_.size());
  std::vector<int> fluxes;
  for (const auto& term : entry.list("radiation")) {
    radiation_.push_back(entry.flux(term));
    const auto [is_output, offset] = radiation_.back().flux;
    fluxes.push_back(is_output ? -1 - offset : offset);
  }
  entry.check_distinct("radiation", fluxes);
  entry.check_distinct("vapor, liquid and ice", rates);
  entry.check_distinct("precipitation and snowfall", {precipitation_, snowfall_});
}

/// r_A
double WaterAndEnergy::water_imbalance(const double* inputs, const double* outputs) const {
  const double* p = inputs + interface_pressure_;
  const double *vapor = outputs + species_[0].rate, *liquid = outputs + species_[1].rate,
               *ice = outputs + species_[2].rate;
  const auto gained = [&](int k) { return (vapor[k] + liquid[k] + ice[k]) * (p[k + 1] - p[k]); };
  return column_sum(n_level_, gained) / gravity_ + density_ * outputs[precipitation_];
}

/// r_B
double WaterAndEnergy::energy_imbalance(const double* inputs, const double* outputs) const {
  const double* p = inputs + interface_pressure_;
  const double *heating = outputs + temperature_rate_, *vapor = outputs + species_[0].rate,
               *liquid = outputs + species_[1].rate;
  const double cp = projection_.heat_capacity, half_step = 0.5 * projection_.dt;
  const auto [latent_vapor, latent_liquid, latent_ice] = projection_.latent;
  double sum = column_sum(n_level_, [=](int k) {
    return (cp * heating[k] + latent_vapor * vapor[k] + latent_liquid * liquid[k]) * (p[k + 1] - p[k]);
  });
  for (const auto& wind : winds_) {
    const double *speed = inputs + wind.state, *rate = outputs + wind.rate;
    sum += column_sum(n_level_, [=](int k) { return rate[k] * (speed[k] + half_step * rate[k]) * (p[k + 1] - p[k]); });
  }
  double net = 0.0;
  for (const auto& term : radiation_) net += term.sign * term.flux.value(inputs, outputs);
  return sum / gravity_ + fusion_ * density_ * (outputs[precipitation_] - outputs[snowfall_]) - net;
}

/// A species of the layers that are not upper.
Water WaterAndEnergy::water(int species, const double* inputs, double* outputs) const {
  const auto [state, rate] = species_[species];
  const double* p = inputs + interface_pressure_;
  const Water whole({inputs + state, outputs + rate, p, n_level_, projection_.dt}, outputs + rate);
  return whole.below(upper_.count(p, n_level_));
}

/// Lowers precipitation by `water` [kg m-2 s-1], not below zero; snow remains a part of it.
void WaterAndEnergy::take_from_rain(double water, double* outputs) const {
  outputs[precipitation_] = std::max((density_ * outputs[precipitation_] - water) / density_, 0.0);
  outputs[snowfall_] = std::min(outputs[snowfall_], outputs[precipitation_]);
}

void WaterAndEnergy::apply(const double* inputs, double* outputs) const {
  const double* p = inputs + interface_pressure_;
  const double mass = (p[n_level_] - p[0]) / gravity_;
  const Imbalance imbalance = {water_imbalance(inputs, outputs), energy_imbalance(inputs, outputs)};
  PerSpecies held{}, left{};
  for (int s = 0; s < n_species; ++s) held[s] = water(s, inputs, outputs).held() / gravity_;
  const auto [loss, cooling, rain_closes] = projection_.solve(imbalance, held, mass);
  for (int s = 0; s < n_species; ++s) {
    water(s, inputs, outputs).lose(loss[s]);
    left[s] = held[s] * (1.0 - loss[s] * projection_.dt);
  }
  const auto cool = [&](double rate) {
    for (int k = 0; k < n_level_; ++k) outputs[temperature_rate_ + k] -= rate;
  };
  cool(cooling);
  if (rain_closes) take_from_rain(water_imbalance(inputs, outputs), outputs);
  const int richest = static_cast<int>(std::max_element(left.begin(), left.end()) - left.begin());
  for (int pass = 0; pass < 2; ++pass) {  // against rounding
    const double excess = water_imbalance(inputs, outputs);
    if (!water(richest, inputs, outputs).lose_from_fullest(gravity_ * excess)) take_from_rain(excess, outputs);
    cool(energy_imbalance(inputs, outputs) / (projection_.heat_capacity * mass));
  }
}

}  // namespace

std::unique_ptr<const Constraint> water_and_energy(const ConstraintEntry& entry) {
  return std::make_unique<WaterAndEnergy>(entry);
}

}  // namespace emagram
