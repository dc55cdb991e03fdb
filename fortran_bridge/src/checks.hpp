// What can be wrong with a column, and the sentence that says so.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "law.hpp"
#include "model.hpp"

namespace emagram {

/// One a lane.
using Reasons = std::array<std::int32_t, most_lanes>;

/// EMAGRAM_COLUMN_* of a bundle of inputs: OK, EXTRAPOLATED, or why the column must be rejected.
Reasons check_inputs(const Model& model, const double* inputs);

/// The same without ranges: finite, and pressure increasing. Enough for the constraints.
Reasons check_closable(const Model& model, const double* inputs);

/// Clips the values of one lane of `seen` to the training range. Pressures are left alone: clipping could fold levels.
void clip_inputs(const Model& model, int lane, double* seen);

/// Whether all values of a column are finite, of a bundle (n_value, n_lane).
std::array<bool, most_lanes> are_finite(const double* bundle, int n_value);

/// The first fault of a rejected column, from its inputs and its outputs as the host would find them.
std::string describe_fault(const Model& model, std::int32_t reason, std::span<const double> inputs,
                           std::span<const double> outputs);

}  // namespace emagram
