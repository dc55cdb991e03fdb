"""A study on ClimSim-like records: networks × seeds on one variable set, scored at other times and in other climates.

The run folder holds `configuration.json`, `versions.json`, `members/<network>-<seed>/` (`checkpoint.pt`, logs and
`evaluation-<climate>/`), `scores.csv` (mean and spread over seeds), `climates.csv`, pictures, `summary.json` and
`best.emg`. Running it again continues, with the same result.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .atomic import write_atomically
from .climsim_evaluation import EvaluationOptions, evaluate_columns, evaluate_ensemble
from .climsim_scores import Evaluation, compare_climates, compare_networks
from .climsim_study_config import PRESENT, ClimsimStudyConfig, file_name
from .data.climsim_grid import read_climsim_grid
from .data.climsim_series import Series
from .data.climsim_stream import ColumnStream
from .emulator import ColumnEmulator, EmulatorSpec
from .evaluation_figures import draw_budgets, draw_level_profiles, draw_scores
from .export import export, is_exportable
from .networks import NetworkConfig
from .run_folder import as_json, claim_folder, write_json
from .statistics import Normalisation
from .tables import to_csv
from .training.log import Log
from .training.parallel import Parallel
from .zonal_mean_figure import draw_zonal_means

CHECKED_COLUMNS = 512
SELFTEST_COLUMNS = 64


@dataclass(frozen=True)
class Member:
    """A trained emulator and how its training went."""

    network: str
    seed: int
    emulator: ColumnEmulator
    log: Log

    @property
    def validation_loss(self) -> float:
        """The least of its epochs: the state that is kept."""
        return min(row["validation_loss"] for row in self.log)


class ClimsimStudy:
    """A study in a run folder.

    Args:
        config: what to do.
        folder: where; made if absent, continued if it holds the same configuration.
        parallel: the processes that train together; rank 0 writes, scores and exports.
    Raises:
        EmagramError: if the folder holds another configuration, or the records cannot be used.
    """

    def __init__(self, config: ClimsimStudyConfig, folder: Path, parallel: Parallel | None = None) -> None:
        self.config, self.folder, self.parallel = config, Path(folder), parallel or Parallel()
        self.grid = read_climsim_grid(config.records.grid)
        self.spec: EmulatorSpec = config.build_spec(self.grid)
        self.streams = config.records.build(self.spec, self.grid)
        self.climates = {PRESENT: self.streams["test"]} | {
            climate.name: climate.build(config.records, self.spec, self.grid) for climate in config.heldout
        }
        self._require_unseen()
        with self.parallel.together():
            if self.parallel.is_first:
                claim_folder(self.folder, config)

    def run(self) -> dict[str, Any]:
        """Train, score, draw and export; returns the contents of `summary.json` (nothing on ranks other than 0).

        Raises:
            EmagramError: if training fails or the exported file does not pass its self-test.
            OSError: if the folder cannot be written.
        """
        members = self.train()
        if not self.parallel.is_first:
            return {}
        evaluations = {climate: self._evaluate(members, climate) for climate in self.climates}
        self._write_tables(evaluations, self._evaluate_ensembles(members))
        self._draw(evaluations)
        summary = self._summarise(members, evaluations) | {"model": self._export(members)}
        write_json(self.folder / "summary.json", summary)
        return summary

    def _require_unseen(self) -> None:
        """No climate is tested with a file that an emulator is trained on or chosen by."""
        seen = {path.resolve() for name in ("train", "validation") for path in _files(self.streams[name].series)}
        for climate, stream in self.climates.items():
            for path in _files(stream.series):
                if path.resolve() in seen:
                    raise EmagramError(f"climate '{climate}': expected files of its own, got '{path}' of training")

    def train(self) -> list[Member]:
        """Every network with every seed, what is finished read and the rest trained; errors as `run`."""
        normalisation = self.config.build_normalisation(self.spec, self.streams["train"])
        for stream in self.streams.values():  # statistics of other data would show in the first batch
            normalisation.check_range(next(stream.batches(CHECKED_COLUMNS, seed=0)))
        plan = list(product(self.config.networks, self.config.seeds))
        epochs = self.config.training.epochs
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        members = []
        with Progress(*columns, console=Console(stderr=True), disable=not self.parallel.is_first) as bar:
            task = bar.add_task("training", total=epochs * len(plan))
            for number, (network, seed) in enumerate(plan):
                bar.update(task, description=f"{network.kind}, seed {seed}")

                def advance(epoch: int, start: int = number * epochs) -> None:
                    bar.update(task, completed=start + epoch)

                members.append(self._train_member(network, seed, normalisation, advance))
                bar.update(task, completed=(number + 1) * epochs)
        return members

    def _train_member(
        self, network: NetworkConfig, seed: int, normalisation: Normalisation, progress: Callable[[int], None]
    ) -> Member:
        folder = self._member_folder(network.kind, seed)
        folder.mkdir(parents=True, exist_ok=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            emulator = ColumnEmulator(self.config.fitted_spec(self.spec), network.build(self.spec.layout))
        normalisation.apply(emulator)
        trainer = self.config.training.build(
            emulator,
            self.config.objective.build(emulator, self.spec.constraints),
            train=self.streams["train"],
            validation=self.streams["validation"],
            seed=seed,
            folder=folder,
            parallel=self.parallel,
        )
        log = trainer.fit(progress)
        emulator.spec = self.spec
        return Member(network.kind, seed, emulator, log)

    def _member_folder(self, network: str, seed: int) -> Path:
        return self.folder / "members" / f"{network}-{seed}"

    def _evaluate(self, members: list[Member], climate: str) -> list[Evaluation]:
        """Scores of every member in a climate, and of the mean over the seeds of each network."""
        evaluations = []
        for member in members:
            options = EvaluationOptions(network=member.network, seed=member.seed, data=climate)
            evaluation = evaluate_columns(member.emulator, self.climates[climate].ordered(), self.grid, options)
            folder = self._member_folder(member.network, member.seed) / f"evaluation-{file_name(climate)}"
            folder.mkdir(exist_ok=True)
            evaluation.write(folder)
            evaluations.append(evaluation)
        return evaluations

    def _evaluate_ensembles(self, members: list[Member]) -> list[Evaluation]:
        """The seeds of each network as an ensemble, in the climate of training; CRPS is only defined for these."""
        evaluations = []
        for network in dict.fromkeys(member.network for member in members):
            emulators = [member.emulator for member in members if member.network == network]
            if len(emulators) > 1:
                options = EvaluationOptions(network=f"{network} ensemble", data=PRESENT)
                stream = self.climates[PRESENT].ordered()
                evaluations.append(evaluate_ensemble(emulators, stream, self.grid, options))
        return evaluations

    def _write_tables(self, evaluations: dict[str, list[Evaluation]], ensembles: list[Evaluation]) -> None:
        """`scores.csv` of every network and climate, `climates.csv` of what each loses in another climate."""
        everything = [*ensembles, *(one for several in evaluations.values() for one in several)]
        write_atomically(self.folder / "scores.csv", to_csv(_finite(compare_networks(everything))))
        losses = [
            row
            for climate, heldout in evaluations.items()
            if climate != PRESENT
            for row in compare_climates(evaluations[PRESENT], heldout)
        ]
        if losses:
            write_atomically(self.folder / "climates.csv", to_csv(_finite(losses)))

    def _draw(self, evaluations: dict[str, list[Evaluation]]) -> None:
        """Pictures of the scores; maps and budgets of the first seed."""
        first: dict[str, Evaluation] = {}
        for one in evaluations[PRESENT]:
            first.setdefault(one.network, one)
        for climate, several in evaluations.items():
            draw_scores(several, self.folder / f"scores-{file_name(climate)}.png")
            for metric in ("r2", "rmse"):
                draw_level_profiles(several, metric, self.folder / f"{metric}-{file_name(climate)}.png")
        layered = [name for name in self.spec.outputs if VARIABLES[name].dimension == "layer"]
        draw_zonal_means(first, layered[:2], self.folder / "zonal-mean-r2.png")
        for network, evaluation in first.items():
            drawn = [name for name, kinds in evaluation.budgets.items() if "skipped" not in kinds["truth"]]
            draw_budgets(evaluation, drawn, self.folder / f"budgets-{network}.png")

    def _export(self, members: list[Member]) -> dict[str, Any]:
        """Write the best member that the native runtime can run as `best.emg`; what it is, or why there is none."""
        able = [member for member in members if is_exportable(member.emulator.network)]
        if not able:
            return {"file": None, "reason": "the native runtime does not know these networks yet"}
        best = min(able, key=lambda member: member.validation_loss)
        export(
            best.emulator,
            self.folder / "best.emg",
            samples=next(self.streams["train"].batches(SELFTEST_COLUMNS, seed=0)).inputs,
            name=self.config.name,
            description=f"Column physics of the ClimSim variable set {self.config.variables}",
            provenance={"configuration": as_json(self.config), "network": best.network, "seed": best.seed},
        )
        return {"file": "best.emg", "network": best.network, "seed": best.seed}

    def _every_stream(self) -> list[ColumnStream]:
        return [*self.streams.values(), *self.climates.values()]

    def _summarise(self, members: list[Member], evaluations: dict[str, list[Evaluation]]) -> dict[str, Any]:
        rows = compare_networks([one for several in evaluations.values() for one in several])
        return {
            "name": self.config.name,
            "variables": self.config.variables,
            "columns": {name: stream.n_column for name, stream in (self.streams | self.climates).items()},
            "skipped_files": sorted({str(path) for stream in self._every_stream() for path in stream.skipped}),
            "validation_loss": {f"{member.network}-{member.seed}": member.validation_loss for member in members},
            "scores": _finite(rows),
        }


def _files(series: Series) -> Iterator[Path]:
    """The state before physics of every step."""
    return (series.path(time, "mli") for time in series.times)


def _finite(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows with None for what is not a finite number."""
    return [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in rows
    ]
