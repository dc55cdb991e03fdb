#pragma once

#include "lanes.hpp"
#include "law.hpp"
#include "law_tropopause.hpp"
#include "law_water.hpp"

namespace emagram {

/// Cloud of the layers above the tropopause is vapour after the step: with δ_s = (q_s + dt q̇_s) / dt,
///   q̇_v ← q̇_v + δ_l + δ_i,   Ṫ ← Ṫ − (Lv δ_l + (Lv + Lf) δ_i) / cp,   q̇_s ← −q_s / dt for liquid and ice
/// so that each layer keeps its water and its energy. The tropopause is that of the states.
struct StratosphericWaterLaw {
  int n_level;
  int interface_pressure;               // offset in the row of inputs [Pa] (n_level + 1)
  Prognostic temperature, liquid, ice;  // [K], [kg kg-1] (n_level)
  int vapor_rate;                       // offset in the row of outputs [kg kg-1 s-1] (n_level)
  TropopauseSearch search;
  double gravity;               // [m s-2]
  double heat_capacity;         // [J kg-1 K-1]
  double vaporization, fusion;  // [J kg-1]
  double dt;                    // [s]
};

namespace {

inline Lanes tropopause_pressure(StratosphericWaterLaw law, const Lanes* inputs) {
  return tropopause_pressure(law.search, inputs + law.interface_pressure, inputs + law.temperature.state, law.n_level);
}

/// Σ m (|q_l| + |q_i|) / dt above the tropopause.
inline void measure(StratosphericWaterLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  const Lanes *p = inputs + law.interface_pressure, tropopause = tropopause_pressure(law, inputs);
  const auto after = [=](Prognostic of, int k) { return inputs[of.state + k] + law.dt * outputs[of.rate + k]; };
  Lanes sum[1];
  sum_up(law.n_level, sum, [&](int k, Lanes* part) {
    const Lanes cloud = abs(after(law.liquid, k)) + abs(after(law.ice, k));
    part[0] += select(middle(p, k) < tropopause, cloud * (p[k + 1] - p[k]), Lanes{});
  });
  *residual = sum[0] / (law.gravity * law.dt);
}

inline void apply(StratosphericWaterLaw law, const Lanes* inputs, Lanes* outputs) {
  const Lanes *p = inputs + law.interface_pressure, tropopause = tropopause_pressure(law, inputs);
  for (int k = 0; k < law.n_level; ++k) {
    const Mask above = middle(p, k) < tropopause;
    if (!any(above)) break;
    const auto cleared = [&](Prognostic cloud) {
      const Lanes state = inputs[cloud.state + k];
      Lanes& rate = outputs[cloud.rate + k];
      const Lanes taken = (state + law.dt * rate) / law.dt;
      rate = select(above, lifted(state, -state / law.dt, law.dt), rate);
      return taken;
    };
    const Lanes liquid = cleared(law.liquid), ice = cleared(law.ice);
    const Lanes heat = law.vaporization * (liquid + ice) + law.fusion * ice;
    Lanes &heating = outputs[law.temperature.rate + k], &vapor = outputs[law.vapor_rate + k];
    heating = select(above, heating - heat / law.heat_capacity, heating);
    vapor = select(above, vapor + (liquid + ice), vapor);
  }
}

}  // namespace
}  // namespace emagram
