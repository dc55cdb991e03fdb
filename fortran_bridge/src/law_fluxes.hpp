// What crosses the boundary of columns.
#pragma once

#include "lanes.hpp"
#include "law.hpp"

namespace emagram {

struct FluxList {
  const FluxTerm* terms;
  int n_term;
};

namespace {

inline Lanes value_at(Place place, const Lanes* inputs, const Lanes* outputs) {
  return (place.is_output ? outputs : inputs)[place.offset];
}

/// Σ_j sign_j F_j [W m-2]
inline Lanes inflow(FluxList fluxes, const Lanes* inputs, const Lanes* outputs) {
  Lanes net{};
  for (int j = 0; j < fluxes.n_term; ++j) {
    const FluxTerm term = fluxes.terms[j];
    net += term.sign * value_at(term.flux, inputs, outputs);
  }
  return net;
}

}  // namespace
}  // namespace emagram
