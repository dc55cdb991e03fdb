"""Soft conservation: the fit and the residuals of budgets as losses of one training, measured and never closed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from ...physics.constraints import Constraint
from ...physics.errors import EmagramError
from ..emulator import ColumnEmulator, EmulatorSpec
from .combination import Combination, CombinationConfig
from .energy_objective import EnergyObjectiveConfig
from .objectives import Fields, NormalisedObjectiveConfig, Objective


@dataclass(frozen=True)
class BudgetObjectiveConfig:
    """The loss of a fit F, and of every budget b the loss P_b = mean over columns of (r_b / s_b)².

    Attributes:
        combination: how they become one gradient: a fixed `share` (LCnet), `dual_ascent` or `conflict_free` (ConFIG).
        fit: F.
        energy_scale: s [W m-2] of budgets of energy; those of water have s / Lv [kg m-2 s-1], the water whose
            condensation releases s.
    Raises:
        EmagramError: if the scale is not positive.
    """

    combination: CombinationConfig
    fit: EnergyObjectiveConfig | NormalisedObjectiveConfig = field(default_factory=EnergyObjectiveConfig)
    energy_scale: float = 1.0
    kind: Literal["budgets"] = field(default="budgets", kw_only=True)

    def __post_init__(self) -> None:
        if not 0.0 < self.energy_scale < math.inf:
            raise EmagramError(f"objective 'energy_scale': expected a positive finite number, got {self.energy_scale}")

    def build(self, emulator: ColumnEmulator, laws: tuple[Constraint, ...] = ()) -> BudgetObjective:
        """The objective of an emulator and the residuals of laws that it does not apply itself; see there."""
        return BudgetObjective(self, self.fit.build(emulator), emulator.spec, laws)


class BudgetObjective:
    """Losses F, P_1, …, P_n of the outputs as the network returns them.

    Args:
        config: scale and combination.
        fit: F.
        spec: of the emulator while it is trained.
        laws: constraints whose residuals are measured, each in the outputs before any constraint.
    Raises:
        EmagramError: if the laws have no budget, one with a unit that has no scale or a field that is not there, or the
            emulator applies one of them itself, which would leave nothing to learn.
    Source: Beucler et al. 2021, doi:10.1103/PhysRevLett.126.098302.
    """

    def __init__(
        self, config: BudgetObjectiveConfig, fit: Objective, spec: EmulatorSpec, laws: tuple[Constraint, ...]
    ) -> None:
        self.config, self.fit = config, fit
        self.laws = tuple(law for law in laws if law.budgets)
        self.scales = {
            budget.name: _scale(budget.name, budget.unit, config.energy_scale, spec)
            for law in self.laws
            for budget in law.budgets
        }
        if not self.scales:
            raise EmagramError("objective 'budgets': expected constraints that have budgets, got none")
        for law in self.laws:
            _require_open(law, spec)
        self._merit_weights = self.combination().merit_weights

    @property
    def names(self) -> tuple[str, ...]:
        """`fit` and the names of the budgets."""
        return ("fit", *self.scales)

    @property
    def identity(self) -> dict[str, Any]:
        """Its configuration and laws."""
        return asdict(self.config) | {"laws": [law.to_manifest() for law in self.laws]}

    def combination(self) -> Combination:
        """A new one of the losses, as configured."""
        return self.config.combination.build(tuple(self.scales))

    def losses(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """F and every P_b, (1 + n_budget,), float64.

        Args:
            outputs, targets: every output, float64, (n_column,) or (n_column, size), units of the table.
            inputs: every input, likewise.
        """
        fields = {**inputs, **outputs}
        residuals = {name: value for law in self.laws for name, value in law.residuals(fields).items()}
        penalties = [(residuals[name] / scale).square().mean() for name, scale in self.scales.items()]
        return torch.stack([self.fit(outputs, targets, inputs), *penalties])

    def __call__(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """Σ_i w_i l_i with the fixed weights of the combination, a scalar; arguments as `losses`."""
        return (self.losses(outputs, targets, inputs) * self._merit_weights).sum()


StudyObjectiveConfig = NormalisedObjectiveConfig | EnergyObjectiveConfig | BudgetObjectiveConfig
"""Every objective of a study on ClimSim-like records, told apart by `kind`; `build(emulator, laws)` makes it."""


def _scale(name: str, unit: str, energy_scale: float, spec: EmulatorSpec) -> float:
    scales = {"W m-2": energy_scale, "kg m-2 s-1": energy_scale / spec.constants.latent_heat_vaporization}
    if unit not in scales:
        raise EmagramError(f"objective 'budgets': expected budgets in {' or '.join(scales)}, got '{name}' in {unit}")
    return scales[unit]


def _require_open(law: Constraint, spec: EmulatorSpec) -> None:
    if law in spec.constraints:
        raise EmagramError(
            f"objective 'budgets': expected constraints that hold in prediction alone, got '{law.name}' in training"
        )
    for name in (*law.inputs, *law.outputs):
        if name not in spec.inputs + spec.outputs:
            raise EmagramError(f"objective 'budgets': expected the field '{name}' of '{law.name}', got none")
