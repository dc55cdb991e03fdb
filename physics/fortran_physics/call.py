"""Calling a checking front end of physics/fortran/ with numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _fortran_physics
from ..errors import EmagramError

Array = NDArray[np.float64]


def call(module: str, procedure: str, *arguments: ArrayLike, results: Sequence[tuple[int, ...]]) -> list[Array]:
    """Call `procedure` of the Fortran module `emagram_<module>`: its inputs, its results, then ierr and errmsg.

    Arrays (n_column, n_level) in C order are what Fortran sees as (n_level, n_column): nothing is copied, except to
    make an argument float64 and contiguous.

    Args:
        arguments: inputs in the order of the procedure; numbers, (n_column,) or (n_column, n_level).
        results: shapes of the results, (n_column,) or (n_column, n_level).
    Returns:
        the results, float64.
    Raises:
        EmagramError: with the sentence of the procedure, or if an argument is not of real numbers or has more than
            two axes.
    """
    passed = [_real(f"argument {n} of '{procedure}'", argument) for n, argument in enumerate(arguments, 1)]
    made = [np.full(shape, np.nan) for shape in results]
    wrapped = getattr(_fortran_physics, f"wrap_emagram_{module}__{procedure}")
    ierr, errmsg = wrapped(*(value.T if isinstance(value, np.ndarray) else value for value in (*passed, *made)))
    if ierr != 0:
        raise EmagramError(errmsg.decode().rstrip())
    return made


def _real(name: str, argument: ArrayLike) -> Array | float:
    """An argument as f2py takes it without asking: it would drop imaginary parts and reshape what has three axes."""
    values = np.asarray(argument)
    if values.dtype.kind not in "fiu" or values.ndim > 2:
        raise EmagramError(
            f"{name}: expected real numbers of at most two axes, got {values.dtype} of shape {values.shape}"
        )
    return np.ascontiguousarray(values, dtype=np.float64) if values.ndim else float(values)


def column_shapes(
    pressure_interface: ArrayLike, **layers: ArrayLike
) -> tuple[tuple[int, int], tuple[int, int], tuple[int]]:
    """Shapes of what is per layer, per interface and per column.

    Args:
        pressure_interface: (n_column, n_level + 1).
        layers: fields of layers by name, of which f2py would take one axis for one column.
    Raises:
        EmagramError: if the interface pressures are not of that shape with a layer at least, or a field has not two
            axes.
    """
    for name, values in layers.items():
        if np.ndim(values) != 2:
            raise EmagramError(f"argument '{name}': expected shape (n_column, n_level), got {np.shape(values)}")
    shape = np.shape(pressure_interface)
    if len(shape) != 2 or shape[1] < 2:
        raise EmagramError(f"argument 'air_pressure_at_interface': expected shape (n_column, n_level + 1), got {shape}")
    return (shape[0], shape[1] - 1), (shape[0], shape[1]), (shape[0],)


def column_size(name: str, values: ArrayLike) -> int:
    """Size n_column of a field of columns, from which those of results follow.

    Raises:
        EmagramError: if the field has not one axis, or is empty.
    """
    shape = np.shape(values)
    if len(shape) != 1 or 0 in shape:
        raise EmagramError(f"argument '{name}': expected shape (n_column,), got {shape}")
    (n_column,) = shape
    return int(n_column)
