#pragma once

#include "lanes.hpp"
#include "law_fluxes.hpp"

namespace emagram {

/// Closes the column integral of a heating rate against fluxes.
///   r = Σ_k (cp/g) h_k Δp_k − Σ_j s_j F_j,   h_k ← h_k − r / Σ_k (cp/g) Δp_k
/// The change is uniform in mass.
struct ColumnEnergyLaw {
  int n_level;
  int heating;             // offset in the row of outputs [K s-1] (n_level)
  int interface_pressure;  // offset in the row of inputs [Pa] (n_level + 1)
  double weight;           // cp / g [J s2 m-1 kg-1 K-1]
  FluxList fluxes;
};

namespace {

inline void measure(ColumnEnergyLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  const Lanes* p = inputs + law.interface_pressure;
  const Lanes* rate = outputs + law.heating;
  Lanes sum[1];
  sum_up(law.n_level, sum, [=](int k, Lanes* part) { part[0] += rate[k] * (p[k + 1] - p[k]); });
  *residual = law.weight * sum[0] - inflow(law.fluxes, inputs, outputs);
}

inline void apply(ColumnEnergyLaw law, const Lanes* inputs, Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  Lanes residual;
  measure(law, inputs, outputs, &residual);
  const Lanes change = residual / (law.weight * (p[law.n_level] - p[0]));
  for (int k = 0; k < law.n_level; ++k) outputs[law.heating + k] -= change;
}

}  // namespace
}  // namespace emagram
