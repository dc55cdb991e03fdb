"""A study: feature sets × seeds trained, scored beside baselines on held-out sites and climates, the best exported.

The run folder holds `configuration.json`, `versions.json`, `members/<features>-<seed>/` (`checkpoint.pt`, `log.csv`),
`loss.png`, `scores.csv`, `summary.json` and `best.emg`. Running it again continues: finished members are read, an
unfinished one goes on from its last checkpoint with the same result.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import torch
import xarray as xr
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..physics.errors import EmagramError
from .atomic import write_atomically
from .baselines import level_mean, ridge_regression
from .data.generated import generate_columns
from .data.rfmip import read_rfmip
from .data.split import Split, split_columns
from .emulator import ColumnEmulator, EmulatorSpec
from .evaluation import ScoredColumns, evaluate, summarise
from .export import CREATED_BY, export
from .features import FEATURE_SETS
from .loss_plot import plot_losses
from .networks.dense import DenseConfig
from .normalisation import fit_normalisation
from .radiation import radiation_spec
from .tables import to_csv
from .training.objectives import RadiationObjectiveConfig
from .training.samples import Samples
from .training.trainer import CHECKPOINT_NAME, Log, Trainer, TrainingConfig

RIDGE_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
TEST_SPLITS = {
    "test_site_train_climate": "unseen sites, training climates",
    "test_site_heldout_climate": "unseen sites, unseen climates",
}
"""Sets of columns that are scored, and what they are called in print."""


@dataclass(frozen=True)
class RfmipConfig:
    """The RFMIP columns with RTE+RRTMGP fluxes, in a folder."""

    source: Literal["rfmip"]
    folder: Path

    def build(self) -> xr.Dataset:
        """Read them; raises EmagramError if a file is missing or damaged."""
        return read_rfmip(self.folder)


@dataclass(frozen=True)
class GeneratedConfig:
    """Columns of the built-in generator, with a grey-radiation truth."""

    source: Literal["generated"]
    n_site: int = 100
    n_level: int = 60
    seed: int = 0

    def build(self) -> xr.Dataset:
        """Generate them."""
        return generate_columns(self.n_site, self.n_level, self.seed)


@dataclass(frozen=True)
class SplitConfig:
    """Which sites and climates are held out, as `data.split.split_columns` takes it."""

    heldout_climates: tuple[str, ...]
    fold: int = 0
    n_fold: int = 5
    seed: int = 0

    def build(self, columns: xr.Dataset) -> Split:
        """Split columns; raises EmagramError if a climate is unknown or a set is empty."""
        return split_columns(columns, self.heldout_climates, fold=self.fold, n_fold=self.n_fold, seed=self.seed)


@dataclass(frozen=True)
class ExperimentConfig:
    """A whole study.

    Attributes:
        name: of the exported model.
        features: names in FEATURE_SETS.
        seeds: of the initial weights and the minibatches.
    Raises:
        EmagramError: if a feature set is unknown, or a list is empty or repeats itself.
    """

    name: str
    data: RfmipConfig | GeneratedConfig
    split: SplitConfig
    features: tuple[str, ...] = ("raw", "climate_invariant")
    seeds: tuple[int, ...] = (0, 1, 2)
    network: DenseConfig = field(default_factory=DenseConfig)
    objective: RadiationObjectiveConfig = field(default_factory=RadiationObjectiveConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        for name in ("features", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise EmagramError(f"experiment '{name}': expected distinct values, at least one, got {values}")
        for name in self.features:
            if name not in FEATURE_SETS:
                raise EmagramError(f"experiment 'features': expected some of {', '.join(FEATURE_SETS)}, got '{name}'")

    def build(self, folder: Path) -> "Experiment":
        """Read the columns and prepare the run folder."""
        return Experiment(self, folder)


@dataclass(frozen=True)
class Member:
    """A trained emulator and how its training went."""

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
        self.split = config.split.build(self.columns)
        self._claim_folder()

    def run(self) -> dict[str, Any]:
        """Train, score, export and write everything; returns the contents of `summary.json`.

        Raises:
            EmagramError: if training fails or the exported file does not pass its self-test.
            OSError: if the folder cannot be written.
        """
        members = self._train_members()
        best = min(members, key=lambda member: member.validation_loss)
        rows = [
            row for member in members for row in self._score("dense", member.features, member.seed, member.emulator)
        ]
        rows += self._score_baselines()
        write_atomically(self.folder / "scores.csv", to_csv(rows))
        plot_losses({(member.features, member.seed): member.log for member in members}, self.folder / "loss.png")
        self._export(best, self.folder / "best.emg")
        summary = {
            "name": self.config.name,
            "truth": str(self.columns.attrs.get("truth", "")),
            "columns": {name: int(np.size(index)) for name, index in vars(self.split).items()},
            "best": {"features": best.features, "seed": best.seed, "validation_loss": best.validation_loss},
            "scores": summarise(rows, ("emulator", "features", "columns")),
        }
        _write_json(self.folder / "summary.json", summary)
        return summary

    def spec(self, features: str) -> EmulatorSpec:
        """The radiation emulator that sees a feature set."""
        return radiation_spec(self.columns.sizes["level"], FEATURE_SETS[features])

    def samples(self, spec: EmulatorSpec, columns: str) -> Samples:
        """One set of columns of the split."""
        return Samples.from_dataset(self.columns.isel(column=getattr(self.split, columns)), spec)

    def export_member(self, features: str, seed: int, path: Path) -> None:
        """Write one trained member as a model file.

        Raises:
            EmagramError: if there is no such member, it has not finished, or the file does not pass its self-test.
            OSError: if the file cannot be written.
        """
        checkpoint = self._member_folder(features, seed) / CHECKPOINT_NAME
        if (features, seed) not in self._plan() or not checkpoint.exists():
            raise EmagramError(f"run folder '{self.folder}': expected a member '{features}-{seed}', got none")
        trainer = self._trainer(features, seed)
        trainer.resume()
        if not trainer.finished:
            raise EmagramError(f"member '{features}-{seed}' of '{self.folder}': expected a finished training")
        trainer.fit()
        self._export(Member(features, seed, trainer.emulator, trainer.log), path)

    def _plan(self) -> list[tuple[str, int]]:
        return [(features, seed) for features in self.config.features for seed in self.config.seeds]

    def _member_folder(self, features: str, seed: int) -> Path:
        return self.folder / "members" / f"{features}-{seed}"

    def _train_members(self) -> list[Member]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        members = []
        with Progress(*columns) as bar:
            for features, seed in self._plan():
                trainer = self._trainer(features, seed)
                task = bar.add_task(f"training {features}, seed {seed}", total=self.config.training.epochs)
                log = trainer.fit(lambda epoch, task=task: bar.update(task, completed=epoch))  # type: ignore[misc]
                bar.update(task, completed=self.config.training.epochs)
                members.append(Member(features, seed, trainer.emulator, log))
        return members

    def _trainer(self, features: str, seed: int) -> Trainer:
        spec = self.spec(features)
        train, validation = self.samples(spec, "train"), self.samples(spec, "validation")
        folder = self._member_folder(features, seed)
        folder.mkdir(parents=True, exist_ok=True)
        return self.config.training.build(
            build_emulator(spec, self.config.network, train, seed=seed),
            self.config.objective.build(spec),
            train=train,
            validation=validation,
            seed=seed,
            folder=folder,
        )

    def _score(self, kind: str, features: str, seed: int | None, emulator: ColumnEmulator) -> list[dict[str, object]]:
        """One row for each test set."""
        rows: list[dict[str, object]] = []
        for columns in TEST_SPLITS:
            dataset = self.columns.isel(column=getattr(self.split, columns))
            scores = evaluate(emulator, ScoredColumns.from_dataset(dataset, emulator))
            rows.append({"emulator": kind, "features": features, "seed": seed, "columns": columns, **scores})
        return rows

    def _score_baselines(self) -> list[dict[str, object]]:
        rows = []
        for features in self.config.features:
            spec = self.spec(features)
            train = self.samples(spec, "train")
            rows += self._score("ridge", features, None, self._ridge(spec, train))
        return rows + self._score("level mean", "", None, level_mean(spec, train))

    @torch.no_grad()
    def _ridge(self, spec: EmulatorSpec, train: Samples) -> ColumnEmulator:
        """Ridge regression with the penalty of least validation loss."""
        objective = self.config.objective.build(spec)
        validation = self.samples(spec, "validation")
        fitted = [ridge_regression(spec, train, penalty=penalty) for penalty in RIDGE_PENALTIES]
        return min(
            fitted, key=lambda ridge: float(objective(ridge(validation.inputs), validation.targets, validation.inputs))
        )

    def _export(self, member: Member, path: Path) -> None:
        attributes = {name: str(value) for name, value in self.columns.attrs.items()}
        configuration = _plain(self.config)
        configuration["data"].pop("folder", None)  # a path of this machine tells others nothing
        provenance = {
            "data": attributes,
            "configuration": configuration,
            "features": member.features,
            "seed": member.seed,
        }
        truth = attributes.get("truth", "")
        export(
            member.emulator,
            path,
            samples=self.samples(member.emulator.spec, "train").inputs,
            name=self.config.name,
            description=f"Clear-sky longwave and shortwave radiation of a column, learned from {truth}",
            provenance=provenance,
        )

    def _claim_folder(self) -> None:
        """Write the configuration and versions, or check that the folder holds the same configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "configuration.json"
        configuration = _plain(self.config)
        if path.exists():
            found = json.loads(path.read_text())
            if found != configuration:
                raise EmagramError(
                    f"run folder '{self.folder}': expected the same configuration, got another one there"
                )
            return
        _write_json(self.folder / "versions.json", _versions())
        _write_json(path, configuration)


def build_emulator(spec: EmulatorSpec, network: DenseConfig, train: Samples, *, seed: int) -> ColumnEmulator:
    """An emulator with initial weights of a seed and the normalisation of the training columns."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        n_in = sum(spec.feature_size(feature) for feature in spec.features)
        emulator = ColumnEmulator(spec, network.build(n_in, sum(spec.size(name) for name in spec.outputs)))
    fit_normalisation(emulator, train.inputs, train.targets)
    return emulator


def _plain(config: ExperimentConfig) -> dict[str, Any]:
    """The configuration as JSON has it."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    return plain


def _versions() -> dict[str, str]:
    return {
        "emagram": CREATED_BY,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "xarray": xr.__version__,
        "safetensors": safetensors.__version__,
        "machine": platform.machine(),
    }


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
