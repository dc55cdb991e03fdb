"""Samplers against a correlated Gaussian whose conditional distributions are known: a table, and a picture of it.

python -m emagram.emulators.sampling.toy [PICTURE]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .gaussian import Gaussian, distance_of_distributions
from .langevin import Langevin, ProjectedLangevin, Schedule, SplitAugmentedLangevin
from .metric import Metric

PRIOR = Gaussian(
    torch.tensor([0.0, 0.0], dtype=torch.float64), torch.tensor([[1.0, 0.8], [0.8, 2.0]], dtype=torch.float64)
)
TOTAL, LEAST = 1.5, 0.5
"""The equality x₁ + x₂ = 1½, and the bound x₁ ≥ ½."""


class Case(NamedTuple):
    """A constraint: its projection, the distribution of x₁ under it, and how far samples are from it."""

    name: str
    project: Callable[[Tensor], Tensor]
    cumulative: Callable[[Tensor], Tensor]
    density: Callable[[Tensor], Tensor]
    violation: Callable[[Tensor], Tensor]


def equality() -> Case:
    """x₁ + x₂ = 1½: x₁ is Gaussian."""
    row = torch.ones(1, 2, dtype=torch.float64)
    mean, covariance = PRIOR.given(row, torch.tensor([TOTAL], dtype=torch.float64))
    centre, spread = float(mean[0]), math.sqrt(float(covariance[0, 0]))
    return Case(
        "x1 + x2 = 1.5",
        lambda x: x - 0.5 * (x.sum(dim=1, keepdim=True) - TOTAL),
        lambda value: torch.special.ndtr((value - centre) / spread),
        lambda value: _density((value - centre) / spread) / spread,
        lambda x: (x.sum(dim=1) - TOTAL).abs(),
    )


def half_space() -> Case:
    """x₁ ≥ ½: x₁ is the upper tail of N(0, 1)."""
    below = float(torch.special.ndtr(torch.tensor(LEAST, dtype=torch.float64)))
    return Case(
        "x1 >= 0.5",
        lambda x: torch.stack([x[:, 0].clamp(min=LEAST), x[:, 1]], dim=1),
        lambda value: ((torch.special.ndtr(value) - below) / (1.0 - below)).clamp(min=0.0),
        lambda value: torch.where(value >= LEAST, _density(value) / (1.0 - below), 0.0),
        lambda x: (LEAST - x[:, 0]).clamp(min=0.0),
    )


def samples(case: Case, *, n_sample: int, step: float, seed: int) -> dict[str, Tensor]:
    """Of each method, (n_sample, 2): free, free and then projected, projected in every step, split."""
    metric, schedule = Metric.identity(2), Schedule(step, math.ceil(6.0 / step))
    start = torch.full((n_sample, 2), 0.75, dtype=torch.float64)
    free = Langevin(schedule, metric).sample(PRIOR.score, start, seed=seed)
    split = SplitAugmentedLangevin(schedule, metric, 0.9 / step, 0.5)
    return {
        "free": free,
        "projected afterwards": case.project(free),
        "projected Langevin": ProjectedLangevin(schedule, metric).sample(PRIOR.score, case.project, start, seed=seed),
        "split augmented": split.sample(PRIOR.score, case.project, start, seed=seed),
    }


class Row(NamedTuple):
    """Of a method: KS distance of x₁ from its known distribution, and the largest violation of the constraint."""

    constraint: str
    method: str
    step: float
    distance: float
    violation: float


def rows(n_sample: int = 20000, steps: tuple[float, ...] = (0.02, 0.005), seed: int = 1) -> list[Row]:
    """All methods under both constraints."""
    return [
        Row(
            case.name,
            method,
            step,
            distance_of_distributions(values[:, 0], case.cumulative(values[:, 0])),
            float(case.violation(values).max()),
        )
        for case in (equality(), half_space())
        for step in steps
        for method, values in samples(case, n_sample=n_sample, step=step, seed=seed).items()
    ]


def picture(path: Path, n_sample: int = 20000, step: float = 0.005, seed: int = 1) -> None:
    """Densities of x₁ under both constraints, known and sampled."""
    from matplotlib.figure import Figure  # a picture is the only thing here that needs it

    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    for axes, case in zip(figure.subplots(1, 2), (equality(), half_space()), strict=True):
        value = torch.linspace(-2.5, 3.5, 121, dtype=torch.float64)
        axes.plot(value, case.density(value), color="black", label="known")
        found = samples(case, n_sample=n_sample, step=step, seed=seed)
        for method in ("projected afterwards", "split augmented"):
            axes.hist(found[method][:, 0], bins=48, range=(-2.5, 3.5), density=True, histtype="step", label=method)
        axes.set(title=case.name, xlabel="x1", ylim=(0.0, 1.6))
        axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _density(value: Tensor) -> Tensor:
    return torch.exp(-0.5 * value.square()) / math.sqrt(2.0 * math.pi)


def main(arguments: list[str]) -> None:
    """Print the table, and draw the picture where a path is given."""
    print("| constraint | method | step | KS distance | largest violation |\n| --- | --- | --- | --- | --- |")
    for row in rows():
        print(f"| {row.constraint} | {row.method} | {row.step:g} | {row.distance:.4f} | {row.violation:.0e} |")
    if arguments:
        picture(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
