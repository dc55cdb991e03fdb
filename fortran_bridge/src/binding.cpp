#include "binding.hpp"

#include <algorithm>

#include "error.hpp"

namespace emagram {
namespace {

template <class Real>
void load(const char* at, std::int64_t stride, int n, const Conversion& unit, double* row) {
  for (int k = 0; k < n; ++k, at += stride) row[k] = *reinterpret_cast<const Real*>(at);
  if (!unit.identity())
    for (int k = 0; k < n; ++k) row[k] = unit.factor * row[k] + unit.offset;
}

template <class Real>
void store(char* at, std::int64_t stride, int n, const Conversion& unit, const double* row) {
  for (int k = 0; k < n; ++k, at += stride)
    *reinterpret_cast<Real*>(at) = static_cast<Real>(unit.identity() ? row[k] : (row[k] - unit.offset) / unit.factor);
}

const char* role_name(std::int32_t role) {
  switch (role) {
    case EMAGRAM_AXIS_COLUMN_1:
      return "column_1";
    case EMAGRAM_AXIS_COLUMN_2:
      return "column_2";
    case EMAGRAM_AXIS_LEVEL:
      return "level";
    case EMAGRAM_AXIS_NEIGHBOUR:
      return "neighbour";
    default:
      return "unknown";
  }
}

constexpr std::int64_t absent = -1;

/// Extents and strides of a descriptor's axes, by role.
struct Axes {
  std::int64_t extent[EMAGRAM_AXIS_NEIGHBOUR + 1] = {absent, absent, absent, absent, absent};
  std::int64_t stride[EMAGRAM_AXIS_NEIGHBOUR + 1] = {};

  void expect(const std::string& name, std::int32_t role, std::int64_t expected) const {
    if (extent[role] == expected) return;
    const std::string got = extent[role] == absent ? "no such axis" : text("extent ", extent[role]);
    fail(EMAGRAM_ERROR_FIELD, "field '", name, "': expected an axis with role ", role_name(role), " and extent ",
         expected, ", got ", got);
  }
};

std::int64_t item_size(const emagram_field& field) { return field.dtype == EMAGRAM_REAL32 ? 4 : 8; }

void check_memory(const std::string& name, const emagram_field& field, bool no_columns) {
  if ((field.flags & ~EMAGRAM_PERSISTENT) != 0)
    fail(EMAGRAM_ERROR_FIELD, "field '", name, "': expected flags 0 or EMAGRAM_PERSISTENT, got ", field.flags);
  if (field.device != EMAGRAM_CPU)
    fail(EMAGRAM_ERROR_UNSUPPORTED, "field '", name, "': arrays on device ", field.device, " are not supported yet");
  if (field.dtype != EMAGRAM_REAL32 && field.dtype != EMAGRAM_REAL64)
    fail(EMAGRAM_ERROR_FIELD, "field '", name, "': expected dtype real32 or real64, got code ", field.dtype);
  if (field.data == nullptr && !no_columns) fail(EMAGRAM_ERROR_FIELD, "field '", name, "': the data pointer is null");
  if (reinterpret_cast<std::uintptr_t>(field.data) % static_cast<std::uintptr_t>(item_size(field)) != 0)
    fail(EMAGRAM_ERROR_FIELD, "field '", name, "': the data are not aligned to ", item_size(field), " bytes");
}

Axes sort_axes(const std::string& name, const emagram_field& field) {
  if (field.n_axis < 1 || field.n_axis > EMAGRAM_MAX_AXES)
    fail(EMAGRAM_ERROR_FIELD, "field '", name, "': expected 1 to ", EMAGRAM_MAX_AXES, " axes, got ", field.n_axis);
  Axes axes;
  for (int a = 0; a < field.n_axis; ++a) {
    const auto [role, reserved, extent, stride] = field.axis[a];
    if (role == EMAGRAM_AXIS_NEIGHBOUR)
      fail(EMAGRAM_ERROR_FIELD, "field '", name, "': axis ", a, " has role neighbour, but the stencil is 1x1");
    if (role < EMAGRAM_AXIS_COLUMN_1 || role > EMAGRAM_AXIS_LEVEL)
      fail(EMAGRAM_ERROR_FIELD, "field '", name, "': axis ", a, ": ", role, " is not a role");
    if (reserved != 0) fail(EMAGRAM_ERROR_FIELD, "field '", name, "': axis ", a, ": reserved is not 0");
    if (axes.extent[role] != absent)
      fail(EMAGRAM_ERROR_FIELD, "field '", name, "': two axes have the role ", role_name(role));
    if (extent < 0 || (extent > 1 && stride % item_size(field) != 0))
      fail(EMAGRAM_ERROR_FIELD, "field '", name, "': axis ", a, ": extent ", extent, " with a stride of ", stride,
           " bytes cannot be");
    axes.extent[role] = extent;
    axes.stride[role] = stride;
  }
  return axes;
}

}  // namespace

Binding::Binding(const Field& field, const emagram_field& described, std::int64_t extent_1, std::int64_t extent_2)
    : bound_(true),
      persistent_((described.flags & EMAGRAM_PERSISTENT) != 0),
      real32_(described.dtype == EMAGRAM_REAL32),
      data_(static_cast<char*>(described.data)),
      extent_1_(extent_1) {
  const std::string& name = field.name;
  check_memory(name, described, extent_1 * extent_2 == 0);
  const Axes axes = sort_axes(name, described);
  axes.expect(name, EMAGRAM_AXIS_COLUMN_1, extent_1);
  if (extent_2 != 1 || axes.extent[EMAGRAM_AXIS_COLUMN_2] != absent) axes.expect(name, EMAGRAM_AXIS_COLUMN_2, extent_2);
  if (field.dimension != EMAGRAM_PER_COLUMN)
    axes.expect(name, EMAGRAM_AXIS_LEVEL, field.size);
  else if (axes.extent[EMAGRAM_AXIS_LEVEL] != absent)
    fail(EMAGRAM_ERROR_FIELD, "field '", name, "': is one value a column, got an axis with role level");
  stride_1_ = axes.stride[EMAGRAM_AXIS_COLUMN_1];
  stride_2_ = axes.stride[EMAGRAM_AXIS_COLUMN_2];
  stride_level_ = axes.stride[EMAGRAM_AXIS_LEVEL];
  const bool writes = field.direction != EMAGRAM_INPUT && extent_1 * extent_2 > 0;
  for (const auto role : {EMAGRAM_AXIS_COLUMN_1, EMAGRAM_AXIS_COLUMN_2, EMAGRAM_AXIS_LEVEL})
    if (writes && axes.extent[role] > 1 && axes.stride[role] == 0)
      fail(EMAGRAM_ERROR_FIELD, "field '", name, "': an output needs a stride along its axis ", role_name(role));
  if (described.unit != nullptr) unit_ = conversion(described.unit, field.unit, name);
}

void Binding::end() {
  if (!persistent_) bound_ = false;
}

char* Binding::address(std::int64_t column) const {
  return data_ + column % extent_1_ * stride_1_ + column / extent_1_ * stride_2_;
}

void Binding::gather(const Field& field, std::int64_t column, double* row) const {
  (real32_ ? load<float> : load<double>)(address(column), stride_level_, field.size, unit_, row + field.offset);
}

void Binding::scatter(const Field& field, std::int64_t column, const double* row) const {
  (real32_ ? store<float> : store<double>)(address(column), stride_level_, field.size, unit_, row + field.offset);
}

void Binding::returned(const Field& field, const double* row, double* held) const {
  row += field.offset;
  held += field.offset;
  const bool same_unit = unit_.identity();
  std::copy_n(row, field.size, held);
  if (!same_unit)
    for (int k = 0; k < field.size; ++k) held[k] = (held[k] - unit_.offset) / unit_.factor;
  if (real32_)
    for (int k = 0; k < field.size; ++k) held[k] = static_cast<float>(held[k]);
  if (!same_unit)
    for (int k = 0; k < field.size; ++k) held[k] = unit_.factor * held[k] + unit_.offset;
}

}  // namespace emagram
