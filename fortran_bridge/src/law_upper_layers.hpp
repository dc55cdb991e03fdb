// The layers near the model top, where no water moves.
#pragma once

#include "lanes.hpp"

namespace emagram {
namespace {

/// Those above a pressure, ½ (p_k + p_k+1) < top_pressure [Pa]; none where it is 0, or in a column that has no other
/// layers. In a column they are the first ones, since pressure increases.
class UpperLayers {
 public:
  /// `pressure`: (n_level + 1) [Pa]
  UpperLayers(const Lanes* pressure, int n_level, double top_pressure) : pressure_(pressure), top_(top_pressure) {
    if (top_pressure == 0.0) return;
    has_lower_ = ~is_above(n_level - 1);
    while (count_ < n_level && any((*this)[count_])) ++count_;
  }

  /// From this layer on none is upper, in any lane.
  int count() const { return count_; }
  /// In which lanes a layer is upper, k < count().
  Mask operator[](int k) const { return has_lower_ & is_above(k); }

 private:
  Mask is_above(int k) const { return 0.5 * (pressure_[k] + pressure_[k + 1]) < top_; }

  const Lanes* pressure_;
  double top_;
  Mask has_lower_{};
  int count_ = 0;
};

}  // namespace
}  // namespace emagram
