"""What a run of the column host leaves in its folder: budgets, timers, and the final state."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import netCDF4
import numpy as np

from ..physics.errors import EmagramError


def state_sha256(restart: Path) -> str:
    """SHA-256 over names and bits of all variables of a restart file, whatever number of ranks wrote it."""
    digest = hashlib.sha256()
    with netCDF4.Dataset(restart) as file:
        file.set_auto_mask(False)
        for name in sorted(file.variables):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(file.variables[name][...], dtype="<f8").tobytes())
    return digest.hexdigest()


def read_budgets(folder: Path) -> dict[str, list[float]]:
    """The columns of `budgets.csv`, a value for each day.

    Raises:
        EmagramError: if the file is missing or holds no day.
    """
    rows = _read_rows(folder / "budgets.csv")
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def read_timers(folder: Path) -> dict[str, tuple[float, int]]:
    """`timers.csv` of the last session: seconds of the slowest rank in each part, and column-steps of all ranks.

    Raises:
        EmagramError: if the file is missing or empty.
    """
    return {row["part"]: (float(row["seconds"]), int(row["column_steps"])) for row in _read_rows(folder / "timers.csv")}


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise EmagramError(f"file '{path}': expected a file of the run, got no such file")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise EmagramError(f"file '{path}': expected at least one line of values, got none")
    return rows
