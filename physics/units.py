"""Linear unit conversion: value in the base unit = value x factor + offset.

The table has a twin in fortran_bridge/src/units.hpp, which converts in the gather; a test compares the two.
A unit of mass of water per mass of air ("kg kg-1") and a mole fraction ("1") do not convert into each other,
and "m s-1" is a velocity, never a precipitation rate.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from .errors import EmagramError

Value = TypeVar("Value", float, Tensor)

SECONDS_PER_DAY = 86400.0

# unit, base unit, factor, offset
UNITS: tuple[tuple[str, str, float, float], ...] = (
    ("K", "K", 1.0, 0.0),
    ("degC", "K", 1.0, 273.15),
    ("Pa", "Pa", 1.0, 0.0),
    ("hPa", "Pa", 100.0, 0.0),
    ("kg kg-1", "kg kg-1", 1.0, 0.0),
    ("kg/kg", "kg kg-1", 1.0, 0.0),
    ("g kg-1", "kg kg-1", 1.0e-3, 0.0),
    ("g/kg", "kg kg-1", 1.0e-3, 0.0),
    ("mg kg-1", "kg kg-1", 1.0e-6, 0.0),
    ("mg/kg", "kg kg-1", 1.0e-6, 0.0),
    ("1", "1", 1.0, 0.0),
    ("mol mol-1", "1", 1.0, 0.0),
    ("%", "1", 1.0e-2, 0.0),
    ("1e-6", "1", 1.0e-6, 0.0),
    ("1.e-6", "1", 1.0e-6, 0.0),
    ("ppmv", "1", 1.0e-6, 0.0),
    ("1e-9", "1", 1.0e-9, 0.0),
    ("1.e-9", "1", 1.0e-9, 0.0),
    ("ppbv", "1", 1.0e-9, 0.0),
    ("1e-12", "1", 1.0e-12, 0.0),
    ("1.e-12", "1", 1.0e-12, 0.0),
    ("pptv", "1", 1.0e-12, 0.0),
    ("K s-1", "K s-1", 1.0, 0.0),
    ("K day-1", "K s-1", 1.0 / SECONDS_PER_DAY, 0.0),
    ("kg kg-1 s-1", "kg kg-1 s-1", 1.0, 0.0),
    ("m s-2", "m s-2", 1.0, 0.0),
    ("W m-2", "W m-2", 1.0, 0.0),
    ("kg m-2 s-1", "kg m-2 s-1", 1.0, 0.0),
    ("mm day-1", "kg m-2 s-1", 1.0 / SECONDS_PER_DAY, 0.0),
    ("N m-2", "N m-2", 1.0, 0.0),
    ("m s-1", "m s-1", 1.0, 0.0),
    ("m", "m", 1.0, 0.0),
)

_BY_NAME = {unit: (base, factor, offset) for unit, base, factor, offset in UNITS}


def convert(value: Value, from_unit: str, to_unit: str) -> Value:
    """Convert a number or a tensor, x_to = x_from · f_from / f_to + (o_from − o_to) / f_to.

    Args:
        value: [from_unit], any shape.
        from_unit, to_unit: units of the table with one base unit.
    Returns:
        [to_unit], same shape; `value` itself where the units are equal.
    Raises:
        EmagramError: if a unit is unknown or the two have different base units.
    """
    from_base, from_factor, from_offset = _row(from_unit)
    to_base, to_factor, to_offset = _row(to_unit)
    if from_base != to_base:
        raise EmagramError(f"unit '{from_unit}': expected one that converts to '{to_unit}', got one of '{from_base}'")
    if (from_factor, from_offset) == (to_factor, to_offset):
        return value
    return value * (from_factor / to_factor) + (from_offset - to_offset) / to_factor


def _row(unit: str) -> tuple[str, float, float]:
    try:
        return _BY_NAME[unit]
    except KeyError:
        raise EmagramError(f"unit '{unit}': expected one of {sorted(_BY_NAME)}") from None
