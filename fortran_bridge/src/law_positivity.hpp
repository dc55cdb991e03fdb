#pragma once

#include "lanes.hpp"
#include "law.hpp"
#include "law_upper_layers.hpp"
#include "law_water.hpp"

namespace emagram {

/// No negative water after the step: q_k + dt q̇_k ≥ 0.
/// A layer borrows from those below it, then from those above. What a cloud species cannot pay, the vapour of the
/// column pays in proportion to what it holds; what the vapour cannot pay is made from nothing, and shows in the budget
/// of water. A layer that neither borrows nor lends keeps its rate bit for bit; upper layers lend nothing.
struct PositivityLaw {
  int n_level;
  int interface_pressure;               // offset in the row of inputs [Pa] (n_level + 1)
  const Prognostic* species = nullptr;  // vapour first (n_species)
  int n_species = 0;
  double gravity;       // [m s-2]
  double dt;            // [s]
  double top_pressure;  // [Pa]
};

namespace {

/// Σ_k m_k max(−(q_k + dt q̇_k), 0) / dt over all species, and what of it the column cannot pay.
inline void measure(PositivityLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  const Lanes* p = inputs + law.interface_pressure;
  const UpperLayers upper(p, law.n_level, law.top_pressure);
  Lanes missing{}, unpaid{};
  for (int s = law.n_species - 1; s >= 0; --s) {
    const Lanes *state = inputs + law.species[s].state, *rate = outputs + law.species[s].rate;
    Lanes sum[2];
    sum_up(law.n_level, sum, [&](int k, Lanes* part) {
      const Lanes mass = (state[k] + law.dt * rate[k]) * (p[k + 1] - p[k]), held = max(mass, 0.0);
      part[0] += max(-mass, 0.0);
      part[1] += k < upper.count() ? select(upper[k], Lanes{}, held) : held;
    });
    const Lanes owned = sum[1] - sum[0];
    missing += sum[0];
    unpaid = s > 0 ? unpaid + max(-owned, 0.0) : max(unpaid - owned, 0.0);
  }
  residual[0] = missing / (law.gravity * law.dt);
  residual[1] = unpaid / (law.gravity * law.dt);
}

/// Makes good the debt of layer k where it is to, and of those that it answers for; returns what it cannot.
inline Lanes settle(Water& water, int k, Mask where, Lanes debt) {
  if (!any(where)) return debt;
  const Lanes left = water.after(k) * water.weight(k) - debt;
  water.set(k, where, select(left < 0.0, Lanes{}, left / water.weight(k)));
  return select(where, max(-left, 0.0), debt);
}

/// Layers below zero borrow from those below, then from those above, of which upper ones lend nothing; returns what the
/// column cannot pay.
inline Lanes borrow(Water& water, int n_level, const UpperLayers& upper) {
  Mask negative{};
  for (int k = 0; k < n_level; ++k) negative |= water.after(k) < 0.0;
  Lanes debt{};
  if (!any(negative)) return debt;
  for (int k = 0; k < n_level; ++k) {
    const Mask owes = k < upper.count() ? (debt > 0.0) & ~upper[k] : debt > 0.0;
    debt = settle(water, k, owes | (water.after(k) < 0.0), debt);
  }
  if (!any(debt > 0.0)) return debt;
  for (int k = n_level - 1; k >= 0; --k) {
    const Mask owes = k < upper.count() ? (debt > 0.0) & ~upper[k] : debt > 0.0;
    debt = settle(water, k, owes & (water.after(k) > 0.0), debt);
  }
  return debt;
}

/// Takes a debt from the layers that are not upper in proportion to what they hold, or all of it.
inline void pay(Water& water, int n_level, const UpperLayers& upper, Lanes debt) {
  const auto available = [&](int k) {
    const Lanes held = max(water.after(k), 0.0);
    return k < upper.count() ? select(upper[k], Lanes{}, held) : held;
  };
  Lanes held[1];
  sum_up(n_level, held, [&](int k, Lanes* part) { part[0] += available(k) * water.weight(k); });
  const Lanes kept = select(held[0] > debt, 1.0 - debt / held[0], Lanes{});
  for (int k = 0; k < n_level; ++k) water.set(k, (debt > 0.0) & (available(k) > 0.0), kept * water.after(k));
}

inline void apply(PositivityLaw law, const Lanes* inputs, Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  const UpperLayers upper(p, law.n_level, law.top_pressure);
  const auto water = [=](int s) {
    return Water(inputs + law.species[s].state, outputs + law.species[s].rate, p, law.dt);
  };
  Lanes unpaid{};  // by the clouds
  for (int s = 1; s < law.n_species; ++s) {
    Water cloud = water(s);
    unpaid += borrow(cloud, law.n_level, upper);
  }
  Water vapor = water(0);
  if (any(unpaid > 0.0)) pay(vapor, law.n_level, upper, unpaid);
  borrow(vapor, law.n_level, upper);
}

}  // namespace
}  // namespace emagram
