"""The thin path from end to end: columns → network → model file → Fortran over MPI, agreeing with Python and C."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from rich.console import Console

from .. import __path__ as PACKAGE_FOLDERS
from .. import __version__
from ..emulators.data.columns import write_columns
from ..emulators.emulator import ColumnEmulator, Fields, to_fields
from ..emulators.experiment import Experiment
from ..emulators.experiment_config import ExperimentConfig, RfmipConfig
from ..emulators.export import load_emulator
from ..emulators.run_folder import write_json
from ..physics.errors import EmagramError
from .configuration import read_configuration
from .report import write_report
from .verbs import print_scores

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Program:
    """One of the programs that predict the same columns."""

    language: str
    command: tuple[str, ...]
    ranks: int
    chunk: int = 64

    @property
    def label(self) -> str:
        """For people."""
        ranks = "1 rank" if self.ranks == 1 else f"{self.ranks} ranks"
        return f"{self.language}, {ranks}, chunks of {self.chunk}"


def run_demo(folder: Path | None, *, quick: bool, ranks: int, data: Path | None) -> Path:
    """Train, export, predict unseen columns with Fortran, Python and C under MPI, compare, report.

    Args:
        folder: of the run; by default named after what is run. Training in it is continued.
        quick: one seed and few epochs.
        ranks: MPI processes of the main run.
        data: the folder of real data (RFMIP), or None for the built-in generator.
    Returns:
        the report, beside `summary.json`.
    Raises:
        EmagramError: if a program is not built or fails, or MPI is missing.
    """
    source = "generated" if data is None else "rfmip"
    folder = folder or Path("runs") / f"demo-{source}{'-quick' if quick else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    programs = _programs(ranks, quick)
    console, start = Console(), time.perf_counter()
    seconds: dict[str, float] = {}

    with _step("columns and their truth", seconds, "data", console):
        experiment = Experiment(_configuration(source, data, quick), folder / "train")
        columns = _unseen(experiment)
        write_columns(columns, folder / "columns.nc")
    with _step("training", seconds, "training", console):
        training = experiment.run()
        model = folder / "train" / "best.emg"
    print_scores(folder / "train")
    with _step("predicting unseen columns in Fortran, Python and C", seconds, "programs", console):
        outputs = [folder / "predictions.nc"] + [folder / "again.nc"] * (len(programs) - 1)
        runs = [
            _run(program, model, folder / "columns.nc", out) for program, out in zip(programs, outputs, strict=True)
        ]
        (folder / "again.nc").unlink()
    predicted = xr.load_dataset(folder / "predictions.nc")
    emulator = load_emulator(model)
    summary = {
        "emagram": __version__,
        "truth": training["truth"],
        "licence": str(columns.attrs.get("licence", "")),
        "quick": quick,
        "ranks": ranks,
        "columns": columns.sizes["column"],
        "heldout_climates": list(experiment.config.split.heldout_climates),
        "folds": training["folds"],
        "split": training["columns"],
        "scores": training["scores"],
        "best": training["best"],
        "model": {"name": experiment.config.name, "file": "train/best.emg", "sha256": _manifest_hash(model)},
        "programs": runs,
        "bits_equal": len({run["sha256"] for run in runs}) == 1,
        "native_error": _native_error(emulator, columns, predicted),
        "closure": _closure(emulator, columns, predicted),
        "rejected_columns": int((predicted["emagram_status"] >= 16).sum()),
        "seconds": seconds | {"total": round(time.perf_counter() - start, 1)},
    }
    write_json(folder / "summary.json", summary)
    report = write_report(folder)
    _say(console, summary)
    if not summary["bits_equal"]:
        raise EmagramError(f"the programs disagree in their bits; see '{report}'")
    return report


def _configuration(source: str, data: Path | None, quick: bool) -> ExperimentConfig:
    config = read_configuration(ROOT / "configs" / f"{source}{'-quick' if quick else ''}.toml", ExperimentConfig)
    if data is None or not isinstance(config.data, RfmipConfig):
        return config
    return dataclasses.replace(config, data=dataclasses.replace(config.data, folder=data / "rfmip"))


def _unseen(experiment: Experiment) -> xr.Dataset:
    """The columns of sites that neither training nor validation saw, in all climates."""
    split = experiment.splits[experiment.exported_fold]
    index = np.sort(np.concatenate([split.test_site_train_climate, split.test_site_heldout_climate]))
    return experiment.columns.isel(column=index)


@contextmanager
def _step(title: str, seconds: dict[str, float], key: str, console: Console) -> Iterator[None]:
    console.print(f"[bold]{title}[/bold]")
    start = time.perf_counter()
    yield
    seconds[key] = round(time.perf_counter() - start, 1)


def _programs(ranks: int, quick: bool) -> list[Program]:
    """The main run first; its output is kept."""
    if shutil.which("mpirun") is None:
        raise EmagramError("mpirun: expected on the PATH, got none; install Open MPI (Debian: openmpi-bin)")
    if os.geteuid() == 0 and "OMPI_ALLOW_RUN_AS_ROOT" not in os.environ:
        raise EmagramError("mpirun: refuses to run as root; use `make demo`, which allows it, or another user")
    fortran = (str(_executable("predict_columns_fortran")),)
    c = (str(_executable("predict_columns_c")),)
    python = (
        sys.executable,
        str(Path(__file__).resolve().parent.parent / "fortran_bridge/examples/predict_columns.py"),
    )
    main = Program("Fortran", fortran, ranks)
    others = [Program("Fortran", fortran, 1, 7), Program("Python", python, ranks), Program("C", c, ranks)]
    if not quick:
        others += [Program("Fortran", fortran, 4), Program("Python", python, 1), Program("C", c, 1)]
    return [main, *others]


def _executable(name: str) -> Path:
    """A compiled program, installed beside the package."""
    for root in PACKAGE_FOLDERS:
        path = Path(root) / "bin" / name
        if path.is_file():
            return path
    raise EmagramError(f"program '{name}': not built; it needs MPI and netCDF for C and Fortran (make sets them up)")


def _run(program: Program, model: Path, columns: Path, output: Path) -> dict[str, Any]:
    """Run a program on the columns and hash its outputs, bit for bit."""
    arguments = [str(model), str(columns), str(output), str(program.chunk)]
    command = ["mpirun", "--oversubscribe", "-n", str(program.ranks), *program.command, *arguments]
    # One thread a rank: ranks that each start a thread a core stand in each other's way.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = round(time.perf_counter() - start, 2)
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("predict_columns: ")]
        raise EmagramError(f"{program.label}: {said[0] if said else (done.stderr or done.stdout).strip()}")
    shown = " ".join(["mpirun", "-n", str(program.ranks), Path(program.command[-1]).name, *arguments])
    return {"label": program.label, "command": shown, "seconds": seconds, "sha256": _output_hash(output)}


def _output_hash(path: Path) -> str:
    """SHA-256 over the names and bits of all variables of a prediction."""
    digest = hashlib.sha256()
    with xr.open_dataset(path, decode_cf=False) as dataset:
        for name in sorted(map(str, dataset.data_vars)):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(dataset[name].values).tobytes())
    return digest.hexdigest()


def _manifest_hash(model: Path) -> str:
    from ..fortran_bridge.model import open as open_model

    return open_model(model).sha256


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
