// What can be wrong with a column, and the sentence that says so.
#pragma once

#include <cstdint>
#include <string>

#include "model.hpp"

namespace emagram {

/// EMAGRAM_COLUMN_* of a row of inputs: OK, EXTRAPOLATED, or why the column must be rejected.
std::int32_t check_inputs(const Model& model, const double* inputs);

/// The same without ranges: finite, and pressure increasing. Enough for the constraints.
std::int32_t check_closable(const Model& model, const double* inputs);

/// Writes to `seen` the inputs clipped to the training range. Pressures are left alone: clipping could fold levels.
void clip_inputs(const Model& model, const double* inputs, double* seen);

bool all_finite(const double* row, int n);

/// The first fault of a rejected column; `outputs` as the host would find them.
std::string describe_fault(const Model& model, std::int32_t reason, const double* inputs, const double* outputs);

}  // namespace emagram
