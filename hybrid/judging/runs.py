"""Run folders of the column host, read and checked for a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from ...emulators.data.netcdf import open_netcdf
from ...emulators.run_folder import CONFIGURATION_NAME, read_json
from ...physics.constants import Constants
from ...physics.errors import EmagramError
from ..host_output import read_stop
from ..physics_config import VARIABLES

Array = NDArray[np.float64]

HISTORY_NAME = "history.nc"
RECORDS_AT_ONCE = 64
"""Records of a variable held in memory together."""


@dataclass(frozen=True)
class Columns:
    """The columns of a run.

    Attributes:
        latitude, longitude: [degree] (n_column,).
        area: [sr] (n_column,).
        interface_pressure: [Pa] (n_level + 1, n_column), from the top.
    """

    latitude: Array
    longitude: Array
    area: Array
    interface_pressure: Array

    @property
    def n_column(self) -> int:
        """Number of columns."""
        return len(self.area)

    @property
    def n_level(self) -> int:
        """Number of layers."""
        return len(self.interface_pressure) - 1

    @property
    def area_weight(self) -> Array:
        """[1] (1, n_column), share of the whole area."""
        return np.asarray((self.area / self.area.sum())[None])

    @property
    def mass_weight(self) -> Array:
        """[1] (n_level, n_column), share of the whole mass: Δp times area."""
        mass = np.diff(self.interface_pressure, axis=0) * self.area
        return np.asarray(mass / mass.sum())

    @property
    def pressure(self) -> Array:
        """[Pa] (n_level,), middle of the layers where the mean surface pressure is."""
        interface = (self.interface_pressure * self.area_weight).sum(axis=1)
        return np.asarray(0.5 * (interface[1:] + interface[:-1]))


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        configuration, summary: what its JSON files hold; a run that stopped may have no summary.
        stopped: what `stopped.json` holds, where the run left physical bounds.
        columns: None where the run stopped before its first record.
        time: [day] since the start of the run, the ends of the records of `history.nc` (n_record,).
        days_in_mean: [day] of a record.
    """

    folder: Path
    configuration: Mapping[str, Any]
    summary: Mapping[str, Any]
    stopped: Mapping[str, Any] | None
    columns: Columns | None
    time: Array
    days_in_mean: float

    @property
    def physics(self) -> str:
        """conventional, emulator or blend."""
        return str((self.configuration.get("physics") or {}).get("source", "conventional"))

    @property
    def constraints(self) -> str:
        """Whether those of the model file are enforced or measured; "enforce" of a conventional run too."""
        return str((self.configuration.get("physics") or {}).get("constraints", "enforce"))

    @property
    def needs_conventional(self) -> bool:
        """Whether the conventional physics computes every column after the spin-up too."""
        return self.physics != "emulator" or bool(self.taken)

    @property
    def taken(self) -> tuple[str, ...]:
        """What alone is taken from the emulator; empty where that is everything, or of a conventional run."""
        if self.physics == "conventional":
            return ()
        taken = tuple(self.configuration["physics"].get("variables") or ())
        return () if set(taken) == set(VARIABLES) else taken

    @property
    def spin_up_days(self) -> float:
        """[day] of conventional physics before the emulator's first step; 0 of a conventional run."""
        if self.physics == "conventional":
            return 0.0
        return float(self.configuration["physics"].get("spin_up_days", 0.0))

    @property
    def start_day(self) -> int:
        """[day] of the year of the run's first day, 0 for the first of January."""
        return int(self.configuration.get("start_day", 0))

    def has(self, name: str) -> bool:
        """Whether the history has a variable."""
        if self.columns is None:
            return False
        with open_netcdf(self.folder / HISTORY_NAME) as file:
            return name in file.variables

    def read(self, name: str, records: slice) -> Array:
        """A variable of the history, (n_record, n_level, n_column), or (n_record, 1, n_column) of one without levels.

        One by regime has classes in place of levels.

        Raises:
            EmagramError: if the file is damaged, the variable missing, or a value not finite.
        """
        path = self.folder / HISTORY_NAME
        with open_netcdf(path) as file:
            values = _variable(file, name, path, records)
        if not np.isfinite(values).all():
            raise EmagramError(f"variable '{name}' of '{path}': expected finite values, got a fill value or NaN")
        return values if values.ndim == 3 else values[:, None]

    def in_parts(self, records: slice) -> list[slice]:
        """The records in parts that fit into memory."""
        starts = range(records.start, records.stop, RECORDS_AT_ONCE)
        return [slice(start, min(start + RECORDS_AT_ONCE, records.stop)) for start in starts]


def read_run(folder: Path) -> Run:
    """Read what is always needed of a run folder.

    Raises:
        EmagramError: if it is no run folder, a file is damaged, or one is missing of a run that was not stopped.
    """
    folder = Path(folder)
    if not (folder / CONFIGURATION_NAME).is_file():
        raise EmagramError(f"run folder '{folder}': expected a {CONFIGURATION_NAME}, got none")
    stop = read_stop(folder)
    stopped = None if stop is None else asdict(stop)
    configuration, summary = _read_json(folder / CONFIGURATION_NAME), {}
    if stopped is None or (folder / "summary.json").is_file():
        summary = _read_json(folder / "summary.json")
    if stopped is not None and not (folder / HISTORY_NAME).is_file():
        return Run(folder, configuration, summary, stopped, None, np.empty(0), float(configuration["history_days"]))
    with open_netcdf(folder / HISTORY_NAME) as file:
        time = _variable(file, "time", folder / HISTORY_NAME)
        days = _variable(file, "days_in_mean", folder / HISTORY_NAME)
        columns = _columns(file, folder / HISTORY_NAME)
    if len(time) == 0 or (days != days[0]).any() or not np.allclose(time, days[0] * np.arange(1, len(time) + 1)):
        raise EmagramError(f"file '{folder / HISTORY_NAME}': expected records of equal days from the start of the run")
    return Run(folder, configuration, summary, stopped, columns, time, float(days[0]))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise EmagramError(f"file '{path}': expected a file of the run, got no such file")
    content = read_json(path)
    if not isinstance(content, dict):
        raise EmagramError(f"file '{path}': expected a JSON object, got {type(content).__name__}")
    return content


def _variable(file: netCDF4.Dataset, name: str, path: Path, records: slice = slice(None)) -> Array:
    if name not in file.variables:
        raise EmagramError(f"variable '{name}' of '{path}': expected in the file, got no such variable")
    return np.ma.filled(np.ma.asarray(file.variables[name][records]).astype(np.float64), np.nan)


def _columns(file: netCDF4.Dataset, path: Path) -> Columns:
    names = ("lat", "lon", "area", "hyai", "hybi", "surface_air_pressure")
    latitude, longitude, area, a, b, surface_pressure = (_variable(file, name, path) for name in names)
    interface = a[:, None] * Constants().reference_pressure + b[:, None] * surface_pressure
    return Columns(latitude, longitude, area, interface)


def compared_records(run: Run, against: Run, from_day: float) -> slice:
    """The records that both runs have, from a day of the run on: the same numbers in both files.

    Raises:
        EmagramError: if the runs have other columns, levels, days in a mean, or another start.
    """
    for what, ours, theirs in _comparable(run, against):
        if ours != theirs:
            raise EmagramError(f"run '{run.folder}': expected {what} as in '{against.folder}' ({theirs}), got {ours}")
    if run.columns is not None and against.columns is not None:
        for what in ("latitude", "longitude"):
            ours, theirs = getattr(run.columns, what), getattr(against.columns, what)
            if not np.allclose(ours, theirs, rtol=0.0, atol=1e-6):
                raise EmagramError(f"run '{run.folder}': expected columns of each {what} as in '{against.folder}'")
        ours, theirs = (x.interface_pressure.mean(axis=1) for x in (run.columns, against.columns))
        if not np.allclose(ours, theirs, rtol=0.05):  # the surface pressure may belong to another seed
            raise EmagramError(f"run '{run.folder}': expected the pressure levels of '{against.folder}', got others")
    last = min(len(run.time), len(against.time))
    return slice(min(int(np.ceil(from_day / run.days_in_mean - 1e-9)), last), last)


def _comparable(run: Run, against: Run) -> list[tuple[str, object, object]]:
    pairs: list[tuple[str, object, object]] = [
        ("history_days", run.days_in_mean, against.days_in_mean),
        ("start_day", run.start_day, against.start_day),
    ]
    if run.columns is not None and against.columns is not None:
        pairs.append(("the number of columns", run.columns.n_column, against.columns.n_column))
        pairs.append(("the number of levels", run.columns.n_level, against.columns.n_level))
    return pairs
