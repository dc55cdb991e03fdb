// What must hold in a column, applied last. Twins of physics/constraints: the same manifest entries, checked against
// each other. A row holds the values of one column in the model's units, in double; level 0 is the model top.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "archive.hpp"
#include "field.hpp"

namespace emagram {

/// A quantity of a column that vanishes where its constraint holds.
struct Budget {
  std::string name;
  std::string unit;
  double tolerance = 0.0;            // |residual| up to which the constraint holds
  int judged = EMAGRAM_STAGE_AFTER;  // or before, where the residual is what no correction can repair
  std::string constraint{};
};

constexpr double energy_tolerance = 1e-9;  // [W m-2]
constexpr double water_tolerance = 1e-14;  // [kg m-2 s-1]

/// Where a value lies in the rows of a column.
struct Place {
  bool is_output = false;
  int offset = 0;

  double value(const double* inputs, const double* outputs) const { return (is_output ? outputs : inputs)[offset]; }
};

/// A flux across the boundary of a column [W m-2]; sign +1 warms the column.
struct FluxTerm {
  Place flux;
  double sign = 1.0;
};

/// One of the manifest's constraints. Immutable, shared by threads; needs no memory of its own to be applied.
class Constraint {
 public:
  virtual ~Constraint() = default;

  /// What it closes, in the order of `residuals`; none for mere bounds.
  const std::vector<Budget>& budgets() const { return budgets_; }
  /// One value a budget, from the outputs of a column as they stand.
  virtual void residuals(const double* inputs, const double* outputs, double* residual) const = 0;
  /// Corrects the outputs of a column. They are finite, and pressure increases.
  virtual void apply(const double* inputs, double* outputs) const = 0;

 protected:
  explicit Constraint(std::vector<Budget> budgets) : budgets_(std::move(budgets)) {}

 private:
  std::vector<Budget> budgets_;
};

/// The parts of a manifest that an entry may refer to.
struct ManifestParts {
  std::span<const Field> fields;
  const Json& constants;
  int n_level;
  double time_step;  // [s]; 0: the rates do not depend on it
};

/// The sequence of a model.
class Constraints {
 public:
  Constraints() = default;
  /// Throws Error (format, unsupported): an unknown type, a missing key, a field that is not there or other than the
  /// type needs, a number that is of no use, or two budgets of one name.
  Constraints(const Json& entries, const ManifestParts& manifest);

  /// Of all constraints, in order.
  const std::vector<Budget>& budgets() const { return budgets_; }
  /// (budgets().size())
  void residuals(const double* inputs, const double* outputs, double* residual) const;
  void apply(const double* inputs, double* outputs) const;
  /// The same, with the residuals of each constraint just before and just after it.
  void apply(const double* inputs, double* outputs, double* before, double* after) const;

 private:
  std::vector<std::unique_ptr<const Constraint>> sequence_;
  std::vector<Budget> budgets_;
};

class ConstraintEntry;

// What each type does stands in its source file.
std::unique_ptr<const Constraint> column_energy(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> upper_levels(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> shortwave(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> bounds(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> precipitation(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> positivity(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> water_and_energy(const ConstraintEntry& entry);

}  // namespace emagram
