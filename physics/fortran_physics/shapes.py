"""Shapes of the results of column physics."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import EmagramError


def column_shapes(pressure_interface: ArrayLike) -> tuple[tuple[int, int], tuple[int, int], tuple[int]]:
    """Shapes of what is per layer, per interface and per column.

    Raises:
        EmagramError: if the interface pressures are not (n_column, n_level + 1) with a layer at least.
    """
    shape = np.shape(pressure_interface)
    if len(shape) != 2 or shape[1] < 2:
        raise EmagramError(
            f"argument 'air_pressure_at_interface': expected shape (n_column, n_level + 1), got {tuple(shape)}"
        )
    return (shape[0], shape[1] - 1), (shape[0], shape[1]), (shape[0],)
