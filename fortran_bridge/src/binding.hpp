// One of the host's arrays, described once and then read and written in place.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "emagram.h"
#include "law.hpp"
#include "model.hpp"
#include "units.hpp"

namespace emagram {

class Binding {
 public:
  Binding() = default;

  /// Checks a descriptor against the model's field and the number of columns. Throws Error (field, unsupported).
  Binding(const Field& field, const emagram_field& described, std::int64_t extent_1, std::int64_t extent_2);

  bool bound() const { return bound_; }
  /// Forgets the array, unless the host guaranteed it.
  void end();

  /// The values of `n_column` columns from `first` on, in the model's unit, at the field's place in a bundle; lanes
  /// without a column get the last one.
  void gather(const Field& field, std::int64_t first, int n_column, double* bundle) const;
  /// Those of as many columns as `written` has, where it is true.
  void scatter(const Field& field, std::int64_t first, std::span<const bool> written, const double* bundle) const;

  /// Whether the host's array holds the model's values to the last bit.
  bool exact() const { return !real32_ && unit_.identity(); }
  /// What the values of columns become [model's unit] once the host's array holds them in its kind and unit.
  void returned(const Field& field, const double* bundle, double* held) const;

  /// Where the columns of a bundle begin in the host's array.
  struct Slots {
    char* column[most_lanes];
    std::int64_t stride;  // [bytes] from level to level
    int size;
  };

 private:
  char* address(std::int64_t column) const;
  Slots slots(const Field& field, std::int64_t first, int n_column) const;

  bool bound_ = false;
  bool persistent_ = false;
  bool real32_ = false;
  char* data_ = nullptr;
  std::int64_t extent_1_ = 1;
  std::int64_t stride_1_ = 0, stride_2_ = 0, stride_level_ = 0;  // bytes; 0 for an axis that the array lacks
  Conversion unit_;                                              // model = factor * host + offset
};

}  // namespace emagram
