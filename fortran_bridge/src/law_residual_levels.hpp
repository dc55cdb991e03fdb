#pragma once

#include "lanes.hpp"
#include "law_moist.hpp"

namespace emagram {

/// Closes r_A of law_moist.hpp by the vapour of one level, then r_B by the temperature of one level:
///   q̇_v ← q̇_v − r_A / m there,   Ṫ ← Ṫ − r_B / (cp m) there
/// Bounds are not kept.
struct ResidualLevelsLaw : MoistLaw {
  int vapor_level, temperature_level;  // from 0 at the top
};

namespace {

inline void apply(ResidualLevelsLaw law, const Lanes* inputs, Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  const auto mass = [=](int level) { return (p[level + 1] - p[level]) / law.gravity; };
  Lanes &vapor = outputs[law.water[0].rate + law.vapor_level],
        &heating = outputs[law.temperature_rate + law.temperature_level];
  Sums sums;
  sum_rates(law, inputs, outputs, sums);
  sums.kinetic = kinetic_sum(law, inputs, outputs);
  const Lanes excess = water_imbalance(law, sums, outputs);
  vapor -= excess / mass(law.vapor_level);
  sum_rates(law, inputs, outputs, sums);
  heating -= energy_imbalance(law, sums, inputs, outputs) / (law.heat_capacity * mass(law.temperature_level));
}

}  // namespace
}  // namespace emagram
