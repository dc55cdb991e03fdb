// Sums over the layers of a column.
#pragma once

namespace emagram {

/// Σ_k term(k), k = 0 … n − 1, as four interleaved partial sums: one order on every machine, and no chain of n
/// additions that wait for each other.
template <class Term>
double column_sum(int n, Term&& term) {
  double part[4] = {};
  int k = 0;
  for (; k + 4 <= n; k += 4)
    for (int i = 0; i < 4; ++i) part[i] += term(k + i);
  for (int i = 0; k + i < n; ++i) part[i] += term(k + i);
  return (part[0] + part[1]) + (part[2] + part[3]);
}

}  // namespace emagram
