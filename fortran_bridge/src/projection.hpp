// The smallest change of water and temperature that closes the water and the energy of a column.
#pragma once

#include <array>

namespace emagram {

constexpr int n_species = 3;  // vapour, liquid, ice
using PerSpecies = std::array<double, n_species>;

/// Residuals of a column, r_A [kg m-2 s-1] and r_B [W m-2].
struct Imbalance {
  double water = 0.0;
  double energy = 0.0;
};

/// What closes a column.
struct Correction {
  PerSpecies loss{};         // μ_s [s-1]: δq_s = −μ_s a_s
  double cooling = 0.0;      // −δT [K s-1], the same in all layers
  bool rain_closes = false;  // no species can: loss says what they give, precipitation takes the rest
};

/// Minimises Σ_k m_k [δT_k² / σ_T² + Σ_s δq_sk² / (σ_q a_sk)], a_sk ≥ 0 the water after the step, subject to
///   Σ m (δq_v + δq_l + δq_i) = −r_A   and   Σ m (cp δT + Σ_s L_s δq_s) = −r_B   and   μ_s ≤ 1/dt.
/// Hence one factor a species: with Q_s = Σ m a_s, M = Σ m and L̄ = Σ L_s Q_s / Σ Q_s,
///   μ_s = r_A / ΣQ + σ_q λ (L_s − L̄),   δT = −σ_T² cp λ,   λ = (r_B − L̄ r_A) / (cp² σ_T² M + σ_q Σ Q_s (L_s − L̄)²).
/// A species with μ_s dt > 1 loses all that it has, and the others are solved for again.
struct Projection {
  double temperature_variance = 0.0;  // σ_T² [K2 s-2]
  double water_variance = 0.0;        // σ_q [s-2], of a unit of available water
  double heat_capacity = 0.0;         // cp [J kg-1 K-1]
  PerSpecies latent{};                // L_s [J kg-1]
  double dt = 0.0;                    // [s]

  /// `held`: Q_s, `mass`: M [kg m-2].
  Correction solve(const Imbalance& imbalance, const PerSpecies& held, double mass) const;

 private:
  using Free = std::array<bool, n_species>;

  Imbalance without_fixed(Imbalance imbalance, const PerSpecies& held, const Free& free) const;
  bool round(const Imbalance& left, const PerSpecies& held, double mass, Free& free, Correction& correction) const;
};

}  // namespace emagram
