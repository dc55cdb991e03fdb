"""Surface exchange, slab and surface emission of the Fortran column physics, for numpy arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .call import Array, call, column_shapes


class SurfaceExchange(NamedTuple):
    """Rates of the surface exchange, zero but in the lowest layer, and the fluxes they come from."""

    rate_temperature: Array  # [K s-1] (n_column, n_level)
    rate_humidity: Array  # [kg kg-1 s-1] (n_column, n_level)
    rate_eastward_wind: Array  # [m s-2] (n_column, n_level)
    rate_northward_wind: Array  # [m s-2] (n_column, n_level)
    sensible_heat_flux: Array  # [W m-2] (n_column,), upward
    evaporation: Array  # [kg m-2 s-1] (n_column,), upward; below 0 where dew falls
    stress_eastward: Array  # [N m-2] (n_column,), force on the air
    stress_northward: Array  # [N m-2] (n_column,), force on the air


class SlabStep(NamedTuple):
    """The slab after a step."""

    surface_temperature: Array  # [K] (n_column,)
    rate_surface_temperature: Array  # [K s-1] (n_column,)
    net_surface_flux: Array  # [W m-2] (n_column,), into the surface


def surface_exchange(
    pressure_interface: ArrayLike,
    *,
    time_step: float,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    eastward_wind: ArrayLike,
    northward_wind: ArrayLike,
    surface_temperature: ArrayLike,
    wetness: ArrayLike,
    heat_exchange_coefficient: float = 1.1e-3,
    smallest_drag_coefficient: float = 7.0e-4,
    drag_coefficient_per_wind: float = 6.5e-5,
    largest_drag_coefficient: float = 2.0e-3,
    gustiness: float = 1.0,
) -> SurfaceExchange:
    """Bulk formulas, implicit in the lowest layer: SHF = ρ C_H V (cp Ts − cp T′ − g z), E = ρ C_H V w (q_s − q′),
    τ = −ρ C_D V u′, with V² = u² + v² + gustiness², C_D = min(C_0 + C_1 V, C_max) and ′ the state after the step.

    w is the wetness, 1 where dew falls. The rates satisfy cp Ṫ + (Lv+Lf) q̇ + K̇ = (SHF + (Lv+Lf) E) g/Δp: the kinetic
    energy that the wind loses to the surface at rest heats the layer.

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        time_step: [s].
        air_temperature, specific_humidity, eastward_wind, northward_wind: [K], [kg kg-1], [m s-1] (n_column, n_level).
        surface_temperature: [K] (n_column,).
        wetness: [1] (n_column,), from 0 (dry) to 1 (water or ice).
        heat_exchange_coefficient: [1], C_H of heat and water.
        smallest_drag_coefficient, drag_coefficient_per_wind, largest_drag_coefficient: C_0 [1], C_1 [s m-1], C_max [1].
        gustiness: [m s-1].
    Raises:
        EmagramError: if shapes differ, or a value is not finite or out of its range.
    Source: Reed and Jablonowski 2012, doi:10.1029/2011MS000099, who leave g z out.
    """
    layers, _, columns = column_shapes(pressure_interface)
    return SurfaceExchange(
        *call(
            "surface",
            "surface_exchange",
            heat_exchange_coefficient,
            smallest_drag_coefficient,
            drag_coefficient_per_wind,
            largest_drag_coefficient,
            gustiness,
            time_step,
            pressure_interface,
            air_temperature,
            specific_humidity,
            eastward_wind,
            northward_wind,
            surface_temperature,
            wetness,
            results=[layers] * 4 + [columns] * 4,
        )
    )


def slab(
    surface_temperature: ArrayLike,
    *,
    time_step: float,
    heat_capacity: ArrayLike,
    net_shortwave: ArrayLike,
    downwelling_longwave: ArrayLike,
    upwelling_longwave: ArrayLike,
    sensible_heat_flux: ArrayLike,
    evaporation: ArrayLike,
    snow: ArrayLike,
) -> SlabStep:
    """Explicit step of the surface, C Ṫs = SW_net + LW↓ − LW↑ − SHF − Lv E − Lf S; C = 0 holds Ts.

    Stable while time_step < 2 C / (dF/dTs), about C > 3e4 J m-2 K-1 for 1200 s and 50 W m-2 K-1.

    Args:
        surface_temperature: [K] (n_column,).
        time_step: [s].
        heat_capacity: [J m-2 K-1] (n_column,), 0 where the temperature is prescribed.
        net_shortwave, downwelling_longwave, upwelling_longwave, sensible_heat_flux: [W m-2] (n_column,), the first
            downward, the last upward.
        evaporation, snow: [kg m-2 s-1] (n_column,), upward and downward.
    Raises:
        EmagramError: if sizes differ, or a value is not finite or out of its range.
    """
    columns = np.shape(surface_temperature)
    new, rate, net = call(
        "surface",
        "slab",
        time_step,
        heat_capacity,
        net_shortwave,
        downwelling_longwave,
        upwelling_longwave,
        sensible_heat_flux,
        evaporation,
        snow,
        surface_temperature,
        results=[columns] * 3,
    )
    return SlabStep(new, rate, net)


def surface_longwave(surface_temperature: ArrayLike) -> Array:
    """Longwave emission of a black surface, σ Ts⁴ [W m-2] (n,), at surface_temperature [K] (n,).

    Raises:
        EmagramError: if a value is not finite and above 0.
    """
    (flux,) = call("surface", "surface_longwave", surface_temperature, results=[np.shape(surface_temperature)])
    return flux
