"""Profiles sampled from a known Gaussian, their water closed: strict to rounding, and of the right conditional."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from emagram.emulators.sampling import ColumnProjection, Gaussian, Langevin, Schedule, SplitAugmentedLangevin
from emagram.physics.constants import Constants
from emagram.physics.constraints import Bounds, Law, LinearLaws, Minimum, Term
from emagram.physics.errors import EmagramError

CONSTANTS = Constants()
N_LEVEL, N_SAMPLE = 6, 2500
STRICT = 1.0e-19  # kg m-2 s-1: the terms are 1e-5 and less
STANDARD_ERRORS = 4.5
PRESSURE = torch.linspace(1.0e4, 1.0e5, N_LEVEL + 1, dtype=torch.float64).unsqueeze(0)
MASS = PRESSURE.diff(dim=1)[0] / CONSTANTS.gravity
SPREAD = torch.linspace(0.2, 1.0, N_LEVEL, dtype=torch.float64) * 2.0e-8  # kg kg-1 s-1
RAIN_SPREAD = 2.0e-8  # m s-1
WATER = Law("water", "kg m-2 s-1", (Term("dq", 1.0, per_mass=True), Term("rain", 1.0e3)))
LAWS = LinearLaws("water", (WATER,), {"dq": tuple(SPREAD.square().tolist()), "rain": RAIN_SPREAD**2}, "p", CONSTANTS)
FIELDS = {"p": PRESSURE, "dq": torch.zeros(1, N_LEVEL), "rain": torch.zeros(1)}
OUTPUTS = ("dq", "rain")
ROW = torch.cat([MASS, torch.tensor([1.0e3], dtype=torch.float64)]).unsqueeze(0)


def prior() -> Gaussian:
    """Vapour whose errors hang together over three layers, and rain that falls where it dries below."""
    level = torch.arange(N_LEVEL, dtype=torch.float64)
    correlation = torch.zeros(N_LEVEL + 1, N_LEVEL + 1, dtype=torch.float64)
    correlation[:-1, :-1] = torch.exp(-(level.unsqueeze(1) - level).abs() / 3.0)
    correlation[-1, :-1] = correlation[:-1, -1] = -0.5 * torch.exp(-(N_LEVEL - 1 - level) / 3.0)
    correlation[-1, -1] = 1.0
    scale = torch.cat([SPREAD, torch.tensor([RAIN_SPREAD], dtype=torch.float64)])
    mean = torch.cat([1.0e-8 * torch.sin(level), torch.tensor([3.0e-8], dtype=torch.float64)])
    return Gaussian(mean, correlation * scale * scale.unsqueeze(1))


def start() -> Tensor:
    return prior().mean.expand(N_SAMPLE, -1).clone()


def scaled_errors(samples: Tensor) -> tuple[float, float]:
    """Of mean and covariance against the known conditional, in units of the conditional's spread."""
    mean, covariance = prior().given(ROW, torch.zeros(1, dtype=torch.float64))
    scale = covariance.diagonal().sqrt()
    in_mean = ((samples.mean(dim=0) - mean) / scale).abs().max()
    in_covariance = ((samples.T.cov() - covariance) / (scale * scale.unsqueeze(1))).abs().max()
    return float(in_mean), float(in_covariance)


def test_columns_are_strict_and_of_the_conditional_distribution() -> None:
    projection = ColumnProjection([LAWS], FIELDS, OUTPUTS)
    metric, schedule = projection.metric(LAWS), Schedule(0.02, 300)
    free = Langevin(schedule, metric).sample(prior().score, start(), seed=1)
    sampler = SplitAugmentedLangevin(schedule, metric, 40.0, 0.2)
    strict = sampler.sample(prior().score, projection, start(), seed=2)
    residual = LAWS.residuals(projection.fields(strict))["water"]
    assert float(residual.abs().max()) <= STRICT
    assert float(LAWS.residuals(projection.fields(free))["water"].abs().mean()) > 1.0e-6
    sampling_error = STANDARD_ERRORS / math.sqrt(N_SAMPLE)
    found, afterwards = scaled_errors(strict), scaled_errors(projection(free))
    assert found[0] <= sampling_error
    assert found[1] <= math.sqrt(2.0) * sampling_error + 0.03  # of steps that are not infinitely short
    assert afterwards[0] > 3.0 * sampling_error
    assert afterwards[1] > 0.3


def test_laws_that_know_the_whole_covariance_need_no_sampler() -> None:
    """Σ = C as a sum of the eigenvectors of C: a projected Gaussian is then the conditional one."""
    values, vectors = torch.linalg.eigh(prior().covariance / RAIN_SPREAD**2)
    floor = 1.0e-9 * RAIN_SPREAD**2
    columns = [RAIN_SPREAD * value.sqrt() * vector for value, vector in zip(values, vectors.T, strict=True)]
    covariance = tuple({"dq": tuple(column[:-1].tolist()), "rain": float(column[-1])} for column in columns)
    laws = replace(LAWS, variance={"dq": floor, "rain": floor}, covariance=covariance)
    projection = ColumnProjection([laws], FIELDS, OUTPUTS)
    generator = torch.Generator().manual_seed(3)
    draws = prior().mean + projection.metric(laws).noise(N_SAMPLE, generator)
    found = scaled_errors(projection(draws))
    sampling_error = STANDARD_ERRORS / math.sqrt(N_SAMPLE)
    assert found[0] <= sampling_error
    assert found[1] <= math.sqrt(2.0) * sampling_error


def test_any_constraints_serve_and_inputs_come_along() -> None:
    sequence = [Bounds("rain", (Minimum("rain", 0.0),)), replace(LAWS, variance={"dq": 1.0e-16})]
    projection = ColumnProjection(sequence, FIELDS, OUTPUTS)
    schedule = Schedule(0.01, 30)
    metric = ColumnProjection([LAWS], FIELDS, OUTPUTS).metric(LAWS)
    sampler = SplitAugmentedLangevin(schedule, metric, 50.0, 0.2)
    samples = projection.fields(sampler.sample(prior().score, projection, start(), seed=4))
    assert samples["p"].shape == (N_SAMPLE, N_LEVEL + 1)
    assert bool((samples["rain"] >= 0.0).all())
    assert bool((samples["rain"] == 0.0).any())
    assert float(LAWS.residuals(samples)["water"].abs().max()) <= STRICT


@pytest.mark.parametrize(
    ("constraints", "fields", "outputs", "text"),
    [
        ([LAWS], FIELDS, ("dq",), "constraint 'water': expected 'rain' among what is sampled"),
        ([LAWS], {"p": PRESSURE, "dq": FIELDS["dq"]}, OUTPUTS, r"projection: expected field 'rain', got \['dq', 'p'\]"),
        (
            [LAWS],
            FIELDS | {"rain": torch.zeros(2)},
            OUTPUTS,
            r"field 'rain': expected that of one column, got .*\(2,\)",
        ),
    ],
)
def test_bad_input_is_one_sentence(constraints: Any, fields: Any, outputs: Any, text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        ColumnProjection(constraints, fields, outputs)


def test_what_has_no_variance_has_no_metric() -> None:
    laws = replace(LAWS, variance={"dq": 1.0e-16})
    with pytest.raises(EmagramError, match="metric: expected positive variances"):
        ColumnProjection([laws], FIELDS, OUTPUTS).metric(laws)
