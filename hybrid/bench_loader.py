"""`emagram bench loader`: shuffled minibatches of columns from files in ClimSim's form, in columns a second.

Cases are `variable set/batch/shuffled`; one call is one minibatch of float64 fields by name. Engines: `stream`
(`ColumnStream` in one process), `stream-2` (with two worker processes), and the peers of `bench_loader_peers`. A repeat
of `stream` and of `xarray-per-file` is a whole pass over the series, everything included, divided by its batches; a
repeat of `xarray` is one minibatch of an open data set, since a pass would take hours. The files are toy columns on
ClimSim's grid, freshly written to the temporary folder, and so in the page cache: this measures reading, checking,
deriving and shuffling, not a disk.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..emulators.climsim import climsim_spec
from ..emulators.data.climsim_files import write_pair
from ..emulators.data.climsim_grid import ColumnGrid, built_in_grid
from ..emulators.data.climsim_series import find_series
from ..emulators.data.climsim_stream import ColumnStream
from ..emulators.data.climsim_toy import TIME_STEP, RawStep, toy_climsim
from ..emulators.data.noleap import seconds_of
from ..emulators.emulator import EmulatorSpec
from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .bench_loader_peers import Batch, open_whole, pass_per_file
from .benchmark import N_REPEAT, BenchOptions, Row, Skipped, repeat

Array = NDArray[np.float64]

BATCH = 1024
SETS = ("v1", "v2_rh")
N_STEP = {"quick": 24, "default": 96, "full": 720}
TOLERANCE = 1e-12
"""Relative to the largest value of a field: tendencies are differences, divided in another order."""


def bench_loader(options: BenchOptions) -> list[Row | Skipped]:
    """All cases and engines.

    Raises:
        EmagramError: on another device than the CPU, or if the temporary folder cannot hold the files.
    """
    if options.device != "cpu":
        raise EmagramError(f"bench loader: expected device 'cpu', got '{options.device}'")
    with tempfile.TemporaryDirectory(prefix="emagram-bench-") as folder:
        return measure(write_files(Path(folder), N_STEP[options.size]))


def measure(files: Files) -> list[Row | Skipped]:
    """Every variable set and engine on these files."""
    rows: list[Row | Skipped] = []
    for name in SETS:
        spec = climsim_spec(name, n_level=files.grid.n_level)
        rows += _measure_set(files, spec, f"{name}/b{BATCH}/shuffled")
    return rows


@dataclass(frozen=True)
class Files:
    """A series on disk and what was written into it."""

    folder: Path
    grid: ColumnGrid
    steps: tuple[RawStep, ...]

    @property
    def n_column(self) -> int:
        """Of the whole series."""
        return self.grid.n_column * len(self.steps)

    @property
    def more(self) -> dict[str, float]:
        """How many files and how large, for the rows."""
        sizes = [path.stat().st_size for path in self.folder.iterdir()]
        return {"files": len(sizes), "file_gb": sum(sizes) / 1e9}


def write_files(folder: Path, n_step: int, grid: ColumnGrid | None = None) -> Files:
    """A series of toy columns, on ClimSim's number of columns and levels unless a grid is given."""
    grid = grid or built_in_grid()
    steps = tuple(toy_climsim(grid, n_step, seed=0))
    for number, step in enumerate(steps):
        time = seconds_of("0001-02-01") + number * round(TIME_STEP)
        write_pair(folder, "toy", time, step["mli"], step["mlo"])
    return Files(folder, grid, steps)


def _measure_set(files: Files, spec: EmulatorSpec, case: str) -> Iterator[Row | Skipped]:
    reference = Reference.of(files, spec)
    names = {name: VARIABLES[name].aliases["climsim"] for name in (*spec.inputs, *spec.outputs)}
    passes = {
        "stream": partial(_pass_stream, files, spec, workers=0),
        "stream-2": partial(_pass_stream, files, spec, workers=2),
        "xarray-per-file": partial(pass_per_file, files.folder, names, size=BATCH, seed=0),
    }
    for engine, start_pass in passes.items():
        error, seconds = _time_passes(files, reference, start_pass)
        yield _row(files, reference, case, engine, error=error, seconds=seconds)
    if find_spec("dask") is None:
        yield Skipped(case, "xarray", "dask is not installed; make bench-peers brings it")
        return
    error, seconds = _time_batches(files, reference, names)
    yield _row(files, reference, case, "xarray", error=error, seconds=seconds)


def _pass_stream(files: Files, spec: EmulatorSpec, *, workers: int) -> Iterator[Batch]:
    stream = ColumnStream(find_series(files.folder), spec, files.grid, workers=workers, buffer_columns=8 * BATCH)
    for samples in stream.batches(BATCH, seed=0):
        yield {name: value.numpy() for name, value in (samples.inputs | samples.targets).items()}


def _time_passes(
    files: Files, reference: Reference, start_pass: Callable[[], Iterable[Batch]]
) -> tuple[float, list[float]]:
    """Error and seconds a batch of whole passes; the first, which is checked, warms up."""
    error = reference.error(start_pass(), whole_pass=True)
    seconds = repeat(lambda: deque(start_pass(), maxlen=0))
    return error, [s * BATCH / files.n_column for s in seconds]


def _time_batches(files: Files, reference: Reference, names: Mapping[str, str]) -> tuple[float, list[float]]:
    """The same for minibatches of one open data set."""
    with open_whole(files.folder, names) as draw:
        order = np.random.Generator(np.random.PCG64(0)).permutation(files.n_column)
        pieces = iter([order[start : start + BATCH] for start in range(0, BATCH * (N_REPEAT + 1), BATCH)])
        error = reference.error([draw(next(pieces))], whole_pass=False)
        return error, repeat(lambda: draw(next(pieces)))


def _row(files: Files, reference: Reference, case: str, engine: str, *, error: float, seconds: list[float]) -> Row:
    more = {"columns_per_second": BATCH / statistics.median(seconds)} | files.more
    n_byte = 8.0 * BATCH * reference.width
    return Row(case, engine, "fp64", error, TOLERANCE, seconds, n_byte=n_byte, more=more)


@dataclass(frozen=True)
class Reference:
    """What every column of the series should be, from the numbers that were written.

    Attributes:
        fields: by name, (n_column of the series,) or (…, size).
        number: of each column, by the bytes of its temperature profile.
    """

    fields: Mapping[str, Array]
    number: Mapping[bytes, int]

    @classmethod
    def of(cls, files: Files, spec: EmulatorSpec) -> Reference:
        """All fields of a spec; raises EmagramError if two columns have the same temperature."""
        names = (*spec.inputs, *spec.outputs)
        fields = {
            n: np.concatenate([_truth(step, VARIABLES[n].aliases["climsim"]) for step in files.steps]) for n in names
        }
        number = {profile.tobytes(): i for i, profile in enumerate(fields["air_temperature"])}
        if len(number) != files.n_column:
            raise EmagramError(f"bench loader: expected {files.n_column} different columns, got {len(number)}")
        return cls(fields, number)

    @property
    def width(self) -> int:
        """Values a column."""
        return sum(value[0].size for value in self.fields.values())

    def error(self, batches: Iterable[Batch], *, whole_pass: bool) -> float:
        """Largest relative error of what was delivered; NaN if a column is unknown, came twice or never, or a field
        is missing."""
        seen = np.zeros(len(self.number), dtype=np.int64)
        worst = 0.0
        scale = {name: max(float(np.abs(value).max()), 1e-300) for name, value in self.fields.items()}
        for batch in batches:
            profiles = np.ascontiguousarray(batch["air_temperature"])
            index = [self.number.get(profile.tobytes(), -1) for profile in profiles]
            if min(index) < 0 or batch.keys() != self.fields.keys():
                return float("nan")
            np.add.at(seen, index, 1)
            for name, value in batch.items():
                deviation = np.abs(value - self.fields[name][index]).max() / scale[name]
                worst = float("nan") if np.isnan(deviation) else max(worst, float(deviation))
        complete = seen.max() == 1 and (seen.min() == 1 or not whole_pass)
        return worst if complete else float("nan")


def _truth(step: RawStep, name: str) -> Array:
    """A variable of one step, as the toy wrote it."""
    if name.startswith("ptend_"):
        state = name.replace("ptend", "state")
        return (step["mlo"][state] - step["mli"][state]) / TIME_STEP
    values = step["mlo" if name.startswith("cam_out_") else "mli"][name]
    return np.where(values == 1e30, 0.0, values)
