"""What a difference of two means is worth: bootstrap intervals, a permutation test, and power by number of members.

All scores are resampled at once: a draw of members is a row of counts W, and the means of all scores are W x / n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .survival import LEVEL

Array = NDArray[np.float64]

N_RESAMPLE = 4000
N_PERMUTATION = 9999
N_POWER_DRAW = 400
N_POWER_RESAMPLE = 1000
ROUNDING = 1e-12
"""Of a score, relative: less is no difference."""
POWER_SIZES = (5, 10, 20, 50, 100)
TAILS = (0.5 - 0.5 * LEVEL, 0.5 + 0.5 * LEVEL)


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, of each score, (n_score), in the unit of each score.

    Attributes:
        value: of the members.
        studentised, percentile, bca: lower and upper limits of bootstrap intervals, (2, n_score).
    """

    value: Array
    studentised: Array
    percentile: Array
    bca: Array


def estimate(first: Array, second: Array | None, random: np.random.Generator) -> Estimate:
    """mean(first) − mean(second), or mean(first) alone, with three intervals.

    The studentised interval (quantiles of (θ* − θ)/σ*) keeps its coverage with few members. The percentile interval
    does not: of 5 members it is too narrow by more than √(4/5). BCa corrects it for bias and skewness, not for that.

    Args:
        first, second: (n_member, n_score), at least two members.
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 12 and 14; Davison and Hinkley 1997,
        doi:10.1017/CBO9780511802843, equation 5.23 for two samples
    """
    samples = [first] if second is None else [first, -second]
    value, error, offsets, errors = _resample(samples, N_RESAMPLE, random)
    return Estimate(
        value[0],
        _studentised(value, error, offsets, errors),
        value + np.quantile(offsets, TAILS, axis=0),
        value + _bca(offsets, samples),
    )


def _resample(samples: Sequence[Array], n: int, random: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """A sum of means and its standard error; the offsets from it of n resamplings, and their standard errors.

    Args:
        samples: (..., n_member, n_score), of as many members as they like.
    Returns:
        twice (..., 1, n_score) and twice (..., n, n_score). A score that is the same in all members has no spread at
        all, and not that of rounding.
    """
    value, squared, offsets, squares, rounding = (np.zeros(1) for _ in range(5))
    for sample in samples:
        n_member = sample.shape[-2]
        counts = random.multinomial(n_member, np.full(n_member, 1.0 / n_member), n) / n_member
        mean = sample.mean(axis=-2, keepdims=True)
        smallest = ROUNDING * np.abs(sample).max(axis=-2, keepdims=True)
        departure = np.where(np.abs(sample - mean) <= smallest, 0.0, sample - mean)
        drawn = counts @ departure
        value, rounding, offsets = value + mean, rounding + smallest, offsets + drawn
        squared = squared + (departure**2).mean(axis=-2, keepdims=True) / (n_member - 1)
        squares = squares + np.maximum(counts @ departure**2 - drawn**2, 0.0) / (n_member - 1)
    return np.where(np.abs(value) <= rounding, 0.0, value), np.sqrt(squared), offsets, np.sqrt(squares)


def _studentised(value: Array, error: Array, offsets: Array, errors: Array) -> Array:
    """θ − σ q, with q the quantiles of (θ* − θ)/σ*, (2, ..., n_score); draws of one member only are infinitely far."""
    endless = np.where(offsets == 0.0, 0.0, np.copysign(np.inf, offsets))
    ratio = np.divide(offsets, errors, out=endless, where=errors > 1e-9 * error)
    low, high = np.quantile(ratio, TAILS, axis=-2, method="inverted_cdf")
    width = error[..., 0, :]
    return np.stack([value[..., 0, :] - width * high, value[..., 0, :] - width * low])


def _bca(offsets: Array, samples: Sequence[Array]) -> Array:
    """Quantiles of the offsets, moved by their bias and skewness, (2, n_score)."""
    departures = [sample - sample.mean(axis=0) for sample in samples]
    cubes = np.sum([(d**3).sum(axis=0) / len(d) ** 3 for d in departures], axis=0)
    squares = np.sum([(d**2).sum(axis=0) / len(d) ** 2 for d in departures], axis=0)
    normal, n = NormalDist(), len(offsets)
    limits = np.zeros((2, offsets.shape[1]))
    for i in np.flatnonzero(offsets.any(axis=0)):
        below = np.sum(offsets[:, i] < 0.0) + 0.5 * np.sum(offsets[:, i] == 0.0)
        bias = normal.inv_cdf(min(max(float(below), 0.5), n - 0.5) / n)
        skewness = float(cubes[i] / (6.0 * squares[i] ** 1.5))
        moved = [bias + normal.inv_cdf(tail) for tail in TAILS]
        limits[:, i] = np.quantile(offsets[:, i], [normal.cdf(bias + z / (1.0 - skewness * z)) for z in moved])
    return limits


def permutation_p_value(first: Array, second: Array, random: np.random.Generator) -> Array:
    """Two-sided p-value of the difference of means, (n_score): how often members dealt at random differ as much.

    p = (1 + number of deals with |Δ*| ≥ |Δ|) / (1 + number of deals), never 0.

    Args:
        first, second: (n_member, n_score).
    Source: Phipson and Smyth 2010, doi:10.2202/1544-6115.1585
    """
    pooled = np.concatenate([first, second])
    rounding = ROUNDING * np.abs(pooled).max(axis=0)
    pooled = pooled - pooled.mean(axis=0)
    n = len(pooled)
    dealt = random.permuted(np.tile(np.arange(n), (N_PERMUTATION, 1)), axis=1) < len(first)
    weight = np.where(dealt, 1.0 / len(first), -1.0 / len(second))
    difference = np.abs(first.mean(axis=0) - second.mean(axis=0))
    extreme = np.abs(weight @ pooled) >= difference - rounding
    return np.asarray((1.0 + extreme.sum(axis=0)) / (1.0 + N_PERMUTATION))


def power(first: Array, second: Array, random: np.random.Generator) -> dict[int, Array]:
    """How often the studentised interval of the difference excludes zero, (n_score), by number of members.

    Members are drawn with replacement, as from a large ensemble that is like this one: drawn without, subsets nearly
    as large as the ensemble would all be the same. The difference of the ensemble counts as the
    true one, though chance made part of it: of no difference, samples as large as the ensemble find one in 18 %.

    Args:
        first, second: (n_member, n_score).
    """
    sizes = [n for n in POWER_SIZES if n <= min(len(first), len(second))]
    return {n: _power(first, second, n, random) for n in sizes}


def _power(first: Array, second: Array, n: int, random: np.random.Generator) -> Array:
    drawn = [sample[random.integers(len(sample), size=(N_POWER_DRAW, n))] for sample in (first, -second)]
    low, high = _studentised(*_resample(drawn, N_POWER_RESAMPLE, random))
    return np.asarray(((low > 0.0) | (high < 0.0)).mean(axis=0))
