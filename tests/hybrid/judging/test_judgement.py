"""A whole judgement as JSON, of runs that stopped, and what is said of runs that cannot be compared."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from emagram.hybrid.judging import climate, drawable, headline, judge
from emagram.physics.errors import EmagramError
from judged_runs import EMULATOR, STOP, Fields, made_up_run


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return made_up_run(tmp_path / "control")


def test_json_holds_every_number(tmp_path: Path, control: Path) -> None:
    def edit(fields: Fields) -> None:
        fields["air_temperature"] += 0.5

    run = made_up_run(tmp_path / "run", edit, physics=EMULATOR, days=4)
    judgement = judge(run, control, [made_up_run(tmp_path / "replica", seed=3)])
    path = judgement.write(run)
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert content["format"] == 1
    assert content["headline"]["online_bias_t_k"] == pytest.approx(0.5)
    assert content["headline"]["online_rmse_t_k"] == pytest.approx(0.5)
    assert content["headline"]["online_stable"] is True
    assert len(content["climate"]["scores"]) == 15
    assert len(content["floor_ratios"]) == 15
    assert np.shape(content["climate"]["zonal_bias"]["air_temperature"]) == (10, 6)
    np.testing.assert_allclose(
        content["climate"]["mean"]["air_temperature"], judgement.climate.mean["air_temperature"], rtol=1e-5
    )
    assert judge(run, control).to_json() == judge(run, control).to_json()


def test_empty_bands_are_null_in_json(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climate, "band_edges", lambda _: np.array([-90.0, 10.0, 10.001, 90.0]))
    content = json.loads(judge(control, control).to_json(), parse_constant=pytest.fail)
    assert None in content["climate"]["zonal_bias"]["air_temperature"][0]


def test_a_run_that_stopped_is_judged_by_the_days_it_lived(tmp_path: Path, control: Path) -> None:
    run = made_up_run(tmp_path / "run", physics=EMULATOR | {"spin_up_days": 1}, stopped=STOP, n_record=3, days=4)
    judgement = judge(run, control)
    assert judgement.climate is not None
    assert judgement.last_day - judgement.first_day == 2.0
    assert judgement.survival.stopped == STOP
    assert headline(judgement)["online_stable"] is False
    assert headline(judgement)["online_days"] == pytest.approx(3.35)
    assert any("3 and 4 days; those until day 3 are compared" in note for note in judgement.notes)


@pytest.mark.parametrize("with_history", [True, False])
def test_a_run_that_stopped_in_its_first_day_is_judged_too(tmp_path: Path, control: Path, with_history: bool) -> None:
    spin_up = 4 if with_history else 0
    stop = STOP | {"day": spin_up + 0.35}
    run = made_up_run(tmp_path / "run", physics=EMULATOR | {"spin_up_days": spin_up}, stopped=stop, days=9)
    if not with_history:
        for name in ("history.nc", "timers.csv", "summary.json"):
            (run / name).unlink()
    judgement = judge(run, control, [made_up_run(tmp_path / "replica", seed=3)])
    assert judgement.climate is None
    assert judgement.survival.online_days == pytest.approx(0.35)
    assert judgement.floors == ()
    assert drawable(judgement) == ["error-growth", "speed"]
    assert any("no climate is compared" in note for note in judgement.notes)
    content = json.loads(judgement.to_json(), parse_constant=pytest.fail)
    assert content["headline"]["online_bias_t_k"] is None
    assert not any(isinstance(value, float) and math.isnan(value) for value in content["headline"].values())


def test_what_differs_beside_the_physics_is_named(tmp_path: Path, control: Path) -> None:
    run = made_up_run(tmp_path / "run", physics=EMULATOR, sun={"source": "daily_mean"})
    notes = judge(run, control).notes
    assert notes == ("Beside the physics the runs differ in sun.source daily_mean (none).",)
    other = made_up_run(tmp_path / "other", physics=EMULATOR)
    assert any("ran the physics 'emulator'" in note for note in judge(run, other).notes)


def drop(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def put(name: str, text: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(text) and None


def spoil(name: str, value: float) -> Callable[[Path], None]:
    def edit(run: Path) -> None:
        with netCDF4.Dataset(run / "history.nc", "r+") as file:
            file.variables[name][...] = value

    return edit


def rename(name: str) -> Callable[[Path], None]:
    def edit(run: Path) -> None:
        with netCDF4.Dataset(run / "history.nc", "r+") as file:
            file.renameVariable(name, "elsewhere")

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (drop("configuration.json"), r"run folder '.*run': expected a configuration\.json, got none"),
        (drop("summary.json"), "summary.json': expected a file of the run, got no such file"),
        (drop("history.nc"), "history.nc': expected a NetCDF file, got no such file"),
        (drop("budgets.csv"), "budgets.csv': expected a file of the run, got no such file"),
        (drop("timers.csv"), "timers.csv': expected a file of the run, got no such file"),
        (put("stopped.json", "{}"), "stopped.json': expected what stopped a run"),
        (put("summary.json", "{"), "summary.json': expected JSON"),
        (put("summary.json", "3"), "summary.json': expected a JSON object, got int"),
        (put("history.nc", "no netCDF"), "history.nc': expected a complete NetCDF file"),
        (put("budgets.csv", "day\n"), "budgets.csv': expected at least one line of values, got none"),
        (spoil("lat", 3.0), "expected columns of each latitude as in"),
        (spoil("hybi", 0.5), "expected the pressure levels of"),
        (spoil("toa_outgoing_longwave_flux", np.nan), "'toa_outgoing_longwave_flux' of .* expected finite values"),
        (spoil("time", 3.0), "expected records of equal days from the start of the run"),
        (rename("air_temperature"), "variable 'air_temperature' of .*: expected in the file, got no such variable"),
        (rename("emulator_share"), "variable 'emulator_share' of .*: expected in the file, got no such variable"),
    ],
)
def test_damaged_folders_are_one_sentence(
    tmp_path: Path, control: Path, edit: Callable[[Path], None], message: str
) -> None:
    run = made_up_run(tmp_path / "run", physics=EMULATOR)
    edit(run)
    with pytest.raises(EmagramError, match=message) as error:
        judge(run, control)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_day": 5}, r"expected start_day as in '.*control' \(0\), got 5"),
        ({"history_days": 2}, r"expected history_days as in '.*control' \(1\.0\), got 2\.0"),
        ({"physics": EMULATOR | {"spin_up_days": 4}}, "expected a day after its spin-up of 4 days in common"),
    ],
)
def test_runs_that_do_not_compare_are_one_sentence(
    tmp_path: Path, control: Path, settings: dict[str, Any], message: str
) -> None:
    run = made_up_run(tmp_path / "run", **settings)
    with pytest.raises(EmagramError, match=message):
        judge(run, control)
