"""Speeds from timers that were made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emagram.hybrid.judging.runs import read_run
from emagram.hybrid.judging.speed import RunSpeed, compare_speed
from judged_runs import EMULATOR, N_COLUMN, STOP, made_up_run, write_budgets, write_timers

DAY_STEPS = 72 * N_COLUMN
MICROSECOND = 1e-6


def timed(folder: Path, seconds: dict[str, float], days: int = 4, ranks: int = 1, **settings: object) -> Path:
    """A run of 4 days whose last session was of some days; seconds of a column-step of that session [µs]."""
    run = made_up_run(folder, **settings)  # type: ignore[arg-type]
    steps = days * DAY_STEPS
    write_timers(
        run / "timers.csv", {name: MICROSECOND * value * steps / ranks for name, value in seconds.items()}, steps
    )
    (run / "summary.json").write_text(json.dumps({"ranks": ranks}))
    return run


def speed_of(run: Path, control: Path) -> tuple[RunSpeed, float | None, float | None]:
    found = compare_speed(read_run(run), read_run(control))
    assert found.run is not None
    return found.run, found.step_speedup, found.physics_speedup


@pytest.fixture
def control(tmp_path: Path) -> Path:
    seconds = {"sun": 1.0, "longwave": 2.0, "shortwave": 3.0, "boundary_layer": 4.0, "convection": 5.0}
    return timed(
        tmp_path / "control", seconds | {"microphysics": 6.0, "files": 9.0, "emulator": 0.0, "constraints": 0.0}
    )


def test_conventional_physics(control: Path) -> None:
    found, step, physics = speed_of(control, control)
    np.testing.assert_allclose(found.physics_microseconds, 20.0, rtol=1e-9)
    np.testing.assert_allclose(found.step_microseconds, 30.0, rtol=1e-9)
    np.testing.assert_allclose(found.columns_per_second, 1e6 / 30.0, rtol=1e-9)
    year = 365.0 * DAY_STEPS * 30e-6
    np.testing.assert_allclose(found.simulated_years_per_day, 86400.0 / year, rtol=1e-9)
    assert step == pytest.approx(1.0)
    assert physics == pytest.approx(1.0)


def test_the_spin_up_does_not_slow_or_hasten_an_emulator(tmp_path: Path, control: Path) -> None:
    """Three days of four with conventional physics; the mean over the session is a quarter emulator."""
    seconds = {"sun": 1.0, "longwave": 15.0, "emulator": 0.25 * 3.0, "constraints": 0.25 * 1.0, "files": 9.0}
    run = timed(tmp_path / "run", seconds, physics=EMULATOR | {"spin_up_days": 3})
    found, step, physics = speed_of(run, control)
    np.testing.assert_allclose(found.physics_microseconds, 4.0, rtol=1e-9)
    np.testing.assert_allclose(found.step_microseconds, 14.0, rtol=1e-9)
    np.testing.assert_allclose(found.part_microseconds["longwave"], 20.0, rtol=1e-9)
    assert physics == pytest.approx(5.0)
    assert step == pytest.approx(30.0 / 14.0)


def test_a_spin_up_does_not_hide_what_rejected_columns_cost(tmp_path: Path, control: Path) -> None:
    """Three days of four with conventional physics of 20 µs, in the fourth 4 µs of emulator and all of that again."""
    seconds = {"sun": 1.0, "longwave": 20.0, "emulator": 0.25 * 3.0, "constraints": 0.25 * 1.0, "files": 9.0}
    run = timed(tmp_path / "run", seconds, physics=EMULATOR | {"spin_up_days": 3})
    write_budgets(run / "budgets.csv", 4, emulator_rejected_fraction=[0.0, 0.0, 0.0, 0.5])
    found, step, physics = speed_of(run, control)
    np.testing.assert_allclose(found.physics_microseconds, 24.0, rtol=1e-9)
    assert physics == pytest.approx(20.0 / 24.0)
    assert step == pytest.approx(30.0 / 34.0)
    write_budgets(run / "budgets.csv", 4, emulator_rejected_fraction=[0.0, 0.0, 0.0, 1.0 / 32.0])
    found, _, _ = speed_of(run, control)  # in half of the chunks of 16 at most
    longwave = 20.0 / (0.75 + 0.25 * 0.5)
    np.testing.assert_allclose(found.part_microseconds["longwave"], longwave, rtol=1e-9)
    np.testing.assert_allclose(found.physics_microseconds, 4.0 + 0.5 * longwave, rtol=1e-9)


def test_a_session_after_the_spin_up(tmp_path: Path, control: Path) -> None:
    seconds = {"sun": 1.0, "longwave": 0.5, "emulator": 3.0, "constraints": 1.0, "files": 9.0}
    run = timed(tmp_path / "run", seconds, days=1, physics=EMULATOR | {"spin_up_days": 2})
    found, _, _ = speed_of(run, control)
    np.testing.assert_allclose(found.physics_microseconds, 4.5, rtol=1e-9)  # 0.5 for rejected columns
    assert found.physics_part_microseconds == pytest.approx({"longwave": 0.5, "emulator": 3.0, "constraints": 1.0})


def test_a_session_that_ends_within_the_spin_up_has_no_emulator(tmp_path: Path, control: Path) -> None:
    run = timed(tmp_path / "run", {"longwave": 2.0, "emulator": 0.0}, physics=EMULATOR | {"spin_up_days": 4})
    found = compare_speed(read_run(run), read_run(control))
    assert (found.run, found.physics_speedup) == (None, None)


@pytest.mark.parametrize("change", [{"source": "blend"}, {"variables": ["air_temperature"]}])
def test_a_blend_and_a_part_of_the_variables_pay_for_both(
    tmp_path: Path, control: Path, change: dict[str, object]
) -> None:
    physics = EMULATOR | change
    run = timed(tmp_path / "run", {"longwave": 20.0, "emulator": 3.0, "constraints": 1.0}, physics=physics)
    found, _, _ = speed_of(run, control)
    np.testing.assert_allclose(found.physics_microseconds, 24.0, rtol=1e-9)


def test_ranks_work_side_by_side(tmp_path: Path, control: Path) -> None:
    run = timed(tmp_path / "run", {"emulator": 20.0, "files": 10.0}, ranks=2, physics=EMULATOR)
    found, step, _ = speed_of(run, control)
    assert found.ranks == 2
    np.testing.assert_allclose(found.step_microseconds, 30.0, rtol=1e-9)
    np.testing.assert_allclose(found.columns_per_second, 2e6 / 30.0, rtol=1e-9)
    assert step == pytest.approx(1.0)


def test_a_run_that_stopped_may_have_no_timers(tmp_path: Path, control: Path) -> None:
    run = made_up_run(tmp_path / "run", stopped=STOP | {"day": 4.5}, physics=EMULATOR)
    (run / "timers.csv").unlink()
    found = compare_speed(read_run(run), read_run(control))
    assert (found.run, found.step_speedup) == (None, None)
    assert found.against is not None
