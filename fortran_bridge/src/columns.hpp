// One call's view of the host's arrays: bindings, workspace, and what befell each column.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "binding.hpp"
#include "bundles.hpp"
#include "emagram.h"
#include "model.hpp"

namespace emagram {

class Columns {
 public:
  Columns(std::shared_ptr<const Model> model, std::int64_t extent_1, std::int64_t extent_2,
          const std::int64_t* identity);

  void bind(const std::string& name, const emagram_field& described);

  /// Compute the first `number` columns into the workspace. Throws before anything of the host's has changed.
  void begin(std::int64_t number, double dt, std::int64_t step);
  /// Write what `begin` computed into the host's arrays; then bindings that are not persistent end.
  void finish();
  /// Close the outputs as they stand in the host's arrays.
  void constrain(std::int64_t number, double dt);

  void status(std::int64_t number, std::int32_t* reason) const;
  void check_budget(std::int32_t index, std::int64_t number) const;
  void budget(std::int32_t index, std::int32_t stage, std::int64_t number, double* residual) const;
  void unmet(std::int32_t index, std::int64_t number, std::int32_t* unmet) const;
  const emagram_timing& timing() const { return timing_; }
  const Model& model() const { return *model_; }

 private:
  enum class Stage { idle, begun };

  /// One pass over the columns of a call: what befell each, and the first fault for the message.
  struct Pass {
    bool constrain;
    bool writes;  // or the host's arrays stay as they are, also where a unit would not come back to the same bits
    std::vector<std::int32_t> reason;
    std::int64_t n_rejected;
    std::string first_fault;
  };

  std::int64_t number_of(std::int64_t column) const;
  void check_call(const char* call, std::int64_t number, double dt) const;
  Pass start_pass(std::int64_t number, bool constrain);
  void reject(Pass& pass, std::int64_t column, std::int32_t reason, const double* inputs, const double* outputs) const;
  void reject_unfinite(Pass& pass, std::int64_t first, int n_column, const double* inputs, const double* outputs) const;
  void judge(const Pass& pass, const std::string& call) const;
  void log_unmet(const std::string& call) const;
  void gather_block(std::int64_t first, int n_column, int direction, Bundles& rows, std::int64_t row) const;
  void check_bundle(Pass& pass, std::int64_t first, int n_column, const double* inputs, double* seen);
  void compute_block(Pass& pass, std::int64_t first, int n_column);
  void close_bundle(Pass& pass, std::int64_t first, int n_column, const double* inputs);
  const double* returned(const double* outputs);
  void store_residuals(const double* residual, std::int32_t stage, std::int64_t first, int n_column);
  void forget_residuals(std::int64_t column);
  void close_block(Pass& pass, std::int64_t first, int n_column);
  void compute(std::int64_t number, double dt, std::int64_t step);
  void close(std::int64_t number, double dt);
  void write_outputs(const std::vector<std::int32_t>& reason);
  void end_bindings();

  std::shared_ptr<const Model> model_;
  std::int64_t extent_1_, extent_2_;
  std::vector<std::int64_t> identity_;  // empty: counted from 0
  std::vector<Binding> bindings_;       // as model_->fields()
  Model::Workspace workspace_;
  Bundles outputs_;                   // (number, n_output_value) of the call in progress
  std::vector<std::int32_t> reason_;  // of the last step
  std::vector<double> residual_;      // (stage, n_budget, number)
  std::int64_t number_ = 0;
  Stage stage_ = Stage::idle;
  emagram_timing timing_{};
};

}  // namespace emagram
