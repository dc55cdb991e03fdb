"""What the column host begins with: the grid, the constants of every column, its forcing, and a first state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import netCDF4
import numpy as np
import torch
from numpy.typing import NDArray

from ..emulators.data.climsim_grid import ColumnGrid
from ..physics.constants import Constants
from ..physics.errors import EmagramError
from ..physics.thermodynamics import saturation_specific_humidity
from .case import SECONDS_PER_DAY, CaseConfig, ForcingConfig, PerturbationConfig, SurfaceConfig

Array = NDArray[np.float64]

SURFACE_PRESSURE = 1.0e5  # Pa
PRESSURE_SPREAD = 500.0  # Pa
LAPSE_RATE = 6.5e-3  # K m-1
COLDEST_AIR = 195.0  # K
STRATOSPHERIC_HUMIDITY = 2.5e-6  # kg kg-1
SURFACE_HUMIDITY = 0.8  # relative, times (p / ps) and so lower aloft
PERTURBATION = 0.2  # K in the lowest 150 hPa
N_WAVE = 4  # of random profiles
JET_FACTOR = 6.0  # wind at the top of the troposphere over wind at the surface
MOLAR_MASS = {"air": 28.966, "ozone": 47.998, "methane": 16.043, "nitrous_oxide": 44.013}
METHANE, NITROUS_OXIDE = 1.65e-6, 3.06e-7
"""Mole fractions of RCEMIP (Wing et al. 2018, doi:10.5194/gmd-11-793-2018)."""

UNITS = {
    "hyai": "1",
    "hybi": "1",
    "P0": "Pa",
    "lat": "degrees_north",
    "lon": "degrees_east",
    "area": "steradian",
    "surface_air_pressure": "Pa",
    "surface_wetness": "1",
    "land_area_fraction": "1",
    "surface_heat_capacity": "J m-2 K-1",
    "reference_surface_temperature": "K",
    "surface_temperature": "K",
    "air_temperature": "K",
    "specific_humidity": "kg kg-1",
    "mass_fraction_of_cloud_liquid_water_in_air": "kg kg-1",
    "mass_fraction_of_cloud_ice_in_air": "kg kg-1",
    "eastward_wind": "m s-1",
    "northward_wind": "m s-1",
    "mass_fraction_of_ozone_in_air": "kg kg-1",
    "mass_fraction_of_methane_in_air": "kg kg-1",
    "mass_fraction_of_nitrous_oxide_in_air": "kg kg-1",
    "forcing_period": "s",
    "forcing_phase": "radian",
    "forcing_half_waves": "1",
    "forcing_vertical_velocity": "Pa s-1",
    "forcing_heating": "K s-1",
    "forcing_relative_moistening": "s-1",
} | {f"albedo_{light}_{band}": "1" for light in ("direct", "diffuse") for band in ("visible", "near_infrared")}


def make_initial_state(case: CaseConfig, grid: ColumnGrid) -> dict[str, Array]:
    """All variables of the host's initial file.

    Returns:
        arrays by name: (n_level + 1,), (n_column,), (n_column, n_level) or (n_column, n_mode), units as in UNITS.
    """
    random = np.random.default_rng(case.seed)
    columns = _surface(case.surface, grid, random)
    pressure = _pressure(grid, columns["surface_air_pressure"])
    profiles = _profiles(pressure, columns, case.forcing.wind * np.ones(grid.n_column))
    profiles |= _spread(case, profiles, pressure)
    state = {name: value.copy() for name, value in profiles.items()}
    low = pressure > columns["surface_air_pressure"][:, None] - 1.5e4
    state["air_temperature"] += low * random.normal(0.0, PERTURBATION, pressure.shape)
    if case.perturbation is not None:
        state["air_temperature"] *= _factors(case.perturbation, pressure.shape)
        if case.perturbation.weather is not None:
            random = np.random.default_rng(case.perturbation.weather)
    none = np.zeros_like(pressure)
    return (
        {"hyai": np.array(grid.coordinate.hyai), "hybi": np.array(grid.coordinate.hybi)}
        | {"P0": np.array([grid.coordinate.p0])}
        | columns
        | state
        | {"mass_fraction_of_cloud_liquid_water_in_air": none, "mass_fraction_of_cloud_ice_in_air": none}
        | {f"reference_{name}": value for name, value in profiles.items()}
        | _gases(pressure)
        | _modes(case.forcing, grid.n_column, random)
    )


def write_initial_state(path: Path, variables: Mapping[str, Array]) -> None:
    """Write the initial file; it appears under its name only when it is complete.

    Raises:
        EmagramError: if the folder cannot be written or the disk is full; nothing is then left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with netCDF4.Dataset(temporary, "w", format="NETCDF3_64BIT_OFFSET") as file:
            _fill(file, variables)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise EmagramError(f"file '{path}': expected to write it, got '{error}'") from error
    finally:
        temporary.unlink(missing_ok=True)


def _fill(file: netCDF4.Dataset, variables: Mapping[str, Array]) -> None:
    n_column, n_level = variables["air_temperature"].shape
    sizes = {"ncol": n_column, "lev": n_level, "ilev": n_level + 1, "one": 1}
    for name, size in (sizes | {"mode": variables["forcing_period"].shape[1]}).items():
        file.createDimension(name, size)
    for name, values in variables.items():
        variable = file.createVariable(name, "f8", _dimensions(name, values))
        variable[...] = values
        variable.units = UNITS[name if name in UNITS else name.removeprefix("reference_")]
    file.createVariable("complete", "i4", ())[...] = 1  # last, and so missing from a truncated file


def _dimensions(name: str, values: Array) -> tuple[str, ...]:
    if name == "P0":
        return ("one",)
    if name in ("hyai", "hybi"):
        return ("ilev",)
    if values.ndim == 1:
        return ("ncol",)
    return ("ncol", "mode" if name.startswith("forcing_") else "lev")


def sea_surface_temperature(latitude: Array, config: SurfaceConfig) -> Array:
    """The aqua-planet profile "Qobs", T = T_c + (T_w − T_c) (1 − (sin² 1.5φ + sin⁴ 1.5φ)/2), T_c poleward of 60°.

    Args:
        latitude: [degree_north] (n_column,).
    Returns:
        [K] (n_column,).
    Source: Neale and Hoskins 2000, doi:10.1006/asle.2000.0022
    """
    squared = np.sin(np.deg2rad(1.5 * np.clip(latitude, -60.0, 60.0))) ** 2
    share = 1.0 - 0.5 * (squared + squared**2)
    return np.asarray(config.coldest + (config.warmest - config.coldest) * share + config.warming)


def ozone_mole_fraction(pressure: Array) -> Array:
    """An equatorial profile, 3.6478e-6 p^0.83209 e^(−p / 11.3515) with p in hPa.

    Args:
        pressure: [Pa], any shape.
    Returns:
        [1], same shape.
    Source: Wing et al. 2018, doi:10.5194/gmd-11-793-2018
    """
    hectopascal = 0.01 * pressure
    return np.asarray(3.6478e-6 * hectopascal**0.83209 * np.exp(-hectopascal / 11.3515))


def _surface(config: SurfaceConfig, grid: ColumnGrid, random: np.random.Generator) -> dict[str, Array]:
    """Everything with one value in a column; the random field that decides what is land is smooth on the sphere."""
    latitude, longitude = np.deg2rad(grid.latitude), np.deg2rad(grid.longitude)
    place = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])
    waves, phases = random.normal(0.0, 2.5, (12, 3)), random.uniform(0.0, 2.0 * np.pi, (12, 1))
    rank = np.argsort(np.argsort(-np.cos(waves @ place + phases).sum(axis=0)))
    land = (rank < round(config.land.share * grid.n_column)).astype(np.float64)
    temperature = sea_surface_temperature(grid.latitude, config)
    visible = np.where(land > 0.0, config.land.albedo_visible, config.albedo)
    near_infrared = np.where(land > 0.0, config.land.albedo_near_infrared, config.albedo)
    return {
        "lat": grid.latitude,
        "lon": grid.longitude,
        "area": grid.area,
        "surface_air_pressure": SURFACE_PRESSURE + random.normal(0.0, PRESSURE_SPREAD, grid.n_column),
        "surface_wetness": np.where(land > 0.0, config.land.wetness, 1.0),
        "land_area_fraction": land,
        "surface_heat_capacity": np.where(land > 0.0, config.land.heat_capacity, config.heat_capacity),
        "reference_surface_temperature": temperature,
        "surface_temperature": temperature,
        "albedo_direct_visible": visible,
        "albedo_diffuse_visible": visible,
        "albedo_direct_near_infrared": near_infrared,
        "albedo_diffuse_near_infrared": near_infrared,
    }


def _pressure(grid: ColumnGrid, surface_pressure: Array) -> Array:
    interface = grid.coordinate.interface_pressure(torch.from_numpy(surface_pressure)).numpy()
    return np.asarray(0.5 * (interface[:, 1:] + interface[:, :-1]))


def _profiles(pressure: Array, columns: Mapping[str, Array], wind: Array) -> dict[str, Array]:
    """Temperature of a constant lapse rate down to COLDEST_AIR, humidity below saturation, trades and westerlies."""
    constants = Constants()
    sigma = pressure / columns["surface_air_pressure"][:, None]
    exponent = LAPSE_RATE * constants.gas_constant_dry_air / constants.gravity
    temperature = np.maximum(columns["surface_temperature"][:, None] * sigma**exponent, COLDEST_AIR)
    saturation = saturation_specific_humidity(torch.from_numpy(pressure), torch.from_numpy(temperature)).numpy()
    humidity = np.minimum(SURFACE_HUMIDITY * sigma * saturation, 0.03)
    # above the tropopause the mixing ratio no longer follows saturation
    humidity = np.where(sigma > 0.1, np.maximum(humidity, STRATOSPHERIC_HUMIDITY), STRATOSPHERIC_HUMIDITY)
    latitude = np.deg2rad(columns["lat"])[:, None]
    jet = 1.0 + (JET_FACTOR - 1.0) * np.sin(np.pi * np.clip(1.15 * (1.0 - sigma), 0.0, 1.0)) * np.sin(latitude) ** 2
    return {
        "air_temperature": temperature,
        "specific_humidity": np.minimum(humidity, 0.9 * saturation),
        "eastward_wind": -wind[:, None] * np.cos(3.0 * latitude) * jet,
        "northward_wind": -0.5 * wind[:, None] * np.sin(2.0 * latitude) * sigma**4,
    }


def _spread(case: CaseConfig, profiles: Mapping[str, Array], pressure: Array) -> dict[str, Array]:
    """Temperature and humidity of columns that differ by smooth random profiles; drawn apart from all else.

    Sums of N_WAVE sinusoids in the logarithm of pressure, from none to a wave and a half over the column.
    """
    if not (case.spread.temperature or case.spread.humidity):
        return {}
    random = np.random.default_rng([case.seed, 1])
    height = -np.log(pressure / pressure[:, -1:])
    height = np.pi * height / height[:, :1]

    def smooth() -> Array:
        amplitude = random.normal(0.0, np.sqrt(2.0 / N_WAVE), (len(pressure), N_WAVE, 1))
        phase = random.uniform(0.0, 2.0 * np.pi, (len(pressure), N_WAVE, 1))
        return np.asarray((amplitude * np.sin(np.arange(N_WAVE)[:, None] * height[:, None] + phase)).sum(axis=1))

    temperature = profiles["air_temperature"] + case.spread.temperature * smooth()
    saturation = saturation_specific_humidity(torch.from_numpy(pressure), torch.from_numpy(temperature)).numpy()
    humidity = profiles["specific_humidity"] * np.exp(case.spread.humidity * smooth())
    return {"air_temperature": temperature, "specific_humidity": np.minimum(humidity, 0.9 * saturation)}


def _factors(config: PerturbationConfig, shape: tuple[int, ...]) -> Array:
    """Near 1, uniformly random."""
    return np.asarray(1.0 + config.relative * np.random.default_rng(config.seed).uniform(-1.0, 1.0, shape))


def _gases(pressure: Array) -> dict[str, Array]:
    """Mass fractions of the gases that ClimSim names."""
    mole_fraction = {
        "ozone": ozone_mole_fraction(pressure),
        "methane": np.full_like(pressure, METHANE),
        "nitrous_oxide": np.full_like(pressure, NITROUS_OXIDE),
    }
    return {
        f"mass_fraction_of_{gas}_in_air": value * (MOLAR_MASS[gas] / MOLAR_MASS["air"])
        for gas, value in mole_fraction.items()
    }


def _modes(config: ForcingConfig, n_column: int, random: np.random.Generator) -> dict[str, Array]:
    """Sinusoids: periods uniform in their logarithm, one and two half waves in turn, normal amplitudes.

    A file cannot hold an empty dimension, so no mode is one mode of zero.
    """
    shape = (n_column, max(config.n_mode, 1))
    spread = np.sqrt(2.0 / shape[1]) if config.n_mode else 0.0  # a sinusoid of amplitude √2 varies by 1
    shortest, longest = np.log(config.shortest_period), np.log(config.longest_period)
    amplitude = {
        "forcing_vertical_velocity": config.vertical_velocity,
        "forcing_heating": config.heating / SECONDS_PER_DAY,
        "forcing_relative_moistening": config.moistening / SECONDS_PER_DAY,
    }
    return {
        "forcing_period": SECONDS_PER_DAY * np.exp(random.uniform(shortest, longest, shape)),
        "forcing_phase": random.uniform(0.0, 2.0 * np.pi, shape),
        "forcing_half_waves": np.broadcast_to(1.0 + np.arange(shape[1]) % 2, shape).copy(),
    } | {name: spread * value * random.normal(0.0, 1.0, shape) for name, value in amplitude.items()}
