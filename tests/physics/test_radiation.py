"""Is it like the atmosphere? Columns of known climates, beside what is known of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emagram.emulators.data.rfmip import read_rfmip
from emagram.physics.fortran_physics.thermodynamics import saturation_vapor_pressure
from radiative_columns import CONSTANTS, Array, Columns, interface_pressure, ozone_profile

N_LEVEL = 60
ALBEDO = 0.07


def climate(surface_temperature: float, cosine: float, sunlight: float) -> Columns:
    """A clear column: 6.5 K/km up to 200 K, relative humidity of 70 %, ozone, ground of albedo 0.07."""
    interface = interface_pressure(np.array([1.0e5]), N_LEVEL)
    middle = 0.5 * (interface[:, 1:] + interface[:, :-1])
    lapse = 6.5e-3 * CONSTANTS.gas_constant_dry_air / CONSTANTS.gravity
    temperature = np.maximum(surface_temperature * (middle / interface[:, -1:]) ** lapse, 200.0)
    vapor = 0.7 * saturation_vapor_pressure(temperature)
    humidity = np.where(temperature > 200.0, 0.622 * vapor / (middle - 0.378 * np.minimum(vapor, middle)), 3.0e-6)
    nothing = np.zeros_like(middle)
    return Columns(
        interface=interface,
        temperature=temperature,
        humidity=np.maximum(humidity, 3.0e-6),
        liquid=nothing,
        ice=nothing,
        ozone=ozone_profile(middle),
        surface_up=np.array([CONSTANTS.stefan_boltzmann * surface_temperature**4]),
        cosine=np.array([cosine]),
        sunlight=np.array([sunlight]),
        albedo=np.full((4, 1), ALBEDO),
    )


TROPICS = climate(300.0, 0.6, 415.0)
MIDDLE_LATITUDES = climate(288.0, 0.5, 300.0)
WINTER = climate(265.0, 0.25, 80.0)


def outgoing(columns: Columns, **parameters: float) -> float:
    return float(columns.longwave(**parameters).upwelling_longwave_flux_in_air[0, 0])


def with_cloud(columns: Columns, *, liquid: float = 0.0, ice: float = 0.0) -> Columns:
    """Paths of cloud [kg m-2], liquid near 850 hPa and ice near 250 hPa."""
    middle = 0.5 * (columns.interface[:, 1:] + columns.interface[:, :-1])
    fields = {}
    for name, path, pressure in (("liquid", liquid, 8.5e4), ("ice", ice, 2.5e4)):
        inside = (np.abs(middle - pressure) < 3.0e3).astype(float)
        fields[name] = path * inside / (inside * columns.path).sum(axis=1, keepdims=True)
    return replace(columns, **fields)


def reflected(columns: Columns) -> float:
    return float(columns.shortwave().upwelling_shortwave_flux_in_air[0, 0] / columns.sunlight[0])


@pytest.mark.parametrize(("columns", "low", "high"), [(TROPICS, 230.0, 300.0), (MIDDLE_LATITUDES, 215.0, 270.0)])
def test_clear_sky_emission(columns: Columns, low: float, high: float) -> None:
    assert low < outgoing(columns) < high
    assert 0.65 * columns.surface_up[0] < columns.longwave().downwelling_longwave_flux_in_air[0, -1]
    assert columns.longwave().downwelling_longwave_flux_in_air[0, -1] < columns.surface_up[0]


def test_core_and_rest_emit_what_the_grey_scheme_does() -> None:
    """Each over its own equilibrium; the grey scheme with the a and b of Byrne and O'Gorman."""
    grey = {"core_fraction": 0.0, "well_mixed_depth": 0.8678}
    for columns in (TROPICS, MIDDLE_LATITUDES):
        ours = outgoing(replace(columns, temperature=equilibrium(columns)))
        theirs = outgoing(replace(columns, temperature=equilibrium(columns, **grey)), **grey)
        assert ours == pytest.approx(theirs, abs=2.0)


def test_doubled_carbon_dioxide() -> None:
    for columns in (TROPICS, MIDDLE_LATITUDES):
        assert 3.0 < outgoing(columns) - outgoing(columns, well_mixed_factor=1.15) < 5.0


def test_clear_tropical_air_absorbs_some_70_watts() -> None:
    light = TROPICS.shortwave()
    net = light.downwelling_shortwave_flux_in_air - light.upwelling_shortwave_flux_in_air
    assert 60.0 < net[0, 0] - net[0, -1] < 85.0
    assert 0.09 < reflected(TROPICS) < 0.14


def test_clouds_reflect_and_shield() -> None:
    thin, middling, thick = (reflected(with_cloud(TROPICS, liquid=path)) for path in (0.02, 0.1, 0.5))
    assert reflected(TROPICS) + 0.05 < thin < 0.35 < middling < 0.65 < thick < 0.85
    assert 0.35 < reflected(with_cloud(TROPICS, ice=0.1)) < 0.6
    assert outgoing(with_cloud(TROPICS, ice=0.1)) < 0.65 * outgoing(TROPICS)
    assert outgoing(with_cloud(TROPICS, liquid=0.1)) > 0.9 * outgoing(TROPICS)
    below = with_cloud(WINTER, liquid=0.1).longwave().downwelling_longwave_flux_in_air[0, -1]
    assert below > WINTER.longwave().downwelling_longwave_flux_in_air[0, -1] + 20.0


def equilibrium(columns: Columns, **parameters: float) -> Array:
    """Radiative-convective temperature, troposphere no colder than 6.5 K/km from the ground; after 700 days."""
    middle = 0.5 * (columns.interface[:, 1:] + columns.interface[:, :-1])
    surface = (columns.surface_up / CONSTANTS.stefan_boltzmann) ** 0.25
    lapse = 6.5e-3 * CONSTANTS.gas_constant_dry_air / CONSTANTS.gravity
    convective = np.where(middle > 5.0e3, surface[:, None] * (middle / columns.interface[:, -1:]) ** lapse, 0.0)
    sunlight = columns.shortwave().tendency_of_air_temperature_due_to_shortwave_heating
    temperature = columns.temperature
    for _ in range(1400):
        longwave = replace(columns, temperature=temperature).longwave(**parameters)
        rate = longwave.tendency_of_air_temperature_due_to_longwave_heating + sunlight
        temperature = np.maximum(temperature + 43200.0 * rate, convective)
    return temperature


@pytest.mark.parametrize("columns", [TROPICS, MIDDLE_LATITUDES], ids=["tropics", "middle latitudes"])
def test_stratosphere_of_equilibrium(columns: Columns) -> None:
    temperature = equilibrium(columns)[0]
    middle = 0.5 * (columns.interface[0, 1:] + columns.interface[0, :-1])
    above = middle < 2.0e4
    assert (temperature[above] > 180.0).all()
    assert (temperature[above] < 300.0).all()
    # coldest between the troposphere and the ozone layer, warmest of the stratosphere near 1 hPa
    assert 1.0e3 < middle[above][temperature[above & (middle > 100.0)].argmin() + (middle <= 100.0).sum()] < 2.0e4
    assert 30.0 < middle[middle < 3.0e3][temperature[middle < 3.0e3].argmax()] < 500.0
    # what the core of the 15 µm band is for
    assert equilibrium(columns, core_fraction=0.0)[0].max() > 310.0


def test_clear_sky_of_rfmip(real_data: Path) -> None:
    """Beside RTE+RRTMGP, fifteen climates: grey, so not exact, but no sum is off by more than 20 %."""
    read = {name: np.asarray(values) for name, values in read_rfmip(real_data / "rfmip").variables.items()}
    nothing = np.zeros_like(read["air_temperature"])
    columns = Columns(
        interface=read["air_pressure_at_interface"],
        temperature=read["air_temperature"],
        humidity=read["specific_humidity"],
        liquid=nothing,
        ice=nothing,
        ozone=read["mole_fraction_of_ozone_in_air"] * 48.0 / 28.97,
        surface_up=read["surface_upwelling_longwave_flux_in_air"],
        cosine=read["cosine_of_solar_zenith_angle"],
        sunlight=read["toa_incoming_shortwave_flux"],
        albedo=np.tile(read["surface_albedo"], (4, 1)),
    )
    weight = read["profile_weight"] / read["profile_weight"].sum()
    for fluxes in (columns.longwave(), columns.shortwave()):
        for name, level in zip(fluxes._fields[:2], (0, -1), strict=True):
            got, want = getattr(fluxes, name)[:, level], read[name][:, level]
            assert (weight * got).sum() == pytest.approx((weight * want).sum(), rel=0.2), name
            assert np.corrcoef(got, want)[0, 1] > 0.9, name
