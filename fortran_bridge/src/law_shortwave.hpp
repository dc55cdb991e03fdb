#pragma once

#include "lanes.hpp"

namespace emagram {

/// Sunlight at the surface: none at night, never more than comes in, and what is absorbed follows from the albedo.
///   d_i ← max(d_i, 0), scaled to Σ d_i ≤ S = max(incoming, 0),   net ← Σ d_i (1 − a_i),
///   toa_net ← min(max(toa_net, net), S)
struct ShortwaveLaw {
  const int* downward;          // offsets in the row of outputs [W m-2] (n_band)
  const int* albedo = nullptr;  // offsets in the row of inputs [1] (n_band)
  int n_band;
  int net;           // offset in the row of outputs [W m-2]
  int incoming;      // offset in the row of inputs [W m-2], at the top
  int toa_net = -1;  // offset in the row of outputs [W m-2], or -1
};

namespace {

/// Σ d_i (1 − a_i) [W m-2]
inline Lanes absorbed(ShortwaveLaw law, const Lanes* inputs, const Lanes* outputs) {
  Lanes sum{};
  for (int i = 0; i < law.n_band; ++i) sum += outputs[law.downward[i]] * (1.0 - inputs[law.albedo[i]]);
  return sum;
}

inline void measure(ShortwaveLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  *residual = outputs[law.net] - absorbed(law, inputs, outputs);
}

inline void apply(ShortwaveLaw law, const Lanes* inputs, Lanes* outputs) {
  const Lanes sunlight = max(inputs[law.incoming], 0.0);
  Lanes sum{};
  for (int i = 0; i < law.n_band; ++i) {
    Lanes& flux = outputs[law.downward[i]];
    flux = max(flux, 0.0);
    sum += flux;
  }
  const Lanes share = select(sum > sunlight, sunlight / sum, splat(1.0));
  for (int i = 0; i < law.n_band; ++i) outputs[law.downward[i]] *= share;
  outputs[law.net] = absorbed(law, inputs, outputs);
  if (law.toa_net >= 0) outputs[law.toa_net] = min(max(outputs[law.toa_net], outputs[law.net]), sunlight);
}

}  // namespace
}  // namespace emagram
