#include "checks.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "bundles.hpp"
#include "error.hpp"

namespace emagram {
namespace {

std::span<const Field> inputs_of(const Model& model) {
  return std::span(model.fields()).first(static_cast<std::size_t>(model.n_input()));
}

std::span<const Field> outputs_of(const Model& model) {
  return std::span(model.fields()).subspan(static_cast<std::size_t>(model.n_input()));
}

bool in_range(const Field& field, double x) {  // false for NaN
  return x >= field.valid_minimum && x <= field.valid_maximum;
}

template <int n_lane>
void check_order(const Field& field, const double* inputs, std::int32_t* reason) {
  const double* x = inputs + field.offset * n_lane;
  for (int i = n_lane; i < field.size * n_lane; ++i)
    if (!(x[i] > x[i - n_lane])) reason[i % n_lane] = EMAGRAM_COLUMN_LEVEL_ORDER;
}

/// Whether each lane is valid, and whether it lies in the tolerated range.
template <int n_lane>
void check_ranges(const Model& model, const double* inputs, std::array<bool, most_lanes>& valid,
                  std::array<bool, most_lanes>& usual) {
  const double* lowest = model.tolerated_minimum().data();
  const double* highest = model.tolerated_maximum().data();
  for (const auto& field : inputs_of(model))
    for (int i = field.offset; i < field.offset + field.size; ++i)
      for (int c = 0; c < n_lane; ++c) {
        const double x = inputs[i * n_lane + c];
        valid[c] &= in_range(field, x);
        usual[c] &= (x >= lowest[i]) & (x <= highest[i]);
      }
}

}  // namespace

std::array<bool, most_lanes> are_finite(const double* bundle, int n_value) {
  const unsigned unfinite = instruction_set().laws.find_unfinite(bundle, n_value);
  std::array<bool, most_lanes> finite;
  for (int c = 0; c < most_lanes; ++c) finite[static_cast<std::size_t>(c)] = (unfinite >> c & 1u) == 0;
  return finite;
}

Reasons check_closable(const Model& model, const double* inputs) {
  Reasons reason{};
  for (const auto& field : inputs_of(model))
    if (field.increasing) with_lanes([&](auto lanes) { check_order<lanes>(field, inputs, reason.data()); });
  const auto finite = are_finite(inputs, model.n_input_value());
  for (int c = 0; c < Bundles::n_lane(); ++c)
    if (!finite[c]) reason[c] = EMAGRAM_COLUMN_NON_FINITE_INPUT;
  return reason;
}

Reasons check_inputs(const Model& model, const double* inputs) {
  std::array<bool, most_lanes> valid, usual;
  valid.fill(true);
  usual.fill(true);
  with_lanes([&](auto lanes) { check_ranges<lanes>(model, inputs, valid, usual); });
  Reasons reason = check_closable(model, inputs);
  for (int c = 0; c < Bundles::n_lane(); ++c) {
    if (reason[c] != EMAGRAM_COLUMN_NON_FINITE_INPUT && !valid[c]) reason[c] = EMAGRAM_COLUMN_INVALID_INPUT;
    if (reason[c] == EMAGRAM_COLUMN_OK && !usual[c]) reason[c] = EMAGRAM_COLUMN_EXTRAPOLATED;
  }
  return reason;
}

void clip_inputs(const Model& model, int lane, double* seen) {
  for (const auto& field : inputs_of(model)) {
    if (field.increasing) continue;
    for (int i = field.offset; i < field.offset + field.size; ++i) {
      double& x = seen[i * Bundles::n_lane() + lane];
      x = std::clamp(x, model.training_minimum()[static_cast<std::size_t>(i)],
                     model.training_maximum()[static_cast<std::size_t>(i)]);
    }
  }
}

std::string describe_fault(const Model& model, std::int32_t reason, std::span<const double> inputs,
                           std::span<const double> outputs) {
  const bool of_range = reason == EMAGRAM_COLUMN_INVALID_INPUT;
  for (const auto& field : inputs_of(model)) {
    for (int k = 0; k < field.size; ++k) {
      const auto at = static_cast<std::size_t>(field.offset + k);
      const double x = inputs[at];
      const std::string place = field.size > 1 ? text(" at level ", k) : "";
      if (!std::isfinite(x)) return text("input '", field.name, "'", place, " is not finite");
      if (of_range && !in_range(field, x))
        return text("input '", field.name, "'", place, " is ", x, " ", field.unit, ", outside its valid range ",
                    field.valid_minimum, " to ", field.valid_maximum, " (a fill value or another unit?)");
      if (!of_range && field.increasing && k > 0 && !(x > inputs[at - 1]))
        return text("input '", field.name, "' does not increase from level ", k - 1, " to ", k,
                    " (are the levels reversed?)");
    }
  }
  for (const auto& field : outputs_of(model))
    for (int k = 0; k < field.size; ++k)
      if (!std::isfinite(outputs[static_cast<std::size_t>(field.offset + k)]))
        return text("output '", field.name, "' is not finite");
  fail(EMAGRAM_ERROR_INTERNAL, "a column was rejected without a fault");
}

}  // namespace emagram
