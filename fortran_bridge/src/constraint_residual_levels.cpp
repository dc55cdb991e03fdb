#include "constraint_entry.hpp"
#include "law_residual_levels.hpp"
#include "moist_entry.hpp"

namespace emagram {
namespace {

class ResidualLevels final : public Constraint {
 public:
  explicit ResidualLevels(const ConstraintEntry& entry)
      : Constraint(LawType::residual_levels, moist_budgets(entry)),
        law_{read_moist(entry, radiation_), entry.optional_level("vapor_level"),
             entry.optional_level("temperature_level")} {}

 private:
  const void* law() const override { return &law_; }

  std::vector<FluxTerm> radiation_;
  ResidualLevelsLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> residual_levels(const ConstraintEntry& entry) {
  return std::make_unique<ResidualLevels>(entry);
}

}  // namespace emagram
