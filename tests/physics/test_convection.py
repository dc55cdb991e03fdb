"""Convection: closure, the published scheme written a second time, limits, what falls where, climt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from inspect import signature
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics import _fortran_physics
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.convection import Convection, convection
from emagram.physics.fortran_physics.parcel import parcel_ascent
from moist_columns import (
    CONSTANTS,
    CP,
    ENERGY_TOLERANCE,
    LF,
    LV,
    RD,
    WATER_TOLERANCE,
    Array,
    Columns,
    energy_gain,
    harsh_columns,
    liquid_share,
    saturation,
    tropical_columns,
    water_gain,
)

NONE, SHALLOW, DEEP = 0.0, 1.0, 2.0
seeds = st.integers(0, 2**32 - 1)
shares = st.sampled_from([0.0, 0.1, 0.7, 1.0])


def convect(columns: Columns, time_step: float = 1200.0, **changes: Any) -> Convection:
    return convection(columns.pressure_interface, time_step=time_step, **(columns.clear | changes))


def of_regime(regime: float, seed: int = 1) -> Columns:
    columns = tropical_columns(300, seed)
    chosen = columns.take(convect(columns).regime == regime)
    assert len(chosen.air_temperature) > 20
    return chosen


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(20, 70), st.floats(300.0, 1.0e5), shares, shares, st.sampled_from([0.0, 1.0e4]))
def test_columns_close_energy_and_water(
    seed: int, n_level: int, time_step: float, detrained_share: float, retained_condensate: float, source_depth: float
) -> None:
    for columns in (harsh_columns(20, seed, n_level), tropical_columns(20, seed, n_level)):
        got = convect(
            columns,
            time_step,
            detrained_share=detrained_share,
            retained_condensate=retained_condensate,
            source_depth=source_depth,
        )
        assert all(np.isfinite(field).all() for field in got)
        rates = got._asdict()
        assert np.abs(water_gain(columns, rates).sum(axis=1) + got.rain + got.snow).max() <= WATER_TOLERANCE
        assert np.abs(energy_gain(columns, rates).sum(axis=1) + LF * got.rain).max() <= ENERGY_TOLERANCE
        after = columns.step(rates, time_step)
        assert (after.specific_humidity >= 0.0).all()
        for never_negative in (got.rate_liquid, got.rate_ice, got.rain, got.snow, got.cape):
            assert (never_negative >= 0.0).all()


def published_scheme(columns: Columns, time_step: float) -> dict[str, Array]:
    """Frierson 2007, for one column at a time with arrays over its layers, the top found by interpolation
    in the cumulative moisture; deep convection is as fast as the slower of warming and drying; the parcel is that of
    parcel_ascent.
    """
    share = 1.0 - np.exp(-time_step / 7200.0)
    rates = {name: np.zeros_like(columns.pressure) for name in ("temperature", "humidity")}
    rates |= {"fall": np.zeros(len(columns.pressure)), "cape": np.zeros(len(columns.pressure))}
    ascent = parcel_ascent(
        columns.pressure,
        air_temperature=columns.air_temperature[:, -1],
        specific_humidity=columns.specific_humidity[:, -1],
    )
    excess = 1.0 / CONSTANTS.epsilon - 1.0
    for i, pressure in enumerate(columns.pressure):
        parcel, vapor = ascent.air_temperature[i], ascent.specific_humidity[i]
        air, humidity, mass = columns.air_temperature[i], columns.specific_humidity[i], columns.mass[i]
        buoyancy = parcel * (1.0 + excess * vapor) - air * (1.0 + excess * humidity)
        buoyancy[-1] = 0.0
        positive = (buoyancy > 0.0) & (pressure < ascent.condensation_pressure[i])
        if not positive.any():
            continue
        first = np.flatnonzero(positive)[-1]
        negative_above = np.flatnonzero(~positive[:first])
        top = negative_above[-1] + 1 if len(negative_above) else 0
        work = RD * buoyancy * np.diff(columns.pressure_interface[i]) / pressure
        if -np.minimum(work[first:], 0.0).sum() > 100.0:
            continue
        rates["cape"][i] = work[top : first + 1].sum()
        partial = 0.8 * pressure * vapor / (CONSTANTS.epsilon + (1.0 - CONSTANTS.epsilon) * vapor)
        wanted = CONSTANTS.epsilon * partial / (pressure - (1.0 - CONSTANTS.epsilon) * partial)
        part = np.where(np.arange(len(pressure)) >= top, 1.0, 0.0)
        if (part * (parcel - air) * mass).sum() <= 0.0:
            continue
        drying = part * (humidity - wanted) * mass
        if drying.sum() <= 0.0:
            from_below = np.cumsum(drying[::-1])[::-1]
            if not (from_below > 0.0).any():
                continue
            edge = np.flatnonzero(from_below > 0.0)[0]
            part[: edge - 1] = 0.0
            part[edge - 1] = from_below[edge] / (from_below[edge] - from_below[edge - 1])
            drying = part * (humidity - wanted) * mass
        fall = max(drying.sum(), 0.0) if part.sum() == round(part.sum()) else 0.0
        warming, warmed = part * (parcel - air), CP * (part * (parcel - air) * mass).sum()
        slower = min(LV * fall, warmed)
        if fall > 0.0:
            warming, part, fall = warming * slower / warmed, part * slower / (LV * fall), slower / LV
        else:
            warming -= part * warmed / CP / (part * mass).sum()
        rates["temperature"][i] = warming * share / time_step
        rates["humidity"][i] = part * (wanted - humidity) * share / time_step
        rates["fall"][i] = fall * share / time_step
    return rates


@pytest.mark.parametrize("time_step", [300.0, 1800.0, 86400.0])
def test_rates_are_those_of_the_published_scheme(time_step: float) -> None:
    columns = tropical_columns(200, 4)
    # warm and cold layers, so that parcels have several levels of zero buoyancy
    columns.air_temperature[100:, :55] += np.random.default_rng(1).normal(0.0, 0.5, (100, 55))
    got = convect(columns, time_step, detrained_share=0.0)
    assert {NONE, SHALLOW, DEEP} <= set(got.regime) or {SHALLOW, DEEP} == set(got.regime)
    assert not got.snow.any()
    want = published_scheme(columns, time_step)
    np.testing.assert_allclose(got.cape, want["cape"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(got.rain, want["fall"], rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(got.rate_humidity, want["humidity"], rtol=1e-9, atol=1e-19)
    np.testing.assert_allclose(got.rate_temperature, want["temperature"], rtol=1e-8, atol=1e-14)


def test_deep_convection_dries_and_shallow_keeps_the_water() -> None:
    deep, shallow = convect(of_regime(DEEP)), convect(of_regime(SHALLOW))
    assert (deep.rain > 0.0).all()
    assert not shallow.rain.any()
    assert not shallow.snow.any()
    assert not shallow.rate_liquid.any()
    assert not shallow.rate_ice.any()
    columns = of_regime(SHALLOW)
    assert np.abs((CP * shallow.rate_temperature * columns.mass).sum(axis=1)).max() < ENERGY_TOLERANCE


def test_long_steps_end_at_the_reference_and_short_ones_are_proportional() -> None:
    columns = of_regime(DEEP)
    long, short, shorter = convect(columns, 1.0e7), convect(columns, 0.02), convect(columns, 0.01)
    np.testing.assert_allclose(shorter.rain, short.rain, rtol=1e-5)
    reference = columns.step(long._asdict(), 1.0e7)
    # the rates of an infinitesimal step are the distances over 7200 s
    changed = long.rate_humidity != 0.0
    distance = (reference.specific_humidity - columns.specific_humidity)[changed]
    np.testing.assert_allclose(shorter.rate_humidity[changed], distance / 7200.0, rtol=1e-5)
    humidity = reference.specific_humidity / saturation(columns.pressure, columns.air_temperature + 0.0)
    assert humidity.max() < 1.5


def test_convection_left_alone_ends() -> None:
    columns = of_regime(DEEP)
    first = convect(columns)
    for _ in range(400):
        columns = columns.step(convect(columns, 1800.0)._asdict(), 1800.0)
    last = convect(columns)
    assert (last.rain < 0.02 * first.rain).all()
    assert np.abs(last.rate_temperature).max() < 0.05 * np.abs(first.rate_temperature).max()


def test_convection_fades_with_what_drives_it() -> None:
    """Towards the parcel's temperature rain fades without a jump; a uniform shift would keep it to the end."""
    columns = of_regime(DEEP)
    ascent = parcel_ascent(
        columns.pressure,
        air_temperature=columns.air_temperature[:, -1],
        specific_humidity=columns.specific_humidity[:, -1],
    )
    changed = convect(columns).rate_humidity != 0.0
    rain = []
    for way in np.linspace(0.0, 1.0, 101):
        nearer = columns.air_temperature + way * (ascent.air_temperature - columns.air_temperature)
        rain.append(convect(replace(columns, air_temperature=np.where(changed, nearer, columns.air_temperature))).rain)
    largest = np.max(rain, axis=0)
    assert (rain[-1] <= 1e-9 * largest).all()
    assert np.quantile(np.abs(np.diff(rain, axis=0)).max(axis=0) / largest, 0.9) < 0.15


def stable(columns: Columns) -> Columns:
    return replace(columns, air_temperature=np.full_like(columns.air_temperature, 285.0))


def dry(columns: Columns) -> Columns:
    return replace(columns, specific_humidity=np.zeros_like(columns.specific_humidity))


@pytest.mark.parametrize("make", [stable, dry])
def test_nothing_happens_in_stable_or_dry_air(make: Callable[[Columns], Columns]) -> None:
    got = convect(make(tropical_columns(20, 3)))
    assert not any(field.any() for field in got)


def test_an_inversion_inhibits() -> None:
    columns = of_regime(DEEP)
    columns.air_temperature[:, 53:59] += 6.0
    assert not convect(columns).regime.any()
    assert convect(columns, largest_inhibition=1.0e5).cape.max() > 0.0


def test_the_parcel_is_the_most_unstable_where_it_may_choose() -> None:
    """A cold lowest layer holds surface parcels down; those above it rise."""
    columns = of_regime(DEEP)
    columns.air_temperature[:, -1] -= 8.0
    columns.specific_humidity[:, -1] *= 0.5
    from_lowest, from_above = convect(columns), convect(columns, source_depth=1.0e4)
    assert not from_lowest.regime.any()
    assert (from_above.cape > 0.0).all()
    assert from_above.rate_humidity.any(axis=1).mean() > 0.5
    assert not from_above.rate_humidity[:, -1].any()
    assert not from_above.rate_temperature[:, -1].any()


def test_detrained_cloud_is_below_the_top_in_the_phase_of_its_temperature() -> None:
    columns = of_regime(DEEP)
    got, without = convect(columns, detrained_share=0.25), convect(columns, detrained_share=0.0)
    assert not without.rate_liquid.any()
    assert not without.rate_ice.any()
    cloud = got.rate_liquid + got.rate_ice
    np.testing.assert_allclose(3.0 * (cloud * columns.mass).sum(axis=1), got.rain, rtol=1e-12)
    np.testing.assert_allclose(got.rate_liquid, liquid_share(columns.air_temperature) * cloud, rtol=1e-12)
    for pressure, changed, detrained in zip(columns.pressure, got.rate_humidity != 0.0, cloud > 0.0, strict=True):
        top, ground = pressure[changed].min(), pressure[-1]
        assert (detrained == ((pressure >= top) & (pressure <= top + 0.3 * (ground - top)))).all()


@pytest.mark.parametrize(
    ("limits", "rain_share"), [((310.0, 320.0), 0.0), ((200.0, 210.0), 1.0), ((310.0, 310.0), 0.0)]
)
def test_it_snows_where_the_air_near_the_surface_is_cold(limits: tuple[float, float], rain_share: float) -> None:
    columns = of_regime(DEEP)
    got = convect(columns, snow_temperature=limits[0], rain_temperature=limits[1])
    total = convect(columns)
    fall = got.rain + got.snow
    np.testing.assert_allclose(got.rain, rain_share * fall, rtol=1e-12)
    # where warming limits, as much heat is released by less snow
    assert (fall <= total.rain * (1.0 + 1e-12)).all()
    assert (fall >= total.rain * LV / (LV + LF) * (1.0 - 1e-12)).all()


def test_between_the_limits_rain_and_snow_share() -> None:
    columns = of_regime(DEEP)
    near = columns.pressure >= columns.pressure[:, -1:] - 5000.0
    mean = np.average(columns.air_temperature, axis=1, weights=columns.mass * near)
    got = convect(columns, snow_temperature=290.0, rain_temperature=310.0)
    np.testing.assert_allclose(got.rain / (got.rain + got.snow), (mean - 290.0) / 20.0, rtol=1e-12)


def test_columns_do_not_know_of_each_other() -> None:
    columns = harsh_columns(60, 8)
    whole = convect(columns)
    order = np.random.default_rng(0).permutation(60)[:17]
    for all_columns, some in zip(whole, convect(columns.take(order)), strict=True):
        assert (all_columns[order] == some).all()


def test_that_of_emanuel_rains_where_this_one_does() -> None:
    """climt's: another scheme, so no more than that; in air that is stable and dry neither rains."""
    columns = tropical_columns(8, 6, n_level=30)
    raining = columns.take(convect(columns).rain > 0.0)
    assert len(raining.pressure) > 1
    assert all(emanuel(raining.take([i])) > 0.0 for i in range(len(raining.pressure)))
    assert emanuel(stable(dry(columns.take([0])))) == 0.0


def emanuel(column: Columns) -> float:
    """Precipitation of one column."""
    import climt

    scheme = climt.EmanuelConvection()
    state = climt.get_default_state([scheme], grid_state=climt.get_grid(nx=1, ny=1, nz=column.pressure.shape[1]))
    for name, values in {
        "air_pressure": column.pressure,
        "air_pressure_on_interface_levels": column.pressure_interface,
        "air_temperature": column.air_temperature,
        "specific_humidity": column.specific_humidity,
    }.items():
        state[name].values[:, 0, 0] = values[0, ::-1]
    for _ in range(3):  # its mass flux begins at zero
        _, diagnostics = scheme(state, timedelta(seconds=1200))
        state.update(diagnostics)
    return float(diagnostics["convective_precipitation_rate"].values.sum())


def test_python_has_the_defaults_of_fortran() -> None:
    names = list(signature(convection).parameters)
    python = [signature(convection).parameters[name].default for name in names[names.index("relaxation_time") :]]
    assert tuple(python) == _fortran_physics.wrap_emagram_convection__convection_defaults()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"time_step": 0.0}, "argument 'dt': expected values above 0"),
        ({"relaxation_time": -1.0}, "argument 'relaxation_time': expected values above 0"),
        ({"reference_relative_humidity": 1.2}, "argument 'reference_relative_humidity': expected values from"),
        ({"detrained_share": np.nan}, "argument 'detrained_share': expected finite values"),
        ({"rain_temperature": 270.0}, "argument 'rain_temperature': expected values from"),
        ({"air_temperature": np.full((2, 3), 280.0)}, "argument 'air_temperature': expected 4 values in each of 2"),
        ({"specific_humidity": np.full((2, 4), -1e-9)}, "argument 'specific_humidity': expected values from"),
        ({"pressure_interface": np.ones(5)}, "argument 'air_pressure_at_interface': expected shape"),
        ({"pressure_interface": np.ones((2, 5))}, "argument 'air_pressure_at_interface': expected values that incr"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], text: str) -> None:
    columns = tropical_columns(2, 0, n_level=4)
    arguments = columns.clear | {"time_step": 1200.0, "pressure_interface": columns.pressure_interface} | changes
    with pytest.raises(EmagramError, match=text):
        convection(arguments.pop("pressure_interface"), **arguments)
