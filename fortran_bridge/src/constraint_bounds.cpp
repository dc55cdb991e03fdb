#include <algorithm>

#include "constraint_entry.hpp"

namespace emagram {
namespace {

/// Outputs that never fall below a value: y ← max(y, minimum).
class Bounds final : public Constraint {
 public:
  explicit Bounds(const ConstraintEntry& entry) : Constraint({}) {
    std::vector<int> bounded;
    for (const auto& bound : entry.list("minimum")) {
      bounds_.push_back({entry.output(entry.at(bound, "output")), entry.number(entry.at(bound, "value"), "value")});
      bounded.push_back(bounds_.back().where.offset);
    }
    entry.check_distinct("minimum", bounded);
  }

  void residuals(const double*, const double*, double*) const override {}

  void apply(const double*, double* outputs) const override {
    for (const auto& [where, minimum] : bounds_)
      for (int i = where.offset; i < where.offset + where.size; ++i) outputs[i] = std::max(outputs[i], minimum);
  }

 private:
  struct Bound {
    ConstraintEntry::Values where;
    double minimum;  // in the output's unit
  };
  std::vector<Bound> bounds_;
};

}  // namespace

std::unique_ptr<const Constraint> bounds(const ConstraintEntry& entry) { return std::make_unique<Bounds>(entry); }

}  // namespace emagram
