"""Saturation adjustment against bisection, climt and itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from emagram.physics.fortran_physics.microphysics import microphysics
from moist_columns import (
    CP,
    LF,
    LV,
    Array,
    Columns,
    adjust,
    liquid_share,
    saturation,
    single_layers,
    tropical_columns,
)


def saturate_by_bisection(columns: Columns) -> tuple[Array, Array]:
    """T and q at the root of cp T + (Lv + Lf) min(q_s, q_t) + Lf ω max(q_t − q_s, 0) = h, which rises with T."""
    total = columns.specific_humidity + columns.cloud_liquid + columns.cloud_ice
    energy = CP * columns.air_temperature + (LV + LF) * columns.specific_humidity + LF * columns.cloud_liquid
    low, high = (energy - (LV + LF) * total) / CP, energy / CP
    for _ in range(80):
        middle = 0.5 * (low + high)
        saturated = saturation(columns.pressure, middle)
        vapor = np.minimum(saturated, total)
        too_much = CP * middle + (LV + LF) * vapor + LF * liquid_share(middle) * (total - vapor) > energy
        low, high = np.where(too_much, low, middle), np.where(too_much, middle, high)
    return high, np.minimum(saturation(columns.pressure, high), total)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_adjustment_is_that_of_bisection(seed: int) -> None:
    columns = single_layers(4000, seed)
    air_temperature, vapor = saturate_by_bisection(columns)
    got = adjust(columns)
    # two states are in equilibrium where e_s falls by 6 % at 185 K
    single = np.abs(air_temperature - 185.0) > 2.0
    assert (single & (got.cloud_liquid + got.cloud_ice > 0.0)).mean() > 0.3
    np.testing.assert_allclose(got.air_temperature[single], air_temperature[single], rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(got.specific_humidity[single], vapor[single], rtol=0.0, atol=1e-12)
    liquid = liquid_share(air_temperature) * (
        columns.specific_humidity + columns.cloud_liquid + columns.cloud_ice - vapor
    )
    np.testing.assert_allclose(got.cloud_liquid[single], liquid[single], rtol=0.0, atol=1e-12)


def test_clear_air_below_saturation_is_left_alone() -> None:
    columns = tropical_columns(30, 5)
    saturated = saturation(columns.pressure, columns.air_temperature)
    columns = replace(columns, specific_humidity=np.minimum(columns.specific_humidity, 0.99 * saturated))
    got = microphysics(columns.pressure_interface, time_step=1200.0, **columns.cloudy)
    assert not any(field.any() for field in got)


def test_equilibrium_is_a_fixed_point() -> None:
    once = adjust(single_layers(2000, 3))
    twice = adjust(once)
    np.testing.assert_allclose(twice.air_temperature, once.air_temperature, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(twice.cloud_liquid, once.cloud_liquid, rtol=0.0, atol=1e-13)
    np.testing.assert_allclose(twice.cloud_ice, once.cloud_ice, rtol=0.0, atol=1e-13)


def test_condensation_of_a_little_is_that_of_climt() -> None:
    """climt: one linear step with Bolton's saturation, liquid only."""
    import climt

    scheme = climt.GridScaleCondensation()
    state = climt.get_default_state([scheme], grid_state=climt.get_grid(nx=1, ny=1, nz=20))
    edges = np.linspace(1.0e5, 4.0e4, 21)
    pressure = 0.5 * (edges[1:] + edges[:-1])
    air_temperature = np.linspace(300.0, 275.0, 20)
    bolton = 611.2 * np.exp(17.67 * (air_temperature - 273.15) / (air_temperature - 29.65))
    saturated = 0.622 * bolton / (pressure - 0.378 * bolton)
    for name, values in {
        "air_pressure_on_interface_levels": edges,
        "air_pressure": pressure,
        "air_temperature": air_temperature,
        "specific_humidity": 1.03 * saturated,
    }.items():
        state[name].values[:, 0, 0] = values
    _, theirs = scheme(state, timedelta(seconds=1200))
    condensed = 1.03 * saturated - theirs["specific_humidity"].values[:, 0, 0]
    # the same excess over our own saturation
    humidity = saturation(pressure, air_temperature) + 0.03 * saturated
    none = np.zeros((1, 20))
    columns = Columns(edges[None, ::-1], air_temperature[None, ::-1], humidity[None, ::-1], none, none)
    ours = columns.specific_humidity - adjust(columns).specific_humidity
    np.testing.assert_allclose(ours[0, ::-1], condensed, rtol=0.02)
