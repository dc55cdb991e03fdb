"""Height of the boundary layer and diffusivities: the published formulas for one column, limits, invariances."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics.fortran_physics.boundary_layer import Turbulence, turbulence
from turbulent_columns import (
    CONSTANTS,
    Array,
    Columns,
    climt_state,
    dry_column,
    harsh_columns,
    heights,
    ordinary_columns,
)

CP, G, RD = CONSTANTS.heat_capacity_dry_air, CONSTANTS.gravity, CONSTANTS.gas_constant_dry_air
VIRTUAL = 1.0 / CONSTANTS.epsilon - 1.0
KAPPA = 0.4

Fluxes = dict[str, Array]


def surface_fluxes(n_column: int, seed: int) -> Fluxes:
    rng = np.random.default_rng(seed)
    return {
        "sensible_heat_flux": rng.normal(20.0, 100.0, n_column),
        "evaporation": rng.normal(3.0e-5, 5.0e-5, n_column),
        "stress_eastward": rng.normal(0.0, 0.2, n_column),
        "stress_northward": rng.normal(0.0, 0.2, n_column),
    }


def constant_fluxes(n_column: int, sensible: float, stress: float) -> Fluxes:
    names = ("sensible_heat_flux", "evaporation", "stress_eastward", "stress_northward")
    return {name: np.full(n_column, value) for name, value in zip(names, (sensible, 0.0, stress, 0.0), strict=True)}


def expected(columns: Columns, fluxes: Fluxes, time_step: float, column: int) -> tuple[Array, Array, float]:
    """Heat and momentum diffusivities at the inner interfaces and the height, for one column, from the papers."""
    virtual, height, lower = (array[column] for array in heights(columns))
    u, v = columns.eastward_wind[column], columns.northward_wind[column]
    temperature, humidity = columns.air_temperature[column, -1], columns.specific_humidity[column, -1]
    pressure = columns.pressure_interface[column, -2:].mean()
    density = pressure / (RD * virtual[-1])
    stress = np.hypot(fluxes["stress_eastward"][column], fluxes["stress_northward"][column])
    ustar = max(np.sqrt(stress / density), 0.01)
    kinematic_heat = fluxes["sensible_heat_flux"][column] / (density * CP)
    kinematic_water = fluxes["evaporation"][column] / density
    virtual_flux = kinematic_heat * (1.0 + VIRTUAL * humidity) + VIRTUAL * temperature * kinematic_water
    buoyancy = G / virtual[-1] * virtual_flux

    def top(excess: float) -> float:
        energy = CP * virtual + G * height
        shear = (u - u[-1]) ** 2 + (v - v[-1]) ** 2 + 100.0 * ustar**2
        without_fluxes = energy[-1] - CP * density * virtual_flux * time_step / columns.mass[column, -1]
        bulk = G / (CP * virtual[-1]) * (energy - without_fluxes - CP * excess) * (height - height[-1]) / shear
        bulk[-1] = 0.0
        for k in range(len(bulk) - 2, -1, -1):
            if bulk[k] >= 0.3:
                return min(float(np.interp(0.3, bulk[[k + 1, k]], height[[k + 1, k]])), 6000.0)
            if height[k] >= 6000.0:
                break
        return min(height[k], 6000.0)

    h = top(0.0)
    if buoyancy > 0.0:  # phi_m = (1 - 15 z/L)^(-1/3), 1/L = -kappa B / u*^3
        h = top(8.5 * virtual_flux / (ustar * (1.0 + 15.0 * KAPPA * 0.1 * h * buoyancy / ustar**3) ** (1 / 3)))
    obukhov = -(ustar**3) / (KAPPA * buoyancy)
    z = lower
    if buoyancy > 0.0:
        speed = ustar * (1.0 - 15.0 * np.minimum(z, 0.1 * h) / obukhov) ** (1 / 3)
        outer = ustar * (1.0 - 15.0 * 0.1 * h / obukhov) ** (1 / 3)
        phi_h, phi_m = (1.0 - 1.5 * h / obukhov) ** (-1 / 2), (1.0 - 1.5 * h / obukhov) ** (-1 / 3)
        prandtl = phi_h / phi_m + 7.2 * KAPPA * 0.1 * (buoyancy * h) ** (1 / 3) / outer
    else:
        zeta = z / obukhov
        speed = ustar / np.where(zeta <= 1.0, 1.0 + 5.0 * zeta, 5.0 + zeta)
        prandtl = 1.0
    profile = np.where(z < h, KAPPA * speed * z * (1.0 - z / h) ** 2, 0.0)

    dz = height[:-1] - height[1:]
    energy = CP * virtual + G * height
    stability = G * (energy[:-1] - energy[1:]) / dz / (CP * 0.5 * (virtual[:-1] + virtual[1:]))
    shear = ((u[:-1] - u[1:]) ** 2 + (v[:-1] - v[1:]) ** 2) / dz**2
    length = 1.0 / (1.0 / (KAPPA * z) + 1.0 / 30.0)
    richardson = stability / np.maximum(shear, 1e-12 / dz**2)
    with np.errstate(invalid="ignore"):
        free = 0.01 + length**2 * np.where(
            stability > 0.0,
            np.sqrt(shear) / (1.0 + 10.0 * richardson * (1.0 + 8.0 * richardson)),
            np.sqrt(np.maximum(shear - 18.0 * stability, 0.0)),
        )
    return np.maximum(free, profile / prandtl), np.maximum(free, profile), h


@pytest.mark.parametrize("time_step", [0.0, 1200.0])
@pytest.mark.parametrize("make", [ordinary_columns, harsh_columns])
def test_diffusivities_are_the_published_formulas(make: Any, time_step: float) -> None:
    columns, fluxes = make(150, 11), surface_fluxes(150, 12)
    got = turbulence(columns.pressure_interface, time_step=time_step, **columns.state, **fluxes)
    for column in range(150):
        heat, momentum, h = expected(columns, fluxes, time_step, column)
        np.testing.assert_allclose(got.boundary_layer_height[column], h, rtol=1e-9)
        np.testing.assert_allclose(got.diffusivity_heat[column, 1:-1], heat, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(got.diffusivity_momentum[column, 1:-1], momentum, rtol=1e-7, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80))
def test_diffusivities_are_finite_and_at_least_the_background(seed: int, n_level: int) -> None:
    columns = harsh_columns(20, seed, n_level)
    got = turbulence(columns.pressure_interface, time_step=0.0, **columns.state, **surface_fluxes(20, seed))
    for diffusivity in (got.diffusivity_heat, got.diffusivity_momentum):
        assert not diffusivity[:, [0, -1]].any()
        assert (diffusivity[:, 1:-1] >= 0.01).all()
        assert np.isfinite(diffusivity).all()
    _, height, _ = heights(columns)
    assert (got.boundary_layer_height >= height[:, -1] * (1.0 - 1e-12)).all()
    assert (got.boundary_layer_height <= np.maximum(6000.0, height[:, -1] * (1.0 + 1e-12))).all()


def inversion_column() -> Columns:
    """Mixed up to 1200 m, 8 K of inversion over 100 m, 6 K km-1 above."""
    return dry_column((np.array([0.0, 1200.0, 1300.0, 21300.0]), np.array([0.0, 0.0, 8.0, 128.0])))


def run(columns: Columns, fluxes: Fluxes, **parameters: float) -> Turbulence:
    return turbulence(columns.pressure_interface, time_step=0.0, **columns.state, **fluxes, **parameters)


def test_neutral_layer_under_an_inversion_has_the_cubic_profile() -> None:
    columns = inversion_column()
    got = run(columns, constant_fluxes(1, 0.0, 0.3), background_diffusivity=0.0)
    h = float(got.boundary_layer_height[0])
    assert 1150.0 < h < 1300.0
    _, _, z = heights(columns)
    inside = z[0] < 0.9 * h
    density = columns.pressure_interface[0, -2:].mean() / (RD * columns.air_temperature[0, -1])
    profile = KAPPA * np.sqrt(0.3 / density) * z[0] * (1.0 - z[0] / h) ** 2
    np.testing.assert_allclose(got.diffusivity_heat[0, 1:-1][inside], profile[inside], rtol=1e-6)
    np.testing.assert_array_equal(got.diffusivity_heat[0, 1:-1][inside], got.diffusivity_momentum[0, 1:-1][inside])
    assert got.diffusivity_heat[0, 1:-1][z[0] > 1400.0].max() < 1e-3


def test_free_convection_mixes_by_the_convective_velocity() -> None:
    """u* = 0.01: K_m = kappa z (1 - z/h)**2 0.6**(1/3) w* above the surface layer."""
    columns = inversion_column()
    got = run(columns, constant_fluxes(1, 200.0, 0.0))
    h = float(got.boundary_layer_height[0])
    assert 1150.0 < h < 1300.0
    _, _, z = heights(columns)
    middle = (z[0] > 0.3 * h) & (z[0] < 0.7 * h)
    density = columns.pressure_interface[0, -2:].mean() / (RD * columns.air_temperature[0, -1])
    convective = (G / columns.air_temperature[0, -1] * 200.0 / (density * CP) * h) ** (1 / 3)
    profile = KAPPA * z[0] * (1.0 - z[0] / h) ** 2 * 0.6 ** (1 / 3) * convective
    np.testing.assert_allclose(got.diffusivity_momentum[0, 1:-1][middle], profile[middle], rtol=1e-5)
    ratio = got.diffusivity_heat[0, 1:-1][middle] / got.diffusivity_momentum[0, 1:-1][middle]
    prandtl = (0.01 / (0.6 ** (1 / 3) * convective)) ** 0.5 + 0.288 / 0.6 ** (1 / 3)
    np.testing.assert_allclose(ratio, 1.0 / prandtl, rtol=1e-5)
    assert got.diffusivity_heat[0].max() > 100.0


def test_heated_layer_is_deeper_and_cooled_layer_mixes_less() -> None:
    columns = dry_column(0.003)
    heated, neutral, cooled = (run(columns, constant_fluxes(1, flux, 0.1)) for flux in (200.0, 0.0, -50.0))
    assert heated.boundary_layer_height[0] > neutral.boundary_layer_height[0]
    assert cooled.diffusivity_heat[0].max() < 0.3 * neutral.diffusivity_heat[0].max()
    assert heated.diffusivity_heat[0].max() > 2.0 * neutral.diffusivity_heat[0].max()


def test_unstable_air_aloft_mixes_and_stable_still_air_does_not() -> None:
    columns = dry_column((np.array([0.0, 3000.0, 5000.0, 20000.0]), np.array([0.0, 30.0, 20.0, 110.0])))
    got = run(columns, constant_fluxes(1, 0.0, 0.0))
    _, _, z = heights(columns)
    inside = (z[0] > 3200.0) & (z[0] < 4800.0)
    stable = (z[0] > 5500.0) | ((z[0] > 500.0) & (z[0] < 2500.0))
    assert got.diffusivity_heat[0, 1:-1][inside].min() > 10.0
    np.testing.assert_allclose(got.diffusivity_heat[0, 1:-1][stable], 0.01, rtol=1e-6)


def test_coordinates_may_move_with_the_wind() -> None:
    columns, fluxes = ordinary_columns(40, 13), surface_fluxes(40, 14)
    moved = columns.state | {"eastward_wind": columns.eastward_wind + 16.0}
    here = turbulence(columns.pressure_interface, time_step=0.0, **columns.state, **fluxes)
    there = turbulence(columns.pressure_interface, time_step=0.0, **moved, **fluxes)
    for name, array in here._asdict().items():
        np.testing.assert_allclose(getattr(there, name), array, rtol=1e-9)


def test_height_is_that_of_the_inversion_as_in_climt() -> None:
    """Both K profiles end within two layers of one another under an inversion."""
    import climt

    columns = inversion_column()
    wind = np.full_like(columns.air_temperature, 8.0)
    columns = Columns(**(vars(columns) | {"eastward_wind": wind, "surface_temperature": np.array([300.5])}))
    theirs, _ = climt.SimpleBoundaryLayer(surface_fluxes=None)(
        climt_state(columns, np.zeros(1)), timedelta(seconds=1200)
    )
    ours = run(columns, constant_fluxes(1, 10.0, 0.1)).boundary_layer_height[0]
    _, height, _ = heights(columns)
    layer = np.diff(-height[0])[height[0, 1:] < 2000.0].max()
    assert abs(ours - float(theirs["boundary_layer_height"].values[0])) < 2.0 * layer
