"""The tropopause of profiles whose tropopause is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.tropopause import TropopauseSearch, layer_pressure, tropopause_pressure

CONSTANTS = Constants()
SEARCH = TropopauseSearch(lowest_pressure=7.5e3, highest_pressure=4.5e4, fallback_pressure=1.0e4)
SCALE = CONSTANTS.gas_constant_dry_air / CONSTANTS.gravity
Array = NDArray[np.float64]


def interfaces(n_level: int) -> Tensor:
    return torch.linspace(math.log(100.0), math.log(1.0e5), n_level + 1, dtype=torch.float64).exp()[None]


def profile(pressure: Tensor, lapse_rates: tuple[tuple[float, float], ...]) -> Tensor:
    """Hydrostatic temperature from 288 K at 1000 hPa, of one lapse rate [K m-1] below each pressure [Pa] in turn."""
    temperature, below = torch.full_like(pressure, 288.0), torch.full_like(pressure, 1.0e5)
    for lapse_rate, above in lapse_rates:
        top = torch.minimum(below, pressure.clamp(min=above))
        temperature, below = temperature * (top / below) ** (lapse_rate * SCALE), top
    return temperature


@pytest.mark.parametrize("n_level", [60, 300])
@pytest.mark.parametrize("tropopause", [1.0e4, 1.5e4, 2.3e4, 3.7e4])
def test_it_lies_where_the_lapse_rate_changes(n_level: int, tropopause: float) -> None:
    """To the layer: 6.5 K km-1 below it, none above."""
    interface = interfaces(n_level)
    pressure = layer_pressure(interface)
    found = tropopause_pressure(
        interface, profile(pressure, ((6.5e-3, tropopause), (0.0, 0.0))), SEARCH, constants=CONSTANTS
    )
    step = float(pressure[0, 1] / pressure[0, 0])
    assert tropopause / step <= float(found) <= tropopause * step


@pytest.mark.parametrize(("lapse_rate", "is_found"), [(1.9e-3, True), (2.1e-3, False), (-3.0e-3, True)])
def test_two_kelvin_a_kilometre_decide(lapse_rate: float, is_found: bool) -> None:
    interface = interfaces(400)
    temperature = profile(layer_pressure(interface), ((6.5e-3, 2.0e4), (lapse_rate, 0.0)))
    found = float(tropopause_pressure(interface, temperature, SEARCH, constants=CONSTANTS))
    assert found == pytest.approx(2.0e4, rel=0.02) if is_found else found == SEARCH.fallback_pressure


@pytest.mark.parametrize(("depth", "is_found"), [(1300.0, False), (1500.0, True)])
def test_a_shallow_stable_layer_is_none(depth: float, is_found: bool) -> None:
    """A step of the lapse rate at 300 hPa counts where 2 km have less than 2 K km-1 in the mean, which 1385 m make."""
    interface = interfaces(600)
    temperature = profile(layer_pressure(interface), ((6.5e-3, 3.0e4), (0.0, 0.0)))
    at_base = float(temperature[0, (layer_pressure(interface)[0] - 3.0e4).abs().argmin()])
    above = 3.0e4 * math.exp(-depth / (SCALE * at_base))
    laps = ((6.5e-3, 3.0e4), (0.0, above), (6.5e-3, 1.2e4), (0.0, 0.0))
    found = tropopause_pressure(interface, profile(layer_pressure(interface), laps), SEARCH, constants=CONSTANTS)
    assert float(found) == pytest.approx(3.0e4 if is_found else 1.2e4, rel=0.01)


def test_only_the_range_is_searched() -> None:
    """An inversion near the ground is none, and nothing is found where the range ends below the change."""
    interface = interfaces(300)
    pressure = layer_pressure(interface)
    inversion = profile(pressure, ((-5.0e-3, 7.0e4), (6.5e-3, 2.0e4), (0.0, 0.0)))
    assert float(tropopause_pressure(interface, inversion, SEARCH, constants=CONSTANTS)) == pytest.approx(2e4, rel=0.03)
    low = TropopauseSearch(2.2e4, 4.5e4, 1.3e4)
    assert float(tropopause_pressure(interface, inversion, low, constants=CONSTANTS)) == 1.3e4
    high = TropopauseSearch(7.5e3, 1.5e4, 1.3e4)
    found = float(tropopause_pressure(interface, inversion, high, constants=CONSTANTS))
    assert found == pytest.approx(1.5e4, rel=0.03)  # isothermal from there on
    assert found <= 1.5e4


def by_definition(pressure: Array, temperature: Array) -> float:
    """Layer by layer, from the lowest."""
    n_level = len(pressure)
    for k in range(n_level - 1, 0, -1):
        if not SEARCH.lowest_pressure <= pressure[k] <= SEARCH.highest_pressure:
            continue
        height, holds = 0.0, True
        for j in range(k - 1, -1, -1):
            height += SCALE * 0.5 * (temperature[j] + temperature[j + 1]) * math.log(pressure[j + 1] / pressure[j])
            if height > 2000.0 and j < k - 1:
                break
            holds &= bool((temperature[k] - temperature[j]) / height <= 2.0e-3)
        if holds:
            return float(pressure[k])
    return SEARCH.fallback_pressure


@given(st.integers(0, 2**31), st.integers(1, 80), st.floats(0.0, 10.0))
@settings(deadline=None)
def test_it_is_the_definition_layer_by_layer(seed: int, n_level: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    interface = np.sort(np.exp(rng.uniform(math.log(50.0), math.log(1.05e5), (5, n_level + 1))), axis=1)
    middle = 0.5 * (interface[:, 1:] + interface[:, :-1])
    temperature = 288.0 * (np.maximum(middle, rng.uniform(5e3, 4e4, (5, 1))) / 1.0e5) ** 0.19
    temperature = temperature + rng.normal(0.0, noise, temperature.shape)
    found = tropopause_pressure(torch.from_numpy(interface), torch.from_numpy(temperature), SEARCH, constants=CONSTANTS)
    for column in range(5):
        assert float(found[column]) == by_definition(middle[column], temperature[column])


def test_any_leading_dimensions_and_real32_do() -> None:
    interface = interfaces(60).expand(6, 61)
    temperature = profile(layer_pressure(interface), ((6.5e-3, 2.0e4), (0.0, 0.0)))
    flat = tropopause_pressure(interface, temperature, SEARCH, constants=CONSTANTS)
    cube = tropopause_pressure(interface.reshape(2, 3, 61), temperature.reshape(2, 3, 60), SEARCH, constants=CONSTANTS)
    assert torch.equal(cube.flatten(), flat)
    single = tropopause_pressure(interface.float(), temperature.float(), SEARCH, constants=CONSTANTS)
    assert single.dtype == torch.float64
    torch.testing.assert_close(single, flat, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            (4.5e4, 7.5e3, 1e4),
            "tropopause: expected 'lowest_pressure' below 'highest_pressure' .7500 Pa., got 45000 Pa",
        ),
        ((0.0, 7.5e3, 1e4), "tropopause: expected a positive 'lowest_pressure', got 0.0"),
        ((7.5e3, math.inf, 1e4), "tropopause: expected a positive 'highest_pressure', got inf"),
        ((7.5e3, 4.5e4, math.nan), "tropopause: expected a positive 'fallback_pressure', got nan"),
        ((7.5e3, 4.5e4, "low"), "tropopause: expected a positive 'fallback_pressure', got 'low'"),
    ],
)
def test_other_searches_are_refused(values: tuple[float, float, float], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        TropopauseSearch(*values)
