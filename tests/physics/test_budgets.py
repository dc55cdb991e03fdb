"""Column integrals and flux divergence fit each other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emagram.physics import budgets
from emagram.physics.constants import Constants

PRESSURE = torch.tensor([0.0, 2.0e4, 6.0e4, 1.0e5], dtype=torch.float64)


def test_column_of_standard_pressure_weighs_ten_tonnes() -> None:
    assert float(budgets.column_mass(PRESSURE)) == pytest.approx(10197.7, rel=1e-5)


def test_integral_of_one_is_the_mass() -> None:
    integral = budgets.column_integral(torch.ones(3), PRESSURE)
    assert integral.dtype == torch.float64
    assert float(integral) == pytest.approx(float(budgets.column_mass(PRESSURE)), rel=1e-15)


def test_absorbed_flux_heats_and_emitted_flux_cools() -> None:
    """100 W m-2 absorbed in 400 hPa: g/cp · 100 / 4e4 = 2.440e-5 K s-1, 2.1 K a day."""
    heating = budgets.heating_from_fluxes(torch.tensor([300.0, 300.0, 200.0, 250.0]), PRESSURE)
    assert float(heating[0]) == 0.0
    assert float(heating[1]) == pytest.approx(2.440e-5, rel=1e-3)
    assert float(heating[2]) == pytest.approx(-1.220e-5, rel=1e-3)


@given(st.integers(0, 2**31), st.integers(1, 100))
def test_integral_of_flux_heating_is_the_net_flux(seed: int, n_level: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps = 1.0e-3 + torch.rand(3, n_level + 1, generator=generator, dtype=torch.float64)
    pressure = 0.01 + 1.0e5 * torch.cumsum(steps, 1) / steps.sum(1, keepdim=True)
    flux = 1000.0 * torch.rand(3, n_level + 1, generator=generator, dtype=torch.float64)
    heating = budgets.heating_from_fluxes(flux, pressure)
    residual = budgets.energy_residual(heating, pressure, flux[:, 0] - flux[:, -1])
    assert float(residual.abs().max()) <= 1.0e-10


def test_heavier_gravity_means_less_mass() -> None:
    constants = Constants(gravity=2 * 9.80616)
    half = budgets.column_mass(PRESSURE, constants=constants)
    assert float(half) == pytest.approx(0.5 * float(budgets.column_mass(PRESSURE)))
