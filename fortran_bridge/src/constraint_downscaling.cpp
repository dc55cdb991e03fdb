#include "constraint_entry.hpp"
#include "law_downscaling.hpp"

namespace emagram {
namespace {

DownscalingKind kind_of(const ConstraintEntry& entry) {
  const Json& kind = entry.at("kind");
  if (kind == "additive") return DownscalingKind::additive;
  if (kind == "multiplicative") return DownscalingKind::multiplicative;
  if (kind == "softmax") return DownscalingKind::softmax;
  entry.refuse("expected kind additive, multiplicative or softmax, got ", kind.dump().substr(0, 40));
}

/// Of softmax; the other kinds have none.
double scale_of(const ConstraintEntry& entry, DownscalingKind kind) {
  if (kind == DownscalingKind::softmax) return entry.positive("scale");
  if (entry.has("scale")) entry.refuse("expected a 'scale' for softmax alone");
  return 1.0;
}

class Downscaling final : public Constraint {
 public:
  explicit Downscaling(const ConstraintEntry& entry)
      : Constraint(LawType::downscaling, {{entry.name(), entry.text("unit"), entry.positive("tolerance")}}),
        law_{.n_level = entry.n_level(),
             .interface_pressure = entry.interface_pressure(),
             .kind = kind_of(entry),
             .profile = entry.output(entry.at("profile"), EMAGRAM_PER_LAYER, entry.text("unit").c_str()),
             .mean = entry.either(entry.at("mean"), EMAGRAM_PER_COLUMN, entry.text("unit").c_str()),
             .scale = scale_of(entry, kind_of(entry))} {}

 private:
  const void* law() const override { return &law_; }

  DownscalingLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> downscaling(const ConstraintEntry& entry) {
  return std::make_unique<Downscaling>(entry);
}

}  // namespace emagram
