#include "constraint_entry.hpp"
#include "law_water_and_energy.hpp"
#include "moist_entry.hpp"

namespace emagram {
namespace {

class WaterAndEnergy final : public Constraint {
 public:
  explicit WaterAndEnergy(const ConstraintEntry& entry)
      : Constraint(LawType::water_and_energy, moist_budgets(entry)),
        law_{read_moist(entry, radiation_), entry.optional_top_pressure(), {}} {
    law_.projection = {.temperature_variance = entry.positive("temperature_variance"),
                       .water_variance = entry.positive("water_variance"),
                       .heat_capacity = law_.heat_capacity,
                       .latent = {law_.latent[0], law_.latent[1], law_.latent[2]},
                       .dt = law_.dt};
  }

 private:
  const void* law() const override { return &law_; }

  std::vector<FluxTerm> radiation_;
  WaterAndEnergyLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> water_and_energy(const ConstraintEntry& entry) {
  return std::make_unique<WaterAndEnergy>(entry);
}

}  // namespace emagram
