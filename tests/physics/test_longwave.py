"""Longwave radiation: analytic atmospheres, an independent quadrature, invariances, closure, climt."""

from __future__ import annotations

from dataclasses import replace

import climt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.longwave import Longwave, longwave
from radiative_columns import (
    CLOSURE,
    CONSTANTS,
    Array,
    Columns,
    atmospheres,
    fortran_defaults,
    harsh,
    interface_pressure,
    python_defaults,
)

SIGMA = CONSTANTS.stefan_boltzmann
GREY = {"core_fraction": 0.0, "water_vapor_depth": 0.0}


def net_upward(fluxes: Longwave) -> Array:
    return fluxes.upwelling_longwave_flux_in_air - fluxes.downwelling_longwave_flux_in_air


def uniform_columns(source: Array, surface_up: float) -> Columns:
    """One column of equal layers from 0 to 1000 hPa that emit `source` [W m-2]."""
    n_level = source.size
    empty = np.zeros((1, n_level))
    return replace(
        atmospheres(1, n_level).without("humidity", "liquid", "ice", "ozone"),
        interface=np.linspace(0.0, 1.0e5, n_level + 1)[None],
        temperature=(source[None] / SIGMA) ** 0.25 + empty,
        surface_up=np.array([surface_up]),
    )


@pytest.mark.parametrize(
    "columns", [atmospheres(200), harsh(), harsh(1), harsh(7)], ids=["ordinary", "harsh", "1", "7"]
)
def test_heating_is_what_the_fluxes_leave(columns: Columns) -> None:
    fluxes = columns.longwave()
    net = net_upward(fluxes)
    heating = columns.heating(fluxes.tendency_of_air_temperature_due_to_longwave_heating)
    np.testing.assert_allclose(heating, net[:, -1] - net[:, 0], rtol=0.0, atol=CLOSURE)
    assert (fluxes.downwelling_longwave_flux_in_air[:, 0] == 0.0).all()
    np.testing.assert_allclose(fluxes.upwelling_longwave_flux_in_air[:, -1], columns.surface_up, rtol=1e-15)


@pytest.mark.parametrize("columns", [atmospheres(50), harsh()], ids=["ordinary", "harsh"])
def test_fluxes_lie_between_nothing_and_the_warmest_black_body(columns: Columns) -> None:
    fluxes = columns.longwave()
    warmest = np.maximum(SIGMA * columns.temperature.max(axis=1) ** 4, columns.surface_up)
    for flux in fluxes[:2]:
        assert (flux >= 0.0).all()
        assert (flux <= warmest[:, None] * (1.0 + 1e-12)).all()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n_level=st.integers(1, 80),
    depth=st.floats(-12.0, 5.0).map(lambda x: 10.0**x),
    fraction=st.floats(0.0, 1.0),
)
def test_any_opacity_closes(seed: int, n_level: int, depth: float, fraction: float) -> None:
    columns = atmospheres(4, n_level, seed)
    fluxes = columns.longwave(well_mixed_depth=depth, core_depth=10.0 * depth, core_fraction=fraction)
    net = net_upward(fluxes)
    heating = columns.heating(fluxes.tendency_of_air_temperature_due_to_longwave_heating)
    np.testing.assert_allclose(heating, net[:, -1] - net[:, 0], rtol=0.0, atol=CLOSURE)
    assert np.isfinite(np.concatenate([values.ravel() for values in fluxes])).all()


def by_quadrature(columns: Columns, depth: Array) -> tuple[Array, Array]:
    """Formal solution, F↑(τ) = F_s e^{−(τ_s − τ)} + ∫ B e^{−(τ' − τ)} dτ', by Gauss–Legendre in every layer.

    Within a layer the source is linear in depth, from the edge that the light leaves by through the layer's own in
    its middle, as Clough et al. 1992.
    """
    x, weight = np.polynomial.legendre.leggauss(30)
    x, weight = 0.5 * (x + 1.0), 0.5 * weight  # depth into the layer from the edge of emission, as a fraction
    layer = SIGMA * columns.temperature**4
    middle = 0.5 * (columns.interface[:, 1:] + columns.interface[:, :-1])
    up, down = np.zeros((2, *columns.interface.shape))
    for i in range(len(depth)):
        edge = np.interp(columns.interface[i], middle[i], layer[i])
        tau = np.concatenate([[0.0], np.cumsum(depth[i])])
        for k in range(tau.size):
            up[i, k] = columns.surface_up[i] * np.exp(tau[k] - tau[-1])
            for j in range(layer.shape[1]):
                far = np.exp(-abs(tau[j if j >= k else j + 1] - tau[k])) * np.exp(-depth[i, j] * x)
                leaving = edge[j] if j >= k else edge[j + 1]
                source = leaving + 2.0 * (layer[i, j] - leaving) * x
                emitted = (weight * far * source).sum() * depth[i, j]
                (up if j >= k else down)[i, k] += emitted
    return up, down


def test_agrees_with_a_quadrature() -> None:
    columns = atmospheres(6, 20, seed=2)
    cloud = 0.7 * columns.path * (144.0 * columns.liquid + 64.0 * columns.ice)
    assert (cloud > 0.1).any()
    share = columns.thickness / 1.0e5
    want = np.zeros((2, *columns.interface.shape))
    for fraction, gas in ((0.9, 0.5 + 1997.9 * columns.humidity), (0.1, 27.0 + 0.0 * columns.humidity)):
        want += fraction * np.array(by_quadrature(columns, share * gas + cloud))
    fluxes = columns.longwave()
    np.testing.assert_allclose(fluxes.upwelling_longwave_flux_in_air, want[0], rtol=1e-9)
    np.testing.assert_allclose(fluxes.downwelling_longwave_flux_in_air, want[1], rtol=1e-9, atol=1e-9)


def test_grey_radiative_equilibrium() -> None:
    """σT⁴ = F(1 + τ)/2 over a surface of F(2 + τ_s)/2 emits F everywhere and heats nowhere; errors fall as n⁻²."""
    flux, total = 240.0, 4.0
    errors = []
    for n_level in (20, 40, 80, 160):
        tau = total * (np.arange(n_level) + 0.5) / n_level
        columns = uniform_columns(0.5 * flux * (1.0 + tau), 0.5 * flux * (2.0 + total))
        fluxes = columns.longwave(**GREY, well_mixed_depth=total)
        edges = np.linspace(0.0, total, n_level + 1)
        errors.append(np.abs(net_upward(fluxes) - flux).max())
        np.testing.assert_allclose(fluxes.downwelling_longwave_flux_in_air[0], 0.5 * flux * edges, atol=0.1)
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert errors[-1] < 1e-3 * flux
    assert (orders > 1.8).all(), (errors, orders)


def test_second_order_where_the_source_bends() -> None:
    errors = []
    exact = uniform_columns(100.0 + 300.0 * (np.arange(4000) + 0.5) ** 2 / 4000**2, 450.0).longwave(
        well_mixed_depth=6.0
    )
    for n_level in (10, 20, 40, 80):
        source = 100.0 + 300.0 * ((np.arange(n_level) + 0.5) / n_level) ** 2
        fluxes = uniform_columns(source, 450.0).longwave(well_mixed_depth=6.0)
        stride = 4000 // n_level
        errors.append(
            max(np.abs(got - want[:, ::stride]).max() for got, want in zip(fluxes[:2], exact[:2], strict=True))
        )
    assert (np.log2(np.array(errors[:-1]) / errors[1:]) > 1.8).all(), errors


def test_isothermal_air_cools_to_space_alone() -> None:
    """B over a black surface of the same temperature: net flux B e^{−τ}."""
    fluxes = uniform_columns(np.full(50, 300.0), 300.0).longwave(**GREY, well_mixed_depth=3.0)
    net = net_upward(fluxes)[0]
    np.testing.assert_allclose(net, 300.0 * np.exp(-np.linspace(0.0, 3.0, 51)), rtol=1e-12)
    np.testing.assert_allclose(fluxes.upwelling_longwave_flux_in_air, 300.0, rtol=1e-14)


def test_transparent_air_does_nothing() -> None:
    columns = atmospheres(5).without("liquid", "ice")
    fluxes = columns.longwave(well_mixed_factor=0.0, water_vapor_depth=0.0)
    np.testing.assert_allclose(fluxes.upwelling_longwave_flux_in_air - columns.surface_up[:, None], 0.0, atol=1e-12)
    assert (fluxes.downwelling_longwave_flux_in_air == 0.0).all()
    assert np.abs(fluxes.tendency_of_air_temperature_due_to_longwave_heating).max() < 1e-17


def test_opaque_cloud_is_a_black_body() -> None:
    columns = atmospheres(3).without("liquid", "ice", "humidity")
    liquid = np.zeros_like(columns.liquid)
    liquid[:, 40:45] = 1.0
    fluxes = replace(columns, liquid=liquid).longwave(well_mixed_factor=0.0)
    black = SIGMA * columns.temperature**4
    edges = 0.5 * (black[:, 40] + black[:, 39])
    # edges are linear in pressure between the middles of layers, which are not quite equal here
    np.testing.assert_allclose(fluxes.upwelling_longwave_flux_in_air[:, 0], edges, rtol=2e-3)
    np.testing.assert_allclose(
        fluxes.downwelling_longwave_flux_in_air[:, -1], 0.5 * (black[:, 44] + black[:, 45]), rtol=2e-3
    )


def test_a_band_is_a_grey_atmosphere() -> None:
    columns = atmospheres(20)
    both = columns.longwave(core_fraction=0.3)
    wide = columns.longwave(core_fraction=0.0)
    core = columns.longwave(core_fraction=0.0, well_mixed_depth=27.0, water_vapor_depth=0.0)
    for got, first, second in zip(both, wide, core, strict=True):
        np.testing.assert_allclose(got, 0.7 * first + 0.3 * second, rtol=1e-12, atol=1e-13)


def test_upside_down() -> None:
    """Layers in reverse between nothing above and nothing below swap the two fluxes, bit for bit."""
    columns = replace(atmospheres(10), surface_up=np.zeros(10))
    # pressures that are exact in binary, so that layers keep their thickness
    columns = replace(columns, interface=64.0 * np.round(columns.interface / 64.0 + np.arange(61)))
    layers = ("temperature", "humidity", "liquid", "ice", "ozone")
    turned = replace(
        columns,
        interface=(columns.interface[:, :1] + columns.interface[:, -1:]) - columns.interface[:, ::-1],
        **{name: getattr(columns, name)[:, ::-1] for name in layers},
    )
    up, down, rate = columns.longwave()
    turned_up, turned_down, turned_rate = turned.longwave()
    np.testing.assert_array_equal(up, turned_down[:, ::-1])
    np.testing.assert_array_equal(down, turned_up[:, ::-1])
    np.testing.assert_array_equal(rate, turned_rate[:, ::-1])


def test_a_column_depends_on_itself_alone() -> None:
    columns = atmospheres(40)
    chosen = np.array([31, 2, 17, 2])
    for alone, among in zip(columns.take(chosen).longwave(), columns.longwave(), strict=True):
        np.testing.assert_array_equal(alone, among[chosen])


def test_negative_water_is_none() -> None:
    columns = atmospheres(5).without("humidity", "liquid", "ice")
    below = replace(columns, humidity=columns.humidity - 1e-6, liquid=columns.liquid - 1e-6, ice=columns.ice - 1e-6)
    for got, want in zip(below.longwave(), columns.longwave(), strict=True):
        np.testing.assert_array_equal(got, want)


def test_agrees_with_climt() -> None:
    """climt's grey scheme, of layers of one temperature each, over 800 levels."""
    n_level = 800
    columns = atmospheres(4, n_level).without("liquid", "ice")
    columns = replace(columns, temperature=200.0 + 90.0 * columns.interface[:, 1:] / columns.interface[:, -1:])
    depth = columns.thickness / 1.0e5 * (0.8678 + 1997.9 * columns.humidity)
    upwards = [np.ascontiguousarray(values[:, ::-1].T) for values in (columns.temperature, columns.interface, depth)]
    state = {
        "sl": upwards[0],
        "p_interface": upwards[1],
        "tau": np.concatenate([np.zeros((1, 4)), np.cumsum(upwards[2], axis=0)]),
        "T_surface": (columns.surface_up / SIGMA) ** 0.25,
    }
    _, want = climt.GrayLongwaveRadiation().array_call(state)
    fluxes = columns.longwave(core_fraction=0.0, well_mixed_depth=0.8678)
    np.testing.assert_allclose(fluxes.upwelling_longwave_flux_in_air, want["lw_up"].T[:, ::-1], rtol=1e-3)
    np.testing.assert_allclose(fluxes.downwelling_longwave_flux_in_air, want["lw_down"].T[:, ::-1], rtol=5e-3, atol=0.1)


def test_defaults_are_those_of_fortran() -> None:
    assert python_defaults(longwave) == fortran_defaults("longwave")
    assert len(fortran_defaults("longwave")) == 8


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("temperature", np.full(60, 280.0), r"argument 'air_temperature': expected shape \(n_column, n_level\), got"),
        ("interface", np.ones((2, 60)), "'air_pressure_at_interface': expected 61 values in each of 2 columns, got 60"),
        ("interface", interface_pressure(np.full(2, 1e5), 60)[:, ::-1], "'air_pressure_at_interface': expected values"),
        ("temperature", np.full((2, 60), np.nan), "argument 'air_temperature': expected finite values"),
        ("temperature", np.full((2, 60), 0.0), "argument 'air_temperature': expected values above 0"),
        ("humidity", np.full((2, 60), np.inf), "argument 'specific_humidity': expected finite values"),
        ("liquid", np.zeros((2, 59)), "argument 'cloud_liquid': expected 60 values in each of 2 columns, got 59"),
        ("ice", np.full((2, 60), np.nan), "argument 'cloud_ice': expected finite values"),
        ("surface_up", np.full(3, 400.0), "argument 'surface_upwelling_longwave_flux': expected size 2, got 3"),
        ("surface_up", np.full(2, -1.0), "argument 'surface_upwelling_longwave_flux': expected values from"),
    ],
)
def test_bad_arguments(field: str, value: Array, text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        replace(atmospheres(2), **{field: value}).longwave()


@pytest.mark.parametrize("name", sorted(python_defaults(longwave)))
@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_bad_parameters(name: str, value: float) -> None:
    with pytest.raises(EmagramError, match=f"argument '{name}': expected"):
        atmospheres(2).longwave(**{name: value})
