"""What a study on ClimSim-like records is: which records, variables, networks and seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

from ..physics.errors import EmagramError
from ..physics.variables import find
from .climsim import InputKind, climsim_spec, read_cloud_exponents
from .climsim_constraints import constrained
from .climsim_normalisation import read_climsim_normalisation
from .data.climsim_grid import ColumnGrid
from .data.climsim_series import Series, find_series
from .data.climsim_sets import variable_set
from .data.climsim_stream import BUFFER_COLUMNS, ColumnStream
from .emulator import EmulatorSpec
from .networks import ClimsimMlpConfig, NetworkConfig
from .statistics import SCALE_FLOOR, Normalisation, stream_normalisation
from .training.budget_objective import StudyObjectiveConfig
from .training.objectives import NormalisedObjectiveConfig
from .training.trainer import TrainingConfig

PARTS = ("train", "validation", "test")
PRESENT = "present"
"""Name of the climate of training."""
STATISTICS_BATCH = 4096


def file_name(climate: str) -> str:
    """The name of a climate in names of files: letters, digits, + and -."""
    return "".join(letter if letter.isalnum() or letter in "+-" else "_" for letter in climate)


@dataclass(frozen=True)
class PartConfig:
    """Part of the records in time, inclusive; see `data.climsim_series.Series.select`.

    Attributes:
        start, stop: `YYYY-MM[-DD[-SSSSS]]`.
        stride: of the recorded steps.
    """

    start: str
    stop: str
    stride: int = 1


@dataclass(frozen=True)
class RecordsConfig:
    """Records of a host, or ClimSim's files, and which of them train, validate and test.

    Attributes:
        folder: of the files, or of the folders that hold them.
        train, validation, test: parts that share no step.
        grid: a grid file in ClimSim's form; our host leaves `grid.nc` in its run folder.
        prefix: of the files' names, where the folder holds several.
        time_step: [s] of the physics.
        buffer_columns, workers, unreadable, keep: of `data.climsim_stream.ColumnStream`.
    """

    folder: Path
    train: PartConfig
    validation: PartConfig
    test: PartConfig
    grid: Path
    prefix: str | None = None
    time_step: float = 1200.0
    buffer_columns: int = BUFFER_COLUMNS
    workers: int = 0
    unreadable: Literal["error", "skip"] = "error"
    keep: bool = False

    def build(self, spec: EmulatorSpec, grid: ColumnGrid) -> dict[str, ColumnStream]:
        """The streams of training, validation and test.

        Raises:
            EmagramError: if there are no such records, they have gaps, or a step is in two parts.
        """
        series = find_series(self.folder, prefix=self.prefix, time_step=self.time_step)
        parts = {name: self._select(series, getattr(self, name)) for name in PARTS}
        _require_apart(parts, series.folder)
        return {name: self.stream(part, spec, grid) for name, part in parts.items()}

    def stream(self, series: Series, spec: EmulatorSpec, grid: ColumnGrid) -> ColumnStream:
        """A stream of a series with the options of this configuration."""
        return ColumnStream(
            series,
            spec,
            grid,
            buffer_columns=self.buffer_columns,
            workers=self.workers,
            unreadable=self.unreadable,
            keep=self.keep,
        )

    @staticmethod
    def _select(series: Series, part: PartConfig) -> Series:
        return series.select(part.start, part.stop, stride=part.stride)


@dataclass(frozen=True)
class ClimateConfig:
    """Records of another climate, which only test.

    Attributes:
        name: in tables, as in "+4 K".
        folder: of the files.
        part: which of them.
    """

    name: str
    folder: Path
    part: PartConfig

    def build(self, records: RecordsConfig, spec: EmulatorSpec, grid: ColumnGrid) -> ColumnStream:
        """The stream of these records, with the options of the others."""
        series = find_series(self.folder, prefix=records.prefix, time_step=records.time_step)
        return records.stream(series.select(self.part.start, self.part.stop, stride=self.part.stride), spec, grid)


@dataclass(frozen=True)
class ClimsimStudyConfig:
    """A whole study.

    Attributes:
        name: of the exported model.
        records: to learn from and to test on.
        variables: a name in `data.climsim_sets.VARIABLE_SETS`.
        inputs: what the networks see of it: "raw" as ClimSim packs it, or "climate_invariant", with the buoyancy of a
            plume for temperature, relative humidity for specific humidity and the latent heat flux over the saturation
            deficit for the flux; all else as it is. ClimSim has no normalisation for these.
        extra_outputs: learned beside those of the set, such as `cam_out_FSNT` and `cam_out_FLUT`, the fluxes at the top
            that our host records and ClimSim lacks: with them the energy of a column can be closed.
        constraints: what must hold in every column, names of `climsim_constraints.CLIMSIM_CONSTRAINTS`; the inputs that
            only they need come after those of the set.
        constrain: where they hold: in "training", whose loss then sees closed columns, or in "prediction" alone: the
            network is fitted, validated and chosen by its own outputs, and what is scored and exported is closed.
        normalisation: ClimSim's folder of normalisation files; gathered from the training records without.
        feature_floor: of the gathered statistics, see `statistics.stream_normalisation`: 1 for other climates, in which
            levels that hardly varied in training may vary.
        networks: each is trained with each seed, and named by its kind.
        seeds: of the initial weights and the minibatches.
        objective: "normalised", "energy" or "budgets", which learns to keep the budgets of the constraints; that asks
            for `constrain = "prediction"`.
        heldout: other climates to test in.
    Raises:
        EmagramError: if the variable set, the kind of inputs or a constraint is unknown, a constraint needs an output
            that is not there, ClimSim has no normalisation for the inputs or outputs, or a list is empty or repeats
            itself.
    """

    name: str
    records: RecordsConfig
    task: Literal["climsim"]
    variables: str = "v1"
    inputs: InputKind = "raw"
    extra_outputs: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    constrain: Literal["training", "prediction"] = "training"
    normalisation: Path | None = None
    feature_floor: float = SCALE_FLOOR
    networks: tuple[NetworkConfig, ...] = (ClimsimMlpConfig(),)
    seeds: tuple[int, ...] = (0, 1, 2)
    heldout: tuple[ClimateConfig, ...] = ()
    objective: StudyObjectiveConfig = field(default_factory=lambda: NormalisedObjectiveConfig("huber"))
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        outputs = variable_set(self.variables).outputs
        kinds = tuple(network.kind for network in self.networks)
        climates = tuple(climate.name for climate in self.heldout)
        files = (file_name(PRESENT), *(file_name(name) for name in climates))
        lists: dict[str, tuple[object, ...]] = {"networks": kinds, "seeds": self.seeds, "heldout": files}
        for name, values in (lists | {"extra_outputs": outputs + self.extra_outputs}).items():
            if len(set(values)) < len(values):
                raise EmagramError(f"study '{name}': expected distinct entries, got {values}")
        self._completed(climsim_spec(self.variables, n_level=1, time_step=self.records.time_step, inputs=self.inputs))
        if self.constrain not in ("training", "prediction"):
            raise EmagramError(f"study 'constrain': expected 'training' or 'prediction', got '{self.constrain}'")
        if not kinds or not self.seeds:
            raise EmagramError("study: expected at least one network and one seed, got none")
        if not 0.0 <= self.feature_floor <= 1.0:
            raise EmagramError(f"study 'feature_floor': expected 0 to 1, got {self.feature_floor}")
        if self.normalisation and self.extra_outputs:
            raise EmagramError(f"study: expected only outputs that ClimSim normalises, got {self.extra_outputs}")
        if self.normalisation and self.inputs != "raw":
            raise EmagramError(f"study: expected inputs = 'raw' with ClimSim's 'normalisation', got '{self.inputs}'")
        rectified = any(isinstance(n, ClimsimMlpConfig) and n.scalar_output == "relu" for n in self.networks)
        if rectified and not self.normalisation:
            raise EmagramError("study: expected ClimSim's 'normalisation' for scalar_output = 'relu', got the records'")

    def build_normalisation(self, spec: EmulatorSpec, train: ColumnStream) -> Normalisation:
        """Statistics of the training records in one pass, or ClimSim's own; raises EmagramError if they are others."""
        if self.normalisation:
            return read_climsim_normalisation(self.normalisation, self.variables, spec=spec)
        batches, source = train.batches(STATISTICS_BATCH, seed=0), str(self.records.folder)
        return stream_normalisation(batches, spec, source=source, feature_floor=self.feature_floor)

    def build_spec(self, grid: ColumnGrid) -> EmulatorSpec:
        """What the emulators of this study read and return."""
        exponents = None
        if self.normalisation and self.variables not in ("v1", "v2"):
            exponents = read_cloud_exponents(self.normalisation, self.variables)
        spec = climsim_spec(
            self.variables,
            n_level=grid.n_level,
            time_step=self.records.time_step,
            cloud_exponents=exponents,
            inputs=self.inputs,
        )
        return self._completed(spec)

    def fitted_spec(self, spec: EmulatorSpec) -> EmulatorSpec:
        """Of the emulator while it is trained: without constraints, where they hold in prediction alone."""
        return spec if self.constrain == "training" else replace(spec, constraints=())

    def _completed(self, spec: EmulatorSpec) -> EmulatorSpec:
        """The spec of a set with the other outputs and what must hold."""
        outputs = spec.outputs + tuple(find(name, "climsim").name for name in self.extra_outputs)
        return constrained(replace(spec, outputs=outputs), self.constraints)


def _require_apart(parts: Mapping[str, Series], folder: Path) -> None:
    """No part begins before another has ended: neighbours in time are nearly the same columns."""
    for (name, part), (other, later) in combinations(parts.items(), 2):
        if part.times[0] <= later.times[-1] and later.times[0] <= part.times[-1]:
            raise EmagramError(
                f"records '{folder}': expected parts apart in time, got '{name}' and '{other}' overlapping"
            )
