"""The streaming loader: every column once, as it was written, in an order that the seed alone decides."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from commands import run
from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_files import file_name, write_pair
from emagram.emulators.data.climsim_grid import built_in_grid, read_climsim_grid
from emagram.emulators.data.climsim_series import Series, find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.data.climsim_synthetic import generate_climsim
from emagram.emulators.data.noleap import seconds_of
from emagram.emulators.emulator import EmulatorSpec
from emagram.emulators.training.samples import SampleSource, count_batches
from emagram.physics.errors import EmagramError
from emagram.physics.variables import VARIABLES
from toy_series import START, TIME_STEP, ToySeries, as_rows, rows, sorted_rows, write_series

N_STEP, N_COLUMN, N_LEVEL = 20, 24, 7
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> ToySeries:
    return write_series(tmp_path_factory.mktemp("a series"), N_STEP, n_column=N_COLUMN, n_level=N_LEVEL)


@pytest.fixture(scope="module")
def series(toy: ToySeries) -> Series:
    return find_series(toy.folder)


@pytest.fixture(autouse=True)
def _no_hanging() -> Iterator[None]:
    """A test that waits for a dead process fails instead."""
    signal.alarm(60)
    yield
    signal.alarm(0)
    assert multiprocessing.active_children() == []


def spec(name: str = "v1") -> EmulatorSpec:
    return climsim_spec(name, n_level=N_LEVEL)


def stream(toy: ToySeries, series: Series, name: str = "v1", **options: object) -> ColumnStream:
    return ColumnStream(series, spec(name), toy.grid, **{"buffer_columns": 100, **options})  # type: ignore[arg-type]


def expected_rows(toy: ToySeries, name: str, steps: range) -> Array:
    """What the files of these steps should become, from the definitions and not from the readers."""
    of = spec(name)
    names = (*of.inputs, *of.outputs)
    fields = [[value(toy, k, variable).reshape(N_COLUMN, -1) for variable in names] for k in steps]
    return np.concatenate([np.concatenate(step, axis=1) for step in fields])


def value(toy: ToySeries, k: int, variable: str) -> Array:
    """Definitions of ClimSim's variables, by hand."""

    def change(step: int, *names: str) -> Array:
        before, after = toy.steps[step]["mli"], toy.steps[step]["mlo"]
        return sum((after[n] - before[n] for n in names), np.zeros(())) / TIME_STEP

    def forcing(step: int, *names: str) -> Array:
        now, before = toy.steps[step]["mli"], toy.steps[step - 1]["mlo"]
        return sum((now[n] - before[n] for n in names), np.zeros(())) / TIME_STEP

    if variable == "air_pressure":
        return toy.steps[k]["mli"]["state_pmid"]
    alias = VARIABLES[variable].aliases["climsim"]
    water = {"qn": ("state_q0002", "state_q0003"), "q0": ("state_q0001", "state_q0002", "state_q0003")}
    back = 1 if alias.startswith("tm_") else 0
    x = alias.removeprefix("tm_").removeprefix("ptend_").removeprefix("state_").split("_")[0]
    names = water.get(x, (f"state_{x}",))
    if alias.startswith("ptend_"):
        return change(k, *names)
    if alias.endswith("_prvphy"):
        return change(k - 1 - back, *names)
    if alias.endswith("_dyn"):
        return forcing(k - back, *names)
    if alias in ("clat", "slat"):
        return {"clat": np.cos, "slat": np.sin}[alias](np.deg2rad(toy.grid.latitude))
    if alias == "cam_in_SNOWHICE":
        snow = toy.steps[k]["mli"][alias]
        return np.where(snow == 1e30, 0.0, snow)
    return toy.steps[k]["mlo" if alias.startswith("cam_out_") else "mli"][alias]


def same(found: Array, expected: Array) -> None:
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-25)


@pytest.mark.parametrize("name", ["v1", "v2", "v2_rh", "v2_rh_mc"])
def test_in_order_every_field_is_what_was_written(toy: ToySeries, series: Series, name: str) -> None:
    found = list(stream(toy, series, name).ordered())
    assert [time for time, _ in found] == list(toy.times)
    same(rows(samples for _, samples in found), expected_rows(toy, name, range(N_STEP)))


@pytest.mark.parametrize("name", ["v4", "v5", "v6", "v7"])
def test_sets_with_memory_look_at_the_steps_before(toy: ToySeries, series: Series, name: str) -> None:
    n_previous = 1 if name == "v7" else 2
    found = stream(toy, series.with_previous(n_previous), name).ordered()
    same(rows(samples for _, samples in found), expected_rows(toy, name, range(n_previous, N_STEP)))
    with pytest.raises(EmagramError, match=f"expected {n_previous} recorded steps before the first"):
        stream(toy, series, name)


def test_the_steps_before_a_chosen_one_need_not_be_chosen(toy: ToySeries, series: Series) -> None:
    chosen = series.select(stride=7, offset=3)
    found = list(stream(toy, chosen, "v7").batches(1000, seed=0))
    same(sorted_rows(rows(found)), sorted_rows(expected_rows(toy, "v7", range(3, N_STEP, 7))))


@pytest.mark.parametrize("size", [1, 7, 24, 64, 480, 1000])
@pytest.mark.parametrize("buffer_columns", [1, 10, 24, 100, 479, 480, 10_000])
def test_a_pass_has_every_column_once(toy: ToySeries, series: Series, size: int, buffer_columns: int) -> None:
    source = stream(toy, series, buffer_columns=buffer_columns)
    batches = list(source.batches(size, seed=5))
    assert source.n_column == N_STEP * N_COLUMN
    assert [b.n_column for b in batches[:-1]] == [size] * (len(batches) - 1)
    assert len(batches) == count_batches(source.n_column, size)
    same(sorted_rows(rows(batches)), sorted_rows(expected_rows(toy, "v1", range(N_STEP))))


def test_inputs_and_targets_are_of_the_same_column(toy: ToySeries, series: Series) -> None:
    """Sets of rows would also agree if fields were exchanged between a batch's samples."""
    known = {step["mli"]["state_t"][i].tobytes(): (k, i) for k, step in enumerate(toy.steps) for i in range(N_COLUMN)}
    assert len(known) == N_STEP * N_COLUMN
    for batch in stream(toy, series).batches(50, seed=1):
        for row in range(batch.n_column):
            k, i = known[batch.inputs["air_temperature"][row].numpy().tobytes()]
            humidity = batch.inputs["specific_humidity"][row].numpy()
            assert humidity.tobytes() == toy.steps[k]["mli"]["state_q0001"][i].tobytes()
            assert float(batch.targets["lwe_precipitation_rate"][row]) == toy.steps[k]["mlo"]["cam_out_PRECC"][i]


def test_batches_stay_what_they_were(toy: ToySeries, series: Series) -> None:
    """Rows that leave the buffer are not overwritten by rows that enter it."""
    source = stream(toy, series, workers=2)
    kept = list(source.batches(32, seed=2))
    seen = [as_rows(batch).copy() for batch in source.batches(32, seed=2)]
    same(rows(kept), np.concatenate(seen))
    kept = [samples for _, samples in source.ordered()]
    same(rows(kept), expected_rows(toy, "v1", range(N_STEP)))


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("name", ["v1", "v7"])
def test_the_number_of_workers_changes_nothing(toy: ToySeries, series: Series, workers: int, name: str) -> None:
    chosen = series.with_previous(1)
    alone = [as_rows(batch) for batch in stream(toy, chosen, name).batches(37, seed=3)]
    helped = [as_rows(batch) for batch in stream(toy, chosen, name, workers=workers).batches(37, seed=3)]
    assert [a.tobytes() for a in alone] == [h.tobytes() for h in helped]


def test_the_seed_alone_decides_the_order(toy: ToySeries, series: Series) -> None:
    source = stream(toy, series)
    first, other = rows(source.batches(48, seed=0)), rows(source.batches(48, seed=1))
    np.random.default_rng().random(10)
    np.random.seed(3)  # noqa: NPY002
    assert first.tobytes() == rows(stream(toy, series).batches(48, seed=0)).tobytes()
    assert first.tobytes() == rows(source.batches(17, seed=0)).tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize(("size", "n_part"), [(24, 2), (16, 3), (7, 4), (480, 2), (100, 5)])
def test_parts_together_are_one_pass_with_larger_batches(
    toy: ToySeries, series: Series, size: int, n_part: int
) -> None:
    source: SampleSource = stream(toy, series)
    parts = [list(source.batches(size, seed=4, part=part, n_part=n_part)) for part in range(n_part)]
    whole = list(source.batches(size * n_part, seed=4))
    assert {len(part) for part in parts} == {len(whole)} == {count_batches(source.n_column, size, n_part)}
    for k, together in enumerate(whole):
        assert rows(part[k] for part in parts).tobytes() == as_rows(together).tobytes()
        assert max(part[k].n_column for part in parts) <= size
    for part, of in ((-1, 2), (2, 2), (0, 0)):
        with pytest.raises(EmagramError, match="expected a part"):
            next(source.batches(8, seed=0, part=part, n_part=of))


def provenance(toy: ToySeries, found: Array) -> Array:
    """Step number of each row, from its temperature at the top."""
    top = np.stack([step["mli"]["state_t"][:, 0] for step in toy.steps])
    number = {float(t): k for k, row in enumerate(top) for t in row}
    return np.array([number[float(t)] for t in found[:, 0]], dtype=float)


@pytest.fixture(scope="module")
def long_toy(tmp_path_factory: pytest.TempPathFactory) -> ToySeries:
    return write_series(tmp_path_factory.mktemp("many"), 300, n_column=N_COLUMN, n_level=2)


def test_how_good_the_shuffle_is(long_toy: ToySeries) -> None:
    """What the docstring promises: neighbours in time and in a file are strangers in a pass.

    With a buffer of 40 steps, the steps of a batch of 240 columns should be nearly those of 240 random columns (about
    165 of 300 for a perfect shuffle; at most 49 different steps are in a batch at all if files went through in order).
    """
    of = climsim_spec("v1", n_level=2)
    source = ColumnStream(find_series(long_toy.folder), of, long_toy.grid, buffer_columns=40 * N_COLUMN)
    steps = provenance(long_toy, rows(source.batches(240, seed=9)))
    n = steps.size
    assert n == 300 * N_COLUMN
    batches = steps.reshape(-1, 240)
    # A step's columns are spread over the pass, not in one place: mean distance of two of them in the pass.
    where = [np.flatnonzero(steps == k) for k in range(300)]
    spread = np.mean([np.abs(np.subtract.outer(w, w)).sum() / (24 * 23) for w in where])
    assert spread > 0.5 * 40 * N_COLUMN  # two exponential waiting times of mean 960 differ by 960; less at the ends
    # The pass has no trend in time and no memory from column to column beyond what the buffer allows.
    assert abs(np.corrcoef(steps, np.arange(n))[0, 1]) < 0.15
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 0.1
    assert np.mean([len(set(b)) for b in batches]) > 60
    perfect = ColumnStream(find_series(long_toy.folder), of, long_toy.grid, buffer_columns=n)
    steps = provenance(long_toy, rows(perfect.batches(240, seed=9)))
    distinct = np.mean([len(set(b)) for b in steps.reshape(-1, 240)])
    assert abs(distinct - 300 * (1 - (1 - 240 / n) ** 24)) < 3.0
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 4 / np.sqrt(n)


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
            same(sorted_rows(rows(source.batches(32, seed=0))), sorted_rows(expected))
    same(rows(samples for _, samples in source.ordered()), expected)
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
    same(rows(s for _, s in stream(toy, series).ordered()), expected_rows(toy, "v1", range(6)))
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


@pytest.mark.parametrize("name", ["v2_rh", "v6"])
def test_columns_drawn_from_climsims_statistics_go_through_files(real_data: Path, tmp_path: Path, name: str) -> None:
    """The writer's and the reader's ranges hold what ClimSim's statistics say occurs, on its own grid."""
    grid = read_climsim_grid(real_data / "climsim/grid_info/ClimSim_low-res_grid-info.nc")
    steps = tuple(generate_climsim(real_data / "climsim/column_statistics.nc", grid, 3, seed=0))
    times = tuple(seconds_of(START) + TIME_STEP * number for number in range(3))
    for time, step in zip(times, steps, strict=True):
        write_pair(tmp_path, "drawn", time, step["mli"], step["mlo"])
    source = ColumnStream(find_series(tmp_path).with_previous(2), climsim_spec(name), grid)
    ((time, samples),) = source.ordered()
    assert (time, samples.n_column) == (times[2], 384)
    temperature = (steps[2]["mlo"]["state_t"] - steps[2]["mli"]["state_t"]) / TIME_STEP
    tendency = samples.targets["tendency_of_air_temperature_due_to_model_physics"].numpy()
    np.testing.assert_allclose(tendency, temperature, rtol=1e-12, atol=1e-20)
    np.testing.assert_array_equal(samples.inputs["eastward_wind"].numpy(), steps[2]["mli"]["state_u"])


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

    The files are hard links to those of a few steps.
    """
    toy = write_series(tmp_path / "series", 4, n_column=384, n_level=60)
    series = find_series(toy.folder)
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
