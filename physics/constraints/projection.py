"""The smallest change of a column's heating and water that closes its water and its energy."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TRACE = 1.0e-200
"""Water of a column [kg m-2] up to which it counts as none, so that multipliers stay finite."""


class Weights(NamedTuple):
    """What a change costs: Σ_k m_k [ δT_k² / σ_T² + Σ_s δq_{s,k}² / (σ_q a_{s,k}) ].

    Attributes:
        heat_capacity: cp [J kg-1 K-1].
        latent: L_s [J kg-1] of each water, (n_species,).
        temperature: σ_T² [K2 s-2].
        water: σ_q [s-2].
        limit: the largest loss of a water per its amount, 1 / Δt [s-1].
    """

    heat_capacity: float
    latent: Tensor
    temperature: float
    water: float
    limit: float


class Change(NamedTuple):
    """δq_{s,k} = −μ_s a_{s,k}, δT_k = −σ_T² cp λ_B.

    Attributes:
        loss: μ [s-1] (..., n_species).
        cooling: σ_T² cp λ_B [K s-1] (...), where water closes.
        water_left, energy_left: of the budgets [kg m-2 s-1], [W m-2] (...) where `closes` is false.
        closes: whether water that is free to change can close the water budget (...).
    """

    loss: Tensor
    cooling: Tensor
    water_left: Tensor
    energy_left: Tensor
    closes: Tensor


def smallest_change(residuals: tuple[Tensor, Tensor], mass: Tensor, available: Tensor, weights: Weights) -> Change:
    """Solve G λ = r for the waters that are free; the others lose all there is.

    With Q_s = Σ_k m_k a_{s,k} of the free waters, M = Σ m: G11 = σ_q Σ Q_s, G12 = σ_q Σ L_s Q_s,
    G22 = cp² σ_T² M + σ_q Σ L_s² Q_s, τ_s = σ_q (λ_A + L_s λ_B). A free water has μ_s = τ_s ≤ 1 / Δt, another
    μ_s = 1 / Δt ≤ τ_s: these are the optimality conditions of a convex problem, so of all sets of free waters one
    gives the smallest change (or several the same). Taken is the first of those that break an inequality least: none
    where only rounding can break it, by about 1e-16 of the largest τ. Gains are not bounded.

    Differentiable with that set held fixed. Where τ_s = 1 / Δt two sets meet: the change is continuous there, and the
    gradient is that of the set with fewer waters used up, on the one side of a kink.

    Args:
        residuals: of water [kg m-2 s-1] and energy [W m-2], (...) each.
        mass: M [kg m-2] (...).
        available: Q [kg m-2] (..., n_species).
        weights: costs and limit.
    """
    with torch.no_grad():
        is_used_up = _used_up(residuals, mass, available, weights)
    return _solve(residuals, mass, available, weights, is_used_up)[0]


def _used_up(residuals: tuple[Tensor, Tensor], mass: Tensor, available: Tensor, weights: Weights) -> Tensor:
    """Which waters lose all there is, (..., n_species)."""
    n_species = available.shape[-1]
    sets = torch.tensor([[bool(number >> s & 1) for s in range(n_species)] for number in range(2**n_species)])
    sets = sets.to(available.device).reshape(-1, *(1,) * (available.ndim - 1), n_species)
    change, wanted = _solve(residuals, mass, available, weights, sets)
    broken = torch.where(sets, weights.limit - wanted, wanted - weights.limit).amax(dim=-1).clamp(min=0.0)
    broken = torch.where(change.closes, broken, torch.inf)
    total = available.sum(dim=-1)
    has_water = total > TRACE
    share = residuals[0] / torch.where(has_water, total, 1.0)
    broken[0] = torch.where(has_water, broken[0], 0.0)  # nothing to use up
    broken[-1] = torch.where(has_water, (weights.limit - share).clamp(min=0.0), torch.inf)
    return sets.reshape(-1, n_species)[broken.argmin(dim=0)]


def _solve(
    residuals: tuple[Tensor, Tensor], mass: Tensor, available: Tensor, weights: Weights, is_used_up: Tensor
) -> tuple[Change, Tensor]:
    """The change, and τ [s-1] (..., n_species) of all waters."""
    latent, water = weights.latent, weights.water
    taken = torch.where(is_used_up, available, 0.0) * weights.limit
    free = torch.where(is_used_up, 0.0, available)
    water_left = residuals[0] - taken.sum(dim=-1)
    energy_left = residuals[1] - (latent * taken).sum(dim=-1)
    dry = (weights.heat_capacity**2 * weights.temperature) * mass
    g11, g12 = water * free.sum(dim=-1), water * (latent * free).sum(dim=-1)
    g22 = dry + water * (latent.square() * free).sum(dim=-1)
    closes = free.sum(dim=-1) > TRACE
    determinant = torch.where(closes, dry * g11 + water**2 * _spread(free, latent), 1.0)
    water_multiplier = (g22 * water_left - g12 * energy_left) / determinant
    energy_multiplier = (g11 * energy_left - g12 * water_left) / determinant
    wanted = water * (water_multiplier.unsqueeze(-1) + latent * energy_multiplier.unsqueeze(-1))
    loss = torch.where(is_used_up, weights.limit, torch.where(closes.unsqueeze(-1), wanted, 0.0))
    cooling = weights.temperature * weights.heat_capacity * energy_multiplier
    return Change(loss, cooling, water_left, energy_left, closes), wanted


def _spread(free: Tensor, latent: Tensor) -> Tensor:
    """ΣQ ΣL²Q − (ΣLQ)² = Σ_{s<t} Q_s Q_t (L_s − L_t)², which cannot cancel."""
    total = free.new_zeros(free.shape[:-1])
    for s in range(free.shape[-1]):
        for t in range(s):
            total = total + free[..., s] * free[..., t] * (latent[s] - latent[t]).square()
    return total
