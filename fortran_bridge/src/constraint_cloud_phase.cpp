#include "constraint_entry.hpp"
#include "law_cloud_phase.hpp"
#include "thermodynamics.hpp"

namespace emagram {
namespace {

class CloudPhase final : public Constraint {
 public:
  explicit CloudPhase(const ConstraintEntry& entry)
      : Constraint(LawType::cloud_phase, {{entry.name(), "kg m-2 s-1", water_tolerance}}),
        law_{.n_level = entry.n_level(),
             .interface_pressure = entry.interface_pressure(),
             .temperature = entry.prognostic(entry.at("temperature"), "K", "K s-1"),
             .liquid = entry.prognostic(entry.at("liquid"), "kg kg-1", "kg kg-1 s-1"),
             .ice = entry.prognostic(entry.at("ice"), "kg kg-1", "kg kg-1 s-1"),
             .gravity = entry.constant("gravity"),
             .warming = entry.constant("latent_heat_fusion") / entry.constant("heat_capacity_dry_air"),
             .all_ice = saturation::all_ice,
             .mixed_range = saturation::triple_point - saturation::all_ice,
             .dt = entry.time_step(),
             .top_pressure = entry.optional_top_pressure()} {
    entry.check_distinct("liquid and ice", {law_.liquid.rate, law_.ice.rate});
  }

 private:
  const void* law() const override { return &law_; }

  CloudPhaseLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> cloud_phase(const ConstraintEntry& entry) {
  return std::make_unique<CloudPhase>(entry);
}

}  // namespace emagram
