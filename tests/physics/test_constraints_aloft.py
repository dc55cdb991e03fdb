"""Positivity and the projection leave the water of upper layers alone, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from constrained_columns import (
    CONSTANTS,
    ENERGY_CLOSED,
    KINDS,
    POSITIVITY,
    RATES,
    STILL_ALOFT,
    TIME_STEP,
    UPPER,
    WATER_AND_ENERGY,
    WATER_CLOSED,
    WATERS,
    after,
    aloft,
    apply_all,
    columns,
    mass,
)

BORROWING, CLOSING = STILL_ALOFT[-2:]


def bits(values: Tensor) -> Tensor:
    return values.contiguous().view(torch.int64)


@given(st.integers(0, 2**31), st.integers(2, 40), st.sampled_from([k for k in KINDS if k != "negative water"]))
@settings(deadline=None)
def test_no_water_moves_aloft_in_the_whole_sequence(seed: int, n_level: int, kind: str) -> None:
    closed = apply_all(columns(seed, 6, n_level, kind), STILL_ALOFT)
    for rate in RATES:
        assert not closed[rate][aloft(closed)].any()
    assert not UPPER.residuals(closed)["upper_water"].any()


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_pressure_it_would_move(kind: str) -> None:
    """Else the test above would pass with constraints that have nothing to do there."""
    fields = columns(1, 50, 30, kind)
    assert int(aloft(fields).sum()) > 50
    closed = apply_all(fields)
    assert bool(UPPER.residuals(closed)["upper_water"].any()) == (kind != "no water")


@given(st.integers(0, 2**31), st.sampled_from(KINDS), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_the_projection_keeps_the_bits_of_rates_aloft(seed: int, kind: str, wet: float) -> None:
    """Whatever they are, and however much water is there: most of the column's, for the step against rounding."""
    fields = columns(seed, 6, 20, kind)
    upper = aloft(fields)
    fields["qv"] = torch.where(upper, 1.0e3 * wet, fields["qv"])
    fields["dql"] = torch.where(upper & (fields["dql"] < 0.0), -0.0, fields["dql"])
    closed = CLOSING.apply(fields)
    for rate in RATES:
        assert torch.equal(bits(closed[rate][upper]), bits(fields[rate][upper]))
    assert bool((closed["dT"] != fields["dT"]).any())


def test_temperature_changes_alike_everywhere() -> None:
    fields = apply_all(columns(4, 30, 25), STILL_ALOFT[:-1])
    change = CLOSING.apply(fields)["dT"] - fields["dT"]
    assert float((change - change.mean(dim=1, keepdim=True)).abs().max()) <= 1e-12 * float(change.abs().max())
    assert bool(aloft(fields).any())


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rain_closes_where_all_water_lies_aloft(sign: float) -> None:
    """Water that upper layers gain (or lose) is rain less (or more), and temperature closes the energy."""
    fields = apply_all(columns(5, 20, 12, "no water"), STILL_ALOFT[:-1])
    fields["p"] = torch.linspace(200.0, 1.0e5, 13, dtype=torch.float64).expand(20, 13)
    upper = aloft(fields)
    fields |= {rate: torch.zeros_like(fields[rate]) for rate in RATES}
    fields["ql"] = torch.where(upper, 1.0e-2, 0.0)
    fields["dql"] = torch.where(upper, sign * 1.0e-9, 0.0)
    fields["dqv"] = torch.where(upper, -0.0, 0.0)  # whose sign nothing changes either
    fields["rain"] = torch.full_like(fields["rain"], 1.0e-9)
    closed = CLOSING.apply(fields)
    moved = (mass(fields) * fields["dql"]).sum(dim=1)
    expected = -moved / CONSTANTS.density_liquid_water
    assert bool(upper.any(dim=1).all())
    torch.testing.assert_close(closed["rain"], expected.clamp(min=0.0), rtol=1e-12, atol=1e-24)
    assert all(torch.equal(bits(closed[rate]), bits(fields[rate])) for rate in RATES)
    residual = CLOSING.residuals(closed)
    if sign < 0.0:
        assert float(residual["column_water"].abs().max()) <= WATER_CLOSED
    else:
        torch.testing.assert_close(residual["column_water"], moved)  # no rain is left to give
    assert float(residual["column_energy"].abs().max()) <= ENERGY_CLOSED


def borrowed(amount: np.ndarray, n_upper: int) -> tuple[np.ndarray, float]:
    """The definition, a layer at a time: from below, then from above, of which the upper ones lend nothing."""
    left, debt = amount.copy(), 0.0
    for sweep in (range(len(left)), range(len(left) - 1, -1, -1)):
        for level in sweep:
            if level < n_upper:
                left[level], debt = max(left[level], 0.0), debt + max(-left[level], 0.0)
            else:
                balance = left[level] - debt
                left[level], debt = max(balance, 0.0), max(-balance, 0.0)
    return left, debt


@given(st.integers(0, 2**31), st.integers(2, 30), st.sampled_from(KINDS))
@settings(deadline=None)
def test_layers_borrow_as_defined(seed: int, n_level: int, kind: str) -> None:
    fields = columns(seed, 4, n_level, kind)
    before = torch.stack([mass(fields) * after(fields, water) for water in WATERS]).numpy()
    changed = BORROWING.apply(fields)
    closed = torch.stack([mass(fields) * after(changed, water) for water in WATERS]).numpy()
    for column, n_upper in enumerate(aloft(fields).sum(dim=1).tolist()):
        vapor, *clouds = (before[water, column] for water in range(3))
        paid = [borrowed(cloud, n_upper) for cloud in clouds]
        debt, held = sum(owed for _, owed in paid), np.maximum(vapor, 0.0)
        held[:n_upper] = 0.0
        vapor = vapor - held * ((debt / held.sum() if held.sum() > debt else 1.0) if debt > 0.0 else 0.0)
        expected = [borrowed(vapor, n_upper)[0], *(left for left, _ in paid)]
        scale = float(np.abs(before[:, column]).sum()) + 1.0e-30
        for water in range(3):
            assert np.abs(closed[water, column] - expected[water]).max() <= 1.0e-12 * scale, (kind, water)


def test_upper_layers_lend_nothing_but_borrow() -> None:
    """By hand: 1 kg m-2 each; the first layer holds much and is upper, the second lacks and is too, the last pays."""
    fields = {"p": torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]], dtype=torch.float64) * CONSTANTS.gravity}
    fields |= {f"q{water}": torch.zeros(1, 4, dtype=torch.float64) for water in WATERS}
    fields |= {f"dq{water}": torch.zeros(1, 4, dtype=torch.float64) for water in WATERS}
    fields["qv"] = torch.tensor([[9.0, -1.0, 2.0, 3.0]], dtype=torch.float64)
    fields["dqi"] = torch.tensor([[0.0, 0.0, 0.0, -2.0]], dtype=torch.float64) / TIME_STEP
    law = replace(POSITIVITY, top_pressure=2.0 * CONSTANTS.gravity)
    vapor = after(law.apply(fields), "v")
    torch.testing.assert_close(vapor, torch.tensor([[9.0, 0.0, 0.2, 1.8]], dtype=torch.float64))
    assert law.apply(fields)["dqv"][0, 0] == 0.0
    poor = {**fields, "qv": torch.tensor([[9.0, 0.0, 0.0, 1.0]], dtype=torch.float64)}
    torch.testing.assert_close(after(law.apply(poor), "v"), torch.tensor([[9.0, 0.0, 0.0, 0.0]], dtype=torch.float64))


def test_a_column_without_lower_layers_has_no_upper_ones() -> None:
    fields = columns(6, 20, 12)
    for law, plain in ((BORROWING, POSITIVITY), (CLOSING, WATER_AND_ENERGY)):
        above = replace(law, top_pressure=1.0e6)
        assert all(torch.equal(value, plain.apply(fields)[name]) for name, value in above.apply(fields).items())
