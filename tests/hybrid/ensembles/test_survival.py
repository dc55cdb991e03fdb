"""Survival against worked numbers: remission of leukaemia under 6-mercaptopurine and placebo.

Data: Freireich et al. 1963, doi:10.1182/blood.V21.6.699.699, and Gehan 1965, doi:10.1093/biomet/52.1-2.203. Curve and
standard errors: Klein and Moeschberger 2003, Survival Analysis, doi:10.1007/b97377, table 4.1; the band is what
`sts list` of Stata and `survfit(conf.type = "log-log")` of R print; log-rank: any of them, 16.79.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emagram.hybrid.ensembles.survival import kaplan_meier, log_rank
from emagram.physics.errors import EmagramError

WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
TREATED = (np.array(WEEKS, dtype=float), np.array(RELAPSED, dtype=bool))
UNTREATED = (np.array(PLACEBO, dtype=float), np.ones(21, dtype=bool))


def test_kaplan_meier_and_greenwood_of_the_leukaemia_data() -> None:
    curve = kaplan_meier(*TREATED)
    assert curve.day.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.deaths.tolist() == [3, 1, 1, 1, 1, 1, 1]
    close = {"rtol": 0, "atol": 5.1e-5}  # half a unit of the last printed digit
    np.testing.assert_allclose(curve.survival, [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], **close)
    errors = [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]
    np.testing.assert_allclose(curve.standard_error, errors, **close)
    np.testing.assert_allclose(curve.lower, [0.6197, 0.5631, 0.5032, 0.4316, 0.3675, 0.2678, 0.1881], **close)
    np.testing.assert_allclose(curve.upper, [0.9516, 0.9228, 0.8894, 0.8491, 0.8049, 0.7468, 0.6801], **close)
    assert (curve.n_member, curve.last_day) == (21, 35.0)


def test_log_rank_of_the_leukaemia_data() -> None:
    test = log_rank(TREATED, UNTREATED)
    assert test is not None
    assert test.chi_square == pytest.approx(16.79, abs=0.005)
    assert test.expected_deaths == pytest.approx(19.25, abs=0.005)
    assert test.p_value == pytest.approx(4.17e-5, abs=0.005e-5)
    back = log_rank(UNTREATED, TREATED)
    assert back is not None
    assert back.chi_square == pytest.approx(test.chi_square)
    assert back.expected_deaths == pytest.approx(30 - 19.25, abs=0.005)


def test_a_group_that_dies_out() -> None:
    curve = kaplan_meier(*UNTREATED)
    assert (curve.survival[-1], curve.standard_error[-1], curve.lower[-1]) == (0.0, 0.0, 0.0)
    assert curve.upper[-1] == curve.upper[-2]
    assert curve.survival[0] == pytest.approx(19 / 21)
    at_once = kaplan_meier(np.zeros(3), np.ones(3, dtype=bool))
    assert (at_once.survival.tolist(), at_once.lower.tolist(), at_once.upper.tolist()) == ([0.0], [0.0], [1.0])


def test_a_group_in_which_nobody_dies() -> None:
    """Of 100 that all lived, 0.964 of all live at least: 0.964^100 = 0.025."""
    alive = (np.full(100, 9.0), np.zeros(100, dtype=bool))
    curve = kaplan_meier(*alive)
    assert curve.day.size == 0
    assert curve.first_lower == pytest.approx(0.9638, abs=5e-5)
    assert log_rank(alive, alive) is None
    with pytest.raises(EmagramError, match="expected at least one member, got none"):
        kaplan_meier(np.zeros(0), np.zeros(0, dtype=bool))


def test_the_last_of_one_group_alone_tests_nothing() -> None:
    one = (np.array([5.0]), np.array([True]))
    assert log_rank(one, (np.array([2.0]), np.array([False]))) is None


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=30))
def test_properties_of_the_curve(members: list[tuple[int, bool]]) -> None:
    day, died = np.array([m[0] for m in members], dtype=float), np.array([m[1] for m in members])
    curve = kaplan_meier(day, died)
    assert (np.diff(np.concatenate([[1.0], curve.survival])) < 0.0).all()
    assert (curve.lower <= curve.survival).all()
    assert (curve.survival <= curve.upper).all()
    if not (~died & (day < day.max())).any():  # without early censoring it is the empirical distribution
        np.testing.assert_allclose(curve.survival, [1.0 - np.mean(died & (day <= t)) for t in curve.day], atol=1e-14)
    own = log_rank((day, died), (day, died))
    assert own is None or own.chi_square == pytest.approx(0.0, abs=1e-20)
