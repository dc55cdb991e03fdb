"""The thin path from end to end: columns → network → model file → Fortran over MPI, agreeing with Python and C."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from rich.console import Console

from ... import __version__
from ...emulators.data.columns import write_columns
from ...emulators.emulator import ColumnEmulator, Fields, to_fields
from ...emulators.experiment import Experiment
from ...emulators.experiment_config import ExperimentConfig, RfmipConfig
from ...emulators.export import load_emulator
from ...emulators.run_folder import write_json
from ...fortran_bridge.model import open as open_model
from ..configuration import read_configuration
from ..demo_programs import Program, equal_bits, run_programs
from ..demo_steps import Steps
from .report import write_report

CONFIGS = Path(__file__).resolve().parent.parent.parent / "configs"


def read_radiation_configuration(data: Path | None, *, quick: bool) -> ExperimentConfig:
    """What is trained: on RFMIP's columns in the folder of real data, or on generated ones without.

    Raises:
        EmagramError: if the configuration cannot be read.
    """
    source = "generated" if data is None else "rfmip"
    config = read_configuration(CONFIGS / f"{source}{'-quick' if quick else ''}.toml", ExperimentConfig)
    if data is None or not isinstance(config.data, RfmipConfig):
        return config
    return dataclasses.replace(config, data=dataclasses.replace(config.data, folder=data / "rfmip"))


def run_radiation(config: ExperimentConfig, folder: Path, programs: Sequence[Program], *, quick: bool) -> Path:
    """Train, export, predict unseen columns with Fortran, Python and C under MPI, compare, report.

    Args:
        config: what is trained.
        folder: of the run. Training in it is continued.
        programs: of `make_programs`.
        quick: whether `config` is the quick form; only said.
    Returns:
        the report, beside `summary.json`, which says whether the programs agree.
    Raises:
        EmagramError: if the data cannot be used or a program fails.
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps, model = Steps(), folder / "train" / "best.emg"
    with steps.step("data", "columns and their truth"):
        experiment = Experiment(config, folder / "train")
        columns = _unseen(experiment)
        write_columns(columns, folder / "columns.nc")
    with steps.step("training", "training"):
        training = experiment.run()
    with steps.step("programs", "predicting unseen columns in Fortran, Python and C"):
        runs = run_programs(programs, model, folder / "columns.nc", folder / "predictions.nc")
    predicted, emulator = xr.load_dataset(folder / "predictions.nc"), load_emulator(model)
    summary = {
        "emagram": __version__,
        "truth": training["truth"],
        "licence": str(columns.attrs.get("licence", "")),
        "quick": quick,
        "ranks": programs[0].ranks,
        "columns": columns.sizes["column"],
        "heldout_climates": list(config.split.heldout_climates),
        "folds": training["folds"],
        "split": training["columns"],
        "scores": training["scores"],
        "best": training["best"],
        "model": {"name": config.name, "file": "train/best.emg", "sha256": open_model(model).sha256},
        "programs": runs,
        "bits_equal": equal_bits(runs),
        "native_error": _native_error(emulator, columns, predicted),
        "closure": _closure(emulator, columns, predicted),
        "rejected_columns": int((predicted["emagram_status"] >= 16).sum()),
        "seconds": steps.with_total(),
    }
    write_json(folder / "summary.json", summary)
    _say(steps.console, summary)
    return write_report(folder)


def _unseen(experiment: Experiment) -> xr.Dataset:
    """The columns of sites that neither training nor validation saw, in all climates."""
    split = experiment.splits[experiment.exported_fold]
    index = np.sort(np.concatenate([split.test_site_train_climate, split.test_site_heldout_climate]))
    return experiment.columns.isel(column=index)


@torch.no_grad()
def _native_error(emulator: ColumnEmulator, columns: xr.Dataset, predicted: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Largest error of each output against float64 arithmetic: the program's, and that of torch in float32."""
    inputs = to_fields(columns, emulator.spec.inputs)
    reference, narrow = copy.deepcopy(emulator).double()(inputs), emulator(inputs)
    native = to_fields(predicted, emulator.spec.outputs)
    return {
        name: {
            "unit": str(predicted[name].attrs["units"]),
            "native": (ours := float((native[name] - reference[name]).abs().max())),
            "torch_fp32": (theirs := float((narrow[name] - reference[name]).abs().max())),
            "ratio": ours / max(theirs, float(np.finfo(np.float64).tiny)),
        }
        for name in emulator.spec.outputs
    }


@torch.no_grad()
def _closure(emulator: ColumnEmulator, columns: xr.Dataset, predicted: xr.Dataset) -> dict[str, dict[str, float]]:
    """Largest column residual [W m-2] of what the program wrote, and of the same network without its constraints."""
    inputs = to_fields(columns, emulator.spec.inputs)
    raw: Fields = emulator.decode(emulator.network(emulator.encode(inputs)), inputs)
    before = emulator.residuals(raw, inputs)
    after = emulator.residuals(to_fields(predicted, emulator.spec.outputs), inputs)
    return {
        name: {"before": float(before[name].abs().max()), "after": float(after[name].abs().max())} for name in after
    }


def _say(console: Console, summary: dict[str, Any]) -> None:
    equal = "the same bits from all" if summary["bits_equal"] else "DIFFERENT BITS"
    console.print(f"{len(summary['programs'])} program runs in Fortran, Python and C: {equal}")
    for name, residual in summary["closure"].items():
        console.print(
            f"{name}: column integral of heating against net flux within {residual['after']:.1e} W/m² "
            f"(without the constraint {residual['before']:.1e})"
        )
    worst = max(entry["ratio"] for entry in summary["native_error"].values())
    console.print(f"error against float64: at most {worst:.2f} times that of torch in float32")
    console.print(f"{summary['seconds']['total']:.0f} s")
