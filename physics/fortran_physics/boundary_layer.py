"""Boundary layer of the Fortran column physics, for numpy arrays: its height, its diffusivities, its mixing."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_shapes


class Turbulence(NamedTuple):
    """Diffusivities at the interfaces, 0 at the first and the last, and the height of the boundary layer."""

    diffusivity_heat: Array  # [m2 s-1] (n_column, n_level + 1)
    diffusivity_momentum: Array  # [m2 s-1] (n_column, n_level + 1)
    boundary_layer_height: Array  # [m] (n_column,), above the surface


class BoundaryLayer(NamedTuple):
    """Rates of turbulent mixing; their column sums of water, momentum and energy are zero."""

    rate_temperature: Array  # [K s-1] (n_column, n_level)
    rate_humidity: Array  # [kg kg-1 s-1] (n_column, n_level)
    rate_liquid: Array  # [kg kg-1 s-1] (n_column, n_level)
    rate_ice: Array  # [kg kg-1 s-1] (n_column, n_level)
    rate_eastward_wind: Array  # [m s-2] (n_column, n_level)
    rate_northward_wind: Array  # [m s-2] (n_column, n_level)
    boundary_layer_height: Array  # [m] (n_column,), above the surface


def turbulence(
    pressure_interface: ArrayLike,
    *,
    time_step: float,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    eastward_wind: ArrayLike,
    northward_wind: ArrayLike,
    sensible_heat_flux: ArrayLike,
    evaporation: ArrayLike,
    stress_eastward: ArrayLike,
    stress_northward: ArrayLike,
    critical_richardson_number: float = 0.3,
    surface_layer_fraction: float = 0.1,
    largest_height: float = 6000.0,
    mixing_length: float = 30.0,
    background_diffusivity: float = 0.01,
) -> Turbulence:
    """K profile below the height h where the bulk Richardson number is critical, K = κ w z (1 − z/h)², and at least
    the diffusivity of the local Richardson number, everywhere; the equations stand in
    physics/fortran/emagram_turbulence_kernels.f90.

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        time_step: [s], for which the lowest layer has got the surface fluxes already; 0 if it has not.
        air_temperature, specific_humidity, eastward_wind, northward_wind: [K], [kg kg-1], [m s-1] (n_column, n_level).
        sensible_heat_flux, evaporation: [W m-2], [kg m-2 s-1] (n_column,), upward, at the surface.
        stress_eastward, stress_northward: [N m-2] (n_column,), of the surface on the air.
        critical_richardson_number, surface_layer_fraction: [1].
        largest_height: [m], of the boundary layer.
        mixing_length: [m], asymptotic, of the free atmosphere.
        background_diffusivity: [m2 s-1].
    Raises:
        EmagramError: if shapes differ, or a value is not finite or out of its range.
    Source: Troen and Mahrt 1986, doi:10.1007/BF00122760; Holtslag and Boville 1993,
        doi:10.1175/1520-0442(1993)006<1825:LVNBLD>2.0.CO;2; Vogelezang and Holtslag 1996, doi:10.1007/BF02430331
    """
    _, interfaces, columns = column_shapes(pressure_interface)
    return Turbulence(
        *call(
            "turbulence",
            "turbulence",
            critical_richardson_number,
            surface_layer_fraction,
            largest_height,
            mixing_length,
            background_diffusivity,
            time_step,
            pressure_interface,
            air_temperature,
            specific_humidity,
            eastward_wind,
            northward_wind,
            sensible_heat_flux,
            evaporation,
            stress_eastward,
            stress_northward,
            results=[interfaces, interfaces, columns],
        )
    )


def boundary_layer(
    pressure_interface: ArrayLike,
    *,
    time_step: float,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    cloud_liquid: ArrayLike,
    cloud_ice: ArrayLike,
    eastward_wind: ArrayLike,
    northward_wind: ArrayLike,
    sensible_heat_flux: ArrayLike,
    evaporation: ArrayLike,
    stress_eastward: ArrayLike,
    stress_northward: ArrayLike,
    critical_richardson_number: float = 0.3,
    surface_layer_fraction: float = 0.1,
    largest_height: float = 6000.0,
    mixing_length: float = 30.0,
    background_diffusivity: float = 0.01,
) -> BoundaryLayer:
    """Implicit diffusion of s = cp T + g z, the waters and the winds with the diffusivities of `turbulence`, and the
    heat of dissipation; the surface fluxes are not applied: the exchange with the surface has put them into the lowest
    layer for the same time step, and here they set the diffusivities.

    Σ (cp Ṫ + (Lv+Lf) q̇v + Lf q̇l + K̇) Δp/g = 0 and Σ (q̇v + q̇l + q̇i) Δp/g = 0.

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        time_step: [s].
        air_temperature, specific_humidity, cloud_liquid, cloud_ice, eastward_wind, northward_wind: [K], [kg kg-1],
            [m s-1] (n_column, n_level).
        sensible_heat_flux, evaporation: [W m-2], [kg m-2 s-1] (n_column,), upward, at the surface.
        stress_eastward, stress_northward: [N m-2] (n_column,), of the surface on the air.
        critical_richardson_number and what follows: as in `turbulence`.
    Raises:
        EmagramError: if shapes differ, or a value is not finite or out of its range.
    Source: as `turbulence`; the heat of dissipation after Boville and Bretherton 2003,
        doi:10.1175/1520-0442(2003)016<3877:HAKEDI>2.0.CO;2
    """
    layers, _, columns = column_shapes(pressure_interface)
    return BoundaryLayer(
        *call(
            "boundary_layer",
            "boundary_layer",
            critical_richardson_number,
            surface_layer_fraction,
            largest_height,
            mixing_length,
            background_diffusivity,
            time_step,
            pressure_interface,
            air_temperature,
            specific_humidity,
            cloud_liquid,
            cloud_ice,
            eastward_wind,
            northward_wind,
            sensible_heat_flux,
            evaporation,
            stress_eastward,
            stress_northward,
            results=[layers] * 6 + [columns],
        )
    )
