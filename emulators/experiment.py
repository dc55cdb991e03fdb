"""A study: folds × feature sets × seeds trained, scored beside baselines on held-out sites and climates, one exported.

Where all folds are run, every site is held out once, and scores are of all held-out sites together: with a fifth of
the sites, scores of single folds differ far more than those of seeds. The run folder holds `configuration.json`,
`versions.json`, `members/fold<n>-<features>-<seed>/` (`checkpoint.pt`, `log.csv`, `log.jsonl`), `loss.png` (of the
exported fold), `scores.csv`, `summary.json` and `best.emg`. Running it again continues: finished members are read, an
unfinished one goes on from its last checkpoint with the same result.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
import xarray as xr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..physics.errors import EmagramError
from .atomic import write_atomically
from .baselines import level_mean, ridge_regression
from .emulator import ColumnEmulator, EmulatorSpec
from .evaluation import Prediction, ScoredColumns, predict, score, summarise
from .experiment_config import ExperimentConfig
from .export import export
from .features import FEATURE_SETS
from .loss_plot import plot_losses
from .networks import NetworkConfig
from .normalisation import fit_normalisation
from .radiation import radiation_spec
from .run_folder import as_json, claim_folder, write_json
from .tables import to_csv
from .training.checkpoint import CHECKPOINT_NAME
from .training.log import Log
from .training.samples import Samples
from .training.trainer import Trainer

RIDGE_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
TEST_SPLITS = {
    "test_site_train_climate": "unseen sites, training climates",
    "test_site_heldout_climate": "unseen sites, unseen climates",
}
"""Sets of columns that are scored, and what they are called in print."""

Row = dict[str, object]


@dataclass(frozen=True)
class Member:
    """A trained emulator and how its training went."""

    fold: int
    features: str
    seed: int
    emulator: ColumnEmulator
    log: Log

    @property
    def validation_loss(self) -> float:
        """The least of its epochs: the state that is kept."""
        return min(row["validation_loss"] for row in self.log)


class Experiment:
    """A study in a run folder.

    Args:
        config: what to do.
        folder: where; made if absent, continued if it holds the same configuration.
    Raises:
        EmagramError: if the folder holds another configuration, or the data cannot be used.
    """

    def __init__(self, config: ExperimentConfig, folder: Path) -> None:
        self.config, self.folder = config, Path(folder)
        self.columns = config.data.build()
        self.splits = config.split.build(self.columns)
        self.exported_fold = config.split.folds[0]
        claim_folder(self.folder, self.config)

    def run(self) -> dict[str, Any]:
        """Train, score, export and write everything; returns the contents of `summary.json`.

        Raises:
            EmagramError: if training fails or the exported file does not pass its self-test.
            OSError: if the folder cannot be written.
        """
        members = self._train_members()
        exported = [member for member in members if member.fold == self.exported_fold]
        best = min(exported, key=lambda member: member.validation_loss)
        rows = self._score_members(members) + self._score_baselines()
        write_atomically(self.folder / "scores.csv", to_csv(rows))
        plot_losses({(member.features, member.seed): member.log for member in exported}, self.folder / "loss.png")
        self._export(best, self.folder / "best.emg")
        choice = {"fold": best.fold, "features": best.features, "seed": best.seed}
        summary = {
            "name": self.config.name,
            "truth": str(self.columns.attrs.get("truth", "")),
            "folds": list(self.splits),
            "columns": self._counts(),
            "best": choice | {"validation_loss": best.validation_loss},
            "scores": summarise(rows, ("emulator", "features", "columns")),
        }
        write_json(self.folder / "summary.json", summary)
        return summary

    def spec(self, features: str) -> EmulatorSpec:
        """The radiation emulator that sees a feature set."""
        return radiation_spec(self.columns.sizes["level"], FEATURE_SETS[features])

    def samples(self, spec: EmulatorSpec, fold: int, columns: str) -> Samples:
        """One set of columns of the split of a fold."""
        return Samples.from_dataset(self._select(fold, columns), spec)

    def export_member(self, fold: int, features: str, seed: int, path: Path) -> None:
        """Write one trained member as a model file.

        Raises:
            EmagramError: if there is no such member, it has not finished, or the file does not pass its self-test.
            OSError: if the file cannot be written.
        """
        checkpoint = self._member_folder(fold, features, seed) / CHECKPOINT_NAME
        if (fold, features, seed) not in self._plan() or not checkpoint.exists():
            raise EmagramError(f"run folder '{self.folder}': expected a member '{checkpoint.parent.name}', got none")
        trainer = self._trainer(fold, features, seed)
        trainer.resume()
        if not trainer.finished:
            raise EmagramError(f"member '{checkpoint.parent.name}' of '{self.folder}': expected a finished training")
        trainer.fit()
        self._export(Member(fold, features, seed, trainer.emulator, trainer.log), path)

    def _plan(self) -> list[tuple[int, str, int]]:
        return list(product(self.splits, self.config.features, self.config.seeds))

    def _member_folder(self, fold: int, features: str, seed: int) -> Path:
        return self.folder / "members" / f"fold{fold}-{features}-{seed}"

    def _select(self, fold: int, columns: str) -> xr.Dataset:
        return self.columns.isel(column=getattr(self.splits[fold], columns))

    def _counts(self) -> dict[str, int]:
        """Columns to train and validate on in the exported fold, and columns to test on in all folds together."""
        counts = {name: int(index.size) for name, index in vars(self.splits[self.exported_fold]).items()}
        return counts | {name: sum(vars(split)[name].size for split in self.splits.values()) for name in TEST_SPLITS}

    def _train_members(self) -> list[Member]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        members, epochs = [], self.config.training.epochs
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("training", total=epochs * len(self._plan()))
            for number, (fold, features, seed) in enumerate(self._plan()):
                bar.update(task, description=f"fold {fold}, {features}, seed {seed}")
                trainer = self._trainer(fold, features, seed)
                start = number * epochs
                log = trainer.fit(lambda epoch, start=start: bar.update(task, completed=start + epoch))  # type: ignore[misc]
                bar.update(task, completed=start + epochs)
                members.append(Member(fold, features, seed, trainer.emulator, log))
        return members

    def _trainer(self, fold: int, features: str, seed: int) -> Trainer:
        spec = self.spec(features)
        train = self.samples(spec, fold, "train")
        folder = self._member_folder(fold, features, seed)
        folder.mkdir(parents=True, exist_ok=True)
        emulator = build_emulator(spec, self.config.network, train, seed=seed)
        return self.config.training.build(
            emulator,
            self.config.objective.build(emulator),
            train=train,
            validation=self.samples(spec, fold, "validation"),
            seed=seed,
            folder=folder,
        )

    def _score(self, kind: str, features: str, seed: int | None, emulators: dict[int, ColumnEmulator]) -> list[Row]:
        """One row for each test set: every site predicted by the emulator of the fold that holds it out."""
        rows: list[Row] = []
        for columns in TEST_SPLITS:
            predictions = [
                predict(emulator, ScoredColumns.from_dataset(self._select(fold, columns), emulator))
                for fold, emulator in emulators.items()
            ]
            scores = score(Prediction.together(predictions))
            rows.append({"emulator": kind, "features": features, "seed": seed, "columns": columns, **scores})
        return rows

    def _score_members(self, members: list[Member]) -> list[Row]:
        rows = []
        for features, seed in product(self.config.features, self.config.seeds):
            same = [member for member in members if (member.features, member.seed) == (features, seed)]
            rows += self._score("dense", features, seed, {member.fold: member.emulator for member in same})
        return rows

    def _score_baselines(self) -> list[Row]:
        rows: list[Row] = []
        for features in self.config.features:
            spec = self.spec(features)
            rows += self._score("ridge", features, None, {fold: self._ridge(spec, fold) for fold in self.splits})
        means = {fold: level_mean(spec, self.samples(spec, fold, "train")) for fold in self.splits}
        return rows + self._score("level mean", "", None, means)

    @torch.no_grad()
    def _ridge(self, spec: EmulatorSpec, fold: int) -> ColumnEmulator:
        """Ridge regression with the penalty of least validation loss."""
        train, validation = self.samples(spec, fold, "train"), self.samples(spec, fold, "validation")
        fitted = [ridge_regression(spec, train, penalty=penalty) for penalty in RIDGE_PENALTIES]
        objective = self.config.objective.build(fitted[0])  # all have the normalisation of the same columns
        return min(
            fitted, key=lambda ridge: float(objective(ridge(validation.inputs), validation.targets, validation.inputs))
        )

    def _export(self, member: Member, path: Path) -> None:
        attributes = {name: str(value) for name, value in self.columns.attrs.items()}
        configuration = as_json(self.config)
        configuration["data"].pop("folder", None)  # a path of this machine tells others nothing
        provenance: dict[str, Any] = {"data": attributes, "configuration": configuration}
        provenance |= {"fold": member.fold, "features": member.features, "seed": member.seed}
        truth = attributes.get("truth", "")
        export(
            member.emulator,
            path,
            samples=self.samples(member.emulator.spec, member.fold, "train").inputs,
            name=self.config.name,
            description=f"Clear-sky longwave and shortwave radiation of a column, learned from {truth}",
            provenance=provenance,
        )


def build_emulator(spec: EmulatorSpec, network: NetworkConfig, train: Samples, *, seed: int) -> ColumnEmulator:
    """An emulator with initial weights of a seed and the normalisation of the training columns."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        emulator = ColumnEmulator(spec, network.build(spec.layout))
    fit_normalisation(emulator, train.inputs, train.targets)
    return emulator
