"""Sunlight: daily insolation, integrals over day, year and sphere, an orbit integrated step by step, climt."""

from __future__ import annotations

import datetime

import climt
import numpy as np
import pytest
import sympl
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.sun import sun
from radiative_columns import Array, fortran_defaults, python_defaults

DAY = 86400.0
LATITUDE = np.linspace(-90.0, 90.0, 37)
SOLSTICE = 79.5 + 92.8  # about when the sun stands highest in the north
# the season stands still, so that steps of one day see one sun
STILL = {"days_per_year": 1.0e15, "eccentricity": 0.0}


def position(day: float, *, eccentricity: float = 0.0167, perihelion: float = 282.9) -> tuple[float, float]:
    """Declination [rad] and (a/r)², from dν/dt = 2π/T √(1 − e²) (a/r)² (equal areas), from the equinox."""

    def speed(longitude: float) -> float:
        return (
            2.0
            * np.pi
            / 365.0
            * (1.0 + eccentricity * np.cos(longitude - np.radians(perihelion))) ** 2
            / (1.0 - eccentricity**2) ** 1.5
        )

    longitude, n_step = 0.0, 400
    h = (day - 79.5) / n_step
    for _ in range(n_step):
        a = speed(longitude)
        b = speed(longitude + 0.5 * h * a)
        c = speed(longitude + 0.5 * h * b)
        longitude += h / 6.0 * (a + 2.0 * b + 2.0 * c + speed(longitude + h * c))
    inverse = (1.0 + eccentricity * np.cos(longitude - np.radians(perihelion))) / (1.0 - eccentricity**2)
    return float(np.arcsin(np.sin(np.radians(23.44)) * np.sin(longitude))), inverse**2


def zeros(latitude: Array) -> Array:
    return np.zeros_like(latitude)


@pytest.mark.parametrize("day", [0.0, 3.6, 79.5, 100.3, 172.7, 265.0, 364.99, 400.25, -20.0])
def test_daily_insolation(day: float) -> None:
    """S/π (a/r)² (H sin φ sin δ + cos φ cos δ sin H), cos H = −tan φ tan δ."""
    declination, squared = position(day)
    latitude = np.radians(LATITUDE)
    half_day = np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1.0, 1.0))
    want = (
        1361.0
        / np.pi
        * squared
        * (
            half_day * np.sin(latitude) * np.sin(declination)
            + np.cos(latitude) * np.cos(declination) * np.sin(half_day)
        )
    )
    got = sun(day, LATITUDE, zeros(LATITUDE), time_step=DAY)
    np.testing.assert_allclose(got.toa_incoming_shortwave_flux, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("time_step", [1.0, 1200.0, 10800.0, 50000.0, 1.7 * DAY, 12.0 * DAY])
def test_mean_over_a_step(time_step: float) -> None:
    """Against the mean of max(cos ζ, 0) at 200,000 moments of the step."""
    day = 35.13
    declination, _ = position(day)
    longitude = np.array([0.0, -77.0, 123.4, 250.0, 359.0])
    latitude = np.array([10.0, -67.0, 45.0, -90.0, 75.0])
    moment = day + time_step / DAY * ((np.arange(200_000) + 0.5) / 200_000 - 0.5)
    hour = 2.0 * np.pi * (moment[:, None] + longitude / 360.0 - 0.5)
    phi = np.radians(latitude)
    cosine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    got = sun(day, latitude, longitude, time_step=time_step).cosine_of_solar_zenith_angle
    np.testing.assert_allclose(got, np.maximum(cosine, 0.0).mean(axis=0), rtol=2e-8, atol=1e-9)


@pytest.mark.parametrize("n_step", [2, 7, 72, 8640])
def test_steps_add_up_to_the_day(n_step: int) -> None:
    whole = sun(100.5, LATITUDE, 7.0 * LATITUDE / 4.0, time_step=DAY, **STILL).toa_incoming_shortwave_flux
    parts = [
        sun(100.0 + (i + 0.5) / n_step, LATITUDE, 7.0 * LATITUDE / 4.0, time_step=DAY / n_step, **STILL)
        for i in range(n_step)
    ]
    mean = np.mean([part.toa_incoming_shortwave_flux for part in parts], axis=0)
    np.testing.assert_allclose(mean, whole, rtol=1e-12, atol=1e-9)


def test_the_sphere_receives_a_quarter() -> None:
    """Over a year, S/(4 √(1 − e²))."""
    sine, weight = np.polynomial.legendre.leggauss(64)
    latitude = np.degrees(np.arcsin(sine))
    year = [sun(day + 0.5, latitude, zeros(latitude), time_step=DAY).toa_incoming_shortwave_flux for day in range(365)]
    mean = (0.5 * weight * np.mean(year, axis=0)).sum()
    assert mean == pytest.approx(1361.0 / 4.0 / np.sqrt(1.0 - 0.0167**2), rel=1e-5)


def test_polar_night_is_dark_and_polar_day_is_even() -> None:
    latitude = np.array([-90.0, -70.0, 70.0, 90.0])
    light = np.array(
        [
            sun(SOLSTICE + hour / 24.0, latitude, zeros(latitude), time_step=1200.0).toa_incoming_shortwave_flux
            for hour in range(24)
        ]
    )
    assert (light[:, :2] == 0.0).all()
    assert (light[:, 2:] > 50.0).all()
    np.testing.assert_allclose(light[:, 3], light[0, 3], rtol=5e-4)


def test_night_is_exactly_dark_and_noon_is_bright() -> None:
    longitude = np.linspace(-180.0, 180.0, 721)
    light = sun(79.5, zeros(longitude), longitude, time_step=1200.0).cosine_of_solar_zenith_angle
    assert (light[np.abs(longitude) > 93.0] == 0.0).all()
    assert (light[np.abs(longitude) < 87.0] > 0.0).all()
    assert light[360] == light.max() == pytest.approx(1.0, abs=1e-3)


def test_the_sun_stands_overhead_at_the_tropic() -> None:
    days = np.arange(160, 186)
    noon = [float(sun(day + 0.5, [23.44], [0.0], time_step=1.0).cosine_of_solar_zenith_angle[0]) for day in days]
    assert max(noon) == pytest.approx(1.0, abs=2e-5)
    assert abs(days[int(np.argmax(noon))] - 172) <= 1


def test_earlier_in_the_east() -> None:
    east = sun(10.0, LATITUDE, zeros(LATITUDE) + 90.0, time_step=1200.0, **STILL)
    later = sun(10.25, LATITUDE, zeros(LATITUDE), time_step=1200.0, **STILL)
    np.testing.assert_allclose(east.toa_incoming_shortwave_flux, later.toa_incoming_shortwave_flux, atol=1e-9)


def test_years_repeat() -> None:
    first, later = (sun(day, LATITUDE, LATITUDE, time_step=1200.0) for day in (30.7, 30.7 + 20 * 365.0))
    np.testing.assert_allclose(first.toa_incoming_shortwave_flux, later.toa_incoming_shortwave_flux, atol=1e-8)


@settings(deadline=None, max_examples=200)
@given(
    day=st.floats(-1e4, 1e6),
    time_step=st.floats(1e-3, 1e7),
    latitude=st.floats(-90.0, 90.0),
    longitude=st.floats(-360.0, 360.0),
    obliquity=st.floats(0.0, 90.0),
    eccentricity=st.floats(0.0, 0.3),
)
def test_any_orbit(
    day: float, time_step: float, latitude: float, longitude: float, obliquity: float, eccentricity: float
) -> None:
    got = sun(day, [latitude], [longitude], time_step=time_step, obliquity=obliquity, eccentricity=eccentricity)
    cosine, flux = (float(values[0]) for values in got)
    assert 0.0 <= cosine <= 1.0
    assert 1361.0 * cosine / (1.0 + eccentricity) ** 2 * 0.999999 <= flux
    assert flux <= 1361.0 * cosine / (1.0 - eccentricity) ** 2 * 1.000001


def test_a_column_depends_on_itself_alone() -> None:
    chosen = np.array([30, 4, 4, 11])
    among = sun(12.34, LATITUDE, 1.7 * LATITUDE, time_step=1200.0)
    for alone, all_ in zip(sun(12.34, LATITUDE[chosen], 1.7 * LATITUDE[chosen], time_step=1200.0), among, strict=True):
        np.testing.assert_array_equal(alone, all_[chosen])


@pytest.mark.parametrize("month", [1, 3, 6, 10])
def test_agrees_with_climt(month: int) -> None:
    """Both of climt's suns, summed over a day, which the equation of time (in the first of them) does not change.

    Its Berger sun takes latitudes in radians, whatever its properties say, goes below the horizon, and has an orbit
    of its own (phases in degrees taken as radians), which is lent to ours here.
    """
    moments = [datetime.datetime(2001, month, 20) + datetime.timedelta(minutes=5 * i + 2.5) for i in range(288)]
    state = {"latitude": LATITUDE, "longitude": zeros(LATITUDE)}
    radians = {"latitude": np.radians(LATITUDE), "longitude": zeros(LATITUDE)}
    instellation, berger = climt.Instellation(), climt.BergerSolarInsolation()
    zenith = [instellation.array_call(state | {"time": time})["zenith_angle"] for time in moments]
    insolation = [berger.array_call(radians | {"time": time})["solar_insolation"] for time in moments]
    day = (moments[0] - datetime.datetime(2001, 1, 1)).days + 0.5
    got = sun(day, LATITUDE, zeros(LATITUDE), time_step=DAY, day_of_equinox=78.56)  # of 2001
    np.testing.assert_allclose(got.cosine_of_solar_zenith_angle, np.mean(np.cos(zenith), axis=0), atol=1e-3)
    _, eccentricity, perihelion, obliquity = berger._orbital_parameters[2001]
    got = sun(
        day,
        LATITUDE,
        zeros(LATITUDE),
        time_step=DAY,
        day_of_equinox=78.5,
        solar_irradiance=sympl.get_constant("stellar_irradiance", "W/m^2"),
        eccentricity=eccentricity,
        obliquity=np.degrees(obliquity),
        longitude_of_perihelion=(np.degrees(perihelion) + 180.0) % 360.0,
    )
    want = np.mean(np.maximum(insolation, 0.0), axis=0)
    np.testing.assert_allclose(got.toa_incoming_shortwave_flux, want, atol=1.5)


def test_defaults_are_those_of_fortran() -> None:
    assert python_defaults(sun) == fortran_defaults("sun")
    assert len(fortran_defaults("sun")) == 6


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"latitude": [0.0, 91.0]}, "argument 'latitude': expected values from -9.0000E\\+01 to"),
        ({"latitude": 10.0}, r"argument 'latitude': expected shape \(n_column,\), got \(\)"),
        ({"longitude": [0.0]}, "argument 'longitude': expected size 2, got 1"),
        ({"longitude": [0.0, np.nan]}, "argument 'longitude': expected finite values"),
        ({"day": float("inf")}, "argument 'day': expected finite values"),
        ({"time_step": 0.0}, "argument 'time_step': expected values above 0"),
        ({"solar_irradiance": -1.0}, "argument 'solar_irradiance': expected values from"),
        ({"obliquity": 91.0}, "argument 'obliquity': expected values from"),
        ({"eccentricity": 0.5}, "argument 'eccentricity': expected values from"),
        ({"longitude_of_perihelion": -80.0}, "argument 'longitude_of_perihelion': expected values from"),
        ({"days_per_year": 0.0}, "argument 'days_per_year': expected values above 0"),
        ({"day_of_equinox": float("nan")}, "argument 'day_of_equinox': expected finite values"),
    ],
)
def test_bad_arguments(change: dict[str, object], text: str) -> None:
    arguments = {"day": 1.0, "latitude": [0.0, 10.0], "longitude": [0.0, 10.0], "time_step": 1200.0} | change
    with pytest.raises(EmagramError, match=text):
        sun(**arguments)  # type: ignore[arg-type]
