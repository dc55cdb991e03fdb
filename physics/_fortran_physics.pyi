"""Compiled from physics/fortran/ by f90wrap; `fortran_physics` is the front."""

from numpy import float64
from numpy.typing import NDArray

Array = NDArray[float64]

def wrap_emagram_thermodynamics__saturation_vapor_pressure_liquid(
    air_temperature: Array, pressure: Array
) -> tuple[int, bytes]: ...
def wrap_emagram_thermodynamics__saturation_vapor_pressure_ice(
    air_temperature: Array, pressure: Array
) -> tuple[int, bytes]: ...
def wrap_emagram_thermodynamics__saturation_vapor_pressure(
    air_temperature: Array, pressure: Array
) -> tuple[int, bytes]: ...
def wrap_emagram_thermodynamics__vapor_pressure(
    air_pressure: Array, specific_humidity: Array, pressure: Array
) -> tuple[int, bytes]: ...
def wrap_emagram_thermodynamics__relative_humidity(
    air_pressure: Array, air_temperature: Array, specific_humidity: Array, humidity: Array
) -> tuple[int, bytes]: ...
