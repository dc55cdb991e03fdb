#include "constraint_entry.hpp"
#include "law_positivity.hpp"

namespace emagram {
namespace {

class Positivity final : public Constraint {
 public:
  explicit Positivity(const ConstraintEntry& entry)
      : Constraint(LawType::positivity,
                   {{entry.name(), "kg m-2 s-1", water_tolerance},
                    {entry.name() + "_deficit", "kg m-2 s-1", water_tolerance, EMAGRAM_STAGE_BEFORE}}),
        law_{.n_level = entry.n_level(),
             .interface_pressure = entry.interface_pressure(),
             .gravity = entry.constant("gravity"),
             .dt = entry.time_step(),
             .top_pressure = entry.optional_top_pressure()} {
    std::vector<int> rates;
    for (const auto& pair : entry.list("species")) {
      species_.push_back(entry.prognostic(pair, "kg kg-1", "kg kg-1 s-1"));
      rates.push_back(species_.back().rate);
    }
    entry.check_distinct("species", rates);
    law_.species = species_.data();
    law_.n_species = static_cast<int>(species_.size());
  }

 private:
  const void* law() const override { return &law_; }

  std::vector<Prognostic> species_;
  PositivityLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> positivity(const ConstraintEntry& entry) {
  return std::make_unique<Positivity>(entry);
}

}  // namespace emagram
