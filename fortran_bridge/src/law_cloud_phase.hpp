#pragma once

#include "lanes.hpp"
#include "law.hpp"
#include "law_upper_layers.hpp"
#include "law_water.hpp"

namespace emagram {

/// Of the cloud n = q_l + q_i after the step, the share f(T) = clip((T − 253.16) / 20, 0, 1) is liquid, where T is the
/// temperature after the step, which what melts has cooled: n and cp T + Lf q_l stay. With θ = T + (Lf / cp) q_l,
///   q_l ← n clip((θ − 253.16) / (20 + Lf n / cp), 0, 1)
/// and what that adds to the rate of liquid leaves that of ice, and Lf / cp of it that of temperature. Layers without
/// cloud, n ≤ 0, and upper ones keep their bits.
struct CloudPhaseLaw {
  int n_level;
  int interface_pressure;               // offset in the row of inputs [Pa] (n_level + 1)
  Prognostic temperature, liquid, ice;  // [K], [kg kg-1] (n_level)
  double gravity;                       // [m s-2]
  double warming;                       // Lf / cp [K]
  double all_ice, mixed_range;          // [K]: 253.16 and 20
  double dt;                            // [s]
  double top_pressure;                  // [Pa]
};

namespace {

/// Σ m |q_l − f(T) n| / dt of the layers that are not upper.
inline void measure(CloudPhaseLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  const Lanes* p = inputs + law.interface_pressure;
  const UpperLayers upper(p, law.n_level, law.top_pressure);
  const auto after = [=](Prognostic of, int k) { return inputs[of.state + k] + law.dt * outputs[of.rate + k]; };
  Lanes sum[1];
  sum_up(law.n_level, sum, [&](int k, Lanes* part) {
    const Lanes liquid = after(law.liquid, k), cloud = liquid + after(law.ice, k);
    const Lanes share = min(max((after(law.temperature, k) - law.all_ice) / law.mixed_range, 0.0), 1.0);
    const Lanes misplaced = abs(liquid - share * cloud) * (p[k + 1] - p[k]);
    part[0] += k < upper.count() ? select(upper[k], Lanes{}, misplaced) : misplaced;
  });
  *residual = sum[0] / (law.gravity * law.dt);
}

/// Ice that becomes liquid [kg kg-1 s-1], of what there is after the step; all of a phase that goes, whatever rounding
/// makes of n. `cloud` is positive.
inline Lanes melted(CloudPhaseLaw law, Lanes temperature, Lanes liquid, Lanes ice, Lanes cloud) {
  const Lanes share = (temperature + law.warming * liquid - law.all_ice) / (law.mixed_range + law.warming * cloud);
  const Lanes partly = select(share >= 1.0, ice / law.dt, (share * cloud - liquid) / law.dt);
  return select(share <= 0.0, -liquid / law.dt, partly);
}

inline void apply(CloudPhaseLaw law, const Lanes* inputs, Lanes* outputs) {
  const UpperLayers upper(inputs + law.interface_pressure, law.n_level, law.top_pressure);
  for (int k = 0; k < law.n_level; ++k) {
    const Lanes liquid_before = inputs[law.liquid.state + k], ice_before = inputs[law.ice.state + k];
    Lanes &heating = outputs[law.temperature.rate + k], &liquid = outputs[law.liquid.rate + k],
          &ice = outputs[law.ice.rate + k];
    const Lanes liquid_after = liquid_before + law.dt * liquid, ice_after = ice_before + law.dt * ice;
    const Lanes cloud = liquid_after + ice_after;
    Mask is_cloud = cloud > 0.0;
    if (k < upper.count()) is_cloud &= ~upper[k];
    if (!any(is_cloud)) continue;
    const Lanes temperature = inputs[law.temperature.state + k] + law.dt * heating;
    const Lanes gained = melted(law, temperature, liquid_after, ice_after, select(is_cloud, cloud, splat(1.0)));
    const auto kept = [=](Lanes state, Lanes rate) { return lifted(state, max(rate, -state / law.dt), law.dt); };
    heating = select(is_cloud, heating - law.warming * gained, heating);
    liquid = select(is_cloud, kept(liquid_before, liquid + gained), liquid);
    ice = select(is_cloud, kept(ice_before, ice - gained), ice);
  }
}

}  // namespace
}  // namespace emagram
