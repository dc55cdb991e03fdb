#include "columns.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "checks.hpp"
#include "error.hpp"

namespace emagram {
namespace {

constexpr std::int32_t n_stage = EMAGRAM_STAGE_RETURNED + 1;

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
  auto& binding = bindings_[static_cast<std::size_t>(found - fields.begin())];
  binding = Binding();  // a field whose binding fails is missing, whatever it was bound to before
  binding = Binding(*found, described, extent_1_, extent_2_);
}

/// The global number of a column.
std::int64_t Columns::number_of(std::int64_t column) const {
  return identity_.empty() ? column : identity_[static_cast<std::size_t>(column)];
}

void Columns::check_call(const char* call, std::int64_t number, double dt) const {
  if (number < 0 || number > extent_1_ * extent_2_)
    fail(EMAGRAM_ERROR_ARGUMENT, call, ": expected 0 to ", extent_1_ * extent_2_, " columns, got ", number);
  const double expected = model_->time_step();
  if (!(dt > 0.0 && std::isfinite(dt))) fail(EMAGRAM_ERROR_TIME_STEP, call, ": expected a positive dt, got ", dt, " s");
  if (expected > 0.0 && dt != expected && !model_->options().allow_other_dt)
    fail(EMAGRAM_ERROR_TIME_STEP, call, ": model '", model_->name(), "' has a time step of ", expected, " s, got ", dt,
         " s");
  for (std::size_t f = 0; f < bindings_.size(); ++f)
    if (!bindings_[f].bound())
      fail(EMAGRAM_ERROR_MISSING_FIELD, "field '", model_->fields()[f].name, "' was not bound before the ", call);
}

/// Rejects a column; the first fault goes into the message.
void Columns::reject(Pass& pass, std::int64_t column, std::int32_t reason, const double* inputs,
                     const double* outputs) const {
  pass.reason[static_cast<std::size_t>(column)] = reason;
  if (pass.n_rejected++ == 0)
    pass.first_fault = text("column ", number_of(column), ": ", describe_fault(*model_, reason, inputs, outputs));
}

Columns::Pass Columns::start_pass(std::int64_t number, bool constrain) {
  number_ = number;
  outputs_.resize(static_cast<std::size_t>(number) * static_cast<std::size_t>(model_->n_output_value()));
  residual_.resize(n_stage * model_->constraints().budgets().size() * static_cast<std::size_t>(number));
  return {constrain, std::vector<std::int32_t>(static_cast<std::size_t>(number), EMAGRAM_COLUMN_OK), 0, ""};
}

/// With policy `error` a rejected column fails the call, otherwise it is logged.
void Columns::judge(const Pass& pass, const std::string& call) const {
  if (pass.n_rejected == 0) return;
  const std::string report =
      text(call, ": ", pass.n_rejected, " of ", number_, " columns rejected, the first is ", pass.first_fault);
  if (model_->options().policy == EMAGRAM_POLICY_ERROR) fail(EMAGRAM_ERROR_REJECTED, report);
  log(EMAGRAM_LOG_WARNING, report);
}

void Columns::gather_block(std::int64_t first, int n_column, int direction, double* rows, int n_value) const {
  const auto& fields = model_->fields();
  for (std::size_t f = 0; f < fields.size(); ++f)
    if (fields[f].direction == direction)
      for (int c = 0; c < n_column; ++c) bindings_[f].gather(fields[f], first + c, rows + c * n_value);
}

/// Gather, check and predict columns [first, first + n_column), without the constraints. The network sees clipped
/// inputs where the policy is `clip`; whatever else reads inputs has the host's.
void Columns::compute_block(Pass& pass, std::int64_t first, int n_column) {
  Clock clock;
  const int n_in = model_->n_input_value();
  double* inputs = workspace_.inputs.data();
  double* seen = inputs;
  gather_block(first, n_column, EMAGRAM_INPUT, inputs, n_in);
  if (model_->options().policy == EMAGRAM_POLICY_CLIP) {
    seen = workspace_.seen.data();
    std::copy_n(inputs, n_column * n_in, seen);
  }
  for (int c = 0; c < n_column; ++c) {
    const double* row = inputs + c * n_in;
    auto& reason = pass.reason[static_cast<std::size_t>(first + c)];
    reason = check_inputs(*model_, row);
    if (reason >= EMAGRAM_COLUMN_REJECTED) reject(pass, first + c, reason, row, nullptr);
    if (reason == EMAGRAM_COLUMN_EXTRAPOLATED && seen != inputs) {
      clip_inputs(*model_, row, seen + c * n_in);
      reason = EMAGRAM_COLUMN_CLIPPED;
    }
  }
  clock.add_to(timing_.gather_s);
  model_->predict(seen, inputs, n_column, outputs_.data() + first * model_->n_output_value(), workspace_);
  clock.add_to(timing_.network_s);
}

/// Constraints, and the residuals at every stage. A column with a value that is not finite is rejected, before the
/// constraints: a bound could hide it.
void Columns::close_column(Pass& pass, std::int64_t column, const double* inputs) {
  const auto& constraints = model_->constraints();
  const int n_out = model_->n_output_value();
  double* outputs = outputs_.data() + column * n_out;
  double* returned = workspace_.returned.data();
  if (!all_finite(outputs, n_out)) return reject(pass, column, EMAGRAM_COLUMN_NON_FINITE_OUTPUT, inputs, outputs);
  double* residual = workspace_.residual.data();
  double* after = residual + constraints.budgets().size();
  constraints.residuals(inputs, outputs, residual);
  for (const auto stage : {EMAGRAM_STAGE_PREDICTED, EMAGRAM_STAGE_BEFORE, EMAGRAM_STAGE_AFTER})
    store_residuals(residual, stage, column);
  if (pass.constrain) {
    constraints.apply(inputs, outputs, residual, after);
    store_residuals(residual, EMAGRAM_STAGE_BEFORE, column);
    store_residuals(after, EMAGRAM_STAGE_AFTER, column);
  }
  for (std::size_t f = static_cast<std::size_t>(model_->n_input()); f < bindings_.size(); ++f)
    bindings_[f].returned(model_->fields()[f], outputs, returned);
  if (!all_finite(returned, n_out)) return reject(pass, column, EMAGRAM_COLUMN_NON_FINITE_OUTPUT, inputs, returned);
  constraints.residuals(inputs, returned, residual);
  store_residuals(residual, EMAGRAM_STAGE_RETURNED, column);
}

/// Of every budget, at one stage of a column.
void Columns::store_residuals(const double* residual, std::int32_t stage, std::int64_t column) {
  const auto n_budget = static_cast<std::int64_t>(model_->constraints().budgets().size());
  for (std::int64_t budget = 0; budget < n_budget; ++budget)
    residual_[static_cast<std::size_t>((stage * n_budget + budget) * number_ + column)] = residual[budget];
}

/// The residuals of rejected columns are NaN.
void Columns::close_block(Pass& pass, std::int64_t first, int n_column) {
  Clock clock;
  for (int c = 0; c < n_column; ++c) {
    const auto& reason = pass.reason[static_cast<std::size_t>(first + c)];
    if (reason < EMAGRAM_COLUMN_REJECTED)
      close_column(pass, first + c, workspace_.inputs.data() + c * model_->n_input_value());
    if (reason < EMAGRAM_COLUMN_REJECTED) continue;
    std::fill(workspace_.residual.begin(), workspace_.residual.end(), std::numeric_limits<double>::quiet_NaN());
    for (std::int32_t stage = 0; stage < n_stage; ++stage)
      store_residuals(workspace_.residual.data(), stage, first + c);
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
  reason_.clear();
  check_call("step", number, dt);
  Pass pass = start_pass(number, !model_->options().defer_constraints && !model_->options().measure_only);
  for (std::int64_t first = 0; first < number; first += Model::block) {
    const int n_column = static_cast<int>(std::min<std::int64_t>(Model::block, number - first));
    compute_block(pass, first, n_column);
    close_block(pass, first, n_column);
  }
  timing_.n_call += 1;
  timing_.n_column += number;
  timing_.n_rejected += pass.n_rejected;
  reason_ = pass.reason;
  judge(pass, text("step ", step));
}

void Columns::write_outputs(const std::vector<std::int32_t>& reason) {
  Clock clock;
  for (std::size_t f = static_cast<std::size_t>(model_->n_input()); f < bindings_.size(); ++f)
    for (std::int64_t c = 0; c < number_; ++c)
      if (reason[static_cast<std::size_t>(c)] < EMAGRAM_COLUMN_REJECTED)
        bindings_[f].scatter(model_->fields()[f], c, outputs_.data() + c * model_->n_output_value());
  clock.add_to(timing_.scatter_s);
}

void Columns::end_bindings() {
  for (auto& binding : bindings_) binding.end();
}

void Columns::finish() {
  if (stage_ != Stage::begun) fail(EMAGRAM_ERROR_ARGUMENT, "finish: nothing was begun");
  write_outputs(reason_);
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
  check_call("constrain", number, dt);
  const int n_in = model_->n_input_value(), n_out = model_->n_output_value();
  Pass pass = start_pass(number, !model_->options().measure_only);
  for (std::int64_t first = 0; first < number; first += Model::block) {
    const int n_column = static_cast<int>(std::min<std::int64_t>(Model::block, number - first));
    double* inputs = workspace_.inputs.data();
    gather_block(first, n_column, EMAGRAM_INPUT, inputs, n_in);
    gather_block(first, n_column, EMAGRAM_OUTPUT, outputs_.data() + first * n_out, n_out);
    for (int c = 0; c < n_column; ++c)
      if (const auto reason = check_closable(*model_, inputs + c * n_in); reason != EMAGRAM_COLUMN_OK)
        reject(pass, first + c, reason, inputs + c * n_in, nullptr);
    close_block(pass, first, n_column);
  }
  judge(pass, "constrain");
  write_outputs(pass.reason);
}

void Columns::status(std::int64_t number, std::int32_t* reason) const {
  if (number < 0 || number > static_cast<std::int64_t>(reason_.size()))
    fail(EMAGRAM_ERROR_ARGUMENT, "status: the last step had ", reason_.size(), " columns, asked for ", number);
  std::copy_n(reason_.begin(), number, reason);
}

void Columns::check_budget(std::int32_t index, std::int64_t number) const {
  const auto n_budget = static_cast<std::int32_t>(model_->constraints().budgets().size());
  if (index < 0 || index >= n_budget)
    fail(EMAGRAM_ERROR_ARGUMENT, "budget: the model has ", n_budget, " budgets, asked for number ", index);
  if (number < 0 || number > number_)
    fail(EMAGRAM_ERROR_ARGUMENT, "budget: the last step had ", number_, " columns, asked for ", number);
}

void Columns::budget(std::int32_t index, std::int32_t stage, std::int64_t number, double* residual) const {
  check_budget(index, number);
  if (stage < 0 || stage >= n_stage)
    fail(EMAGRAM_ERROR_ARGUMENT, "budget: expected a stage of 0 to ", n_stage - 1, ", got ", stage);
  const auto n_budget = static_cast<std::int64_t>(model_->constraints().budgets().size());
  std::copy_n(residual_.begin() + (stage * n_budget + index) * number_, number, residual);
}

/// A residual of a rejected column is NaN, which exceeds nothing.
void Columns::unmet(std::int32_t index, std::int64_t number, std::int32_t* unmet) const {
  check_budget(index, number);
  const Budget& budget = model_->constraints().budgets()[static_cast<std::size_t>(index)];
  std::vector<double> residual(static_cast<std::size_t>(number));
  this->budget(index, budget.judged, number, residual.data());
  std::transform(residual.begin(), residual.end(), unmet,
                 [&](double value) { return std::abs(value) > budget.tolerance ? 1 : 0; });
}

}  // namespace emagram
