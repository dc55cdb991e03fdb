"""Column budgets: sums over the layers of a column, weighted by their mass.

Pressure must increase with the index; `vertical.layer_thickness` checks that where data come in, and these
functions, which also run inside networks, do not check again.
"""

from __future__ import annotations

from torch import Tensor

from .constants import Constants

E3SM = Constants()


def column_mass(interface_pressure: Tensor, *, constants: Constants = E3SM) -> Tensor:
    """Mass of air above the lowest interface, Σ_k Δp_k / g.

    Args:
        interface_pressure: [Pa] (..., n_level + 1).
    Returns:
        [kg m-2] (...), float64.
    """
    pressure = interface_pressure.double()
    return (pressure[..., -1] - pressure[..., 0]) / constants.gravity


def column_integral(rate: Tensor, interface_pressure: Tensor, *, constants: Constants = E3SM) -> Tensor:
    """Mass integral of a rate (or of any quantity x per mass), Σ_k x_k Δp_k / g.

    Args:
        rate: [x] (..., n_level).
        interface_pressure: [Pa] (..., n_level + 1).
    Returns:
        [x kg m-2] (...), float64.
    """
    return (rate.double() * (interface_pressure.double().diff(dim=-1) / constants.gravity)).sum(dim=-1)


def heating_from_fluxes(
    net_downward_flux: Tensor, interface_pressure: Tensor, *, constants: Constants = E3SM
) -> Tensor:
    """Heating rate of each layer from the flux it absorbs, h_k = (g / cp) (F_k − F_{k+1}) / Δp_k.

    Args:
        net_downward_flux: [W m-2] (..., n_level + 1), down minus up at the interfaces.
        interface_pressure: [Pa] (..., n_level + 1).
    Returns:
        [K s-1] (..., n_level), float64.
    """
    absorbed = -net_downward_flux.double().diff(dim=-1)
    heat_capacity = constants.heat_capacity_dry_air / constants.gravity
    return absorbed / (heat_capacity * interface_pressure.double().diff(dim=-1))


def energy_residual(
    heating: Tensor, interface_pressure: Tensor, absorbed_flux: Tensor, *, constants: Constants = E3SM
) -> Tensor:
    """How far the heating of a column departs from the flux it absorbs, r = Σ_k (cp / g) h_k Δp_k − F.

    Args:
        heating: [K s-1] (..., n_level).
        interface_pressure: [Pa] (..., n_level + 1).
        absorbed_flux: [W m-2] (...), net flux into the column.
    Returns:
        [W m-2] (...), float64.
    """
    gained = constants.heat_capacity_dry_air * column_integral(heating, interface_pressure, constants=constants)
    return gained - absorbed_flux.double()


def kinetic_energy_rate(winds: tuple[Tensor, Tensor], rates: tuple[Tensor, Tensor], *, time_step: float) -> Tensor:
    """Rate of kinetic energy over a finite step, K̇ = ((u + u̇ Δt)² − u² + (v + v̇ Δt)² − v²) / (2 Δt).

    Computed as u̇ (u + u̇ Δt / 2) + v̇ (v + v̇ Δt / 2), without the difference of two squares.

    Args:
        winds: eastward and northward [m s-1], any shape, before the step.
        rates: of both [m s-2], same shape.
        time_step: Δt [s].
    Returns:
        [W kg-1], same shape, float64.
    """
    eastward, northward = (
        rate.double() * (wind.double() + 0.5 * time_step * rate.double())
        for wind, rate in zip(winds, rates, strict=True)
    )
    return eastward + northward


def frozen_energy_rate(
    interface_pressure: Tensor,
    rate_temperature: Tensor,
    rate_humidity: Tensor,
    rate_liquid: Tensor,
    kinetic_rate: Tensor,
    *,
    constants: Constants = E3SM,
) -> Tensor:
    """Energy that a column gains, counted from ice, Σ_k (cp Ṫ + (Lv + Lf) q̇v + Lf q̇l + K̇)_k Δp_k / g.

    Physics closes it: the sum is R_net + SHF + (Lv + Lf) E − Lf (P − S). Twin of column_budget_kernel.

    Args:
        interface_pressure: [Pa] (..., n_level + 1).
        rate_temperature: [K s-1] (..., n_level).
        rate_humidity, rate_liquid: [kg kg-1 s-1] (..., n_level).
        kinetic_rate: [W kg-1] (..., n_level), from `kinetic_energy_rate`, or zeros to leave it out.
    Returns:
        [W m-2] (...), float64.
    """
    energy = (
        constants.heat_capacity_dry_air * rate_temperature.double()
        + (constants.latent_heat_vaporization + constants.latent_heat_fusion) * rate_humidity.double()
        + constants.latent_heat_fusion * rate_liquid.double()
        + kinetic_rate.double()
    )
    return column_integral(energy, interface_pressure, constants=constants)


def water_rate(
    interface_pressure: Tensor,
    rate_humidity: Tensor,
    rate_liquid: Tensor,
    rate_ice: Tensor,
    *,
    constants: Constants = E3SM,
) -> Tensor:
    """Water that a column gains, Σ_k (q̇v + q̇l + q̇i)_k Δp_k / g; physics closes it to E − P.

    Args:
        interface_pressure: [Pa] (..., n_level + 1).
        rate_humidity, rate_liquid, rate_ice: [kg kg-1 s-1] (..., n_level).
    Returns:
        [kg m-2 s-1] (...), float64.
    """
    water = rate_humidity.double() + rate_liquid.double() + rate_ice.double()
    return column_integral(water, interface_pressure, constants=constants)
