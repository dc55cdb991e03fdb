// A model file opened: immutable, shared by every thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "archive.hpp"
#include "constraints.hpp"
#include "emagram.h"
#include "field.hpp"
#include "plan.hpp"

namespace emagram {

enum class Transform { identity, log, relative_humidity };

struct Feature {
  Transform transform = Transform::identity;
  std::vector<int> inputs;  // offsets in the row of inputs
  int size = 1;
  int offset = 0;  // in the row of features
};

class Model {
 public:
  /// Verifies checksums, version and consistency, and replays the self-test. Throws Error.
  Model(Bytes file, const emagram_options& options);

  /// Columns of a block are computed together; larger calls loop over blocks.
  static constexpr int block = 64;

  struct Workspace {
    Plan::Workspace plan;
    std::vector<double> inputs;    // (block, n_input_value)
    std::vector<double> seen;      // the same, clipped for the network
    std::vector<double> returned;  // (n_output_value)
    std::vector<double> residual;  // (2, n_budget)
  };
  void prepare(Workspace& workspace) const;

  /// The network on `seen`, scaled by `inputs`, both (n_column, n_input_value), gives outputs
  /// (n_column, n_output_value), in the model's units and float64; n_column ≤ block. Without the constraints.
  void predict(const double* seen, const double* inputs, int n_column, double* outputs, Workspace& workspace) const;

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
  void read_features(const Json& entries);
  void read_tensors(const Tensors& tensors);
  void tolerate_margin();
  void self_test(const Json& expectation, const Tensors& tensors) const;
  int find(const std::string& name, int direction) const;
  const Field& expect(const std::string& name, int direction, int dimension) const;
  void transform(const Feature& feature, const double* inputs, float* features) const;

  emagram_options options_;
  std::string name_, sha256_, manifest_;
  int n_level_ = 0, n_input_ = 0, n_input_value_ = 0, n_output_value_ = 0, n_feature_value_ = 0;
  double time_step_ = 0.0;
  double epsilon_ = 0.0;       // ratio of the gas constants of dry air and water vapour
  std::vector<Field> fields_;  // inputs, then outputs
  std::set<std::string> names_;
  std::vector<Feature> features_;
  std::vector<double> feature_mean_, feature_scale_, output_mean_, output_scale_;
  std::vector<double> training_minimum_, training_maximum_, tolerated_minimum_, tolerated_maximum_;
  Constraints constraints_;
  std::unique_ptr<const Plan> plan_;
};

}  // namespace emagram
