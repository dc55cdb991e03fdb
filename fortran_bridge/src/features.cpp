#include "features.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "error.hpp"
#include "thermodynamics.hpp"

namespace emagram {
namespace {

constexpr int largest_size = 100001;   // levels and one; a hostile manifest must not make us allocate
constexpr int largest_row = 10000000;  // values a column
constexpr double log_floor = 1e-30;
constexpr double climsim_vapor = 461.0, climsim_dry = 287.0;  // J kg-1 K-1, as rounded in ClimSim's relative humidity
constexpr double deficit_floor = 1e-4;                        // kg kg-1

/// What is known of a transform by its name.
struct Known {
  Transform transform;
  std::size_t fewest, most;  // inputs
  /// Of the inputs, where only certain quantities make sense; pressure and temperature must then be positive if
  /// `level_order`, and pressure increase with the index.
  std::array<const char*, 4> units = {};
  bool level_order = false;
};

const std::map<std::string, Known>& known_transforms() {
  static const std::map<std::string, Known> known = {
      {"identity", {Transform::identity, 1, 1}},
      {"log", {Transform::log, 1, 1}},
      {"relative_humidity", {Transform::relative_humidity, 3, 3, {"Pa", "K", "kg kg-1"}}},
      {"zero", {Transform::zero, 1, 1}},
      {"sum", {Transform::sum, 2, 2}},
      {"liquid_fraction", {Transform::liquid_fraction, 1, 1, {"K"}}},
      {"climsim_relative_humidity", {Transform::climsim_relative_humidity, 3, 3, {"Pa", "K", "kg kg-1"}}},
      {"one_minus_exp", {Transform::one_minus_exp, 1, 2}},
      {"plume_buoyancy", {Transform::plume_buoyancy, 3, 3, {"Pa", "K", "kg kg-1"}, true}},
      {"scaled_latent_heat_flux", {Transform::scaled_latent_heat_flux, 4, 4, {"W m-2", "Pa", "K", "kg kg-1"}, true}}};
  return known;
}

template <class... Parts>
[[noreturn]] void refuse(const std::string& transform, const Parts&... parts) {
  fail(EMAGRAM_ERROR_FORMAT, "manifest.json: transform '", transform, "'", parts...);
}

const Field& input(const std::string& transform, const std::string& name, std::span<const Field> fields) {
  for (const auto& field : fields)
    if (field.name == name && field.direction == EMAGRAM_INPUT) return field;
  refuse(transform, " reads '", name, "', which is no input");
}

void check_quantity(const std::string& transform, const Field& field, const char* unit, bool level_order) {
  if (unit == nullptr) return;
  if (field.unit != unit)
    refuse(transform, ": expected an input in '", unit, "', got '", field.name, "' in '", field.unit, "'");
  const bool is_pressure = unit == std::string("Pa"), is_temperature = unit == std::string("K");
  if (level_order && (is_pressure || is_temperature) && !(field.valid_minimum > 0.0))
    refuse(transform, ": expected '", field.name, "' of a positive valid_range, got ", field.valid_minimum);
  if (level_order && is_pressure && !field.increasing)
    refuse(transform, ": expected '", field.name, "' to be monotonic, got no such key");
}

std::vector<double> parameters_of(const std::string& transform, const Json& entry, int size) {
  const Json& values = entry.at("parameters");
  if (!values.is_array() || values.size() != static_cast<std::size_t>(size))
    refuse(transform, ": expected ", size, " parameters, got ", values.is_array() ? values.size() : 0);
  auto parameters = values.get<std::vector<double>>();
  for (const double value : parameters)
    if (!std::isfinite(value)) refuse(transform, ": expected finite parameters, got others");
  return parameters;
}

double positive(const Json& constants, const char* key) {
  const double value = constants.at(key);
  if (!(std::isfinite(value) && value > 0.0))
    fail(EMAGRAM_ERROR_FORMAT, "manifest.json: constant '", key, "': expected a positive number, got ", value);
  return value;
}

}  // namespace

/// The inputs of a column as one feature sees them.
struct Features::Column {
  const double* inputs;
  std::ptrdiff_t stride;
  const Feature& feature;

  /// Value i of an argument of the transform.
  double operator()(std::size_t argument, int i) const {
    return inputs[static_cast<std::ptrdiff_t>(feature.inputs[argument] + i) * stride];
  }
};

Features::Features(const Json& entries, std::span<const Field> fields, const Json& constants) {
  epsilon_ = positive(constants, "gas_constant_dry_air") / positive(constants, "gas_constant_water_vapor");
  for (const auto& entry : entries) add(entry, fields);
  if (n_value_ == 0) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: no features");
  for (const auto& feature : features_)
    if (feature.transform == Transform::plume_buoyancy || feature.transform == Transform::scaled_latent_heat_flux)
      read_constants(constants);
}

void Features::read_constants(const Json& constants) {
  gravity_ = positive(constants, "gravity");
  heat_capacity_ = positive(constants, "heat_capacity_dry_air");
  latent_heat_ = positive(constants, "latent_heat_vaporization");
  gas_constant_dry_ = positive(constants, "gas_constant_dry_air");
  gas_constant_vapor_ = positive(constants, "gas_constant_water_vapor");
}

void Features::add(const Json& entry, std::span<const Field> fields) {
  const std::string name = entry.at("transform");
  const auto found = known_transforms().find(name);
  if (found == known_transforms().end())
    fail(EMAGRAM_ERROR_UNSUPPORTED, "manifest.json: transform '", name, "' is not supported");
  const Known& known = found->second;
  const bool is_flux = known.transform == Transform::scaled_latent_heat_flux;
  Feature feature{known.transform, {}, 1, 1, n_value_, {}};
  feature.size = integer(entry.at("size"), "size of feature '" + name + "'", 1, largest_size);
  const Json& arguments = entry.at("inputs");
  if (arguments.size() < known.fewest || arguments.size() > known.most)
    refuse(name, ": expected ", known.most, " inputs, got ", arguments.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const Field& field = input(name, arguments[i].get<std::string>(), fields);
    check_quantity(name, field, known.units[i], known.level_order);
    const int expected = !is_flux ? feature.size : i < 2 ? (i == 0 ? 1 : field.size) : feature.n_level;
    if (field.size != expected) refuse(name, " reads '", field.name, "', which is no input of size ", expected);
    feature.n_level = field.size;
    feature.inputs.push_back(field.offset);
  }
  if (is_flux && feature.size != 1) refuse(name, ": expected size 1, got ", feature.size);
  if (known.transform == Transform::one_minus_exp) feature.parameters = parameters_of(name, entry, feature.size);
  if (n_value_ > largest_row - feature.size) fail(EMAGRAM_ERROR_FORMAT, "manifest.json: too many feature values");
  n_value_ += feature.size;
  features_.push_back(std::move(feature));
}

/// Upwards from the lowest layer, whose height is 0.
template <class Store>
void Features::plume_buoyancy(const Column& x, const Store& store) const {
  const int lowest = x.feature.n_level - 1;
  const double moistening = 1.0 / epsilon_ - 1.0;
  const double latent_squared = latent_heat_ * latent_heat_;
  const double plume = heat_capacity_ * x(1, lowest) + latent_heat_ * x(2, lowest);
  double height = 0.0, below = 0.0;
  for (int k = lowest; k >= 0; --k) {
    const double p = x(0, k), t = x(1, k);
    const double virtual_temperature = t * (1.0 + moistening * x(2, k));
    if (k < lowest)
      height += gas_constant_dry_ / gravity_ * (0.5 * (virtual_temperature + below)) * std::log(x(0, k + 1) / p);
    below = virtual_temperature;
    const double saturated = saturation_specific_humidity(p, t, epsilon_);
    const double environment = heat_capacity_ * t + gravity_ * height + latent_heat_ * saturated;
    const double kappa = 1.0 + latent_squared * saturated / (gas_constant_vapor_ * heat_capacity_ * (t * t));
    store(k, gravity_ * (plume - environment) / (kappa * heat_capacity_ * t));
  }
}

double Features::scaled_latent_heat_flux(const Column& x) const {
  const int lowest = x.feature.n_level - 1;
  const double saturated = saturation_specific_humidity(x(1, lowest), x(2, lowest), epsilon_);
  return x(0, 0) / (latent_heat_ * std::max(saturated - x(3, lowest), deficit_floor));
}

template <class Store>
void Features::transform(const Column& x, const Store& store) const {
  const auto each = [&](const auto& value) {
    for (int i = 0; i < x.feature.size; ++i) store(i, value(i));
  };
  switch (x.feature.transform) {
    case Transform::identity:
      return each([&](int i) { return x(0, i); });
    case Transform::log:
      return each([&](int i) { return std::log(std::max(x(0, i), log_floor)); });
    case Transform::relative_humidity:
      return each([&](int i) { return relative_humidity(x(0, i), x(1, i), x(2, i), epsilon_); });
    case Transform::zero:
      return each([](int) { return 0.0; });
    case Transform::sum:
      return each([&](int i) { return x(0, i) + x(1, i); });
    case Transform::liquid_fraction:
      return each([&](int i) { return liquid_fraction(x(0, i)); });
    case Transform::climsim_relative_humidity:
      return each([&](int i) {
        return x(2, i) * (climsim_vapor * x(0, i)) / (climsim_dry * saturation_vapor_pressure(x(1, i)));
      });
    case Transform::one_minus_exp: {
      const bool both = x.feature.inputs.size() > 1;
      const double* rate = x.feature.parameters.data();
      return each([&](int i) { return -std::expm1(-rate[i] * (both ? x(0, i) + x(1, i) : x(0, i))); });
    }
    case Transform::plume_buoyancy:
      return plume_buoyancy(x, store);
    case Transform::scaled_latent_heat_flux:
      return store(0, scaled_latent_heat_flux(x));
  }
}

template <class Store>
void Features::visit(const double* inputs, std::ptrdiff_t stride, const Store& store) const {
  for (const auto& feature : features_)
    transform(Column{inputs, stride, feature}, [&](int i, double value) { store(feature.offset + i, value); });
}

void Features::evaluate(const double* inputs, std::ptrdiff_t stride, double* values) const {
  visit(inputs, stride, [&](int at, double value) { values[at] = value; });
}

void Features::normalise(const double* inputs, std::ptrdiff_t stride, const double* mean, const double* scale,
                         float* row) const {
  visit(inputs, stride, [&](int at, double value) { row[at] = static_cast<float>((value - mean[at]) / scale[at]); });
}

}  // namespace emagram
