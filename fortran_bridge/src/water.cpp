#include "water.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "column_sum.hpp"

namespace emagram {

double WaterView::held() const {
  return column_sum(n_level, [this](int k) { return std::max(after(k), 0.0) * weight(k); });
}

double WaterView::missing() const {
  return column_sum(n_level, [this](int k) { return std::max(-after(k), 0.0) * weight(k); });
}

/// Raises a rate that rounding alone leads below zero to the next ones that do not; others stay as they are.
void Water::lift(int k) {
  constexpr double rounding = 16.0 * std::numeric_limits<double>::epsilon();
  if (after(k) >= 0.0 || after(k) < -rounding * std::abs(state[k])) return;
  const double before = rate[k];
  for (int i = 0; i < 8 && after(k) < 0.0; ++i)
    writable_[k] = std::nextafter(rate[k], std::numeric_limits<double>::infinity());
  if (after(k) < 0.0) writable_[k] = before;
}

void Water::set(int k, double value) {
  writable_[k] = (value - state[k]) / dt;
  lift(k);
}

void Water::lose(double loss) {
  if (loss == 0.0) return;
  const double per_step = 1.0 / dt;
  bool below = false;
  for (int k = 0; k < n_level; ++k) {
    const double held = after(k);
    const double lowered = std::max(rate[k] - loss * held, -state[k] * per_step);
    writable_[k] = held > 0.0 ? lowered : rate[k];
    below |= held > 0.0 && after(k) < 0.0;
  }
  for (int k = 0; below && k < n_level; ++k) lift(k);
}

bool Water::lose_from_fullest(double mass_rate) {
  int fullest = 0;
  double most = 0.0;
  for (int k = 0; k < n_level; ++k)
    if (const double mass = after(k) * weight(k); mass > most) {
      most = mass;
      fullest = k;
    }
  if (!(most > 2.0 * dt * std::abs(mass_rate))) return false;
  writable_[fullest] -= mass_rate / weight(fullest);
  lift(fullest);
  return true;
}

}  // namespace emagram
