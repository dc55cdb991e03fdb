#include "columns.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>

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

/// Rejects a column of the bundles; the first fault goes into the message.
void Columns::reject(Pass& pass, std::int64_t column, std::int32_t reason, const double* inputs,
                     const double* outputs) const {
  pass.reason[static_cast<std::size_t>(column)] = reason;
  if (pass.n_rejected++ > 0) return;
  const int lane = static_cast<int>(column % Bundles::n_lane());
  const auto row = row_of(inputs, model_->n_input_value(), lane);
  const auto result = outputs == nullptr ? std::vector<double>() : row_of(outputs, model_->n_output_value(), lane);
  pass.first_fault = text("column ", number_of(column), ": ", describe_fault(*model_, reason, row, result));
}

/// Those columns of a bundle that are not rejected yet, and have an output that is not finite.
void Columns::reject_unfinite(Pass& pass, std::int64_t first, int n_column, const double* inputs,
                              const double* outputs) const {
  const auto finite = are_finite(outputs, model_->n_output_value());
  for (int c = 0; c < n_column; ++c)
    if (!finite[c] && pass.reason[static_cast<std::size_t>(first + c)] < EMAGRAM_COLUMN_REJECTED)
      reject(pass, first + c, EMAGRAM_COLUMN_NON_FINITE_OUTPUT, inputs, outputs);
}

Columns::Pass Columns::start_pass(std::int64_t number, bool constrain) {
  outputs_.resize(number, model_->n_output_value());
  residual_.resize(n_stage * model_->constraints().budgets().size() * static_cast<std::size_t>(number));
  number_ = number;  // last: where memory ends, what is there is still of the old number
  return {constrain, true, std::vector<std::int32_t>(static_cast<std::size_t>(number), EMAGRAM_COLUMN_OK), 0, ""};
}

/// With policy `error` a rejected column fails the call, otherwise it is logged, as is a budget that cannot hold.
void Columns::judge(const Pass& pass, const std::string& call) const {
  if (pass.constrain) log_unmet(call);
  if (pass.n_rejected == 0) return;
  const std::string report =
      text(call, ": ", pass.n_rejected, " of ", number_, " columns rejected, the first is ", pass.first_fault);
  if (model_->options().policy == EMAGRAM_POLICY_ERROR) fail(EMAGRAM_ERROR_REJECTED, report);
  log(EMAGRAM_LOG_WARNING, report);
}

/// One message a budget.
void Columns::log_unmet(const std::string& call) const {
  const auto& budgets = model_->constraints().budgets();
  std::vector<std::int32_t> unmet(static_cast<std::size_t>(number_));
  for (std::size_t b = 0; b < budgets.size(); ++b) {
    this->unmet(static_cast<std::int32_t>(b), number_, unmet.data());
    const auto first = std::find(unmet.begin(), unmet.end(), 1);
    if (first == unmet.end()) continue;
    const auto column = first - unmet.begin();
    const auto place = (static_cast<std::size_t>(budgets[b].judged) * budgets.size() + b) * unmet.size();
    log(EMAGRAM_LOG_WARNING,
        text(call, ": budget '", budgets[b].name, "' is unmet in ", std::count(first, unmet.end(), 1), " of ", number_,
             " columns, the first is column ", number_of(column), ": expected at most ", budgets[b].tolerance, " ",
             budgets[b].unit, ", got ", std::abs(residual_[place + static_cast<std::size_t>(column)])));
  }
}

void Columns::gather_block(std::int64_t first, int n_column, int direction, Bundles& rows, std::int64_t row) const {
  const auto& fields = model_->fields();
  for (int c = 0; c < n_column; c += Bundles::n_lane())
    for (std::size_t f = 0; f < fields.size(); ++f)
      if (fields[f].direction == direction) bindings_[f].gather(fields[f], first + c, n_column - c, rows.of(row + c));
}

void Columns::check_bundle(Pass& pass, std::int64_t first, int n_column, const double* inputs, double* seen) {
  const Reasons found = check_inputs(*model_, inputs);
  for (int c = 0; c < n_column; ++c) {
    auto& reason = pass.reason[static_cast<std::size_t>(first + c)];
    reason = found[static_cast<std::size_t>(c)];
    if (reason >= EMAGRAM_COLUMN_REJECTED) reject(pass, first + c, reason, inputs, nullptr);
    if (reason == EMAGRAM_COLUMN_EXTRAPOLATED && seen != inputs) {
      clip_inputs(*model_, c, seen);
      reason = EMAGRAM_COLUMN_CLIPPED;
    }
  }
}

/// Gather, check and predict columns [first, first + n_column), without the constraints. The network sees clipped
/// inputs where the policy is `clip`; whatever else reads inputs has the host's.
void Columns::compute_block(Pass& pass, std::int64_t first, int n_column) {
  Clock clock;
  const bool clips = model_->options().policy == EMAGRAM_POLICY_CLIP;
  gather_block(first, n_column, EMAGRAM_INPUT, workspace_.inputs, 0);
  if (clips) workspace_.seen = workspace_.inputs;
  Bundles& seen = clips ? workspace_.seen : workspace_.inputs;
  for (int c = 0; c < n_column; c += Bundles::n_lane())
    check_bundle(pass, first + c, std::min(Bundles::n_lane(), n_column - c), workspace_.inputs.of(c), seen.of(c));
  clock.add_to(timing_.gather_s);
  model_->predict(seen, workspace_.inputs, n_column, first, outputs_, workspace_);
  clock.add_to(timing_.network_s);
}

/// Constraints, and the residuals at every stage. A column with a value that is not finite is rejected, before the
/// constraints: a bound could hide it. It goes through them with the others, which do not notice.
void Columns::close_bundle(Pass& pass, std::int64_t first, int n_column, const double* inputs) {
  const auto& constraints = model_->constraints();
  double* outputs = outputs_.of(first);
  reject_unfinite(pass, first, n_column, inputs, outputs);
  double* residual = workspace_.residual.data();
  double* after = residual + constraints.budgets().size() * static_cast<std::size_t>(Bundles::n_lane());
  constraints.measure(inputs, outputs, residual);
  for (const auto stage : {EMAGRAM_STAGE_PREDICTED, EMAGRAM_STAGE_BEFORE, EMAGRAM_STAGE_AFTER})
    store_residuals(residual, stage, first, n_column);
  if (pass.constrain) {
    constraints.apply(inputs, outputs, residual, after);
    store_residuals(residual, EMAGRAM_STAGE_BEFORE, first, n_column);
    store_residuals(after, EMAGRAM_STAGE_AFTER, first, n_column);
  }
  const double* held = pass.writes ? returned(outputs) : outputs;
  reject_unfinite(pass, first, n_column, inputs, held);
  constraints.measure(inputs, held, residual);
  store_residuals(residual, EMAGRAM_STAGE_RETURNED, first, n_column);
}

/// What the host will find of a bundle of outputs.
const double* Columns::returned(const double* outputs) {
  const auto first = bindings_.begin() + model_->n_input();
  if (std::all_of(first, bindings_.end(), [](const Binding& binding) { return binding.exact(); })) return outputs;
  for (std::size_t f = static_cast<std::size_t>(model_->n_input()); f < bindings_.size(); ++f)
    bindings_[f].returned(model_->fields()[f], outputs, workspace_.returned.data());
  return workspace_.returned.data();
}

/// Of every budget, at one stage of a bundle.
void Columns::store_residuals(const double* residual, std::int32_t stage, std::int64_t first, int n_column) {
  const auto n_budget = static_cast<std::int64_t>(model_->constraints().budgets().size());
  for (std::int64_t budget = 0; budget < n_budget; ++budget)
    std::copy_n(residual + budget * Bundles::n_lane(), n_column,
                residual_.begin() + (stage * n_budget + budget) * number_ + first);
}

/// The residuals of rejected columns are NaN.
void Columns::forget_residuals(std::int64_t column) {
  for (std::size_t at = static_cast<std::size_t>(column); at < residual_.size();
       at += static_cast<std::size_t>(number_))
    residual_[at] = std::numeric_limits<double>::quiet_NaN();
}

void Columns::close_block(Pass& pass, std::int64_t first, int n_column) {
  Clock clock;
  for (int c = 0; c < n_column; c += Bundles::n_lane())
    close_bundle(pass, first + c, std::min(Bundles::n_lane(), n_column - c), workspace_.inputs.of(c));
  for (std::int64_t c = first; c < first + n_column; ++c)
    if (pass.reason[static_cast<std::size_t>(c)] >= EMAGRAM_COLUMN_REJECTED) forget_residuals(c);
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
  for (std::int64_t first = 0; first < number_; first += Bundles::n_lane()) {
    std::array<bool, most_lanes> written{};
    const auto n_column = static_cast<std::size_t>(std::min<std::int64_t>(Bundles::n_lane(), number_ - first));
    for (std::size_t c = 0; c < n_column; ++c)
      written[c] = reason[static_cast<std::size_t>(first) + c] < EMAGRAM_COLUMN_REJECTED;
    for (std::size_t f = static_cast<std::size_t>(model_->n_input()); f < bindings_.size(); ++f)
      bindings_[f].scatter(model_->fields()[f], first, std::span(written).first(n_column), outputs_.of(first));
  }
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
  Pass pass = start_pass(number, !model_->options().measure_only);
  pass.writes = pass.constrain;
  for (std::int64_t first = 0; first < number; first += Model::block) {
    const int n_column = static_cast<int>(std::min<std::int64_t>(Model::block, number - first));
    gather_block(first, n_column, EMAGRAM_INPUT, workspace_.inputs, 0);
    gather_block(first, n_column, EMAGRAM_OUTPUT, outputs_, first);
    for (int c = 0; c < n_column; c += Bundles::n_lane()) {
      const Reasons found = check_closable(*model_, workspace_.inputs.of(c));
      for (int lane = 0; lane < std::min(Bundles::n_lane(), n_column - c); ++lane)
        if (const auto reason = found[static_cast<std::size_t>(lane)]; reason != EMAGRAM_COLUMN_OK)
          reject(pass, first + c + lane, reason, workspace_.inputs.of(c), nullptr);
    }
    close_block(pass, first, n_column);
  }
  judge(pass, "constrain");
  if (pass.writes) write_outputs(pass.reason);
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
