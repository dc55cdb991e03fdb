// The layers near the model top, where no water moves.
#pragma once

namespace emagram {

/// Those above a pressure, ½ (p_k + p_k+1) < top_pressure; none where it is 0, or in a column that has no other layers.
struct UpperLayers {
  double top_pressure = 0.0;  // [Pa]

  /// How many there are: layers 0 … n − 1. `pressure` increases, (n_level + 1).
  int count(const double* pressure, int n_level) const {
    int n = 0;
    while (n < n_level && 0.5 * (pressure[n] + pressure[n + 1]) < top_pressure) ++n;
    return n == n_level ? 0 : n;
  }
};

}  // namespace emagram
