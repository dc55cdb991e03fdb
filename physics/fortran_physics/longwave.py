"""Longwave radiation: two bands, each grey."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_shapes, column_size


class Longwave(NamedTuple):
    """Longwave fluxes at the interfaces (n_column, n_level + 1), and heating (n_column, n_level)."""

    upwelling_longwave_flux_in_air: Array  # [W m-2]
    downwelling_longwave_flux_in_air: Array  # [W m-2]
    tendency_of_air_temperature_due_to_longwave_heating: Array  # [K s-1]


def longwave(
    air_pressure_at_interface: ArrayLike,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    *,
    cloud_liquid: ArrayLike,
    cloud_ice: ArrayLike,
    surface_upwelling_longwave_flux: ArrayLike,
    well_mixed_depth: float = 0.5,
    water_vapor_depth: float = 1997.9,
    core_depth: float = 27.0,
    core_fraction: float = 0.1,
    well_mixed_factor: float = 1.0,
    liquid_absorption: float = 144.0,
    ice_absorption: float = 64.0,
    cloud_factor: float = 0.7,
) -> Longwave:
    """Longwave fluxes, dF↑/dτ = F↑ − B and dF↓/dτ = B − F↓ with B = σT⁴, and heating g/cp · d(F↑ − F↓)/dp.

    A fraction 1 − f of the Planck function sees dτ = (a μ + b q) dp/p₀, the core of the 15 µm band of carbon dioxide,
    f, sees dτ = c μ dp/p₀; cloud adds k_l and k_i times its path in both. f = 0 with a = 0.8678 is the grey atmosphere
    of Byrne and O'Gorman.

    Args:
        air_pressure_at_interface: [Pa] (n_column, n_level + 1), from the top.
        air_temperature: [K] (n_column, n_level).
        specific_humidity: q [kg kg-1] (n_column, n_level); below 0 counts as 0, here and for cloud.
        cloud_liquid: [kg kg-1] of moist air (n_column, n_level).
        cloud_ice: [kg kg-1] of moist air (n_column, n_level).
        surface_upwelling_longwave_flux: [W m-2] (n_column,), emitted and reflected.
        well_mixed_depth: a [1], of 1000 hPa.
        water_vapor_depth: b [1], of 1000 hPa of vapour.
        core_depth: c [1], of 1000 hPa.
        core_fraction: f [1].
        well_mixed_factor: μ [1], opacity of well-mixed gases relative to today's; 1.15 for doubled carbon dioxide.
        liquid_absorption: k_l [m2 kg-1].
        ice_absorption: k_i [m2 kg-1].
        cloud_factor: [1], effective over mean optical depth of patchy cloud.
    Raises:
        EmagramError: if the shapes differ or a value is out of its range.
    Source: Byrne and O'Gorman 2013, doi:10.1175/JCLI-D-12-00262.1; Clough, Iacono and Moncet 1992,
        doi:10.1029/92JD01419; Stephens 1978, doi:10.1175/1520-0469(1978)035<2123:RPIEWC>2.0.CO;2; Ebert and Curry
        1992, doi:10.1029/91JD02472.
    """
    layers, interfaces, _ = column_shapes(air_pressure_at_interface, air_temperature=air_temperature)
    column_size("surface_upwelling_longwave_flux", surface_upwelling_longwave_flux)
    gases = (well_mixed_depth, water_vapor_depth, core_depth, core_fraction, well_mixed_factor)
    cloud = (liquid_absorption, ice_absorption, cloud_factor)
    state = (air_pressure_at_interface, air_temperature, specific_humidity, cloud_liquid, cloud_ice)
    shapes = [interfaces, interfaces, layers]
    return Longwave(
        *call("longwave", "longwave", *gases, *cloud, *state, surface_upwelling_longwave_flux, results=shapes)
    )
