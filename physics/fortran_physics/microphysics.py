"""Cloud and precipitation of the Fortran column physics, for numpy arrays."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_shapes


class Microphysics(NamedTuple):
    """Rates of condensation, conversion, melting and evaporation, and the precipitation."""

    rate_temperature: Array  # [K s-1] (n_column, n_level)
    rate_humidity: Array  # [kg kg-1 s-1] (n_column, n_level)
    rate_liquid: Array  # [kg kg-1 s-1] (n_column, n_level)
    rate_ice: Array  # [kg kg-1 s-1] (n_column, n_level)
    rain: Array  # [kg m-2 s-1] (n_column, n_level + 1), downward at the interfaces
    snow: Array  # [kg m-2 s-1] (n_column, n_level + 1), downward at the interfaces


def microphysics(
    pressure_interface: ArrayLike,
    *,
    time_step: float,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    cloud_liquid: ArrayLike,
    cloud_ice: ArrayLike,
    liquid_time: float = 5000.0,
    liquid_threshold: float = 3.0e-4,
    ice_time: float = 3600.0,
    ice_threshold: float = 1.0e-6,
    collection: float = 100.0,
    evaporation: float = 1.0e-5,
    melting_time: float = 1800.0,
) -> Microphysics:
    """Saturation adjustment, conversion of cloud to precipitation, and what happens to that as it falls; the equations
    stand in physics/fortran/emagram_microphysics_kernels.f90.

    In each layer (q̇v + q̇l + q̇i) Δp/g = −Δ(rain + snow) and (cp Ṫ + (Lv+Lf) q̇v + Lf q̇l) Δp/g = −Lf Δrain.

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        time_step: [s].
        air_temperature, specific_humidity, cloud_liquid, cloud_ice: [K], [kg kg-1] (n_column, n_level).
        liquid_time, ice_time: [s], in which cloud becomes precipitation.
        liquid_threshold, ice_threshold: [kg kg-1], of cloud for that.
        collection: [(kg m-2 s-1)^-1/2], growth of the conversion with falling precipitation.
        evaporation: [s-1 (kg m-2 s-1)^-1/2], of precipitation in dry air.
        melting_time: [s], of snow above 273.16 K, and of freezing rain below.
    Raises:
        EmagramError: if shapes differ, or a value is not finite or out of its range.
    Source: Sundqvist, Berge and Kristjánsson 1989, doi:10.1175/1520-0493(1989)117<1641:CACPSW>2.0.CO;2
    """
    layers, interfaces, _ = column_shapes(pressure_interface)
    return Microphysics(
        *call(
            "microphysics",
            "microphysics",
            liquid_time,
            liquid_threshold,
            ice_time,
            ice_threshold,
            collection,
            evaporation,
            melting_time,
            time_step,
            pressure_interface,
            air_temperature,
            specific_humidity,
            cloud_liquid,
            cloud_ice,
            results=[layers] * 4 + [interfaces] * 2,
        )
    )
