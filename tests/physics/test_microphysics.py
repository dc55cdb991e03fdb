"""Microphysics: closure of every layer, phases, what falls, melts and evaporates."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics import _fortran_physics
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.microphysics import Microphysics, microphysics
from moist_columns import (
    CP,
    ENERGY_TOLERANCE,
    LF,
    LV,
    WATER_TOLERANCE,
    Array,
    Columns,
    adjust,
    energy_gain,
    harsh_columns,
    liquid_share,
    saturation,
    single_layers,
    tropical_columns,
    water_gain,
)

MELTING = 273.16
HUMIDITY_TOLERANCE = 1.0e-9  # of saturation; in the cold the polynomials themselves are uncertain by 1e-10
HUMIDITY_ROUNDING = 1.0e-16  # kg kg-1, of cloud of 0.1 kg kg-1 that evaporates

seeds = st.integers(0, 2**32 - 1)


def step(columns: Columns, time_step: float = 1200.0, **changes: Any) -> Microphysics:
    return microphysics(columns.pressure_interface, time_step=time_step, **(columns.cloudy | changes))


def one_column(air_temperature: Array, humidity: Array) -> Columns:
    """A clear column of equal layers down to 1000 hPa at relative humidities [1]."""
    n_level = len(air_temperature)
    pressure_interface = np.linspace(2.0e4, 1.0e5, n_level + 1)[None]
    pressure = 0.5 * (pressure_interface[:, 1:] + pressure_interface[:, :-1])
    water = humidity * saturation(pressure, air_temperature[None])
    return Columns(pressure_interface, air_temperature[None], water, np.zeros_like(water), np.zeros_like(water))


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(20, 70), st.floats(300.0, 1.0e5), st.sampled_from([0.0, 1.0e-5, 1.0]))
def test_layers_close_energy_and_water(seed: int, n_level: int, time_step: float, evaporation: float) -> None:
    for columns in (harsh_columns(20, seed, n_level), tropical_columns(5, seed, n_level)):
        got = step(columns, time_step, evaporation=evaporation)
        assert all(np.isfinite(field).all() for field in got)
        rates = got._asdict()
        water = water_gain(columns, rates) + np.diff(got.rain + got.snow)
        energy = energy_gain(columns, rates) + LF * np.diff(got.rain)
        assert np.abs(water).max() <= WATER_TOLERANCE
        assert np.abs(energy).max() <= ENERGY_TOLERANCE
        assert np.abs(water.sum(axis=1)).max() <= WATER_TOLERANCE
        assert np.abs(energy.sum(axis=1)).max() <= ENERGY_TOLERANCE
        assert not got.rain[:, 0].any()
        assert not got.snow[:, 0].any()


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(1.0, 1.0e5), st.sampled_from([1.0e-5, 1.0, 1.0e3]))
def test_nothing_is_negative_or_supersaturated(seed: int, time_step: float, evaporation: float) -> None:
    columns = harsh_columns(20, seed)
    got = step(columns, time_step, evaporation=evaporation)
    after = columns.step(got._asdict(), time_step)
    for water in (after.specific_humidity, after.cloud_liquid, after.cloud_ice, got.rain, got.snow):
        assert (water >= 0.0).all()
    saturated = saturation(columns.pressure, after.air_temperature)
    margin = HUMIDITY_TOLERANCE * saturated + HUMIDITY_ROUNDING
    # where e_s jumps (185 K, 6 %, as in SAM) what evaporates may cool the layer over it
    continuous = np.abs(after.air_temperature - 185.0) > 1e-6
    assert (after.specific_humidity <= saturated + margin)[continuous].all()
    cloud = after.cloud_liquid + after.cloud_ice
    clouded = (cloud > 1.0e-6) & continuous
    assert (after.specific_humidity >= saturated - margin)[clouded].all()
    share = after.cloud_liquid[clouded] / cloud[clouded]
    np.testing.assert_allclose(share, liquid_share(after.air_temperature[clouded]), rtol=0.0, atol=1e-9)


def test_conversion_is_the_published_rate() -> None:
    """Cloud of one layer, in equilibrium: q_c / τ (1 − exp(−(q_c/q*)²)) after a short step."""
    columns = adjust(single_layers(500, 9))
    cloud = columns.cloud_liquid + columns.cloud_ice
    got = step(columns, 0.1)
    share = liquid_share(columns.air_temperature)
    threshold = share * 3.0e-4 + (1.0 - share) * 1.0e-6
    rate = cloud * (share / 5000.0 + (1.0 - share) / 3600.0) * (1.0 - np.exp(-((cloud / threshold) ** 2)))
    np.testing.assert_allclose((got.rain + got.snow)[:, 1:], rate * columns.mass, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(got.rain[:, 1:], share * rate * columns.mass, rtol=1e-4, atol=1e-12)


def falling(air_temperature: float, humidity: float, cloud: float = 2.0e-3) -> Columns:
    """A cloud at the top of layers of one temperature and humidity."""
    temperature = np.full(30, air_temperature)
    columns = one_column(temperature, np.r_[1.0, np.full(29, humidity)])
    columns.cloud_liquid[0, 0] = liquid_share(air_temperature) * cloud
    columns.cloud_ice[0, 0] = cloud - columns.cloud_liquid[0, 0]
    return columns


@pytest.mark.parametrize("air_temperature", [290.0, 250.0])
def test_precipitation_grows_by_what_it_falls_through(air_temperature: float) -> None:
    """The rate of conversion grows by 1 + 100 √F, for rain and for snow."""
    columns = falling(air_temperature, 1.0)
    cloud = columns.cloud_liquid if air_temperature > MELTING else columns.cloud_ice
    cloud[0] = 1.0e-3
    with_collection, without = (step(columns, 0.1, collection=strength) for strength in (100.0, 0.0))
    flux = (with_collection.rain + with_collection.snow)[0]
    growth = np.diff(flux) / np.diff((without.rain + without.snow)[0])
    np.testing.assert_allclose(growth, 1.0 + 100.0 * np.sqrt(flux[:-1]), rtol=1e-3)


@pytest.mark.parametrize("air_temperature", [285.0, 250.0])
def test_all_precipitation_evaporates_in_dry_air(air_temperature: float) -> None:
    columns = falling(air_temperature, 0.02, cloud=3.0e-4)
    columns.specific_humidity[0, 0] *= 1.0 - 1e-12
    got = step(columns, evaporation=1.0e-4)
    total = got.rain + got.snow
    assert total[0, 1] > 0.0
    assert total[0, -1] == 0.0
    assert (np.diff(total[0])[1:] <= 0.0).all()
    latent_heat = LV if air_temperature > MELTING else LV + LF
    # cooled by the latent heat of its phase, where it evaporates
    below = slice(2, None)
    cooling = -latent_heat / CP * got.rate_humidity[0, below]
    np.testing.assert_allclose(got.rate_temperature[0, below], cooling, rtol=1e-9, atol=1e-20)


def test_evaporation_is_the_published_rate() -> None:
    """k √F (1 − RH) for a short step, in the layer below the cloud."""
    columns = falling(285.0, 0.4)
    got = step(columns, 0.1)
    flux = got.rain[0, 1]
    assert got.rate_humidity[0, 1] == pytest.approx(1.0e-5 * np.sqrt(flux) * 0.6, rel=1e-3)


def test_saturated_air_evaporates_nothing() -> None:
    got = step(falling(285.0, 1.0))
    assert (got.rain[0, 1:] == got.rain[0, 1]).all()


def test_evaporation_moistens_to_saturation_at_most() -> None:
    columns = falling(290.0, 0.5, cloud=0.02)
    after = columns.step(step(columns, evaporation=1.0e4)._asdict(), 1200.0)
    humidity = after.specific_humidity[0] / saturation(columns.pressure, after.air_temperature)[0]
    assert humidity[1] > 0.8  # the step is linear, on the side of too little
    assert humidity.max() <= 1.0 + HUMIDITY_TOLERANCE


def snow_into(air_temperature: float, cloud: float) -> Columns:
    """An ice cloud over clear air of one temperature."""
    temperature = np.r_[250.0, np.full(29, air_temperature)]
    columns = one_column(temperature, np.r_[1.0, np.full(29, 0.9)])
    columns.cloud_ice[0, 0] = cloud
    return columns


def test_snow_melts_in_warm_air_and_cools_it() -> None:
    columns = snow_into(280.0, 1.0e-3)
    got = step(columns, evaporation=0.0)
    assert got.snow[0, 1] > 0.0
    assert got.snow[0, -1] == 0.0
    assert got.rain[0, -1] == pytest.approx(got.snow[0, 1], rel=1e-12)
    melted = -np.diff(got.snow[0])[1:]
    gained = energy_gain(columns, got._asdict())[0, 1:]
    np.testing.assert_allclose(gained, -LF * np.diff(got.rain[0])[1:], rtol=0.0, atol=ENERGY_TOLERANCE)
    assert (got.rate_temperature[0, 1:][melted > 0.0] < 0.0).all()


def test_melting_stops_at_the_melting_point() -> None:
    columns = snow_into(273.5, 0.03)
    got = step(columns, evaporation=0.0, melting_time=1.0, ice_time=100.0)
    columns_after = columns.step(got._asdict(), 1200.0)
    assert got.snow[0, -1] > 0.0
    melting = np.diff(got.snow[0]) < 0.0
    assert melting[1:].all()
    assert (columns_after.air_temperature[0, 1:] >= MELTING - 1e-9).all()
    assert (columns_after.air_temperature[0, 1:] < 273.5).all()


def test_melting_takes_its_time() -> None:
    """cp (T − T0) (1 − exp(−dt/τ)) m / (Lf dt), in the first warm layer, of more snow than that."""
    columns = snow_into(275.0, 0.03)
    got = step(columns, evaporation=0.0, ice_time=1000.0)
    melted = -np.diff(got.snow[0])[1]
    want = CP * (275.0 - MELTING) * (1.0 - np.exp(-1200.0 / 1800.0)) * columns.mass[0, 1] / (LF * 1200.0)
    assert melted == pytest.approx(want, rel=1e-10)


def test_rain_freezes_in_cold_air() -> None:
    temperature = np.r_[np.full(10, 280.0), np.full(20, 262.0)]
    columns = one_column(temperature, np.full(30, 0.99))
    columns.cloud_liquid[0, 0] = 2.0e-3
    columns.specific_humidity[0, 0] *= 1.1
    got = step(columns, evaporation=0.0)
    assert got.rain[0, 10] > 0.0
    assert got.snow[0, 10] == 0.0
    assert got.rain[0, -1] == 0.0
    assert got.snow[0, -1] == pytest.approx(got.rain[0, 10], rel=1e-12)
    assert (got.rate_temperature[0, 10] > 0.0).all()


def test_two_half_steps_are_one_step_to_first_order() -> None:
    columns = tropical_columns(40, 12)
    columns.specific_humidity[:] *= 0.9
    columns.cloud_liquid[:] = 5.0e-4
    columns.cloud_ice[:] = 1.0e-4
    columns = adjust(columns)

    def after(n_step: int, span: float) -> Columns:
        state = columns
        for _ in range(n_step):
            rates = step(state, span / n_step, ice_threshold=3.0e-5, ice_time=1.0e4)  # smooth enough for an order
            state = state.step(rates._asdict(), span / n_step)
        return state

    errors = []
    for span in (1600.0, 800.0, 400.0, 200.0):
        one, two = after(1, span), after(2, span)
        errors.append(np.abs(one.specific_humidity + one.cloud_liquid - two.specific_humidity - two.cloud_liquid).sum())
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    # one step errs in the second order, so that a run of many is of the first
    assert (orders > 1.5).all(), orders


def test_columns_do_not_know_of_each_other() -> None:
    columns = harsh_columns(60, 8)
    whole = step(columns)
    order = np.random.default_rng(0).permutation(60)[:17]
    for all_columns, some in zip(whole, step(columns.take(order)), strict=True):
        assert (all_columns[order] == some).all()


def test_layers_do_not_know_of_those_below() -> None:
    columns = harsh_columns(10, 2)
    upper = Columns(columns.pressure_interface[:, :31], *(array[:, :30] for array in list(vars(columns).values())[1:]))
    for all_layers, some in zip(step(columns), step(upper), strict=True):
        assert (all_layers[:, : some.shape[1]] == some).all()


def test_python_has_the_defaults_of_fortran() -> None:
    names = list(signature(microphysics).parameters)
    python = [signature(microphysics).parameters[name].default for name in names[names.index("liquid_time") :]]
    assert tuple(python) == _fortran_physics.wrap_emagram_microphysics__microphysics_defaults()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"time_step": -1.0}, "argument 'dt': expected values above 0"),
        ({"liquid_time": 0.0}, "argument 'liquid_time': expected values above 0"),
        ({"ice_threshold": np.inf}, "argument 'ice_threshold': expected finite values"),
        ({"evaporation": -1.0}, "argument 'evaporation': expected values from"),
        ({"cloud_liquid": np.zeros((2, 3))}, "argument 'cloud_liquid': expected 4 values in each of 2 columns, got 3"),
        ({"cloud_ice": np.full((2, 4), -1e-9)}, "argument 'cloud_ice': expected values from"),
        ({"air_temperature": np.full((2, 4), np.nan)}, "argument 'air_temperature': expected finite values"),
        ({"pressure_interface": np.ones(5)}, "argument 'air_pressure_at_interface': expected shape"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], text: str) -> None:
    columns = tropical_columns(2, 0, n_level=4)
    arguments = columns.cloudy | {"time_step": 1200.0, "pressure_interface": columns.pressure_interface} | changes
    with pytest.raises(EmagramError, match=text):
        microphysics(arguments.pop("pressure_interface"), **arguments)
