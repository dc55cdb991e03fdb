#pragma once

#include "lanes.hpp"
#include "law_fluxes.hpp"
#include "law_projection.hpp"
#include "law_upper_layers.hpp"
#include "law_water.hpp"

namespace emagram {

/// Closes water and energy at once, by the projection of law_projection.hpp:
///   r_A = Σ m (q̇v + q̇l + q̇i) + P,   P = ρw · precipitation, S = ρw · snowfall [kg m-2 s-1]
///   r_B = Σ m [cp Ṫ + (Lv + Lf) q̇v + Lf q̇l + u̇ (u + ½ dt u̇) + …] + Lf (P − S) − R_net [W m-2]
/// Water that no species can account for is rain. In upper layers temperature alone changes.
struct WaterAndEnergyLaw {
  int n_level;
  int interface_pressure;     // offset in the row of inputs [Pa] (n_level + 1)
  int temperature_rate;       // offset in the row of outputs [K s-1] (n_level)
  Prognostic water[n_water];  // [kg kg-1] and [kg kg-1 s-1] (n_level)
  Prognostic winds[2];        // [m s-1] and [m s-2] (n_level)
  int n_wind;
  int precipitation, snowfall;      // offsets in the row of outputs [m s-1]
  FluxList radiation;               // net radiation into the column
  double gravity, fusion, density;  // [m s-2], [J kg-1], of liquid water [kg m-3]
  double top_pressure;              // [Pa]
  Projection projection;
};

namespace {

/// Sums over the layers, × Δp, without 1/g.
struct Sums {
  Lanes water;    // q̇v + q̇l + q̇i
  Lanes energy;   // cp Ṫ + Σ_s L_s q̇_s
  Lanes kinetic;  // u̇ (u + ½ dt u̇) + …
  Lanes held[n_water];
};

/// The layer and water that holds most in a column: it can give what rounding leaves.
struct Fullest {
  Lanes mass{};    // × Δp
  Lanes weight{};  // Δp [Pa]
  Lanes latent{};  // [J kg-1]
  Mask offset{};   // of its rate in the row of outputs
};

inline Lanes layer_energy(const WaterAndEnergyLaw& law, Lanes heating, Lanes vapor, Lanes liquid) {
  const Projection& of = law.projection;
  return of.heat_capacity * heating + of.latent[0] * vapor + of.latent[1] * liquid;
}

inline Lanes kinetic_sum(const WaterAndEnergyLaw& law, const Lanes* inputs, const Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  const double half_step = 0.5 * law.projection.dt;
  Lanes total{}, sum[1];
  for (int w = 0; w < law.n_wind; ++w) {
    const Lanes *speed = inputs + law.winds[w].state, *rate = outputs + law.winds[w].rate;
    sum_up(law.n_level, sum,
           [=](int k, Lanes* part) { part[0] += rate[k] * (speed[k] + half_step * rate[k]) * (p[k + 1] - p[k]); });
    total += sum[0];
  }
  return total;
}

/// Water and energy as they stand.
inline void sum_rates(const WaterAndEnergyLaw& law, const Lanes* inputs, const Lanes* outputs, Sums& sums) {
  const Lanes *p = inputs + law.interface_pressure, *heating = outputs + law.temperature_rate,
              *vapor = outputs + law.water[0].rate, *liquid = outputs + law.water[1].rate,
              *ice = outputs + law.water[2].rate;
  Lanes sum[2];
  sum_up(law.n_level, sum, [&](int k, Lanes* part) {
    const Lanes weight = p[k + 1] - p[k];
    part[0] += (vapor[k] + liquid[k] + ice[k]) * weight;
    part[1] += layer_energy(law, heating[k], vapor[k], liquid[k]) * weight;
  });
  sums.water = sum[0];
  sums.energy = sum[1];
}

/// r_A
inline Lanes water_imbalance(const WaterAndEnergyLaw& law, const Sums& sums, const Lanes* outputs) {
  return sums.water / law.gravity + law.density * outputs[law.precipitation];
}

/// r_B
inline Lanes energy_imbalance(const WaterAndEnergyLaw& law, const Sums& sums, const Lanes* inputs,
                              const Lanes* outputs) {
  const Lanes frozen = law.fusion * law.density * (outputs[law.precipitation] - outputs[law.snowfall]);
  return (sums.energy + sums.kinetic) / law.gravity + frozen - inflow(law.radiation, inputs, outputs);
}

inline void measure(WaterAndEnergyLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  Sums sums;
  sum_rates(law, inputs, outputs, sums);
  sums.kinetic = kinetic_sum(law, inputs, outputs);
  residual[0] = water_imbalance(law, sums, outputs);
  residual[1] = energy_imbalance(law, sums, inputs, outputs);
}

/// The water that layers which are not upper hold after the step.
inline void sum_held(const WaterAndEnergyLaw& law, const UpperLayers& upper, const Lanes* inputs, const Lanes* outputs,
                     Sums& sums) {
  const Lanes* p = inputs + law.interface_pressure;
  const double dt = law.projection.dt;
  for (int s = 0; s < n_water; ++s) {
    const Lanes *state = inputs + law.water[s].state, *rate = outputs + law.water[s].rate;
    Lanes sum[1];
    sum_up(law.n_level, sum, [&](int k, Lanes* part) {
      const Lanes mass = max(state[k] + dt * rate[k], 0.0) * (p[k + 1] - p[k]);
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
    const Lanes held = state[k] + dt * rate[k], weight = p[k + 1] - p[k];
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
