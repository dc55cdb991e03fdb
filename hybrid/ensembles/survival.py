"""How many members live how long: the Kaplan–Meier curve with its band, and the log-rank test between two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ...physics.errors import EmagramError

Array = NDArray[np.float64]

LEVEL = 0.95
"""Of all intervals of an ensemble."""
QUANTILE = NormalDist().inv_cdf(0.5 + 0.5 * LEVEL)


@dataclass(frozen=True)
class SurvivalCurve:
    """The share alive after each time of death, (n_death_time).

    Attributes:
        day: [day] of death, increasing.
        at_risk, deaths: members alive just before that day, and dead on it.
        survival: [1] Ŝ = Π (1 − d/n).
        standard_error: [1] of Ŝ, Greenwood's.
        lower, upper: [1] band at each time with a coverage of LEVEL.
        n_member: in all.
        first_lower: [1] lower limit before the first death, or of all days where nobody died.
        last_day: [day] until which members were watched.
    """

    day: Array
    at_risk: NDArray[np.int64]
    deaths: NDArray[np.int64]
    survival: Array
    standard_error: Array
    lower: Array
    upper: Array
    n_member: int
    first_lower: float
    last_day: float


def kaplan_meier(day: Array, died: NDArray[np.bool_]) -> SurvivalCurve:
    """Ŝ(t) = Π_{tᵢ ≤ t} (1 − dᵢ/nᵢ) with a band Ŝ^exp(± z √V), V = Σ dᵢ / (nᵢ (nᵢ − dᵢ)) / (ln Ŝ)².

    Members that lived are censored on their last day; one that is censored on a day of death was at risk on it. Where
    Ŝ is 0 the formula has no value: the band is then from 0 to its upper limit before. Where nobody has died, nor has
    it: the lower limit is then the exact binomial one, (½ − ½ LEVEL)^(1/n).

    Args:
        day: [day] (n_member,), of death or of the last look; died: (n_member,).
    Raises:
        EmagramError: if there is no member.
    Source: Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452; Greenwood 1926; the log–log band: Kalbfleisch
        and Prentice 2002, doi:10.1002/9781118032985, section 1.4
    """
    if not day.size:
        raise EmagramError("survival: expected at least one member, got none")
    times = np.unique(day[died])
    at_risk = np.array([np.sum(day >= time) for time in times], dtype=np.int64)
    deaths = np.array([np.sum((day == time) & died) for time in times], dtype=np.int64)
    survival = np.cumprod(1.0 - deaths / at_risk, dtype=np.float64)
    survival[at_risk == deaths] = 0.0
    alive = survival > 0.0
    terms = np.divide(deaths, at_risk * (at_risk - deaths), out=np.zeros_like(survival), where=alive)
    variance = np.cumsum(terms, dtype=np.float64)
    spread = QUANTILE * np.sqrt(variance[alive]) / -np.log(survival[alive])
    lower, upper = np.zeros_like(survival), np.ones_like(survival)
    lower[alive] = survival[alive] ** np.exp(spread)
    upper[alive] = survival[alive] ** np.exp(-spread)
    if survival.size > 1 and not alive[-1]:
        upper[-1] = upper[-2]
    first_lower = (0.5 - 0.5 * LEVEL) ** (1.0 / day.size)
    error = np.asarray(survival * np.sqrt(variance), dtype=np.float64)
    return SurvivalCurve(
        times, at_risk, deaths, survival, error, lower, upper, int(day.size), first_lower, float(day.max())
    )


@dataclass(frozen=True)
class LogRank:
    """χ² of one degree of freedom, its p-value, and the deaths expected in the first group were both one."""

    chi_square: float
    p_value: float
    expected_deaths: float


def log_rank(first: tuple[Array, NDArray[np.bool_]], second: tuple[Array, NDArray[np.bool_]]) -> LogRank | None:
    """Mantel's test that two groups die alike, χ² = (Σ (d₁ − d n₁/n))² / Σ d n₁ n₂ (n − d) / (n² (n − 1)).

    Args:
        first, second: days [day] and deaths of the members, as in `kaplan_meier`.
    Returns:
        None where the test says nothing: nobody died while both groups had members.
    Source: Mantel 1966, Cancer Chemotherapy Reports 50, 163–170
    """
    expected = variance = difference = 0.0
    for time in np.unique(np.concatenate([first[0][first[1]], second[0][second[1]]])):
        n1, n2 = (float(np.sum(day >= time)) for day, _ in (first, second))
        d1, d2 = (float(np.sum((day == time) & died)) for day, died in (first, second))
        n, d = n1 + n2, d1 + d2
        expected += d * n1 / n
        difference += d1 - d * n1 / n
        if n > 1.0:
            variance += d * n1 * n2 * (n - d) / (n * n * (n - 1.0))
    if variance == 0.0:
        return None
    chi_square = difference * difference / variance
    return LogRank(chi_square, math.erfc(math.sqrt(0.5 * chi_square)), expected)
