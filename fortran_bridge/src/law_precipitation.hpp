#pragma once

#include "lanes.hpp"

namespace emagram {

/// Snow is not negative, and a part of what falls: snow ← max(snow, 0), total ← max(total, snow).
struct PrecipitationLaw {
  int total, snow;  // offsets in the row of outputs [m s-1]
};

namespace {

inline void measure(PrecipitationLaw, const Lanes*, const Lanes*, Lanes*) {}

inline void apply(PrecipitationLaw law, const Lanes*, Lanes* outputs) {
  outputs[law.snow] = max(outputs[law.snow], 0.0);
  outputs[law.total] = max(outputs[law.total], outputs[law.snow]);
}

}  // namespace
}  // namespace emagram
