"""Global fixers: what is left of a budget in the mean over the globe is taken out by one small change.

For what closes no column by itself, such as dynamics, or a network for the whole globe. Each fixer finds one number
from global means, so that it acts the same everywhere:

- dry mass: every surface pressure times 1 + φ, humidity kept;
- water: every water vapour times 1 + φ Δt, so that none becomes negative;
- energy: the same heating per mass everywhere.

They belong in that order: scaling the pressure changes water and energy, and scaling vapour changes energy. CREDIT
and ACE scale precipitation to close water; here vapour gives way, as it can take any residual that the atmosphere can,
also where it hardly rains, and as the surface below has already got what rained. Twin of
fortran_bridge/mpi/emagram_fixers.f90.

Source: the uniform heating is that of EAM, check_energy.F90; ratios as of CREDIT, Sha et al. 2025,
doi:10.48550/arXiv.2501.05648.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .constants import Constants
from .errors import EmagramError
from .globe import Globe, column_sum
from .vertical import HybridCoordinate

E3SM = Constants()
SPARED = 1e-12
"""Share of the vapour that no fixer takes, so that rounding leaves none below zero."""


@dataclass(frozen=True)
class Correction:
    """What a fixer found and did, the same on every process.

    Attributes:
        name: of the budget; unit: of its residual.
        before, after: residual in the mean over the globe, of the fields as given and as returned.
        size: [unit] what was changed, the mean over the globe of its absolute value.
        scale: φ [1] of dry mass, φ [s-1] of water, or the heating [K s-1].
    """

    name: str
    unit: str
    before: float
    after: float
    size: float
    scale: float


def fix_dry_mass(
    globe: Globe, coordinate: HybridCoordinate, surface_pressure: Tensor, water: Tensor, expected: Tensor | float
) -> tuple[Tensor, Correction]:
    """Scale the surface pressure so that the dry air of the globe weighs what it should.

    p_d = Σ_k (1 − q_k)(p0 Δhyai_k + p_s Δhybi_k), r = ⟨p_d⟩ − p_d*, p_s := p_s (1 − r / ⟨Σ_k (1 − q_k) p_s Δhybi_k⟩).

    Args:
        surface_pressure: p_s [Pa] (*columns).
        water: q [kg kg-1] (*columns, n_level), all of it: vapour and condensate.
        expected: p_d* [Pa] (), what the mean should be, as `dry_pressure` gives of an earlier state.
    Returns:
        [Pa] (*columns) in the dtype it had, and what was done [Pa].
    Raises:
        EmagramError: if a value is not finite, or no positive factor does it.
    """
    fixed, sliding = _dry_parts(coordinate, surface_pressure, water)
    residual = globe.mean(fixed + sliding, "dry pressure") - expected
    support = globe.mean(sliding, "dry pressure that slides with the surface")
    excess, most = max(float(residual.detach()), 0.0), float(support.detach())
    if not most > excess:
        raise EmagramError(
            f"global fixer 'dry_mass': expected more than {excess:g} Pa that slide with the surface, got {most:g} Pa"
        )
    scale = -residual / support
    fixed_pressure = _like(surface_pressure, surface_pressure.double() * (1.0 + scale))
    after = dry_pressure(globe, coordinate, fixed_pressure, water) - expected
    change = globe.mean((fixed_pressure.double() - surface_pressure.double()).abs(), "surface pressure")
    return fixed_pressure, _correction("dry_mass", "Pa", residual, after, change, scale)


def dry_pressure(globe: Globe, coordinate: HybridCoordinate, surface_pressure: Tensor, water: Tensor) -> Tensor:
    """What the dry air of the globe weighs, ⟨Σ_k (1 − q_k) Δp_k⟩ [Pa] (); arguments as `fix_dry_mass`."""
    fixed, sliding = _dry_parts(coordinate, surface_pressure, water)
    return globe.mean(fixed + sliding, "dry pressure")


def fix_water(
    globe: Globe,
    interface_pressure: Tensor,
    vapor_rate: Tensor,
    *,
    available: Tensor,
    residual: Tensor,
    time_step: float,
    constants: Constants = E3SM,
) -> tuple[Tensor, Correction]:
    """Close the water of the globe by scaling the vapour that each layer would have.

    q̇_k := q̇_k + φ a_k, φ = −⟨r⟩ / ⟨Σ_k a_k Δp_k / g⟩; what a layer would have becomes a_k (1 + φ Δt) ≥ 0.

    Args:
        interface_pressure: [Pa] (*columns, n_level + 1).
        vapor_rate: q̇ [kg kg-1 s-1] (*columns, n_level).
        available: vapour after the step [kg kg-1], same shape; a is what of it is positive.
        residual: r [kg m-2 s-1] (*columns), what the column gained beyond what its fluxes brought.
        time_step: Δt [s].
    Returns:
        [kg kg-1 s-1] (*columns, n_level) in the dtype it had, and what was done [kg m-2 s-1].
    Raises:
        EmagramError: if a value is not finite, a layer has no mass, or the atmosphere has not that much vapour.
    """
    mass = _layer_mass(globe, interface_pressure, vapor_rate, constants)
    vapor = available.double().clamp(min=0.0)
    before = globe.mean(residual, "water residual")
    held = globe.mean(column_sum(mass * vapor), "water vapour")
    excess, most = float(before.detach()) * time_step, (1.0 - SPARED) * float(held.detach())
    if excess > most or (most <= 0.0 and excess != 0.0):
        raise EmagramError(
            f"global fixer 'water': expected vapour that can give {excess:g} kg m-2, got {most:g} kg m-2"
        )
    scale = -before / held if most > 0.0 else torch.zeros_like(before)
    fixed = _like(vapor_rate, vapor_rate.double() + scale * vapor)
    change = column_sum(mass * (fixed.double() - vapor_rate.double()))
    after = globe.mean(residual.double() + change, "water residual")
    return fixed, _correction("water", "kg m-2 s-1", before, after, globe.mean(change.abs(), "water change"), scale)


def fix_energy(
    globe: Globe, interface_pressure: Tensor, heating: Tensor, *, residual: Tensor, constants: Constants = E3SM
) -> tuple[Tensor, Correction]:
    """Close the energy of the globe by the same heating everywhere.

    h_k := h_k − ⟨r⟩ / (cp ⟨Σ_k Δp_k / g⟩).

    Args:
        interface_pressure: [Pa] (*columns, n_level + 1).
        heating: h [K s-1] (*columns, n_level).
        residual: r [W m-2] (*columns), what the column gained beyond what its fluxes brought.
    Returns:
        [K s-1] (*columns, n_level) in the dtype it had, and what was done [W m-2].
    Raises:
        EmagramError: if a value is not finite, or a layer has no mass.
    """
    mass = _layer_mass(globe, interface_pressure, heating, constants)
    before = globe.mean(residual, "energy residual")
    scale = -before / (constants.heat_capacity_dry_air * globe.mean(column_sum(mass), "mass of air"))
    fixed = _like(heating, heating.double() + scale)
    change = column_sum(constants.heat_capacity_dry_air * mass * (fixed.double() - heating.double()))
    after = globe.mean(residual.double() + change, "energy residual")
    return fixed, _correction("energy", "W m-2", before, after, globe.mean(change.abs(), "energy change"), scale)


def _layer_mass(globe: Globe, interface_pressure: Tensor, rate: Tensor, constants: Constants) -> Tensor:
    """Δp / g [kg m-2] (*columns, n_level), checked."""
    expected = (*rate.shape[:-1], rate.shape[-1] + 1)
    if tuple(interface_pressure.shape) != expected:
        raise EmagramError(
            f"field 'interface_pressure': expected shape {expected}, got {tuple(interface_pressure.shape)}"
        )
    mass = interface_pressure.double().diff(dim=-1) / constants.gravity
    globe.require(mass > 0.0, "layers: expected pressures that increase downwards")
    return mass


def _dry_parts(coordinate: HybridCoordinate, surface_pressure: Tensor, water: Tensor) -> tuple[Tensor, Tensor]:
    """Dry air that weighs the same whatever the surface pressure, and that in proportion to it [Pa] (*columns)."""
    expected = (*surface_pressure.shape, coordinate.n_level)
    if tuple(water.shape) != expected:
        raise EmagramError(f"field 'water': expected shape {expected}, got {tuple(water.shape)}")
    pressure, dry = surface_pressure.double(), 1.0 - water.double()
    fixed, sliding = (dry.new_tensor(values).diff() for values in (coordinate.hyai, coordinate.hybi))
    return column_sum(dry * (fixed * coordinate.p0)), column_sum(dry * sliding) * pressure


def _like(old: Tensor, new: Tensor) -> Tensor:
    """A field in the dtype that it had."""
    return new.to(old.dtype)


def _correction(name: str, unit: str, before: Tensor, after: Tensor, size: Tensor, scale: Tensor) -> Correction:
    return Correction(name, unit, *(float(value.detach()) for value in (before, after, size, scale)))
