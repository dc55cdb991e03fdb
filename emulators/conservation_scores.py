"""Skill and residual of an emulator in the same unit, W² m⁻⁴, in one pass over columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..physics.constraints import Constraint
from ..physics.errors import EmagramError
from .climsim_metrics import ErrorMoments
from .emulator import EmulatorSpec, Fields
from .training.energy_objective import energy_values
from .training.samples import Samples

BUDGET_UNITS = ("W m-2", "kg m-2 s-1")


@dataclass(frozen=True)
class ConservationScores:
    """Scores of one emulator on one set of columns.

    Attributes:
        n_column: number of columns.
        mse: mean over columns and output values of the squared error [W2 m-4], of `energy_values`.
        r2: 1 − Σ e² / Σ (t − t̄)² over all of them, t̄ the mean of an output value over the columns [1].
        residual: P, mean over columns and budgets of the squared residual [W2 m-4], water times Lv.
        mse_of: the same as `mse` of every output alone, by name.
        residual_of: the same as `residual` of every budget alone, by name.
    """

    n_column: int
    mse: float
    r2: float
    residual: float
    mse_of: Mapping[str, float]
    residual_of: Mapping[str, float]

    def row(self) -> dict[str, float | int]:
        """All of it under one heading each."""
        return {
            "columns": self.n_column,
            "mse": self.mse,
            "r2": self.r2,
            "residual": self.residual,
            **{f"residual_{name}": value for name, value in self.residual_of.items()},
            **{f"mse_{name}": value for name, value in self.mse_of.items()},
        }


@torch.no_grad()
def score_conservation(
    predict: Callable[[Samples], Fields], spec: EmulatorSpec, laws: Sequence[Constraint], samples: Iterable[Samples]
) -> ConservationScores:
    """Score predictions of columns.

    Args:
        predict: outputs of columns.
        spec: of the outputs, with the pressure among its inputs.
        laws: whose residuals are measured in what is returned.
        samples: inputs and true outputs, passed over once.
    Raises:
        EmagramError: if there is no column or budget, a budget has another unit, or a value is not finite.
    Source: Beucler et al. 2021, doi:10.1103/PhysRevLett.126.098302, who average over four budgets.
    """
    factors = _budget_factors(laws, spec)
    errors, residuals = ErrorMoments(1, sum(map(spec.size, spec.outputs))), ErrorMoments(1, len(factors))
    for batch in samples:
        outputs = predict(batch)
        errors.add(*(energy_values(spec, values, batch.inputs) for values in (outputs, batch.targets)))
        measured = _residuals(laws, {**batch.inputs, **outputs}, factors)
        residuals.add(measured, torch.zeros_like(measured))
    if not float(errors.count):
        raise EmagramError("scores of conservation: expected at least one column, got none")
    square, closed = errors.rmse[0].square(), residuals.rmse[0].square()
    return ConservationScores(
        int(errors.count),
        float(square.mean()),
        errors.r2_pooled,
        float(closed.mean()),
        {name: float(square[where].mean()) for name, where in spec.output_slices()},
        dict(zip(factors, closed.tolist(), strict=True)),
    )


def _budget_factors(laws: Sequence[Constraint], spec: EmulatorSpec) -> dict[str, float]:
    """What turns each budget into W m⁻²."""
    factors = dict(zip(BUDGET_UNITS, (1.0, spec.constants.latent_heat_vaporization), strict=True))
    budgets = [budget for law in laws for budget in law.budgets]
    for budget in budgets:
        if budget.unit not in factors:
            raise EmagramError(f"budget '{budget.name}': expected one of {BUDGET_UNITS}, got {budget.unit}")
    if not budgets:
        raise EmagramError("scores of conservation: expected laws that have budgets, got none")
    return {budget.name: factors[budget.unit] for budget in budgets}


def _residuals(laws: Sequence[Constraint], fields: Mapping[str, Tensor], factors: Mapping[str, float]) -> Tensor:
    """[W m-2] (n_column, n_budget)."""
    found = {name: value for law in laws for name, value in law.residuals(fields).items()}
    return torch.stack([found[name] * factor for name, factor in factors.items()], dim=1)
