// What must hold in a column, applied last. Twins of physics/constraints: the same manifest entries, checked against
// each other. A row holds the values of one column in the model's units, in double; level 0 is the model top.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "archive.hpp"
#include "field.hpp"
#include "law.hpp"

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

/// One of the manifest's constraints: its entry is read here, and computed with in the law of the type.
/// Immutable, shared by threads; needs no memory of its own to be applied. Rows are those of a bundle of columns.
class Constraint {
 public:
  virtual ~Constraint() = default;
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  /// What it closes, in the order of the residuals; none for mere bounds.
  const std::vector<Budget>& budgets() const { return budgets_; }
  /// One residual a budget, from the outputs of the columns as they stand.
  void measure(const double* inputs, const double* outputs, double* residual) const {
    kernels_.measure(law(), inputs, outputs, residual);
  }
  /// Corrects the outputs of the columns. Where they are finite and pressure increases, the constraint then holds.
  void apply(const double* inputs, double* outputs) const { kernels_.apply(law(), inputs, outputs); }

 protected:
  Constraint(LawType type, std::vector<Budget> budgets);

 private:
  /// The structure of this type.
  virtual const void* law() const = 0;

  const LawKernels& kernels_;
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
  /// (budgets().size(), n_lane)
  void measure(const double* inputs, const double* outputs, double* residual) const;
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
std::unique_ptr<const Constraint> downscaling(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> upper_levels(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> shortwave(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> bounds(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> precipitation(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> stratospheric_water(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> positivity(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> water_and_energy(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> residual_levels(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> cloud_phase(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> accounts(const ConstraintEntry& entry);
std::unique_ptr<const Constraint> linear(const ConstraintEntry& entry);

}  // namespace emagram
