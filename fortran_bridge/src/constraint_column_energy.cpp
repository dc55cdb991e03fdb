#include "constraint_entry.hpp"

namespace emagram {
namespace {

/// Closes the column integral of a heating rate against fluxes.
///   r = Σ_k (cp/g) h_k Δp_k − Σ_j s_j F_j,   h_k ← h_k − r / Σ_k (cp/g) Δp_k
/// The change is uniform in mass; sums run in double from the model top down.
class ColumnEnergy final : public Constraint {
 public:
  explicit ColumnEnergy(const ConstraintEntry& entry)
      : Constraint({{entry.name(), entry.at("unit").get<std::string>(), energy_tolerance}}),
        n_level_(entry.n_level()),
        heating_(entry.output(entry.at("heating"), EMAGRAM_PER_LAYER, "")),
        interface_pressure_(entry.interface_pressure()),
        weight_(entry.constant("heat_capacity_dry_air") / entry.constant("gravity")) {
    for (const auto& term : entry.list("fluxes"))
      fluxes_.push_back(
          {entry.either(entry.at(term, "name"), EMAGRAM_PER_COLUMN, ""), entry.number(entry.at(term, "sign"), "sign")});
  }

  void residuals(const double* inputs, const double* outputs, double* residual) const override {
    *residual = difference(inputs, outputs);
  }

  void apply(const double* inputs, double* outputs) const override {
    const double* pressure = inputs + interface_pressure_;
    double mass = 0.0;
    for (int k = 0; k < n_level_; ++k) mass += pressure[k + 1] - pressure[k];
    const double change = difference(inputs, outputs) / (weight_ * mass);
    for (int k = 0; k < n_level_; ++k) outputs[heating_ + k] -= change;
  }

 private:
  /// [W m-2]
  double difference(const double* inputs, const double* outputs) const {
    const double* pressure = inputs + interface_pressure_;
    const double* rate = outputs + heating_;
    double sum = 0.0;
    for (int k = 0; k < n_level_; ++k) sum += rate[k] * (pressure[k + 1] - pressure[k]);
    double net = 0.0;
    for (const auto& term : fluxes_) net += term.sign * term.flux.value(inputs, outputs);
    return weight_ * sum - net;
  }

  int n_level_;
  int heating_;             // offset in the row of outputs [K s-1] (n_level)
  int interface_pressure_;  // offset in the row of inputs [Pa] (n_level + 1)
  double weight_;           // cp / g [J s2 m-1 kg-1 K-1]
  std::vector<FluxTerm> fluxes_;
};

}  // namespace

std::unique_ptr<const Constraint> column_energy(const ConstraintEntry& entry) {
  return std::make_unique<ColumnEnergy>(entry);
}

}  // namespace emagram
