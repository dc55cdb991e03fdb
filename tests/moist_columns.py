"""Columns for the tests of convection and microphysics, and the budgets that those keep."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from emagram.physics import thermodynamics
from emagram.physics.constants import Constants
from emagram.physics.fortran_physics.microphysics import microphysics
from emagram.physics.fortran_physics.parcel import parcel_ascent

Array = NDArray[np.float64]

CONSTANTS = Constants()
CP, G, RD = CONSTANTS.heat_capacity_dry_air, CONSTANTS.gravity, CONSTANTS.gas_constant_dry_air
LV, LF = CONSTANTS.latent_heat_vaporization, CONSTANTS.latent_heat_fusion

ENERGY_TOLERANCE = 1.0e-10  # W m-2, what closure of returned rates against returned fluxes means
WATER_TOLERANCE = 1.0e-15  # kg m-2 s-1


@dataclass(frozen=True)
class Columns:
    """Pressures [Pa] (n_column, n_level + 1); the rest [K], [kg kg-1] (n_column, n_level)."""

    pressure_interface: Array
    air_temperature: Array
    specific_humidity: Array
    cloud_liquid: Array
    cloud_ice: Array

    @property
    def pressure(self) -> Array:
        return 0.5 * (self.pressure_interface[:, 1:] + self.pressure_interface[:, :-1])

    @property
    def mass(self) -> Array:
        """[kg m-2]."""
        return np.diff(self.pressure_interface) / G

    @property
    def clear(self) -> dict[str, Array]:
        return {"air_temperature": self.air_temperature, "specific_humidity": self.specific_humidity}

    @property
    def cloudy(self) -> dict[str, Array]:
        return self.clear | {"cloud_liquid": self.cloud_liquid, "cloud_ice": self.cloud_ice}

    def take(self, which: ArrayLike) -> Columns:
        return Columns(*(array[which].copy() for array in vars(self).values()))

    def step(self, rates: dict[str, Array], time_step: float) -> Columns:
        """The state after `time_step` of the rates."""
        return replace(
            self,
            air_temperature=self.air_temperature + rates["rate_temperature"] * time_step,
            specific_humidity=self.specific_humidity + rates["rate_humidity"] * time_step,
            cloud_liquid=self.cloud_liquid + rates["rate_liquid"] * time_step,
            cloud_ice=self.cloud_ice + rates["rate_ice"] * time_step,
        )


def saturation(pressure: ArrayLike, air_temperature: ArrayLike) -> Array:
    """Specific humidity at saturation [kg kg-1], by the Python twin."""
    arguments = (torch.from_numpy(np.array(array, dtype=np.float64)) for array in (pressure, air_temperature))
    return np.asarray(thermodynamics.saturation_specific_humidity(*arguments))


def liquid_share(air_temperature: ArrayLike) -> Array:
    """Of cloud [1], the rule of ClimSim-Online (tfreeze 273.16, 20 K)."""
    return np.clip((np.asarray(air_temperature) - 253.16) / 20.0, 0.0, 1.0)


def water_gain(columns: Columns, rates: dict[str, Array]) -> Array:
    """(q̇v + q̇l + q̇i) Δp/g [kg m-2 s-1] (n_column, n_level)."""
    return (rates["rate_humidity"] + rates["rate_liquid"] + rates["rate_ice"]) * columns.mass


def energy_gain(columns: Columns, rates: dict[str, Array]) -> Array:
    """(cp Ṫ + (Lv + Lf) q̇v + Lf q̇l) Δp/g [W m-2] (n_column, n_level)."""
    energy = CP * rates["rate_temperature"] + (LV + LF) * rates["rate_humidity"] + LF * rates["rate_liquid"]
    return energy * columns.mass


def interfaces(surface_pressure: Array, n_level: int) -> Array:
    """Thin layers at the top, 10 Pa the highest interface."""
    depth = np.linspace(0.0, 1.0, n_level + 1) ** 1.5
    return 10.0 + (surface_pressure[:, None] - 10.0) * depth


def tropical_columns(n_column: int, seed: int, n_level: int = 60) -> Columns:
    """Up to 2 K colder than the pseudoadiabat from their lowest layer, and dry to nearly saturated aloft: with deep,
    shallow and, where that is warmer, no convection.
    """
    rng = np.random.default_rng(seed)
    column = (n_column, 1)
    pressure_interface = interfaces(rng.uniform(0.97e5, 1.03e5, n_column), n_level)
    pressure = 0.5 * (pressure_interface[:, 1:] + pressure_interface[:, :-1])
    lowest = rng.uniform(294.0, 303.0, n_column)
    humid = rng.uniform(0.7, 0.9, n_column) * saturation(pressure[:, -1], lowest)
    ascent = parcel_ascent(pressure, air_temperature=lowest, specific_humidity=humid)
    air_temperature = np.maximum(ascent.air_temperature - rng.uniform(-0.5, 2.0, column), 195.0)
    air_temperature[:, -1] = lowest
    specific_humidity = rng.uniform(0.4, 1.0, column) * saturation(pressure, air_temperature)
    specific_humidity[pressure < 1.0e4] = 3.0e-6
    specific_humidity = np.where(pressure > pressure[:, -1:] - 5.0e3, humid[:, None], specific_humidity)
    cloud = np.zeros_like(pressure)
    return Columns(pressure_interface, air_temperature, specific_humidity, cloud, cloud.copy())


def harsh_columns(n_column: int, seed: int, n_level: int = 60) -> Columns:
    """What a host may bring at its worst: 550 hPa at the surface, 160 K to 330 K, noise of 10 K from layer to layer,
    bone-dry or three times saturated, cloud of either phase at any temperature.
    """
    rng = np.random.default_rng(seed)
    pressure_interface = interfaces(rng.uniform(5.5e4, 1.05e5, n_column), n_level)
    pressure = 0.5 * (pressure_interface[:, 1:] + pressure_interface[:, :-1])
    column = (n_column, 1)
    lapse = rng.uniform(-0.1, 0.35, column)
    air_temperature = rng.uniform(200.0, 325.0, column) * (pressure / pressure_interface[:, -1:]) ** lapse
    air_temperature += rng.normal(0.0, 1.0, pressure.shape) * rng.choice([0.0, 1.0, 10.0], column)
    air_temperature = np.clip(air_temperature, 160.0, 330.0)
    humidity = rng.choice([0.0, 1e-3, 0.5, 0.9, 1.0, 1.1, 3.0], column) * rng.uniform(0.5, 1.0, pressure.shape)
    specific_humidity = np.minimum(humidity * saturation(pressure, air_temperature), 0.08)
    cloud = [
        rng.choice([0.0, 1e-6, 1e-3, 0.02], column)
        * rng.exponential(1.0, pressure.shape)
        * (rng.random(pressure.shape) < 0.4)
        for _ in range(2)
    ]
    return Columns(pressure_interface, air_temperature, specific_humidity, *cloud)


def single_layers(n_column: int, seed: int) -> Columns:
    """One layer each, of any pressure and state, so that nothing falls in from above."""
    rng = np.random.default_rng(seed)
    below = rng.uniform(50.0, 1.05e5, (n_column, 1))
    pressure_interface = np.concatenate([0.97 * below, below], axis=1)
    air_temperature = rng.uniform(175.0, 325.0, (n_column, 1))
    saturated = saturation(pressure_interface.mean(axis=1, keepdims=True), air_temperature)
    specific_humidity = np.minimum(saturated * rng.uniform(0.0, 2.0, (n_column, 1)), 0.08)
    cloud = [rng.choice([0.0, 1e-6, 1e-3, 0.01], (n_column, 1)) * rng.random((n_column, 1)) for _ in range(2)]
    return Columns(pressure_interface, air_temperature, specific_humidity, *cloud)


def adjust(columns: Columns) -> Columns:
    """Saturation adjustment alone."""
    never = 1.0e30  # s, so that nothing is converted
    got = microphysics(
        columns.pressure_interface, time_step=1200.0, **columns.cloudy, liquid_time=never, ice_time=never
    )
    return columns.step(got._asdict(), 1200.0)
