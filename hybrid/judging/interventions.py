"""Where the emulator was not used, not trained, or corrected, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..host_output import read_budgets
from .climate import band_edges, zonal_mean
from .runs import Array, Run

WORST_COLUMNS = 5
CORRECTED = {"air_temperature": "K s-1", "specific_humidity": "kg kg-1 s-1"}


@dataclass(frozen=True)
class Place:
    """A column and the share of its steps [1] in which it was rejected."""

    column: int
    latitude: float
    longitude: float
    rejected_fraction: float


@dataclass(frozen=True)
class Interventions:
    """What was done to the emulator's answers, over the compared records.

    Attributes:
        emulator_share: [1] of the tendencies, mean over area and records.
        rejected_fraction, extrapolated_fraction: [1] of column-steps, weighted by area.
        extrapolation_margin: [1] of the width of the training range that is tolerated beyond it; what lies further is
            extrapolated, and, where falls_back, rejected.
        rejected_columns: number of columns that were ever rejected.
        worst_columns: those rejected most often, at most WORST_COLUMNS.
        latitude_edges: [degree_north] (n_band + 1,).
        rejected_by_latitude, extrapolated_by_latitude: [1] (n_band,), NaN where no column is.
        day: [day] since the start of the run, ends of the records (n_record,).
        rejected_by_record, extrapolated_by_record: [1] (n_record,).
        pressure_hpa: [hPa] (n_level,).
        correction: by variable, mean absolute change by the constraints, its unit of tendency (n_level,).
        tendency: by variable, mean absolute tendency after them, same unit (n_level,).
        correction_fraction: by variable, [1] mass-weighted correction over mass-weighted tendency; None without one.
            Both are means of single steps.
        mean_residual_before_energy_w_m2, mean_residual_before_water_kg_m2_s: means of absolute values.
        largest_rejected_fraction: [1] of the columns of a day, the largest of the run's days.
    """

    emulator_share: float
    extrapolation_margin: float
    falls_back: bool
    rejected_fraction: float
    extrapolated_fraction: float
    rejected_columns: int
    worst_columns: tuple[Place, ...]
    latitude_edges: Array
    rejected_by_latitude: Array
    extrapolated_by_latitude: Array
    day: Array
    rejected_by_record: Array
    extrapolated_by_record: Array
    pressure_hpa: Array
    correction: Mapping[str, Array]
    tendency: Mapping[str, Array]
    correction_fraction: Mapping[str, float | None]
    mean_residual_before_energy_w_m2: float
    mean_residual_before_water_kg_m2_s: float
    largest_rejected_fraction: float


def interventions(run: Run, records: slice) -> Interventions:
    """Over the records of a run with an emulator, at least one.

    Raises:
        EmagramError: if a file is damaged or lacks a variable.
    """
    assert run.columns is not None
    columns, edges = run.columns, band_edges(run.columns.n_column)
    area = columns.area_weight[0]
    names = ("share", "rejected", "extrapolated")
    share, rejected, extrapolated = (run.read(f"emulator_{name}", records)[:, 0] for name in names)
    energy, water = (
        float((run.read(f"{name}_residual_before_constraints", records)[:, 0] @ area).mean())
        for name in ("energy", "water")
    )
    correction = {name: _mean_magnitude(run, f"{name}_correction", records) for name in CORRECTED}
    tendency = {name: _mean_magnitude(run, f"{name}_tendency_magnitude", records) for name in CORRECTED}
    mass = columns.mass_weight.sum(axis=1)
    often = rejected.mean(axis=0)
    return Interventions(
        emulator_share=float((share @ area).mean()),
        extrapolation_margin=float(run.configuration["physics"].get("extrapolation_margin", 0.0)),
        falls_back=bool(run.configuration["physics"].get("reject_extrapolated", False)),
        rejected_fraction=float(often @ area),
        extrapolated_fraction=float((extrapolated @ area).mean()),
        rejected_columns=int((often > 0.0).sum()),
        worst_columns=tuple(
            Place(int(i), float(columns.latitude[i]), float(columns.longitude[i]), float(often[i]))
            for i in np.argsort(-often, kind="stable")[:WORST_COLUMNS]
            if often[i] > 0.0
        ),
        latitude_edges=edges,
        rejected_by_latitude=zonal_mean(often[None], columns, edges)[0],
        extrapolated_by_latitude=zonal_mean(extrapolated.mean(axis=0)[None], columns, edges)[0],
        day=run.time[records],
        rejected_by_record=rejected @ area,
        extrapolated_by_record=extrapolated @ area,
        pressure_hpa=0.01 * columns.pressure,
        correction=correction,
        tendency=tendency,
        correction_fraction={n: _over(float(correction[n] @ mass), float(tendency[n] @ mass)) for n in CORRECTED},
        mean_residual_before_energy_w_m2=energy,
        mean_residual_before_water_kg_m2_s=water,
        largest_rejected_fraction=max(read_budgets(run.folder)["emulator_rejected_fraction"]),
    )


def _mean_magnitude(run: Run, name: str, records: slice) -> Array:
    """Area mean of the absolute values of the records, (n_level,)."""
    assert run.columns is not None
    total = np.zeros(run.columns.n_level)
    for part in run.in_parts(records):
        total += (np.abs(run.read(name, part)) * run.columns.area_weight).sum(axis=(0, 2))
    return np.asarray(total / (records.stop - records.start))


def _over(value: float, whole: float) -> float | None:
    return value / whole if whole > 0.0 else None
