"""Columns streamed from ClimSim's files: shuffled for training, in order of time for evaluation.

Only the variables that an emulator needs are read, and what is held at once is one buffer of columns and two steps a
worker process, however long the series.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ...physics.errors import EmagramError
from ...physics.variables import VARIABLES
from ..emulator import EmulatorSpec, Fields
from ..training.samples import Samples, require_part, share
from .climsim_derived import Needs, Place, derive, first_offset, needs
from .climsim_files import UnreadableFileError, read_raw
from .climsim_grid import ColumnGrid
from .climsim_series import Series
from .read_ahead import Reader, Unreadable, read_blocks

Array = NDArray[np.float64]
StepFiles = tuple[tuple[Place, Path], ...]
"""The files that one step needs, each with its offset and kind."""

BUFFER_COLUMNS = 32_768
_PIECE = 1024  # rows that leave the buffer together

_log = logging.getLogger(__name__)


class ColumnStream:
    """A `SampleSource` over a series of files.

    **The shuffle.** Steps are read in an order drawn from the seed. Their columns enter a buffer of `buffer_columns`;
    as many as enter leave it, drawn at random, and at the end all that are left, shuffled. So every column leaves once;
    a batch mixes columns from about buffer_columns / n_column steps spread over the whole series, and the columns of
    one step are spread over a stretch of (geometrically distributed) mean length buffer_columns. With a buffer as large
    as the series it is a perfect shuffle. The order depends on the seed (and buffer_columns) alone, not on the number
    of workers. Every part of a data-parallel training reads all files and keeps its share of each batch.

    Args:
        series: the chosen steps. Where the variables need the steps before, those must be recorded
            (`Series.with_previous`).
        spec: inputs and outputs to deliver.
        grid: of the columns; a file of another number of columns, or with pressure of other levels, is an error.
        buffer_columns: columns in the shuffle buffer; each takes 8 bytes a value (v1: 2.5 kB, v2_rh: 8 kB).
        workers: processes that read ahead; 0 reads in this one.
        unreadable: "error" raises at the first file that cannot be used; "skip" leaves out the steps that need it,
            logs it and lists it in `skipped`.
        keep: hold all columns in memory once they are read, 8 bytes a value, for series that fit and are passed over
            again and again; order and values are the same.
    Raises:
        EmagramError: if the levels or the time step are others, a needed step is not recorded, or an option is none of
            the above.
    """

    def __init__(
        self,
        series: Series,
        spec: EmulatorSpec,
        grid: ColumnGrid,
        *,
        buffer_columns: int = BUFFER_COLUMNS,
        workers: int = 0,
        unreadable: Literal["error", "skip"] = "error",
        keep: bool = False,
    ) -> None:
        if grid.n_level != spec.n_level:
            raise EmagramError(f"column stream: expected a grid of {spec.n_level} levels, got {grid.n_level}")
        if spec.time_step not in (None, series.time_step):
            raise EmagramError(
                f"column stream: expected files of time steps of {spec.time_step} s, got {series.time_step} s"
            )
        if buffer_columns < 1 or workers < 0 or unreadable not in ("error", "skip"):
            raise EmagramError(
                "column stream: expected buffer_columns ≥ 1, workers ≥ 0 and unreadable 'error' or 'skip', "
                f"got {buffer_columns}, {workers} and '{unreadable}'"
            )
        self.series, self.spec, self.grid = series, spec, grid
        self.buffer_columns, self.workers, self.unreadable = buffer_columns, workers, unreadable
        self.skipped: dict[Path, str] = {}
        """Files that were passed over, and why; filled while reading."""
        self._kept: dict[int, Array] | None = {} if keep else None
        self._names = tuple(dict.fromkeys((*spec.inputs, *spec.outputs)))
        self._require_previous()
        width = sum(spec.size(name) for name in self._names)
        step = _StepReader(self._names, needs(self._names), grid, series.time_step)
        self._reader = Reader(step.read, (grid.n_column, width))

    @property
    def n_column(self) -> int:
        """Number of columns of one pass over all parts, if every file can be read."""
        return self.series.n_step * self.grid.n_column

    def batches(self, size: int, *, seed: int, part: int = 0, n_part: int = 1) -> Iterator[Samples]:
        """One part of one pass, shuffled; as `SampleSource.batches`.

        The fields of a batch are views of one array, a row a column.

        Raises:
            EmagramError: if an argument is out of range, a file cannot be used (or, skipping, none can), or a worker
                process is killed.
        """
        require_part(size, part=part, n_part=n_part)
        random = np.random.Generator(np.random.PCG64(seed))
        order = random.permutation(self.series.n_step)
        blocks = self._blocks([self.series.times[i] for i in order])
        shuffled = _shuffle((rows for _, rows in blocks), random, self.buffer_columns)
        for together in _rebatch(shuffled, size * n_part):
            index = share(torch.arange(len(together)), part=part, n_part=n_part)
            yield self._samples(together[index.numpy()] if n_part > 1 else together)

    def ordered(self) -> Iterator[tuple[int, Samples]]:
        """Time [s since 0001-01-01 00:00] and all columns of every step, in order of time and of the grid.

        Raises:
            EmagramError: as `batches`.
        """
        for time, rows in self._blocks(self.series.times):
            yield time, self._samples(rows.copy())

    def _blocks(self, times: Sequence[int]) -> Iterator[tuple[int, Array]]:
        """Each step that can be read, as rows of values (n_column, width)."""
        if self._kept:
            yield from ((time, self._kept[time]) for time in times if time in self._kept)
            return
        places = needs(self._names)
        tasks = [self._files(time, places) for time in times]
        kept, n_read = {}, 0
        for time, block in zip(times, read_blocks(self._reader, tasks, workers=self.workers), strict=True):
            if isinstance(block, Unreadable):
                self._pass_over(block)
            else:
                n_read += 1
                if self._kept is not None:
                    kept[time] = block.copy()
                yield time, block
        if not n_read:
            first = next(iter(self.skipped.values()))
            raise EmagramError(f"column stream: expected a readable step of {len(times)}, got none; the first: {first}")
        if self._kept is not None:
            self._kept = kept

    def _pass_over(self, file: Unreadable) -> None:
        if self.unreadable == "error":
            raise EmagramError(file.reason)
        if file.path not in self.skipped:
            _log.warning("skipped: %s", file.reason)
        self.skipped[file.path] = file.reason

    def _files(self, time: int, places: Iterable[Place]) -> StepFiles:
        step = self.series.interval
        return tuple((place, self.series.path(time + place[0] * step, place[1])) for place in places)

    def _require_previous(self) -> None:
        """The steps before are files of their own, and must be one time step, not one recording, before."""
        n_previous = -first_offset(self._names)
        if n_previous and self.series.with_previous(n_previous).times != self.series.times:
            raise EmagramError(
                f"column stream: expected {n_previous} recorded steps before the first, for variables of the step "
                f"before, got none (Series.with_previous leaves such steps out): {self.series}"
            )

    def _samples(self, rows: Array) -> Samples:
        """Rows as named fields."""
        values, fields, start = torch.from_numpy(rows), {}, 0
        for name in self._names:
            stop = start + self.spec.size(name)
            fields[name] = values[:, start] if VARIABLES[name].dimension == "column" else values[:, start:stop]
            start = stop
        inputs: Fields = {name: fields[name] for name in self.spec.inputs}
        return Samples(inputs, {name: fields[name] for name in self.spec.outputs})


@dataclass(frozen=True, eq=False)
class _StepReader:
    """Reads one step into rows; travels to worker processes."""

    names: tuple[str, ...]
    wanted: Needs
    grid: ColumnGrid
    time_step: float

    def read(self, files: StepFiles, rows: Array) -> Unreadable | None:
        size = {"n_column": self.grid.n_column, "n_level": self.grid.n_level}
        try:
            # the files before the physics have the pressure; every one is compared with the grid
            raw = {
                place: read_raw(
                    path, self.wanted[place], **size, coordinate=self.grid.coordinate if place[1] == "mli" else None
                )
                for place, path in files
            }
        except UnreadableFileError as error:
            return Unreadable(error.path, str(error))
        fields = derive(self.names, raw, time_step=self.time_step, grid=self.grid)
        np.concatenate([fields[name].reshape(len(rows), -1) for name in self.names], axis=1, out=rows)
        return None


def _shuffle(blocks: Iterable[Array], random: np.random.Generator, capacity: int) -> Iterator[Array]:
    """Rows in random order: from a full buffer as many leave, drawn at random, as enter."""
    buffer: Array | None = None
    n_held = 0
    for block in blocks:
        if buffer is None:
            buffer = np.empty((capacity, block.shape[1]))
        entering = block
        if n_held < capacity:
            n_new = min(capacity - n_held, len(entering))
            buffer[n_held : n_held + n_new] = entering[:n_new]
            n_held, entering = n_held + n_new, entering[n_new:]
        n_piece = min(_PIECE, capacity)
        for start in range(0, len(entering), n_piece):
            piece = entering[start : start + n_piece]
            chosen = random.choice(capacity, len(piece), replace=False)
            yield buffer[chosen]
            buffer[chosen] = piece
    if buffer is not None:
        left = random.permutation(n_held)
        for start in range(0, n_held, _PIECE):
            yield buffer[left[start : start + _PIECE]]


def _rebatch(pieces: Iterable[Array], size: int) -> Iterator[Array]:
    """The same rows in the same order, `size` at a time, the last batch as many as are left."""
    held: list[Array] = []
    n_held = 0
    for piece in pieces:
        held.append(piece)
        n_held += len(piece)
        if n_held < size:
            continue
        rows = np.concatenate(held)
        n_whole = n_held - n_held % size
        for start in range(0, n_whole, size):
            yield rows[start : start + size]
        held, n_held = [rows[n_whole:]], n_held - n_whole
    if n_held:
        yield np.concatenate(held)
