"""Sunlight at the top of the atmosphere, averaged over a time step."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_size


class Sun(NamedTuple):
    """Sunlight of each column, mean over the step, 0 at night; (n_column,)."""

    cosine_of_solar_zenith_angle: Array  # [1]
    toa_incoming_shortwave_flux: Array  # [W m-2] downward


def sun(
    day: float,
    latitude: ArrayLike,
    longitude: ArrayLike,
    *,
    time_step: float,
    solar_irradiance: float = 1361.0,
    obliquity: float = 23.44,
    eccentricity: float = 0.0167,
    longitude_of_perihelion: float = 282.9,
    days_per_year: float = 365.0,
    day_of_equinox: float = 79.5,
) -> Sun:
    """Mean over a time step of sunlight through the horizontal top, S (a/r)² ⟨max(cos ζ, 0)⟩.

    cos ζ = sin φ sin δ + cos φ cos δ cos h at latitude φ and hour angle h; sin δ = sin ε sin λ; a/r and the sun's
    longitude λ from Kepler's equation. The mean is an integral over the daylight in the step, so that sums over steps
    do not depend on their length; a step of one day gives daily insolation.

    Args:
        day: [day] of the middle of the step, from the beginning of a year, in UTC; any number.
        latitude: [degree_north] (n_column,).
        longitude: [degree_east] (n_column,), −360 to 360.
        time_step: [s].
        solar_irradiance: S [W m-2], at the mean distance.
        obliquity: ε [degree].
        eccentricity: [1], up to 0.3.
        longitude_of_perihelion: [degree], the sun's longitude when it is nearest, from the March equinox.
        days_per_year: [day].
        day_of_equinox: [day] of the March equinox, from the beginning of the year; E3SM has noon of 21 March.
    Raises:
        EmagramError: if the sizes differ or a value is out of its range.
    Source: Berger 1978, doi:10.1175/1520-0469(1978)035<2362:LTVODI>2.0.CO;2
    """
    n_column = column_size("latitude", latitude)
    orbit = (solar_irradiance, obliquity, eccentricity, longitude_of_perihelion, days_per_year, day_of_equinox)
    return Sun(*call("sun", "sun", day, time_step, *orbit, latitude, longitude, results=[(n_column,)] * 2))
