// The arithmetic of constraints. A *law* is what a constraint knows once its entry is read: plain numbers, offsets and
// pointers to lists, in law_<type>.hpp together with
//   measure(law, inputs, outputs, residual)   one value a budget, from the outputs as they stand
//   apply(law, inputs, outputs)               corrects the outputs
// on Lanes, where inputs[v] and outputs[v] are value v of several columns. Columns must not know of each other: a lane
// may hold a column that was rejected, or one twice. Laws are passed by value, since stores could alter one that is
// pointed to, for all the compiler knows.
//
// A new type is law_<type>.hpp, constraint_<type>.cpp, and a line each in LawType, laws.inc and constraints.cpp.
#pragma once

namespace emagram {

enum class LawType {
  accounts,
  bounds,
  cloud_phase,
  column_energy,
  downscaling,
  linear,
  positivity,
  precipitation,
  residual_levels,
  shortwave,
  stratospheric_water,
  upper_levels,
  water_and_energy,
};

/// `inputs` and `outputs` are rows of as many columns as the instruction set has lanes: value v of column c at
/// [v * n_lane + c], aligned to a vector; `residual` likewise.
struct LawKernels {
  void (*measure)(const void* law, const double* inputs, const double* outputs, double* residual);
  void (*apply)(const void* law, const double* inputs, double* outputs);
};

/// What an instruction set computes at once, and how.
struct LawSet {
  int n_lane;
  const LawKernels& (*kernels)(LawType type);
  /// Which columns of a bundle (n_value, n_lane) have a value that is not finite: one bit a lane.
  unsigned (*find_unfinite)(const double* bundle, int n_value);
};

/// More lanes than any instruction set has; n_lane divides it.
constexpr int most_lanes = 8;

LawSet laws_avx512();
LawSet laws_avx2();
LawSet laws_baseline();

/// Where a value lies in the rows of a column.
struct Place {
  bool is_output = false;
  int offset = 0;
};

/// A flux across the boundary of a column [W m-2]; sign +1 warms the column.
struct FluxTerm {
  Place flux;
  double sign = 1.0;
};

/// The state of a kind of water, or of a wind, before physics, and its rate of change: offsets in the two rows.
struct Prognostic {
  int state = 0;
  int rate = 0;
};

}  // namespace emagram
