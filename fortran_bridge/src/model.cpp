#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "error.hpp"
#include "instruction_set.hpp"
#include "sha256.hpp"

namespace emagram {
namespace {

constexpr int format_version = 1;
constexpr int largest_size = 100000;   // levels; a hostile manifest must not make us allocate
constexpr int largest_row = 10000000;  // values a column

std::string verified_manifest_hash(const Archive& archive) {
  const std::string hash = sha256(archive.member("manifest.json").data(), archive.member("manifest.json").size());
  const auto comment = archive.comment();
  const auto at = comment.rfind("sha256:");
  if (!comment.starts_with("emagram ") || at == std::string_view::npos)
    fail(EMAGRAM_ERROR_FORMAT, "model file: a zip archive, but not an Emagram model");
  if (comment.substr(at + 7) != hash)
    fail(EMAGRAM_ERROR_CHECKSUM, "model file: manifest.json does not match its SHA-256");
  return hash;
}

void verify_members(const Archive& archive, const Json& members) {
  for (const auto& [name, entry] : members.items()) {
    const Bytes bytes = archive.member(name);
    if (!entry.at("size").is_number_unsigned() || entry.at("size") != bytes.size())
      fail(EMAGRAM_ERROR_FORMAT, "model file: ", name, " has ", bytes.size(), " bytes, the manifest says ",
           entry.at("size").dump());
    if (sha256(bytes.data(), bytes.size()) != entry.at("sha256").get<std::string>())
      fail(EMAGRAM_ERROR_CHECKSUM, "model file: ", name, " does not match its SHA-256");
  }
}

/// A member that the manifest does not vouch for is not read.
Bytes vouched(const Archive& archive, const Json& members, const char* name) {
  if (!members.contains(name)) {
    const int code = std::string(name) == "plan.json" ? EMAGRAM_ERROR_UNSUPPORTED : EMAGRAM_ERROR_FORMAT;
    fail(code, "model file: no ", name, "; models that are not native plans are not supported yet");
  }
  return archive.member(name);
}

int dimension_of(const std::string& word, int size, int n_level) {
  static const std::map<std::string, int> known = {
      {"column", EMAGRAM_PER_COLUMN}, {"layer", EMAGRAM_PER_LAYER}, {"interface", EMAGRAM_PER_INTERFACE}};
  const auto found = known.find(word);
  if (found == known.end()) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: unknown dimension '", word, "'");
  const int expected = found->second == EMAGRAM_PER_COLUMN  ? 1
                       : found->second == EMAGRAM_PER_LAYER ? n_level
                                                            : n_level + 1;
  if (size != expected)
    fail(EMAGRAM_ERROR_FORMAT, "manifest.json: dimension '", word, "': expected size ", expected, ", got ", size);
  return found->second;
}

double finite(double value, const char* what) {
  if (!std::isfinite(value)) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: ", what, " is not a finite number");
  return value;
}

double positive(double value, const char* what) {
  if (finite(value, what) <= 0.0) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: ", what, " must be positive, got ", value);
  return value;
}

}  // namespace

Model::Model(Bytes file, const emagram_options& options) : options_(options) {
  instruction_set();  // a wrong EMAGRAM_ISA is an error of open
  const Archive archive(file);
  sha256_ = verified_manifest_hash(archive);
  const Bytes text = archive.member("manifest.json");
  manifest_.assign(reinterpret_cast<const char*>(text.data()), text.size());
  const Json manifest = parse_json(text, "manifest.json");
  try {
    if (manifest.at("format") != "emagram-model") fail(EMAGRAM_ERROR_FORMAT, "manifest.json: not an Emagram model");
    if (const int version = integer(manifest.at("format_version"), "format_version", 1, 1 << 30);
        version > format_version)
      fail(EMAGRAM_ERROR_VERSION, "model file: format version ", version, " is newer than this library reads (",
           format_version, ")");
    const Json& members = manifest.at("members");
    verify_members(archive, members);
    read_manifest(manifest);
    const Tensors weights(vouched(archive, members, "weights.safetensors"), "weights.safetensors");
    read_tensors(weights);
    plan_ = std::make_unique<const Plan>(parse_json(vouched(archive, members, "plan.json"), "plan.json"), weights,
                                         features_.n_value(), n_output_value_);
    self_test(manifest.at("selftest"),
              Tensors(vouched(archive, members, "selftest.safetensors"), "selftest.safetensors"));
  } catch (const Json::exception& error) {
    fail(EMAGRAM_ERROR_FORMAT, "manifest.json: a key is missing or has the wrong type: ", error.what());
  }
}

void Model::read_manifest(const Json& manifest) {
  name_ = manifest.at("name");
  if (const auto stencil = manifest.at("stencil").get<std::array<int, 2>>(); stencil != std::array<int, 2>{1, 1})
    fail(EMAGRAM_ERROR_UNSUPPORTED, "manifest.json: a stencil of ", stencil[0], "x", stencil[1],
         " is not supported yet");
  if (!manifest.at("time_step").is_null()) time_step_ = positive(manifest.at("time_step"), "time_step");
  const Json& vertical = manifest.at("vertical");
  n_level_ = integer(vertical.at("n_level"), "n_level", 1, largest_size);
  if (vertical.at("order") != "top_to_bottom")
    fail(EMAGRAM_ERROR_FORMAT, "manifest.json: the level order must be top_to_bottom");
  read_fields(manifest.at("inputs"), EMAGRAM_INPUT);
  n_input_ = static_cast<int>(fields_.size());
  read_fields(manifest.at("outputs"), EMAGRAM_OUTPUT);
  const Json& constants = manifest.at("constants");
  features_ = Features(manifest.at("features"), fields_, constants);
  constraints_ = Constraints(manifest.at("constraints"), {fields_, constants, n_level_, time_step_});
}

void Model::read_fields(const Json& entries, int direction) {
  int& n_value = direction == EMAGRAM_INPUT ? n_input_value_ : n_output_value_;
  for (const auto& entry : entries) {
    Field field;
    field.name = entry.at("name");
    field.unit = entry.at("unit");
    field.direction = direction;
    field.size = integer(entry.at("size"), "size of '" + field.name + "'", 1, largest_size + 1);
    field.dimension = dimension_of(entry.at("dimension"), field.size, n_level_);
    field.offset = n_value;
    if (direction == EMAGRAM_INPUT || entry.contains("valid_range")) read_valid_range(entry, field);
    if (entry.contains("monotonic") && entry.at("monotonic") != "increasing")
      fail(EMAGRAM_ERROR_FORMAT, "manifest.json: '", field.name, "': monotonic can only be \"increasing\"");
    field.increasing = entry.contains("monotonic");
    if (direction == EMAGRAM_OUTPUT && entry.contains("scale_by") && !entry.at("scale_by").is_null())
      field.scale_by = expect(entry.at("scale_by"), EMAGRAM_INPUT, EMAGRAM_PER_COLUMN).offset;
    if (!names_.insert(field.name).second)
      fail(EMAGRAM_ERROR_FORMAT, "manifest.json: field '", field.name, "' stands twice");
    if (n_value > largest_row - field.size) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: too many values a column");
    n_value += field.size;
    fields_.push_back(std::move(field));
  }
  if (n_value == 0) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: no inputs or no outputs");
}

void Model::read_valid_range(const Json& entry, Field& field) const {
  const Json& range = entry.at("valid_range");
  if (range.size() != 2) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: '", field.name, "': valid_range is not a pair");
  field.valid_minimum = finite(range.at(0), "valid_range");
  field.valid_maximum = finite(range.at(1), "valid_range");
  if (field.valid_minimum > field.valid_maximum)
    fail(EMAGRAM_ERROR_FORMAT, "manifest.json: '", field.name, "': valid_range is reversed");
}

void Model::read_tensors(const Tensors& tensors) {
  const auto inputs = static_cast<std::size_t>(n_input_value_), outputs = static_cast<std::size_t>(n_output_value_),
             features = static_cast<std::size_t>(features_.n_value());
  training_minimum_ = tensors.real64("inputs.minimum", {inputs});
  training_maximum_ = tensors.real64("inputs.maximum", {inputs});
  feature_mean_ = tensors.real64("features.mean", {features});
  feature_scale_ = tensors.real64("features.scale", {features});
  output_mean_ = tensors.real64("outputs.mean", {outputs});
  output_scale_ = tensors.real64("outputs.scale", {outputs});
  for (const double scale : feature_scale_)
    if (!(scale > 0.0)) fail(EMAGRAM_ERROR_FORMAT, "tensor 'features.scale': every value must be positive");
  for (std::size_t i = 0; i < inputs; ++i)
    if (!(training_minimum_[i] <= training_maximum_[i]))
      fail(EMAGRAM_ERROR_FORMAT, "tensor 'inputs.minimum': value ", i, " is not at most that of inputs.maximum");
  tolerate_margin();
}

/// The margin is a share of the widest training range among the levels of a field.
void Model::tolerate_margin() {
  tolerated_minimum_ = training_minimum_;
  tolerated_maximum_ = training_maximum_;
  if (options_.extrapolation_margin == 0.0) return;
  for (int f = 0; f < n_input_; ++f) {
    double width = 0.0;
    for (int i = fields_[f].offset; i < fields_[f].offset + fields_[f].size; ++i)
      width = std::max(width, training_maximum_[i] - training_minimum_[i]);
    for (int i = fields_[f].offset; i < fields_[f].offset + fields_[f].size; ++i) {
      tolerated_minimum_[i] -= options_.extrapolation_margin * width;
      tolerated_maximum_[i] += options_.extrapolation_margin * width;
    }
  }
}

int Model::find(const std::string& name, int direction) const {
  for (std::size_t i = 0; i < fields_.size(); ++i)
    if (fields_[i].name == name && fields_[i].direction == direction) return static_cast<int>(i);
  return -1;
}

const Field& Model::expect(const std::string& name, int direction, int dimension) const {
  const int at = find(name, direction);
  if (at < 0 || fields_[at].dimension != dimension)
    fail(EMAGRAM_ERROR_FORMAT, "manifest.json: expected an ", direction == EMAGRAM_INPUT ? "input" : "output", " '",
         name, "' of the right dimension, got none");
  return fields_[at];
}

void Model::prepare(Workspace& workspace) const {
  plan_->prepare(workspace.plan, block);
  workspace.inputs.resize(block, n_input_value_);
  workspace.returned.resize(1, n_output_value_);
  workspace.residual.resize(1, 2 * static_cast<int>(constraints_.budgets().size()));
  if (options_.policy == EMAGRAM_POLICY_CLIP) workspace.seen.resize(block, n_input_value_);
}

/// From rows of the network's result to a bundle, of which lanes beyond `n_column` repeat the last column.
void Model::scale(const float* result, int n_column, const double* inputs, double* outputs) const {
  with_lanes([&](auto lanes) {
    constexpr int n_lane = lanes;
    const float* row[n_lane];
    for (int c = 0; c < n_lane; ++c) row[c] = result + std::min(c, n_column - 1) * plan_->output_stride();
    for (int i = 0; i < n_output_value_; ++i)
      for (int c = 0; c < n_lane; ++c) outputs[i * n_lane + c] = row[c][i] * output_scale_[i] + output_mean_[i];
    for (const auto& field : fields_) {
      if (field.scale_by < 0) continue;
      for (int i = field.offset; i < field.offset + field.size; ++i)
        for (int c = 0; c < n_lane; ++c) outputs[i * n_lane + c] *= inputs[field.scale_by * n_lane + c];
    }
  });
}

void Model::predict(const Bundles& seen, const Bundles& inputs, int n_column, std::int64_t first, Bundles& outputs,
                    Workspace& workspace) const {
  const int n_lane = Bundles::n_lane();
  float* features = plan_->input(workspace.plan);
  for (int c = 0; c < n_column; ++c)
    features_.normalise(seen.of(c - c % n_lane) + c % n_lane, n_lane, feature_mean_.data(), feature_scale_.data(),
                        features + c * plan_->input_stride());
  plan_->run(workspace.plan, n_column);
  const float* result = plan_->output(workspace.plan);
  for (int c = 0; c < n_column; c += n_lane)
    scale(result + c * plan_->output_stride(), n_column - c, inputs.of(c), outputs.of(first + c));
}

/// Stored inputs must give the stored outputs on this machine, with this library.
void Model::self_test(const Json& expectation, const Tensors& tensors) const {
  const int n = integer(expectation.at("columns"), "columns of the self-test", 1, block);
  Workspace workspace;
  prepare(workspace);
  Bundles outputs;
  outputs.resize(n, n_output_value_);
  std::vector<std::vector<double>> stored;
  for (const auto& field : fields_) {
    const char* prefix = field.direction == EMAGRAM_INPUT ? "input." : "output.";
    stored.push_back(tensors.real64(prefix + field.name, {static_cast<std::size_t>(n), std::size_t(field.size)}));
    if (field.direction != EMAGRAM_INPUT) continue;
    for (int c = 0; c < n; ++c)
      for (int i = 0; i < field.size; ++i)
        workspace.inputs.at(c, field.offset + i) = stored.back()[static_cast<std::size_t>(c * field.size + i)];
  }
  predict(workspace.inputs, workspace.inputs, n, 0, outputs, workspace);
  for (int c = 0; c < n; c += Bundles::n_lane()) constraints_.apply(workspace.inputs.of(c), outputs.of(c));
  for (std::size_t f = static_cast<std::size_t>(n_input_); f < fields_.size(); ++f) {
    const Field& field = fields_[f];
    const double tolerance = finite(expectation.at("tolerance").at(field.name), "tolerance");
    for (int c = 0; c < n; ++c)
      for (int i = 0; i < field.size; ++i) {
        const double got = outputs.at(c, field.offset + i);
        const double expected = stored[f][static_cast<std::size_t>(c * field.size + i)];
        if (!(std::abs(got - expected) <= tolerance))
          fail(EMAGRAM_ERROR_SELFTEST, "self-test: output '", field.name, "' level ", i, " of column ", c,
               ": expected ", expected, " within ", tolerance, " ", field.unit, ", got ", got);
      }
  }
}

}  // namespace emagram
