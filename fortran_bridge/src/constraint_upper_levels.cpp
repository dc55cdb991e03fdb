#include <algorithm>

#include "constraint_entry.hpp"
#include "law_upper_levels.hpp"

namespace emagram {
namespace {

class UpperLevels final : public Constraint {
 public:
  explicit UpperLevels(const ConstraintEntry& entry)
      : Constraint(LawType::upper_levels, {{entry.name() + "_water", "kg m-2 s-1", water_tolerance}}),
        outputs_(entry.outputs("outputs", EMAGRAM_PER_LAYER, "")),
        water_(entry.outputs("water", EMAGRAM_PER_LAYER, "kg kg-1 s-1")),
        law_{.n_level = entry.n_level(),
             .outputs = outputs_.data(),
             .n_output = static_cast<int>(outputs_.size()),
             .water = water_.data(),
             .n_water = static_cast<int>(water_.size()),
             .receiver = entry.output(entry.at("receiver"), EMAGRAM_PER_LAYER, "kg kg-1 s-1"),
             .interface_pressure = entry.interface_pressure(),
             .top_pressure = entry.positive("top_pressure"),
             .gravity = entry.constant("gravity")} {
    for (const int water : water_)
      if (std::find(outputs_.begin(), outputs_.end(), water) == outputs_.end())
        entry.refuse("expected every 'water' to stand in 'outputs' too");
    if (std::find(water_.begin(), water_.end(), law_.receiver) == water_.end())
      entry.refuse("expected the 'receiver' to be one of 'water'");
  }

 private:
  const void* law() const override { return &law_; }

  std::vector<int> outputs_, water_;
  UpperLevelsLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> upper_levels(const ConstraintEntry& entry) {
  return std::make_unique<UpperLevels>(entry);
}

}  // namespace emagram
