// The units a host may state, each a linear function of a base unit.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace emagram {

struct Unit {
  std::string_view name;
  std::string_view base;
  double factor;  // value in base = factor * value + offset
  double offset;
};

/// The same table as physics/units.py; a test compares the two.
const std::vector<Unit>& units();

/// model = factor * host + offset
struct Conversion {
  double factor = 1.0;
  double offset = 0.0;
  bool identity() const { return factor == 1.0 && offset == 0.0; }
};

/// Throws Error (field) naming `field` if either unit is unknown or the two measure different things.
Conversion conversion(std::string_view host_unit, std::string_view model_unit, const std::string& field);

}  // namespace emagram
