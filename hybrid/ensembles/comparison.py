"""What an ensemble says: survival and scores of each configuration, and how it differs from the first one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .outcome import Outcome
from .resampling import Estimate, estimate, permutation_p_value, power
from .scores import SCORES
from .survival import SurvivalCurve, kaplan_meier, log_rank

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """The members of a configuration.

    Attributes:
        seeds: of all members.
        outcomes: (n_member).
        scores: (n_member, n_score), in the order of SCORES, NaN of members that did not survive.
    """

    name: str
    seeds: tuple[int, ...]
    outcomes: tuple[Outcome, ...]
    scores: Array

    @property
    def survived(self) -> NDArray[np.bool_]:
        """(n_member,)."""
        return np.array([outcome.survived for outcome in self.outcomes])

    @property
    def day(self) -> Array:
        """[day] (n_member,) of death or of the end."""
        return np.array([outcome.day for outcome in self.outcomes])

    @property
    def alive(self) -> Array:
        """Scores of the survivors, (n_survivor, n_score)."""
        return self.scores[self.survived]

    def curve(self) -> SurvivalCurve:
        """Of its members."""
        return kaplan_meier(self.day, ~self.survived)


def describe(group: Group, seed: int) -> dict[str, Any]:
    """Survival and scores of a configuration, as `ensemble.json` has them."""
    curve = group.curve()
    columns = ("day", "at_risk", "deaths", "survival", "standard_error", "lower", "upper")
    points = zip(*(getattr(curve, name).tolist() for name in columns), strict=True)
    return {
        "name": group.name,
        "members": len(group.seeds),
        "deaths": int((~group.survived).sum()),
        "survival": [dict(zip(columns, point, strict=True)) for point in points],
        "survival_lower_before_first_death": curve.first_lower,
        "scores": _describe_scores(group.alive, seed),
    }


def _describe_scores(scores: Array, seed: int) -> dict[str, Any] | None:
    if len(scores) < 2:
        return None
    means = _by_score(estimate(scores, None, np.random.default_rng(seed)), "mean")
    for name, deviation in zip(SCORES, scores.std(axis=0, ddof=1), strict=True):
        means[name]["standard_deviation"] = float(deviation)
    return means


def compare(group: Group, reference: Group, seed: int) -> dict[str, Any]:
    """How a configuration differs from the reference; None where there is nothing to test.

    `independent` takes the members as those of two separate ensembles. `paired`, of members with a common seed and so
    the same weather, takes the difference in each pair, which is far less noisy where the weather makes the spread.
    """
    random = np.random.default_rng(seed)
    test = log_rank((group.day, ~group.survived), (reference.day, ~reference.survived))
    result: dict[str, Any] = {"configuration": group.name, "reference": reference.name}
    result["log_rank"] = None if test is None else {"chi_square": test.chi_square, "p_value": test.p_value}
    first, second = group.alive, reference.alive
    enough = min(len(first), len(second)) > 1
    result["independent"] = _independent(first, second, random) if enough else None
    pairs = _pairs(group, reference)
    result["paired"] = _by_score(estimate(pairs, None, random), "difference") if len(pairs) > 1 else None
    result["pairs"] = len(pairs)
    powers = power(first, second, random) if enough else {}
    result["power"] = {str(n): dict(zip(SCORES, share.tolist(), strict=True)) for n, share in powers.items()}
    return result


def _independent(first: Array, second: Array, random: np.random.Generator) -> dict[str, Any]:
    result = _by_score(estimate(first, second, random), "difference")
    for name, p_value in zip(SCORES, permutation_p_value(first, second, random).tolist(), strict=True):
        result[name]["p_value"] = p_value
    return result


def _pairs(group: Group, reference: Group) -> Array:
    """Differences of scores of members with a common seed that both survived, (n_pair, n_score)."""
    alive = [dict(zip(g.seeds, g.scores, strict=True)) for g in (group, reference)]
    differences = [alive[0][seed] - alive[1][seed] for seed in group.seeds if seed in alive[1]]
    both = [difference for difference in differences if np.isfinite(difference).all()]
    return np.array(both).reshape(-1, len(SCORES))


def _by_score(result: Estimate, what: str) -> dict[str, dict[str, Any]]:
    """Value and intervals under the names of the scores; a limit that is infinite, of very few members, is None."""
    by_score: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(SCORES):
        by_score[name] = {what: float(result.value[i])}
        for kind in ("studentised", "percentile", "bca"):
            limits = getattr(result, kind)[:, i].tolist()
            by_score[name][f"interval_{kind}"] = [limit if math.isfinite(limit) else None for limit in limits]
    return by_score
