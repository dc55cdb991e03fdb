#include <algorithm>

#include "constraint_entry.hpp"

namespace emagram {
namespace {

/// Snow is not negative, and a part of what falls: snow ← max(snow, 0), total ← max(total, snow).
class Precipitation final : public Constraint {
 public:
  explicit Precipitation(const ConstraintEntry& entry)
      : Constraint({}),
        total_(entry.output(entry.at("total"), EMAGRAM_PER_COLUMN, "m s-1")),
        snow_(entry.output(entry.at("snow"), EMAGRAM_PER_COLUMN, "m s-1")) {
    entry.check_distinct("total and snow", {total_, snow_});
  }

  void residuals(const double*, const double*, double*) const override {}

  void apply(const double*, double* outputs) const override {
    outputs[snow_] = std::max(outputs[snow_], 0.0);
    outputs[total_] = std::max(outputs[total_], outputs[snow_]);
  }

 private:
  int total_, snow_;  // offsets in the row of outputs [m s-1]
};

}  // namespace

std::unique_ptr<const Constraint> precipitation(const ConstraintEntry& entry) {
  return std::make_unique<Precipitation>(entry);
}

}  // namespace emagram
