#pragma once

#include "lanes.hpp"
#include "law.hpp"
#include "law_fluxes.hpp"

namespace emagram {

/// What columns gain of dry air, −Σ m Σ_s q̇_s, and of momentum beyond the force of the surface, Σ m u̇ − τ in each
/// direction. Measured, and nothing is changed.
struct AccountsLaw {
  int n_level;
  int interface_pressure;  // offset in the row of inputs [Pa] (n_level + 1)
  const int* water;        // offsets in the row of outputs [kg kg-1 s-1] (n_level)
  int n_water;
  int winds[2];     // offsets in the row of outputs [m s-2] (n_level)
  int n_wind;       // 0 or 2
  Place stress[2];  // τ [N m-2]
  int n_stress;     // 0 or n_wind
  double gravity;   // [m s-2]
};

namespace {

inline Lanes column_total(AccountsLaw law, const Lanes* inputs, const Lanes* rate) {
  const Lanes* p = inputs + law.interface_pressure;
  Lanes sum[1];
  sum_up(law.n_level, sum, [=](int k, Lanes* part) { part[0] += rate[k] * (p[k + 1] - p[k]); });
  return sum[0] / law.gravity;
}

inline void measure(AccountsLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  Lanes water{};
  for (int s = 0; s < law.n_water; ++s) water += column_total(law, inputs, outputs + law.water[s]);
  residual[0] = -water;
  for (int w = 0; w < law.n_wind; ++w) {
    const Lanes gained = column_total(law, inputs, outputs + law.winds[w]);
    residual[1 + w] = w < law.n_stress ? gained - value_at(law.stress[w], inputs, outputs) : gained;
  }
}

inline void apply(AccountsLaw, const Lanes*, Lanes*) {}

}  // namespace
}  // namespace emagram
