#include "constraint_entry.hpp"
#include "law_precipitation.hpp"

namespace emagram {
namespace {

class Precipitation final : public Constraint {
 public:
  explicit Precipitation(const ConstraintEntry& entry)
      : Constraint(LawType::precipitation, {}),
        law_{.total = entry.output(entry.at("total"), EMAGRAM_PER_COLUMN, "m s-1"),
             .snow = entry.output(entry.at("snow"), EMAGRAM_PER_COLUMN, "m s-1")} {
    entry.check_distinct("total and snow", {law_.total, law_.snow});
  }

 private:
  const void* law() const override { return &law_; }

  PrecipitationLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> precipitation(const ConstraintEntry& entry) {
  return std::make_unique<Precipitation>(entry);
}

}  // namespace emagram
