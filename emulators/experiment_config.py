"""The configuration of a study: frozen dataclasses, checked when made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import xarray as xr

from ..physics.errors import EmagramError
from .data.generated import generate_columns
from .data.rfmip import read_rfmip
from .data.split import Split, split_columns
from .features import FEATURE_SETS
from .networks.dense import DenseConfig
from .training.objectives import RadiationObjectiveConfig
from .training.trainer import TrainingConfig


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
    """Which sites and climates are held out, as `data.split.split_columns` takes it.

    Attributes:
        folds: each is held out in turn, and scores are of all their sites together; the exported model comes from
            the first.
    """

    heldout_climates: tuple[str, ...]
    folds: tuple[int, ...] = (0,)
    n_fold: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.folds or len(set(self.folds)) < len(self.folds):
            raise EmagramError(f"split 'folds': expected distinct numbers, at least one, got {self.folds}")

    def build(self, columns: xr.Dataset) -> dict[int, Split]:
        """Split columns once for each fold; raises EmagramError if a climate or fold is unknown or a set is empty."""
        return {
            fold: split_columns(columns, self.heldout_climates, fold=fold, n_fold=self.n_fold, seed=self.seed)
            for fold in self.folds
        }


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
    task: Literal["radiation"] = "radiation"
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
