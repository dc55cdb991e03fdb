"""Reading NetCDF variables with every check in one place: what arrives is float64, plausible, and in the
unit asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import netCDF4
import numpy as np
import torch
from numpy.typing import NDArray

from ...physics.errors import EmagramError
from ...physics.units import convert
from .netcdf_classic import require_complete

Array = NDArray[np.float64]


@contextmanager
def open_netcdf(path: Path) -> Iterator[netCDF4.Dataset]:
    """Open a file for reading.

    Raises:
        EmagramError: if there is no such file, or it is not NetCDF, or (here or while variables are read) truncated.
    """
    if not Path(path).is_file():
        raise EmagramError(f"file '{path}': expected a NetCDF file, got no such file")
    try:
        with netCDF4.Dataset(path) as file:
            require_complete(path)
            yield file
    except (OSError, RuntimeError) as error:
        raise EmagramError(f"file '{path}': expected a complete NetCDF file, got '{error}'") from error


def read_dimension(file: netCDF4.Dataset, name: str) -> int:
    """Size of a dimension.

    Raises:
        EmagramError: if the file does not have it, or it is empty.
    """
    if name not in file.dimensions or len(file.dimensions[name]) == 0:
        raise EmagramError(f"file '{file.filepath()}': expected a dimension '{name}', got {sorted(file.dimensions)}")
    return len(file.dimensions[name])


def read_variable(
    file: netCDF4.Dataset,
    name: str,
    dimensions: Mapping[str, int],
    *,
    unit: str,
    valid_range: tuple[float, float],
) -> Array:
    """Read a variable, widen it to float64, then convert its unit.

    Args:
        file: open for reading.
        name: of the variable in the file.
        dimensions: expected dimensions and their sizes, in order.
        unit: to convert to, from what the attribute `units` says.
        valid_range: smallest and largest plausible value [unit]; fill values, declared or not, lie outside.
    Returns:
        [unit] (dimensions), float64, C-contiguous.
    Raises:
        EmagramError: if the variable is missing, has other dimensions, sizes or a unit of another kind, or holds a
            fill value, NaN, infinity, or a value outside the range.
    """
    label = f"variable '{name}' of '{file.filepath()}'"
    if name not in file.variables:
        raise EmagramError(f"{label}: expected in the file, got no such variable")
    variable = file.variables[name]
    found = dict(zip(variable.dimensions, variable.shape, strict=True))
    if list(found.items()) != list(dimensions.items()):
        raise EmagramError(f"{label}: expected dimensions {_sizes(dimensions)}, got {_sizes(found)}")
    if not np.issubdtype(variable.dtype, np.number):
        raise EmagramError(f"{label}: expected numbers, got {variable.dtype}")
    values = np.ma.filled(np.ma.asarray(variable[...]).astype(np.float64), np.nan)
    values = _converted(values, getattr(variable, "units", None), unit, label)
    _check_range(values, valid_range, f"{label}: expected finite values from {{:g}} to {{:g}} [{unit}]")
    return values


def read_labels(file: netCDF4.Dataset, name: str, dimension: str) -> list[str]:
    """Read a one-dimensional variable of text.

    Raises:
        EmagramError: if the variable is missing or is not text along `dimension`.
    """
    variable = file.variables.get(name)
    if variable is None or variable.dimensions != (dimension,) or variable.dtype is not str:
        raise EmagramError(f"variable '{name}' of '{file.filepath()}': expected text along '{dimension}', got none")
    return [str(label) for label in variable[:]]


def _check_range(values: Array, valid_range: tuple[float, float], expected: str) -> None:
    """Refuse fill values (NaN by now), infinity and what no atmosphere has, naming the first."""
    smallest, largest = valid_range
    invalid = ~((values >= smallest) & (values <= largest))
    if invalid.any():
        index = tuple(int(i) for i in np.argwhere(invalid)[0])
        found = "a fill value or NaN" if np.isnan(values[index]) else f"{values[index]:g}"
        raise EmagramError(f"{expected.format(smallest, largest)}, got {found} at index {index}")


def _converted(values: Array, found: str | None, unit: str, label: str) -> Array:
    """Values in `unit`."""
    if found == unit:
        return values
    if found is None:
        raise EmagramError(f"{label}: expected a unit that converts to '{unit}', got no attribute 'units'")
    try:
        return convert(torch.from_numpy(values), found, unit).numpy()
    except EmagramError:
        raise EmagramError(f"{label}: expected a unit that converts to '{unit}', got '{found}'") from None


def _sizes(dimensions: Mapping[str, int]) -> str:
    """As in "(site 100, layer 60)"."""
    return "(" + ", ".join(f"{name} {size}" for name, size in dimensions.items()) + ")"
