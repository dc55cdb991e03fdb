#include "constraint_entry.hpp"
#include "upper_layers.hpp"
#include "water.hpp"

namespace emagram {
namespace {

/// Makes good the debt of layer k, and of those that it answers for; returns what it cannot.
double settle(Water& water, int k, double debt) {
  const double left = water.after(k) * water.weight(k) - debt;
  water.set(k, left < 0.0 ? 0.0 : left / water.weight(k));
  return left < 0.0 ? -left : 0.0;
}

/// Layers below zero borrow from those below, then from those above, of which the first `n_upper` lend nothing; returns
/// what the column cannot pay.
double borrow(Water& water, int n_upper) {
  bool negative = false;
  for (int k = 0; k < water.n_level; ++k) negative |= water.after(k) < 0.0;
  if (!negative) return 0.0;
  double debt = 0.0;
  for (int k = 0; k < water.n_level; ++k)
    if ((debt > 0.0 && k >= n_upper) || water.after(k) < 0.0) debt = settle(water, k, debt);
  for (int k = water.n_level - 1; k >= n_upper && debt > 0.0; --k)
    if (water.after(k) > 0.0) debt = settle(water, k, debt);
  return debt;
}

/// Takes a debt from these layers in proportion to what they hold, or all of it.
void pay(Water&& water, double debt) {
  const double held = water.held();
  const double kept = held > debt ? 1.0 - debt / held : 0.0;
  for (int k = 0; k < water.n_level; ++k)
    if (const double after = water.after(k); after > 0.0) water.set(k, kept * after);
}

/// No negative water after the step: q_k + dt q̇_k ≥ 0.
/// A layer borrows from those below it, then from those above. What a cloud species cannot pay, the vapour of the
/// column pays in proportion to what it holds; what the vapour cannot pay is made from nothing, and shows in the budget
/// of water. A layer that neither borrows nor lends keeps its rate bit for bit; upper layers lend nothing.
class Positivity final : public Constraint {
 public:
  explicit Positivity(const ConstraintEntry& entry)
      : Constraint({{entry.name(), "kg m-2 s-1", water_tolerance},
                    {entry.name() + "_deficit", "kg m-2 s-1", water_tolerance, EMAGRAM_STAGE_BEFORE}}),
        n_level_(entry.n_level()),
        interface_pressure_(entry.interface_pressure()),
        gravity_(entry.constant("gravity")),
        dt_(entry.time_step()),
        upper_(entry.optional_top_pressure()) {
    std::vector<int> rates;
    for (const auto& pair : entry.list("species")) {
      species_.push_back(entry.prognostic(pair, "kg kg-1", "kg kg-1 s-1"));
      rates.push_back(species_.back().rate);
    }
    entry.check_distinct("species", rates);
  }

  /// Σ_k m_k max(−(q_k + dt q̇_k), 0) / dt over all species, and what of it the column cannot pay.
  void residuals(const double* inputs, const double* outputs, double* residual) const override {
    const int n_upper = upper_.count(inputs + interface_pressure_, n_level_);
    double sum = 0.0, unpaid = 0.0;
    for (std::size_t s = species_.size(); s-- > 0;) {
      const WaterView water = view(species_[s], inputs, outputs);
      sum += water.missing();
      const double owned = water.below(n_upper).held() - water.missing();
      unpaid = s > 0 ? unpaid + std::max(-owned, 0.0) : std::max(unpaid - owned, 0.0);
    }
    residual[0] = sum / (gravity_ * dt_);
    residual[1] = unpaid / (gravity_ * dt_);
  }

  void apply(const double* inputs, double* outputs) const override {
    const auto water = [&](const Prognostic& species) {
      return Water(view(species, inputs, outputs), outputs + species.rate);
    };
    const int n_upper = upper_.count(inputs + interface_pressure_, n_level_);
    double unpaid = 0.0;  // by the clouds
    for (std::size_t s = 1; s < species_.size(); ++s) {
      auto cloud = water(species_[s]);
      unpaid += borrow(cloud, n_upper);
    }
    auto vapor = water(species_[0]);
    if (unpaid > 0.0) pay(vapor.below(n_upper), unpaid);
    borrow(vapor, n_upper);
  }

 private:
  WaterView view(const Prognostic& species, const double* inputs, const double* outputs) const {
    return {inputs + species.state, outputs + species.rate, inputs + interface_pressure_, n_level_, dt_};
  }

  int n_level_;
  int interface_pressure_;  // offset in the row of inputs [Pa] (n_level + 1)
  double gravity_;          // [m s-2]
  double dt_;               // [s]
  UpperLayers upper_;
  std::vector<Prognostic> species_;  // vapour first
};

}  // namespace

std::unique_ptr<const Constraint> positivity(const ConstraintEntry& entry) {
  return std::make_unique<Positivity>(entry);
}

}  // namespace emagram
