#include <limits>

#include "constraint_entry.hpp"
#include "law_accounts.hpp"

namespace emagram {
namespace {

std::vector<Budget> budgets_of(const ConstraintEntry& entry) {
  constexpr double any = std::numeric_limits<double>::infinity();
  std::vector<Budget> budgets{{entry.name() + "_dry_mass", "kg m-2 s-1", any}};
  if (!entry.list("winds").empty())
    for (const char* direction : {"_eastward_momentum", "_northward_momentum"})
      budgets.push_back({entry.name() + direction, "Pa", any});
  return budgets;
}

class Accounts final : public Constraint {
 public:
  explicit Accounts(const ConstraintEntry& entry)
      : Constraint(LawType::accounts, budgets_of(entry)),
        water_(entry.outputs("water", EMAGRAM_PER_LAYER, "kg kg-1 s-1")) {
    if (entry.at("enforced") != false) entry.refuse("expected 'enforced' to be false");
    law_.n_level = entry.n_level();
    law_.interface_pressure = entry.interface_pressure();
    law_.gravity = entry.constant("gravity");
    law_.water = water_.data();
    law_.n_water = static_cast<int>(water_.size());
    read_momentum(entry);
  }

 private:
  void read_momentum(const ConstraintEntry& entry);
  const void* law() const override { return &law_; }

  std::vector<int> water_;
  AccountsLaw law_{};
};

void Accounts::read_momentum(const ConstraintEntry& entry) {
  const Json &winds = entry.list("winds"), &stress = entry.list("stress");
  if (!winds.empty() && winds.size() != 2) entry.refuse("expected two 'winds' or none, got ", winds.size());
  if (!stress.empty() && stress.size() != winds.size())
    entry.refuse("expected ", winds.size(), " names in 'stress' or none, got ", stress.size());
  if (!winds.empty()) {
    const auto rates = entry.outputs("winds", EMAGRAM_PER_LAYER, "m s-2");
    for (const int rate : rates) law_.winds[law_.n_wind++] = rate;
  }
  for (const auto& name : stress) law_.stress[law_.n_stress++] = entry.either(name, EMAGRAM_PER_COLUMN, "N m-2");
  if (law_.n_stress > 0 && stress[0] == stress[1]) entry.refuse("expected distinct 'stress', got one twice");
}

}  // namespace

std::unique_ptr<const Constraint> accounts(const ConstraintEntry& entry) { return std::make_unique<Accounts>(entry); }

}  // namespace emagram
