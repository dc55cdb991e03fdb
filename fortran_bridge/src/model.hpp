// A model file opened: immutable, shared by every thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "archive.hpp"
#include "bundles.hpp"
#include "constraints.hpp"
#include "emagram.h"
#include "features.hpp"
#include "field.hpp"
#include "plan.hpp"

namespace emagram {

class Model {
 public:
  /// Verifies checksums, version and consistency, and replays the self-test. Throws Error.
  Model(Bytes file, const emagram_options& options);

  /// Columns of a block are computed together; larger calls loop over blocks.
  static constexpr int block = 64;

  struct Workspace {
    Plan::Workspace plan;
    Bundles inputs;    // (block, n_input_value)
    Bundles seen;      // the same, clipped for the network
    Bundles returned;  // (1, n_output_value)
    Bundles residual;  // (1, 2 n_budget)
  };
  void prepare(Workspace& workspace) const;

  /// The network on `seen`, scaled by `inputs`, both from their first column on, gives the outputs of columns
  /// [first, first + n_column), in the model's units and float64; n_column ≤ block. Without the constraints.
  void predict(const Bundles& seen, const Bundles& inputs, int n_column, std::int64_t first, Bundles& outputs,
               Workspace& workspace) const;

  const emagram_options& options() const { return options_; }
  const std::vector<Field>& fields() const { return fields_; }
  int n_input() const { return n_input_; }
  int n_output() const { return static_cast<int>(fields_.size()) - n_input_; }
  int n_input_value() const { return n_input_value_; }
  int n_output_value() const { return n_output_value_; }
  int n_level() const { return n_level_; }
  double time_step() const { return time_step_; }
  const std::string& name() const { return name_; }
  const std::string& sha256() const { return sha256_; }
  const std::string& manifest() const { return manifest_; }
  const Features& features() const { return features_; }
  const Constraints& constraints() const { return constraints_; }
  const std::vector<double>& training_minimum() const { return training_minimum_; }
  const std::vector<double>& training_maximum() const { return training_maximum_; }
  /// The training range with the margin of the options around it: what lies beyond is extrapolated.
  const std::vector<double>& tolerated_minimum() const { return tolerated_minimum_; }
  const std::vector<double>& tolerated_maximum() const { return tolerated_maximum_; }

 private:
  void read_manifest(const Json& manifest);
  void read_fields(const Json& entries, int direction);
  void read_valid_range(const Json& entry, Field& field) const;
  void read_tensors(const Tensors& tensors);
  void tolerate_margin();
  void self_test(const Json& expectation, const Tensors& tensors) const;
  int find(const std::string& name, int direction) const;
  const Field& expect(const std::string& name, int direction, int dimension) const;
  void scale(const float* result, int n_column, const double* inputs, double* outputs) const;

  emagram_options options_;
  std::string name_, sha256_, manifest_;
  int n_level_ = 0, n_input_ = 0, n_input_value_ = 0, n_output_value_ = 0;
  double time_step_ = 0.0;
  std::vector<Field> fields_;  // inputs, then outputs
  std::set<std::string> names_;
  Features features_;
  std::vector<double> feature_mean_, feature_scale_, output_mean_, output_scale_;
  std::vector<double> training_minimum_, training_maximum_, tolerated_minimum_, tolerated_maximum_;
  Constraints constraints_;
  std::unique_ptr<const Plan> plan_;
};

}  // namespace emagram
