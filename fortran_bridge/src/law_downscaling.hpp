#pragma once

#include "lanes.hpp"
#include "law.hpp"
#include "law_fluxes.hpp"

namespace emagram {

enum class DownscalingKind { additive, multiplicative, softmax };

/// A profile y whose mean by mass, ȳ = Σ m y / Σ m, is x:
///   additive y + (x − ȳ),   multiplicative y x / ȳ,   softmax e^(y/s) x / mean(e^(y/s))
/// A multiplicative profile whose mean is zero, or so small that y x / ȳ is not finite, stays as it is.
struct DownscalingLaw {
  int n_level;
  int interface_pressure;  // offset in the row of inputs [Pa] (n_level + 1)
  DownscalingKind kind;
  int profile;   // offset in the row of outputs (n_level)
  Place mean;    // x
  double scale;  // s, in the unit of the profile
};

namespace {

inline Lanes mean_of(const Lanes* profile, const Lanes* p, int n_level) {
  Lanes sum[1];
  sum_up(n_level, sum, [=](int k, Lanes* part) { part[0] += profile[k] * (p[k + 1] - p[k]); });
  return sum[0] / (p[n_level] - p[0]);
}

inline void measure(DownscalingLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  const Lanes mean = mean_of(outputs + law.profile, inputs + law.interface_pressure, law.n_level);
  *residual = mean - value_at(law.mean, inputs, outputs);
}

/// y ← e^(y/s − max(y/s))
inline void exponentiate(Lanes* profile, int n_level, double scale) {
  Lanes largest = profile[0] / scale;
  for (int k = 1; k < n_level; ++k) largest = max(largest, profile[k] / scale);
  for (int k = 0; k < n_level; ++k) {
    Lanes value = profile[k] / scale - largest;
    for (int lane = 0; lane < n_lane; ++lane) value[lane] = __builtin_exp(value[lane]);
    profile[k] = value;
  }
}

inline void apply(DownscalingLaw law, const Lanes* inputs, Lanes* outputs) {
  Lanes* profile = outputs + law.profile;
  const Lanes* p = inputs + law.interface_pressure;
  const Lanes asked = value_at(law.mean, inputs, outputs);
  if (law.kind == DownscalingKind::softmax) exponentiate(profile, law.n_level, law.scale);
  const Lanes mean = mean_of(profile, p, law.n_level);
  if (law.kind == DownscalingKind::additive) {
    for (int k = 0; k < law.n_level; ++k) profile[k] += asked - mean;
    return;
  }
  Lanes largest{};
  for (int k = 0; k < law.n_level; ++k) largest = max(largest, abs(profile[k]));
  const Mask has_mean = mean != 0.0;
  const Lanes factor = asked / select(has_mean, mean, splat(1.0)), most = largest * factor;
  const Mask closes = has_mean & (most - most == 0.0);  // finite
  for (int k = 0; k < law.n_level; ++k) profile[k] = select(closes, profile[k] * factor, profile[k]);
}

}  // namespace
}  // namespace emagram
