"""What training minimises, computed after the constraints, so that it sees closed columns."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...physics.errors import EmagramError
from ...physics.units import SECONDS_PER_DAY
from ...physics.variables import VARIABLES
from ..emulator import EmulatorSpec


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

    def __post_init__(self) -> None:
        if not self.flux_scale > 0.0:
            raise EmagramError(f"objective 'flux_scale': expected a positive number, got {self.flux_scale}")
        if not 0.0 <= self.absolute_share <= 1.0:
            raise EmagramError(f"objective 'absolute_share': expected 0 to 1, got {self.absolute_share}")

    def build(self, spec: EmulatorSpec) -> "RadiationObjective":
        """The objective of an emulator's heating rates and fluxes."""
        return RadiationObjective(self, spec)


class RadiationObjective:
    """L = Σ_heating Σ_k w_k ρ(86400 Δh_k) + mean_fluxes ρ(ΔF / s), w_k = Δp_k / Σ Δp, mean over columns.

    ρ(e) = (1 − α) e² + α |e|, Δ is prediction minus truth, s the flux scale.

    Raises:
        EmagramError: if an output is neither a heating rate of layers [K s-1] nor a flux of the column [W m-2].
    """

    def __init__(self, config: RadiationObjectiveConfig, spec: EmulatorSpec) -> None:
        kinds = {name: (VARIABLES[name].dimension, VARIABLES[name].unit) for name in spec.outputs}
        self.heating = tuple(name for name, kind in kinds.items() if kind == ("layer", "K s-1"))
        self.fluxes = tuple(name for name, kind in kinds.items() if kind == ("column", "W m-2"))
        other = [name for name in spec.outputs if name not in self.heating + self.fluxes]
        if other:
            raise EmagramError(f"objective: expected heating rates and fluxes, got output '{other[0]}'")
        self.config = config

    def __call__(
        self, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], inputs: Mapping[str, Tensor]
    ) -> Tensor:
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
