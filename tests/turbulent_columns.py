"""Columns of air for the tests of the surface exchange, the boundary layer and the budgets; level 0 is the top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emagram.physics.constants import Constants

Array = NDArray[np.float64]
CONSTANTS = Constants()
ENERGY_TOLERANCE = 1.0e-10  # W m-2, what every process promises
WATER_TOLERANCE = 1.0e-15  # kg m-2 s-1


@dataclass(frozen=True)
class Columns:
    """A state (n_column, n_level) on pressure_interface (n_column, n_level + 1), and what is per column."""

    pressure_interface: Array
    air_temperature: Array
    specific_humidity: Array
    cloud_liquid: Array
    cloud_ice: Array
    eastward_wind: Array
    northward_wind: Array
    surface_temperature: Array
    wetness: Array

    @property
    def mass(self) -> Array:
        """[kg m-2] of the layers."""
        return np.diff(self.pressure_interface, axis=1) / CONSTANTS.gravity

    @property
    def state(self) -> dict[str, Array]:
        """What the surface exchange and the turbulence need of the air."""
        names = ("air_temperature", "specific_humidity", "eastward_wind", "northward_wind")
        return {name: getattr(self, name) for name in names}

    @property
    def cloud(self) -> dict[str, Array]:
        return {"cloud_liquid": self.cloud_liquid, "cloud_ice": self.cloud_ice}

    def take(self, columns: NDArray[np.int_]) -> Columns:
        return Columns(**{name: array[columns] for name, array in vars(self).items()})


def interfaces(surface_pressure: Array, n_level: int, top: Array | float = 10.0) -> Array:
    """Thin layers at the top, thinner ones at the surface than between."""
    sigma = np.linspace(0.0, 1.0, n_level + 1)
    sigma = 0.5 * (sigma**3 + sigma**1.3)
    column_top = np.broadcast_to(top, surface_pressure.shape)[:, None]
    return column_top + (surface_pressure[:, None] - column_top) * sigma


def ordinary_columns(n_column: int, seed: int, n_level: int = 60) -> Columns:
    """Something like the tropics and the middle latitudes."""
    rng = np.random.default_rng(seed)
    pressure = interfaces(rng.uniform(9.0e4, 1.04e5, n_column), n_level)
    middle = 0.5 * (pressure[:, 1:] + pressure[:, :-1]) / 1.0e5
    near_surface = rng.uniform(265.0, 305.0, (n_column, 1))
    temperature = np.maximum(near_surface * middle**0.19, 205.0) + rng.normal(0.0, 0.3, middle.shape)
    humidity = 0.8 * 0.02 * np.exp(0.065 * (near_surface - 300.0)) * middle**3
    wind = rng.normal(0.0, 6.0, (2, n_column, 1)) + rng.normal(0.0, 12.0, (2, n_column, 1)) * (1.0 - middle)
    cloud = 1.0e-4 * rng.uniform(0.0, 1.0, (2, *middle.shape)) * (rng.uniform(size=middle.shape) < 0.3)
    return Columns(
        pressure,
        temperature,
        humidity,
        *cloud,
        *wind,
        near_surface[:, 0] + rng.normal(1.0, 3.0, n_column),
        np.where(rng.uniform(size=n_column) < 0.3, rng.uniform(size=n_column), 1.0),
    )


def harsh_columns(n_column: int, seed: int, n_level: int = 60) -> Columns:
    """Noise from layer to layer, still and stormy air, vacuum at the top, plateaus, deserts and supersaturation."""
    rng = np.random.default_rng(seed)

    def some(probability: float) -> NDArray[np.bool_]:
        return rng.uniform(size=(n_column, 1)) < probability

    top = rng.choice([0.0, 1.0e-3, 10.0, 1000.0], n_column)
    pressure = interfaces(rng.uniform(5.5e4, 1.08e5, n_column), n_level, top)
    shape = (n_column, n_level)
    temperature = rng.uniform(160.0, 320.0, (n_column, 1)) + some(0.5) * rng.uniform(-30.0, 30.0, shape)
    humidity = rng.uniform(0.0, 0.04, shape) * (rng.uniform(size=shape) < rng.uniform(size=(n_column, 1)))
    cloud = rng.uniform(0.0, 3.0e-3, (2, *shape)) * (rng.uniform(size=(2, *shape)) < 0.3)
    wind = some(0.8) * (rng.uniform(-60.0, 60.0, (2, n_column, 1)) + some(0.7) * rng.uniform(-60.0, 60.0, (2, *shape)))
    return Columns(
        pressure,
        temperature,
        humidity,
        *cloud,
        *wind,
        rng.uniform(180.0, 330.0, n_column),
        rng.choice([0.0, 0.3, 1.0], n_column),
    )


def exact_sum(terms: Array) -> Array:
    """Sums over the layers without rounding."""
    return np.array([math.fsum(row) for row in terms])


def energy_gain(columns: Columns, rates: dict[str, Array], time_step: float) -> Array:
    """Σ (cp Ṫ + (Lv+Lf) q̇v + Lf q̇l + K̇) Δp/g [W m-2], in extended precision; rates that are missing are 0."""
    wide = {name: rates.get(name, np.zeros_like(columns.mass)).astype(np.longdouble) for name in RATES}
    step = np.longdouble(time_step)
    kinetic = sum(
        ((wind + rate * step) ** 2 - wind**2) / (2 * step)
        for wind, rate in (
            (columns.eastward_wind.astype(np.longdouble), wide["rate_eastward_wind"]),
            (columns.northward_wind.astype(np.longdouble), wide["rate_northward_wind"]),
        )
    )
    vapor = CONSTANTS.latent_heat_vaporization + CONSTANTS.latent_heat_fusion
    energy = (
        CONSTANTS.heat_capacity_dry_air * wide["rate_temperature"]
        + vapor * wide["rate_humidity"]
        + CONSTANTS.latent_heat_fusion * wide["rate_liquid"]
        + kinetic
    )
    return np.asarray((energy * columns.mass.astype(np.longdouble)).sum(axis=1), dtype=np.float64)


RATES = (
    "rate_temperature",
    "rate_humidity",
    "rate_liquid",
    "rate_ice",
    "rate_eastward_wind",
    "rate_northward_wind",
)


def heights(columns: Columns) -> tuple[Array, Array, Array]:
    """Virtual temperature and heights [m] of layers and of the interfaces below the first."""
    virtual = columns.air_temperature * (1.0 + (1.0 / CONSTANTS.epsilon - 1.0) * columns.specific_humidity)
    p = columns.pressure_interface
    scale = CONSTANTS.gas_constant_dry_air * virtual / CONSTANTS.gravity
    middle = 0.5 * (p[:, 1:] + p[:, :-1])
    lower = np.zeros_like(virtual)  # of the lower interface of each layer
    lower[:, :-1] = np.cumsum((scale[:, 1:] * np.log(p[:, 2:] / p[:, 1:-1]))[:, ::-1], axis=1)[:, ::-1]
    return virtual, lower + scale * np.log(p[:, 1:] / middle), lower[:, :-1]


def dry_column(lapse: tuple[Array, Array] | float, n_level: int = 200) -> Columns:
    """Dry, still, ps = 1000 hPa; potential temperature 300 K at the ground, rising by `lapse` [K m-1], or over heights
    [m] by amounts [K]."""
    pressure = interfaces(np.array([1.0e5]), n_level, 1.0e4)
    middle = 0.5 * (pressure[:, 1:] + pressure[:, :-1])
    height = np.zeros_like(middle)
    for _ in range(20):  # hydrostatic height of this temperature
        temperature = (300.0 + (np.interp(height, *lapse) if isinstance(lapse, tuple) else lapse * height)) * (
            middle / 1.0e5
        ) ** (CONSTANTS.gas_constant_dry_air / CONSTANTS.heat_capacity_dry_air)
        columns = still(pressure, temperature)
        height = heights(columns)[1]
    return columns


def still(pressure: Array, temperature: Array) -> Columns:
    zero = np.zeros_like(temperature)
    return Columns(pressure, temperature, zero, zero, zero, zero, zero, temperature[:, -1], np.ones(len(pressure)))


def climt_state(columns: Columns, surface_humidity: Array) -> dict[str, Any]:
    """The state as climt takes it, level 0 at the surface."""
    from sympl import DataArray

    middle = 0.5 * (columns.pressure_interface[:, 1:] + columns.pressure_interface[:, :-1])

    def field(values: Array, units: str, levels: str = "") -> Any:
        dims = [levels, "column"] if levels else ["column"]
        return DataArray(values.T[::-1].copy() if levels else values.copy(), dims=dims, attrs={"units": units})

    surface_pressure = columns.pressure_interface[:, -1]
    return {
        "time": timedelta(0),
        "air_temperature": field(columns.air_temperature, "degK", "mid_levels"),
        "specific_humidity": field(columns.specific_humidity, "kg/kg", "mid_levels"),
        "eastward_wind": field(columns.eastward_wind, "m s^-1", "mid_levels"),
        "northward_wind": field(columns.northward_wind, "m s^-1", "mid_levels"),
        "air_pressure": field(middle, "Pa", "mid_levels"),
        "air_pressure_on_interface_levels": field(columns.pressure_interface, "Pa", "interface_levels"),
        "surface_air_pressure": field(surface_pressure, "Pa"),
        "surface_temperature": field(columns.surface_temperature, "degK"),
        "surface_specific_humidity": field(surface_humidity, "kg/kg"),
        "latitude": field(np.zeros_like(surface_pressure), "degrees_north"),
    }
