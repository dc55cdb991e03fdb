"""What a study of conservation is: ways to keep budgets, each trained alike, with raw and climate-invariant inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..physics.errors import EmagramError
from .climsim import InputKind
from .climsim_study_config import PRESENT, ClimateConfig, ClimsimStudyConfig, RecordsConfig, file_name
from .networks import DenseConfig, NetworkConfig
from .training.budget_objective import StudyObjectiveConfig
from .training.energy_objective import EnergyObjectiveConfig
from .training.trainer import TrainingConfig


@dataclass(frozen=True)
class VariantConfig:
    """One way to keep, or not to keep, the budgets.

    Attributes:
        name: in tables and the picture.
        constraints: what closes the columns, names of `climsim_constraints.CLIMSIM_CONSTRAINTS`; nothing without.
        constrain: where they hold, as in `ClimsimStudyConfig`.
        objective: what training minimises; "budgets" counts the residuals of the study's laws.
        inputs: with which inputs it is trained, "raw", "climate_invariant" or both.
    Raises:
        EmagramError: if the inputs are none or repeat themselves.
    """

    name: str
    constraints: tuple[str, ...] = ()
    constrain: Literal["training", "prediction"] = "training"
    objective: StudyObjectiveConfig = field(default_factory=EnergyObjectiveConfig)
    inputs: tuple[InputKind, ...] = ("raw", "climate_invariant")

    def __post_init__(self) -> None:
        if not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise EmagramError(f"variant '{self.name}': expected distinct inputs, at least one, got {self.inputs}")


@dataclass(frozen=True)
class Case:
    """A variant with one kind of inputs.

    Attributes:
        variant: what it is.
        inputs: what its networks see.
        study: that trains it. Cases that train alike have equal ones: closing in prediction alone changes no weight.
    """

    variant: VariantConfig
    inputs: InputKind
    study: ClimsimStudyConfig


@dataclass(frozen=True)
class ConservationConfig:
    """A whole study.

    Attributes:
        name: of the run.
        records, variables, extra_outputs, feature_floor, seeds, heldout, training: as in `ClimsimStudyConfig`; here one
            scale for all levels of a feature is the default, as other climates are tested.
        laws: constraints whose residuals are scored in every variant.
        network: of every variant.
        variants: the first is what the others are compared with.
    Raises:
        EmagramError: if a list is empty or repeats itself, or a variant is no study on these records.
    """

    name: str
    records: RecordsConfig
    variants: tuple[VariantConfig, ...]
    task: Literal["conservation"]
    laws: tuple[str, ...] = ("water_and_energy",)
    variables: str = "v2"
    extra_outputs: tuple[str, ...] = ("cam_out_FSNT", "cam_out_FLUT")
    feature_floor: float = 1.0
    network: NetworkConfig = field(default_factory=DenseConfig)
    seeds: tuple[int, ...] = (0, 1, 2)
    heldout: tuple[ClimateConfig, ...] = ()
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        names = tuple(file_name(variant.name) for variant in self.variants)
        for what, values in (("variants", names), ("laws", self.laws)):
            if not values or len(set(values)) < len(values):
                raise EmagramError(f"study '{what}': expected distinct entries, at least one, got {values}")
        self.cases()

    @property
    def climates(self) -> tuple[str, ...]:
        """That of training, and those held out."""
        return (PRESENT, *(climate.name for climate in self.heldout))

    def cases(self) -> tuple[Case, ...]:
        """Every variant with each of its inputs."""
        return tuple(
            Case(variant, inputs, self._study(variant, inputs))
            for variant in self.variants
            for inputs in variant.inputs
        )

    def _study(self, variant: VariantConfig, inputs: InputKind) -> ClimsimStudyConfig:
        """A variant without constraints has the laws in prediction, which adds the inputs that they are measured by."""
        is_open = not variant.constraints or variant.constrain == "prediction"
        return ClimsimStudyConfig(
            name=self.name,
            records=self.records,
            task="climsim",
            variables=self.variables,
            inputs=inputs,
            extra_outputs=self.extra_outputs,
            constraints=self.laws if is_open else variant.constraints,
            constrain="prediction" if is_open else "training",
            feature_floor=self.feature_floor,
            networks=(self.network,),
            seeds=self.seeds,
            heldout=self.heldout,
            objective=variant.objective,
            training=self.training,
        )
