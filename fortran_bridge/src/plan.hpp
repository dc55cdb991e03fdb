// What the native runtime executes: a list of operations on named values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "archive.hpp"

namespace emagram {

enum class Activation { identity, relu, leaky_relu, gelu, silu, tanh, sigmoid };

/// y = g(W x + b), float32.
struct Dense {
  int input = 0;  // index of a value of the plan
  int output = 0;
  std::int64_t n_in = 0, n_out = 0;
  Activation activation = Activation::identity;
  float slope = 0.0f;         // of leaky_relu
  std::vector<float> weight;  // packed (n_panel, n_in, panel_width)
  std::vector<float> bias;    // (n_panel * panel_width)
};

class Plan {
 public:
  /// Reads plan.json and packs the weights. Throws Error (format, unsupported).
  Plan(const Json& json, const Tensors& tensors, std::int64_t n_feature, std::int64_t n_output);

  /// Row strides of the input and output below, multiples of the panel width.
  std::int64_t input_stride() const { return stride_[0]; }
  std::int64_t output_stride() const { return stride_[result_]; }

  /// Room for the intermediate values of `n_column` columns, owned by the caller: a plan is shared by threads.
  struct Workspace {
    std::vector<std::vector<float>> values;
    std::int64_t n_column = 0;
  };
  void prepare(Workspace& workspace, std::int64_t n_column) const;

  float* input(Workspace& workspace) const { return workspace.values[0].data(); }
  const float* output(const Workspace& workspace) const { return workspace.values[result_].data(); }

  /// Runs all operations on the first `n_column` rows; the result does not depend on their number.
  void run(Workspace& workspace, std::int64_t n_column) const;

  std::size_t n_weight() const;

 private:
  std::vector<Dense> operations_;
  std::vector<std::int64_t> stride_;  // of each value; 0 is the input
  int result_ = 0;
};

}  // namespace emagram
