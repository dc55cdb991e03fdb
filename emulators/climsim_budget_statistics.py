"""Statistics of budget residuals while columns stream by."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..physics.errors import EmagramError
from .climsim_budgets import Budget

SMALLEST, LARGEST, BINS_PER_DECADE = 1.0e-18, 1.0e6, 3
N_BIN = BINS_PER_DECADE * 24
"""Bins of the histogram of residuals, from SMALLEST to LARGEST in the unit of the budget."""


@dataclass
class BudgetStatistics:
    """Running statistics of the residuals of one budget over columns.

    The histogram counts magnitudes in decades, BINS_PER_DECADE bins each, from SMALLEST to LARGEST; smaller ones, zero
    too, fall into the first bin and larger ones into the last.
    """

    budget: Budget
    n_column: int = 0
    n_above: int = 0
    weight: float = 0.0
    weighted: float = 0.0
    weighted_square: float = 0.0
    max_abs: float = 0.0
    histogram: Tensor = field(default_factory=lambda: torch.zeros(N_BIN, dtype=torch.int64))

    def add(self, residual: Tensor, weight: Tensor) -> None:
        """Add columns.

        Args:
            residual: [unit of the budget] (n_column,).
            weight: area of each column, in any unit (n_column,).
        Raises:
            EmagramError: if sizes differ or a residual is not finite.
        """
        if residual.shape != weight.shape or residual.ndim != 1:
            raise EmagramError(
                f"budget '{self.budget.name}': expected a residual for each of {len(weight)} columns, "
                f"got shape {tuple(residual.shape)}"
            )
        if not bool(residual.isfinite().all()):
            raise EmagramError(f"budget '{self.budget.name}': expected finite residuals, got NaN or infinity")
        if len(residual) == 0:
            return
        magnitude = residual.abs()
        self.n_column += len(residual)
        self.n_above += int((magnitude > self.budget.threshold).sum())
        self.weight += float(weight.sum())
        self.weighted += float((weight * residual).sum())
        self.weighted_square += float((weight * residual.square()).sum())
        self.max_abs = max(self.max_abs, float(magnitude.max()))
        exponent = magnitude.clamp(min=SMALLEST, max=LARGEST * 0.999).log10()
        bins = ((exponent - math.log10(SMALLEST)) * BINS_PER_DECADE).long()
        self.histogram += torch.bincount(bins, minlength=N_BIN)

    def summary(self) -> dict[str, object]:
        """Area-weighted `mean` and `rms`, `max_abs` [unit], `share_above` the threshold, and the `histogram`."""
        budget, count = self.budget, max(self.n_column, 1)
        weight = self.weight or math.nan
        return {
            "unit": budget.unit,
            "signed": budget.signed,
            "n_column": self.n_column,
            "mean": self.weighted / weight,
            "rms": math.sqrt(self.weighted_square / weight),
            "max_abs": self.max_abs,
            "threshold": budget.threshold if math.isfinite(budget.threshold) else None,
            "share_above": self.n_above / count if math.isfinite(budget.threshold) else None,
            "histogram": self.histogram.tolist(),
        }
