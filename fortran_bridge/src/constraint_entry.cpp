#include "constraint_entry.hpp"

#include <algorithm>
#include <cmath>

namespace emagram {
namespace {

constexpr int any_dimension = -1;
constexpr double smallest = 1e-100, largest = 1e100;  // products of a few stay finite

const char* dimension_name(int dimension) {
  if (dimension == any_dimension) return "";
  if (dimension == EMAGRAM_PER_COLUMN) return " per column";
  return dimension == EMAGRAM_PER_LAYER ? " per layer" : " per interface";
}

std::string described(int directions, int dimension, const std::string& unit) {
  const char* kind = directions == EMAGRAM_INPUT    ? "input"
                     : directions == EMAGRAM_OUTPUT ? "output"
                                                    : "input or output";
  return text("an ", kind, dimension_name(dimension), unit.empty() ? "" : " in '", unit, unit.empty() ? "" : "'");
}

}  // namespace

ConstraintEntry::ConstraintEntry(const Json& entry, const ManifestParts& manifest)
    : entry_(entry), manifest_(manifest), name_(entry.at("name").get<std::string>()) {}

double ConstraintEntry::time_step() const {
  if (!(manifest_.time_step > 0.0)) refuse("expected the manifest to have a time_step, got null");
  return manifest_.time_step;
}

double ConstraintEntry::constant(const char* key) const {
  const double value = number(at(manifest_.constants, key), key);
  if (value < smallest || value > largest) refuse("constant '", key, "' must be positive, got ", value);
  return value;
}

const Json& ConstraintEntry::at(const Json& object, const char* key) const {
  if (!object.is_object() || !object.contains(key)) refuse("expected a key '", key, "', got none");
  return object.at(key);
}

const Json& ConstraintEntry::list(const char* key) const {
  const Json& found = at(key);
  if (!found.is_array()) refuse("expected '", key, "' to be a list, got ", found.dump().substr(0, 40));
  return found;
}

bool ConstraintEntry::has(const char* key) const { return entry_.contains(key) && !entry_.at(key).is_null(); }

const std::string& ConstraintEntry::text(const char* key) const {
  const Json& found = at(key);
  if (!found.is_string()) refuse("expected '", key, "' to be a text, got ", found.dump().substr(0, 40));
  return found.get_ref<const std::string&>();
}

double ConstraintEntry::number(const Json& value, const char* key) const {
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    refuse("expected '", key, "' to be a finite number, got ", value.dump().substr(0, 40));
  return value.get<double>();
}

double ConstraintEntry::positive(const char* key) const {
  const double value = number(at(key), key);
  if (value < smallest || value > largest)
    refuse("expected '", key, "' from ", smallest, " to ", largest, ", got ", value);
  return value;
}

double ConstraintEntry::optional_top_pressure() const {
  const char* key = "top_pressure";
  return !entry_.contains(key) || number(at(key), key) == 0.0 ? 0.0 : positive(key);
}

int ConstraintEntry::optional_level(const char* key) const {
  const int lowest = n_level() - 1;
  if (!has(key)) return lowest;
  const Json& level = at(key);
  if (!level.is_number_integer() || level < 0 || level > lowest)
    refuse("expected '", key, "' to be a whole number from 0 to ", lowest, ", got ", level.dump().substr(0, 40));
  return level.get<int>();
}

double ConstraintEntry::sign(const Json& term) const {
  const double value = number(at(term, "sign"), "sign");
  if (std::abs(value) != 1.0) refuse("expected 'sign' to be 1 or -1, got ", value);
  return value;
}

const Field* ConstraintEntry::find(const std::string& name) const {
  const auto same = [&](const Field& field) { return field.name == name; };
  const auto found = std::find_if(manifest_.fields.begin(), manifest_.fields.end(), same);
  return found == manifest_.fields.end() ? nullptr : &*found;
}

const Field& ConstraintEntry::expect(const Json& name, int directions, int dimension, const char* unit) const {
  if (!name.is_string()) refuse("expected the name of a field, got ", name.dump().substr(0, 40));
  const Field* field = find(name.get<std::string>());
  const bool fits = field != nullptr && (field->direction & directions) != 0 &&
                    (dimension == any_dimension || field->dimension == dimension) &&
                    (*unit == '\0' || field->unit == unit);
  if (!fits)
    refuse("expected '", name.get<std::string>(), "' to be ", described(directions, dimension, unit), ", got ",
           field == nullptr ? "none" : described(field->direction, field->dimension, field->unit));
  return *field;
}

int ConstraintEntry::input(const Json& name, int dimension, const char* unit) const {
  return expect(name, EMAGRAM_INPUT, dimension, unit).offset;
}

int ConstraintEntry::output(const Json& name, int dimension, const char* unit) const {
  return expect(name, EMAGRAM_OUTPUT, dimension, unit).offset;
}

ConstraintEntry::Values ConstraintEntry::output(const Json& name) const {
  const Field& field = expect(name, EMAGRAM_OUTPUT, any_dimension, "");
  return {field.offset, field.size};
}

ConstraintEntry::Named ConstraintEntry::field(const Json& name) const {
  const Field& found = expect(name, EMAGRAM_INPUT | EMAGRAM_OUTPUT, any_dimension, "");
  return {{found.direction == EMAGRAM_OUTPUT, found.offset}, found.size, found.dimension};
}

Place ConstraintEntry::either(const Json& name, int dimension, const char* unit) const {
  const Field& field = expect(name, EMAGRAM_INPUT | EMAGRAM_OUTPUT, dimension, unit);
  return {field.direction == EMAGRAM_OUTPUT, field.offset};
}

std::vector<int> ConstraintEntry::outputs(const char* key, int dimension, const char* unit) const {
  std::vector<int> offsets;
  for (const auto& name : list(key)) offsets.push_back(output(name, dimension, unit));
  check_distinct(key, offsets);
  return offsets;
}

Prognostic ConstraintEntry::prognostic(const Json& pair, const char* state_unit, const char* rate_unit) const {
  return {input(at(pair, "state"), EMAGRAM_PER_LAYER, state_unit),
          output(at(pair, "rate"), EMAGRAM_PER_LAYER, rate_unit)};
}

int ConstraintEntry::interface_pressure() const {
  const Field& pressure = expect(at("interface_pressure"), EMAGRAM_INPUT, EMAGRAM_PER_INTERFACE, "Pa");
  if (!pressure.increasing) refuse("expected '", pressure.name, "' to be monotonic");
  return pressure.offset;
}

FluxTerm ConstraintEntry::flux(const Json& term) const {
  return {either(at(term, "name"), EMAGRAM_PER_COLUMN, "W m-2"), sign(term)};
}

void ConstraintEntry::check_distinct(const char* what, std::vector<int> offsets) const {
  std::sort(offsets.begin(), offsets.end());
  if (offsets.empty() || std::adjacent_find(offsets.begin(), offsets.end()) != offsets.end())
    refuse("expected distinct '", what, "', got none or one twice");
}

}  // namespace emagram
