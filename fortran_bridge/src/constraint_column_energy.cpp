#include "constraint_entry.hpp"
#include "law_column_energy.hpp"

namespace emagram {
namespace {

class ColumnEnergy final : public Constraint {
 public:
  explicit ColumnEnergy(const ConstraintEntry& entry)
      : Constraint(LawType::column_energy, {{entry.name(), entry.at("unit").get<std::string>(), energy_tolerance}}),
        law_{.n_level = entry.n_level(),
             .heating = entry.output(entry.at("heating"), EMAGRAM_PER_LAYER, ""),
             .interface_pressure = entry.interface_pressure(),
             .weight = entry.constant("heat_capacity_dry_air") / entry.constant("gravity"),
             .fluxes = {}} {
    for (const auto& term : entry.list("fluxes"))
      fluxes_.push_back(
          {entry.either(entry.at(term, "name"), EMAGRAM_PER_COLUMN, ""), entry.number(entry.at(term, "sign"), "sign")});
    law_.fluxes = {fluxes_.data(), static_cast<int>(fluxes_.size())};
  }

 private:
  const void* law() const override { return &law_; }

  std::vector<FluxTerm> fluxes_;
  ColumnEnergyLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> column_energy(const ConstraintEntry& entry) {
  return std::make_unique<ColumnEnergy>(entry);
}

}  // namespace emagram
