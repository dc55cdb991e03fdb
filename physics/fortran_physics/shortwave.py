"""Shortwave radiation: visible and near infrared, direct and diffuse."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_shapes, column_size


class Shortwave(NamedTuple):
    """Shortwave fluxes at the interfaces (n_column, n_level + 1), heating (n_column, n_level), and surface fluxes.

    The last four, (n_column,), are downward; with their albedos they close the surface's budget:
    net = Σ surface flux · (1 − albedo).
    """

    upwelling_shortwave_flux_in_air: Array  # [W m-2]
    downwelling_shortwave_flux_in_air: Array  # [W m-2]
    tendency_of_air_temperature_due_to_shortwave_heating: Array  # [K s-1]
    surface_downwelling_direct_visible_flux_in_air: Array  # [W m-2]
    surface_downwelling_direct_near_infrared_flux_in_air: Array  # [W m-2]
    surface_downwelling_diffuse_visible_flux_in_air: Array  # [W m-2]
    surface_downwelling_diffuse_near_infrared_flux_in_air: Array  # [W m-2]


class Albedo(NamedTuple):
    """Albedos of the surface [1], (n_column,)."""

    direct_visible: ArrayLike
    direct_near_infrared: ArrayLike
    diffuse_visible: ArrayLike
    diffuse_near_infrared: ArrayLike


def shortwave(
    air_pressure_at_interface: ArrayLike,
    specific_humidity: ArrayLike,
    *,
    cloud_liquid: ArrayLike,
    cloud_ice: ArrayLike,
    ozone: ArrayLike,
    cosine_of_solar_zenith_angle: ArrayLike,
    toa_incoming_shortwave_flux: ArrayLike,
    albedo: Albedo,
    liquid_radius: float = 10.0e-6,
    ice_radius: float = 30.0e-6,
    cloud_factor: float = 0.7,
    ozone_factor: float = 1.0,
    water_vapor_factor: float = 1.0,
    rayleigh_factor: float = 1.0,
) -> Shortwave:
    """Shortwave fluxes of two delta-scaled streams and the direct beam, and heating g/cp · d(F↑ − F↓)/dp.

    dF↑/dτ = γ₁F↑ − γ₂F↓ − γ₃ω S/μ₀, dF↓/dτ = γ₂F↑ − γ₁F↓ + γ₄ω S/μ₀, dS/dτ = −S/μ₀, with the γ of the practical
    improved flux method, for each of seven terms of a k-distribution: three of the visible, with ozone and Rayleigh
    scattering, four of the near infrared, with water vapour; cloud in all. At night everything is exactly 0.

    Args:
        air_pressure_at_interface: [Pa] (n_column, n_level + 1), from the top.
        specific_humidity: [kg kg-1] (n_column, n_level); below 0 counts as 0, here and for the next three.
        cloud_liquid: [kg kg-1] of moist air (n_column, n_level).
        cloud_ice: [kg kg-1] of moist air (n_column, n_level).
        ozone: [kg kg-1] of air (n_column, n_level).
        cosine_of_solar_zenith_angle: μ₀ [1] (n_column,).
        toa_incoming_shortwave_flux: [W m-2] (n_column,), through the horizontal top.
        albedo: of the surface.
        liquid_radius: [m], effective radius of droplets, 4.2 to 16.6 µm.
        ice_radius: [m], effective radius of ice particles, 13 to 130 µm.
        cloud_factor: [1], effective over mean optical depth of patchy cloud.
        ozone_factor: [1], on the absorption of ozone.
        water_vapor_factor: [1], on the absorption of water vapour.
        rayleigh_factor: [1], on scattering by air.
    Raises:
        EmagramError: if the shapes differ or a value is out of its range.
    Source: Zdunkowski, Welch and Korb 1980, Beitr. Phys. Atmos. 53, 147–166; Meador and Weaver 1980,
        doi:10.1175/1520-0469(1980)037<0630:TSATRT>2.0.CO;2; Shonk and Hogan 2008, doi:10.1175/2007JCLI1940.1; Lacis
        and Hansen 1974, doi:10.1175/1520-0469(1974)031<0118:APFTAO>2.0.CO;2; Slingo 1989,
        doi:10.1175/1520-0469(1989)046<1419:AGPFTS>2.0.CO;2; Ebert and Curry 1992, doi:10.1029/91JD02472; Cahalan et
        al. 1994, doi:10.1175/1520-0469(1994)051<2434:TAOSC>2.0.CO;2
    """
    layers, interfaces, columns = column_shapes(air_pressure_at_interface, specific_humidity=specific_humidity)
    for name, values in zip(Albedo._fields, albedo, strict=True):
        column_size(f"albedo_{name}", values)
    parameters = (liquid_radius, ice_radius, cloud_factor, ozone_factor, water_vapor_factor, rayleigh_factor)
    state = (air_pressure_at_interface, specific_humidity, cloud_liquid, cloud_ice, ozone)
    light = (cosine_of_solar_zenith_angle, toa_incoming_shortwave_flux)
    shapes: list[tuple[int, ...]] = [interfaces, interfaces, layers, *[columns] * 4]
    return Shortwave(*call("shortwave", "shortwave", *parameters, *state, *light, *albedo, results=shapes))
