"""Saturation and humidity against published values and thermodynamic identities."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emagram.physics import thermodynamics as thermo
from emagram.physics.constants import Constants


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# Goff-Gratch values of the Smithsonian Meteorological Tables (List 1951, tables 94 and 96) [degC, Pa]
@pytest.mark.parametrize(
    ("celsius", "pressure", "tolerance"),
    [
        (40.0, 7377.7, 2e-3),
        (30.0, 4243.0, 2e-3),
        (20.0, 2337.3, 2e-3),
        (10.0, 1227.2, 2e-3),
        (0.0, 610.78, 2e-3),
        (-10.0, 286.27, 2e-3),
        (-20.0, 125.40, 5e-3),
        (-30.0, 50.88, 1e-2),
        (-40.0, 18.91, 1e-2),
    ],
)
def test_saturation_over_liquid_is_the_published(celsius: float, pressure: float, tolerance: float) -> None:
    got = float(thermo.saturation_vapor_pressure_liquid(tensor(celsius + 273.15)))
    assert got == pytest.approx(pressure, rel=tolerance)


@pytest.mark.parametrize(
    ("celsius", "pressure", "tolerance"),
    [
        (0.0, 610.7, 2e-3),
        (-10.0, 259.7, 2e-3),
        (-20.0, 103.2, 2e-3),
        (-30.0, 37.98, 2e-3),
        (-40.0, 12.83, 2e-3),
        (-60.0, 1.080, 5e-3),
        (-80.0, 0.05472, 0.04),  # the polynomial's own error there
    ],
)
def test_saturation_over_ice_is_the_published(celsius: float, pressure: float, tolerance: float) -> None:
    got = float(thermo.saturation_vapor_pressure_ice(tensor(celsius + 273.15)))
    assert got == pytest.approx(pressure, rel=tolerance)


def test_saturation_rises_with_temperature() -> None:
    liquid = thermo.saturation_vapor_pressure_liquid(torch.linspace(193.2, 340.0, 2000, dtype=torch.float64))
    assert bool((liquid.diff() > 0.0).all())
    # the parabola below 185 K starts 6 % above the polynomial, as in SAM
    for bounds in ((173.2, 184.9), (185.1, 340.0)):
        air_temperature = torch.linspace(*bounds, 2000, dtype=torch.float64)
        assert bool((thermo.saturation_vapor_pressure_ice(air_temperature).diff() > 0.0).all())
        assert bool((thermo.saturation_vapor_pressure(air_temperature).diff() > 0.0).all())


def test_saturation_over_liquid_and_ice_meet_at_the_triple_point() -> None:
    cold, warm = tensor(273.15), tensor(273.15001)
    jump = thermo.saturation_vapor_pressure_ice(warm) / thermo.saturation_vapor_pressure_ice(cold) - 1.0
    assert abs(float(jump)) < 5e-4


def test_below_freezing_ice_saturates_before_liquid() -> None:
    air_temperature = torch.linspace(200.0, 273.0, 500, dtype=torch.float64)
    ice = thermo.saturation_vapor_pressure_ice(air_temperature)
    assert bool((ice < thermo.saturation_vapor_pressure_liquid(air_temperature)).all())


def test_mixed_phase_is_ice_cold_liquid_warm_and_between_otherwise() -> None:
    cold, between, warm = tensor(190.0, 253.15), tensor(258.16, 263.16, 268.16), tensor(273.17, 310.0)
    assert torch.equal(thermo.saturation_vapor_pressure(cold), thermo.saturation_vapor_pressure_ice(cold))
    assert torch.equal(thermo.saturation_vapor_pressure(warm), thermo.saturation_vapor_pressure_liquid(warm))
    ice, liquid = (
        thermo.saturation_vapor_pressure_ice(between),
        thermo.saturation_vapor_pressure_liquid(between),
    )
    fraction = (thermo.saturation_vapor_pressure(between) - ice) / (liquid - ice)
    torch.testing.assert_close(fraction, tensor(0.25, 0.5, 0.75), rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("temperature", [250.0, 273.15, 290.0, 310.0])
def test_slope_over_liquid_obeys_clausius_clapeyron(temperature: float) -> None:
    """d ln e / dT = L / (Rv T²) with the latent heat falling 2370 J kg-1 K-1 above freezing."""
    air_temperature = tensor(temperature).requires_grad_()
    (slope,) = torch.autograd.grad(thermo.saturation_vapor_pressure_liquid(air_temperature).log(), air_temperature)
    latent_heat = 2.501e6 - 2370.0 * (temperature - 273.15)
    assert float(slope) == pytest.approx(latent_heat / (461.5 * temperature**2), rel=0.01)


@pytest.mark.parametrize("temperature", [200.0, 220.0, 250.0, 270.0])
def test_slope_over_ice_obeys_clausius_clapeyron(temperature: float) -> None:
    air_temperature = tensor(temperature).requires_grad_()
    (slope,) = torch.autograd.grad(thermo.saturation_vapor_pressure_ice(air_temperature).log(), air_temperature)
    assert float(slope) == pytest.approx(2.834e6 / (461.5 * temperature**2), rel=0.01)


@given(st.floats(200.0, 320.0), st.floats(3.0e4, 1.05e5))
def test_relative_humidity_is_one_at_saturation(temperature: float, pressure: float) -> None:
    humidity = thermo.saturation_specific_humidity(tensor(pressure), tensor(temperature))
    saturated = thermo.relative_humidity(tensor(pressure), tensor(temperature), humidity)
    assert float(saturated) == pytest.approx(1.0, abs=1e-12)


def test_air_that_cannot_saturate_becomes_pure_vapour() -> None:
    assert float(thermo.saturation_specific_humidity(tensor(1.0), tensor(300.0))) == pytest.approx(1.0)


@given(st.floats(0.0, 0.1), st.floats(1.0, 1.1e5))
def test_mole_fraction_in_dry_air_is_the_ratio_of_partial_pressures(mole_fraction: float, pressure: float) -> None:
    """x = n_v / n_d = e / (p − e)."""
    humidity = thermo.specific_humidity_from_mole_fraction(tensor(mole_fraction))
    vapor = thermo.vapor_pressure(tensor(pressure), humidity)
    assert float(vapor / (pressure - vapor)) == pytest.approx(mole_fraction, rel=1e-12, abs=1e-300)


def test_potential_temperature_is_temperature_at_the_reference_pressure() -> None:
    theta = thermo.potential_temperature(tensor(1.0e5, 5.0e4), tensor(280.0, 280.0))
    assert float(theta[0]) == 280.0
    assert float(theta[1]) == pytest.approx(280.0 * 2.0 ** (287.04 / 1004.64), rel=1e-5)


def test_moist_static_energy_is_the_sum_of_its_parts() -> None:
    constants = Constants()
    energy = thermo.moist_static_energy(tensor(300.0), tensor(0.01), tensor(1000.0), constants=constants)
    assert float(energy) == pytest.approx(1004.64 * 300.0 + 9806.16 + 25010.0, rel=1e-14)


def test_float32_is_as_good_as_its_storage() -> None:
    """In float32 arithmetic the polynomial would lose 1 % at 190 K."""
    air_temperature = torch.linspace(186.0, 310.0, 500)
    exact = thermo.saturation_vapor_pressure(air_temperature.double())
    got = thermo.saturation_vapor_pressure(air_temperature)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), exact, rtol=6e-8, atol=0.0)


def test_gradients_match_finite_differences() -> None:
    pressure = tensor(3.0e4, 7.0e4, 9.0e4).requires_grad_()
    temperature = tensor(220.0, 262.0, 290.0).requires_grad_()
    humidity = tensor(1.0e-4, 2.0e-3, 1.0e-2).requires_grad_()
    assert torch.autograd.gradcheck(thermo.relative_humidity, (pressure, temperature, humidity), eps=1e-5, rtol=1e-3)
    assert torch.autograd.gradcheck(thermo.saturation_specific_humidity, (pressure, temperature), eps=1e-3, atol=1e-8)
