#include <algorithm>

#include "column_sum.hpp"
#include "constraint_entry.hpp"
#include "upper_layers.hpp"

namespace emagram {
namespace {

/// Nothing happens above a pressure: rates are zero there, and the water that they moved is given back below.
///   R = Σ_upper m_k Σ_water q̇_k,   all rates ← 0 there,   receiver_k ← receiver_k + R / Σ_lower m over the others
/// A layer is upper where ½(p_k + p_k+1) < top_pressure, m_k = Δp_k / g. A column without lower layers is left alone.
class UpperLevels final : public Constraint {
 public:
  explicit UpperLevels(const ConstraintEntry& entry)
      : Constraint({{entry.name() + "_water", "kg m-2 s-1", water_tolerance}}),
        n_level_(entry.n_level()),
        outputs_(entry.outputs("outputs", EMAGRAM_PER_LAYER, "")),
        water_(entry.outputs("water", EMAGRAM_PER_LAYER, "kg kg-1 s-1")),
        receiver_(entry.output(entry.at("receiver"), EMAGRAM_PER_LAYER, "kg kg-1 s-1")),
        interface_pressure_(entry.interface_pressure()),
        upper_(entry.positive("top_pressure")),
        gravity_(entry.constant("gravity")) {
    for (const int water : water_)
      if (std::find(outputs_.begin(), outputs_.end(), water) == outputs_.end())
        entry.refuse("expected every 'water' to stand in 'outputs' too");
    if (std::find(water_.begin(), water_.end(), receiver_) == water_.end())
      entry.refuse("expected the 'receiver' to be one of 'water'");
  }

  void residuals(const double* inputs, const double* outputs, double* residual) const override {
    const int n = upper_.count(inputs + interface_pressure_, n_level_);
    *residual = water_above(inputs, outputs, n) / gravity_;
  }

  void apply(const double* inputs, double* outputs) const override {
    const double* pressure = inputs + interface_pressure_;
    const int n = upper_.count(pressure, n_level_);
    if (n == 0) return;
    const double gained = water_above(inputs, outputs, n) / (pressure[n_level_] - pressure[n]);
    for (const int output : outputs_) std::fill_n(outputs + output, n, 0.0);
    for (int k = n; k < n_level_; ++k) outputs[receiver_ + k] += gained;
  }

 private:
  /// g R [kg m-1 s-3]
  double water_above(const double* inputs, const double* outputs, int n) const {
    const double* pressure = inputs + interface_pressure_;
    double sum = 0.0;
    for (const int water : water_)
      sum += column_sum(n, [&](int k) { return outputs[water + k] * (pressure[k + 1] - pressure[k]); });
    return sum;
  }

  int n_level_;
  std::vector<int> outputs_;  // offsets in the row of outputs (n_level)
  std::vector<int> water_;    // those [kg kg-1 s-1]
  int receiver_;
  int interface_pressure_;  // offset in the row of inputs [Pa] (n_level + 1)
  UpperLayers upper_;
  double gravity_;  // [m s-2]
};

}  // namespace

std::unique_ptr<const Constraint> upper_levels(const ConstraintEntry& entry) {
  return std::make_unique<UpperLevels>(entry);
}

}  // namespace emagram
