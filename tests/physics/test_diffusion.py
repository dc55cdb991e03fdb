"""The diffusion solver: conservation, no new extrema, order of convergence, limits, a dense solve beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.diffusion import diffusion
from turbulent_columns import CONSTANTS, Array, exact_sum, interfaces

seeds = st.integers(0, 2**32 - 1)
time_steps = st.floats(300.0, 1.0e6)  # shorter ones make fluxes whose rounding alone is 1e-15 kg m-2 s-1


def random_case(seed: int, n_level: int, n_column: int = 10) -> tuple[Array, Array, Array]:
    """Interface pressure, an exchange over 20 decades, and a quantity with zeros."""
    rng = np.random.default_rng(seed)
    pressure = interfaces(rng.uniform(5.5e4, 1.05e5, n_column), n_level)
    exchange = 10.0 ** rng.uniform(-12.0, 8.0, pressure.shape) * (rng.uniform(size=pressure.shape) < 0.9)
    shape = (n_column, n_level)
    return pressure, exchange, rng.uniform(0.0, 0.03, shape) * (rng.uniform(size=shape) < 0.5)


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 80), time_steps)
def test_diffusion_conserves_and_makes_no_extremum(seed: int, n_level: int, time_step: float) -> None:
    pressure, exchange, quantity = random_case(seed, n_level)
    got = diffusion(pressure, exchange, quantity, time_step=time_step)
    mass = np.diff(pressure, axis=1) / CONSTANTS.gravity
    assert np.abs(exact_sum(got.rate * mass)).max() <= 1e-15
    after = quantity + time_step * got.rate
    assert after.min() >= 0.0
    rounding = 1e-13 * quantity.max(axis=1, keepdims=True)
    assert (after <= quantity.max(axis=1, keepdims=True) + rounding).all()
    assert (after >= quantity.min(axis=1, keepdims=True) - rounding).all()
    assert not got.flux[:, [0, -1]].any()
    np.testing.assert_array_equal(got.rate, np.diff(got.flux, axis=1) / mass)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(2, 40), st.floats(1.0, 1e4))
def test_step_solves_the_implicit_equations(seed: int, n_level: int, time_step: float) -> None:
    """Beside a dense solve of (M + dt L) x' = M x, L the graph Laplacian of the exchanges."""
    pressure, exchange, quantity = random_case(seed, n_level, 3)
    exchange = np.minimum(exchange, 10.0)
    got = diffusion(pressure, exchange, quantity, time_step=time_step)
    for column in range(3):
        mass = np.diag(np.diff(pressure[column]) / CONSTANTS.gravity)
        between = np.diff(np.eye(n_level), axis=0)
        laplacian = between.T @ np.diag(exchange[column, 1:-1]) @ between
        after = np.linalg.solve(mass + time_step * laplacian, mass @ quantity[column])
        np.testing.assert_allclose(quantity[column] + time_step * got.rate[column], after, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(
            got.flux[column, 1:-1], exchange[column, 1:-1] * (between @ after), rtol=1e-6, atol=1e-12
        )


@pytest.mark.parametrize("value", [0.0, 1.0, 3.0e5 / 7.0])
def test_well_mixed_column_stays_to_the_last_bit(value: float) -> None:
    pressure, exchange, quantity = random_case(0, 60)
    got = diffusion(pressure, exchange, np.full_like(quantity, value), time_step=1200.0)
    assert not got.rate.any()
    assert not got.flux.any()


def test_endless_exchange_mixes_by_mass() -> None:
    pressure, _, quantity = random_case(1, 40)
    got = diffusion(pressure, np.full_like(pressure, 1e15), quantity, time_step=1200.0)
    mass = np.diff(pressure, axis=1)
    mean = (quantity * mass).sum(axis=1, keepdims=True) / mass.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(quantity + 1200.0 * got.rate, np.broadcast_to(mean, quantity.shape), rtol=1e-12)


def test_linear_profile_carries_one_flux() -> None:
    """Uniform layers: the flux between the ends is D/Δμ times the step, and only the end layers change at first."""
    pressure = np.linspace(0.0, 1.0e5, 21)[None]
    got = diffusion(pressure, np.full((1, 21), 2.0), np.arange(20.0)[None], time_step=1e-6)
    np.testing.assert_allclose(got.flux[0, 1:-1], 2.0, rtol=1e-6)
    mass = 5.0e3 / CONSTANTS.gravity
    np.testing.assert_allclose(got.rate[0, [0, -1]], [2.0 / mass, -2.0 / mass], rtol=1e-6)
    assert np.abs(got.rate[0, 2:-2]).max() < 1e-12


def decayed(n_level: int, n_step: int, time: float) -> float:
    """Error of a cosine that decays in a column of unit diffusivity and depth, in mass coordinates."""
    gravity = CONSTANTS.gravity
    pressure = gravity * np.linspace(0.0, 1.0, n_level + 1)[None]
    middle = (np.arange(n_level) + 0.5) / n_level
    quantity = np.cos(np.pi * middle)[None]
    exchange = np.full((1, n_level + 1), float(n_level))  # D / Δμ, D = 1
    for _ in range(n_step):
        quantity = quantity + time / n_step * diffusion(pressure, exchange, quantity, time_step=time / n_step).rate
    exact = np.cos(np.pi * middle) * np.exp(-(np.pi**2) * time)
    return float(np.abs(quantity[0] - exact).max())


def test_cosine_decays_at_first_order_in_time() -> None:
    errors = [decayed(400, n_step, 0.1) for n_step in (10, 20, 40)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 1.0, atol=0.1)


def test_cosine_decays_at_second_order_in_space() -> None:
    """The error of the steps, small at 4000 of them, is taken out by Richardson: 2 e(2n) - e(n) in time."""
    errors = [decayed(n_level, 4000, 0.01) for n_level in (4, 8)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)


def test_column_does_not_know_its_neighbours() -> None:
    pressure, exchange, quantity = random_case(3, 60, 40)
    whole = diffusion(pressure, exchange, quantity, time_step=1200.0)
    order = np.random.default_rng(0).permutation(40)[:23]
    part = diffusion(pressure[order], exchange[order], quantity[order], time_step=1200.0)
    np.testing.assert_array_equal(part.rate, whole.rate[order])
    np.testing.assert_array_equal(part.flux, whole.flux[order])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"exchange": np.full((2, 6), -1.0)}, "argument 'exchange': expected values from"),
        ({"exchange": np.ones((2, 5))}, "argument 'exchange': expected 6 values in each of 2 columns, got 5"),
        ({"quantity": np.ones((2, 6))}, "argument 'quantity': expected 5 values in each of 2 columns, got 6"),
        ({"quantity": np.full((2, 5), np.nan)}, "argument 'quantity': expected finite values"),
        ({"time_step": -1.0}, "argument 'dt': expected values above 0"),
        ({"pressure_interface": np.ones((2, 6))}, "expected values that increase from the model top"),
    ],
)
def test_diffusion_refuses_bad_arguments(change: dict[str, Any], text: str) -> None:
    good: dict[str, Any] = {
        "pressure_interface": np.tile(np.linspace(0.0, 1e5, 6), (2, 1)),
        "exchange": np.ones((2, 6)),
        "quantity": np.ones((2, 5)),
        "time_step": 1.0,
    }
    with pytest.raises(EmagramError, match=text):
        diffusion(**(good | change))
