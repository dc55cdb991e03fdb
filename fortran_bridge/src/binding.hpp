// One of the host's arrays, described once and then read and written in place.
#pragma once

#include <cstdint>
#include <string>

#include "emagram.h"
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

  /// The values of one column, in the model's unit, at the field's place in the row.
  void gather(const Field& field, std::int64_t column, double* row) const;
  void scatter(const Field& field, std::int64_t column, const double* row) const;

  /// What the values of a column become [model's unit] once the host's array holds them in its kind and unit.
  void returned(const Field& field, const double* row, double* held) const;

 private:
  char* address(std::int64_t column) const;

  bool bound_ = false;
  bool persistent_ = false;
  bool real32_ = false;
  char* data_ = nullptr;
  std::int64_t extent_1_ = 1;
  std::int64_t stride_1_ = 0, stride_2_ = 0, stride_level_ = 0;  // bytes; 0 for an axis that the array lacks
  Conversion unit_;                                              // model = factor * host + offset
};

}  // namespace emagram
