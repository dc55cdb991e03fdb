"""How often it rains how much: distributions of the precipitation of columns, weighted by area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...physics.units import SECONDS_PER_DAY
from .runs import Array, Run

DRY = 0.1
"""[mm day-1]; less is a dry day."""
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9)
EDGES: Array = np.geomspace(DRY, 1000.0, 33)
"""[mm day-1] of the histogram: eight bins a decade."""


@dataclass(frozen=True)
class Distribution:
    """Precipitation of columns and records (daily means, where history_days is 1).

    Attributes:
        mean_mm_day, largest_mm_day: [mm day-1].
        dry_fraction, negative_fraction: [1] below DRY and below 0.
        percentiles_mm_day: [mm day-1] by percentile of PERCENTILES.
        histogram: [1] (n_bin,) share in each bin of EDGES; with `dry_fraction` the sum is 1.
    """

    mean_mm_day: float
    largest_mm_day: float
    dry_fraction: float
    negative_fraction: float
    percentiles_mm_day: Mapping[str, float]
    histogram: Array


@dataclass(frozen=True)
class Precipitation:
    """Distributions of a run and of the other one.

    Attributes:
        days_in_mean: [day] over which precipitation was averaged; only days compare with rain gauges.
        edges_mm_day: [mm day-1] (n_bin + 1,), of the histograms; the last bin takes what lies beyond.
        distance_mm_day: [mm day-1] 1-Wasserstein distance, ∫ |F − G| dx: by how much rain must be shifted on average.
    """

    days_in_mean: float
    edges_mm_day: Array
    run: Distribution
    against: Distribution
    distance_mm_day: float


def compare_precipitation(run: Run, against: Run, records: slice) -> Precipitation:
    """Distributions over the records of both runs, at least one.

    Raises:
        EmagramError: if a file is damaged or lacks precipitation.
    """
    assert against.columns is not None
    ours, theirs = (_amounts(x, records) for x in (run, against))
    weight = np.broadcast_to(against.columns.area_weight, ours.shape).ravel() / len(ours)
    return Precipitation(
        days_in_mean=run.days_in_mean,
        edges_mm_day=EDGES,
        run=distribution(ours.ravel(), weight),
        against=distribution(theirs.ravel(), weight),
        distance_mm_day=wasserstein(ours.ravel(), theirs.ravel(), weight),
    )


def _amounts(run: Run, records: slice) -> Array:
    """[mm day-1] (n_record, n_column)."""
    return SECONDS_PER_DAY * run.read("precipitation_flux", records)[:, 0]


def distribution(amounts: Array, weight: Array) -> Distribution:
    """The distribution of amounts [mm day-1] (n,) of weights whose sum is 1 (n,)."""
    order = np.argsort(amounts)
    share = np.cumsum(weight[order])
    places = np.minimum(np.searchsorted(share, 0.01 * np.array(PERCENTILES) - 1e-12), len(order) - 1)
    wet = amounts >= DRY
    bins = np.minimum(np.searchsorted(EDGES, amounts[wet], side="right") - 1, len(EDGES) - 2)
    return Distribution(
        mean_mm_day=float(amounts @ weight),
        largest_mm_day=float(amounts.max()),
        dry_fraction=float(weight[~wet].sum()),
        negative_fraction=float(weight[amounts < 0.0].sum()),
        percentiles_mm_day={f"{p:g}": float(x) for p, x in zip(PERCENTILES, amounts[order][places], strict=True)},
        histogram=np.asarray(np.bincount(bins, weight[wet], minlength=len(EDGES) - 1), dtype=np.float64),
    )


def wasserstein(first: Array, second: Array, weight: Array) -> float:
    """1-Wasserstein distance of two samples (n,) with the same weights (n,), sum 1: ∫ |F − G| dx, in their unit.

    Source: Ramdas et al. 2017, Entropy 19, 47, doi:10.3390/e19020047
    """
    values = np.concatenate([first, second])
    order = np.argsort(values)
    difference = np.cumsum(np.concatenate([weight, -weight])[order])
    return float(np.abs(difference[:-1]) @ np.diff(values[order]))
