#include "constraint_entry.hpp"
#include "law_stratospheric_water.hpp"

namespace emagram {
namespace {

TropopauseSearch search_of(const ConstraintEntry& entry) {
  const TropopauseSearch search{.lowest = entry.positive("lowest_pressure"),
                                .highest = entry.positive("highest_pressure"),
                                .fallback = entry.positive("fallback_pressure"),
                                .scale = entry.constant("gas_constant_dry_air") / entry.constant("gravity")};
  if (!(search.lowest < search.highest))
    entry.refuse("expected 'lowest_pressure' below 'highest_pressure' (", search.highest, " Pa), got ", search.lowest,
                 " Pa");
  return search;
}

class StratosphericWater final : public Constraint {
 public:
  explicit StratosphericWater(const ConstraintEntry& entry)
      : Constraint(LawType::stratospheric_water, {{entry.name(), "kg m-2 s-1", water_tolerance}}),
        law_{.n_level = entry.n_level(),
             .interface_pressure = entry.interface_pressure(),
             .temperature = entry.prognostic(entry.at("temperature"), "K", "K s-1"),
             .liquid = entry.prognostic(entry.at("liquid"), "kg kg-1", "kg kg-1 s-1"),
             .ice = entry.prognostic(entry.at("ice"), "kg kg-1", "kg kg-1 s-1"),
             .vapor_rate = entry.output(entry.at("vapor_rate"), EMAGRAM_PER_LAYER, "kg kg-1 s-1"),
             .search = search_of(entry),
             .gravity = entry.constant("gravity"),
             .heat_capacity = entry.constant("heat_capacity_dry_air"),
             .vaporization = entry.constant("latent_heat_vaporization"),
             .fusion = entry.constant("latent_heat_fusion"),
             .dt = entry.time_step()} {
    entry.check_distinct("vapor_rate, liquid and ice", {law_.vapor_rate, law_.liquid.rate, law_.ice.rate});
  }

 private:
  const void* law() const override { return &law_; }

  StratosphericWaterLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> stratospheric_water(const ConstraintEntry& entry) {
  return std::make_unique<StratosphericWater>(entry);
}

}  // namespace emagram
