"""The whole story with few columns and days on two ranks: recorded, learned, exported, coupled, judged, reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emagram.emulators.data.noleap import seconds_of
from emagram.emulators.model_file import sha256_of
from emagram.hybrid.case import CaseConfig
from emagram.hybrid.demo import HEATING, run_or_stop, tell_story
from emagram.hybrid.demo_story import DemoStory, read_story
from emagram.hybrid.physics_config import EmulatorPhysicsConfig
from emagram.physics.errors import EmagramError
from pages import Page, pictures_of_self_contained, read, words

HOST = """
[grid]
source = "built_in"
n_column = 12
n_level = 20
[sun]
source = "seasonal_diurnal"
[forcing]
n_mode = 2
vertical_velocity = 0.02
temperature_relaxation_days = 20.0
"""
RECORD = f'name = "record"\ndays = 5\nrestart_days = 1\n{HOST}\n[record]\nevery = 5\n'
STUDY = """
task = "climsim"
name = "tiny"
variables = "v2"
extra_outputs = ["cam_out_FSNT", "cam_out_FLUT"]
constraints = ["upper_levels", "shortwave", "bounds", "precipitation", "positivity", "water_and_energy"]
seeds = [0]
[records]
folder = "elsewhere"
grid = "elsewhere"
train = { start = "0001-01-01", stop = "0001-01-03" }
validation = { start = "0001-01-04", stop = "0001-01-04" }
test = { start = "0001-01-05", stop = "0001-01-05" }
[[networks]]
kind = "climsim_mlp"
hidden = [16]
[objective]
kind = "normalised"
penalty = "huber"
[training]
epochs = 2
batch_size = 64
"""
ONLINE = f"""
name = "online"
days = 3
seed = 1
restart_days = 1
{HOST}
[physics]
source = "emulator"
model = "elsewhere"
spin_up_days = 1
"""


def write_configurations(folder: Path) -> Path:
    for name, table in (("record", RECORD), ("study", STUDY), ("online", ONLINE)):
        (folder / f"demo-{name}.toml").write_text(table)
    return folder


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoStory, Path]:
    """A story and its report, in a folder with a space."""
    base = tmp_path_factory.mktemp("demo")
    story = read_story(base / "a demo", configs=write_configurations(base))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
            patch.setenv(name, "1")
        return story, tell_story(story, ranks=2, quick=True)


def summary_of(story: DemoStory) -> dict[str, Any]:
    return dict(json.loads((story.folder / "summary.json").read_text()))


@pytest.mark.mpi
def test_the_demo_tells_the_whole_story(told: tuple[DemoStory, Path]) -> None:
    story, report = told
    summary = summary_of(story)
    online = json.loads((story.folder / "online" / "summary.json").read_text())
    assert summary["bits_equal"]
    assert {program["label"].split(",")[0] for program in summary["programs"]} == {"Fortran", "Python", "C"}
    assert summary["model_sha256"] == online["model_sha256"] == sha256_of(story.model)
    assert summary["state_sha256"] == online["state_sha256"]
    assert summary["online_stable"] == (not (story.folder / "online" / "stopped.json").exists())
    assert summary["online_days"] == pytest.approx(2.0 if summary["online_stable"] else online["stopped"]["day"] - 1.0)
    assert summary["closure_flux_energy_w_m2"] <= 1e-10 < summary["residual_before_energy_w_m2"]
    assert summary["closure_flux_water_kg_m2_s"] <= 1e-15 < summary["residual_before_water_kg_m2_s"]
    assert summary["closure_state_energy_w_m2"] <= 1e-8
    assert summary["closure_state_water_kg_m2_s"] <= 1e-14
    assert summary["offline_r2"] == summary["offline_r2_by_variable"][HEATING]
    assert summary["ranks"] == 2
    assert summary["radiation"] is None
    assert report == story.folder / "report.html"
    assert Page(read(report)).open == []
    assert len(pictures_of_self_contained(report)) >= 9
    text = words(report)
    assert ("It was stable." if summary["online_stable"] else "It was not stable.") in text
    assert "Programs and bits" in text
    assert "Left out: with EMAGRAM_DATA" in text
    assert "Energy and water close." in text
    assert summary["model_sha256"] in text


@pytest.mark.mpi
def test_the_runs_are_those_that_the_story_promises(told: tuple[DemoStory, Path]) -> None:
    story, _ = told
    judgement = json.loads((story.folder / "judgement.json").read_text())
    assert judgement["physics"] == "emulator"
    assert [floor["kind"] for floor in judgement["floors"]] == ["last digit", "other weather"]
    assert "Beside the physics the runs differ" not in " ".join(judgement["notes"])
    assert not [note for note in judgement["notes"] if "during the spin-up" in note]


@pytest.mark.mpi
def test_a_demo_that_was_told_is_not_run_again(told: tuple[DemoStory, Path]) -> None:
    story, _ = told
    kept = [story.model, *(story.folder / name / "history.nc" for name in ("record", *story.runs))]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in kept}
    old = summary_of(story)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        patch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        patch.setattr("emagram.hybrid.demo.make_programs", lambda *_, **__: [])
        patch.setattr("emagram.hybrid.demo.run_programs", lambda *_: old["programs"])
        tell_story(story, ranks=2, quick=True)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in kept} == before
    assert {key for key, value in summary_of(story).items() if value != old[key]} <= {"seconds"}


def test_paths_lead_into_the_folder_of_the_demo(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    story = read_story(folder, configs=write_configurations(tmp_path))
    assert story.study.records.folder == folder / "record" / "columns"
    assert story.study.records.grid == folder / "record" / "grid.nc"
    assert isinstance(story.runs["online"].physics, EmulatorPhysicsConfig)
    assert story.runs["online"].physics.model == story.model == folder / "train" / "best.emg"
    assert [case.physics.source for case in story.runs.values()] == ["emulator", *["conventional"] * 3]
    assert len({case.name for case in story.runs.values()}) == 4


def test_an_online_case_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    write_configurations(tmp_path)
    (tmp_path / "demo-online.toml").write_text(ONLINE.split("[physics]")[0])
    with pytest.raises(EmagramError, match="expected a table 'physics' with a 'model', got none"):
        read_story(tmp_path / "demo", configs=tmp_path)


@pytest.mark.parametrize("suffix", ["", "-quick"])
def test_committed_configurations_fit_each_other(suffix: str) -> None:
    """The study reads days that are recorded, its paths are the default ones, and the season online was recorded."""
    folder = Path("runs") / f"demo{suffix}"
    story = read_story(folder, suffix=suffix)
    configs = Path(__file__).parents[2] / "configs"
    assert f'"{story.model}"' in (configs / f"demo-online{suffix}.toml").read_text()
    assert f'"{story.study.records.folder}"' in (configs / f"demo-study{suffix}.toml").read_text()
    record, online = story.record, story.runs["online"]
    first, last = record.start_day + record.record.from_day, record.start_day + record.days
    for part in (story.study.records.train, story.study.records.validation, story.study.records.test):
        assert first <= seconds_of(part.start) // 86400 <= seconds_of(part.stop) // 86400 < last
    assert isinstance(online.physics, EmulatorPhysicsConfig)
    begin = online.start_day + online.physics.spin_up_days
    assert first <= begin < online.start_day + online.days <= last
    assert online.days - online.physics.spin_up_days >= (5 if suffix else 30)
    assert online.seed != record.seed
    for name in ("grid", "sun", "surface", "forcing", "time_step"):
        assert getattr(online, name) == getattr(record, name)


def test_a_run_that_left_its_bounds_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = read_story(tmp_path / "demo", configs=write_configurations(tmp_path)).runs["conventional"]
    folder = tmp_path / "run"
    started: list[CaseConfig] = []

    def stop(case: CaseConfig, *, ranks: int, output: Path) -> None:  # noqa: ARG001
        started.append(case)
        output.mkdir()
        for name in ("stopped.json", "summary.json"):
            (output / name).write_text("{}")
        raise EmagramError("column 3: out of bounds")

    monkeypatch.setattr("emagram.hybrid.demo.run", stop)
    run_or_stop(case, folder, ranks=2)
    run_or_stop(case, folder, ranks=2)
    assert started == [case]


def test_a_run_that_fails_otherwise_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = read_story(tmp_path / "demo", configs=write_configurations(tmp_path)).runs["conventional"]

    def fail(*_: Any, **__: Any) -> None:
        raise EmagramError("no space left")

    monkeypatch.setattr("emagram.hybrid.demo.run", fail)
    with pytest.raises(EmagramError, match="no space left"):
        run_or_stop(case, tmp_path / "run", ranks=2)
