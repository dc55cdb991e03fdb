"""What a sampler measures distances with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...physics.errors import EmagramError


@dataclass(frozen=True)
class Metric:
    """M = diag(σ²) + Uᵀ U, the covariance of the noise of a step, in which projections are orthogonal.

    A projection that minimises δᵀ Σ⁻¹ δ, as that of `LinearLaws` does, needs M ∝ Σ.

    Args:
        variance: σ² > 0 (n_value,), float64.
        factors: U (n_factor, n_value), float64.
    Raises:
        EmagramError: if a shape does not fit or a variance is not positive.
    """

    variance: Tensor
    factors: Tensor

    def __post_init__(self) -> None:
        if self.variance.ndim != 1 or not bool((self.variance > 0.0).all() and self.variance.isfinite().all()):
            raise EmagramError("metric: expected positive variances of shape (n_value,), got others")
        if self.factors.ndim != 2 or self.factors.shape[1] != len(self.variance):
            expected = f"(n_factor, {len(self.variance)})"
            raise EmagramError(f"metric: expected factors of shape {expected}, got {tuple(self.factors.shape)}")

    @classmethod
    def identity(cls, n_value: int) -> Metric:
        """That of values in one unit that are alike."""
        return cls(torch.ones(n_value, dtype=torch.float64), torch.zeros(0, n_value, dtype=torch.float64))

    def times(self, vectors: Tensor) -> Tensor:
        """M v, (..., n_value)."""
        return self.variance * vectors + (vectors @ self.factors.T) @ self.factors

    def noise(self, n_sample: int, generator: torch.Generator) -> Tensor:
        """Draws of N(0, M), (n_sample, n_value)."""
        n_factor, n_value = self.factors.shape
        draws = torch.randn((n_sample, n_value + n_factor), generator=generator, dtype=torch.float64)
        return self.variance.sqrt() * draws[:, :n_value] + draws[:, n_value:] @ self.factors
