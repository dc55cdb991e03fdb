"""Inputs that hardly change when the climate warms: buoyancy of a plume and scaled evaporation, differentiable.

Temperature and specific humidity of a warmer climate lie outside those of today's. Relative humidity
(`thermodynamics.relative_humidity`), the buoyancy of an air parcel lifted from the surface and the latent heat flux
over the dryness of the air above it keep nearly the same distribution, so a network that sees them interpolates where
it would otherwise extrapolate. Level 0 is the model top; arithmetic is float64 inside, the dtype of `air_temperature`
outside. The twin in fortran_bridge/src/features.cpp evaluates the same operations.

Source: Beucler et al. 2024, Climate-invariant machine learning, doi:10.1126/sciadv.adj7250. Their released code has the
humidity q in the energy of the environment where the paper has, and this module takes, its saturation value q_s.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .constants import Constants
from .errors import EmagramError
from .thermodynamics import E3SM, moist_static_energy, saturation_specific_humidity

DEFICIT_FLOOR = 1.0e-4
"""[kg kg-1] The least saturation deficit that divides the latent heat flux, so that saturated or cold air makes none
arbitrarily large. A choice: air over a warm sea lacks some 50 times as much."""


def hydrostatic_height(
    air_pressure: Tensor, air_temperature: Tensor, specific_humidity: Tensor, *, constants: Constants = E3SM
) -> Tensor:
    """Height of layers above the lowest, z_k = z_{k+1} + Rd/g ½ (T_v,k + T_v,k+1) ln(p_{k+1} / p_k), z_lowest = 0.

    T_v = T (1 + (1/ε − 1) q) is the virtual temperature.

    Args:
        air_pressure: [Pa], (…, n_level).
        air_temperature: [K], same shape.
        specific_humidity: [kg kg-1] of moist air, same shape.
    Returns:
        [m], same shape, dtype of `air_temperature`.
    Raises:
        EmagramError: if the shapes differ, or a pressure or temperature is not positive.
    Source: the hypsometric equation, Wallace and Hobbs 2006, Atmospheric Science, section 3.2.
    """
    _check_profiles("height", air_pressure, air_temperature, specific_humidity)
    pressure = air_pressure.double()
    virtual = air_temperature.double() * (1.0 + (1.0 / constants.epsilon - 1.0) * specific_humidity.double())
    mean = 0.5 * (virtual[..., :-1] + virtual[..., 1:])
    thickness = (
        constants.gas_constant_dry_air / constants.gravity * mean * (pressure[..., 1:] / pressure[..., :-1]).log()
    )
    above = thickness.flip(-1).cumsum(-1).flip(-1)
    return torch.cat([above, torch.zeros_like(pressure[..., -1:])], dim=-1).to(air_temperature.dtype)


def plume_buoyancy(
    air_pressure: Tensor, air_temperature: Tensor, specific_humidity: Tensor, *, constants: Constants = E3SM
) -> Tensor:
    """Buoyancy of a plume that rises from the lowest layer without mixing, B = g (h_plume − h_env) / (κ cp T).

    h_plume = cp T_ns + Lv q_ns at the near-surface, that is the lowest, layer, whose height is 0; of the environment
    h_env = cp T + g z + Lv q_s(T, p) and κ = 1 + Lv² q_s / (Rv cp T²). B is positive where saturated air of the plume
    would be warmer than the environment. In the lowest layer it is −g Lv (q_s − q) / (κ cp T), not positive but in
    supersaturated air. Saturation is mixed-phase while latent heat is that of vaporisation. Where air cannot saturate
    (warm and thin, as at the stratopause), q_s is 1 and B about −g / 20: continuous, with a kink.

    Args:
        air_pressure: [Pa], (…, n_level), increasing downwards.
        air_temperature: [K], same shape.
        specific_humidity: [kg kg-1] of moist air, same shape.
    Returns:
        [m s-2], same shape, dtype of `air_temperature`.
    Raises:
        EmagramError: if the shapes differ, or a pressure or temperature is not positive.
    Source: Beucler et al. 2024, doi:10.1126/sciadv.adj7250, "plume buoyancy".
    """
    _check_profiles("plume buoyancy", air_pressure, air_temperature, specific_humidity)
    pressure, temperature, humidity = air_pressure.double(), air_temperature.double(), specific_humidity.double()
    saturated = saturation_specific_humidity(pressure, temperature, constants=constants)
    height = hydrostatic_height(pressure, temperature, humidity, constants=constants)
    lowest = temperature[..., -1:], humidity[..., -1:], height[..., -1:]
    excess = moist_static_energy(*lowest, constants=constants) - moist_static_energy(
        temperature, saturated, height, constants=constants
    )
    latent, heat_capacity = constants.latent_heat_vaporization, constants.heat_capacity_dry_air
    kappa = 1.0 + latent**2 * saturated / (constants.gas_constant_water_vapor * heat_capacity * temperature.square())
    return (constants.gravity * excess / (kappa * heat_capacity * temperature)).to(air_temperature.dtype)


def scaled_latent_heat_flux(
    latent_heat_flux: Tensor,
    air_pressure: Tensor,
    air_temperature: Tensor,
    specific_humidity: Tensor,
    *,
    constants: Constants = E3SM,
) -> Tensor:
    """Latent heat flux over the near-surface saturation deficit, LHF / (Lv max(ε, q_s − q)), ε = 1e-4 kg kg-1.

    q_s and q are those of the lowest layer. By the bulk formula for a wet surface at the temperature of that layer this
    is air density times wind speed times a transfer coefficient, which warming hardly changes. No gradient passes
    through the deficit below the floor.

    Args:
        latent_heat_flux: [W m-2] (…), upward.
        air_pressure: [Pa], (…, n_level), increasing downwards.
        air_temperature: [K], same shape.
        specific_humidity: [kg kg-1] of moist air, same shape.
    Returns:
        [kg m-2 s-1] (…), dtype of `air_temperature`.
    Raises:
        EmagramError: if the shapes do not fit, or a pressure or temperature is not positive.
    Source: Beucler et al. 2024, doi:10.1126/sciadv.adj7250, "scaled latent heat flux".
    """
    what = "scaled latent heat flux"
    _check_profiles(what, air_pressure, air_temperature, specific_humidity)
    if latent_heat_flux.shape != air_pressure.shape[:-1]:
        expected, got = tuple(air_pressure.shape[:-1]), tuple(latent_heat_flux.shape)
        raise EmagramError(f"{what}: expected one flux a column, of shape {expected}, got {got}")
    pressure, temperature = air_pressure[..., -1].double(), air_temperature[..., -1].double()
    saturated = saturation_specific_humidity(pressure, temperature, constants=constants)
    deficit = (saturated - specific_humidity[..., -1].double()).clamp(min=DEFICIT_FLOOR)
    scaled = latent_heat_flux.double() / (constants.latent_heat_vaporization * deficit)
    return scaled.to(air_temperature.dtype)


def _check_profiles(what: str, air_pressure: Tensor, air_temperature: Tensor, specific_humidity: Tensor) -> None:
    """Profiles of one shape, pressure and temperature positive."""
    for name, value in (("air_temperature", air_temperature), ("specific_humidity", specific_humidity)):
        if value.shape != air_pressure.shape or value.ndim == 0:
            expected, got = tuple(air_pressure.shape), tuple(value.shape)
            raise EmagramError(f"{what}: expected '{name}' of the shape of 'air_pressure', {expected}, got {got}")
    for name, value in (("air_pressure", air_pressure), ("air_temperature", air_temperature)):
        if not bool((value > 0.0).all()):
            lowest = float(value[~(value > 0.0)][0])
            raise EmagramError(f"{what}: expected positive values of '{name}', got {lowest:g}")
