"""Columns of the toy physics as samples of a ClimSim set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from emagram.emulators.data.climsim_derived import Kind, derive
from emagram.emulators.data.climsim_grid import ColumnGrid, built_in_grid
from emagram.emulators.data.climsim_toy import RawStep, toy_climsim
from emagram.emulators.emulator import EmulatorSpec
from emagram.emulators.training.samples import Samples

TIME_STEP = 1200.0
N_STEP = 8


@cache
def toy_grid(n_column: int = 54, n_level: int = 12) -> ColumnGrid:
    return built_in_grid(n_column, n_level)


@cache
def toy_steps(n_column: int = 54, n_level: int = 12) -> tuple[RawStep, ...]:
    return tuple(toy_climsim(toy_grid(n_column, n_level), N_STEP, seed=3))


def files_around(steps: tuple[RawStep, ...], step: int) -> Mapping[tuple[int, Kind], dict[str, NDArray[np.float64]]]:
    """What `derive` takes: every variable of a step and the two before it."""
    kinds: tuple[Kind, Kind] = ("mli", "mlo")
    return {(offset, kind): steps[step + offset][kind] for offset in (0, -1, -2) for kind in kinds}


def samples_of(spec: EmulatorSpec, grid: ColumnGrid, steps: tuple[RawStep, ...], step: int) -> Samples:
    """The inputs and outputs of a spec at a step from 2 on."""
    fields = derive((*spec.inputs, *spec.outputs), files_around(steps, step), time_step=TIME_STEP, grid=grid)
    tensors = {name: torch.from_numpy(value) for name, value in fields.items()}
    return Samples({name: tensors[name] for name in spec.inputs}, {name: tensors[name] for name in spec.outputs})


def toy_samples(spec: EmulatorSpec, step: int, n_column: int = 54) -> Samples:
    """The toy's columns at a step from 2 on."""
    return samples_of(spec, toy_grid(n_column, spec.n_level), toy_steps(n_column, spec.n_level), step)
