#pragma once

#include "lanes.hpp"

namespace emagram {

/// Outputs that never fall below a value: y ← max(y, minimum).
struct BoundsLaw {
  struct Bound {
    int offset, size;  // in the row of outputs
    double minimum;    // in the output's unit
  };
  const Bound* bounds;
  int n_bound;
};

namespace {

inline void measure(BoundsLaw, const Lanes*, const Lanes*, Lanes*) {}

inline void apply(BoundsLaw law, const Lanes*, Lanes* outputs) {
  for (int b = 0; b < law.n_bound; ++b) {
    const auto [offset, size, minimum] = law.bounds[b];
    for (int i = offset; i < offset + size; ++i) outputs[i] = max(outputs[i], minimum);
  }
}

}  // namespace
}  // namespace emagram
