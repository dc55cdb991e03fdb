// One kind of water in columns, before and after a step of physics, as the host will compute it.
#pragma once

#include "lanes.hpp"

namespace emagram {

constexpr int n_water = 3;  // vapour, liquid, ice

namespace {

/// The rates, where rounding alone leads below zero, `q + dt q̇` < 0, the next larger ones that do not.
inline Lanes lifted(Lanes state, Lanes rate, double dt) {
  constexpr double rounding = 16.0 * 0x1p-52;
  const Lanes after = state + dt * rate;
  const Mask below = (after < 0.0) & (after >= -rounding * abs(state) - 1e-300);  // numbers that are not normal, too
  if (!any(below)) return rate;
  Lanes raised = rate;
  for (int i = 0; i < 8; ++i) raised = select(below & (state + dt * raised < 0.0), next_up(raised), raised);
  return select(below & (state + dt * raised >= 0.0), raised, rate);
}

/// Water after the step, q + dt q̇, of which what rounding alone leaves, and less than none, counts as none: it must not
/// grow to close a budget.
inline Lanes held_after(Lanes state, Lanes rate, double dt) {
  constexpr double rounding = 4.0 * 0x1p-52;
  const Lanes after = state + dt * rate;
  return select(after > rounding * abs(state), after, Lanes{});
}

/// Masses are in units of Δp [kg kg-1 Pa], without 1/g. What is set never leads below zero by rounding.
class Water {
 public:
  /// State q [kg kg-1], rate q̇ [kg kg-1 s-1] (n_level), pressure at the interfaces [Pa] (n_level + 1), dt [s].
  Water(const Lanes* state, Lanes* rate, const Lanes* pressure, double dt)
      : state_(state), rate_(rate), pressure_(pressure), dt_(dt) {}

  /// q + dt q̇, without fused multiply-add: the bits of a host that steps in double.
  Lanes after(int k) const { return state_[k] + dt_ * rate_[k]; }
  Lanes weight(int k) const { return pressure_[k + 1] - pressure_[k]; }
  /// The rate that leads to `value` ≥ 0 after the step.
  void set(int k, Mask where, Lanes value) {
    rate_[k] = select(where, lifted(state_[k], (value - state_[k]) / dt_, dt_), rate_[k]);
  }

 private:
  const Lanes* state_;
  Lanes* rate_;
  const Lanes* pressure_;
  double dt_;
};

}  // namespace
}  // namespace emagram
