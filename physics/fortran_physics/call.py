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
        EmagramError: with the sentence of the procedure.
    """
    passed = [
        np.ascontiguousarray(argument, dtype=np.float64) if np.ndim(argument) else argument for argument in arguments
    ]
    made = [np.full(shape, np.nan) for shape in results]
    wrapped = getattr(_fortran_physics, f"wrap_emagram_{module}__{procedure}")
    ierr, errmsg = wrapped(*(value.T if isinstance(value, np.ndarray) else value for value in (*passed, *made)))
    if ierr != 0:
        raise EmagramError(errmsg.decode().rstrip())
    return made
