// Conservation, applied last. Twins of physics/constraints.py: the same manifest entries, checked against each other.
#pragma once

#include <string>
#include <vector>

namespace emagram {

/// Closes the column integral of a heating rate against fluxes (manifest type `column_energy`).
///   r = Σ_k (cp/g) h_k Δp_k − Σ_j s_j F_j,   h_k ← h_k − r / Σ_k (cp/g) Δp_k
/// The change is uniform in mass; sums run in double from the model top down.
struct ColumnEnergy {
  struct Flux {
    bool is_output = false;
    int offset = 0;  // in the row of inputs or outputs [W m-2]
    double sign = 1.0;
  };

  std::string name;
  std::string unit;
  int n_level = 0;
  int heating = 0;             // offset in the row of outputs [K s-1] (n_level)
  int interface_pressure = 0;  // offset in the row of inputs [Pa] (n_level + 1)
  double heat_capacity = 0.0;  // [J kg-1 K-1]
  double gravity = 0.0;        // [m s-2]
  std::vector<Flux> fluxes;

  /// [W m-2] of one column.
  double residual(const double* inputs, const double* outputs) const;
  void apply(const double* inputs, double* outputs) const;
};

}  // namespace emagram
