"""Water is borrowed as a plain loop over layers borrows it, nothing else is touched, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from constrained_columns import CONSTANTS, KINDS, POSITIVITY, RATES, TIME_STEP, WATERS, after, columns, mass
from emagram.physics.constraints.columns import not_below_zero
from emagram.physics.constraints.positivity import settle

Array = NDArray[np.float64]
ROUNDING = 1.0e-15  # of the water of a column: sums over some tens of layers


def borrow(amount: Array) -> tuple[Array, float]:
    """The definition, a layer at a time: from below, then from above."""
    left, debt = amount.copy(), 0.0
    for sweep in (range(len(left)), range(len(left) - 1, -1, -1)):
        for level in sweep:
            balance = left[level] - debt
            left[level], debt = max(balance, 0.0), max(-balance, 0.0)
    return left, debt


def settled(amounts: list[Array]) -> list[Array]:
    """The definition for vapour and clouds."""
    vapor, *clouds = amounts
    paid = []
    for cloud in clouds:
        left, debt = borrow(cloud)
        positive = np.maximum(vapor, 0.0)
        vapor = vapor - positive * (debt / positive.sum() if positive.sum() > debt else 1.0) * (debt > 0.0)
        paid.append(left)
    return [borrow(vapor)[0], *paid]


def amounts(fields: dict[str, Tensor]) -> Tensor:
    """[kg m-2] (3, n_column, n_level) after the step."""
    return torch.stack([mass(fields) * after(fields, water) for water in WATERS])


@given(st.integers(0, 2**31), st.integers(1, 30), st.sampled_from(KINDS))
@settings(deadline=None)
def test_layers_borrow_as_defined(seed: int, n_level: int, kind: str) -> None:
    fields = columns(seed, 4, n_level, kind)
    before, closed = amounts(fields), amounts(POSITIVITY.apply(fields))
    for column in range(4):
        expected = settled(list(before[:, column].numpy()))
        scale = float(before[:, column].abs().sum()) + 1.0e-30
        for water in range(3):
            difference = np.abs(closed[water, column].numpy() - expected[water]).max()
            assert difference <= 1.0e-12 * scale, (kind, water)


@given(st.integers(0, 2**31), st.sampled_from(KINDS))
@settings(deadline=None)
def test_water_is_kept_as_far_as_there_is_any(seed: int, kind: str) -> None:
    fields = columns(seed, 20, 25, kind)
    before, closed = amounts(fields), amounts(POSITIVITY.apply(fields))
    total, scale = before.sum(dim=(0, 2)), before.abs().sum(dim=(0, 2))
    # vapour pays for clouds, not clouds for vapour
    able = (before[0].sum(dim=1) + before[1:].sum(dim=2).clamp(max=0.0).sum(dim=0) > 0.0) & (
        before[0].clamp(min=0.0).sum(dim=1) >= -before[1:].sum(dim=2).clamp(max=0.0).sum(dim=0)
    )
    kept = closed.sum(dim=(0, 2))
    assert bool(((kept - total).abs() <= ROUNDING * scale)[able].all())
    assert bool((kept >= total - ROUNDING * scale).all())
    assert kind != "ordinary" or bool(able.any())


def test_layers_that_neither_lack_nor_lend_keep_every_bit() -> None:
    """One layer lacks a little: it and the layer below change, no other, whatever the dtype."""
    fields = columns(2, 3, 10)
    fields |= {rate: fields[rate] * 1.0e-6 for rate in RATES}
    fields["qv"] = fields["qv"] + 1.0e-4
    fields["dqv"][1, 4] = -1.01 * fields["qv"][1, 4] / TIME_STEP
    for one in (fields, fields | {rate: fields[rate].float() for rate in RATES}):
        clear = one | {f"dq{water}": torch.zeros_like(one[f"dq{water}"]) for water in ("l", "i")}
        changed = POSITIVITY.apply(clear)["dqv"] != clear["dqv"]
        assert changed.nonzero().tolist() == [[1, 4], [1, 5]]


def test_columns_without_debt_are_not_copied() -> None:
    fields = columns(3)
    fields |= {f"dq{water}": torch.full_like(fields["qv"], 1.0e-9) for water in WATERS}
    assert all(POSITIVITY.apply(fields)[name] is value for name, value in fields.items())


@pytest.mark.parametrize(
    ("amount", "expected", "debt"),
    [
        ([-1.0, 3.0, 5.0], [0.0, 2.0, 5.0], 0.0),
        ([3.0, 5.0, -1.0], [3.0, 4.0, 0.0], 0.0),
        ([5.0, -2.0, 1.0], [4.0, 0.0, 0.0], 0.0),
        ([-1.0, -2.0, 1.0], [0.0, 0.0, 0.0], 2.0),
        ([1.0, -1.0, 0.0], [0.0, 0.0, 0.0], 0.0),
        ([4.0, -1.0, 0.5, -3.0, 2.0], [2.5, 0.0, 0.0, 0.0, 0.0], 0.0),
    ],
)
def test_debts_by_hand(amount: list[float], expected: list[float], debt: float) -> None:
    left, owed = settle(torch.tensor([amount, [1.0] * len(amount)], dtype=torch.float64))
    assert left.tolist() == [expected, [1.0] * len(amount)]
    assert owed.tolist() == [debt, 0.0]


def test_clouds_are_paid_for_by_vapor_in_proportion() -> None:
    """One column by hand: ice lacks 2 in all, vapour has 1 + 3: it gives 0.5 and 1.5."""
    fields = {"p": torch.tensor([[0.0, 1.0, 2.0]], dtype=torch.float64) * CONSTANTS.gravity}
    fields |= {f"q{water}": torch.zeros(1, 2, dtype=torch.float64) for water in WATERS}
    fields |= {f"dq{water}": torch.zeros(1, 2, dtype=torch.float64) for water in WATERS}
    fields["qv"], fields["dqi"] = fields["qv"] + torch.tensor([1.0, 3.0]), fields["dqi"] - 1.0 / TIME_STEP
    closed = POSITIVITY.apply(fields)
    torch.testing.assert_close(after(closed, "v"), torch.tensor([[0.5, 1.5]], dtype=torch.float64))
    assert not after(closed, "i").any()
    assert float(POSITIVITY.residuals(fields)["positivity"]) == pytest.approx(2.0 / TIME_STEP)


@given(st.floats(0.0, 0.1), st.floats(1.0, 7200.0), st.floats(-1.0, 1.0))
def test_no_step_ends_below_zero_by_rounding(state: float, time_step: float, noise: float) -> None:
    x = torch.tensor([state], dtype=torch.float64)
    rate = -x / time_step * (1.0 + noise * torch.finfo(torch.float64).eps)
    rate = torch.maximum(rate, -x / time_step)
    kept = not_below_zero(x, rate, time_step)
    assert float(x + time_step * kept) >= 0.0
    assert float((kept - rate).abs()) <= 4.5e-16 * float(rate.abs()) + 1e-300
