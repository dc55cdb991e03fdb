"""The report of an online run: whole, self-contained, and it says what the numbers say, good or bad."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emagram.hybrid.judging.judgement import Judgement, judge
from emagram.hybrid.physics_config import VARIABLES
from emagram.hybrid.report import write_report
from judged_runs import EMULATOR, GRID, N_COLUMN, Fields, made_up_fields, made_up_run, write_budgets
from pages import Page, pictures_of_self_contained, read, words

HEADINGS = (
    *("Verdict", "What was done", "Time series", "Climate beside conventional physics", "Precipitation"),
    *("Offline against online", "Energy and water", "Survival and growth of errors", "Interventions"),
    *("Constraints", "Speed", "Limits", "How to repeat it"),
)
CASE: dict[str, Any] = {
    "grid": {"source": "built_in", "n_column": N_COLUMN},
    "forcing": {"temperature_relaxation_days": 20.0, "humidity_relaxation_days": 10.0},
}
STOPPED = {
    "day": 2.25,
    "date": "0001-01-03-21600",
    "after": "emulator",
    "column": 17,
    "latitude": -12.5,
    "longitude": 200.0,
    "level": 8,
    "variable": "air_temperature",
    "value": 412.3,
    "minimum": 150.0,
    "maximum": 350.0,
}
R2 = {
    "tendency_of_air_temperature_due_to_model_physics": 0.875,
    "tendency_of_specific_humidity_due_to_model_physics": 0.5,
    "toa_outgoing_longwave_flux": 0.96875,
}
N_DAY = 4
PHYSICS = (("online", EMULATOR), ("conventional", None))


def warm(fields: Fields) -> None:
    """By 2 K, with rejections in a column and corrections everywhere."""
    fields["air_temperature"] += 2.0
    fields["emulator_share"] += 1.0
    fields["emulator_rejected"][:, 7] = 0.25
    fields["air_temperature_tendency_magnitude"] += 1e-5
    fields["air_temperature_correction"] += 1e-6
    fields["emulated_steps_by_regime"] += 0.25
    fields["heating_correction_by_regime"] += 1.5
    fields["heating_tendency_by_regime"] += 30.0
    fields["residual_before_column_energy_by_regime"] += 2.0


def runs(folder: Path, *, closes: bool = True, **changes: Any) -> list[Path]:
    """A run with an emulator, a conventional one, and one with other weather."""
    online = made_up_run(folder / "online", warm, n_record=N_DAY, **({"physics": EMULATOR} | CASE | changes))
    residuals = {"residual_before_energy_w_m2": [31.5] * N_DAY, "residual_before_water_kg_m2_s": [2e-5] * N_DAY}
    residuals["residual_energy_w_m2_emulator"] = [3e-12 if closes else 3e-3] * N_DAY
    write_budgets(online / "budgets.csv", N_DAY, **residuals)
    conventional = made_up_run(folder / "conventional", n_record=N_DAY, **CASE)
    weather = {"relative": 0.0, "seed": 0, "weather": 1}
    return [
        online,
        conventional,
        made_up_run(
            folder / "other-weather",
            lambda fields: fields.update(made_up_fields(N_DAY, 1)),
            n_record=N_DAY,
            perturbation=weather,
            **CASE,
        ),
    ]


def judged(folder: Path, **changes: Any) -> tuple[Judgement, Path]:
    online, conventional, weather = runs(folder, **changes)
    return dataclasses.replace(judge(online, conventional, [weather]), offline_r2=R2), online


def report_of(folder: Path, **changes: Any) -> Path:
    judgement, run = judged(folder, **changes)
    return write_report(run, judgement, run)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time, and words do not need it."""
    monkeypatch.setattr("emagram.hybrid.report_figures.draw", lambda *_: b"<svg/>")
    monkeypatch.setattr("emagram.hybrid.report_figures.draw_residuals", lambda _: b"<svg/>")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run that was stable and closes."""
    return report_of(tmp_path_factory.mktemp("a folder"))


def test_report_has_every_section_and_balanced_tags(report: Path) -> None:
    page = Page(read(report))
    assert page.open == []
    assert tuple(page.headings) == HEADINGS
    text = words(report)
    numbers = [int(part.split(".")[0]) for part in text.split("Figure ")[1:]]
    assert numbers == list(range(1, 13))
    assert "$" not in text  # a placeholder of the template that nothing filled
    assert "nan" not in text


def test_report_is_self_contained(report: Path) -> None:
    assert len(pictures_of_self_contained(report)) == 12


def test_report_is_the_same_every_time_and_leaves_nothing_else(tmp_path: Path) -> None:
    judgement, run = judged(tmp_path)
    before = sorted(run.iterdir())
    first = write_report(run, judgement, run).read_bytes()
    assert write_report(run, judgement, run).read_bytes() == first
    assert sorted(run.iterdir()) == sorted([*before, run / "report.html"])


def test_verdict_says_what_the_numbers_say(report: Path) -> None:
    text = words(report)
    assert "of columns and steps left to the host's physics. With the emulator in place of the column physics" in text
    assert "for all 4 days after the spin-up" in text
    assert "Energy and water close." in text
    assert "within 3.0 × 10⁻¹² W m⁻²" in text
    assert "before the constraints the emulator was wrong by up to 31.5 W m⁻² and 2.0 × 10⁻⁵ kg m⁻² s⁻¹" in text
    assert "set the floors, which no emulator needs to beat; they differ by: other weather." in text
    assert "Mean air is 2 K warmer than with conventional physics (other weather alone: " in text
    assert "R² = 0.88 of heating and 0.50 of moistening" in text
    assert "What it is not: a climate simulation." in text
    share = 100.0 * 0.25 * GRID.area[7] / GRID.area.sum()
    assert f"{float(f'{share:.2g}'):g} % of its columns and steps were rejected" in text
    assert "10 % of the air temperature tendency" in text


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_does_not_close_says_so(tmp_path: Path) -> None:
    text = words(report_of(tmp_path, closes=False))
    assert "Water closes, energy does not." in text
    assert "Energy and water close" not in text
    assert text.count("✗ 0.003") + text.count("✗ 3.0 × 10⁻³") == 2  # at a glance, and in the table


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_was_not_stable_says_when_where_and_what(tmp_path: Path) -> None:
    text = words(report_of(tmp_path, stopped=STOPPED, days=30))
    assert "It was not stable." in text
    assert "It was stable" not in text
    assert "left physical bounds after 2.25 of 30 days online" in text
    assert "on day 2.25 (0001-01-03-21600), after the part “emulator” of the step: in column 17" in text
    assert "(12.5° S, 160.0° W), level 8 the air temperature was 412, where 150 to 350 is allowed" in text
    assert "✗ 2.25 days" in text


@pytest.mark.usefixtures("no_pictures")
def test_no_number_and_no_level_of_a_stop_are_said_in_words(tmp_path: Path) -> None:
    stopped = STOPPED | {"level": None, "variable": "surface_temperature", "value": None}
    text = words(report_of(tmp_path, stopped=stopped))
    assert "160.0° W) the surface temperature was no number, where" in text


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_stopped_on_its_first_day_has_a_report(tmp_path: Path) -> None:
    online, conventional, _ = runs(tmp_path, stopped=STOPPED | {"day": 0.25})
    for name in ("history.nc", "budgets.csv", "timers.csv"):
        (online / name).unlink()
    page = write_report(online, judge(online, conventional), online)
    assert tuple(Page(read(page)).headings) == HEADINGS
    text = words(page)
    assert "left physical bounds after 0.25 of 4 days" in text
    assert "The run ended too early for its climate to be compared." in text


@pytest.mark.usefixtures("no_pictures")
def test_a_conventional_run_is_not_called_an_emulator(tmp_path: Path) -> None:
    ours, theirs = (made_up_run(tmp_path / name, **CASE) for name in ("ours", "theirs"))
    text = words(write_report(ours, judge(ours, theirs), ours))
    assert "ran conventional physics, so that no emulator is judged" in text
    assert "No emulator was at work" in text
    assert "With conventional column physics the columns stayed" in text


@pytest.mark.usefixtures("no_pictures")
def test_texts_of_the_run_cannot_change_the_page(tmp_path: Path) -> None:
    stopped = STOPPED | {"after": "<b onclick=x>", "date": "&", "variable": "<i>"}
    page = read(report_of(tmp_path, stopped=stopped))
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;" in page
    assert Page(page).open == []


def demo_summary(**changes: Any) -> dict[str, Any]:
    """As `summarise_story` and the demo write it."""
    programs = [
        {"label": f"{language}, 2 ranks", "command": "mpirun", "seconds": 0.5, "sha256": "ab" * 32}
        for language in ("Fortran", "Python", "C")
    ]
    return {
        "files": ["demo-record.toml"],
        "quick": True,
        "ranks": 2,
        "checked_columns": 200,
        "radiation": None,
        "recorded": {"columns": 96, "days": 40},
        "trained": {"columns": 41472, "network": "MLP", "epochs": 5},
        "programs": programs,
        "bits_equal": True,
        "seconds": {"record": 1.0, "total": 2.0},
        **changes,
    }


@pytest.mark.usefixtures("no_pictures")
def test_parts_of_the_demo(tmp_path: Path) -> None:
    judgement, run = judged(tmp_path)
    text = words(write_report(tmp_path, judgement, run, demo=demo_summary()))
    assert "Quick form." in text
    assert "Left out: with EMAGRAM_DATA" in text
    assert "must not change it: ✓ equal" in text
    assert text.count("✓ same bits") == 3

    programs = demo_summary()["programs"]
    programs[1] = programs[1] | {"sha256": "cd" * 32}
    radiation = {
        "page": "radiation/report.html",
        "truth": "RTE",
        "columns": 144,
        "bits_equal": False,
        "programs": 4,
        "closure_energy_w_m2": 1e-13,
        "before_energy_w_m2": 30.0,
    }
    changed = demo_summary(bits_equal=False, programs=programs, radiation=radiation, quick=False)
    text = words(write_report(tmp_path, judgement, run, demo=changed))
    assert "must not change it: ✗ different" in text
    assert text.count("✗ other bits") == 1
    assert "144 unseen columns in 4 program runs: ✗ different bits" in text
    assert "Quick form." not in text


@pytest.mark.usefixtures("no_pictures")
def test_small_numbers_are_not_rounded_to_zero(tmp_path: Path) -> None:
    def reject_once(fields: Fields) -> None:
        warm(fields)
        fields["emulator_rejected"][:] = 0.0
        fields["emulator_rejected"][0, 0] = 1.0 / 72.0

    online = made_up_run(tmp_path / "online", reject_once, n_record=N_DAY, physics=EMULATOR, **CASE)
    conventional = made_up_run(tmp_path / "conventional", n_record=N_DAY, **CASE)
    judgement = judge(online, conventional)
    assert judgement.interventions is not None
    share = 100.0 * judgement.interventions.rejected_fraction
    assert 0.0 < share < 0.01
    assert np.isclose(share, 100.0 / 72.0 / N_DAY / N_COLUMN, rtol=0.3)
    assert f"{float(f'{share:.2g}'):g} % of its columns" in words(write_report(online, judgement, online))


@pytest.mark.usefixtures("no_pictures")
def test_the_summary_of_a_run_that_is_missing_is_no_error(tmp_path: Path) -> None:
    judgement, run = judged(tmp_path, stopped=STOPPED)
    (run / "summary.json").unlink()
    assert "state SHA-256 none" in words(write_report(run, judgement, run))
    assert json.loads((run / "configuration.json").read_text())["name"] == "online"


@pytest.mark.usefixtures("no_pictures")
def test_a_partial_coupling_is_not_called_the_whole_physics(tmp_path: Path) -> None:
    taken = ["air_temperature", "precipitation"]
    text = words(report_of(tmp_path / "some", physics=EMULATOR | {"variables": taken}))
    assert text.count("the emulator in place of the column physics for air temperature and precipitation alone") == 2
    assert "before the constraints the merged answer of emulator and host was wrong by up to 31.5" in text
    every = words(report_of(tmp_path / "all", physics=EMULATOR | {"variables": list(VARIABLES)}))
    assert "the emulator in place of the column physics the columns" in every
    assert " alone" not in every.split("Climate beside")[0].replace("weather alone", "")


@pytest.mark.usefixtures("no_pictures")
def test_a_run_that_its_host_carried_is_not_simply_stable(tmp_path: Path) -> None:
    conventional = made_up_run(tmp_path / "conventional", **CASE)
    for rejected, verdict in (
        (0.0, "It was stable. With the emulator in place of the column physics the columns"),
        (0.5, "It was stable, with 50 % of columns and steps left to the host's physics."),
        (0.999, "It was stable, with more than 99 % of columns and steps left to the host's physics."),
        (1.0, "Nothing is known of the emulator. It had no share in any of the compared steps."),
    ):

        def reject(fields: Fields, rejected: float = rejected) -> None:
            fields["emulator_rejected"] += rejected
            fields["emulator_share"] += 1.0 - rejected

        online = made_up_run(tmp_path / f"{rejected}", reject, physics=EMULATOR, **CASE)
        assert verdict in words(write_report(online, judge(online, conventional), online))


@pytest.mark.usefixtures("no_pictures")
def test_an_end_in_the_spin_up_is_not_the_emulators(tmp_path: Path) -> None:
    changes = {"physics": EMULATOR | {"spin_up_days": 9}, "stopped": STOPPED | {"after": "convection"}, "days": 20}
    text = words(report_of(tmp_path, **changes))
    assert "Nothing is known of the emulator. Conventional physics left physical bounds in the spin-up" in text
    assert "It was not stable" not in text
    first_step = words(report_of(tmp_path / "later", **(changes | {"physics": EMULATOR | {"spin_up_days": 2}})))
    assert "It was not stable. With the emulator" in first_step


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("n_day", "span"), [(93, "93 days of less than a year;"), (366, "366 days; in a model")])
def test_a_long_run_is_not_of_one_season(tmp_path: Path, n_day: int, span: str) -> None:
    free = CASE | {"forcing": {"temperature_relaxation_days": 0.0, "humidity_relaxation_days": 5.0}}
    runs = [made_up_run(tmp_path / name, n_record=n_day, physics=physics, **free) for name, physics in PHYSICS]
    text = words(write_report(runs[0], judge(*runs), runs[0]))
    assert span in text
    assert "one season" not in text
    assert "Relaxation of humidity over 5 days holds" in text
    assert "There is no replica of the conventional run" in text
    assert "daily means in every column" in text


@pytest.mark.usefixtures("no_pictures")
def test_means_of_more_days_are_not_called_daily(tmp_path: Path) -> None:
    runs = [made_up_run(tmp_path / name, physics=physics, history_days=5, **CASE) for name, physics in PHYSICS]
    text = words(write_report(runs[0], judge(*runs), runs[0]))
    assert "the RMSE that of means of 5 days in every column" in text
    assert "RMSE of means of 5 days 0" in text
    assert "daily means" not in text.split("Limits")[0].replace("daily extremes", "")
    assert "dry days" not in text
