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
