"""Gaussians under constraints, whose conditional distribution is known: what samplers are measured with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...physics.errors import EmagramError


@dataclass(frozen=True)
class Gaussian:
    """N(μ, C).

    Args:
        mean: μ (n_value,), float64.
        covariance: C (n_value, n_value).
    Raises:
        EmagramError: if the covariance has another shape, is not symmetric or not positive definite.
    """

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        n = len(self.mean)
        if tuple(self.covariance.shape) != (n, n):
            raise EmagramError(f"gaussian: expected a covariance of shape {(n, n)}, got {tuple(self.covariance.shape)}")
        scale = self.covariance.diagonal().clamp(min=0.0).sqrt()
        correlation = self.covariance / (scale.unsqueeze(1) * scale)
        is_symmetric = torch.allclose(correlation, correlation.T, rtol=0.0, atol=1.0e-12)
        if not is_symmetric or int(torch.linalg.cholesky_ex(correlation)[1]):
            raise EmagramError("gaussian: expected a symmetric, positive definite covariance, got another")

    def score(self, x: Tensor, noise: float = 0.0, noise_covariance: Tensor | None = None) -> Tensor:
        """∇ log p_σ = −(C + σ² M)⁻¹ (x − μ), (..., n_value), with M the identity where it is not given."""
        covariance = self.covariance
        if noise:
            eye = torch.eye(len(self.mean), dtype=covariance.dtype)
            covariance = covariance + noise**2 * (eye if noise_covariance is None else noise_covariance)
        scale = covariance.diagonal().sqrt()
        correlation = covariance / (scale.unsqueeze(1) * scale)
        deviation: Tensor = torch.linalg.solve(correlation, ((x - self.mean) / scale).T)
        return -deviation.T / scale

    def given(self, rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance under A x = b, μ + C Aᵀ (A C Aᵀ)⁻¹ (b − A μ) and C − C Aᵀ (A C Aᵀ)⁻¹ A C.

        Args:
            rows: A (n_row, n_value).
            values: b (n_row,).
        """
        spread = self.covariance @ rows.T
        gain = torch.linalg.solve(rows @ spread, spread.T).T
        mean = self.mean + gain @ (values - rows @ self.mean)
        return mean, self.covariance - gain @ spread.T


def distance_of_distributions(samples: Tensor, cumulative: Tensor) -> float:
    """Kolmogorov and Smirnov's D = sup |F_n − F|.

    Args:
        samples: (n_sample,).
        cumulative: F of each of them, of the expected distribution (n_sample,).
    """
    expected = cumulative[samples.argsort()]
    n = len(samples)
    above = torch.arange(1, n + 1, dtype=torch.float64) / n - expected
    return float(torch.maximum(above, 1.0 / n - above).max())
