"""Langevin sampling, free, projected after every step, or split so that every sample satisfies its constraints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...physics.errors import EmagramError
from .metric import Metric

Score = Callable[[Tensor, float], Tensor]
"""∇ log p_σ (x), (n_sample, n_value) of the same, where p_σ is what is sampled plus noise of covariance σ² M."""
Projection = Callable[[Tensor], Tensor]
"""The nearest point that satisfies the constraints, in the metric M, (n_sample, n_value) of the same."""


@dataclass(frozen=True)
class Schedule:
    """Steps at noise that falls level by level, τ_i = τ (σ_i / σ_n)²; with one level, which may be 0, plain Langevin.

    Args:
        step: τ of the last level, in units of M⁻¹ of the inverse curvature of log p: τ λ_max(M P) < 2 is stable.
        n_step: of each level.
        noise: σ_i, falling.
    Raises:
        EmagramError: if a number is not positive, or the noise does not fall.
    """

    step: float
    n_step: int
    noise: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        _require_positive("step", self.step)
        if isinstance(self.n_step, bool) or not isinstance(self.n_step, int) or self.n_step < 1:
            raise EmagramError(f"schedule: expected a positive number of steps, got {self.n_step!r}")
        falls = all(a > b for a, b in zip(self.noise, self.noise[1:], strict=False))
        is_plain = self.noise == (0.0,)
        if not (is_plain or (self.noise and falls and self.noise[-1] > 0.0 and math.isfinite(self.noise[0]))):
            raise EmagramError(f"schedule: expected noise that falls and stays positive, or 0 alone, got {self.noise}")


@dataclass(frozen=True)
class Langevin:
    """x ← x + τ M s(x) + √(2τ) M^½ ξ, without constraints.

    In the limit τ → 0 and of many steps, samples are of p; at any τ their covariance is off by O(τ).

    Args:
        schedule: of the steps.
        metric: M.
    """

    schedule: Schedule
    metric: Metric

    def sample(self, score: Score, start: Tensor, *, seed: int) -> Tensor:
        """One sample a chain.

        Args:
            score: of p.
            start: (n_sample, n_value), float64.
            seed: of the noise; the same one gives the same samples.
        Raises:
            EmagramError: if `start` has another shape, or a chain leaves the finite numbers.
        """
        x = _checked(start, self)
        for move in _moves(self, score, seed):
            x = move(x)
        return _finite(x, self.schedule)


@dataclass(frozen=True)
class ProjectedLangevin:
    """x ← P(x + τ M s(x) + √(2τ) M^½ ξ).

    For linear equalities, whose normal component it only removes, right in the limit τ → 0. At bounds samples pile up,
    a share O(√τ) of them.

    Args: as `Langevin`.
    """

    schedule: Schedule
    metric: Metric

    def sample(self, score: Score, project: Projection, start: Tensor, *, seed: int) -> Tensor:
        """Samples P(…), one a chain; arguments and errors as `Langevin.sample`."""
        x = _checked(start, self)
        for move in _moves(self, score, seed):
            x = _projected(project, move(x))
        return _finite(x, self.schedule)


@dataclass(frozen=True)
class SplitAugmentedLangevin:
    """Langevin on x, projection on z, and a dual u that holds the two together; the samples are z.

    x ← x + τ [M s(x) − ρ (x − z + u)] + √(2τ) M^½ ξ,   z ← P(x + u),   u ← u + η (x − z).

    Every z satisfies the constraints as exactly as P returns them. If P is the projection in the metric M, z is of p
    given the constraints in the limit τ → 0, ρ → ∞. Until then, for linear equalities and a Gaussian p, the mean is
    exact with η > 0 and the covariance off by O(τ + 1/ρ); at bounds samples pile up as with `ProjectedLangevin`. Along
    falling noise ρ_i = ρ (σ_n / σ_i)² lets go of the constraints at first, so that τ_i ρ_i does not change; that
    explores p, but separate modes keep the weights of the noise at which they part.

    Args:
        schedule, metric: as `Langevin`.
        penalty: ρ of the last level; τ ρ < 1.
        dual_step: 0 ≤ η ≤ 1; with η = 0, penalised Langevin with its samples projected.
    Raises:
        EmagramError: if a number is out of its range.
    Source: Blanke et al. (2025), Strictly constrained generative modeling via split augmented Langevin sampling,
    doi:10.48550/arXiv.2505.18017.
    """

    schedule: Schedule
    metric: Metric
    penalty: float
    dual_step: float

    def __post_init__(self) -> None:
        _require_positive("penalty", self.penalty)
        if not 0.0 <= self.dual_step <= 1.0:
            raise EmagramError(f"sampler: expected a dual step from 0 to 1, got {self.dual_step!r}")
        if self.penalty * self.schedule.step >= 1.0:
            product = self.penalty * self.schedule.step
            raise EmagramError(f"sampler: expected penalty times step below 1, got {product:g}")

    def sample(self, score: Score, project: Projection, start: Tensor, *, seed: int) -> Tensor:
        """Samples z, one a chain; arguments and errors as `Langevin.sample`."""
        x = _checked(start, self)
        z, u = _projected(project, x), torch.zeros_like(x)
        for move in _moves(self, score, seed):
            x = move(x, self.penalty * (x - z + u))
            z = _projected(project, x + u)
            u = u + self.dual_step * (x - z)
        return _finite(z, self.schedule)


class _Move:
    """x ← x + τ_i M s(x) − τ pull + √(2τ_i) M^½ ξ, at one level of noise; τ_i ρ_i = τ ρ, so the pull keeps τ."""

    def __init__(
        self, schedule: Schedule, metric: Metric, score: Score, generator: torch.Generator, *, level: float
    ) -> None:
        self._metric, self._score, self._generator, self._level = metric, score, generator, level
        growth = 1.0 if level == 0.0 else (level / schedule.noise[-1]) ** 2
        self._step, self._pull_step = schedule.step * growth, schedule.step

    def __call__(self, x: Tensor, pull: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            noise = self._metric.noise(len(x), self._generator)
            x = x + self._step * self._metric.times(self._score(x, self._level)) + math.sqrt(2.0 * self._step) * noise
            return x if pull is None else x - self._pull_step * pull


_Sampler = Langevin | ProjectedLangevin | SplitAugmentedLangevin


def _moves(sampler: _Sampler, score: Score, seed: int) -> Iterator[_Move]:
    """One for every step of the schedule."""
    generator = torch.Generator().manual_seed(seed)
    for level in sampler.schedule.noise:
        move = _Move(sampler.schedule, sampler.metric, score, generator, level=level)
        for _ in range(sampler.schedule.n_step):
            yield move


def _checked(start: Tensor, sampler: _Sampler) -> Tensor:
    n_value = len(sampler.metric.variance)
    if start.ndim != 2 or start.shape[1] != n_value or start.dtype != torch.float64:
        got = f"{tuple(start.shape)} in {start.dtype}"
        raise EmagramError(f"sampler: expected a start of shape (n_sample, {n_value}) in torch.float64, got {got}")
    return start


def _projected(project: Projection, x: Tensor) -> Tensor:
    with torch.no_grad():
        z = project(x)
    if z.shape != x.shape or z.dtype != x.dtype:
        got = f"{tuple(z.shape)} in {z.dtype}"
        raise EmagramError(f"projection: expected {tuple(x.shape)} in float64 as it was given, got {got}")
    return z


def _finite(x: Tensor, schedule: Schedule) -> Tensor:
    lost = int((~x.isfinite()).any(dim=1).sum())
    if lost:
        raise EmagramError(
            f"sampler: expected finite samples, got {lost} others: a step of {schedule.step:g} is too long"
        )
    return x


def _require_positive(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0.0):
        raise EmagramError(f"sampler: expected a positive {what}, got {value!r}")
