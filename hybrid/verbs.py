"""What the verbs of the command line do, as functions: train, evaluate, export, inspect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ..emulators.climsim import TIME_STEP
from ..emulators.climsim_evaluation import EvaluationOptions, evaluate_columns
from ..emulators.climsim_scores import Evaluation
from ..emulators.climsim_study import ClimsimStudy
from ..emulators.climsim_study_config import PRESENT, ClimsimStudyConfig
from ..emulators.conservation_config import ConservationConfig
from ..emulators.conservation_study import ConservationStudy
from ..emulators.data.climsim_grid import built_in_grid, read_climsim_grid
from ..emulators.data.climsim_series import find_series
from ..emulators.data.climsim_stream import ColumnStream
from ..emulators.data.columns import RADIATION_OUTPUTS, read_columns
from ..emulators.evaluation import ScoredColumns
from ..emulators.evaluation import evaluate as score
from ..emulators.evaluation_figures import variable_label
from ..emulators.experiment import TEST_SPLITS, Experiment
from ..emulators.experiment_config import ExperimentConfig
from ..emulators.export import load_emulator
from ..emulators.statistics import Normalisation
from ..emulators.training.parallel import from_environment
from ..physics.errors import EmagramError
from .configuration import build, read_table

if TYPE_CHECKING:
    import xarray as xr

PRINTED_SCORES = {
    "longwave_heating_rmse": "LW heating K/day",
    "longwave_heating_r2": "LW heating R²",
    "shortwave_heating_rmse": "SW heating K/day",
    "shortwave_heating_r2": "SW heating R²",
    "outgoing_longwave_rmse": "LW up, top W/m²",
    "surface_down_longwave_rmse": "LW down, sfc W/m²",
    "reflected_shortwave_rmse": "SW up, top W/m²",
    "surface_down_shortwave_rmse": "SW down, sfc W/m²",
}


Study = ExperimentConfig | ClimsimStudyConfig | ConservationConfig
STUDIES: dict[str, type[Study]] = {
    "radiation": ExperimentConfig,
    "climsim": ClimsimStudyConfig,
    "conservation": ConservationConfig,
}
"""By the key `task` of a configuration."""


def train(config: Path | str | Study, output: Path | str | None = None) -> Path:
    """Train, score and export what a configuration describes; an interrupted run continues.

    Started by torchrun, the processes share every step of a study of the tasks `climsim` and `conservation`.

    Args:
        config: a TOML file or what it holds.
        output: the run folder, by default `runs/<name>`.
    Returns:
        the run folder, with `best.emg`, `summary.json`, `scores.csv`, pictures, logs and checkpoints; of the task
        `conservation` with `skill.csv` and `skill.png`, and no model.
    Raises:
        EmagramError: if the configuration or the data cannot be used, or the folder holds another run.
        OSError: if the folder cannot be written or the disk is full.

    >>> folder = emagram.train(config, output)
    >>> sorted(path.name for path in folder.glob("*.emg"))
    ['best.emg']
    """
    if isinstance(config, Path | str):
        config = read_study(Path(config))
    folder = Path("runs") / config.name if output is None else Path(output)
    with from_environment() as parallel:
        if isinstance(config, ClimsimStudyConfig):
            ClimsimStudy(config, folder, parallel).run()
        elif isinstance(config, ConservationConfig):
            ConservationStudy(config, folder, parallel).run()
        elif parallel.world > 1:
            raise EmagramError(f"study '{config.name}': expected one process, since it is small, got {parallel.world}")
        else:
            Experiment(config, folder).run()
    return folder


def read_study(path: Path) -> Study:
    """Read the configuration of a study, whose key `task` says which.

    Raises:
        EmagramError: if it cannot be read, or a key or a value is not known; the sentence names the nearest known.
    """
    table = read_table(path)
    task = table.get("task")
    if task not in STUDIES:
        raise EmagramError(f"configuration {path}: expected 'task' to be one of {list(STUDIES)}, got {task!r}")
    return build(STUDIES[task], table, str(path))


def evaluate(model: Path | str, columns: Path | str | xr.Dataset) -> dict[str, float]:
    """Scores of a model file on columns with a known truth; names and units as `emulators.evaluation.evaluate`.

    Args:
        model: a file `.emg`.
        columns: a Dataset, or a NetCDF file, with the model's inputs and the true outputs.
    Raises:
        EmagramError: if either cannot be read or a variable is missing.

    >>> scores = emagram.evaluate(model_file, columns)
    >>> scores["longwave_residual_after"] < 1e-10 < scores["longwave_residual_before"]  # [W m-2]
    True
    """
    emulator = load_emulator(Path(model))
    if isinstance(columns, Path | str):
        columns = read_columns(Path(columns), (*emulator.spec.inputs, *RADIATION_OUTPUTS))
    return score(emulator, ScoredColumns.from_dataset(columns, emulator))


def evaluate_records(
    model: Path | str,
    folder: Path | str,
    *,
    grid: Path | None = None,
    start: str | None = None,
    stop: str | None = None,
) -> Evaluation:
    """Scores of a model file on ClimSim-like records: per variable, level and latitude, with budgets.

    Args:
        model: a file `.emg`.
        folder: of mli and mlo files, ClimSim's or of our host.
        grid: a grid file in ClimSim's form; the built-in equivalent of ClimSim's grid without.
        start, stop: `YYYY-MM[-DD[-SSSSS]]`, inclusive; all of the records without.
    Raises:
        EmagramError: if the model, a file or the grid cannot be used, the records have gaps, levels differ, or the
            records are not of the kind that the model was trained on.
    """
    emulator = load_emulator(Path(model))
    columns = built_in_grid() if grid is None else read_climsim_grid(grid)
    series = find_series(Path(folder), time_step=emulator.spec.time_step or TIME_STEP).select(start, stop)
    stream = ColumnStream(series, emulator.spec, columns)
    Normalisation.of(emulator, f"'{model}'").check_range(next(stream.ordered())[1])
    options = EvaluationOptions(network=Path(model).stem, data=Path(folder).name)
    return evaluate_columns(emulator, stream.ordered(), columns, options)


def export_member(folder: Path, fold: int, features: str, seed: int, path: Path) -> None:
    """Write one trained member of a run folder as a model file.

    Raises:
        EmagramError: if the folder is no run, or has no such member.
    """
    configuration = Path(folder) / "configuration.json"
    if not configuration.is_file():
        raise EmagramError(f"run folder '{folder}': expected a configuration.json, got none")
    config = build(ExperimentConfig, json.loads(configuration.read_text()), str(configuration))
    Experiment(config, Path(folder)).export_member(fold, features, seed, Path(path))


def inspect(path: Path, *, manifest: bool = False) -> str:
    """What a model file holds, once its checksums and self-test have passed: a text for people, or its manifest."""
    from ..fortran_bridge.model import open as open_model

    model = open_model(path)
    if manifest:
        return json.dumps(model.manifest, indent=2, sort_keys=True)
    lines = [
        f"{model.name}: {model.manifest['description']}",
        f"sha256      {model.sha256}",
        f"format      {model.manifest['format_version']}, created by {model.manifest['created_by']}",
        f"levels      {model.n_level}, level 0 is the model top",
        f"time step   {f'{model.time_step:g} s' if model.time_step else 'any: the rates do not depend on it'}",
        f"trained on  {model.manifest['training']['columns']} columns",
        f"closes      {', '.join(model.budgets) or 'nothing'}",
    ]
    if model.budget_table:
        lines += ["budgets:"] + [
            f"  {b.name}  [{b.unit}]  by {b.constraint}, met up to {b.tolerance:g}" for b in model.budget_table
        ]
    for title, fields in (("inputs", model.inputs), ("outputs", model.outputs)):
        lines += [f"{title}:"] + [f"  {f.name}  [{f.unit}]  {f.dimension}, {f.size}" for f in fields]
    return "\n".join([*lines, "checksums and self-test passed"])


def print_scores(folder: Path) -> None:
    """The table of a run: mean over seeds and its spread, on columns that were held out."""
    summary = json.loads((folder / "summary.json").read_text())
    if "skill" in summary:
        _print_skill(summary)
    elif "variables" in summary:
        _print_climsim_scores(summary)
    else:
        _print_radiation_scores(summary)
    print(f"run folder: {folder}")


def _print_climsim_scores(summary: Mapping[str, Any]) -> None:
    """R² as ClimSim defines it, and pooled, of every output in every climate."""
    for climate in dict.fromkeys(row["data"] for row in summary["scores"]):
        scores = [row for row in summary["scores"] if row["data"] == climate]
        rows = []
        for variable in dict.fromkeys(row["variable"] for row in scores):
            of_variable = {row["network"]: row for row in scores if row["variable"] == variable}
            rows.append(
                {"variable": variable_label(variable)}
                | {network: _mean_and_spread(row, "r2_pooled") for network, row in of_variable.items()}
            )
        columns = summary["columns"][climate]
        what = "test times" if climate == PRESENT else "another climate"
        print_table(rows, title=f"{climate}, {what} ({columns} columns): R² about the mean of each cell")


def _print_skill(summary: Mapping[str, Any]) -> None:
    """Skill and residual of every variant in every climate."""
    for climate, truth in summary["truth"].items():
        rows = [
            {
                "variant": row["variant"],
                "inputs": {"climate_invariant": "invariant"}.get(row["inputs"], row["inputs"]),
                "MSE": f"{row['mse_mean']:.2f} ± {row['mse_spread']:.2f}",
                "change": f"{100.0 * row['mse_change']:+.1f}%",
                "R²": f"{row['r2_mean']:.3f}",
                "P": f"{row['residual_mean']:{'.0e' if row['residual_mean'] < 0.01 else '.4g'}}",
            }
            for row in summary["skill"]
            if row["climate"] == climate
        ]
        title = f"{climate}, {truth['columns']} columns (P of the records {truth['residual']:.2g}): W² m⁻⁴"
        print_table(rows, title=title)


def _print_radiation_scores(summary: Mapping[str, Any]) -> None:
    for columns, title in TEST_SPLITS.items():
        emulators = [row for row in summary["scores"] if row["columns"] == columns]
        rows = [
            {"score": heading} | {_label(row): _mean_and_spread(row, score) for row in emulators}
            for score, heading in PRINTED_SCORES.items()
        ]
        print_table(rows, title=f"{title} ({summary['columns'][columns]} columns): RMSE and R²")
    print(f"truth: {summary['truth']}")


def _label(row: Mapping[str, Any]) -> str:
    """The emulator in two lines: its kind and its features."""
    label = f"{row['emulator']} {row['features'].replace('climate_', '')}".strip()
    return label.replace(" ", "\n", 1)


def _mean_and_spread(row: Mapping[str, Any], score: str) -> str:
    if row[score + "_mean"] is None:
        return "undefined"
    spread = f" ± {row[score + '_spread']:.2f}" if row["members"] > 1 else ""
    return f"{row[score + '_mean']:.2f}{spread}"


def print_run(folder: Path) -> None:
    """What `summary.json` of a run of the host says, a line each, and where it lies."""
    print_values(json.loads((folder / "summary.json").read_text()))
    print(f"run folder: {folder}")


def print_values(values: Mapping[str, object]) -> None:
    """Print names and values, a line each, tables left out."""
    for name, value in values.items():
        if not isinstance(value, dict):
            print(f"{name:36} {f'{value:.6g}' if isinstance(value, float) else value}")


def print_table(rows: Sequence[Mapping[str, object]], title: str | None = None) -> None:
    """Print rows with equal keys as a table, the first key's values as labels."""
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for number, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
