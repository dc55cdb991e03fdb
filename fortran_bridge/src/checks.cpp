#include "checks.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "column_sum.hpp"
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

bool increases(const Field& field, const double* row) {
  for (int i = field.offset + 1; i < field.offset + field.size; ++i)
    if (!(row[i] > row[i - 1])) return false;
  return true;
}

}  // namespace

bool all_finite(const double* row, int n) {
  return column_sum(n, [row](int i) { return row[i] * 0.0; }) == 0.0;  // NaN otherwise; without branches
}

std::int32_t check_closable(const Model& model, const double* inputs) {
  if (!all_finite(inputs, model.n_input_value())) return EMAGRAM_COLUMN_NON_FINITE_INPUT;
  for (const auto& field : inputs_of(model))
    if (field.increasing && !increases(field, inputs)) return EMAGRAM_COLUMN_LEVEL_ORDER;
  return EMAGRAM_COLUMN_OK;
}

std::int32_t check_inputs(const Model& model, const double* inputs) {
  const double* lowest = model.tolerated_minimum().data();
  const double* highest = model.tolerated_maximum().data();
  bool valid = true, extrapolated = false;
  for (const auto& field : inputs_of(model))
    for (int i = field.offset; i < field.offset + field.size; ++i) {
      valid = valid && in_range(field, inputs[i]);
      extrapolated = extrapolated || inputs[i] < lowest[i] || inputs[i] > highest[i];
    }
  const std::int32_t reason = check_closable(model, inputs);
  if (reason == EMAGRAM_COLUMN_NON_FINITE_INPUT) return reason;
  if (!valid) return EMAGRAM_COLUMN_INVALID_INPUT;
  if (reason != EMAGRAM_COLUMN_OK) return reason;
  return extrapolated ? EMAGRAM_COLUMN_EXTRAPOLATED : EMAGRAM_COLUMN_OK;
}

void clip_inputs(const Model& model, const double* inputs, double* seen) {
  for (const auto& field : inputs_of(model))
    for (int i = field.offset; i < field.offset + field.size; ++i)
      seen[i] = field.increasing ? inputs[i]
                                 : std::clamp(inputs[i], model.training_minimum()[static_cast<std::size_t>(i)],
                                              model.training_maximum()[static_cast<std::size_t>(i)]);
}

std::string describe_fault(const Model& model, std::int32_t reason, const double* inputs, const double* outputs) {
  const bool of_range = reason == EMAGRAM_COLUMN_INVALID_INPUT;
  for (const auto& field : inputs_of(model)) {
    for (int k = 0; k < field.size; ++k) {
      const double x = inputs[field.offset + k];
      const std::string place = field.size > 1 ? text(" at level ", k) : "";
      if (!std::isfinite(x)) return text("input '", field.name, "'", place, " is not finite");
      if (of_range && !in_range(field, x))
        return text("input '", field.name, "'", place, " is ", x, " ", field.unit, ", outside its valid range ",
                    field.valid_minimum, " to ", field.valid_maximum, " (a fill value or another unit?)");
      if (!of_range && field.increasing && k > 0 && !(x > inputs[field.offset + k - 1]))
        return text("input '", field.name, "' does not increase from level ", k - 1, " to ", k,
                    " (are the levels reversed?)");
    }
  }
  for (const auto& field : outputs_of(model))
    if (!all_finite(outputs + field.offset, field.size)) return text("output '", field.name, "' is not finite");
  fail(EMAGRAM_ERROR_INTERNAL, "a column was rejected without a fault");
}

}  // namespace emagram
