"""Plausible clear-sky columns with a grey-radiation truth, for machines that have no real data.

Same form, names and climates as the RFMIP columns (`read_rfmip`), so that everything downstream takes either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from ...physics.constants import Constants
from ...physics.errors import EmagramError
from ...physics.thermodynamics import saturation_vapor_pressure
from .columns import FLUX_PROFILES, add_radiation, columns_dataset
from .grey_radiation import longwave_fluxes, shortwave_fluxes

Array = NDArray[np.float64]

CONSTANTS = Constants()
SOLAR_IRRADIANCE = 1361.0  # W m-2, Kopp and Lean 2011, doi:10.1029/2010GL045777
OBLIQUITY = np.deg2rad(23.44)
TOP_PRESSURE = 1.0  # Pa
STRATOSPHERE_PRESSURE = 1.2e4  # Pa; water vapour is well mixed above


@dataclass(frozen=True)
class Climate:
    """What sets one experiment apart: mole fractions [1], warming of surface and air [K].

    With `constant_relative_humidity` water vapour follows the saturation pressure of the warmer air.
    """

    carbon_dioxide: float = 3.975e-4
    methane: float = 1.831e-6
    nitrous_oxide: float = 3.27e-7
    cfc11eq: float = 8.09e-10
    warming: float = 0.0
    constant_relative_humidity: bool = False


PREINDUSTRIAL_CARBON_DIOXIDE = 2.843e-4
CLIMATES = {
    "Present day (PD)": Climate(),
    "Pre-industrial (PI) greenhouse gas concentrations": Climate(
        PREINDUSTRIAL_CARBON_DIOXIDE, methane=8.08e-7, nitrous_oxide=2.73e-7, cfc11eq=3.2e-11
    ),
    "0.5xCO2": Climate(0.5 * PREINDUSTRIAL_CARBON_DIOXIDE),
    "2xCO2": Climate(2.0 * PREINDUSTRIAL_CARBON_DIOXIDE),
    "3xCO2": Climate(3.0 * PREINDUSTRIAL_CARBON_DIOXIDE),
    "4xCO2": Climate(4.0 * PREINDUSTRIAL_CARBON_DIOXIDE),
    "+4K": Climate(warming=4.0),
    "+4K, const. RH": Climate(warming=4.0, constant_relative_humidity=True),
}


def generate_columns(
    n_site: int, n_level: int = 60, seed: int = 0, experiments: Sequence[str] = tuple(CLIMATES)
) -> xr.Dataset:
    """Columns at random places and times in several climates, with grey-radiation fluxes and heating rates.

    The random draws are those of NumPy's PCG64 and the same everywhere; a machine's own exp and log may change the
    last bits of what follows from them. Heating is the divergence of the net flux, so every column closes.

    Args:
        n_site: number of places, the same in every experiment.
        n_level: number of layers, at least 2.
        seed: of the random draws.
        experiments: names of climates, keys of `CLIMATES`.
    Returns:
        Dataset with the dimensions, variables and coordinates of `read_rfmip`.
    Raises:
        EmagramError: if an experiment is unknown or a number is too small.
    """
    if n_site < 1 or n_level < 2 or not experiments:
        raise EmagramError(
            "generated columns: expected at least 1 site, 2 levels and 1 experiment, "
            f"got {n_site}, {n_level} and {len(experiments)}"
        )
    for name in experiments:
        if name not in CLIMATES:
            raise EmagramError(f"generated columns 'experiments': expected some of {list(CLIMATES)}, got {name!r}")
    sites = _sites(n_site, n_level, np.random.Generator(np.random.PCG64(seed)))
    climates = [_in_climate(sites, CLIMATES[name]) for name in experiments]
    columns = columns_dataset(
        {name: np.concatenate([climate[name] for climate in climates]) for name in climates[0]},
        experiment_label=experiments,
        latitude=sites.latitude,
        longitude=sites.longitude,
        profile_weight=np.full(n_site, 1.0 / n_site),
    )
    columns.attrs = {
        "title": "Generated clear-sky columns",
        "source": f"emagram generate_columns, {n_site} sites, seed {seed}",
        "truth": "generated: grey radiation, not observations",
        "licence": "BSD-3-Clause",
    }
    fluxes = (*longwave_fluxes(columns), *shortwave_fluxes(columns))
    return add_radiation(columns, dict(zip(FLUX_PROFILES, fluxes, strict=True)))


@dataclass(frozen=True)
class _Sites:
    """Present-day state of every place, (site) or (site, level): names and units of the variables table."""

    latitude: Array
    longitude: Array
    air_pressure_at_interface: Array
    surface_temperature: Array
    surface_albedo: Array
    cosine_of_solar_zenith_angle: Array
    air_temperature: Array
    specific_humidity: Array
    mole_fraction_of_ozone_in_air: Array


def _sites(n_site: int, n_level: int, rng: np.random.Generator) -> _Sites:
    """Draw places that fill the sphere evenly, each on some day of the year at some hour."""
    sine_latitude = -1.0 + 2.0 * (np.arange(n_site) + rng.uniform(size=n_site)) / n_site
    season = np.sin(rng.uniform(0.0, 2.0 * np.pi, n_site))
    height = np.where(rng.uniform(size=n_site) < 0.3, np.minimum(rng.exponential(600.0, n_site), 3000.0), 0.0)
    surface_pressure = (101325.0 + rng.normal(0.0, 900.0, n_site)) * np.exp(-height / 7800.0)
    surface_temperature = 297.5 - 37.0 * sine_latitude**2 + 14.0 * sine_latitude * season - 6.0e-3 * height
    surface_temperature = np.minimum(surface_temperature + rng.normal(0.0, 2.0, n_site), 302.0)
    interface = _pressure_at_interface(surface_pressure, n_level)
    temperature = _air_temperature(interface, surface_temperature, sine_latitude, rng)
    return _Sites(
        latitude=np.rad2deg(np.arcsin(sine_latitude)),
        longitude=rng.uniform(0.0, 360.0, n_site),
        air_pressure_at_interface=interface,
        surface_temperature=surface_temperature,
        surface_albedo=_albedo(surface_temperature, height > 0.0, rng),
        cosine_of_solar_zenith_angle=_cosine_of_zenith_angle(sine_latitude, season, rng),
        air_temperature=temperature,
        specific_humidity=_specific_humidity(interface, temperature, rng),
        mole_fraction_of_ozone_in_air=_ozone(interface, rng),
    )


def _pressure_at_interface(surface_pressure: Array, n_level: int) -> Array:
    """Interfaces p = p_top + (p_s − p_top) x³(3.1 − 2.1x) [Pa] (site, interface), closest aloft and at the ground."""
    x = np.linspace(0.0, 1.0, n_level + 1)
    return TOP_PRESSURE + (surface_pressure - TOP_PRESSURE)[:, None] * (x**3 * (3.1 - 2.1 * x))


def _middle(interface: Array) -> Array:
    """Pressure of the layers [Pa] (site, level)."""
    return 0.5 * (interface[:, 1:] + interface[:, :-1])


def _saturation_vapor_pressure(temperature: Array) -> Array:
    """As in `physics.thermodynamics`, for arrays of NumPy [Pa]."""
    return np.asarray(saturation_vapor_pressure(torch.from_numpy(temperature)).numpy(), dtype=np.float64)


def _cosine_of_zenith_angle(sine_latitude: Array, season: Array, rng: np.random.Generator) -> Array:
    """cos ζ = sin φ sin δ + cos φ cos δ cos h at a random hour, 0 at night [1] (site)."""
    declination = OBLIQUITY * season
    hour_angle = rng.uniform(-np.pi, np.pi, sine_latitude.size)
    cosine_latitude = np.sqrt(1.0 - sine_latitude**2)
    cosine = sine_latitude * np.sin(declination) + cosine_latitude * np.cos(declination) * np.cos(hour_angle)
    return np.asarray(np.maximum(cosine, 0.0))


def _albedo(surface_temperature: Array, is_land: NDArray[np.bool_], rng: np.random.Generator) -> Array:
    """Open sea, bare or green land, and snow or ice where it is cold [1] (site)."""
    land = rng.uniform(0.12, 0.30, surface_temperature.size)
    snow = rng.uniform(0.50, 0.75, surface_temperature.size)
    return np.where(surface_temperature < 268.0, snow, np.where(is_land, land, 0.06))


def _air_temperature(
    interface: Array, surface_temperature: Array, sine_latitude: Array, rng: np.random.Generator
) -> Array:
    """A troposphere near the moist adiabat, an inversion where it is cold, and a warm stratopause [K] (site, level)."""
    pressure, n_site = _middle(interface), surface_temperature.size
    inversion = np.where(surface_temperature < 265.0, rng.uniform(0.0, 10.0, n_site), 0.0)
    shape = np.exp(-(((np.log(pressure / interface[:, -1:]) + 0.15) / 0.15) ** 2))
    troposphere = _moist_adiabat(
        interface, surface_temperature + rng.normal(-1.0, 1.0, n_site), rng.uniform(0.95, 1.15, n_site)
    )
    troposphere += inversion[:, None] * shape
    tropopause = 196.0 + 20.0 * sine_latitude**2 + rng.normal(0.0, 2.0, n_site)
    stratopause = rng.normal(58.0, 4.0, n_site)[:, None] * np.exp(-0.5 * (np.log(pressure / 100.0) / 1.7) ** 2)
    stratosphere = tropopause[:, None] + stratopause
    return 5.0 * np.logaddexp(troposphere / 5.0, stratosphere / 5.0)


def _moist_adiabat(interface: Array, start: Array, steepness: Array) -> Array:
    """Saturated ascent dT/dln p = γ (R_d T + L_v w) / (c_p + L_v² w / (R_v T²)) from the ground [K] (site, level)."""
    pressure = _middle(interface)
    temperature = np.empty_like(pressure)
    parcel, below = start, interface[:, -1]
    latent_heat = CONSTANTS.latent_heat_vaporization
    for k in reversed(range(pressure.shape[1])):
        vapour_pressure = np.minimum(_saturation_vapor_pressure(parcel), 0.5 * below)
        mixing_ratio = CONSTANTS.epsilon * vapour_pressure / (below - vapour_pressure)
        lapse = (CONSTANTS.gas_constant_dry_air * parcel + latent_heat * mixing_ratio) / (
            CONSTANTS.heat_capacity_dry_air
            + latent_heat**2 * mixing_ratio / (CONSTANTS.gas_constant_water_vapor * parcel**2)
        )
        parcel = np.maximum(parcel + steepness * lapse * np.log(pressure[:, k] / below), 150.0)
        temperature[:, k], below = parcel, pressure[:, k]
    return temperature


def _specific_humidity(interface: Array, temperature: Array, rng: np.random.Generator) -> Array:
    """Relative humidity that falls with height and wavers, over a dry stratosphere [kg kg-1] (site, level).

    Source of the fall with height: Manabe and Wetherald 1967,
    doi:10.1175/1520-0469(1967)024<0241:TEOTAW>2.0.CO;2, with a random value at the surface.
    """
    pressure, n_site = _middle(interface), temperature.shape[0]
    sigma = pressure / interface[:, -1:]
    wave = np.arange(1, 5) * np.pi * sigma[..., None] + rng.uniform(0.0, 2.0 * np.pi, (n_site, 1, 4))
    wavering = np.sum(rng.normal(0.0, 0.15, (n_site, 1, 4)) * np.cos(wave), axis=-1)
    at_surface = rng.uniform(0.70, 0.90, (n_site, 1))
    relative_humidity = np.minimum(at_surface * np.maximum((sigma - 0.02) / 0.98, 0.01) * np.exp(wavering), 1.0)
    vapour_pressure = np.minimum(relative_humidity * _saturation_vapor_pressure(temperature), 0.5 * pressure)
    mixing_ratio = CONSTANTS.epsilon * vapour_pressure / (pressure - vapour_pressure)
    stratosphere = rng.uniform(2.0e-6, 4.0e-6, (n_site, 1))
    troposphere = np.maximum(mixing_ratio / (1.0 + mixing_ratio), stratosphere)
    return np.where(pressure < STRATOSPHERE_PRESSURE, stratosphere, troposphere)


def _ozone(interface: Array, rng: np.random.Generator) -> Array:
    """A tropospheric background and a layer near 10 hPa, as mole fraction [1] (site, level)."""
    n_site = interface.shape[0]
    background = rng.uniform(2.0e-8, 5.0e-8, (n_site, 1))
    peak = rng.normal(8.0e-6, 8.0e-7, (n_site, 1))
    centre = rng.normal(np.log(1.0e3), 0.15, (n_site, 1))
    return background + peak * np.exp(-0.5 * ((np.log(_middle(interface)) - centre) / 1.2) ** 2)


def _in_climate(sites: _Sites, climate: Climate) -> dict[str, Array]:
    """Input variables of all sites in one climate, names and units of the variables table."""
    temperature = sites.air_temperature + climate.warming
    humidity = sites.specific_humidity
    if climate.constant_relative_humidity:
        humidity = (
            humidity * _saturation_vapor_pressure(temperature) / _saturation_vapor_pressure(sites.air_temperature)
        )
    mole_fractions = {
        f"mole_fraction_of_{gas}_in_air": np.full(sites.latitude.size, getattr(climate, gas))
        for gas in ("carbon_dioxide", "methane", "nitrous_oxide", "cfc11eq")
    }
    return {
        "air_pressure": _middle(sites.air_pressure_at_interface),
        "air_pressure_at_interface": sites.air_pressure_at_interface,
        "air_temperature": temperature,
        "specific_humidity": humidity,
        "mole_fraction_of_ozone_in_air": sites.mole_fraction_of_ozone_in_air,
        "surface_temperature": sites.surface_temperature + climate.warming,
        "surface_albedo": sites.surface_albedo,
        "cosine_of_solar_zenith_angle": sites.cosine_of_solar_zenith_angle,
        "toa_incoming_shortwave_flux": SOLAR_IRRADIANCE * sites.cosine_of_solar_zenith_angle,
    } | mole_fractions
