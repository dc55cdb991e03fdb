#include "columns.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "error.hpp"

namespace emagram {
namespace {

/// Adds the time since the last reading to one of the timers.
class Clock {
 public:
  void add_to(double& seconds) {
    const auto now = std::chrono::steady_clock::now();
    seconds += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

Columns::Columns(std::shared_ptr<const Model> model, std::int64_t extent_1, std::int64_t extent_2,
                 const std::int64_t* identity)
    : model_(std::move(model)), extent_1_(extent_1), extent_2_(extent_2) {
  constexpr std::int64_t most = std::int64_t{1} << 40;
  if (extent_1 < 0 || extent_2 < 0 || extent_1 > most || (extent_2 > 0 && extent_1 > most / extent_2))
    fail(EMAGRAM_ERROR_ARGUMENT, "columns: ", extent_1, " by ", extent_2, " columns cannot be");
  if (identity != nullptr) identity_.assign(identity, identity + extent_1 * extent_2);
  bindings_.resize(model_->fields().size());
  model_->prepare(workspace_);
  timing_.struct_size = sizeof timing_;
}

void Columns::bind(const std::string& name, const emagram_field& described) {
  const auto& fields = model_->fields();
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == name; });
  if (found == fields.end())
    fail(EMAGRAM_ERROR_ARGUMENT, "field '", name, "': model '", model_->name(), "' has no such input or output");
  if (stage_ == Stage::begun) fail(EMAGRAM_ERROR_ARGUMENT, "field '", name, "': bound between begin and finish");
  bindings_[static_cast<std::size_t>(found - fields.begin())] = Binding(*found, described, extent_1_, extent_2_);
}

/// The global number of a column.
std::int64_t Columns::number_of(std::int64_t column) const {
  return identity_.empty() ? column : identity_[static_cast<std::size_t>(column)];
}

void Columns::check_call(std::int64_t number, double dt) const {
  if (number < 0 || number > extent_1_ * extent_2_)
    fail(EMAGRAM_ERROR_ARGUMENT, "step: expected 0 to ", extent_1_ * extent_2_, " columns, got ", number);
  const double expected = model_->time_step();
  if (!(dt > 0.0)) fail(EMAGRAM_ERROR_TIME_STEP, "step: expected a positive dt, got ", dt, " s");
  if (expected > 0.0 && dt != expected && !model_->options().allow_other_dt)
    fail(EMAGRAM_ERROR_TIME_STEP, "step: model '", model_->name(), "' has a time step of ", expected, " s, got ", dt,
         " s");
  for (std::size_t f = 0; f < bindings_.size(); ++f)
    if (!bindings_[f].bound())
      fail(EMAGRAM_ERROR_MISSING_FIELD, "field '", model_->fields()[f].name, "' was not bound before the step");
}

/// The reason of one gathered column; with policy `clip` the row is clipped to the training range.
std::int32_t Columns::check_inputs(double* row) const {
  bool extrapolated = false;
  const double* lowest = model_->training_minimum().data();
  const double* highest = model_->training_maximum().data();
  for (int f = 0; f < model_->n_input(); ++f) {
    const Field& field = model_->fields()[static_cast<std::size_t>(f)];
    const int end = field.offset + field.size;
    bool valid = true;
    for (int i = field.offset; i < end; ++i) {
      valid = valid && row[i] >= field.valid_minimum && row[i] <= field.valid_maximum;  // false for NaN
      extrapolated = extrapolated || row[i] < lowest[i] || row[i] > highest[i];
    }
    if (!valid)
      return std::all_of(row + field.offset, row + end, [](double x) { return std::isfinite(x); })
                 ? EMAGRAM_COLUMN_INVALID_INPUT
                 : EMAGRAM_COLUMN_NON_FINITE_INPUT;
    if (field.increasing)
      for (int i = field.offset + 1; i < end; ++i)
        if (!(row[i] > row[i - 1])) return EMAGRAM_COLUMN_LEVEL_ORDER;
  }
  if (!extrapolated) return EMAGRAM_COLUMN_OK;
  if (model_->options().policy != EMAGRAM_POLICY_CLIP) return EMAGRAM_COLUMN_EXTRAPOLATED;
  for (int f = 0; f < model_->n_input(); ++f) {
    const Field& field = model_->fields()[static_cast<std::size_t>(f)];
    if (field.increasing) continue;  // clipping a pressure could fold the levels
    for (int i = field.offset; i < field.offset + field.size; ++i) row[i] = std::clamp(row[i], lowest[i], highest[i]);
  }
  return EMAGRAM_COLUMN_CLIPPED;
}

/// The sentence for a rejected column.
std::string Columns::describe_fault(const double* row) const {
  for (int f = 0; f < model_->n_input(); ++f) {
    const Field& field = model_->fields()[static_cast<std::size_t>(f)];
    for (int k = 0; k < field.size; ++k) {
      const double x = row[field.offset + k];
      const std::string place = field.size > 1 ? text(" at level ", k) : "";
      if (!std::isfinite(x)) return text("input '", field.name, "'", place, " is not finite");
      if (x < field.valid_minimum || x > field.valid_maximum)
        return text("input '", field.name, "'", place, " is ", x, " ", field.unit, ", outside its valid range ",
                    field.valid_minimum, " to ", field.valid_maximum, " (a fill value or another unit?)");
      if (field.increasing && k > 0 && !(x > row[field.offset + k - 1]))
        return text("input '", field.name, "' does not increase from level ", k - 1, " to ", k,
                    " (are the levels reversed?)");
    }
  }
  return "an output is not finite";
}

/// Gather, check and predict; outputs of columns [first, first + n_column) without the constraints.
void Columns::compute_block(std::int64_t first, int n_column) {
  Clock clock;
  const auto& fields = model_->fields();
  const int n_in = model_->n_input_value(), n_out = model_->n_output_value();
  double* inputs = workspace_.inputs.data();
  for (int f = 0; f < model_->n_input(); ++f)
    for (int c = 0; c < n_column; ++c)
      bindings_[static_cast<std::size_t>(f)].gather(fields[static_cast<std::size_t>(f)], first + c, inputs + c * n_in);
  for (int c = 0; c < n_column; ++c) reason_[static_cast<std::size_t>(first + c)] = check_inputs(inputs + c * n_in);
  clock.add_to(timing_.gather_s);
  double* outputs = outputs_.data() + first * n_out;
  model_->predict(inputs, n_column, outputs, workspace_);
  for (int c = 0; c < n_column; ++c) {
    auto& reason = reason_[static_cast<std::size_t>(first + c)];
    const double* row = outputs + c * n_out;
    if (reason < EMAGRAM_COLUMN_REJECTED && !std::all_of(row, row + n_out, [](double x) { return std::isfinite(x); }))
      reason = EMAGRAM_COLUMN_NON_FINITE_OUTPUT;
    if (reason < EMAGRAM_COLUMN_REJECTED) continue;
    if (n_rejected_++ == 0) {
      first_fault_ = text("column ", number_of(first + c), ": ", describe_fault(inputs + c * n_in));
    }
  }
  clock.add_to(timing_.network_s);
}

/// Residuals before, constraints, residuals of what the host will find. Columns that `reason` rejects get NaN.
void Columns::close_block(const double* inputs, double* outputs, std::int64_t first, int n_column, bool constrain,
                          const std::int32_t* reason) {
  Clock clock;
  const auto& laws = model_->constraints();
  const int n_in = model_->n_input_value(), n_out = model_->n_output_value();
  std::vector<double> returned(static_cast<std::size_t>(n_out));
  for (int c = 0; c < n_column; ++c) {
    const double* in = inputs + c * n_in;
    double* out = outputs + c * n_out;
    const auto residual = [&](std::vector<double>& of, const double* row) {
      const bool rejected = reason != nullptr && reason[first + c] >= EMAGRAM_COLUMN_REJECTED;
      for (std::size_t i = 0; i < laws.size(); ++i)
        of[i * static_cast<std::size_t>(number_) + static_cast<std::size_t>(first + c)] =
            rejected ? std::numeric_limits<double>::quiet_NaN() : laws[i].residual(in, row);
    };
    residual(before_, out);
    if (constrain)
      for (const auto& law : laws) law.apply(in, out);
    for (std::size_t f = static_cast<std::size_t>(model_->n_input()); f < bindings_.size(); ++f) {
      const Field& field = model_->fields()[f];
      for (int i = field.offset; i < field.offset + field.size; ++i)
        returned[static_cast<std::size_t>(i)] = bindings_[f].as_returned(out[i]);
    }
    residual(after_, returned.data());
  }
  clock.add_to(timing_.constraints_s);
}

/// A binding ends with the call that uses it, also when the call fails: the host may leave the scope of its arrays.
void Columns::begin(std::int64_t number, double dt, std::int64_t step) {
  if (stage_ == Stage::begun) fail(EMAGRAM_ERROR_ARGUMENT, "step: the last begin has not been finished");
  try {
    compute(number, dt, step);
  } catch (...) {
    end_bindings();
    throw;
  }
  stage_ = Stage::begun;
}

void Columns::compute(std::int64_t number, double dt, std::int64_t step) {
  check_call(number, dt);
  number_ = number;
  n_rejected_ = 0;
  reason_.assign(static_cast<std::size_t>(number), EMAGRAM_COLUMN_OK);
  outputs_.resize(static_cast<std::size_t>(number * model_->n_output_value()));
  before_.resize(model_->constraints().size() * static_cast<std::size_t>(number));
  after_.resize(before_.size());
  for (std::int64_t first = 0; first < number; first += Model::block) {
    const int n_column = static_cast<int>(std::min<std::int64_t>(Model::block, number - first));
    compute_block(first, n_column);
    close_block(workspace_.inputs.data(), outputs_.data() + first * model_->n_output_value(), first, n_column,
                !model_->options().defer_constraints, reason_.data());
  }
  timing_.n_call += 1;
  timing_.n_column += number;
  timing_.n_rejected += n_rejected_;
  if (n_rejected_ == 0) return;
  const std::string report =
      text("step ", step, ": ", n_rejected_, " of ", number, " columns rejected, the first is ", first_fault_);
  if (model_->options().policy == EMAGRAM_POLICY_ERROR) fail(EMAGRAM_ERROR_REJECTED, report);
  log(EMAGRAM_LOG_WARNING, report);
}

void Columns::write_outputs(const std::int32_t* reason) {
  Clock clock;
  for (std::size_t f = static_cast<std::size_t>(model_->n_input()); f < bindings_.size(); ++f)
    for (std::int64_t c = 0; c < number_; ++c)
      if (reason == nullptr || reason[c] < EMAGRAM_COLUMN_REJECTED)
        bindings_[f].scatter(model_->fields()[f], c, outputs_.data() + c * model_->n_output_value());
  clock.add_to(timing_.scatter_s);
}

void Columns::end_bindings() {
  for (auto& binding : bindings_) binding.end();
}

void Columns::finish() {
  if (stage_ != Stage::begun) fail(EMAGRAM_ERROR_ARGUMENT, "finish: nothing was begun");
  write_outputs(reason_.data());
  stage_ = Stage::idle;
  if (!model_->options().defer_constraints) end_bindings();
}

void Columns::constrain(std::int64_t number, double dt) {
  if (stage_ == Stage::begun) fail(EMAGRAM_ERROR_ARGUMENT, "constrain: the last begin has not been finished");
  try {
    close(number, dt);
  } catch (...) {
    end_bindings();
    throw;
  }
  end_bindings();
}

void Columns::close(std::int64_t number, double dt) {
  check_call(number, dt);
  const auto& fields = model_->fields();
  const int n_in = model_->n_input_value(), n_out = model_->n_output_value();
  number_ = number;
  outputs_.resize(static_cast<std::size_t>(number * n_out));
  before_.resize(model_->constraints().size() * static_cast<std::size_t>(number));
  after_.resize(before_.size());
  for (std::int64_t first = 0; first < number; first += Model::block) {
    const int n_column = static_cast<int>(std::min<std::int64_t>(Model::block, number - first));
    for (int c = 0; c < n_column; ++c) {
      double* in = workspace_.inputs.data() + c * n_in;
      double* out = outputs_.data() + (first + c) * n_out;
      for (std::size_t f = 0; f < fields.size(); ++f)
        bindings_[f].gather(fields[f], first + c, fields[f].direction == EMAGRAM_INPUT ? in : out);
      if (!std::all_of(in, in + n_in, [](double x) { return std::isfinite(x); }) ||
          !std::all_of(out, out + n_out, [](double x) { return std::isfinite(x); }))
        fail(EMAGRAM_ERROR_REJECTED, "constrain: column ", number_of(first + c), " holds a value that is not finite");
    }
    close_block(workspace_.inputs.data(), outputs_.data() + first * n_out, first, n_column, true, nullptr);
  }
  write_outputs(nullptr);
}

void Columns::status(std::int64_t number, std::int32_t* reason) const {
  if (number < 0 || number > static_cast<std::int64_t>(reason_.size()))
    fail(EMAGRAM_ERROR_ARGUMENT, "status: the last step had ", reason_.size(), " columns, asked for ", number);
  std::copy_n(reason_.begin(), number, reason);
}

void Columns::budget(std::int32_t index, std::int64_t number, double* before, double* after) const {
  const auto n_budget = static_cast<std::int32_t>(model_->constraints().size());
  if (index < 0 || index >= n_budget)
    fail(EMAGRAM_ERROR_ARGUMENT, "budget: the model has ", n_budget, " budgets, asked for number ", index);
  if (number < 0 || number > number_)
    fail(EMAGRAM_ERROR_ARGUMENT, "budget: the last step had ", number_, " columns, asked for ", number);
  if (before != nullptr) std::copy_n(before_.begin() + index * number_, number, before);
  if (after != nullptr) std::copy_n(after_.begin() + index * number_, number, after);
}

}  // namespace emagram
