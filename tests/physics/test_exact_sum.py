"""The correctly rounded sum: against exact rational arithmetic, in any order, split in any way."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics.errors import EmagramError
from emagram.physics.exact_sum import LARGEST_BLOCK, ExactSum
from global_states import on_processes, parts_of

ANY = st.floats(allow_nan=False, allow_infinity=False)
LARGEST = float(np.finfo(np.float64).max)


def exact(values: list[float]) -> float | None:
    """The sum of whole fractions, rounded once; None where it is beyond float64."""
    try:
        return float(sum(map(Fraction, values), Fraction(0)))
    except OverflowError:
        return None


def total(values: list[float] | np.ndarray) -> float:
    return ExactSum.of(np.array(values, dtype=np.float64)).read("x")


@settings(max_examples=300, deadline=None)
@given(st.lists(ANY, max_size=40), st.randoms(use_true_random=False))
def test_it_is_rounded_once_in_any_order(values: list[float], random: object) -> None:
    values = [*values, *(-value for value in values[::2])]
    expected = exact(values)
    if expected is None:
        with pytest.raises(EmagramError, match="expected a sum that float64 holds, got a larger one"):
            total(values)
        return
    assert total(values) == expected
    random.shuffle(values)  # type: ignore[attr-defined]
    assert total(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0.0),
        ([-0.0], 0.0),
        ([1e308, 1e308, -1e308], 1e308),
        ([5e-324] * 3, 1.5e-323),
        ([2.2250738585072014e-308, -5e-324], 2.225073858507201e-308),
        ([1.0, 2.0**-53], 1.0),
        ([1.0 + 2.0**-52, 2.0**-53], 1.0 + 2.0**-51),
        ([1.0, 2.0**-53, 5e-324], 1.0 + 2.0**-52),
        ([-1.0, -(2.0**-53), -5e-324], -1.0 - 2.0**-52),
        ([LARGEST, 2.0**969], LARGEST),
    ],
)
def test_corners(values: list[float], expected: float) -> None:
    assert total(values) == expected
    assert math.copysign(1.0, total(values)) == math.copysign(1.0, expected)


def test_what_math_fsum_says_of_a_million_values_that_cancel() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=LARGEST_BLOCK) * 10.0 ** rng.integers(-20, 20, LARGEST_BLOCK)
    values = np.concatenate([half, [1e-30], -half[::-1]])
    assert total(values) == math.fsum(values) == 1e-30
    assert values.sum() != 1e-30


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_processes_have_the_same_digits_as_one(number: int) -> None:
    values = np.random.default_rng(1).normal(size=1000) * 1e9
    whole = ExactSum.of(values)
    parts = parts_of(values.size, number)
    found = on_processes(number, lambda p, reduce: ExactSum.of(values[parts[p]]).over(reduce).read("x"))
    assert found == [whole.read("x")] * number
    plain = {float(sum(np.sum(values[part]) for part in parts_of(values.size, n))) for n in range(1, 5)}
    assert len(plain) > 1  # which plain sums do not


def test_what_is_not_finite_is_counted_on_every_process() -> None:
    values = [np.array([1.0, np.nan]), np.array([2.0]), np.array([-np.inf, np.inf])]

    def read(process: int, reduce: object) -> str:
        with pytest.raises(EmagramError) as raised:
            ExactSum.of(values[process]).over(reduce).read("heat")  # type: ignore[arg-type]
        return str(raised.value)

    sentence = "global sum of heat: expected finite values, got 3 that are not"
    assert on_processes(3, read) == [sentence] * 3


def test_a_sum_beyond_float64_is_one_sentence() -> None:
    with pytest.raises(EmagramError, match=re.escape("global sum of x: expected a sum that float64 holds")):
        total([LARGEST, 2.0**970])
