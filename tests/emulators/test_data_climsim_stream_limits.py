"""The streaming loader where files are bad, processes die, memory is short or nothing fits."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from commands import run
from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_files import file_name
from emagram.emulators.data.climsim_grid import built_in_grid
from emagram.emulators.data.climsim_series import Series, find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.physics.errors import EmagramError
from emagram.physics.vertical import HybridCoordinate
from toy_series import (
    N_COLUMN,
    N_LEVEL,
    N_STEP,
    TIME_STEP,
    ToySeries,
    assert_same,
    expected_rows,
    rows,
    sorted_rows,
    spec,
    stream,
    write_series,
)

pytestmark = pytest.mark.usefixtures("no_hanging")


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-100])
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[ToySeries, Series, list[Path]]:
    """A series in which an mli is cut off, an mlo is missing since it was found, and one holds NaN."""
    toy = write_series(tmp_path, N_STEP, n_column=N_COLUMN, n_level=N_LEVEL)
    series = find_series(tmp_path)
    bad = [truncate(series.path(toy.times[4], "mli")), series.path(toy.times[9], "mlo")]
    bad[1].unlink()
    return toy, series, bad


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_file_is_an_error_that_names_it(
    damaged: tuple[ToySeries, Series, list[Path]], workers: int
) -> None:
    toy, series, bad = damaged
    source = stream(toy, series, workers=workers)
    with pytest.raises(EmagramError, match=f"file '{bad[0]}': expected a complete NetCDF file"):
        list(source.ordered())
    with pytest.raises(EmagramError, match=r"toy\.ml[io]\.0001-02-01-(04800|10800)\.nc"):
        list(source.batches(32, seed=0))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_rest_continue_when_asked(
    damaged: tuple[ToySeries, Series, list[Path]], workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    toy, series, bad = damaged
    source = stream(toy, series, workers=workers, unreadable="skip")
    good = [k for k in range(N_STEP) if k not in (4, 9)]
    expected = np.concatenate([expected_rows(toy, "v1", range(k, k + 1)) for k in good])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # a file is logged once, not once a pass
            assert_same(sorted_rows(rows(source.batches(32, seed=0))), sorted_rows(expected))
    assert_same(rows(samples for _, samples in source.ordered()), expected)
    assert sorted(source.skipped) == sorted(bad)
    assert all(str(path) in reason for path, reason in source.skipped.items())
    assert sum("skipped" in record.message for record in caplog.records) == 2
    parts = [list(source.batches(16, seed=0, part=part, n_part=2)) for part in range(2)]
    assert len(parts[0]) == len(parts[1])
    # a set with memory needs the damaged files for the steps after them too
    source = stream(toy, series.with_previous(1), "v7", workers=workers, unreadable="skip")
    assert [(t - toy.times[0]) // TIME_STEP for t, _ in source.ordered()] == [
        k for k in range(1, N_STEP) if k not in (4, 5, 9, 10)
    ]


def test_nothing_readable_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    toy = write_series(tmp_path, 3, n_column=N_COLUMN, n_level=N_LEVEL)
    series = find_series(tmp_path)
    for time in toy.times:
        truncate(series.path(time, "mlo"))
    with pytest.raises(EmagramError, match=r"expected a readable step of 3, got none; the first: file '.*mlo"):
        list(stream(toy, series, unreadable="skip").batches(8, seed=0))


def test_files_of_another_grid_are_an_error(series: Series) -> None:
    other = ColumnStream(series, spec(), built_in_grid(54, N_LEVEL))
    with pytest.raises(EmagramError, match=r"toy\.mli.*expected the grid with 54 columns .*, got ncol 24 and lev 7"):
        next(other.ordered())
    with pytest.raises(EmagramError, match="expected a grid of 7 levels, got 8"):
        ColumnStream(series, spec(), built_in_grid(N_COLUMN, 8))


def test_options_that_are_none_are_refused(toy: ToySeries, series: Series) -> None:
    for options in ({"buffer_columns": 0}, {"workers": -1}, {"unreadable": "ignore"}):
        with pytest.raises(EmagramError, match="column stream: expected buffer_columns ≥ 1"):
            stream(toy, series, **options)
    with pytest.raises(EmagramError, match="expected a positive size, got 0"):
        next(stream(toy, series).batches(0, seed=0))
    of = climsim_spec("v1", n_level=N_LEVEL, time_step=1800.0)
    with pytest.raises(EmagramError, match=r"files of time steps of 1800.0 s, got 1200.0 s"):
        ColumnStream(series, of, toy.grid)


def test_a_strided_recording_has_no_previous_steps(tmp_path: Path) -> None:
    toy = write_series(tmp_path, 6, n_column=N_COLUMN, n_level=N_LEVEL, interval=7 * TIME_STEP)
    series = find_series(tmp_path)
    assert_same(rows(s for _, s in stream(toy, series).ordered()), expected_rows(toy, "v1", range(6)))
    with pytest.raises(EmagramError, match="for variables of the step before, got only every 7"):
        stream(toy, series, "v7")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_is_an_error_and_no_hang(toy: ToySeries, series: Series, number: signal.Signals) -> None:
    batches = stream(toy, series, workers=2, buffer_columns=24).batches(8, seed=0)
    next(batches)
    victim = multiprocessing.active_children()[0]
    assert victim.pid is not None
    os.kill(victim.pid, number)
    with pytest.raises(EmagramError, match=rf"loader worker \(process {victim.pid}\): .* killed by {number.name}"):
        list(batches)


def test_an_abandoned_pass_leaves_no_process(toy: ToySeries, series: Series) -> None:
    batches = stream(toy, series, workers=3).batches(8, seed=0)
    assert len(list(islice(batches, 3))) == 3
    assert len(multiprocessing.active_children()) == 3
    batches.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


def test_two_passes_at_once_do_not_mix(toy: ToySeries, series: Series) -> None:
    source = stream(toy, series, workers=2)
    pairs = list(zip(source.batches(40, seed=0), source.batches(40, seed=0), strict=True))
    assert rows(a for a, _ in pairs).tobytes() == rows(b for _, b in pairs).tobytes()


MEASURE = """
import sys
from pathlib import Path

from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_grid import built_in_grid
from emagram.emulators.data.climsim_series import find_series
from emagram.emulators.data.climsim_stream import ColumnStream


def memory(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(what))) / 1024


if __name__ == "__main__":
    series = find_series(Path(sys.argv[1]), stop=sys.argv[2])
    stream = ColumnStream(series, climsim_spec("v2_rh"), built_in_grid(), buffer_columns=8192, workers=int(sys.argv[3]))
    next(iter(stream.batches(1024, seed=1))).inputs["air_temperature"].sum()  # loads what is loaded once
    before = memory("VmRSS")
    n_column = sum(batch.n_column for batch in stream.batches(1024, seed=0))
    print(n_column, memory("VmHWM") - before)
"""


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.long)])
def test_memory_does_not_grow_with_the_series(tmp_path: Path, workers: int) -> None:
    """500 steps of 384 columns are 1.5 GB of v2_rh; the buffer and what is on its way are some 130 MB.

    The files are hard links to those of a few steps, without a date inside.
    """
    toy = write_series(tmp_path / "series", 4, n_column=384, n_level=60)
    series = find_series(toy.folder)
    for path in toy.folder.iterdir():
        with netCDF4.Dataset(path, "a") as file:
            file.renameVariable("ymd", "old")
    for number in range(4, 500):
        for kind in ("mli", "mlo"):
            source = series.path(toy.times[number % 4], kind)  # type: ignore[arg-type]
            os.link(source, source.with_name(file_name("toy", kind, toy.times[0] + number * TIME_STEP)))
    (tmp_path / "measure.py").write_text(MEASURE)
    grown = {}  # MB
    for stop, n_step in (("0001-02-02", 144), ("9999-12", 500)):
        program = [sys.executable, tmp_path / "measure.py", toy.folder, stop, str(workers)]
        n_column, grown[n_step] = run(program).split()
        assert int(n_column) == n_step * 384
    print("MB beyond the libraries:", grown)
    assert float(grown[500]) < 200.0
    assert float(grown[500]) < float(grown[144]) + 40.0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_series_of_another_grid_of_the_same_sizes_is_an_error(toy: ToySeries, series: Series, workers: int) -> None:
    """Here every file is; in a folder of mixed files one that is not is found as well."""
    of = toy.grid.coordinate
    lifted = HybridCoordinate(tuple(a + 0.002 * (0 < k < N_LEVEL) for k, a in enumerate(of.hyai)), of.hybi, of.p0)
    source = ColumnStream(series, spec("v1"), replace(toy.grid, coordinate=lifted), workers=workers)
    with pytest.raises(EmagramError, match=r"toy\.mli.*of another grid"):
        list(source.batches(32, seed=0))


def test_one_file_upside_down_is_found(tmp_path: Path) -> None:
    toy = write_series(tmp_path, 3)
    series = find_series(tmp_path)
    with netCDF4.Dataset(series.path(toy.times[1], "mli"), "a") as file:
        for variable in file.variables.values():
            if variable.dimensions == ("lev", "ncol"):
                variable[...] = variable[...][::-1]
    with pytest.raises(EmagramError, match=r"toy\.mli\.0001-02-01-01200\.nc.*levels upside down"):
        list(stream(toy, series).ordered())
    skipping = stream(toy, series, unreadable="skip")
    assert [time for time, _ in skipping.ordered()] == [toy.times[0], toy.times[2]]
