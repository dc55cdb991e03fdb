#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "error.hpp"
#include "instruction_set.hpp"

namespace emagram {
namespace {

std::int64_t padded(std::int64_t n) { return (n + panel_width - 1) / panel_width * panel_width; }

Activation activation(const std::string& name) {
  static const std::map<std::string, Activation> known = {
      {"identity", Activation::identity}, {"relu", Activation::relu}, {"leaky_relu", Activation::leaky_relu},
      {"gelu", Activation::gelu},         {"silu", Activation::silu}, {"tanh", Activation::tanh},
      {"sigmoid", Activation::sigmoid}};
  const auto found = known.find(name);
  if (found == known.end()) fail(EMAGRAM_ERROR_UNSUPPORTED, "plan.json: activation '", name, "' is not supported");
  return found->second;
}

template <class Function>
void apply(float* y, std::int64_t n, Function function) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = function(y[i]);
}

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

void activate(const Dense& op, float* y, std::int64_t n) {
  switch (op.activation) {
    case Activation::identity:
      return;
    case Activation::relu:
      return apply(y, n, [](float x) { return x < 0.0f ? 0.0f : x; });
    case Activation::leaky_relu:
      return apply(y, n, [s = op.slope](float x) { return x < 0.0f ? s * x : x; });
    case Activation::gelu:
      return apply(y, n, [](float x) { return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f)); });
    case Activation::silu:
      return apply(y, n, [](float x) { return x * sigmoid(x); });
    case Activation::tanh:
      return apply(y, n, [](float x) { return std::tanh(x); });
    case Activation::sigmoid:
      return apply(y, n, sigmoid);
  }
}

/// From torch's (n_out, n_in) to panels of outputs.
std::vector<float> pack(const std::vector<float>& weight, std::int64_t n_out, std::int64_t n_in) {
  std::vector<float> packed(static_cast<std::size_t>(padded(n_out) * n_in), 0.0f);
  for (std::int64_t o = 0; o < n_out; ++o)
    for (std::int64_t k = 0; k < n_in; ++k)
      packed[(o / panel_width * n_in + k) * panel_width + o % panel_width] = weight[o * n_in + k];
  return packed;
}

std::string known_operation(const Json& entry) {
  const auto op = entry.at("op").get<std::string>();
  if (op != "dense") fail(EMAGRAM_ERROR_UNSUPPORTED, "plan.json: operation '", op, "' is not supported");
  return op;
}

}  // namespace

Plan::Plan(const Json& json, const Tensors& tensors, std::int64_t n_feature, std::int64_t n_output) {
  try {
    if (const int version = integer(json.at("plan_version"), "plan_version", 1, 1 << 30); version != 1)
      fail(EMAGRAM_ERROR_VERSION, "plan.json: version ", version, " is newer than this library reads (1)");
    std::map<std::string, int> value = {{json.at("input").get<std::string>(), 0}};
    std::vector<std::int64_t> width = {n_feature};
    for (const auto& entry : json.at("operations")) {
      known_operation(entry);
      const auto input = value.find(entry.at("input").get<std::string>());
      if (input == value.end()) fail(EMAGRAM_ERROR_FORMAT, "plan.json: an operation reads a value before it exists");
      Dense op;
      op.input = input->second;
      op.output = static_cast<int>(width.size());
      op.n_in = width[op.input];
      const auto name = entry.at("weight").get<std::string>();
      const auto& shape = tensors.view(name).shape;
      if (shape.size() != 2 || shape[0] == 0 || shape[1] == 0)
        fail(EMAGRAM_ERROR_FORMAT, "tensor '", name, "': expected two axes, neither empty");
      op.n_out = static_cast<std::int64_t>(shape[0]);
      const auto n_in = static_cast<std::size_t>(op.n_in), n_out = static_cast<std::size_t>(op.n_out);
      op.weight = pack(tensors.real32(name, {n_out, n_in}), op.n_out, op.n_in);
      op.bias.assign(static_cast<std::size_t>(padded(op.n_out)), 0.0f);
      if (!entry.at("bias").is_null()) {
        const auto bias = tensors.real32(entry.at("bias").get<std::string>(), {n_out});
        std::copy(bias.begin(), bias.end(), op.bias.begin());
      }
      op.activation = activation(entry.at("activation").at("name").get<std::string>());
      if (op.activation == Activation::leaky_relu) op.slope = entry.at("activation").at("slope");
      if (!value.emplace(entry.at("output").get<std::string>(), op.output).second)
        fail(EMAGRAM_ERROR_FORMAT, "plan.json: two values have the name '", entry.at("output").get<std::string>(), "'");
      width.push_back(op.n_out);
      operations_.push_back(std::move(op));
    }
    const auto result = value.find(json.at("output").get<std::string>());
    if (result == value.end() || result->second == 0 || width[result->second] != n_output)
      fail(EMAGRAM_ERROR_FORMAT, "plan.json: the result does not have the ", n_output, " values of the outputs");
    result_ = result->second;
    for (const auto w : width) stride_.push_back(padded(w));
  } catch (const Json::exception&) {
    fail(EMAGRAM_ERROR_FORMAT, "plan.json: a key is missing or has the wrong type");
  }
}

void Plan::prepare(Workspace& workspace, std::int64_t n_column) const {
  if (workspace.n_column >= n_column && workspace.values.size() == stride_.size()) return;
  workspace.values.resize(stride_.size());
  for (std::size_t v = 0; v < stride_.size(); ++v)
    workspace.values[v].assign(static_cast<std::size_t>(stride_[v] * n_column), 0.0f);
  workspace.n_column = n_column;
}

void Plan::run(Workspace& workspace, std::int64_t n_column) const {
  const auto dense = instruction_set().dense;
  for (const auto& op : operations_) {
    float* y = workspace.values[op.output].data();
    dense({workspace.values[op.input].data(), y, op.weight.data(), op.bias.data(), n_column, op.n_in,
           padded(op.n_out) / panel_width, stride_[op.input], stride_[op.output]});
    activate(op, y, n_column * stride_[op.output]);
  }
}

std::size_t Plan::n_weight() const {
  std::size_t total = 0;
  for (const auto& op : operations_) total += static_cast<std::size_t>(op.n_in * op.n_out + op.n_out);
  return total;
}

}  // namespace emagram
