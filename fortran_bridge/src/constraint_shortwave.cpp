#include <algorithm>

#include "constraint_entry.hpp"

namespace emagram {
namespace {

/// Sunlight at the surface: none at night, never more than comes in, and what is absorbed follows from the albedo.
///   d_i ← max(d_i, 0), scaled to Σ d_i ≤ S = max(incoming, 0),   net ← Σ d_i (1 − a_i),
///   toa_net ← min(max(toa_net, net), S)
class Shortwave final : public Constraint {
 public:
  explicit Shortwave(const ConstraintEntry& entry)
      : Constraint({{entry.name(), "W m-2", energy_tolerance}}),
        downward_(entry.outputs("downward", EMAGRAM_PER_COLUMN, "W m-2")),
        net_(entry.output(entry.at("net"), EMAGRAM_PER_COLUMN, "W m-2")),
        incoming_(entry.input(entry.at("incoming"), EMAGRAM_PER_COLUMN, "W m-2")) {
    for (const auto& name : entry.list("albedo")) albedo_.push_back(entry.input(name, EMAGRAM_PER_COLUMN, "1"));
    if (albedo_.size() != downward_.size())
      entry.refuse("expected an albedo for each of the ", downward_.size(), " fluxes, got ", albedo_.size());
    std::vector<int> changed = downward_;
    changed.push_back(net_);
    if (const Json& name = entry.at("toa_net"); !name.is_null()) {
      toa_net_ = entry.output(name, EMAGRAM_PER_COLUMN, "W m-2");
      changed.push_back(toa_net_);
    }
    entry.check_distinct("downward, net and toa_net", changed);
  }

  void residuals(const double* inputs, const double* outputs, double* residual) const override {
    *residual = outputs[net_] - absorbed(inputs, outputs);
  }

  void apply(const double* inputs, double* outputs) const override {
    const double sunlight = std::max(inputs[incoming_], 0.0);
    double sum = 0.0;
    for (const int band : downward_) {
      outputs[band] = std::max(outputs[band], 0.0);
      sum += outputs[band];
    }
    if (sum > sunlight)
      for (const int band : downward_) outputs[band] *= sunlight / sum;
    outputs[net_] = absorbed(inputs, outputs);
    if (toa_net_ >= 0) outputs[toa_net_] = std::min(std::max(outputs[toa_net_], outputs[net_]), sunlight);
  }

 private:
  /// Σ d_i (1 − a_i) [W m-2]
  double absorbed(const double* inputs, const double* outputs) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < downward_.size(); ++i) sum += outputs[downward_[i]] * (1.0 - inputs[albedo_[i]]);
    return sum;
  }

  std::vector<int> downward_;  // offsets in the row of outputs [W m-2]
  std::vector<int> albedo_;    // offsets in the row of inputs [1], in the order of downward
  int net_;                    // offset in the row of outputs [W m-2]
  int incoming_;               // offset in the row of inputs [W m-2], at the top
  int toa_net_ = -1;           // offset in the row of outputs [W m-2], or -1
};

}  // namespace

std::unique_ptr<const Constraint> shortwave(const ConstraintEntry& entry) { return std::make_unique<Shortwave>(entry); }

}  // namespace emagram
