#include "constraints.hpp"

#include <map>
#include <set>

#include "bundles.hpp"
#include "constraint_entry.hpp"
#include "error.hpp"

namespace emagram {
namespace {

using Factory = std::unique_ptr<const Constraint> (*)(const ConstraintEntry&);

Factory factory_of(const std::string& type) {
  static const std::map<std::string, Factory> known = {{"column_energy", column_energy},
                                                       {"downscaling", downscaling},
                                                       {"upper_levels", upper_levels},
                                                       {"shortwave", shortwave},
                                                       {"bounds", bounds},
                                                       {"precipitation", precipitation},
                                                       {"stratospheric_water", stratospheric_water},
                                                       {"positivity", positivity},
                                                       {"water_and_energy", water_and_energy},
                                                       {"residual_levels", residual_levels},
                                                       {"cloud_phase", cloud_phase},
                                                       {"accounts", accounts},
                                                       {"linear", linear}};
  const auto found = known.find(type);
  if (found == known.end()) fail(EMAGRAM_ERROR_UNSUPPORTED, "manifest.json: constraint '", type, "' is not supported");
  return found->second;
}

/// Readers of the manifest alone take names and units of budgets from the entry: they must be those of the constraint.
void check_budgets(const ConstraintEntry& entry, const std::vector<Budget>& budgets) {
  auto expected = Json::array();
  for (const auto& budget : budgets) expected.push_back({{"name", budget.name}, {"unit", budget.unit}});
  const Json& stated = entry.list("budgets");
  bool same = stated.size() == expected.size();
  for (std::size_t i = 0; same && i < expected.size(); ++i)
    same = entry.at(stated[i], "name") == expected[i]["name"] && entry.at(stated[i], "unit") == expected[i]["unit"];
  if (!same) entry.refuse("expected budgets ", expected.dump(), ", got ", stated.dump().substr(0, 200));
}

}  // namespace

Constraint::Constraint(LawType type, std::vector<Budget> budgets)
    : kernels_(instruction_set().laws.kernels(type)), budgets_(std::move(budgets)) {}

Constraints::Constraints(const Json& entries, const ManifestParts& manifest) {
  if (!entries.is_array())
    fail(EMAGRAM_ERROR_FORMAT, "manifest.json: expected 'constraints' to be a list, got ",
         entries.dump().substr(0, 40));
  std::set<std::string> names;
  for (const auto& json : entries) {
    const std::string type = json.at("type");
    const auto build = factory_of(type);
    const ConstraintEntry entry(json, manifest);
    auto built = build(entry);
    if (type != "column_energy") check_budgets(entry, built->budgets());  // which is older than the list of budgets
    for (const auto& budget : built->budgets()) {
      if (!names.insert(budget.name).second)
        entry.refuse("a budget '", budget.name, "' stands in the sequence already");
      budgets_.push_back(budget);
      budgets_.back().constraint = entry.name();
    }
    sequence_.push_back(std::move(built));
  }
}

void Constraints::measure(const double* inputs, const double* outputs, double* residual) const {
  for (const auto& constraint : sequence_) {
    constraint->measure(inputs, outputs, residual);
    residual += static_cast<std::ptrdiff_t>(constraint->budgets().size()) * Bundles::n_lane();
  }
}

void Constraints::apply(const double* inputs, double* outputs) const {
  for (const auto& constraint : sequence_) constraint->apply(inputs, outputs);
}

void Constraints::apply(const double* inputs, double* outputs, double* before, double* after) const {
  for (const auto& constraint : sequence_) {
    constraint->measure(inputs, outputs, before);
    constraint->apply(inputs, outputs);
    constraint->measure(inputs, outputs, after);
    const auto n_value = static_cast<std::ptrdiff_t>(constraint->budgets().size()) * Bundles::n_lane();
    before += n_value;
    after += n_value;
  }
}

}  // namespace emagram
