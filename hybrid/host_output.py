"""What a run of the column host leaves in its folder: budgets, timers, and the final state."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from ..physics.errors import EmagramError


@dataclass(frozen=True)
class Stop:
    """When, where and by which variable a run left physical bounds.

    Attributes:
        day: of the run, at the begin of the step that failed; date: the same as YYYY-MM-DD-SSSSS.
        after: the part of the step.
        column, level: from 0, the level None for a quantity of the surface; latitude, longitude: [degrees].
        variable, value: what was out of bounds, the value None where it was no number; minimum, maximum: the bounds.
    """

    day: float
    date: str
    after: str
    column: int
    latitude: float
    longitude: float
    level: int | None
    variable: str
    value: float | None
    minimum: float
    maximum: float


def read_stop(folder: Path) -> Stop | None:
    """`stopped.json` of a run that left physical bounds, None of any other.

    Raises:
        EmagramError: if the file is damaged.
    """
    path = folder / "stopped.json"
    if not path.exists():
        return None
    try:
        return Stop(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise EmagramError(f"file '{path}': expected what stopped a run, got '{error}'") from error


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


def read_fixers(folder: Path) -> dict[str, list[float]]:
    """The columns of `fixers.csv`, a value for each step.

    Raises:
        EmagramError: if the file is missing or holds no step.
    """
    rows = _read_rows(folder / "fixers.csv")
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
