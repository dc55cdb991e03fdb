"""Scores of a member: means over time and area of what its run folder holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...emulators.data.netcdf import open_netcdf
from ...physics.constants import Constants
from ...physics.errors import EmagramError
from ..host_output import read_budgets

Array = NDArray[np.float64]

DAILY = {
    "precipitation_mm_day": "mm day⁻¹",
    "evaporation_mm_day": "mm day⁻¹",
    "toa_outgoing_longwave_flux_w_m2": "W m⁻²",
    "toa_net_downward_flux_w_m2": "W m⁻²",
    "surface_temperature_k": "K",
    "cape_j_kg": "J kg⁻¹",
}
"""Columns of budgets.csv that are scores by themselves, with their units."""
SCORES = DAILY | {"precipitable_water_kg_m2": "kg m⁻²", "air_temperature_k": "K"}
"""And from history.nc: water vapour of a column, and temperature averaged over its mass."""


def read_scores(folder: Path, from_day: int, days: int) -> Array:
    """Means over the days after `from_day` of a run folder, (n_score) in the order and units of SCORES.

    Raises:
        EmagramError: if a file is missing or damaged, or does not hold all those days.
    """
    budgets = read_budgets(folder)
    end = np.array(budgets["day"])
    chosen = (end > from_day) & (end <= days)
    if chosen.sum() != days - from_day:
        raise EmagramError(
            f"file '{folder / 'budgets.csv'}': expected days {from_day + 1} to {days}, got {int(chosen.sum())} of them"
        )
    daily = [np.mean(np.array(budgets[name])[chosen]) for name in DAILY]
    return np.array([*daily, *_column_means(folder / "history.nc", from_day, days)])


def _column_means(history: Path, from_day: int, days: int) -> tuple[float, float]:
    """Precipitable water [kg m-2] and mass-weighted temperature [K]; Σ x Δp/g over the column, Δp at rest."""
    with open_netcdf(history) as file:
        end = np.asarray(file.variables["time"][:])
        chosen = (end > from_day) & (end <= days)
        if np.sum(np.asarray(file.variables["days_in_mean"][:])[chosen]) != days - from_day:
            raise EmagramError(f"file '{history}': expected records of days {from_day + 1} to {days}, got others")
        a, b, pressure, area = (
            np.asarray(file.variables[name][:], dtype=np.float64)
            for name in ("hyai", "hybi", "surface_air_pressure", "area")
        )
        interface = a[:, None] * Constants().reference_pressure + b[:, None] * pressure
        mass = np.diff(interface, axis=0) / Constants().gravity * (area / area.sum())  # (lev, ncol)
        humidity, temperature = (
            np.asarray(file.variables[name][chosen], dtype=np.float64).mean(axis=0)
            for name in ("specific_humidity", "air_temperature")
        )
    return float(np.sum(mass * humidity)), float(np.sum(mass * temperature) / np.sum(mass))
