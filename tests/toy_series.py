"""A series of ClimSim-like files of toy columns, and the rows that a loader should make of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_files import write_pair
from emagram.emulators.data.climsim_grid import ColumnGrid, built_in_grid
from emagram.emulators.data.climsim_series import Series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.data.climsim_toy import RawStep, toy_climsim
from emagram.emulators.data.noleap import seconds_of
from emagram.emulators.emulator import EmulatorSpec
from emagram.emulators.training.samples import Samples
from emagram.physics.variables import VARIABLES

TIME_STEP = 1200
START = "0001-02-01-00000"
N_STEP, N_COLUMN, N_LEVEL = 20, 24, 7
Array = NDArray[np.float64]


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
    folder: Path,
    n_step: int,
    *,
    n_column: int = N_COLUMN,
    n_level: int = N_LEVEL,
    interval: int = TIME_STEP,
) -> ToySeries:
    """Files of toy columns every `interval` seconds; what lies between recorded steps is simulated, not written."""
    folder.mkdir(parents=True, exist_ok=True)
    grid = built_in_grid(n_column, n_level)
    every = interval // TIME_STEP
    steps = tuple(toy_climsim(grid, n_step * every, seed=11))[::every]
    times = tuple(seconds_of(START) + interval * number for number in range(n_step))
    for time, step in zip(times, steps, strict=True):
        write_pair(folder, "toy", time, step["mli"], step["mlo"])
    return ToySeries(folder, grid, steps, times)


def rows(batches: Iterable[Samples]) -> Array:
    """Everything in batches, a row a column, in the order it came."""
    return np.concatenate([as_rows(batch) for batch in batches])


def as_rows(batch: Samples) -> Array:
    fields = [*batch.inputs.values(), *batch.targets.values()]
    return np.concatenate([field.numpy().reshape(batch.n_column, -1) for field in fields], axis=1)


def sorted_rows(values: Array) -> Array:
    """The same rows in an order of their values, so that two sets of rows compare as sets."""
    return values[np.lexsort(values.T[::-1])]


def spec(name: str = "v1") -> EmulatorSpec:
    return climsim_spec(name, n_level=N_LEVEL)


def stream(toy: ToySeries, series: Series, name: str = "v1", **options: object) -> ColumnStream:
    return ColumnStream(series, spec(name), toy.grid, **{"buffer_columns": 100, **options})  # type: ignore[arg-type]


def expected_rows(toy: ToySeries, name: str, steps: range) -> Array:
    """What the files of these steps should become, from the definitions and not from the readers."""
    of = spec(name)
    names = (*of.inputs, *of.outputs)
    fields = [[value(toy, k, variable).reshape(N_COLUMN, -1) for variable in names] for k in steps]
    return np.concatenate([np.concatenate(step, axis=1) for step in fields])


def value(toy: ToySeries, k: int, variable: str) -> Array:
    """Definitions of ClimSim's variables, by hand."""

    def change(step: int, *names: str) -> Array:
        before, after = toy.steps[step]["mli"], toy.steps[step]["mlo"]
        return sum((after[n] - before[n] for n in names), np.zeros(())) / TIME_STEP

    def forcing(step: int, *names: str) -> Array:
        now, before = toy.steps[step]["mli"], toy.steps[step - 1]["mlo"]
        return sum((now[n] - before[n] for n in names), np.zeros(())) / TIME_STEP

    if variable == "air_pressure":
        return toy.steps[k]["mli"]["state_pmid"]
    alias = VARIABLES[variable].aliases["climsim"]
    water = {"qn": ("state_q0002", "state_q0003"), "q0": ("state_q0001", "state_q0002", "state_q0003")}
    back = 1 if alias.startswith("tm_") else 0
    x = alias.removeprefix("tm_").removeprefix("ptend_").removeprefix("state_").split("_")[0]
    names = water.get(x, (f"state_{x}",))
    if alias.startswith("ptend_"):
        return change(k, *names)
    if alias.endswith("_prvphy"):
        return change(k - 1 - back, *names)
    if alias.endswith("_dyn"):
        return forcing(k - back, *names)
    if alias in ("clat", "slat"):
        return {"clat": np.cos, "slat": np.sin}[alias](np.deg2rad(toy.grid.latitude))
    if alias == "cam_in_SNOWHICE":
        snow = toy.steps[k]["mli"][alias]
        return np.where(snow == 1e30, 0.0, snow)
    return toy.steps[k]["mlo" if alias.startswith("cam_out_") else "mli"][alias]


def assert_same(found: Array, expected: Array) -> None:
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-25)
