"""Distributions of precipitation against samples small enough to count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emagram.hybrid.judging.precipitation import EDGES, compare_precipitation, distribution, wasserstein
from emagram.hybrid.judging.runs import read_run
from judged_runs import GRID, Fields, made_up_run

AREA = GRID.area / GRID.area.sum()
SAMPLE = arrays(np.float64, 7, elements=st.floats(0.0, 300.0))


@given(SAMPLE, SAMPLE)
def test_distance_of_equal_weights_is_that_of_sorted_values(first: np.ndarray, second: np.ndarray) -> None:
    expected = np.abs(np.sort(first) - np.sort(second)).mean()
    np.testing.assert_allclose(wasserstein(first, second, np.full(7, 1.0 / 7.0)), expected, rtol=1e-9, atol=1e-9)


def test_distance_of_unequal_weights_by_hand() -> None:
    """A quarter of the rain is moved from 0 to 8, the rest stays."""
    assert wasserstein(np.array([0.0, 2.0]), np.array([8.0, 2.0]), np.array([0.25, 0.75])) == 2.0


def test_dry_days_percentiles_and_bins_are_weighted() -> None:
    amounts = np.array([0.0, 20.0, 0.05, 5.0, -0.2])
    weight = np.array([0.3, 0.1, 0.2, 0.35, 0.05])
    found = distribution(amounts, weight)
    np.testing.assert_allclose(found.dry_fraction, 0.55)
    np.testing.assert_allclose(found.negative_fraction, 0.05)
    np.testing.assert_allclose(found.mean_mm_day, 2.0 + 0.01 + 1.75 - 0.01)
    assert found.percentiles_mm_day == {"50": 0.05, "75": 5.0, "90": 5.0, "95": 20.0, "99": 20.0, "99.9": 20.0}
    np.testing.assert_allclose(found.histogram.sum() + found.dry_fraction, 1.0)
    filled = np.flatnonzero(found.histogram)
    np.testing.assert_allclose(found.histogram[filled], [0.35, 0.1])
    for place, amount in zip(filled, (5.0, 20.0), strict=True):
        assert EDGES[place] <= amount < EDGES[place + 1]


def test_all_dry_and_beyond_the_last_bin() -> None:
    weight = np.full(2, 0.5)
    assert distribution(np.zeros(2), weight).histogram.sum() == 0.0
    assert distribution(np.array([1e4, 0.1]), weight).histogram[[0, -1]].tolist() == [0.5, 0.5]


def test_runs_are_compared_over_their_days(tmp_path: Path) -> None:
    def edit(fields: Fields) -> None:
        fields["precipitation_flux"][0] += 1.0  # not compared
        fields["precipitation_flux"][1:, 2] += 10.0 / 86400.0

    control = read_run(made_up_run(tmp_path / "control"))
    found = compare_precipitation(read_run(made_up_run(tmp_path / "run", edit)), control, slice(1, 4))
    np.testing.assert_allclose(found.distance_mm_day, 10.0 * AREA[2], rtol=1e-6)
    np.testing.assert_allclose(found.run.mean_mm_day - found.against.mean_mm_day, 10.0 * AREA[2], rtol=1e-9)
    assert found.against.largest_mm_day < 10.0 < found.run.largest_mm_day
