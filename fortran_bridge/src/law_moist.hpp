// The budgets of water and of energy, which several laws close, each in its own way.
#pragma once

#include "lanes.hpp"
#include "law.hpp"
#include "law_fluxes.hpp"
#include "law_water.hpp"

namespace emagram {

///   r_A = Σ m (q̇v + q̇l + q̇i) + P,   P = ρw · precipitation, S = ρw · snowfall [kg m-2 s-1]
///   r_B = Σ m [cp Ṫ + (Lv + Lf) q̇v + Lf q̇l + u̇ (u + ½ dt u̇) + …] + Lf (P − S) − R_net [W m-2]
struct MoistLaw {
  int n_level;
  int interface_pressure;     // offset in the row of inputs [Pa] (n_level + 1)
  int temperature_rate;       // offset in the row of outputs [K s-1] (n_level)
  Prognostic water[n_water];  // [kg kg-1] and [kg kg-1 s-1] (n_level)
  Prognostic winds[2];        // [m s-1] and [m s-2] (n_level)
  int n_wind;
  int precipitation, snowfall;      // offsets in the row of outputs [m s-1]
  FluxList radiation;               // net radiation into the column
  double gravity, fusion, density;  // [m s-2], [J kg-1], of liquid water [kg m-3]
  double heat_capacity;             // cp [J kg-1 K-1]
  double latent[n_water];           // L_s [J kg-1]
  double dt;                        // [s]
};

namespace {

/// Sums over the layers, × Δp, without 1/g.
struct Sums {
  Lanes water;    // q̇v + q̇l + q̇i
  Lanes energy;   // cp Ṫ + Σ_s L_s q̇_s
  Lanes kinetic;  // u̇ (u + ½ dt u̇) + …
  Lanes held[n_water];
};

inline Lanes layer_energy(const MoistLaw& law, Lanes heating, Lanes vapor, Lanes liquid) {
  return law.heat_capacity * heating + law.latent[0] * vapor + law.latent[1] * liquid;
}

inline Lanes kinetic_sum(const MoistLaw& law, const Lanes* inputs, const Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  const double half_step = 0.5 * law.dt;
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
inline void sum_rates(const MoistLaw& law, const Lanes* inputs, const Lanes* outputs, Sums& sums) {
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
inline Lanes water_imbalance(const MoistLaw& law, const Sums& sums, const Lanes* outputs) {
  return sums.water / law.gravity + law.density * outputs[law.precipitation];
}

/// r_B
inline Lanes energy_imbalance(const MoistLaw& law, const Sums& sums, const Lanes* inputs, const Lanes* outputs) {
  const Lanes frozen = law.fusion * law.density * (outputs[law.precipitation] - outputs[law.snowfall]);
  return (sums.energy + sums.kinetic) / law.gravity + frozen - inflow(law.radiation, inputs, outputs);
}

inline void measure(MoistLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  Sums sums;
  sum_rates(law, inputs, outputs, sums);
  sums.kinetic = kinetic_sum(law, inputs, outputs);
  residual[0] = water_imbalance(law, sums, outputs);
  residual[1] = energy_imbalance(law, sums, inputs, outputs);
}

}  // namespace
}  // namespace emagram
