#include "projection.hpp"

namespace emagram {
namespace {

constexpr double no_water = 1e-200;  // [kg m-2] in a column: dividing by it must not overflow

double total(const PerSpecies& held, const std::array<bool, n_species>& free) {
  double sum = 0.0;
  for (int s = 0; s < n_species; ++s) sum += free[s] ? held[s] : 0.0;
  return sum;
}

}  // namespace

/// The residuals once the species that are not free have lost all they hold.
Imbalance Projection::without_fixed(Imbalance imbalance, const PerSpecies& held, const Free& free) const {
  for (int s = 0; s < n_species; ++s) {
    if (free[s]) continue;
    imbalance.water -= held[s] / dt;
    imbalance.energy -= latent[s] * held[s] / dt;
  }
  return imbalance;
}

/// Solves for the free species; false if one of them would lose more than it holds: it is then no longer free.
bool Projection::round(const Imbalance& left, const PerSpecies& held, double mass, Free& free,
                       Correction& correction) const {
  const double water = total(held, free);
  double mean = 0.0, spread = 0.0;
  for (int s = 0; s < n_species; ++s) mean += free[s] ? latent[s] * held[s] / water : 0.0;
  for (int s = 0; s < n_species; ++s) spread += free[s] ? held[s] * (latent[s] - mean) * (latent[s] - mean) : 0.0;
  const double lambda = (left.energy - mean * left.water) /
                        (heat_capacity * heat_capacity * temperature_variance * mass + water_variance * spread);
  correction.cooling = temperature_variance * heat_capacity * lambda;
  bool decided = true;
  for (int s = 0; s < n_species; ++s) {
    if (!free[s]) continue;
    correction.loss[s] = left.water / water + water_variance * lambda * (latent[s] - mean);
    if (correction.loss[s] * dt > 1.0) free[s] = decided = false;
  }
  for (int s = 0; s < n_species; ++s)
    if (!free[s]) correction.loss[s] = 1.0 / dt;
  return decided;
}

/// Every round decides, or takes one species more, so three rounds do.
Correction Projection::solve(const Imbalance& imbalance, const PerSpecies& held, double mass) const {
  Correction correction;
  Free free = {true, true, true};
  while (total(held, free) > no_water)
    if (round(without_fixed(imbalance, held, free), held, mass, free, correction)) return correction;
  for (int s = 0; s < n_species; ++s) correction.loss[s] = free[s] ? 0.0 : 1.0 / dt;
  correction.cooling = 0.0;
  correction.rain_closes = true;
  return correction;
}

}  // namespace emagram
