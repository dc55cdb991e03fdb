"""Predicting the same columns in Fortran, Python and C under MPI, to see that all return the same bits."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import __path__ as PACKAGE_FOLDERS
from ..physics.errors import EmagramError

EXAMPLES = Path(__file__).resolve().parent.parent / "fortran_bridge" / "examples"


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


def make_programs(ranks: int, *, quick: bool) -> list[Program]:
    """What is run: the main program first; its output is kept.

    Raises:
        EmagramError: if a program is not built, or MPI is missing or refuses to run.
    """
    if shutil.which("mpirun") is None:
        raise EmagramError("mpirun: expected on the PATH, got none; install Open MPI (Debian: openmpi-bin)")
    if os.geteuid() == 0 and "OMPI_ALLOW_RUN_AS_ROOT" not in os.environ:
        raise EmagramError("mpirun: refuses to run as root; use `make demo`, which allows it, or another user")
    fortran, c = ((str(_executable(f"predict_columns_{language}")),) for language in ("fortran", "c"))
    python = (sys.executable, str(EXAMPLES / "predict_columns.py"))
    main = Program("Fortran", fortran, ranks)
    others = [Program("Fortran", fortran, 1, 7), Program("Python", python, ranks), Program("C", c, ranks)]
    if not quick:
        others += [Program("Fortran", fortran, 4), Program("Python", python, 1), Program("C", c, 1)]
    return [main, *others]


def run_programs(programs: Sequence[Program], model: Path, columns: Path, output: Path) -> list[dict[str, Any]]:
    """Predict the columns with each program; the first one's predictions are kept as `output`.

    Returns:
        of each: `label`, `command` as a user would type it, `seconds` [s] and `sha256` of all bits of its outputs.
    Raises:
        EmagramError: if a program fails.
    """
    again = output.with_name("again.nc")
    outputs = [output] + [again] * (len(programs) - 1)
    runs = [_run(program, model, columns, path) for program, path in zip(programs, outputs, strict=True)]
    again.unlink(missing_ok=True)
    return runs


def equal_bits(runs: Sequence[dict[str, Any]]) -> bool:
    """Whether all programs returned the same bits."""
    return len({run["sha256"] for run in runs}) == 1


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
