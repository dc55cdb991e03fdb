"""The ascent of a parcel against tiny steps of its energy balance, published formulas and its invariants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics import thermodynamics
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.parcel import Ascent, parcel_ascent
from emagram.physics.fortran_physics.thermodynamics import saturate_air, saturation_specific_humidity
from moist_columns import CP, LF, LV, RD, Array, liquid_share, saturation

TEMPERATURE_TOLERANCE = 5.0e-5  # K at 300 hPa, that of steps of 0.05 in ln p

# warm and humid to cold and dry, all above 185 K where the saturation formula jumps by 6 % [K], [1]
STARTS = [(303.0, 0.8), (298.0, 0.6), (290.0, 0.9), (280.0, 0.5), (270.0, 0.9), (265.0, 0.8), (300.0, 1.0)]


def ascend(levels: Array, retained_condensate: float = 0.0) -> tuple[Ascent, Array]:
    """The parcels of STARTS, lifted through the same levels; and their water at the start."""
    pressure = np.repeat(levels[None], len(STARTS), axis=0)
    air_temperature, humidity = np.array(STARTS).T
    water = humidity * saturation(pressure[:, -1], air_temperature)
    ascent = parcel_ascent(
        pressure, air_temperature=air_temperature, specific_humidity=water, retained_condensate=retained_condensate
    )
    return ascent, water


@dataclass(frozen=True)
class TinyStep:
    """The energy balance of saturated parcels over a small step."""

    below: float  # [Pa]
    above: float  # [Pa]
    air_temperature: Array  # [K], below
    vapor: Array  # [kg kg-1], below
    water: Array  # [kg kg-1], at the start of the ascent
    retained_condensate: float

    def saturate(self, there: Array) -> Array:
        return np.minimum(saturation(np.full(len(there), self.above), there), self.vapor)

    def imbalance(self, there: Array) -> Array:
        """cp ΔT + L Δq + Lf q_c Δω − Rd T Δln p [J kg-1]."""
        middle = 0.5 * (self.air_temperature + there)
        latent_heat = LV + (1.0 - liquid_share(middle)) * LF
        after = self.saturate(there)
        condensate = self.retained_condensate * (self.water - 0.5 * (after + self.vapor))
        freezing = LF * condensate * (liquid_share(there) - liquid_share(self.air_temperature))
        work = RD * middle * np.log(self.above / self.below)
        return CP * (there - self.air_temperature) + latent_heat * (after - self.vapor) + freezing - work

    def solve(self) -> Array:
        """The temperature above, by secants."""
        first = self.air_temperature * (1.0 + 0.2 * np.log(self.above / self.below))
        second, at_first = self.air_temperature, self.imbalance(first)
        for _ in range(5):
            at_second = self.imbalance(second)
            change = np.where(at_first == at_second, 1.0, at_first - at_second)
            first, second, at_first = second, second - at_second * (first - second) / change, at_second
        return second


def ascend_in_tiny_steps(levels: Array, retained_condensate: float) -> Array:
    """Temperature of the parcels of STARTS at the first level."""
    air_temperature, humidity = np.array(STARTS).T.copy()
    vapor = water = humidity * saturation(np.full(len(STARTS), levels[-1]), air_temperature)
    for below, above in zip(levels[:0:-1], levels[-2::-1], strict=True):
        step = TinyStep(below, above, air_temperature, vapor, water, retained_condensate)
        air_temperature = step.solve()
        vapor = step.saturate(air_temperature)
    return air_temperature


@pytest.mark.parametrize("retained_condensate", [0.0, 0.4, 1.0])
def test_ascent_is_that_of_tiny_steps(retained_condensate: float) -> None:
    coarse, fine = np.geomspace(3.0e4, 1.0e5, 40), np.geomspace(3.0e4, 1.0e5, 751)
    got, _ = ascend(coarse, retained_condensate)
    want = ascend_in_tiny_steps(fine, retained_condensate)
    np.testing.assert_allclose(got.air_temperature[:, 0], want, rtol=0.0, atol=TEMPERATURE_TOLERANCE)


def test_coarse_levels_do_as_fine_ones() -> None:
    """Steps that run across the freezing levels made 0.02 K."""
    for retained_condensate in (0.0, 1.0):
        coarse, _ = ascend(np.geomspace(3.0e4, 1.0e5, 12), retained_condensate)
        fine, _ = ascend(np.geomspace(3.0e4, 1.0e5, 3001), retained_condensate)
        np.testing.assert_allclose(
            coarse.air_temperature[:, 0], fine.air_temperature[:, 0], rtol=0.0, atol=TEMPERATURE_TOLERANCE
        )


def test_reversible_ascent_keeps_moist_static_energy() -> None:
    """cp T + (Lv + Lf) q + Lf q_l − ∫ Rd T d(ln p), the integral by Simpson's rule.

    1e-8 of 3.4e5 J kg-1; 6e-9 is the jump of the saturation formula at 273.15 K.
    """
    levels = np.geomspace(3.0e4, 1.0e5, 8001)
    got, water = ascend(levels, 1.0)
    assert np.abs(got.specific_humidity + got.condensate - water[:, None]).max() < 1e-15
    liquid = liquid_share(got.air_temperature) * got.condensate
    enthalpy = CP * got.air_temperature + (LV + LF) * got.specific_humidity + LF * liquid
    step = np.log(levels[1] / levels[0])
    temperature = got.air_temperature
    pieces = step / 3.0 * (temperature[:, :-2:2] + 4.0 * temperature[:, 1:-1:2] + temperature[:, 2::2])
    work = RD * np.concatenate([np.zeros((len(STARTS), 1)), np.cumsum(pieces, axis=1)], axis=1)
    energy = enthalpy[:, ::2] - work
    drift = np.abs(energy / energy[:, -1:] - 1.0).max(axis=1)
    assert drift.max() < 1e-8


def test_unsaturated_ascent_keeps_potential_temperature() -> None:
    levels = np.linspace(9.0e4, 1.0e5, 30)
    got = parcel_ascent(levels[None], air_temperature=[300.0], specific_humidity=[0.005])
    theta = got.air_temperature * (1.0e5 / levels) ** (RD / CP)
    assert got.condensation_pressure[0] < 9.0e4
    np.testing.assert_allclose(theta, 300.0, rtol=1e-14)
    assert (got.specific_humidity == 0.005).all()
    assert not got.condensate.any()


@settings(max_examples=100, deadline=None)
@given(st.floats(230.0, 315.0), st.floats(0.01, 1.0), st.floats(5.5e4, 1.05e5))
def test_air_saturates_at_the_condensation_level(air_temperature: float, humidity: float, pressure: float) -> None:
    water = humidity * saturation(pressure, air_temperature)
    got = parcel_ascent([[pressure]], air_temperature=[air_temperature], specific_humidity=[float(water)])
    level = got.condensation_pressure[0]
    if level == 0.0:  # saturation only below 180 K
        assert water < saturation(pressure * (180.0 / air_temperature) ** (CP / RD), 180.0)
        return
    assert level <= pressure
    there = air_temperature * (level / pressure) ** (RD / CP)
    assert float(saturation(level, there)) == pytest.approx(float(water), rel=1e-10)


@pytest.mark.parametrize(("air_temperature", "humidity"), [(303.0, 0.8), (295.0, 0.5), (285.0, 0.7), (305.0, 0.3)])
def test_condensation_level_is_the_published(air_temperature: float, humidity: float) -> None:
    """Bolton 1980, equation 22, doi:10.1175/1520-0493(1980)108<1046:TCOEPT>2.0.CO;2, good to 0.1 K."""
    water = humidity * float(saturation(1.0e5, air_temperature))
    # relative humidity by vapour pressure
    vapor = 1.0e5 * water / (0.622 + 0.378 * water)
    ratio = vapor / float(thermodynamics.saturation_vapor_pressure(torch.tensor(air_temperature, dtype=torch.float64)))
    want = 1.0 / (1.0 / (air_temperature - 55.0) - np.log(ratio) / 2840.0) + 55.0
    got = parcel_ascent([[1.0e5]], air_temperature=[air_temperature], specific_humidity=[water])
    there = air_temperature * (got.condensation_pressure[0] / 1.0e5) ** (RD / CP)
    assert there == pytest.approx(want, abs=0.25)


def test_pseudoadiabat_keeps_the_published_equivalent_potential_temperature() -> None:
    """Bolton 1980, equation 43, above freezing; constant latent heat and heat capacity make 1 K."""
    levels = np.linspace(6.0e4, 1.0e5, 50)
    got = parcel_ascent(levels[None], air_temperature=[300.0], specific_humidity=[float(saturation(1.0e5, 300.0))])
    temperature, humidity = got.air_temperature[0], got.specific_humidity[0]
    assert temperature[0] > 273.16
    ratio = humidity / (1.0 - humidity)
    dry = temperature * (1.0e5 / levels) ** (0.2854 * (1.0 - 0.28 * ratio))
    theta = dry * np.exp((3376.0 / temperature - 2.54) * ratio * (1.0 + 0.81 * ratio))
    assert theta[-1] == pytest.approx(370.0, abs=10.0)
    assert np.ptp(theta) < 2.0


def test_condensate_makes_the_reversible_parcel_warmer_aloft() -> None:
    """It freezes in the parcel, and nothing leaves it."""
    levels = np.geomspace(3.0e4, 1.0e5, 40)
    reversible, pseudoadiabatic = ascend(levels, 1.0)[0], ascend(levels)[0]
    assert (reversible.air_temperature[0, :5] > pseudoadiabatic.air_temperature[0, :5] + 1.0).all()
    assert not pseudoadiabatic.condensate.any()


def test_slopes_of_saturation_are_those_of_autograd() -> None:
    air_temperature = torch.linspace(150.0, 340.0, 4001, dtype=torch.float64).requires_grad_()
    pressure = torch.logspace(0.0, 5.0, 4001, dtype=torch.float64).requires_grad_()
    humidity = thermodynamics.saturation_specific_humidity(pressure, air_temperature)
    slope, slope_pressure = torch.autograd.grad(humidity.sum(), (air_temperature, pressure))
    got = saturate_air(pressure.detach().numpy(), air_temperature.detach().numpy())
    np.testing.assert_allclose(got.slope, slope.numpy(), rtol=1e-10, atol=1e-16)
    np.testing.assert_allclose(got.slope_pressure, (slope_pressure * pressure).detach().numpy(), rtol=1e-10, atol=1e-16)
    exact = saturation_specific_humidity(pressure.detach().numpy(), air_temperature.detach().numpy())
    assert (got.humidity == exact).all()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"air_pressure": np.array([[1.0e5, 9.0e4]])}, "argument 'air_pressure': expected values that increase"),
        ({"air_pressure": np.array([9.0e4, 1.0e5])}, r"argument 'air_pressure': expected shape \(n_column, n_level\)"),
        ({"air_temperature": [300.0, 300.0]}, "argument 'air_temperature': expected size 1, got 2"),
        ({"air_temperature": [-300.0]}, "argument 'air_temperature': expected values above 0"),
        ({"specific_humidity": [np.nan]}, "argument 'specific_humidity': expected finite values"),
        ({"specific_humidity": [15.0]}, "argument 'specific_humidity': expected values from"),
        ({"retained_condensate": 1.5}, "argument 'retained_condensate': expected values from"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {
        "air_pressure": np.array([[9.0e4, 1.0e5]]),
        "air_temperature": [300.0],
        "specific_humidity": [0.01],
    } | changes
    with pytest.raises(EmagramError, match=text):
        parcel_ascent(arguments.pop("air_pressure"), **arguments)
