#pragma once

#include "lanes.hpp"
#include "law_upper_layers.hpp"

namespace emagram {

/// Nothing happens above a pressure: rates are zero there, and the water that they moved is given back below.
///   R = Σ_upper m_k Σ_water q̇_k,   all rates ← 0 there,   receiver_k ← receiver_k + R / Σ_lower m over the others
/// A layer is upper where ½(p_k + p_k+1) < top_pressure, m_k = Δp_k / g. A column without lower layers is left alone.
struct UpperLevelsLaw {
  int n_level;
  const int* outputs;  // offsets in the row of outputs (n_output), (n_level) values each
  int n_output;
  const int* water;  // those [kg kg-1 s-1] (n_water)
  int n_water;
  int receiver;            // one of them
  int interface_pressure;  // offset in the row of inputs [Pa] (n_level + 1)
  double top_pressure;     // [Pa]
  double gravity;          // [m s-2]
};

namespace {

/// g R [kg m-1 s-3]
inline Lanes water_above(UpperLevelsLaw law, UpperLayers upper, const Lanes* p, const Lanes* outputs) {
  Lanes total{}, sum[1];
  for (int i = 0; i < law.n_water; ++i) {
    const Lanes* rate = outputs + law.water[i];
    sum_up(upper.count(), sum,
           [&](int k, Lanes* part) { part[0] += select(upper[k], rate[k] * (p[k + 1] - p[k]), Lanes{}); });
    total += sum[0];
  }
  return total;
}

inline void measure(UpperLevelsLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  const Lanes* p = inputs + law.interface_pressure;
  *residual = water_above(law, {p, law.n_level, law.top_pressure}, p, outputs) / law.gravity;
}

inline void apply(UpperLevelsLaw law, const Lanes* inputs, Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  const UpperLayers upper(p, law.n_level, law.top_pressure);
  if (upper.count() == 0) return;
  Lanes border = p[0];
  for (int k = 0; k < upper.count(); ++k) border = select(upper[k], p[k + 1], border);
  const Lanes gained = water_above(law, upper, p, outputs) / (p[law.n_level] - border);
  for (int i = 0; i < law.n_output; ++i)
    for (int k = 0; k < upper.count(); ++k) {
      Lanes& rate = outputs[law.outputs[i] + k];
      rate = select(upper[k], Lanes{}, rate);
    }
  const Mask gains = border > p[0];
  Lanes* receiver = outputs + law.receiver;
  for (int k = 0; k < upper.count(); ++k) receiver[k] = select(gains & ~upper[k], receiver[k] + gained, receiver[k]);
  for (int k = upper.count(); k < law.n_level; ++k) receiver[k] = select(gains, receiver[k] + gained, receiver[k]);
}

}  // namespace
}  // namespace emagram
