// y = W x + b for a block of columns: the matrix kernel, one instantiation per instruction set.
#pragma once

#include <cstdint>

namespace emagram {

/// Outputs are packed in panels of this width; the last panel is filled with zeros.
constexpr int panel_width = 32;

/// Arguments of a dense layer. Raw pointers only: the translation units that implement it are compiled for other
/// instruction sets and must not instantiate anything of the standard library.
struct DenseCall {
  const float* x;       // (n_column, x_stride) input
  float* y;             // (n_column, y_stride) output, y_stride >= n_panel * panel_width
  const float* weight;  // (n_panel, n_in, panel_width)
  const float* bias;    // (n_panel * panel_width)
  std::int64_t n_column, n_in, n_panel, x_stride, y_stride;
};

using DenseKernel = void (*)(const DenseCall&);

void dense_avx512(const DenseCall&);
void dense_avx2(const DenseCall&);
void dense_baseline(const DenseCall&);

}  // namespace emagram
