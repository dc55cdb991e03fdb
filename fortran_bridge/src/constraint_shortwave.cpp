#include "constraint_entry.hpp"
#include "law_shortwave.hpp"

namespace emagram {
namespace {

class Shortwave final : public Constraint {
 public:
  explicit Shortwave(const ConstraintEntry& entry)
      : Constraint(LawType::shortwave, {{entry.name(), "W m-2", energy_tolerance}}),
        downward_(entry.outputs("downward", EMAGRAM_PER_COLUMN, "W m-2")),
        law_{.downward = downward_.data(),
             .n_band = static_cast<int>(downward_.size()),
             .net = entry.output(entry.at("net"), EMAGRAM_PER_COLUMN, "W m-2"),
             .incoming = entry.input(entry.at("incoming"), EMAGRAM_PER_COLUMN, "W m-2")} {
    for (const auto& name : entry.list("albedo")) albedo_.push_back(entry.input(name, EMAGRAM_PER_COLUMN, "1"));
    if (albedo_.size() != downward_.size())
      entry.refuse("expected an albedo for each of the ", downward_.size(), " fluxes, got ", albedo_.size());
    law_.albedo = albedo_.data();
    std::vector<int> changed = downward_;
    changed.push_back(law_.net);
    if (const Json& name = entry.at("toa_net"); !name.is_null()) {
      law_.toa_net = entry.output(name, EMAGRAM_PER_COLUMN, "W m-2");
      changed.push_back(law_.toa_net);
    }
    entry.check_distinct("downward, net and toa_net", changed);
  }

 private:
  const void* law() const override { return &law_; }

  std::vector<int> downward_, albedo_;
  ShortwaveLaw law_;
};

}  // namespace

std::unique_ptr<const Constraint> shortwave(const ConstraintEntry& entry) { return std::make_unique<Shortwave>(entry); }

}  // namespace emagram
