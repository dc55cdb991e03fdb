"""The Fortran thermodynamics for numpy arrays.

Same names, arguments and units as in `physics.thermodynamics`; arrays of any one shape, computed in float64.
"""

from __future__ import annotations

from dataclasses import fields
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _fortran_physics
from ..constants import Constants
from .call import Array, call


def constants() -> Constants:
    """The constants that the Fortran sources were compiled with."""
    prefix = "wrap_emagram_constants__get__"
    return Constants(**{field.name: getattr(_fortran_physics, prefix + field.name)() for field in fields(Constants)})


def saturation_vapor_pressure_liquid(air_temperature: ArrayLike) -> Array:
    """Saturation vapour pressure over liquid water [Pa] at air_temperature [K].

    Raises:
        EmagramError: if a value is not finite and above 0.
    """
    return _call("saturation_vapor_pressure_liquid", air_temperature)


def saturation_vapor_pressure_ice(air_temperature: ArrayLike) -> Array:
    """Saturation vapour pressure over ice [Pa] at air_temperature [K].

    Raises:
        EmagramError: if a value is not finite and above 0.
    """
    return _call("saturation_vapor_pressure_ice", air_temperature)


def saturation_vapor_pressure(air_temperature: ArrayLike) -> Array:
    """Mixed-phase saturation vapour pressure [Pa] at air_temperature [K].

    Raises:
        EmagramError: if a value is not finite and above 0.
    """
    return _call("saturation_vapor_pressure", air_temperature)


def vapor_pressure(air_pressure: ArrayLike, specific_humidity: ArrayLike) -> Array:
    """Partial pressure of water vapour [Pa] at air_pressure [Pa] and specific_humidity [kg kg-1].

    Raises:
        EmagramError: if the sizes differ, or a value is not finite or a pressure not above 0.
    """
    return _call("vapor_pressure", air_pressure, specific_humidity)


def relative_humidity(air_pressure: ArrayLike, air_temperature: ArrayLike, specific_humidity: ArrayLike) -> Array:
    """Relative humidity [1] at air_pressure [Pa], air_temperature [K] and specific_humidity [kg kg-1].

    Raises:
        EmagramError: if the sizes differ, or a value is not finite, or a pressure or temperature not above 0.
    """
    return _call("relative_humidity", air_pressure, air_temperature, specific_humidity)


def saturation_specific_humidity(air_pressure: ArrayLike, air_temperature: ArrayLike) -> Array:
    """Specific humidity at mixed-phase saturation [kg kg-1] at air_pressure [Pa] and air_temperature [K], at most 1.

    Raises:
        EmagramError: if the sizes differ, or a value is not finite and above 0.
    """
    return _call("saturation_specific_humidity", air_pressure, air_temperature)


class Saturation(NamedTuple):
    """Saturated air."""

    humidity: Array  # [kg kg-1], as saturation_specific_humidity, to the last bit
    slope: Array  # [kg kg-1 K-1], dq/dT at constant pressure
    slope_pressure: Array  # [kg kg-1], dq/d(ln p) at constant temperature


def saturate_air(air_pressure: ArrayLike, air_temperature: ArrayLike) -> Saturation:
    """Specific humidity at mixed-phase saturation and its derivatives, at air_pressure [Pa] and air_temperature [K].

    The derivatives are 0 where the air cannot saturate.

    Raises:
        EmagramError: if the sizes differ, or a value is not finite and above 0.
    """
    shape = np.shape(air_pressure)
    flat = [np.asarray(argument).reshape(-1) for argument in (air_pressure, air_temperature)]
    results = call("thermodynamics", "saturate_air", *flat, results=[(flat[0].size,)] * 3)
    return Saturation(*(result.reshape(shape) for result in results))


def _call(procedure: str, *arguments: ArrayLike) -> Array:
    """Pass flat arrays; a result of the first one's shape."""
    first = np.asarray(arguments[0])
    flat = [np.asarray(argument).reshape(-1) for argument in arguments]
    (result,) = call("thermodynamics", procedure, *flat, results=[(first.size,)])
    return result.reshape(first.shape)
