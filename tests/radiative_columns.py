"""Columns for the tests of radiation: pressure, temperature, water, ozone and surfaces, ordinary and extreme."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commands import ROOT
from emagram.physics.constants import Constants
from emagram.physics.fortran_physics.longwave import Longwave, longwave
from emagram.physics.fortran_physics.shortwave import Albedo, Shortwave, shortwave

Array = NDArray[np.float64]
CONSTANTS = Constants()

# float64 sums of 60 layers against fluxes of up to 1500 W m-2
CLOSURE = 1.0e-10  # [W m-2]


@dataclass(frozen=True)
class Columns:
    """Layers (n_column, n_level), interfaces (n_column, n_level + 1), the rest (n_column,); units as everywhere."""

    interface: Array
    temperature: Array
    humidity: Array
    liquid: Array
    ice: Array
    ozone: Array
    surface_up: Array
    cosine: Array
    sunlight: Array
    albedo: Array  # (4, n_column), in the order of Albedo

    @property
    def thickness(self) -> Array:
        return np.diff(self.interface, axis=1)

    @property
    def path(self) -> Array:
        """Mass of air of the layers [kg m-2]."""
        return self.thickness / CONSTANTS.gravity

    def take(self, index: Any) -> "Columns":
        fields = {name: np.ascontiguousarray(values[index]) for name, values in vars(self).items() if name != "albedo"}
        return Columns(**fields, albedo=self.albedo[:, index])

    def without(self, *names: str) -> "Columns":
        return replace(self, **{name: np.zeros_like(getattr(self, name)) for name in names})

    def longwave(self, **parameters: float) -> Longwave:
        return longwave(
            self.interface,
            self.temperature,
            self.humidity,
            cloud_liquid=self.liquid,
            cloud_ice=self.ice,
            surface_upwelling_longwave_flux=self.surface_up,
            **parameters,
        )

    def shortwave(self, **parameters: float) -> Shortwave:
        return shortwave(
            self.interface,
            self.humidity,
            cloud_liquid=self.liquid,
            cloud_ice=self.ice,
            ozone=self.ozone,
            cosine_of_solar_zenith_angle=self.cosine,
            toa_incoming_shortwave_flux=self.sunlight,
            albedo=Albedo(*self.albedo),
            **parameters,
        )

    def heating(self, rate: Array) -> Array:
        """Column sum of cp · rate · Δp/g [W m-2] (n_column,)."""
        return CONSTANTS.heat_capacity_dry_air * (rate * self.path).sum(axis=1)


def interface_pressure(surface: Array, n_level: int, top: float = 5.6) -> Array:
    """From the top to the surface [Pa]; with 60 levels, layers of 10 Pa at the top and of 12 hPa at the ground."""
    level = np.linspace(0.0, 59.0, n_level)
    thickness = np.minimum(10.0 * 1.2**level, 1200.0 + 90.0 * (59.0 - level))
    sigma = np.concatenate([[0.0], np.cumsum(thickness) / thickness.sum()])
    return top + (surface[:, None] - top) * sigma


def ozone_profile(pressure: Array) -> Array:
    """Mass mixing ratio [kg kg-1], 10 ppmv near 10 hPa, as in the protocol of RCEMIP (Wing et al. 2018)."""
    hectopascal = pressure / 100.0
    return 3.6478e-6 * hectopascal**0.83209 * np.exp(-hectopascal / 11.3515) * 48.0 / 28.97


def atmospheres(n_column: int, n_level: int = 60, seed: int = 0) -> Columns:
    """From poles to tropics and from sea to plateau, half of them cloudy, by day."""
    rng = np.random.default_rng(seed)
    surface_temperature = rng.uniform(235.0, 304.0, n_column)
    interface = interface_pressure(rng.uniform(5.5e4, 1.03e5, n_column), n_level)
    middle = 0.5 * (interface[:, 1:] + interface[:, :-1])
    temperature = surface_temperature[:, None] * (middle / interface[:, -1:]) ** 0.19
    temperature = np.maximum(temperature, rng.uniform(190.0, 220.0, (n_column, 1))) + rng.normal(0.0, 1.0, middle.shape)
    saturation = 0.622 * 611.0 * np.exp(17.3 * (temperature - 273.16) / (temperature - 35.9)) / middle
    humidity = np.where(middle > 2.0e4, 0.7 * np.minimum(saturation, 0.03), 3.0e-6)
    cloudy = (rng.random(middle.shape) < 0.2) & (middle > 2.0e4) & (rng.random((n_column, 1)) < 0.5)
    cosine = rng.uniform(0.02, 1.0, n_column)
    return Columns(
        interface=interface,
        temperature=temperature,
        humidity=humidity,
        liquid=np.where(cloudy & (temperature > 255.0), rng.exponential(1.0e-4, middle.shape), 0.0),
        ice=np.where(cloudy & (temperature < 265.0), rng.exponential(3.0e-5, middle.shape), 0.0),
        ozone=ozone_profile(middle),
        surface_up=CONSTANTS.stefan_boltzmann * surface_temperature**4,
        cosine=cosine,
        sunlight=1361.0 * cosine,
        albedo=rng.uniform(0.03, 0.9, (4, n_column)),
    )


def harsh(n_level: int = 60) -> Columns:
    """What no column may fail on: dark, grazing; dry, all vapour, fog of 10 g/kg; 100 K, 400 K; white, black."""
    columns = atmospheres(12, n_level, seed=3)
    humidity, temperature, liquid, ice, ozone, albedo, cosine = (
        values.copy()
        for values in (
            columns.humidity,
            columns.temperature,
            columns.liquid,
            columns.ice,
            columns.ozone,
            columns.albedo,
            columns.cosine,
        )
    )
    humidity[0] = 0.0
    humidity[1] = 1.0
    humidity[2] = -1.0e-20
    liquid[3] = 0.01
    ice[4] = 0.01
    temperature[5] = 100.0
    temperature[6] = 400.0
    temperature[7] = np.where(np.arange(n_level) % 2, 180.0, 320.0)
    ozone[8] = 0.0
    ozone[9] = 1.0e-3
    albedo[:, :6] = 1.0
    albedo[:, 6:9] = 0.0
    cosine[[0, 3, 4, 5]] = 1.0, 1.0e-300, 1.0e-9, 0.0
    cosine[[6, 7]] = 1.0e-4, 1.0
    return replace(
        columns,
        humidity=humidity,
        temperature=temperature,
        liquid=liquid,
        ice=ice,
        ozone=ozone,
        albedo=albedo,
        cosine=cosine,
    )


def fortran_defaults(process: str) -> dict[str, float]:
    """Default values of type <process>_parameters, read in the source of the kernels."""
    source = (ROOT / "physics" / "fortran" / f"emagram_{process}_kernels.f90").read_text()
    body = source.split(f":: {process}_parameters\n")[1].split("end type")[0]
    pairs = re.findall(r":: (\w+) = ([-+.\de]+)_rk", body)
    return {name: float(value) for name, value in pairs}


def python_defaults(front: Callable[..., Any]) -> dict[str, float]:
    """Default values of the keywords of a front."""
    parameters = inspect.signature(front).parameters.values()
    return {item.name: item.default for item in parameters if item.default is not inspect.Parameter.empty}
