"""Intervals that cover, p-values against all deals, and power that is what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from emagram.hybrid.ensembles import resampling
from emagram.hybrid.ensembles.resampling import estimate, permutation_p_value, power

FIRST = np.array([1.0, 2.0, 2.5, 3.0, 10.0, 4.0, 2.0, 7.0])[:, None]
SECOND = np.array([0.5, 1.0, 2.0, 2.0, 1.5, 6.0])[:, None]


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_intervals_of_a_difference_are_those_of_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """scipy.stats.bootstrap 1.17 with 400000 resamplings; the difference between seeds is 0.02."""
    monkeypatch.setattr(resampling, "N_RESAMPLE", 200000)
    two = estimate(FIRST, SECOND, generator())
    assert two.value[0] == pytest.approx(FIRST.mean() - SECOND.mean())
    np.testing.assert_allclose(two.percentile[:, 0], [-0.625, 4.2708], atol=0.03)
    np.testing.assert_allclose(two.bca[:, 0], [-0.5, 4.4167], atol=0.03)
    one = estimate(FIRST, None, generator())
    np.testing.assert_allclose(one.bca[:, 0], [2.375, 6.625], atol=0.03)


def test_the_studentised_interval_covers_with_five_members_and_percentiles_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1600 intervals: a share of 0.95 is known to ±0.014 (2.5 standard errors)."""
    monkeypatch.setattr(resampling, "N_RESAMPLE", 1000)
    random, covered = generator(), np.zeros(2)
    for _ in range(200):
        result = estimate(random.normal(size=(5, 8)), random.normal(size=(5, 8)), random)
        for kind, (low, high) in enumerate((result.studentised, result.percentile)):
            covered[kind] += np.sum((low <= 0.0) & (high >= 0.0))
    assert covered[0] / 1600 == pytest.approx(0.95, abs=0.014)
    assert 0.80 < covered[1] / 1600 < 0.90


def test_intervals_move_and_scale_with_the_scores() -> None:
    first, second = generator().gamma(2.0, size=(8, 3)), generator(2).normal(size=(6, 3))
    there = estimate(first, second, generator())
    scaled = estimate(100.0 + 3.0 * first, 50.0 + 3.0 * second, generator())
    for kind in ("studentised", "percentile", "bca"):
        np.testing.assert_allclose(getattr(scaled, kind), 50.0 + 3.0 * getattr(there, kind), rtol=1e-9)
    same = estimate(first, second, generator())
    np.testing.assert_array_equal(same.bca, there.bca)


def test_a_score_without_spread_has_no_interval_of_rounding() -> None:
    """A prescribed temperature: equal in all members but for the last bit of a mean."""
    first, second = np.full((7, 1), 290.1), np.full((9, 1), 290.1)
    first[3] += 1e-13
    result = estimate(first, second, generator())
    for limits in (result.studentised, result.percentile, result.bca):
        np.testing.assert_array_equal(limits, 0.0)
    assert permutation_p_value(first, second, generator())[0] == 1.0
    warmer = estimate(first + 1.0, second, generator())
    np.testing.assert_allclose(warmer.studentised, 1.0, rtol=1e-11)


def test_two_members_are_too_few_for_a_limit() -> None:
    result = estimate(np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]]), generator())
    assert np.isinf(result.studentised).any()
    assert not np.isnan(result.studentised).any()


def test_p_values_are_those_of_all_deals() -> None:
    first, second = FIRST[:5], SECOND[:5]
    pooled, n = np.concatenate([first, second])[:, 0], 10
    deals = [np.array(deal) for deal in itertools.combinations(range(n), 5)]
    differences = [abs(pooled[deal].mean() - np.delete(pooled, deal).mean()) for deal in deals]
    exact = np.mean(np.array(differences) >= abs(first.mean() - second.mean()) - 1e-12)
    p_value = permutation_p_value(first, second, generator())[0]
    assert p_value == pytest.approx(exact, abs=4.0 * np.sqrt(exact / resampling.N_PERMUTATION))
    far = permutation_p_value(FIRST, FIRST + 1000.0, generator())[0]
    assert far == pytest.approx(2.0 / 12870, abs=3e-4)  # of the deals of 8 of 16, this one and its mirror
    assert far >= 1e-4


def test_power_of_normal_members_is_what_theory_says() -> None:
    """With d = 0.6: Φ(0.6 √(n/2) − 1.96), 0.99 with 100 members and 0.50 with 21; nothing to find is found in 5 %."""
    random = generator(3)
    scores = random.normal(size=(400, 2))
    other = random.normal(size=(400, 2))
    scores, other = ((x - x.mean(axis=0)) / x.std(axis=0) for x in (scores, other))
    shares = power(scores + np.array([0.6, 0.0]), other, random)
    assert list(shares) == [5, 10, 20, 50, 100]
    for n, share in shares.items():
        assert share[1] == pytest.approx(0.05, abs=0.045)
        if n >= 20:
            expected = resampling.NormalDist().cdf(0.6 * np.sqrt(n / 2.0) - 1.96)
            assert share[0] == pytest.approx(expected, abs=0.09)
    assert shares[5][0] < 0.25
    assert list(power(scores[:12], other, random)) == [5, 10]


def test_power_takes_a_difference_of_chance_for_a_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of no difference: P(|N(0, √2)| > 1.96) = 0.17 with as many members as there are, 0.05 with a few of many."""
    monkeypatch.setattr(resampling, "N_POWER_DRAW", 100)
    monkeypatch.setattr(resampling, "N_POWER_RESAMPLE", 300)
    random = generator(4)
    shares = power(random.normal(size=(50, 300)), random.normal(size=(50, 300)), random)
    assert shares[5].mean() == pytest.approx(0.055, abs=0.02)
    assert shares[50].mean() == pytest.approx(0.175, abs=0.035)
