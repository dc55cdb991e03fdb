// What the laws that close water and energy have in common in their entries.
#pragma once

#include <vector>

#include "constraint_entry.hpp"
#include "law_moist.hpp"

namespace emagram {

/// <name>_water and <name>_energy.
std::vector<Budget> moist_budgets(const ConstraintEntry& entry);

/// `radiation` receives the list that the law then points to.
MoistLaw read_moist(const ConstraintEntry& entry, std::vector<FluxTerm>& radiation);

}  // namespace emagram
