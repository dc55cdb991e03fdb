"""Series of files: found, chosen, split; whatever is missing is named, and the first of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emagram.emulators.data.climsim_files import file_name
from emagram.emulators.data.climsim_series import SPLITS, Series, find_series
from emagram.emulators.data.noleap import date_of, seconds_of
from emagram.physics.errors import EmagramError

STEP = 1200
FIRST = seconds_of("0001-02-01")


def touch(folder: Path, times: list[int], prefix: str = "toy") -> Path:
    """Names are all that finding a series looks at."""
    folder.mkdir(parents=True, exist_ok=True)
    for time in times:
        for kind in ("mli", "mlo"):
            (folder / file_name(prefix, kind, time)).touch()
    return folder


def regular(n: int, interval: int = STEP) -> list[int]:
    return [FIRST + interval * number for number in range(n)]


def in_memory(n: int, interval: int = STEP, first: int = FIRST) -> Series:
    times = tuple(range(first, first + n * interval, interval))
    return Series(Path("nowhere"), "x", 1200.0, interval, dict.fromkeys(times, (".", ".")), times)


def test_a_series_is_found_with_its_paths_in_month_folders_too(tmp_path: Path) -> None:
    times = regular(2300)  # over the end of February
    for time in times:
        touch(tmp_path / date_of(time)[:7], [time])
    (tmp_path / "0001-02" / ".toy.mli.0001-02-01-00000.nc.123.partial").touch()
    (tmp_path / "README.nc").touch()
    series = find_series(tmp_path)
    assert (series.prefix, series.interval, series.n_step) == ("toy", STEP, 2300)
    assert series.times == tuple(times)
    assert series.path(times[0], "mlo") == tmp_path / "0001-02" / "toy.mlo.0001-02-01-00000.nc"
    assert series.path(times[-1], "mli") == tmp_path / "0001-03" / f"toy.mli.{date_of(times[-1])}.nc"
    assert all(series.path(time, kind).is_file() for time in times for kind in ("mli", "mlo"))  # type: ignore[arg-type]
    assert str(series).startswith("2300 of 2300 steps of 'toy'")
    with pytest.raises(EmagramError, match="expected a step at 0001-02-01-00600, got none"):
        series.path(FIRST + 600, "mli")


def test_the_first_gap_is_named(tmp_path: Path) -> None:
    times = regular(12)
    touch(tmp_path, [time for number, time in enumerate(times) if number not in (5, 6, 9)])
    with pytest.raises(EmagramError, match=r"a gap: none at 0001-02-01-06000 \(the next is 0001-02-01-08400\)"):
        find_series(tmp_path)
    assert find_series(tmp_path, stop="0001-02-01-05999").n_step == 5
    assert find_series(tmp_path, start="0001-02-01-08400", stop="0001-02-01-09600").n_step == 2


def test_a_gap_in_a_strided_recording_is_named(tmp_path: Path) -> None:
    touch(tmp_path, [time for number, time in enumerate(regular(9, 3 * STEP)) if number != 4])
    with pytest.raises(EmagramError, match="every 3600 s, got a gap: none at 0001-02-01-14400"):
        find_series(tmp_path)


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_a_missing_partner_is_named(tmp_path: Path, kind: str) -> None:
    times = regular(6)
    touch(tmp_path, times)
    for number in (2, 4):
        (tmp_path / file_name("toy", kind, times[number])).unlink()  # type: ignore[arg-type]
    with pytest.raises(EmagramError, match=rf"got no 'toy\.{kind}\.0001-02-01-02400\.nc' \(2 such\)"):
        find_series(tmp_path)


def test_folders_that_hold_no_series_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="got none of that name"):
        find_series(tmp_path / "absent")
    with pytest.raises(EmagramError, match=r"expected files PREFIX\.mli\..*, got none"):
        find_series(tmp_path)
    touch(tmp_path, regular(2), "a")
    with pytest.raises(EmagramError, match=r"expected files b\.mli\..*, got files of a"):
        find_series(tmp_path, prefix="b")
    touch(tmp_path, regular(2), "b")
    with pytest.raises(EmagramError, match="expected files of one prefix or to be told which, got a, b"):
        find_series(tmp_path)
    assert find_series(tmp_path, prefix="b").prefix == "b"
    touch(tmp_path / "again", regular(1), "b")
    with pytest.raises(
        EmagramError, match=r"'b\.ml[io]\.0001-02-01-00000\.nc' once, got it in '(\.|again)' and '(\.|again)'"
    ):
        find_series(tmp_path, prefix="b")


def test_the_time_step_must_fit(tmp_path: Path) -> None:
    touch(tmp_path, regular(3, 1800))
    with pytest.raises(EmagramError, match="a multiple of 1200 s, got 1800 s"):
        find_series(tmp_path)
    assert find_series(tmp_path, time_step=900.0).interval == 1800
    for time_step in (0.0, -1200.0, 0.5):
        with pytest.raises(EmagramError, match="a time step of whole seconds"):
            find_series(tmp_path, time_step=time_step)


@given(
    n=st.integers(1, 60), first=st.integers(0, 70), last=st.integers(0, 70),
    stride=st.integers(1, 9), offset=st.integers(0, 8),
)  # fmt: skip
def test_selections_are_slices_of_what_lies_between(n: int, first: int, last: int, stride: int, offset: int) -> None:
    series = in_memory(n)
    start, stop = date_of(FIRST + first * STEP), date_of(FIRST + last * STEP)
    expected = series.times[first : last + 1][offset::stride]
    if offset >= stride:
        with pytest.raises(EmagramError, match="offset < stride"):
            series.select(start, stop, stride=stride, offset=offset)
    elif not expected:
        with pytest.raises(EmagramError, match="got none"):
            series.select(start, stop, stride=stride, offset=offset)
    else:
        selected = series.select(start, stop, stride=stride, offset=offset)
        assert selected.times == expected
        assert selected.recorded is series.recorded


def test_days_and_months_are_selected_whole() -> None:
    series = in_memory(72 * 60)
    assert series.select("0001-02-03", "0001-02-03").n_step == 72
    march = series.select("0001-03", "0001-03")
    assert (date_of(march.times[0]), date_of(march.times[-1])) == ("0001-03-01-00000", "0001-03-31-85200")


def test_splits_are_climsims() -> None:
    """Published numbers: 210,240 steps to train and validate on; scoring has 4,380 steps."""
    series = in_memory(210_240)
    assert date_of(series.times[-1]) == "0009-01-31-85200"
    train, validation, scoring = (series.split(name) for name in ("train", "validation", "scoring"))
    assert train.n_step == -(-7 * 365 * 72 // 7)
    assert (validation.n_step, scoring.n_step) == (-(-365 * 72 // 7), 4380)
    assert date_of(train.times[0]) == "0001-02-01-00000"
    assert train.times[-1] < seconds_of("0008-02") == validation.times[0] == scoring.times[0]
    with pytest.raises(EmagramError, match="from 0009-03-01-00000 to 0011-02-28-86399, got none"):
        series.split("test")
    test = in_memory(72 * 365 * 2, first=seconds_of("0009-03")).split("test")
    assert (test.n_step, date_of(test.times[-1])) == (8760, "0011-02-28-79200")
    with pytest.raises(EmagramError, match="expected one of train, validation, scoring, test, got 'valid'"):
        series.split("valid")
    with pytest.raises(EmagramError, match="a series of every step, got one every 7 steps"):
        in_memory(100, 7 * STEP).split("train")
    assert list(SPLITS) == ["train", "validation", "scoring", "test"]


@pytest.mark.parametrize("late", [1, 5, 7, 600])
@pytest.mark.parametrize("name", ["train", "validation", "scoring"])
def test_a_recording_that_begins_late_has_climsims_steps(name: str, late: int) -> None:
    first = seconds_of(SPLITS[name].start)
    whole, part = (in_memory(2000, first=first + late_by * STEP).split(name).times for late_by in (0, late))
    assert part[0] - (first + late * STEP) < SPLITS[name].stride * STEP
    shared = [time for time in whole if time >= part[0]]
    assert part[: len(shared)] == tuple(shared)
    with pytest.raises(EmagramError, match=f"split '{name}' of .*: expected one of its steps, got only others"):
        in_memory(3, first=first + STEP).split(name)


def test_a_regular_remainder_is_a_gap_where_the_interval_is_told(tmp_path: Path) -> None:
    touch(tmp_path, regular(10, 2 * STEP))
    assert find_series(tmp_path).interval == find_series(tmp_path, interval=2 * STEP).interval == 2 * STEP
    with pytest.raises(EmagramError, match="every 1200 s, got a gap: none at 0001-02-01-01200"):
        find_series(tmp_path, interval=STEP)
    with pytest.raises(EmagramError, match="expected a step every 4800 s, got two 2400 s apart"):
        find_series(tmp_path, interval=4 * STEP)
    for interval in (0, -STEP, 1800):
        with pytest.raises(EmagramError, match=f"an interval of a multiple of 1200 s, got {interval} s"):
            find_series(tmp_path, interval=interval)
    assert find_series(tmp_path, stop="0001-02-01-00000", interval=7 * STEP).interval == 7 * STEP


@given(n=st.integers(30, 200), separation=st.integers(0, 3))
def test_parts_are_contiguous_and_apart(n: int, separation: int) -> None:
    series = in_memory(n)
    parts = series.divide((0.6, 0.2, 0.2), separation=separation)
    joined = [time for part in parts for time in part.times]
    assert joined == sorted(set(joined))
    assert len(joined) == n - 2 * separation
    assert parts[-1].times[-1] == series.times[-1]
    for part in parts:
        assert part.times == tuple(range(part.times[0], part.times[-1] + 1, STEP))
    for earlier, later in pairwise(parts):
        assert later.times[0] - earlier.times[-1] == (separation + 1) * STEP


@pytest.mark.parametrize("fractions", [(), (0.0, 1.0), (0.7, 0.4), (-0.1, 0.5)])
def test_fractions_that_are_none_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(EmagramError, match="expected positive fractions of at most 1 together"):
        in_memory(10).divide(fractions)


def test_a_part_without_steps_is_refused() -> None:
    with pytest.raises(EmagramError, match="got none in one"):
        in_memory(4).divide((0.9, 0.1))


def test_steps_without_the_ones_before_are_left_out() -> None:
    series = in_memory(10)
    assert series.with_previous(0) is not None
    assert series.with_previous(2).times == series.times[2:]
    later = series.select(stride=3, offset=2)
    assert later.with_previous(2).times == later.times
    with pytest.raises(EmagramError, match="for variables of the step before, got only every 7"):
        in_memory(10, 7 * STEP).with_previous(1)
    with pytest.raises(EmagramError, match="expected steps with 2 before them, got none"):
        in_memory(2).with_previous(2)
