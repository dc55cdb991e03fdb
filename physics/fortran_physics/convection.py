"""Moist convection of the Fortran column physics, for numpy arrays."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_shapes


class Convection(NamedTuple):
    """Rates of moist convection, and its precipitation at the surface."""

    rate_temperature: Array  # [K s-1] (n_column, n_level)
    rate_humidity: Array  # [kg kg-1 s-1] (n_column, n_level)
    rate_liquid: Array  # [kg kg-1 s-1] (n_column, n_level), detrained
    rate_ice: Array  # [kg kg-1 s-1] (n_column, n_level), detrained
    rain: Array  # [kg m-2 s-1] (n_column,)
    snow: Array  # [kg m-2 s-1] (n_column,)
    cape: Array  # [J kg-1] (n_column,), of the parcel
    regime: Array  # (n_column,), 0 none, 1 shallow, 2 deep


def convection(
    pressure_interface: ArrayLike,
    *,
    time_step: float,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    relaxation_time: float = 7200.0,
    reference_relative_humidity: float = 0.8,
    source_depth: float = 0.0,
    largest_inhibition: float = 100.0,
    retained_condensate: float = 0.0,
    detrained_share: float = 0.05,
    anvil_share: float = 0.3,
    snow_temperature: float = 273.16,
    rain_temperature: float = 275.16,
    surface_depth: float = 5000.0,
) -> Convection:
    """Simplified Betts–Miller convection, q̇ = a (q_ref − q)(1 − e^(−Δt/τ))/Δt and Ṫ alike, with anvils; the
    equations stand in physics/fortran/emagram_convection_kernels.f90.

    Σ [cp Ṫ + (Lv+Lf) q̇v + Lf q̇l] Δp/g = −Lf rain and Σ (q̇v + q̇l + q̇i) Δp/g = −rain − snow.

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        time_step: [s].
        air_temperature, specific_humidity: [K], [kg kg-1] (n_column, n_level).
        relaxation_time: [s].
        reference_relative_humidity: [1], of the state relaxed to.
        source_depth: [Pa], above the surface, where the parcel may begin; 0: in the lowest layer.
        largest_inhibition: [J kg-1], that a parcel overcomes.
        retained_condensate: [1], as in `parcel.parcel_ascent`.
        detrained_share: [1], of the condensate of deep convection, left as cloud.
        anvil_share: [1], of the depth of the convection, below its top, where it is left.
        snow_temperature, rain_temperature: [K], all snow below the first, all rain above the second.
        surface_depth: [Pa], of the lowest layers whose mean temperature these are compared with.
    Raises:
        EmagramError: if shapes differ, or a value is not finite or out of its range.
    Source: Frierson 2007, doi:10.1175/JAS3935.1; rain and snow after Jennings et al. 2018,
        doi:10.1038/s41467-018-03629-7
    """
    layers, _, columns = column_shapes(pressure_interface)
    return Convection(
        *call(
            "convection",
            "convection",
            relaxation_time,
            reference_relative_humidity,
            source_depth,
            largest_inhibition,
            retained_condensate,
            detrained_share,
            anvil_share,
            snow_temperature,
            rain_temperature,
            surface_depth,
            time_step,
            pressure_interface,
            air_temperature,
            specific_humidity,
            results=[layers] * 4 + [columns] * 4,
        )
    )
