"""Ascent of an air parcel in the Fortran column physics, for numpy arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..errors import EmagramError
from .call import Array, call


class Ascent(NamedTuple):
    """What a parcel is at every level."""

    air_temperature: Array  # [K] (n_column, n_level)
    specific_humidity: Array  # [kg kg-1] (n_column, n_level), vapour
    condensate: Array  # [kg kg-1] (n_column, n_level), what stayed in the parcel
    condensation_pressure: Array  # [Pa] (n_column,), 0 where it never condenses


def parcel_ascent(
    air_pressure: ArrayLike,
    *,
    air_temperature: ArrayLike,
    specific_humidity: ArrayLike,
    retained_condensate: float = 0.0,
) -> Ascent:
    """Lift a parcel from the lowest level, dry adiabatically and then saturated.

    cp dT + L dq_s + Lf q_c dω = Rd T d(ln p), with L = Lv + (1 − ω) Lf, ω the liquid share of cloud and the
    condensate q_c = χ (q_0 − q_s) that stays in the parcel; χ = 0 is the pseudoadiabatic ascent, χ = 1 the
    reversible one, which keeps cp T + (Lv + Lf) q + Lf ω q_c − ∫ Rd T d(ln p).

    Args:
        air_pressure: [Pa] (n_column, n_level), of the levels, increasing.
        air_temperature: [K] (n_column,), of the parcel at the lowest level.
        specific_humidity: [kg kg-1] (n_column,), of the parcel there; what exceeds saturation is condensate.
        retained_condensate: χ [1].
    Raises:
        EmagramError: if shapes differ, or a value is not finite or out of its range.
    Source: Emanuel 1994, Atmospheric Convection, chapter 4, with constant latent heats.
    """
    shape = np.shape(air_pressure)
    if len(shape) != 2:
        raise EmagramError(f"argument 'air_pressure': expected shape (n_column, n_level), got {tuple(shape)}")
    return Ascent(
        *call(
            "parcel",
            "parcel_ascent",
            retained_condensate,
            air_pressure,
            air_temperature,
            specific_humidity,
            results=[shape, shape, shape, (shape[0],)],
        )
    )
