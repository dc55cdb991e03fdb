"""Shortwave radiation: the streams' own equations solved another way, published absorption, limits, closure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.shortwave import Albedo, Shortwave, shortwave
from light_streams import TERMS, layer_optics, solve
from radiative_columns import CLOSURE, Array, Columns, atmospheres, fortran_defaults, harsh, python_defaults

RATE = "tendency_of_air_temperature_due_to_shortwave_heating"
CLEAR = ("liquid", "ice")
WITHOUT_WATER = (*CLEAR, "humidity")
NOTHING = (*WITHOUT_WATER, "ozone")


def net_downward(light: Shortwave) -> Array:
    return light.downwelling_shortwave_flux_in_air - light.upwelling_shortwave_flux_in_air


def surface_net(light: Shortwave, albedo: Array) -> Array:
    """Budget C of ClimSim: SOLS(1 − ASDIR) + SOLL(1 − ALDIR) + SOLSD(1 − ASDIF) + SOLLD(1 − ALDIF)."""
    return np.asarray(sum(flux * (1.0 - share) for flux, share in zip(light[3:], albedo, strict=True)))


@pytest.mark.parametrize("n_level", [1, 12])
def test_agrees_with_the_equations_of_the_streams(n_level: int) -> None:
    columns = replace(atmospheres(8, n_level, seed=5), cosine=np.linspace(0.15, 1.0, 8))
    water = np.where(np.arange(8) % 2, 3.0, 0.0)[:, None] / columns.path.sum(axis=1, keepdims=True) / n_level
    columns = replace(columns, liquid=water * np.arange(n_level), ice=0.3 * water * np.arange(n_level)[::-1])
    # what grows like exp(depth) on the way down spoils the linear system, not the equations: no deep absorption
    light = columns.shortwave(water_vapor_factor=0.05)
    columns = replace(columns, humidity=0.05 * columns.humidity)
    for i in range(8):
        parts = [solve(columns, term, i) for term in range(7)]
        want = [np.sum([part[n] for part in parts], axis=0) for n in range(2)]
        visible, infrared = (np.sum([part[2:] for part in half], axis=0) for half in (parts[:3], parts[3:]))
        np.testing.assert_allclose(light.upwelling_shortwave_flux_in_air[i], want[0], rtol=1e-8)
        np.testing.assert_allclose(light.downwelling_shortwave_flux_in_air[i], want[1], rtol=1e-8)
        got = [values[i] for values in light[3:]]
        np.testing.assert_allclose(got, [visible[0], infrared[0], visible[1], infrared[1]], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    "columns", [atmospheres(200), harsh(), harsh(1), harsh(7)], ids=["ordinary", "harsh", "1", "7"]
)
def test_every_watt_is_accounted_for(columns: Columns) -> None:
    light = columns.shortwave()
    net = net_downward(light)
    np.testing.assert_allclose(columns.heating(getattr(light, RATE)), net[:, 0] - net[:, -1], rtol=0.0, atol=CLOSURE)
    np.testing.assert_allclose(surface_net(light, columns.albedo), net[:, -1], rtol=0.0, atol=CLOSURE)
    day = columns.cosine > 0.0
    np.testing.assert_allclose(
        light.downwelling_shortwave_flux_in_air[day, 0], columns.sunlight[day], rtol=1e-15, atol=0.0
    )


@pytest.mark.parametrize("columns", [atmospheres(200), harsh()], ids=["ordinary", "harsh"])
def test_no_light_is_negative_and_none_is_made(columns: Columns) -> None:
    light = columns.shortwave()
    for flux in (*light[:2], *light[3:]):
        assert (flux >= 0.0).all()
    assert (light.upwelling_shortwave_flux_in_air[:, 0] <= columns.sunlight * (1.0 + 1e-12)).all()
    assert (getattr(light, RATE) * columns.path > -1e-13).all()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n_level=st.integers(1, 70),
    factor=st.floats(-12.0, 5.0).map(lambda x: 10.0**x),
    cosine=st.floats(-12.0, 0.0).map(lambda x: 10.0**x),
    albedo=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_any_depth_closes(seed: int, n_level: int, factor: float, cosine: float, albedo: float) -> None:
    columns = atmospheres(4, n_level, seed)
    columns = replace(
        columns,
        liquid=columns.liquid * factor,
        cosine=np.full(4, cosine),
        sunlight=np.full(4, 1361.0),
        albedo=np.full((4, 4), albedo),
    )
    light = columns.shortwave(ozone_factor=factor, water_vapor_factor=factor, rayleigh_factor=factor)
    net = net_downward(light)
    heating = getattr(light, RATE)
    np.testing.assert_allclose(columns.heating(heating), net[:, 0] - net[:, -1], rtol=0.0, atol=CLOSURE)
    np.testing.assert_allclose(surface_net(light, columns.albedo), net[:, -1], rtol=0.0, atol=CLOSURE)
    assert (np.concatenate([light[n].ravel() for n in (0, 1, 3, 4, 5, 6)]) >= 0.0).all()
    assert (heating * columns.path > -1e-12).all()


@pytest.mark.parametrize(("cosine", "sunlight"), [(0.0, 500.0), (0.5, 0.0), (0.0, 0.0)])
def test_night_is_exactly_dark(cosine: float, sunlight: float) -> None:
    columns = replace(atmospheres(3), cosine=np.full(3, cosine), sunlight=np.full(3, sunlight))
    for values in columns.shortwave():
        assert (values == 0.0).all()


@pytest.mark.parametrize("rayleigh", [1e-12, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("albedo", [0.0, 0.4, 1.0])
def test_scattering_alone_heats_nothing(rayleigh: float, albedo: float) -> None:
    columns = replace(atmospheres(20).without(*NOTHING), albedo=np.full((4, 20), albedo))
    light = columns.shortwave(rayleigh_factor=rayleigh)
    watts = np.abs(getattr(light, RATE)) * columns.path * 1004.64
    assert watts.max() < (1e-11 if rayleigh < 1e5 else 1e-8)
    if albedo == 1.0:
        np.testing.assert_allclose(light.upwelling_shortwave_flux_in_air[:, 0], columns.sunlight, rtol=1e-9)


def test_absorption_by_ozone() -> None:
    """Beer's law, whose sum is that of Lacis and Hansen 1974 (equations 8 and 9), over black ground."""
    centimetres = np.geomspace(0.01, 1.2, 25)  # along the beam
    cosine = np.full(25, 0.5)
    columns = replace(
        atmospheres(25).without(*WITHOUT_WATER), cosine=cosine, sunlight=np.full(25, 1000.0), albedo=np.zeros((4, 25))
    )
    columns = replace(
        columns,
        ozone=np.repeat(centimetres[:, None] * cosine[0] * 0.021415 / columns.path.sum(axis=1, keepdims=True), 60, 1),
    )
    light = columns.shortwave(rayleigh_factor=0.0)
    absorbed = 1.0 - light.downwelling_shortwave_flux_in_air[:, -1] / 1000.0
    beer = sum(f * (1.0 - np.exp(-k * centimetres)) for f, k, *_ in TERMS)
    np.testing.assert_allclose(absorbed, beer, rtol=1e-12)
    x = centimetres
    published = (
        0.02118 * x / (1.0 + 0.042 * x + 0.000323 * x**2)
        + 1.082 * x / (1.0 + 138.6 * x) ** 0.805
        + 0.0658 * x / (1.0 + (103.6 * x) ** 3)
    )
    np.testing.assert_allclose(absorbed, published, atol=0.002, rtol=0.05)
    assert (light.upwelling_shortwave_flux_in_air == 0.0).all()
    assert (light.surface_downwelling_diffuse_visible_flux_in_air == 0.0).all()


def test_absorption_by_water_vapor() -> None:
    """The k-distribution of Lacis and Hansen 1974 (table 1), over black ground."""
    grams = np.geomspace(0.01, 30.0, 25)  # cm-2 along the beam, scaled by pressure
    columns = replace(
        atmospheres(25).without(*NOTHING),
        cosine=np.full(25, 0.25),
        sunlight=np.full(25, 1000.0),
        albedo=np.zeros((4, 25)),
    )
    scaled = columns.path * 0.5 * (columns.interface[:, 1:] + columns.interface[:, :-1]) / 1.0e5
    humidity = np.repeat(grams[:, None] * 10.0 * 0.25 / scaled.sum(axis=1, keepdims=True), 60, 1)
    light = replace(columns, humidity=humidity).shortwave(rayleigh_factor=0.0)
    absorbed = 1.0 - light.downwelling_shortwave_flux_in_air[:, -1] / 1000.0
    k = np.array([4e-5, 0.002, 0.035, 0.377, 1.95, 9.40, 44.6, 190.0])
    p = np.array([0.6470, 0.0698, 0.1443, 0.0584, 0.0335, 0.0225, 0.0158, 0.0087])
    np.testing.assert_allclose(absorbed, (1.0 - np.exp(-np.outer(grams, k))) @ p, atol=0.012, rtol=0.07)


def test_two_layers_by_hand() -> None:
    """Follow the visible light of a conservative atmosphere bounce by bounce between two layers and the ground."""
    columns = replace(
        atmospheres(1, 2).without(*NOTHING),
        interface=np.array([[0.0, 4.0e4, 1.0e5]]),
        cosine=np.array([0.6]),
        sunlight=np.array([1000.0]),
        albedo=np.array([[0.2], [0.0], [0.5], [0.0]]),
    )
    light = columns.shortwave(rayleigh_factor=8.0)
    up = down = 0.0
    for fraction, rayleigh in ((0.0201, 1.0), (0.4499, 0.17)):
        tau = 8.0 * rayleigh * np.array([0.4, 0.6])
        reflect = 0.75 * tau / (1.0 + 0.75 * tau)
        beam = np.exp(-tau / 0.6)
        # of the conservative layer: γ₁ = γ₂ = 3/4, γ₃ = 1/2
        beam_up = (0.75 * tau + (0.5 - 0.75 * 0.6) * (1.0 - beam)) / (1.0 + 0.75 * tau)
        beam_down = 1.0 - beam - beam_up
        direct = 1000.0 * fraction * np.array([1.0, beam[0], beam[0] * beam[1]])
        leaving, ground = beam_up[0] * direct[0], 0.0
        # diffuse light: downward onto layer 2, upward onto layer 1, downward onto the ground
        onto_second, onto_first, onto_ground = (
            beam_down[0] * direct[0],
            beam_up[1] * direct[1],
            beam_down[1] * direct[1],
        )
        from_ground = 0.2 * direct[2]
        for _ in range(400):
            ground += onto_ground
            from_ground += 0.5 * onto_ground
            leaving += (1.0 - reflect[0]) * onto_first
            onto_second, onto_first, onto_ground, from_ground = (
                reflect[0] * onto_first,
                reflect[1] * onto_second + (1.0 - reflect[1]) * from_ground,
                (1.0 - reflect[1]) * onto_second + reflect[1] * from_ground,
                0.0,
            )
        up += leaving
        down += ground
    np.testing.assert_allclose(light.upwelling_shortwave_flux_in_air[0, 0], up, rtol=1e-10)
    np.testing.assert_allclose(light.surface_downwelling_diffuse_visible_flux_in_air[0], down, rtol=1e-10)


def test_halving_layers_changes_nothing() -> None:
    """The streams of a uniform layer are those of its two halves."""
    columns = atmospheres(30, 15).without("humidity")  # whose absorption is scaled by the pressure of the layer
    middle = 0.5 * (columns.interface[:, 1:] + columns.interface[:, :-1])
    halves = replace(
        columns,
        interface=np.sort(np.concatenate([columns.interface, middle], axis=1), axis=1),
        **{name: np.repeat(getattr(columns, name), 2, axis=1) for name in ("temperature", "humidity", *CLEAR, "ozone")},
    )
    whole, halved = columns.shortwave(), halves.shortwave()
    for n in (0, 1):
        np.testing.assert_allclose(halved[n][:, ::2], whole[n], rtol=1e-9)
    for n in (3, 4, 5, 6):
        np.testing.assert_allclose(halved[n], whole[n], rtol=1e-9)


def test_resonance_of_beam_and_streams() -> None:
    """Where k μ₀ = 1 the formulas are 0/0; fluxes pass through smoothly."""
    columns = atmospheres(1, 1).without(*WITHOUT_WATER)
    columns = replace(columns, ozone=np.full((1, 1), 1.0e-6))
    depth, albedo, g = layer_optics(columns, 1, 0, 0)
    assert 0.0 < albedo < 1.0
    gamma1, gamma2 = (8.0 - albedo * (5.0 + 3.0 * g)) / 4.0, 3.0 * albedo * (1.0 - g) / 4.0
    resonant = 1.0 / np.sqrt(gamma1**2 - gamma2**2)
    assert 0.1 < resonant < 1.0
    assert depth > 0.1
    offset = np.concatenate([[0.0], np.geomspace(1e-16, 1e-6, 200), -np.geomspace(1e-16, 1e-6, 200)])
    many = replace(columns.take(np.zeros(401, int)), cosine=resonant * (1.0 + offset), sunlight=np.full(401, 1000.0))
    for values in many.shortwave():
        np.testing.assert_allclose(values, np.broadcast_to(values[0], values.shape), rtol=3e-6)


def test_linear_in_sunlight() -> None:
    columns = atmospheres(20)
    for once, twice in zip(
        columns.shortwave(), replace(columns, sunlight=2.0 * columns.sunlight).shortwave(), strict=True
    ):
        np.testing.assert_array_equal(2.0 * once, twice)


def test_a_column_depends_on_itself_alone() -> None:
    columns = atmospheres(40)
    chosen = np.array([31, 2, 17, 2])
    for alone, among in zip(columns.take(chosen).shortwave(), columns.shortwave(), strict=True):
        np.testing.assert_array_equal(alone, among[chosen])


def test_negative_matter_is_none() -> None:
    columns = atmospheres(5).without(*NOTHING)
    names = ("humidity", *CLEAR, "ozone")
    below = replace(columns, **{name: getattr(columns, name) - 1e-6 for name in names})
    for got, want in zip(below.shortwave(), columns.shortwave(), strict=True):
        np.testing.assert_array_equal(got, want)


def test_each_albedo_has_its_light() -> None:
    """Raising one albedo changes only what lies in its band, and lets no direct light through or away."""
    columns = replace(atmospheres(4), albedo=np.zeros((4, 4)))
    black = columns.shortwave()
    for n, name in enumerate(Albedo._fields):
        white = replace(columns, albedo=np.eye(4)[n][:, None] * np.ones((4, 4))).shortwave()
        for surface, flux, dark in zip(Albedo._fields, white[3:], black[3:], strict=True):
            if "direct" in surface or surface.split("_", 1)[1] != name.split("_", 1)[1]:
                np.testing.assert_array_equal(flux, dark)
            else:
                assert (flux >= dark).all()
        reflected = white.upwelling_shortwave_flux_in_air[:, -1]
        np.testing.assert_allclose(reflected, white[3 + n], rtol=1e-12, atol=1e-12)


def test_defaults_are_those_of_fortran() -> None:
    assert python_defaults(shortwave) == fortran_defaults("shortwave")
    assert len(fortran_defaults("shortwave")) == 6


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("humidity", np.zeros(60), r"argument 'specific_humidity': expected shape \(n_column, n_level\), got"),
        ("interface", np.ones((2, 60)), "'air_pressure_at_interface': expected 61 values in each of 2 columns, got 60"),
        ("interface", np.ones((2, 61)), "'air_pressure_at_interface': expected values that increase"),
        ("humidity", np.full((2, 60), np.inf), "argument 'specific_humidity': expected finite values"),
        ("liquid", 0.0, "argument 'cloud_liquid': expected 60 values in each of 2 columns, got 1 in each of 1"),
        ("liquid", np.zeros((2, 60, 1)), "of 'shortwave': expected real numbers of at most two axes, got float64 of"),
        (
            "liquid",
            np.zeros((2, 60), complex),
            "of 'shortwave': expected real numbers of at most two axes, got c",
        ),
        ("liquid", "none", "of 'shortwave': expected real numbers of at most two axes, got <U4"),
        ("liquid", np.zeros((2, 59)), "argument 'cloud_liquid': expected 60 values in each of 2 columns, got 59"),
        ("ice", np.full((2, 60), np.nan), "argument 'cloud_ice': expected finite values"),
        ("ozone", np.zeros((3, 60)), "argument 'ozone': expected 60 values in each of 2 columns, got 60 in each of 3"),
        ("cosine", np.full(2, 1.5), "argument 'cosine_of_solar_zenith_angle': expected values from"),
        ("sunlight", np.full(2, -1.0), "argument 'toa_incoming_shortwave_flux': expected values from"),
        ("sunlight", np.full(3, 1.0), "argument 'toa_incoming_shortwave_flux': expected size 2, got 3"),
        ("albedo", np.full((4, 2), 1.1), "argument 'albedo_direct_visible': expected values from"),
        ("albedo", np.array([[0.1], [0.1], [0.1], [np.nan]]) * np.ones((4, 2)), "'albedo_diffuse_near_infrared'"),
    ],
)
def test_bad_arguments(field: str, value: Array, text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        replace(atmospheres(2), **{field: value}).shortwave()


@pytest.mark.parametrize("name", sorted(python_defaults(shortwave)))
@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_bad_parameters(name: str, value: float) -> None:
    with pytest.raises(EmagramError, match=f"argument '{name}': expected"):
        atmospheres(2).shortwave(**{name: value})
