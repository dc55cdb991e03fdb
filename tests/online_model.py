"""A small emulator of the column host's physics, fitted to what it recorded: linear, closed by every constraint."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from constrained_columns import TYPES
from emagram.emulators.baselines import ridge_regression
from emagram.emulators.climsim import climsim_spec
from emagram.emulators.climsim_constraints import constrained
from emagram.emulators.data.climsim_grid import read_climsim_grid
from emagram.emulators.data.climsim_series import find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.export import export
from emagram.emulators.model_file import ModelFile, read_model_file, write_model_file
from emagram.hybrid.case import RecordConfig
from emagram.hybrid.run import run
from emagram.physics.variables import find
from host_case import small_case

EXTRA_OUTPUTS = tuple(find(name, "climsim").name for name in ("cam_out_FSNT", "cam_out_FLUT"))


def write_linear_model(
    folder: Path, *, constraints: Sequence[str] = TYPES, extra: Sequence[str] = EXTRA_OUTPUTS
) -> Path:
    """Record the small case for two days, fit a ridge regression to it, export it as `linear.emg` in the folder."""
    records = folder / "records"
    if not records.exists():
        run(small_case(record=RecordConfig(every=2)), output=records)
    spec = climsim_spec("v2")
    spec = constrained(replace(spec, outputs=spec.outputs + tuple(extra)), constraints)
    stream = ColumnStream(find_series(records / "columns"), spec, read_climsim_grid(records / "grid.nc"))
    samples = next(stream.batches(stream.n_column, seed=0))
    emulator = ridge_regression(spec, samples, penalty=0.1)
    with torch.no_grad():
        emulator.network.float()
    path = folder / "linear.emg"
    export(emulator, path, samples=samples.inputs, name="linear")
    return path


def changed_model(path: Path, to: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """A copy of a model file whose manifest and weights `change` has changed in place, with a self-test that passes."""
    contents = copy.deepcopy(read_model_file(path))
    manifest = contents.manifest
    change(manifest, contents.weights)
    manifest["selftest"]["tolerance"] = dict.fromkeys(manifest["selftest"]["tolerance"], 1e30)
    manifest.pop("members", None)
    write_model_file(to, ModelFile(manifest, contents.plan, contents.weights, contents.selftest))
    return to
