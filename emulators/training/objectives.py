"""What training minimises, computed after the constraints that the emulator has while it is trained."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from ...physics.constraints import Constraint
from ...physics.errors import EmagramError
from ...physics.units import SECONDS_PER_DAY
from ...physics.variables import VARIABLES
from ..emulator import ColumnEmulator, EmulatorSpec
from .combination import Combination, WeightedSum

Fields = Mapping[str, Tensor]


class Objective(Protocol):
    """Losses of outputs, each the mean over columns of a number for each, so that losses of batches add up."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of its losses, as in the log."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What it is, as plain JSON values: a checkpoint of another one is not continued."""
        ...

    def combination(self) -> Combination:
        """A new combination of its losses into one gradient, as at the start of a training."""
        ...

    def losses(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """The losses (n_loss,) of float64 fields (n_column,) or (n_column, size) in units of the table."""
        ...

    def __call__(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """One scalar of the losses, by which epochs are compared."""
        ...


class SingleLoss(ABC):
    """An objective of one loss, which is what its call returns."""

    names = ("loss",)
    config: Any
    """The frozen dataclass that built it."""

    @property
    def identity(self) -> dict[str, Any]:
        """Its configuration."""
        return asdict(self.config)

    def combination(self) -> Combination:
        """The loss itself."""
        return WeightedSum(torch.ones(1))

    def losses(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """The loss, (1,)."""
        return self(outputs, targets, inputs).reshape(1)

    @abstractmethod
    def __call__(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """The loss, a scalar."""


@dataclass(frozen=True)
class RadiationObjectiveConfig:
    """A loss of heating rates and fluxes at the boundaries.

    Attributes:
        flux_scale: [W m-2], the flux error that weighs as much as a heating error of 1 K/day.
        absolute_share: α in (1 − α) e² + α |e|; the absolute part keeps a few bright columns from ruling.
    Raises:
        EmagramError: if the scale is not positive or the share lies outside [0, 1].
    """

    flux_scale: float = 5.0
    absolute_share: float = 0.9
    kind: Literal["radiation"] = field(default="radiation", kw_only=True)

    def __post_init__(self) -> None:
        if not self.flux_scale > 0.0:
            raise EmagramError(f"objective 'flux_scale': expected a positive number, got {self.flux_scale}")
        if not 0.0 <= self.absolute_share <= 1.0:
            raise EmagramError(f"objective 'absolute_share': expected 0 to 1, got {self.absolute_share}")

    def build(self, emulator: ColumnEmulator) -> "RadiationObjective":
        """The objective of an emulator's heating rates and fluxes."""
        return RadiationObjective(self, emulator.spec)


class RadiationObjective(SingleLoss):
    """L = Σ_heating Σ_k w_k ρ(86400 Δh_k) + mean_fluxes ρ(ΔF / s), w_k = Δp_k / Σ Δp, mean over columns.

    ρ(e) = (1 − α) e² + α |e|, Δ is prediction minus truth, s the flux scale.

    Raises:
        EmagramError: if an output is neither a heating rate of layers [K s-1] nor a flux of the column [W m-2].
    """

    config: RadiationObjectiveConfig

    def __init__(self, config: RadiationObjectiveConfig, spec: EmulatorSpec) -> None:
        kinds = {name: (VARIABLES[name].dimension, VARIABLES[name].unit) for name in spec.outputs}
        self.heating = tuple(name for name, kind in kinds.items() if kind == ("layer", "K s-1"))
        self.fluxes = tuple(name for name, kind in kinds.items() if kind == ("column", "W m-2"))
        other = [name for name in spec.outputs if name not in self.heating + self.fluxes]
        if other:
            raise EmagramError(f"objective: expected heating rates and fluxes, got output '{other[0]}'")
        self.config = config

    def __call__(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """The loss [1], a scalar.

        Args:
            outputs, targets: heating rates [K s-1] (n_column, n_level) and fluxes [W m-2] (n_column,), float64.
            inputs: with air_pressure_at_interface [Pa] (n_column, n_level + 1).
        """
        thickness = inputs["air_pressure_at_interface"].diff(dim=1)
        weight = thickness / thickness.sum(dim=1, keepdim=True)
        total = torch.zeros((), dtype=torch.float64)
        for name in self.heating:
            error = (outputs[name] - targets[name]) * SECONDS_PER_DAY
            total = total + (weight * self._penalty(error)).sum(dim=1).mean()
        for name in self.fluxes:
            error = (outputs[name] - targets[name]) / self.config.flux_scale
            total = total + self._penalty(error).mean() / len(self.fluxes)
        return total

    def _penalty(self, error: Tensor) -> Tensor:
        share = self.config.absolute_share
        return (1.0 - share) * error.square() + share * error.abs()


@dataclass(frozen=True)
class OutputWeight:
    """How much an output counts: its values weigh `weight` times those of an output that is not listed."""

    output: str
    weight: float

    def __post_init__(self) -> None:
        if not self.weight >= 0.0:
            raise EmagramError(f"weight of output '{self.output}': expected no negative number, got {self.weight}")


def output_weights(weights: tuple[OutputWeight, ...], spec: EmulatorSpec) -> Tensor:
    """Weights of the packed output values that add up to 1, (Σ sizes,), float64.

    Raises:
        EmagramError: if a weight names no output, or nothing has a weight.
    """
    of_output = {entry.output: entry.weight for entry in weights}
    other = [name for name in of_output if name not in spec.outputs]
    if other:
        raise EmagramError(f"objective 'weights': expected outputs of the emulator, got '{other[0]}'")
    values = [torch.full((spec.size(name),), of_output.get(name, 1.0), dtype=torch.float64) for name in spec.outputs]
    weight = torch.cat(values)
    if not bool(weight.sum() > 0.0):
        raise EmagramError("objective 'weights': expected an output that counts, got none")
    return weight / weight.sum()


@dataclass(frozen=True)
class NormalisedObjectiveConfig:
    """A loss of outputs in the units in which the network returns them, for any emulator.

    Attributes:
        penalty: "mse" e², "mae" |e|, or "huber": e² / 2 up to δ, then δ (|e| − δ / 2).
        huber_delta: δ.
        weights: of outputs that count more or less than others, or not at all.
    Raises:
        EmagramError: if the penalty is unknown, δ is not positive or an output is listed twice.
    """

    penalty: Literal["mse", "mae", "huber"] = "mse"
    huber_delta: float = 1.0
    weights: tuple[OutputWeight, ...] = ()
    kind: Literal["normalised"] = field(default="normalised", kw_only=True)

    def __post_init__(self) -> None:
        if self.penalty not in ("mse", "mae", "huber"):
            raise EmagramError(f"objective 'penalty': expected 'mse', 'mae' or 'huber', got '{self.penalty}'")
        if not self.huber_delta > 0.0:
            raise EmagramError(f"objective 'huber_delta': expected a positive number, got {self.huber_delta}")
        names = [entry.output for entry in self.weights]
        if len(set(names)) < len(names):
            raise EmagramError(f"objective 'weights': expected every output once, got {names}")

    def build(self, emulator: ColumnEmulator, laws: tuple[Constraint, ...] = ()) -> "NormalisedObjective":
        """The objective of an emulator with its normalisation as it is now; laws count for nothing in it."""
        del laws
        return NormalisedObjective(self, emulator)


class NormalisedObjective(SingleLoss):
    """L = Σ_v w_v ρ(e_v) / Σ_v w_v over the packed output values v, mean over columns; e_v = (y_v − t_v) / (σ_v s).

    y are the outputs, closed where the emulator has constraints, t the targets, σ the emulator's output scales and s
    the input that scales the output (1 for most); where s is 0, output and target are 0 as well and count as no error.
    With ClimSim's output scales this is the loss ClimSim trains with (Yu et al. 2023, arXiv:2306.08754).

    Raises:
        EmagramError: if a weight names no output, or nothing has a weight.
    """

    config: NormalisedObjectiveConfig

    def __init__(self, config: NormalisedObjectiveConfig, emulator: ColumnEmulator) -> None:
        self.config, self.spec = config, emulator.spec
        self.scale = emulator.output_scale.clone()
        self.weight = output_weights(config.weights, self.spec)

    def __call__(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """The loss [1], a scalar.

        Args:
            outputs, targets: every output, float64, (n_column,) or (n_column, size), units of the table.
            inputs: with the inputs that scale outputs, (n_column,).
        """
        errors = [self._error(name, outputs[name] - targets[name], inputs) for name in self.spec.outputs]
        error = torch.cat(errors, dim=1) / self.scale
        return (self._penalty(error) * self.weight).sum(dim=1).mean()

    def _error(self, name: str, error: Tensor, inputs: Fields) -> Tensor:
        """(n_column, size), divided by the input that scales the output."""
        error = error.reshape(error.shape[0], -1)
        if name not in self.spec.scale_by:
            return error
        scale = inputs[self.spec.scale_by[name]].unsqueeze(1)
        return torch.where(scale != 0.0, error / torch.where(scale != 0.0, scale, 1.0), 0.0)

    def _penalty(self, error: Tensor) -> Tensor:
        if self.config.penalty == "mse":
            return error.square()
        if self.config.penalty == "mae":
            return error.abs()
        delta = self.config.huber_delta
        size = error.abs()
        return torch.where(size <= delta, 0.5 * size.square(), delta * (size - 0.5 * delta))


ObjectiveConfig = RadiationObjectiveConfig | NormalisedObjectiveConfig
"""Every objective, told apart by the field `kind`; `build(emulator)` makes it."""
