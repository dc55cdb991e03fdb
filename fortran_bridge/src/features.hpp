// What the network sees of a column: transforms of its inputs. The twin of emulators/features.py and
// physics/climate_invariant.py, where equations and sources stand. Arithmetic is double.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "archive.hpp"
#include "field.hpp"

namespace emagram {

enum class Transform {
  identity,
  log,
  relative_humidity,
  zero,
  sum,
  liquid_fraction,
  climsim_relative_humidity,
  one_minus_exp,
  plume_buoyancy,
  scaled_latent_heat_flux
};

/// One group of values that the network sees.
struct Feature {
  Transform transform = Transform::identity;
  std::vector<int> inputs;  // offsets in the row of inputs
  int n_level = 1;          // values of the last of them
  int size = 1;             // values of the feature
  int offset = 0;           // in the row of features
  std::vector<double> parameters;
};

/// The manifest's features. Immutable, shared by threads; needs no memory of its own.
class Features {
 public:
  Features() = default;
  /// Reads the manifest's `features` and `constants`. Throws Error (format, unsupported), one sentence.
  Features(const Json& entries, std::span<const Field> fields, const Json& constants);

  /// Values in a row of features.
  int n_value() const { return n_value_; }

  /// The features of a column before normalisation, `values` (n_value). Value v of the inputs of the column is
  /// inputs[v * stride]: stride is 1 for a row, and the number of lanes where columns lie side by side.
  void evaluate(const double* inputs, std::ptrdiff_t stride, double* values) const;
  /// The same as the network takes them, (f - mean) / scale; `mean`, `scale` and `row` (n_value).
  void normalise(const double* inputs, std::ptrdiff_t stride, const double* mean, const double* scale,
                 float* row) const;

 private:
  void add(const Json& entry, std::span<const Field> fields);
  void read_constants(const Json& constants);

  std::vector<Feature> features_;
  int n_value_ = 0;
  double epsilon_ = 0.0;  // ratio of the gas constants of dry air and water vapour
  double gravity_ = 0.0, heat_capacity_ = 0.0, latent_heat_ = 0.0, gas_constant_dry_ = 0.0, gas_constant_vapor_ = 0.0;

  struct Column;
  template <class Store>
  void visit(const double* inputs, std::ptrdiff_t stride, const Store& store) const;
  template <class Store>
  void transform(const Column& x, const Store& store) const;
  template <class Store>
  void plume_buoyancy(const Column& x, const Store& store) const;
  double scaled_latent_heat_flux(const Column& x) const;
};

}  // namespace emagram
