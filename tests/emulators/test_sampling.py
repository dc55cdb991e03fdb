"""Samplers against Gaussians whose conditional distribution is known: what is exact, what is close, and what is not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from emagram.emulators.sampling import (
    Gaussian,
    Langevin,
    Metric,
    ProjectedLangevin,
    Schedule,
    SplitAugmentedLangevin,
    toy,
)
from emagram.emulators.sampling.gaussian import distance_of_distributions
from emagram.physics.errors import EmagramError

Array = NDArray[np.float64]
MEAN = torch.tensor([0.5, -0.3, 0.2], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.5, 0.3], [0.5, 1.0, -0.2], [0.3, -0.2, 0.6]], dtype=torch.float64)
PRIOR = Gaussian(MEAN, COVARIANCE)
ROWS, VALUES = torch.tensor([[1.0, 0.4, -0.3]], dtype=torch.float64), torch.tensor([1.5], dtype=torch.float64)
IDENTITY = Metric.identity(3)
PRIOR_METRIC = Metric(torch.full((3,), 1.0e-9, dtype=torch.float64), torch.linalg.cholesky(COVARIANCE).T.contiguous())
STRICT = 1.0e-14
N_SAMPLE = 4000
STANDARD_ERRORS = 4.5  # of a mean or covariance: 1 in 1e5, and every seed is fixed
KS_LIMIT = 1.63 / math.sqrt(N_SAMPLE)  # exceeded by 1 in 100 sets of as many draws


def projection(metric: Array | None = None) -> Any:
    """The nearest point with A x = b, in the metric of this covariance or the identity."""
    spread = ROWS if metric is None else ROWS @ torch.from_numpy(metric)
    return lambda x: x - (x @ ROWS.T - VALUES) @ torch.linalg.solve(spread @ ROWS.T, spread)


def start() -> Tensor:
    return torch.zeros(N_SAMPLE, 3, dtype=torch.float64)


def moments(sampler: Any, projects: Array | None = None, n_step: int | None = None) -> tuple[Array, Array]:
    """Mean and covariance of what a sampler returns, by the recursion of its own equations, written out.

    A chain on a Gaussian is linear in w = (x, z, u): w' = T w + t + noise, at every step of every level.
    """
    eye, zero = np.eye(3), np.zeros((3, 3))
    metric = sampler.metric.factors.numpy().T @ sampler.metric.factors.numpy() + np.diag(
        sampler.metric.variance.numpy()
    )
    a, b = ROWS.numpy(), VALUES.numpy()
    spread = (eye if projects is None else projects) @ a.T
    gain = spread @ np.linalg.inv(a @ spread)
    q, c = eye - gain @ a, gain @ b
    if isinstance(sampler, Langevin):
        q, c = eye, np.zeros(3)
    schedule, mean, covariance = sampler.schedule, np.zeros(9), np.zeros((9, 9))
    mean[3:6] = c
    for noise in schedule.noise:
        growth = 1.0 if noise == 0.0 else (noise / schedule.noise[-1]) ** 2
        tau = schedule.step * growth
        precision = np.linalg.inv(COVARIANCE.numpy() + noise**2 * eye)
        drift, pull = eye - tau * metric @ precision, 0.0
        if isinstance(sampler, SplitAugmentedLangevin):
            pull, eta = schedule.step * sampler.penalty, sampler.dual_step
            x = np.hstack([drift - pull * eye, pull * eye, -pull * eye])
            z = q @ (x + np.hstack([zero, zero, eye]))
            u = np.hstack([zero, zero, eye]) + eta * (x - z)
            push, kick = np.concatenate([np.zeros(3), c, -eta * c]), np.vstack([eye, q, eta * (eye - q)])
        else:
            x = z = np.hstack([q @ drift, zero, zero])
            u, push, kick = np.zeros((3, 9)), np.concatenate([c, c, np.zeros(3)]), np.vstack([q, q, zero])
        step = np.vstack([x, z, u])
        push = push + kick @ (tau * metric @ precision @ MEAN.numpy())
        noise_covariance = 2.0 * tau * kick @ metric @ kick.T
        for _ in range(n_step or schedule.n_step):
            mean, covariance = step @ mean + push, step @ covariance @ step.T + noise_covariance
    return mean[3:6], covariance[3:6, 3:6]


def assert_moments(samples: Tensor, mean: Array, covariance: Array) -> None:
    found = samples.numpy()
    error = np.sqrt(np.diag(covariance) / N_SAMPLE)
    assert (np.abs(found.mean(axis=0) - mean) <= STANDARD_ERRORS * error + STRICT).all()
    variance = np.diag(covariance)
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / N_SAMPLE)
    assert (np.abs(np.cov(found.T) - covariance) <= STANDARD_ERRORS * error + STRICT).all()


PLAIN, FALLING = Schedule(0.05, 60), Schedule(0.01, 40, (2.0, 1.0, 0.5, 0.25))
SPLIT = SplitAugmentedLangevin(PLAIN, IDENTITY, 8.0, 0.3)


@pytest.mark.parametrize(
    ("sampler", "projects"),
    [
        (Langevin(PLAIN, IDENTITY), None),
        (Langevin(FALLING, PRIOR_METRIC), None),
        (ProjectedLangevin(PLAIN, IDENTITY), None),
        (ProjectedLangevin(FALLING, PRIOR_METRIC), COVARIANCE.numpy()),
        (SPLIT, None),
        (SPLIT, COVARIANCE.numpy()),
        (SplitAugmentedLangevin(PLAIN, PRIOR_METRIC, 8.0, 0.3), COVARIANCE.numpy()),
        (SplitAugmentedLangevin(FALLING, IDENTITY, 40.0, 0.1), None),
        (SplitAugmentedLangevin(FALLING, IDENTITY, 40.0, 0.0), None),
    ],
)
def test_chains_do_what_their_equations_say(sampler: Any, projects: Array | None) -> None:
    """At steps so long and few that every term of them shows in the moments."""
    project = () if isinstance(sampler, Langevin) else (projection(projects),)
    samples = sampler.sample(PRIOR.score, *project, start(), seed=3)
    assert_moments(samples, *moments(sampler, projects))
    if project:
        assert float((samples @ ROWS.T - VALUES).abs().max()) <= STRICT


@pytest.mark.parametrize("schedule", [Schedule(0.05, 25), Schedule(0.02, 10, (1.0, 0.5))])
def test_splitting_takes_the_steps_of_its_equations(schedule: Schedule) -> None:
    """Draw by draw, at a bound, where u decides which side of it z lies on; tau rho is the same at all levels."""
    sampler = SplitAugmentedLangevin(schedule, PRIOR_METRIC, 3.0, 0.7)
    generator = torch.Generator().manual_seed(11)
    metric = COVARIANCE + 1.0e-9 * torch.eye(3, dtype=torch.float64)
    x = start()[:200]
    z, u = above(x), torch.zeros_like(x)
    for noise in schedule.noise:
        step = schedule.step * (noise / schedule.noise[-1] if noise else 1.0) ** 2
        penalty = 3.0 * schedule.step / step
        for _ in range(schedule.n_step):
            draw = PRIOR_METRIC.noise(200, generator)
            drift = PRIOR.score(x, noise) @ metric - penalty * (x - z + u)
            x = x + step * drift + math.sqrt(2.0 * step) * draw
            z = above(x + u)
            u = u + 0.7 * (x - z)
    found = sampler.sample(PRIOR.score, above, start()[:200], seed=11)
    torch.testing.assert_close(found, z, rtol=1e-12, atol=1e-12)
    assert 0.2 < float((z[:, 0] == 0.5).double().mean()) < 0.8


def test_every_sample_is_strict_after_any_number_of_steps() -> None:
    for n_step in (1, 2, 50):
        sampler = SplitAugmentedLangevin(Schedule(0.05, n_step), IDENTITY, 8.0, 0.3)
        samples = sampler.sample(PRIOR.score, projection(), 10.0 + start(), seed=1)
        assert float((samples @ ROWS.T - VALUES).abs().max()) <= STRICT


def errors(sampler: Any, projects: Array | None = None, n_step: int | None = None) -> tuple[float, float]:
    """Largest error of mean and covariance against the conditional distribution, without sampling error."""
    mean, covariance = moments(sampler, projects, n_step)
    expected = PRIOR.given(ROWS, VALUES)
    return float(np.abs(mean - expected[0].numpy()).max()), float(np.abs(covariance - expected[1].numpy()).max())


@pytest.mark.parametrize(("metric", "projects"), [(IDENTITY, None), (PRIOR_METRIC, COVARIANCE.numpy())])
def test_split_sampling_tends_to_the_conditional_distribution(metric: Metric, projects: Array | None) -> None:
    """Its mean at once, its covariance with the step, whatever the metric in which it steps and projects."""
    previous = math.inf
    for step in (0.04, 0.01, 0.0025):
        sampler = SplitAugmentedLangevin(Schedule(step, 1), metric, 0.5 / step, 0.2)
        in_mean, in_covariance = errors(sampler, projects, n_step=int(60.0 / step))
        assert in_mean <= 1.0e-6
        assert in_covariance <= 0.3 * previous
        previous = in_covariance
    assert previous <= 0.005


def test_without_the_dual_the_mean_is_off() -> None:
    sampler = SplitAugmentedLangevin(Schedule(0.01, 1), IDENTITY, 10.0, 0.0)
    assert errors(sampler, n_step=6000)[0] > 0.02
    assert errors(SplitAugmentedLangevin(Schedule(0.01, 1), IDENTITY, 10.0, 0.2), n_step=6000)[0] <= 1.0e-6


def test_steps_and_projections_in_different_metrics_are_wrong() -> None:
    """At any step: the docstring asks for one metric for a reason."""
    for step in (0.01, 0.0025):
        schedule = Schedule(step, 1)
        for sampler in (
            SplitAugmentedLangevin(schedule, IDENTITY, 0.5 / step, 0.2),
            ProjectedLangevin(schedule, IDENTITY),
        ):
            assert errors(sampler, COVARIANCE.numpy(), n_step=int(60.0 / step))[0] > 0.05


def ks(samples: Tensor) -> float:
    """Of the combination of values that plain projection gets most wrong."""
    mean, covariance = PRIOR.given(ROWS, VALUES)
    direction = torch.tensor([0.3, -0.75, 0.0], dtype=torch.float64)
    value, centre = samples @ direction, mean @ direction
    spread = (direction @ covariance @ direction).sqrt()
    return distance_of_distributions(value, torch.special.ndtr((value - centre) / spread))


def test_samples_are_of_the_conditional_distribution_where_projected_ones_are_not() -> None:
    """A free Gaussian, projected, is right in the metric of its own covariance only, which a score does not tell."""
    schedule = Schedule(0.01, 700)
    free = Langevin(schedule, IDENTITY).sample(PRIOR.score, start(), seed=5)
    assert ks(projection()(free)) > 5.0 * KS_LIMIT
    assert ks(projection(COVARIANCE.numpy())(free)) <= KS_LIMIT
    split = SplitAugmentedLangevin(schedule, IDENTITY, 60.0, 0.2).sample(PRIOR.score, projection(), start(), seed=6)
    assert ks(split) <= KS_LIMIT
    projected = ProjectedLangevin(schedule, IDENTITY).sample(PRIOR.score, projection(), start(), seed=7)
    assert ks(projected) <= KS_LIMIT


def above(x: Tensor) -> Tensor:
    """The nearest point with x₁ ≥ ½."""
    return torch.cat([x[:, :1].clamp(min=0.5), x[:, 1:]], dim=1)


def half_space(samples: Tensor) -> tuple[float, float]:
    """KS distance of x₁ from N(0, 1) above ½, and the error of the mean of x₂, which is 0.8 of that of x₁."""
    tail = 1.0 - 0.6914624612740131
    value = samples[:, 0]
    distance = distance_of_distributions(value, (torch.special.ndtr(value) - (1.0 - tail)) / tail)
    mean = math.exp(-0.125) / math.sqrt(2.0 * math.pi) / tail
    return distance, abs(float(samples[:, 1].mean()) - 0.8 * mean)


def test_at_a_bound_samples_pile_up_less_the_shorter_the_step() -> None:
    """Strict, far better than projecting in the end, and not exact: the share at the bound falls as √τ."""
    prior = Gaussian(torch.zeros(2, dtype=torch.float64), torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64))
    metric, first = Metric.identity(2), torch.ones(N_SAMPLE, 2, dtype=torch.float64)
    free = Langevin(Schedule(0.02, 200), metric).sample(prior.score, first, seed=1)
    afterwards = half_space(above(free))
    found = {}
    for step in (0.02, 0.005):
        schedule = Schedule(step, int(4.0 / step))
        split = SplitAugmentedLangevin(schedule, metric, 0.9 / step, 0.5).sample(prior.score, above, first, seed=2)
        assert bool((split[:, 0] >= 0.5).all())
        found[step] = half_space(split)
        assert found[step][0] == pytest.approx(float((split[:, 0] == 0.5).double().mean()), abs=0.02)
    assert afterwards[0] > 0.6
    assert found[0.02][0] < 0.25 * afterwards[0]
    assert 0.4 * found[0.02][0] < found[0.005][0] < 0.7 * found[0.02][0]
    assert found[0.005][1] < found[0.02][1] < 0.1 * afterwards[1]


def test_falling_noise_finds_modes_that_plain_steps_do_not() -> None:
    """Two Gaussians with their centres at x₁ = ±3; all chains start in one, and the law favours neither by much."""
    centres = torch.tensor([[-3.0, 1.0], [3.0, -1.0]], dtype=torch.float64)
    row, variance = torch.tensor([[0.3, 1.0]], dtype=torch.float64), 0.25

    def score(x: Tensor, noise: float) -> Tensor:
        apart, total = centres - x.unsqueeze(1), variance + noise**2
        weights = (-apart.square().sum(dim=-1) / (2.0 * total)).softmax(dim=1)
        return (weights.unsqueeze(-1) * apart).sum(dim=1) / total

    def project(x: Tensor) -> Tensor:
        return x - (x @ row.T) @ row / row.square().sum()

    first, metric = centres[:1].expand(N_SAMPLE, 2), Metric.identity(2)
    falling = tuple(5.0 * (0.1 / 5.0) ** (i / 14) for i in range(15))
    share = {}
    for name, schedule in (("falling", Schedule(0.004, 20, falling)), ("plain", Schedule(0.02, 300))):
        sampler = SplitAugmentedLangevin(schedule, metric, 0.5 / schedule.step, 0.1)
        samples = sampler.sample(score, project, first, seed=4)
        assert float((samples @ row.T).abs().max()) <= STRICT
        share[name] = float((samples[:, 0] > 0.0).double().mean())
    assert share["plain"] == 0.0
    assert share["falling"] == pytest.approx(0.5, abs=4.5 * 0.5 / math.sqrt(N_SAMPLE))


def test_a_seed_gives_the_same_samples() -> None:
    first, again, other = (SPLIT.sample(PRIOR.score, projection(), start(), seed=seed) for seed in (8, 8, 9))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Schedule(0.0, 5), "expected a positive step, got 0.0"),
        (lambda: Schedule(0.1, 0), "expected a positive number of steps, got 0"),
        (lambda: Schedule(0.1, 5, ()), r"expected noise that falls and stays positive, or 0 alone, got \(\)"),
        (lambda: Schedule(0.1, 5, (1.0, 1.0)), "expected noise that falls"),
        (lambda: Schedule(0.1, 5, (1.0, 0.0)), "expected noise that falls"),
        (lambda: SplitAugmentedLangevin(PLAIN, IDENTITY, -1.0, 0.1), "expected a positive penalty, got -1.0"),
        (lambda: SplitAugmentedLangevin(PLAIN, IDENTITY, 20.0, 0.1), "expected penalty times step below 1, got 1"),
        (lambda: SplitAugmentedLangevin(PLAIN, IDENTITY, 1.0, 1.5), "expected a dual step from 0 to 1, got 1.5"),
        (
            lambda: SPLIT.sample(PRIOR.score, projection(), start()[:, :2], seed=1),
            r"\(n_sample, 3\) in torch.float64, got",
        ),
        (
            lambda: SPLIT.sample(PRIOR.score, projection(), start().float(), seed=1),
            "in torch.float64, got .* torch.float32",
        ),
        (lambda: SPLIT.sample(PRIOR.score, lambda x: x[:, :2], start(), seed=1), r"projection: expected \(4000, 3\)"),
        (lambda: Langevin(Schedule(9.0, 500), IDENTITY).sample(PRIOR.score, start()[:5], seed=1), "got 5 others"),
        (lambda: Metric(torch.zeros(2).double(), torch.zeros(0, 2).double()), "expected positive variances"),
        (lambda: Metric(torch.ones(2).double(), torch.zeros(1, 3).double()), r"\(n_factor, 2\), got \(1, 3\)"),
        (lambda: Gaussian(MEAN, COVARIANCE[:2]), r"expected a covariance of shape \(3, 3\), got \(2, 3\)"),
        (lambda: Gaussian(MEAN, -COVARIANCE), "expected a symmetric, positive definite covariance"),
    ],
)
def test_bad_input_is_one_sentence(make: Any, text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        make()


def test_the_toy_measures_what_it_says_and_draws_its_picture(tmp_path: Path) -> None:
    found = {(row.constraint, row.method): row for row in toy.rows(n_sample=400, steps=(0.05,), seed=2)}
    assert len(found) == 8
    for (_, method), row in found.items():
        assert (row.violation <= STRICT) == (method != "free")
    for constraint in (toy.equality().name, toy.half_space().name):
        afterwards, split = (
            found[constraint, method].distance for method in ("projected afterwards", "split augmented")
        )
        assert split < 0.7 * afterwards
    toy.picture(tmp_path / "toy.svg", n_sample=100, step=0.1)
    assert "<svg" in (tmp_path / "toy.svg").read_text()
