"""Column budgets in Fortran and in Python: one formula, and what they mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics import budgets
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.budgets import column_budget, column_totals
from turbulent_columns import CONSTANTS, RATES, Array, Columns, energy_gain, exact_sum, harsh_columns

seeds = st.integers(0, 2**32 - 1)
WINDS = ("eastward_wind", "northward_wind")


def random_rates(columns: Columns, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    sizes = (1e-3, 1e-6, 1e-7, 1e-7, 1e-3, 1e-3)
    return {name: rng.normal(0.0, size, columns.mass.shape) for name, size in zip(RATES, sizes, strict=True)}


def fortran(columns: Columns, rates: dict[str, Array], time_step: float) -> tuple[Array, Array]:
    winds = {name: getattr(columns, name) for name in WINDS}
    got = column_budget(columns.pressure_interface, time_step=time_step, **winds, **rates)
    return got.energy_rate, got.water_rate


def python(columns: Columns, rates: dict[str, Array], time_step: float) -> tuple[Array, Array]:
    def tensor(array: Array) -> torch.Tensor:
        return torch.from_numpy(array)

    pressure = tensor(columns.pressure_interface)
    kinetic = budgets.kinetic_energy_rate(
        (tensor(columns.eastward_wind), tensor(columns.northward_wind)),
        (tensor(rates["rate_eastward_wind"]), tensor(rates["rate_northward_wind"])),
        time_step=time_step,
    )
    temperature, humidity, liquid, ice = (tensor(rates[name]) for name in RATES[:4])
    energy = budgets.frozen_energy_rate(pressure, temperature, humidity, liquid, kinetic)
    return energy.numpy(), budgets.water_rate(pressure, humidity, liquid, ice).numpy()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 80), st.floats(1.0, 1.0e4))
def test_budgets_of_both_languages_are_the_exact_sums(seed: int, n_level: int, time_step: float) -> None:
    columns = harsh_columns(10, seed, n_level)
    rates = random_rates(columns, seed)
    energy = energy_gain(columns, rates, time_step)
    water = exact_sum((rates["rate_humidity"] + rates["rate_liquid"] + rates["rate_ice"]) * columns.mass)
    # beside a gain of 1e4 W m-2 in each layer, and 1e-3 kg m-2 s-1
    for got_energy, got_water in (fortran(columns, rates, time_step), python(columns, rates, time_step)):
        np.testing.assert_allclose(got_energy, energy, rtol=0.0, atol=1e-10 * (1.0 + 1e-3 * time_step))
        np.testing.assert_allclose(got_water, water, rtol=0.0, atol=1e-16)


def test_gain_of_totals_is_the_budget() -> None:
    """State after minus state before, over the step; kinetic energy too."""
    columns = harsh_columns(30, 3)
    rates = random_rates(columns, 4)
    names = ("air_temperature", "specific_humidity", "cloud_liquid", "cloud_ice", *WINDS)
    before = {name: getattr(columns, name) for name in names}
    after = {name: before[name] + 1200.0 * rates[rate] for name, rate in zip(names, RATES, strict=True)}
    old, new = (column_totals(columns.pressure_interface, **state) for state in (before, after))
    energy, water = fortran(columns, rates, 1200.0)
    np.testing.assert_allclose((new.energy - old.energy) / 1200.0, energy, rtol=1e-9, atol=1e-4)
    np.testing.assert_allclose((new.water - old.water) / 1200.0, water, rtol=1e-9, atol=1e-12)


def test_totals_are_the_exact_sums() -> None:
    columns = harsh_columns(30, 5)
    got = column_totals(columns.pressure_interface, **columns.state, **columns.cloud)
    kinetic = 0.5 * (columns.eastward_wind**2 + columns.northward_wind**2)
    energy = 1004.64 * columns.air_temperature + (2.501e6 + 3.337e5) * columns.specific_humidity
    energy += 3.337e5 * columns.cloud_liquid + kinetic
    np.testing.assert_allclose(got.energy, exact_sum(energy * columns.mass), rtol=1e-15)
    water = columns.specific_humidity + columns.cloud_liquid + columns.cloud_ice
    np.testing.assert_allclose(got.water, exact_sum(water * columns.mass), rtol=1e-15)


def test_evaporating_and_freezing_keep_the_energy() -> None:
    """1e-8 s-1 of liquid evaporates and as much freezes; temperature pays Lv and earns Lf."""
    columns = harsh_columns(5, 6)
    one = np.full_like(columns.mass, 1.0e-8)
    none = np.zeros_like(one)
    warming = (CONSTANTS.latent_heat_fusion - CONSTANTS.latent_heat_vaporization) / CONSTANTS.heat_capacity_dry_air
    rates = dict(zip(RATES, (warming * one, one, -2.0 * one, one, none, none), strict=True))
    energy, water = fortran(columns, rates, 1200.0)
    assert np.abs(energy).max() < 1e-12
    assert np.abs(water).max() < 1e-19


def test_compensated_sum_keeps_what_cancels() -> None:
    """1e16 times what is left is added first and taken off last."""
    pressure = np.arange(4.0)[None]  # one mass for all layers, to the last bit
    zero = np.zeros((1, 3))
    cancelling = np.array([[1.0e16, 1.0, -1.0e16]])
    rates = dict.fromkeys(RATES, zero) | {"rate_ice": cancelling, "rate_temperature": cancelling}
    got = column_budget(pressure, time_step=1.0, eastward_wind=zero, northward_wind=zero, **rates)
    np.testing.assert_allclose(got.water_rate, 1.0 / CONSTANTS.gravity, rtol=1e-15)
    np.testing.assert_allclose(got.energy_rate, 1004.64 / CONSTANTS.gravity, rtol=1e-15)


def test_budgets_of_python_take_other_constants_and_gradients() -> None:
    pressure = torch.tensor([[0.0, 5.0e4, 1.0e5]], dtype=torch.float64)
    rate = torch.full((1, 2), 1.0e-5, dtype=torch.float64, requires_grad=True)
    none = torch.zeros_like(rate)
    doubled = budgets.frozen_energy_rate(pressure, rate, none, none, none, constants=Constants(gravity=2 * 9.80616))
    energy = budgets.frozen_energy_rate(pressure, rate, none, none, none)
    assert doubled.item() == pytest.approx(0.5 * energy.item())
    energy.sum().backward()
    assert rate.grad is not None
    np.testing.assert_allclose(rate.grad.numpy(), 1004.64 * 5.0e4 / 9.80616)


def test_column_does_not_know_its_neighbours() -> None:
    columns = harsh_columns(40, 7)
    rates = random_rates(columns, 8)
    whole = fortran(columns, rates, 1200.0)
    order = np.random.default_rng(0).permutation(40)[:17]
    part = fortran(columns.take(order), {name: array[order] for name, array in rates.items()}, 1200.0)
    for ours, theirs in zip(part, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs[order])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"rate_ice": np.zeros((2, 4))}, "argument 'rate_ice': expected 5 values in each of 2 columns, got 4"),
        ({"rate_temperature": np.full((2, 5), np.nan)}, "argument 'rate_temperature': expected finite values"),
        ({"time_step": 0.0}, "argument 'dt': expected values above 0"),
        ({"pressure_interface": np.zeros((2, 6))}, "expected values that increase from the model top"),
        ({"pressure_interface": np.zeros(6)}, r"expected shape \(n_column, n_level \+ 1\), got \(6,\)"),
    ],
)
def test_budget_refuses_bad_arguments(change: dict[str, Any], text: str) -> None:
    zero = np.zeros((2, 5))
    good: dict[str, Any] = {"pressure_interface": np.tile(np.arange(6.0), (2, 1)), "time_step": 1.0}
    good |= dict.fromkeys((*WINDS, *RATES), zero)
    with pytest.raises(EmagramError, match=text):
        column_budget(**(good | change))


def test_totals_refuse_bad_arguments() -> None:
    columns = harsh_columns(2, 0, 5)
    with pytest.raises(EmagramError, match="argument 'cloud_ice': expected finite values"):
        column_totals(
            columns.pressure_interface, **columns.state, cloud_liquid=columns.mass, cloud_ice=np.inf * columns.mass
        )
