// The smallest change of water and temperature that closes the water and the energy of columns.
#pragma once

#include "lanes.hpp"
#include "law_water.hpp"

namespace emagram {

/// Minimises Σ_k m_k [δT_k² / σ_T² + Σ_s δq_sk² / (σ_q a_sk)], a_sk ≥ 0 the water after the step, subject to
///   Σ m (δq_v + δq_l + δq_i) = −r_A   and   Σ m (cp δT + Σ_s L_s δq_s) = −r_B   and   −δq_sk ≤ a_sk / dt.
/// Hence one factor a species, δq_s = −μ_s a_s, and with Q_s = Σ m a_s, M = Σ m, over the species that are free
/// L̄ = Σ L_s Q_s / Σ Q_s, and r_A, r_B less what the others give:
///   τ_s = r_A / ΣQ + σ_q λ (L_s − L̄),   δT = −σ_T² cp λ,   λ = (r_B − L̄ r_A) / (cp² σ_T² M + σ_q Σ Q_s (L_s − L̄)²).
/// A free species has μ_s = τ_s ≤ 1/dt, the others μ_s = 1/dt ≤ τ_s. Of the eight sets of free species exactly one
/// gives such a change (or several the same); taken is the first whose τ break these inequalities least, since
/// rounding can break them all.
struct Projection {
  double temperature_variance;  // σ_T² [K2 s-2]
  double water_variance;        // σ_q [s-2], of a unit of available water
  double heat_capacity;         // cp [J kg-1 K-1]
  double latent[n_water];       // L_s [J kg-1]
  double dt;                    // [s]
};

namespace {

/// What is to be closed: r_A [kg m-2 s-1] and r_B [W m-2], Q_s and M [kg m-2].
struct Imbalance {
  Lanes water, energy;
  Lanes held[n_water];
  Lanes mass;
};

/// What closes columns.
struct Correction {
  Lanes loss[n_water];  // μ_s [s-1], at most 1/dt
  Lanes cooling;        // −δT [K s-1], the same in all layers; where `closes`
  Mask closes;          // else no species can: loss says what they give, precipitation takes the rest
  Lanes violation;      // [s-1], by how much an inequality is broken
};

constexpr double no_water = 1e-200;  // [kg m-2] in a column: dividing by it must not overflow
constexpr double impossible = 1e300;

/// The change if the species in the bits of `fixed` lose all they hold, and others remain.
inline Correction with_fixed(int fixed, const Projection& law, const Imbalance& given) {
  const double limit = 1.0 / law.dt;
  Lanes water = given.water, energy = given.energy, total{}, latent{}, spread{};
  for (int s = 0; s < n_water; ++s) {
    const bool is_free = (fixed >> s & 1) == 0;
    total += is_free ? given.held[s] : Lanes{};
    latent += is_free ? law.latent[s] * given.held[s] : Lanes{};
    water -= is_free ? Lanes{} : given.held[s] * limit;
    energy -= is_free ? Lanes{} : law.latent[s] * given.held[s] * limit;
  }
  const Lanes mean = latent / total;
  for (int s = 0; s < n_water; ++s)
    if ((fixed >> s & 1) == 0) spread += given.held[s] * (law.latent[s] - mean) * (law.latent[s] - mean);
  const double dry = law.heat_capacity * law.heat_capacity * law.temperature_variance;
  const Lanes lambda = (energy - mean * water) / (dry * given.mass + law.water_variance * spread);
  const Lanes share = water / total;
  Correction change{{}, law.temperature_variance * law.heat_capacity * lambda, total > no_water, Lanes{}};
  for (int s = 0; s < n_water; ++s) {
    const Lanes wanted = share + law.water_variance * lambda * (law.latent[s] - mean);
    const bool is_free = (fixed >> s & 1) == 0;
    change.loss[s] = is_free ? min(wanted, limit) : splat(limit);
    change.violation = max(change.violation, is_free ? wanted - limit : limit - wanted);
  }
  change.violation = select(change.closes, change.violation, splat(impossible));
  return change;
}

/// The change if all species lose all they hold; none do where there is no water.
inline Correction without_water(const Projection& law, const Imbalance& given) {
  const double limit = 1.0 / law.dt;
  const Lanes total = given.held[0] + given.held[1] + given.held[2];
  const Mask has_water = total > no_water;
  const Lanes loss = select(has_water, splat(limit), Lanes{});
  const Lanes violation = select(has_water, max(limit - given.water / total, 0.0), Lanes{});
  return {{loss, loss, loss}, Lanes{}, Mask{}, violation};
}

inline void take_better(Correction& best, const Correction& other) {
  const Mask is_better = other.violation < best.violation;
  for (int s = 0; s < n_water; ++s) best.loss[s] = select(is_better, other.loss[s], best.loss[s]);
  best.cooling = select(is_better, other.cooling, best.cooling);
  best.closes = select(is_better, other.closes, best.closes);
  best.violation = select(is_better, other.violation, best.violation);
}

inline Correction smallest_change(const Projection& law, const Imbalance& given) {
  constexpr int all = (1 << n_water) - 1;
  Correction best = with_fixed(0, law, given);
  for (int fixed = 1; fixed < all && any(best.violation > 0.0); ++fixed)
    take_better(best, with_fixed(fixed, law, given));
  take_better(best, without_water(law, given));
  return best;
}

}  // namespace
}  // namespace emagram
