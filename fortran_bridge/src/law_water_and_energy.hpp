#pragma once

#include "lanes.hpp"
#include "law_moist.hpp"
#include "law_projection.hpp"
#include "law_upper_layers.hpp"
#include "law_water.hpp"

namespace emagram {

/// Closes r_A and r_B of law_moist.hpp at once, by the projection of law_projection.hpp. Water that no species can
/// account for is rain. In upper layers temperature alone changes.
struct WaterAndEnergyLaw : MoistLaw {
  double top_pressure;  // [Pa]
  Projection projection;
};

namespace {

/// The layer and water that holds most in a column: it can give what rounding leaves.
struct Fullest {
  Lanes mass{};    // × Δp
  Lanes weight{};  // Δp [Pa]
  Lanes latent{};  // [J kg-1]
  Mask offset{};   // of its rate in the row of outputs
};

/// The water that layers which are not upper hold after the step.
inline void sum_held(const WaterAndEnergyLaw& law, const UpperLayers& upper, const Lanes* inputs, const Lanes* outputs,
                     Sums& sums) {
  const Lanes* p = inputs + law.interface_pressure;
  const double dt = law.projection.dt;
  for (int s = 0; s < n_water; ++s) {
    const Lanes *state = inputs + law.water[s].state, *rate = outputs + law.water[s].rate;
    Lanes sum[1];
    sum_up(law.n_level, sum, [&](int k, Lanes* part) {
      const Lanes mass = held_after(state[k], rate[k], dt) * (p[k + 1] - p[k]);
      part[0] += k < upper.count() ? select(upper[k], Lanes{}, mass) : mass;
    });
    sums.held[s] = sum[0];
  }
}

/// q̇ ← q̇ − μ max(q + dt q̇, 0) with μ ≤ 1/dt, of one kind of water. Layers without water keep their rate.
inline void lose(const WaterAndEnergyLaw& law, const UpperLayers& upper, const Lanes* inputs, Lanes* outputs, int s,
                 Lanes loss, Fullest& fullest) {
  const Lanes *p = inputs + law.interface_pressure, *state = inputs + law.water[s].state;
  Lanes* rate = outputs + law.water[s].rate;
  const double dt = law.projection.dt, per_step = 1.0 / dt;
  Fullest found = fullest;
  for (int k = 0; k < law.n_level; ++k) {
    const Lanes held = held_after(state[k], rate[k], dt), weight = p[k + 1] - p[k];
    Mask has_water = held > 0.0;
    if (k < upper.count()) has_water &= ~upper[k];
    const Lanes lowered = max(rate[k] - loss * held, -state[k] * per_step);
    rate[k] = select(has_water, lifted(state[k], lowered, dt), rate[k]);
    const Lanes mass = (state[k] + dt * rate[k]) * weight;
    const Mask is_more = has_water & (mass > found.mass);
    found.mass = select(is_more, mass, found.mass);
    found.weight = select(is_more, weight, found.weight);
    found.latent = select(is_more, splat(law.projection.latent[s]), found.latent);
    found.offset = select(is_more, Mask{} + (law.water[s].rate + k), found.offset);
  }
  fullest = found;
}

/// Lowers precipitation by `water` [kg m-2 s-1] where it is to, not below zero; snow remains a part of it.
inline void take_from_rain(const WaterAndEnergyLaw& law, Mask where, Lanes water, Lanes* outputs) {
  Lanes &rain = outputs[law.precipitation], &snow = outputs[law.snowfall];
  rain = select(where, max((law.density * rain - water) / law.density, 0.0), rain);
  snow = select(where, min(snow, rain), snow);
}

/// Takes what rounding leaves of r_A from the fullest layer, unless that is a large part of what it holds, or else from
/// precipitation; returns the energy that goes with it, × Δp.
inline Lanes take_excess(const WaterAndEnergyLaw& law, const Fullest& from, Lanes excess, Lanes* outputs) {
  const Lanes mass_rate = law.gravity * excess;
  const Mask is_rich = from.mass > 2.0 * law.projection.dt * abs(mass_rate);
  const Lanes taken = select(is_rich, mass_rate / from.weight, Lanes{});
  for (int lane = 0; lane < n_lane; ++lane)
    if (is_rich[lane]) reinterpret_cast<double*>(outputs + from.offset[lane])[lane] -= taken[lane];
  take_from_rain(law, ~is_rich & (excess != 0.0), excess, outputs);
  return select(is_rich, from.latent * mass_rate, Lanes{});
}

inline void cool(const WaterAndEnergyLaw& law, Lanes rate, Lanes* outputs) {
  Lanes* heating = outputs + law.temperature_rate;
  for (int k = 0; k < law.n_level; ++k) heating[k] -= rate;
}

inline void apply(WaterAndEnergyLaw law, const Lanes* inputs, Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  const Lanes mass = (p[law.n_level] - p[0]) / law.gravity;
  const UpperLayers upper(p, law.n_level, law.top_pressure);
  Sums sums;
  sum_rates(law, inputs, outputs, sums);
  sums.kinetic = kinetic_sum(law, inputs, outputs);
  sum_held(law, upper, inputs, outputs, sums);
  Imbalance imbalance{water_imbalance(law, sums, outputs), energy_imbalance(law, sums, inputs, outputs), {}, mass};
  for (int s = 0; s < n_water; ++s) imbalance.held[s] = sums.held[s] / law.gravity;
  const Correction change = smallest_change(law.projection, imbalance);
  Fullest fullest;
  for (int s = 0; s < n_water; ++s) lose(law, upper, inputs, outputs, s, change.loss[s], fullest);
  cool(law, select(change.closes, change.cooling, Lanes{}), outputs);
  for (int pass = 0; pass < 2; ++pass) {  // the second against rounding
    sum_rates(law, inputs, outputs, sums);
    if (pass == 0 && any(~change.closes))
      take_from_rain(law, ~change.closes, water_imbalance(law, sums, outputs), outputs);
    sums.energy -= take_excess(law, fullest, water_imbalance(law, sums, outputs), outputs);
    cool(law, energy_imbalance(law, sums, inputs, outputs) / (law.projection.heat_capacity * mass), outputs);
  }
}

}  // namespace
}  // namespace emagram
