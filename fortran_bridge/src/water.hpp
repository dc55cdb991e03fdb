// One kind of water in a column, before and after a step of physics, as the host will compute it.
#pragma once

namespace emagram {

/// Masses are in units of Δp [kg kg-1 Pa], without 1/g.
struct WaterView {
  const double* state;     // q [kg kg-1] (n_level)
  const double* rate;      // q̇ [kg kg-1 s-1] (n_level)
  const double* pressure;  // at the interfaces [Pa] (n_level + 1)
  int n_level;
  double dt;  // [s]

  /// q + dt q̇, without fused multiply-add: the bits of a host that steps in double.
  double after(int k) const { return state[k] + dt * rate[k]; }
  double weight(int k) const { return pressure[k + 1] - pressure[k]; }
  /// Without the first `n_upper` layers, fewer than all.
  WaterView below(int n_upper) const {
    return {state + n_upper, rate + n_upper, pressure + n_upper, n_level - n_upper, dt};
  }
  /// Σ max(q + dt q̇, 0) Δp
  double held() const;
  /// Σ max(−(q + dt q̇), 0) Δp
  double missing() const;
};

/// The same, where the rate can be changed. What it sets never leads below zero by rounding.
class Water : public WaterView {
 public:
  Water(const WaterView& view, double* writable) : WaterView(view), writable_(writable) {}

  /// Without the first `n_upper` layers, fewer than all.
  Water below(int n_upper) const { return {WaterView::below(n_upper), writable_ + n_upper}; }
  /// The rate that leads to `value` ≥ 0 after the step.
  void set(int k, double value);
  /// q̇ ← q̇ − μ max(q + dt q̇, 0) with μ ≤ 1/dt. Layers without water keep their rate.
  void lose(double loss);
  /// Takes a mass per time from the layer that holds most, unless that would be a large part of what it holds.
  bool lose_from_fullest(double mass_rate);

 private:
  void lift(int k);

  double* writable_;  // what `rate` points to
};

}  // namespace emagram
