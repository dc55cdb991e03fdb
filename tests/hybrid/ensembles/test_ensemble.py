"""Ensembles of the host: members that live and die, are stopped and go on, and failures that are no deaths."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from emagram.hybrid import run as run_module
from emagram.hybrid.case import BuiltInGridConfig, CaseConfig, DailyMeanSunConfig, ForcingConfig
from emagram.hybrid.ensembles import execution
from emagram.hybrid.ensembles.config import Configuration, EnsembleConfig, read_ensemble
from emagram.hybrid.ensembles.ensemble import run_ensemble
from emagram.hybrid.ensembles.execution import judge, locked
from emagram.hybrid.ensembles.scores import SCORES, read_scores
from emagram.hybrid.host_output import read_budgets, state_sha256
from emagram.hybrid.run import prepare, program, run
from emagram.physics.errors import EmagramError

ROOT = Path(__file__).resolve().parents[3]
CASE = CaseConfig(
    name="tiny",
    days=3,
    grid=BuiltInGridConfig("built_in", n_column=2, n_level=20),
    sun=DailyMeanSunConfig("daily_mean"),
    start_day=360,
    forcing=ForcingConfig(n_mode=3, heating=1.0, moistening=0.05),
    restart_days=1,
)
HOT = dataclasses.replace(CASE, forcing=ForcingConfig(n_mode=3, heating=300.0))
"""Heated and cooled until a layer has no temperature of an atmosphere."""
TOML = """
name = "tiny"
seeds = 8
days = 60
[case]
restart_days = 5
grid = {source = "built_in", n_column = 1, n_level = 20}
sun = {source = "daily_mean"}
forcing = {n_mode = 3, heating = 1.0}
[[configurations]]
name = "only"
"""


def ensemble(*configurations: Configuration, days: int = 3, from_day: int = 0) -> EnsembleConfig:
    cases = (dataclasses.replace(c, case=dataclasses.replace(c.case, days=days)) for c in configurations)
    return EnsembleConfig("tiny", days, tuple(cases), from_day)


CONTROL = Configuration("control", (0, 1, 2, 3), CASE)
BOTH = ensemble(CONTROL, Configuration("hot", (0, 1, 2, 3), HOT), from_day=1)


def rows(folder: Path) -> dict[tuple[str, int], dict[str, str]]:
    with (folder / "members.csv").open(newline="") as file:
        return {(row["configuration"], int(row["seed"])): row for row in csv.DictReader(file)}


def results(folder: Path) -> dict[str, bytes]:
    """What an ensemble says; the logs of its members may differ."""
    return {name: (folder / name).read_bytes() for name in ("members.csv", "ensemble.json")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two configurations of four seeds, one of which kills most of its members."""
    return run_ensemble(BOTH, workers=2, output=tmp_path_factory.mktemp("an ensemble") / "run")


def test_a_member_is_what_emagram_run_makes_of_its_case(finished: Path, tmp_path: Path) -> None:
    alone = run(dataclasses.replace(CASE, seed=2), output=tmp_path / "alone")
    member = finished / "members" / "control-2"
    assert state_sha256(member / "restart.nc") == state_sha256(alone / "restart.nc")
    for name in ("history.nc", "budgets.csv"):
        assert (member / name).read_bytes() == (alone / name).read_bytes()
    assert json.loads((finished / "members" / "hot-0" / "summary.json").read_text()).keys() >= {"stopped"}
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (member, alone)]
    assert summaries[0].keys() == summaries[1].keys()


def test_scores_are_means_after_a_day(finished: Path) -> None:
    member = finished / "members" / "control-1"
    row = rows(finished)["control", 1]
    budgets = read_budgets(member)
    assert float(row["precipitation_mm_day"]) == pytest.approx(np.mean(budgets["precipitation_mm_day"][1:]))
    with netCDF4.Dataset(member / "history.nc") as file:
        v = {name: np.asarray(file.variables[name][...], dtype=float) for name in file.variables}
    water, temperature = np.zeros(2), np.zeros(2)
    for column in range(2):
        interface = [a * 1e5 + b * v["surface_air_pressure"][column] for a, b in zip(v["hyai"], v["hybi"], strict=True)]
        mass = np.diff(interface) / 9.80616
        for record in (1, 2):
            water[column] += 0.5 * sum(mass * v["specific_humidity"][record, :, column])
            temperature[column] += 0.5 * sum(mass * v["air_temperature"][record, :, column]) / sum(mass)
    area = v["area"] / v["area"].sum()
    assert float(row["precipitable_water_kg_m2"]) == pytest.approx(area @ water, rel=1e-6)
    assert float(row["air_temperature_k"]) == pytest.approx(area @ temperature, rel=1e-4)  # mass differs by 1 %
    assert 230.0 < float(row["air_temperature_k"]) < 280.0
    with pytest.raises(EmagramError, match="expected days 2 to 4, got 2 of them"):
        read_scores(member, 1, 4)


def test_members_that_leave_their_bounds_are_dead_and_not_scored(finished: Path) -> None:
    table = rows(finished)
    dead = [row for row in table.values() if row["survived"] == "false"]
    assert dead
    assert {row["configuration"] for row in dead} == {"hot"}
    for row in dead:
        assert row["variable"] in ("air_temperature", "specific_humidity", "surface_temperature")
        assert "in the step of " in row["sentence"]
        stop = json.loads((finished / "members" / f"hot-{row['seed']}" / "stopped.json").read_text())
        assert (float(row["day"]), row["variable"]) == (stop["day"], stop["variable"])
        # the days before that of the stop, and no more, are in the budgets
        done = (finished / "members" / f"hot-{row['seed']}" / "budgets.csv").read_text().splitlines()[1:]
        assert len(done) == int(float(row["day"]))
        assert all(row[name] == "" for name in SCORES)
    assert len({row["day"] for row in dead}) > 1
    summary = json.loads((finished / "ensemble.json").read_text())
    control, hot = summary["configurations"]
    assert (control["members"], control["deaths"], hot["deaths"]) == (4, 0, len(dead))
    assert [point["day"] for point in hot["survival"]] == sorted({float(row["day"]) for row in dead})
    comparison = summary["comparisons"][0]
    assert (comparison["configuration"], comparison["reference"]) == ("hot", "control")
    assert 0.0 < comparison["log_rank"]["p_value"] < 0.2
    for name in ("survival.png", "scores.png", "power.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")


def test_a_first_state_out_of_bounds_is_no_death(tmp_path: Path) -> None:
    config = ensemble(dataclasses.replace(CONTROL, seeds=(0,)))
    folder = tmp_path / "run" / "members" / "control-0"
    prepare(config.members()[0].case, folder)
    with netCDF4.Dataset(folder / "initial.nc", "r+") as file:
        file.variables["air_temperature"][0, 3] = 30.0
    with pytest.raises(EmagramError, match=r"no end by its physics: column 0 .* in the beginning: expected air_temp"):
        run_ensemble(config, output=tmp_path / "run")


def test_finished_members_are_not_run_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results(finished)
    monkeypatch.setattr(execution, "prepare", lambda *_: pytest.fail("a member was run again"))
    run_ensemble(BOTH, output=finished)
    assert results(finished) == before


def test_an_ensemble_grows_in_seeds_and_days(finished: Path, tmp_path: Path) -> None:
    small = ensemble(Configuration("control", (0, 1), CASE), days=2)
    grown = ensemble(CONTROL, days=3, from_day=1)
    run_ensemble(small, output=tmp_path / "run")
    run_ensemble(grown, output=tmp_path / "run")
    table = rows(tmp_path / "run")
    assert table == {key: row for key, row in rows(finished).items() if key[0] == "control"}
    with pytest.raises(EmagramError, match=r"control-0': expected at least the 3 days of its outcome\.json, got 2"):
        run_ensemble(small, output=tmp_path / "run")


def test_one_worker_or_three_make_the_same(finished: Path, tmp_path: Path) -> None:
    run_ensemble(BOTH, workers=3, output=tmp_path / "run")
    assert results(tmp_path / "run") == results(finished)


def test_a_member_of_another_configuration_is_refused(finished: Path) -> None:
    other = ensemble(Configuration("control", (0,), dataclasses.replace(CASE, start_day=7)))
    with pytest.raises(EmagramError, match=r"control-0': expected 'start_day' as in its configuration\.json \(360\)"):
        run_ensemble(other, output=finished)


def fake_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A host that ends in its own way; $folder is the member's, $seed its seed."""
    real = program()
    path = tmp_path / "fake" / "bin" / "emagram-host"
    path.parent.mkdir(parents=True)
    begin = '#!/bin/sh\nfolder=$(dirname "$1")\nseed=${folder##*-}\n'
    path.write_text(f"{begin}real='{real}'\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(run_module, "PACKAGE_FOLDERS", [str(tmp_path / "fake")])


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("echo \"emagram-host: file 'history.nc': No space left on device\" >&2; exit 1", "No space left on device"),
        ("kill -9 $$", "ended with status -9"),
        ("exit 3", "ended with status 3 and 'no word'"),
    ],
)
def test_a_failure_that_is_no_death_ends_the_ensemble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str, message: str
) -> None:
    """Seed 1 fails; what was finished before stays, and the rest goes on when the cause is gone."""
    fake_host(tmp_path, monkeypatch, f'if [ $seed = 1 ]; then {failure}; fi\nexec "$real" "$1"')
    config = ensemble(CONTROL, days=1)
    with pytest.raises(EmagramError, match="member 'control-1' failed, which is no end by its physics: ") as error:
        run_ensemble(config, workers=1, output=tmp_path / "run")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "members.csv").exists()
    done = [(tmp_path / "run" / "members" / f"control-{seed}" / "outcome.json").exists() for seed in range(4)]
    assert done == [True, False, False, False]
    monkeypatch.undo()
    assert len(rows(run_ensemble(config, output=tmp_path / "run"))) == 4


def test_an_old_stop_is_not_the_end_of_a_new_run(tmp_path: Path) -> None:
    member = CONTROL.members()[0]
    folder = tmp_path / "run" / "members" / member.name
    prepare(member.case, folder)
    (folder / "stopped.json").write_text('{"day": 1.25, "variable": "air_temperature"}')
    run_ensemble(ensemble(dataclasses.replace(CONTROL, seeds=(0,))), output=tmp_path / "run")
    assert rows(tmp_path / "run")["control", 0]["survived"] == "true"
    assert not (folder / "stopped.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"day": 1.25, "variable": "air_temperature"}'])
def test_a_damaged_stop_is_no_death(tmp_path: Path, content: str) -> None:
    (tmp_path / "stopped.json").write_text(content)
    with pytest.raises(EmagramError, match=r"stopped\.json': expected "):
        judge(CONTROL.members()[0], tmp_path, 1, ["emagram-host: column 3 left its bounds\n"])


def test_no_workers_no_program_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmagramError, match="--workers: expected at least 1, got 0"):
        run_ensemble(BOTH, workers=0, output=tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        run_ensemble(BOTH, output=tmp_path / "file")
    monkeypatch.setattr(run_module, "PACKAGE_FOLDERS", [str(tmp_path)])
    with pytest.raises(EmagramError, match="program 'emagram-host': not built"):
        run_ensemble(BOTH, output=tmp_path / "run")


def test_two_ensembles_in_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "LOCK_SECONDS", 0.0)
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"), pytest.raises(EmagramError, match="expected one ensemble at work, got another"):
        run_ensemble(BOTH, output=tmp_path / "run")


def command(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "emagram", "ensemble", "tiny.toml", "--workers", "2", "--output", "run"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stop(folder: Path, number: int, more: int) -> tuple[int, str]:
    """Start an ensemble, and end it while `more` members are newly done and others at work: its status and words."""
    members = folder / "run" / "members"
    enough = len(list(members.glob("*/outcome.json"))) + more
    started = command(folder)
    end = time.monotonic() + 60.0
    while len(list(members.glob("*/outcome.json"))) < enough and time.monotonic() < end:
        time.sleep(0.002)
    os.kill(started.pid, number)
    _, said = started.communicate(timeout=60)
    return started.returncode, said


def test_a_stopped_ensemble_leaves_no_host_and_goes_on(tmp_path: Path) -> None:
    """Terminated, then killed, then left to end; hosts hold the lock as long as they live."""
    (tmp_path / "tiny.toml").write_text(TOML)
    status, said = stop(tmp_path, signal.SIGTERM, more=1)
    assert status == 1
    assert said.strip().splitlines()[-1] == "emagram ensemble: interrupted"
    assert "Traceback" not in said
    with locked(tmp_path / "run"):
        assert 1 <= len(list(tmp_path.glob("run/members/*/outcome.json"))) < 8
    begun = [path.parent.name for path in tmp_path.glob("run/members/*/case.nml")]
    assert stop(tmp_path, signal.SIGKILL, more=2)[0] == -signal.SIGKILL
    with locked(tmp_path / "run"):
        done = {path: path.read_bytes() for path in tmp_path.glob("run/members/*/outcome.json")}
    assert 3 <= len(done) < 8
    assert len(begun) < 8
    again = command(tmp_path)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert "only: 0 of 8 members died" in out
    assert {path: path.read_bytes() for path in done} == done
    whole = run_ensemble(read_ensemble(tmp_path / "tiny.toml"), output=tmp_path / "whole")
    assert results(tmp_path / "run") == results(whole)


@pytest.mark.long
def test_a_hundred_members_find_what_five_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-0.7993 W m-2 in 300 pairs of configs/ensemble.toml under common weather, with an interval of ±0.015."""
    monkeypatch.chdir(tmp_path)
    config = read_ensemble(ROOT / "configs" / "ensemble.toml")
    control, moister = config.configurations
    known, score = -0.7993, "toa_outgoing_longwave_flux_w_m2"

    def compared(n: int, *configurations: Configuration) -> dict:
        few = tuple(dataclasses.replace(c, seeds=c.seeds[:n]) for c in configurations)
        folder = run_ensemble(dataclasses.replace(config, configurations=few))
        return json.loads((folder / "ensemble.json").read_text())["comparisons"][0]

    hundred = compared(100, control, moister)
    low, high = hundred["independent"][score]["interval_studentised"]
    assert low < known < high < 0.0
    assert hundred["independent"][score]["p_value"] < 0.01
    assert hundred["paired"] is None
    five = compared(5, control, moister)
    low, high = five["independent"][score]["interval_studentised"]
    assert low < 0.0 < high
    assert five["independent"][score]["p_value"] > 0.05
    powers = [hundred["power"][n][score] for n in ("5", "10", "20", "50", "100")]
    assert powers == sorted(powers)
    assert powers[0] < 0.3 < 0.9 < powers[-1]
    pairs = compared(40, dataclasses.replace(control, seeds=moister.seeds), moister)
    low, high = pairs["paired"][score]["interval_studentised"]
    assert low < known < high
    assert high - low < 0.2
