"""The smallest change that makes linear laws hold, column by column."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_PIVOT = 1.0e-12
"""Of laws scaled to one: what is left of one by those before it; below, rounding decides how it is closed."""


class LeastChange:
    """δy = −Σ Aᵀ (A Σ Aᵀ)⁻¹ r, the change with A δy = −r that minimises δyᵀ Σ⁻¹ δy, with Σ = diag(σ²) + Uᵀ U.

    The laws are scaled to (A Σ Aᵀ)_jj = 1 and solved for by Cholesky's factors. Where laws cannot be told apart in a
    column, or nothing there can fulfil one, nothing changes in it; that choice is not differentiated.

    Args:
        rows: A (..., n_law, n_value), float64.
        variance: σ² > 0 (n_value,).
        factors: U (n_factor, n_value).
    Attributes:
        pivots: what each law says that those before it do not, 1 − R² (..., n_law); 0 if that is lost in rounding.
        is_fixed: laws whose sum no value can change (..., n_law).
    Source: Hansen et al. (2023), ProbConserv, doi:10.48550/arXiv.2302.11002; Σ = I is KKT-hPINN (Chen et al.,
    2024, doi:10.48550/arXiv.2402.07251).
    """

    def __init__(self, rows: Tensor, variance: Tensor, factors: Tensor) -> None:
        self._rows = rows
        self._spread = rows * variance + (rows @ factors.T) @ factors
        gram = (rows.unsqueeze(-2) * self._spread.unsqueeze(-3)).sum(dim=-1)
        self.pivots, self.is_fixed = _pivots(gram)
        self._is_solvable = (self.pivots > SMALLEST_PIVOT).all(dim=-1)
        eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        gram = torch.where(self._is_solvable[..., None, None], gram, eye)
        self._scale = gram.diagonal(dim1=-2, dim2=-1).sqrt()
        self._factor, _ = torch.linalg.cholesky_ex(gram / (self._scale.unsqueeze(-1) * self._scale.unsqueeze(-2)))

    def sums(self, values: Tensor) -> Tensor:
        """A y (..., n_law) of y (..., n_value)."""
        return (self._rows * values.unsqueeze(-2)).sum(dim=-1)

    def closing(self, residual: Tensor) -> Tensor:
        """δy (..., n_value) of r (..., n_law); 0 in columns whose laws cannot be told apart."""
        scaled = (residual / self._scale).unsqueeze(-1)
        multiplier = torch.cholesky_solve(scaled, self._factor).squeeze(-1) / self._scale
        change = -(multiplier.unsqueeze(-1) * self._spread).sum(dim=-2)
        return torch.where(self._is_solvable.unsqueeze(-1), change, 0.0)


def _pivots(gram: Tensor) -> tuple[Tensor, Tensor]:
    """1 − R² of each law among those before it (..., n_law), 0 from where it is no more than rounding, or not finite.

    The second says which laws nothing can change. Neither is differentiated.
    """
    with torch.no_grad():
        diagonal = gram.diagonal(dim1=-2, dim2=-1)
        scale = diagonal.sqrt()
        scaled = (gram / (scale.unsqueeze(-1) * scale.unsqueeze(-2))).nan_to_num(0.0, 0.0, 0.0)
        factor, failed_at = torch.linalg.cholesky_ex(scaled)
        order = torch.arange(1, gram.shape[-1] + 1, device=gram.device)
        has_failed = (failed_at.unsqueeze(-1) > 0) & (order >= failed_at.unsqueeze(-1))
        return torch.where(has_failed, 0.0, factor.diagonal(dim1=-2, dim2=-1).square()), diagonal == 0.0
