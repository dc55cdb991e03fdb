#include <algorithm>
#include <cmath>
#include <deque>

#include "constraint_entry.hpp"
#include "law_linear.hpp"

namespace emagram {
namespace {

constexpr double largest = 1e100;               // products of a few stay finite
constexpr std::size_t most_numbers = 10000000;  // a hostile manifest must not make us allocate

using Numbers = std::vector<double>;

std::vector<Budget> budgets_of(const ConstraintEntry& entry) {
  std::vector<Budget> budgets;
  for (const auto& law : entry.list("laws")) {
    const double tolerance = entry.number(entry.at(law, "tolerance"), "tolerance");
    if (tolerance <= 0.0) entry.refuse("expected a positive 'tolerance', got ", tolerance);
    const Json &name = entry.at(law, "name"), &unit = entry.at(law, "unit");
    if (!name.is_string() || !unit.is_string()) entry.refuse("expected laws with a 'name' and a 'unit' of text");
    budgets.push_back({name, unit, tolerance});
  }
  return budgets;
}

class Linear final : public Constraint {
 public:
  explicit Linear(const ConstraintEntry& entry);

 private:
  const void* law() const override { return &law_; }

  void read_laws(const ConstraintEntry& entry);
  void read_variance(const ConstraintEntry& entry);
  void read_factor(const ConstraintEntry& entry, const Json& vector, int f);
  void read_rows(const ConstraintEntry& entry);
  void check_independence(const ConstraintEntry& entry) const;
  ConstraintEntry::Named field(const ConstraintEntry& entry, const Json& name) const;
  const double* numbers(const ConstraintEntry& entry, const Json& value, const char* key, int size);
  double* zeros(const ConstraintEntry& entry, int size);

  bool has_pressure_;
  std::deque<Numbers> kept_;  // what the pointers of the law point at
  std::size_t n_kept_ = 0;    // numbers of all of them
  std::vector<LinearLaw::Term> terms_;
  std::vector<LinearLaw::Part> parts_;
  std::vector<double*> factors_;  // of the parts
  int n_level_;
  LinearLaw law_{};
};

Linear::Linear(const ConstraintEntry& entry)
    : Constraint(LawType::linear, budgets_of(entry)),
      has_pressure_(!entry.at("interface_pressure").is_null()),
      n_level_(entry.n_level()) {
  law_.interface_pressure = has_pressure_ ? entry.interface_pressure() : 0;
  law_.per_gravity = 1.0 / entry.constant("gravity");
  read_laws(entry);
  const Json& covariance = entry.list("covariance");
  if (covariance.size() > LinearLaw::most_factors)
    entry.refuse("expected up to ", LinearLaw::most_factors, " in 'covariance', got ", covariance.size());
  law_.n_factor = static_cast<int>(covariance.size());
  read_variance(entry);
  for (int f = 0; f < law_.n_factor; ++f) read_factor(entry, covariance[static_cast<std::size_t>(f)], f);
  read_rows(entry);
  law_.terms = terms_.data();
  law_.parts = parts_.data();
  check_independence(entry);
}

/// A field of a law, which without pressure is one of the column.
ConstraintEntry::Named Linear::field(const ConstraintEntry& entry, const Json& name) const {
  const auto found = entry.field(name);
  if (!has_pressure_ && found.dimension != EMAGRAM_PER_COLUMN)
    entry.refuse("expected an 'interface_pressure' for the layers of '", name.get<std::string>(), "', got null");
  return found;
}

double* Linear::zeros(const ConstraintEntry& entry, int size) {
  n_kept_ += static_cast<std::size_t>(size);
  if (n_kept_ > most_numbers) entry.refuse("expected up to ", most_numbers, " numbers in all, got more");
  return kept_.emplace_back(static_cast<std::size_t>(size), 0.0).data();
}

/// One number for all values, or one for each.
const double* Linear::numbers(const ConstraintEntry& entry, const Json& value, const char* key, int size) {
  if (value.is_array() && static_cast<int>(value.size()) != size)
    entry.refuse("expected ", size, " numbers of '", key, "', one for each value, got ", value.size());
  double* found = zeros(entry, size);
  for (int k = 0; k < size; ++k) {
    found[k] = entry.number(value.is_array() ? value[static_cast<std::size_t>(k)] : value, key);
    if (std::abs(found[k]) > largest) entry.refuse("expected '", key, "' up to ", largest, ", got ", found[k]);
  }
  return found;
}

void Linear::read_laws(const ConstraintEntry& entry) {
  const Json& laws = entry.list("laws");
  if (laws.empty() || laws.size() > LinearLaw::most_laws)
    entry.refuse("expected 1 to ", LinearLaw::most_laws, " 'laws', got ", laws.size());
  for (const auto& law : laws) {
    std::vector<int> places;
    const Json& terms = entry.at(law, "terms");
    if (!terms.is_array()) entry.refuse("expected 'terms' to be a list, got ", terms.dump().substr(0, 40));
    for (const auto& term : terms) {
      const auto [place, size, dimension] = field(entry, entry.at(term, "field"));
      const Json& per_mass = entry.at(term, "per_mass");
      if (!per_mass.is_boolean())
        entry.refuse("expected 'per_mass' true or false, got ", per_mass.dump().substr(0, 40));
      if (per_mass.get<bool>() && dimension != EMAGRAM_PER_LAYER)
        entry.refuse("expected '", entry.at(term, "field").get<std::string>(), "', which is per mass, to be per layer");
      const double* coefficient = numbers(entry, entry.at(term, "coefficient"), "coefficient", size);
      terms_.push_back({place, size, coefficient, per_mass.get<bool>()});
      places.push_back(place.is_output ? -1 - place.offset : place.offset);
    }
    entry.check_distinct("terms", places);
    law_.n_term[law_.n_law++] = static_cast<int>(terms.size());
  }
}

void Linear::read_variance(const ConstraintEntry& entry) {
  std::vector<int> changed;
  for (const auto& item : entry.list("variance")) {
    const auto [place, size, dimension] = field(entry, entry.at(item, "output"));
    if (!place.is_output) entry.refuse("expected a 'variance' of outputs, got one of an input");
    const double* variance = numbers(entry, entry.at(item, "value"), "variance", size);
    for (int k = 0; k < size; ++k)
      if (variance[k] < 1.0 / largest)
        entry.refuse("expected a 'variance' from ", 1.0 / largest, ", got ", variance[k]);
    factors_.push_back(zeros(entry, size * law_.n_factor));
    parts_.push_back({place.offset, size, dimension == EMAGRAM_PER_LAYER && has_pressure_, variance, nullptr, nullptr,
                      factors_.back()});
    changed.push_back(place.offset);
  }
  law_.n_part = static_cast<int>(parts_.size());
  entry.check_distinct("variance", changed);
}

/// One of `covariance`, a column of U.
void Linear::read_factor(const ConstraintEntry& entry, const Json& vector, int f) {
  if (!vector.is_array()) entry.refuse("expected 'covariance' to hold lists, got ", vector.dump().substr(0, 40));
  std::vector<int> places;
  for (const auto& item : vector) {
    const Json& name = entry.at(item, "output");
    const auto place = field(entry, name).place;
    const auto same = [&](const LinearLaw::Part& part) { return place.is_output && part.offset == place.offset; };
    const auto found = std::find_if(parts_.begin(), parts_.end(), same);
    if (found == parts_.end())
      entry.refuse("expected a 'variance' of '", name.get<std::string>(), "', got a covariance alone");
    const double* value = numbers(entry, entry.at(item, "value"), "covariance", found->size);
    double* factors = factors_[static_cast<std::size_t>(found - parts_.begin())];
    for (int k = 0; k < found->size; ++k) factors[k * law_.n_factor + f] = value[k];
    places.push_back(place.offset);
  }
  entry.check_distinct("covariance", places);
}

/// What the laws say of the values that may change.
void Linear::read_rows(const ConstraintEntry& entry) {
  for (auto& part : parts_) {
    double *plain = zeros(entry, part.size * law_.n_law), *per_mass = zeros(entry, part.size * law_.n_law);
    auto term = terms_.begin();
    for (int j = 0; j < law_.n_law; ++j)
      for (int t = 0; t < law_.n_term[j]; ++t, ++term)
        if (term->place.is_output && term->place.offset == part.offset)
          for (int k = 0; k < part.size; ++k)
            (term->per_mass ? per_mass : plain)[k * law_.n_law + j] = term->coefficient[k];
    part.plain = plain;
    part.per_mass = per_mass;
  }
}

/// Refuses laws that no column could fulfil together, or that say the same, judged by one with layers of unlike mass.
void Linear::check_independence(const ConstraintEntry& entry) const {
  struct Aligned {
    Lanes value{};
  };
  std::vector<Aligned> inputs(static_cast<std::size_t>(law_.interface_pressure + n_level_ + 1));
  double pressure = 0.0;
  for (int k = 0; k <= n_level_; ++k) {
    inputs[static_cast<std::size_t>(law_.interface_pressure + k)].value = splat(pressure);
    pressure += 1e3 * (0.5 + std::fmod(0.6180339887498949 * (k + 1), 1.0));  // golden section: no two alike
  }
  LinearSystem system;
  load(law_, &inputs.data()->value, system);
  factorise(law_, system);
  for (int j = 0; j < law_.n_law; ++j) {
    const auto& name = budgets()[static_cast<std::size_t>(j)].name;
    if (system.diagonal[j][0] == 0.0) entry.refuse("expected a term of law '", name, "' with a variance, got none");
    if (!(system.pivot[j][0] > LinearLaw::smallest_pivot * system.diagonal[j][0]))
      entry.refuse("law '", name, "' follows from or contradicts those before it");
  }
}

}  // namespace

std::unique_ptr<const Constraint> linear(const ConstraintEntry& entry) { return std::make_unique<Linear>(entry); }

}  // namespace emagram
