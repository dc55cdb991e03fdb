// Arithmetic on several columns at once: a value of `n_lane` neighbouring columns is one vector.
//
// What includes this is compiled once per instruction set (laws.inc). All of it is therefore local to its file: of
// functions that several files share the linker keeps one, and that could be one that the processor lacks. Nothing here
// or there uses the standard library, for the same reason.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace emagram {

#if defined(__AVX512F__)
constexpr int lanes_here = 8;
#elif defined(__AVX__)
constexpr int lanes_here = 4;
#else
constexpr int lanes_here = 2;
#endif

namespace {

constexpr int n_lane = lanes_here;

/// A value of neighbouring columns. Operators work lane by lane, also with numbers; comparisons give masks.
typedef double Lanes __attribute__((vector_size(n_lane * sizeof(double)), may_alias));
/// True lanes have all bits set. `&`, `|` and `~` combine masks.
typedef decltype(Lanes{} < Lanes{}) Mask;

inline Lanes splat(double value) { return value - Lanes{}; }

/// Where the mask is true, `yes`, else `no`; both are computed everywhere.
inline Lanes select(Mask mask, Lanes yes, Lanes no) {
#if defined(__SSE2__) && !defined(__AVX__)  // gcc 12 fails on the operator where there is no such instruction
  return _mm_or_pd(_mm_and_pd((__m128d)mask, yes), _mm_andnot_pd((__m128d)mask, no));
#else
  return mask ? yes : no;
#endif
}
inline Mask select(Mask mask, Mask yes, Mask no) { return (Mask)select(mask, (Lanes)yes, (Lanes)no); }

/// As std::max and std::min: the first where they are equal or one is NaN.
inline Lanes max(Lanes a, Lanes b) { return a < b ? b : a; }
inline Lanes min(Lanes a, Lanes b) { return b < a ? b : a; }
inline Lanes max(Lanes a, double b) { return max(a, splat(b)); }
inline Lanes min(Lanes a, double b) { return min(a, splat(b)); }
inline Lanes abs(Lanes a) { return a < 0.0 ? -a : a; }

/// Whether the mask is true in a lane. Compilers take what intrinsics do for a chain of extractions.
inline bool any(Mask mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX__)
  return _mm256_movemask_pd((__m256d)mask) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_pd((__m128d)mask) != 0;
#else
  return (mask[0] | mask[1]) != 0;
#endif
}

/// The next larger numbers, of finite ones.
inline Lanes next_up(Lanes a) {
  constexpr double smallest = 4.9406564584124654e-324;
  const Mask bits = (Mask)a;
  const Mask next = bits + select(a > 0.0, Mask{} + 1, Mask{} - 1);
  return select(a == 0.0, splat(smallest), (Lanes)next);
}

/// Σ_k of some terms at once, k = 0 … n − 1: `add(k, sums)` adds those of a layer. Two partial sums each, in one order
/// on every machine.
template <int n_sum, class Add>
inline void sum_up(int n, Lanes (&total)[n_sum], Add&& add) {
  Lanes even[n_sum] = {}, odd[n_sum] = {};
  int k = 0;
  for (; k + 2 <= n; k += 2) {
    add(k, even);
    add(k + 1, odd);
  }
  if (k < n) add(k, even);
  for (int i = 0; i < n_sum; ++i) total[i] = even[i] + odd[i];
}

}  // namespace
}  // namespace emagram
