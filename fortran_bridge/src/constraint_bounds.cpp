#include "constraint_entry.hpp"
#include "law_bounds.hpp"

namespace emagram {
namespace {

class Bounds final : public Constraint {
 public:
  explicit Bounds(const ConstraintEntry& entry) : Constraint(LawType::bounds, {}) {
    std::vector<int> bounded;
    for (const auto& bound : entry.list("minimum")) {
      const auto [offset, size] = entry.output(entry.at(bound, "output"));
      bounds_.push_back({offset, size, entry.number(entry.at(bound, "value"), "value")});
      bounded.push_back(offset);
    }
    entry.check_distinct("minimum", bounded);
    law_ = {bounds_.data(), static_cast<int>(bounds_.size())};
  }

 private:
  const void* law() const override { return &law_; }

  std::vector<BoundsLaw::Bound> bounds_;
  BoundsLaw law_{};
};

}  // namespace

std::unique_ptr<const Constraint> bounds(const ConstraintEntry& entry) { return std::make_unique<Bounds>(entry); }

}  // namespace emagram
