"""The whole story: columns are recorded, an emulator learns them and steps them in place of the physics, judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Console

from .. import __version__
from ..emulators.climsim_study import ClimsimStudy
from ..emulators.data.columns import write_columns
from ..emulators.run_folder import write_json
from ..fortran_bridge.model import open as open_model
from ..physics.errors import EmagramError
from .case import CaseConfig
from .demo_programs import Program, equal_bits, make_programs, run_programs
from .demo_steps import Steps
from .demo_story import CONVENTIONAL, ONLINE, REPLICAS, DemoStory, read_story
from .judging.judgement import Judgement, headline, judge
from .radiation.demo import read_radiation_configuration, run_radiation
from .report import write_report
from .run import prepare, run
from .verbs import print_scores

CHECKED_COLUMNS = 200
"""Predicted in every language."""
HEATING = "tendency_of_air_temperature_due_to_model_physics"
TITLES = {
    ONLINE: "the same columns online: the emulator in place of the physics",
    CONVENTIONAL: "the same case with conventional physics",
    "last-digit": "the same again, its initial temperature changed in the last digit",
    "other-weather": "the same again in other weather",
}


def run_demo(folder: Path | None, *, quick: bool, ranks: int, data: Path | None) -> Path:
    """Record, train, evaluate, export, run online, judge and report; what was done before is continued.

    Args:
        folder: of the demo, by default `runs/demo`.
        quick: the small configurations.
        ranks: MPI processes of every run.
        data: the folder of real data, for the radiation story too; None without.
    Returns:
        the report, beside `summary.json`.
    Raises:
        EmagramError: if a program is not built or fails, MPI is missing, the folder holds another demo, or the bits
            of two programs differ. An online run that leaves physical bounds is no error: the report says so.
        OSError: if the folder cannot be written.
    """
    suffix = "-quick" if quick else ""
    story = read_story(folder or Path("runs") / f"demo{suffix}", suffix=suffix)
    return tell_story(story, ranks=ranks, quick=quick, data=data)


def tell_story(story: DemoStory, *, ranks: int, quick: bool, data: Path | None = None) -> Path:
    """Do what `run_demo` says with the configurations of a story."""
    folder, steps = story.folder, Steps()
    programs = make_programs(ranks, quick=quick)
    folder.mkdir(parents=True, exist_ok=True)
    with steps.step("record", "recording columns under conventional physics"):
        run(story.record, ranks=ranks, output=folder / "record")
    with steps.step("train", "training, evaluation on later days, export"):
        study = ClimsimStudy(story.study, folder / "train")
        if not (folder / "train" / "summary.json").is_file():
            study.run()
    print_scores(folder / "train")
    with steps.step("programs", "predicting recorded columns in Fortran, Python and C"):
        runs = _predict(story, study, programs)
    for name, case in story.runs.items():
        with steps.step(name, TITLES[name]):
            run_or_stop(case, folder / name, ranks=ranks)
    if data is not None:
        with steps.step("radiation", "the radiation of RFMIP's columns"):
            config = read_radiation_configuration(data, quick=quick)
            run_radiation(config, folder / "radiation", programs, quick=quick)
    with steps.step("judge", "comparing with conventional physics"):
        judgement = judge_story(story)
    summary = summarise_story(story, judgement) | {
        "quick": quick,
        "checked_columns": CHECKED_COLUMNS,
        "programs": runs,
        "bits_equal": equal_bits(runs),
        "radiation": _radiation(folder) if data is not None else None,
        "seconds": steps.with_total(),
    }
    write_json(folder / "summary.json", summary)
    report = write_report(folder, judgement, folder / ONLINE, demo=summary)
    _say(steps.console, summary)
    _require_equal_bits(summary, report)
    return report


def run_or_stop(case: CaseConfig, folder: Path, *, ranks: int) -> None:
    """Run a case, or continue it; one that left physical bounds is done.

    Raises:
        EmagramError: if it fails for any other reason, or the folder holds another run.
    """
    stopped = folder / "stopped.json"
    if stopped.is_file() and (folder / "summary.json").is_file():
        prepare(case, folder)  # which refuses the folder of another run
        return
    try:
        run(case, ranks=ranks, output=folder)
    except EmagramError:
        if not stopped.is_file():
            raise


def _predict(story: DemoStory, study: ClimsimStudy, programs: Sequence[Program]) -> list[dict[str, Any]]:
    """Some recorded columns that were not trained on, predicted by every program."""
    model = open_model(story.model)
    samples = next(study.streams["test"].batches(CHECKED_COLUMNS, seed=0))
    columns = xr.Dataset(
        {
            field.name: (field.dimensions, samples.inputs[field.name].numpy().astype(np.float64), {"units": field.unit})
            for field in model.inputs
        }
    )
    write_columns(columns, story.folder / "columns.nc")
    return run_programs(programs, story.model, story.folder / "columns.nc", story.folder / "predictions.nc")


def judge_story(story: DemoStory) -> Judgement:
    """The online run beside the conventional ones, written as `judgement.json`.

    Raises:
        EmagramError: if a file of a run is missing or damaged.
    """
    folder = story.folder
    replicas = [folder / name for name in REPLICAS]
    judgement = judge(folder / ONLINE, folder / CONVENTIONAL, replicas, offline=folder / "train")
    judgement.write(folder)
    return judgement


def summarise_story(story: DemoStory, judgement: Judgement) -> dict[str, Any]:
    """What `summary.json` of the demo says of the online run and its model; `offline_r2` is that of the heating."""
    online = json.loads((story.folder / ONLINE / "summary.json").read_text(encoding="utf-8"))
    r2 = {name: value for name, value in judgement.offline_r2.items() if np.isfinite(value)}
    kept = {name: online.get(name) for name in ("columns_per_second", "ranks", "state_sha256", "model_sha256")}
    return {
        "emagram": __version__,
        "files": list(story.files),
        "recorded": {
            "columns": story.record.grid.build().n_column,
            "days": story.record.days - story.record.record.from_day,
        },
        "trained": _trained(story),
        "offline_r2": r2.get(HEATING),
        "offline_r2_by_variable": r2,
        **headline(judgement),
        **kept,
    }


def _trained(story: DemoStory) -> dict[str, Any]:
    """What was learned from, and by what."""
    summary = json.loads((story.folder / "train" / "summary.json").read_text(encoding="utf-8"))
    network = str(summary["model"]["network"]).replace("climsim_mlp", "ClimSim's MLP").replace("_", " ")
    return {"columns": summary["columns"]["train"], "network": network, "epochs": story.study.training.epochs}


def _radiation(folder: Path) -> dict[str, Any]:
    """What the main page says of the radiation story."""
    summary = json.loads((folder / "radiation" / "summary.json").read_text(encoding="utf-8"))
    return {
        "page": "radiation/report.html",
        "truth": summary["truth"],
        "columns": summary["columns"],
        "bits_equal": summary["bits_equal"],
        "programs": len(summary["programs"]),
        "closure_energy_w_m2": max(entry["after"] for entry in summary["closure"].values()),
        "before_energy_w_m2": max(entry["before"] for entry in summary["closure"].values()),
    }


def _say(console: Console, summary: dict[str, Any]) -> None:
    """The verdict in a few lines of the terminal."""
    if summary["online_stable"]:
        console.print(f"the emulator stepped the columns for {summary['online_days']:g} days within physical bounds")
    else:
        console.print(f"NOT STABLE: the run left physical bounds after {summary['online_days']:.2f} days online")
    energy, before = summary["closure_flux_energy_w_m2"], summary["residual_before_energy_w_m2"]
    if energy is not None and before is not None:
        console.print(f"energy of every column closed within {energy:.1e} W/m² (before the constraints {before:.1e})")
    if summary["online_bias_t_k"] is not None:
        console.print(f"mean temperature beside conventional physics: {summary['online_bias_t_k']:+.2f} K")
    equal = "the same bits" if summary["bits_equal"] else "DIFFERENT BITS"
    console.print(f"{len(summary['programs'])} program runs in Fortran, Python and C: {equal}")
    console.print(f"{summary['seconds']['total']:.0f} s")


def _require_equal_bits(summary: dict[str, Any], report: Path) -> None:
    """Raise if any two programs disagreed."""
    if not summary["bits_equal"]:
        raise EmagramError(f"the programs disagree in their bits; see '{report}'")
    if summary["radiation"] is not None and not summary["radiation"]["bits_equal"]:
        page = report.parent / summary["radiation"]["page"]
        raise EmagramError(f"the programs of the radiation story disagree in their bits; see '{page}'")
