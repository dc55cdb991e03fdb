"""A series of ClimSim-like files of toy columns, and the rows that a loader should make of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emagram.emulators.data.climsim_files import write_pair
from emagram.emulators.data.climsim_grid import ColumnGrid, built_in_grid
from emagram.emulators.data.climsim_toy import RawStep, toy_climsim
from emagram.emulators.data.noleap import seconds_of
from emagram.emulators.training.samples import Samples

TIME_STEP = 1200
START = "0001-02-01-00000"


@dataclass(frozen=True)
class ToySeries:
    """Files and what was written into them."""

    folder: Path
    grid: ColumnGrid
    steps: tuple[RawStep, ...]
    times: tuple[int, ...]

    @property
    def n_column(self) -> int:
        return self.grid.n_column


def write_series(
    folder: Path, n_step: int, *, n_column: int = 24, n_level: int = 7, interval: int = TIME_STEP, start: str = START
) -> ToySeries:
    """Files of toy columns every `interval` seconds; what lies between recorded steps is simulated, not written."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = built_in_grid(n_column, n_level)
    every = interval // TIME_STEP
    steps = tuple(toy_climsim(grid, n_step * every, seed=11))[::every]
    times = tuple(seconds_of(start) + interval * number for number in range(n_step))
    for time, step in zip(times, steps, strict=True):
        write_pair(folder, "toy", time, step["mli"], step["mlo"])
    return ToySeries(folder, grid, steps, times)


def rows(batches: Iterable[Samples]) -> NDArray[np.float64]:
    """Everything in batches, a row a column, in the order it came."""
    return np.concatenate([as_rows(batch) for batch in batches])


def as_rows(batch: Samples) -> NDArray[np.float64]:
    fields = [*batch.inputs.values(), *batch.targets.values()]
    return np.concatenate([field.numpy().reshape(batch.n_column, -1) for field in fields], axis=1)


def sorted_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same rows in an order of their values, so that two sets of rows compare as sets."""
    return values[np.lexsort(values.T[::-1])]
