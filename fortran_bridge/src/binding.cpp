#include "binding.hpp"

#include <algorithm>

#include "bundles.hpp"
#include "error.hpp"

namespace emagram {
namespace {

using Slots = Binding::Slots;

/// Hosts' arrays mostly have neighbouring columns side by side, and then no address is looked up again.
template <class Real, int n_lane>
bool side_by_side(const Slots& source) {
  bool together = true;
  for (int c = 1; c < n_lane; ++c) together &= source.column[c] - source.column[0] == c * int{sizeof(Real)};
  return together;
}

template <class Real, int n_lane>
void load(const Slots& source, double* values) {
  if (side_by_side<Real, n_lane>(source)) {
    const char* at = source.column[0];
    for (int k = 0; k < source.size; ++k, at += source.stride, values += n_lane)
      for (int c = 0; c < n_lane; ++c) values[c] = reinterpret_cast<const Real*>(at)[c];
    return;
  }
  const char* column[n_lane];
  std::copy_n(source.column, n_lane, column);
  for (std::int64_t k = 0, at = 0; k < source.size; ++k, at += source.stride, values += n_lane)
    for (int c = 0; c < n_lane; ++c) values[c] = *reinterpret_cast<const Real*>(column[c] + at);
}

/// One column, from its lane.
template <class Real>
void store(char* at, const Slots& target, const Conversion& unit, const double* values) {
  for (int k = 0; k < target.size; ++k, at += target.stride, values += Bundles::n_lane())
    *reinterpret_cast<Real*>(at) = static_cast<Real>(unit.identity() ? *values : (*values - unit.offset) / unit.factor);
}

/// All columns of a bundle that lie side by side.
template <class Real, int n_lane>
void store_all(const Slots& target, const double* values) {
  char* at = target.column[0];
  for (int k = 0; k < target.size; ++k, at += target.stride, values += n_lane)
    for (int c = 0; c < n_lane; ++c) reinterpret_cast<Real*>(at)[c] = static_cast<Real>(values[c]);
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

Binding::Slots Binding::slots(const Field& field, std::int64_t first, int n_column) const {
  Slots found{{}, stride_level_, field.size};
  for (int c = 0; c < most_lanes; ++c) found.column[c] = address(first + std::min(c, n_column - 1));
  return found;
}

void Binding::gather(const Field& field, std::int64_t first, int n_column, double* bundle) const {
  with_lanes([&](auto lanes) {
    constexpr int n_lane = lanes;
    double* values = bundle + field.offset * n_lane;
    (real32_ ? load<float, n_lane> : load<double, n_lane>)(slots(field, first, n_column), values);
    if (!unit_.identity())
      for (int i = 0; i < field.size * n_lane; ++i) values[i] = unit_.factor * values[i] + unit_.offset;
  });
}

void Binding::scatter(const Field& field, std::int64_t first, std::span<const bool> written,
                      const double* bundle) const {
  const auto n_column = static_cast<int>(written.size());
  const bool whole = n_column == Bundles::n_lane() && std::find(written.begin(), written.end(), false) == written.end();
  const Slots target = slots(field, first, n_column);
  with_lanes([&](auto lanes) {
    constexpr int n_lane = lanes;
    const double* values = bundle + field.offset * n_lane;
    const bool together = real32_ ? side_by_side<float, n_lane>(target) : side_by_side<double, n_lane>(target);
    if (whole && together && unit_.identity())
      return (real32_ ? store_all<float, n_lane> : store_all<double, n_lane>)(target, values);
    for (int c = 0; c < n_column; ++c)
      if (written[static_cast<std::size_t>(c)])
        (real32_ ? store<float> : store<double>)(target.column[c], target, unit_, values + c);
  });
}

void Binding::returned(const Field& field, const double* bundle, double* held) const {
  const int n = field.size * Bundles::n_lane();
  bundle += field.offset * Bundles::n_lane();
  held += field.offset * Bundles::n_lane();
  const bool same_unit = unit_.identity();
  std::copy_n(bundle, n, held);
  if (!same_unit)
    for (int i = 0; i < n; ++i) held[i] = (held[i] - unit_.offset) / unit_.factor;
  if (real32_)
    for (int i = 0; i < n; ++i) held[i] = static_cast<float>(held[i]);
  if (!same_unit)
    for (int i = 0; i < n; ++i) held[i] = unit_.factor * held[i] + unit_.offset;
}

}  // namespace emagram
