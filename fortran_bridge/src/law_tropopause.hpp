// Where the troposphere ends. Twin of physics/tropopause.py.
#pragma once

#include "lanes.hpp"

namespace emagram {

/// Between which pressures a tropopause is looked for, and what counts as it where there is none [Pa].
struct TropopauseSearch {
  double lowest, highest, fallback;
  double scale;  // Rd / g [m K-1]
};

namespace {

constexpr double tropopause_lapse_rate = 2e-3, tropopause_depth = 2e3;  // [K m-1], [m]

inline Lanes middle(const Lanes* p, int k) { return 0.5 * (p[k] + p[k + 1]); }

inline Lanes log_of(Lanes x) {
  for (int lane = 0; lane < n_lane; ++lane) x[lane] = __builtin_log(x[lane]);
  return x;
}

/// In which of these lanes layer k is as the lapse rate has it: T_k − T_j ≤ 2 K/km (z_j − z_k) for the next layer above
/// and for all within 2 km, z_j−1 − z_j = (Rd / g) ½ (T_j−1 + T_j) ln(p_j / p_j−1).
inline Mask falls_slowly(TropopauseSearch search, const Lanes* p, const Lanes* temperature, int k, Mask where) {
  Lanes rise{}, below = middle(p, k);
  Mask near = where;
  for (int j = k - 1; j >= 0; --j) {
    const Lanes here = middle(p, j), mean = 0.5 * (temperature[j + 1] + temperature[j]);
    rise += search.scale * mean * log_of(below / here);
    if (j < k - 1) near &= rise <= tropopause_depth;
    where &= ~near | (temperature[k] - temperature[j] <= tropopause_lapse_rate * rise);
    near &= where;
    if (!any(near)) break;
    below = here;
  }
  return where;
}

/// Pressure of the lowest layer in the range that is as the lapse rate has it; never the highest layer.
inline Lanes tropopause_pressure(TropopauseSearch search, const Lanes* p, const Lanes* temperature, int n_level) {
  Lanes found{};
  for (int k = n_level - 1; k > 0; --k) {
    const Lanes pressure = middle(p, k);
    const Mask open = (pressure >= search.lowest) & (pressure <= search.highest) & (found == 0.0);
    if (any(open)) found = select(falls_slowly(search, p, temperature, k, open), pressure, found);
  }
  return select(found > 0.0, found, splat(search.fallback));
}

}  // namespace
}  // namespace emagram
