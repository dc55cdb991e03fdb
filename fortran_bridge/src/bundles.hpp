// Rows of columns, in bundles whose values lie side by side: value v of column c at [c / n_lane][v][c % n_lane].
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "instruction_set.hpp"

namespace emagram {

class Bundles {
 public:
  /// Lanes without a column hold what they held.
  void resize(std::int64_t n_column, int n_value) {
    n_value_ = n_value;
    const std::int64_t n_bundle = (n_column + n_lane() - 1) / n_lane();
    storage_.resize(static_cast<std::size_t>((n_bundle * n_value * n_lane() + most_lanes - 1) / most_lanes));
  }

  static int n_lane() { return instruction_set().laws.n_lane; }
  int n_value() const { return n_value_; }
  std::int64_t size() const { return static_cast<std::int64_t>(storage_.size()) * most_lanes; }

  /// The bundle with this column in its first lane.
  double* of(std::int64_t column) { return data() + column * n_value_; }
  const double* of(std::int64_t column) const { return data() + column * n_value_; }

  /// A value of any column.
  double& at(std::int64_t column, int value) {
    const std::int64_t lane = column % n_lane();
    return of(column - lane)[value * n_lane() + lane];
  }

  double* data() { return reinterpret_cast<double*>(storage_.data()); }
  const double* data() const { return reinterpret_cast<const double*>(storage_.data()); }

 private:
  struct alignas(most_lanes * sizeof(double)) Line {
    double value[most_lanes];
  };
  std::vector<Line> storage_;
  int n_value_ = 0;
};

/// Calls `body` with the number of lanes as a constant, so that loops over lanes become vector instructions.
template <class Body>
decltype(auto) with_lanes(Body&& body) {
  switch (Bundles::n_lane()) {
    case 8:
      return body(std::integral_constant<int, 8>());
    case 4:
      return body(std::integral_constant<int, 4>());
    default:
      return body(std::integral_constant<int, 2>());
  }
}

/// The values of the column in one lane.
inline std::vector<double> row_of(const double* bundle, int n_value, int lane) {
  std::vector<double> row(static_cast<std::size_t>(n_value));
  for (int v = 0; v < n_value; ++v) row[static_cast<std::size_t>(v)] = bundle[v * Bundles::n_lane() + lane];
  return row;
}

}  // namespace emagram
