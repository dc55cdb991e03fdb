"""The surface exchange: closure, the bulk formulas from the state after the step, limits; and the slab."""

from __future__ import annotations

from datetime import timedelta
from inspect import signature
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics import _fortran_physics, thermodynamics
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.surface import SurfaceExchange, slab, surface_exchange, surface_longwave
from turbulent_columns import (
    CONSTANTS,
    ENERGY_TOLERANCE,
    WATER_TOLERANCE,
    Array,
    Columns,
    climt_state,
    energy_gain,
    exact_sum,
    harsh_columns,
    ordinary_columns,
)

CP, G = CONSTANTS.heat_capacity_dry_air, CONSTANTS.gravity
LV, LF = CONSTANTS.latent_heat_vaporization, CONSTANTS.latent_heat_fusion
DEFAULTS = ("heat_exchange_coefficient", "smallest_drag_coefficient", "drag_coefficient_per_wind")
DEFAULTS += ("largest_drag_coefficient", "gustiness")

time_steps = st.floats(1.0, 1.0e5)
seeds = st.integers(0, 2**32 - 1)


def exchange(columns: Columns, time_step: float = 1200.0, **changes: Any) -> SurfaceExchange:
    arguments = columns.state | {
        "surface_temperature": columns.surface_temperature,
        "wetness": columns.wetness,
        "time_step": time_step,
    }
    return surface_exchange(columns.pressure_interface, **(arguments | changes))


def lowest_layer(columns: Columns) -> tuple[Array, Array]:
    """Density [kg m-3] and mid-point height [m], from the ideal gas and the hypsometric equation."""
    above, below = columns.pressure_interface[:, -2], columns.pressure_interface[:, -1]
    virtual = columns.air_temperature[:, -1] * (
        1.0 + (1.0 / CONSTANTS.epsilon - 1.0) * columns.specific_humidity[:, -1]
    )
    gas = CONSTANTS.gas_constant_dry_air
    return (above + below) / (2.0 * gas * virtual), gas * virtual / G * np.log(2.0 * below / (above + below))


def saturation(columns: Columns) -> Array:
    surface = torch.from_numpy(columns.pressure_interface[:, -1].copy())
    return np.asarray(
        thermodynamics.saturation_specific_humidity(surface, torch.from_numpy(columns.surface_temperature))
    )


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 70), time_steps)
def test_exchange_closes_energy_water_and_momentum(seed: int, n_level: int, time_step: float) -> None:
    columns = harsh_columns(20, seed, n_level)
    got = exchange(columns, time_step)
    energy = energy_gain(columns, got._asdict(), time_step)
    assert np.abs(energy - got.sensible_heat_flux - (LV + LF) * got.evaporation).max() <= ENERGY_TOLERANCE
    assert np.abs(exact_sum(got.rate_humidity * columns.mass) - got.evaporation).max() <= WATER_TOLERANCE
    for rate, stress in (("eastward_wind", "stress_eastward"), ("northward_wind", "stress_northward")):
        force = exact_sum(getattr(got, f"rate_{rate}") * columns.mass)
        np.testing.assert_allclose(force, getattr(got, stress), rtol=1e-14, atol=1e-15)
    for name in ("rate_temperature", "rate_humidity", "rate_eastward_wind", "rate_northward_wind"):
        assert not getattr(got, name)[:, :-1].any()


@settings(max_examples=40, deadline=None)
@given(seeds, time_steps)
def test_fluxes_are_the_bulk_formulas_of_the_state_after_the_step(seed: int, time_step: float) -> None:
    columns = harsh_columns(20, seed, 10)
    got = exchange(columns, time_step)
    density, height = lowest_layer(columns)
    u, v = columns.eastward_wind[:, -1], columns.northward_wind[:, -1]
    wind = np.sqrt(u**2 + v**2 + 1.0)
    drag = density * np.where(wind < 20.0, 7.0e-4 + 6.5e-5 * wind, 2.0e-3) * wind
    np.testing.assert_allclose(
        got.stress_eastward, -drag * (u + time_step * got.rate_eastward_wind[:, -1]), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        got.stress_northward, -drag * (v + time_step * got.rate_northward_wind[:, -1]), rtol=1e-9, atol=1e-12
    )
    humidity = columns.specific_humidity[:, -1]
    deficit = saturation(columns) - humidity - time_step * got.rate_humidity[:, -1]
    wetness = np.where(saturation(columns) < humidity, 1.0, columns.wetness)
    np.testing.assert_allclose(got.evaporation, wetness * density * 1.1e-3 * wind * deficit, rtol=1e-9, atol=1e-14)
    # the flux warms by SHF / (cp m); what else warms the layer is friction
    after = columns.air_temperature[:, -1] + time_step * got.sensible_heat_flux / (CP * columns.mass[:, -1])
    excess = CP * (columns.surface_temperature - after) - G * height
    np.testing.assert_allclose(got.sensible_heat_flux, density * 1.1e-3 * wind * excess, rtol=1e-9, atol=1e-7)
    friction = got.rate_temperature[:, -1] - got.sensible_heat_flux / (CP * columns.mass[:, -1])
    assert friction.min() >= -1e-16


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(1.0, 1.0e9))
def test_exchange_of_any_length_overshoots_nothing(seed: int, time_step: float) -> None:
    columns = harsh_columns(30, seed, 30)
    got = exchange(columns, time_step)
    humidity = columns.specific_humidity[:, -1]
    after = humidity + time_step * got.rate_humidity[:, -1]
    assert after.min() >= 0.0
    assert (after <= np.maximum(humidity, saturation(columns)) * (1.0 + 1e-13)).all()
    wind = columns.eastward_wind[:, -1]
    slowed = wind + time_step * got.rate_eastward_wind[:, -1]
    assert (slowed * wind >= -1e-12).all()
    assert (np.abs(slowed) <= np.abs(wind)).all()


def test_long_step_ends_in_equilibrium_with_the_surface() -> None:
    columns = ordinary_columns(20, seed=1)
    got = exchange(columns, 1.0e10, wetness=np.ones(20))
    mass = columns.mass[:, -1]
    _, height = lowest_layer(columns)
    after = columns.air_temperature[:, -1] + 1.0e10 * got.sensible_heat_flux / (CP * mass)
    np.testing.assert_allclose(after, columns.surface_temperature - G * height / CP, atol=1e-3)
    humidity = columns.specific_humidity[:, -1] + 1.0e10 * got.rate_humidity[:, -1]
    np.testing.assert_allclose(humidity, saturation(columns), rtol=1e-4)


def test_surface_on_the_dry_adiabat_of_the_air_gives_no_heat() -> None:
    columns = ordinary_columns(20, seed=2)
    _, height = lowest_layer(columns)
    got = exchange(columns, surface_temperature=columns.air_temperature[:, -1] + G * height / CP)
    assert np.abs(got.sensible_heat_flux).max() < 1e-8


def test_dry_land_does_not_evaporate_but_takes_dew() -> None:
    columns = ordinary_columns(30, seed=3)
    warm = exchange(columns, wetness=np.zeros(30), surface_temperature=np.full(30, 320.0))
    assert not warm.evaporation.any()
    cold = exchange(columns, wetness=np.zeros(30), surface_temperature=np.full(30, 230.0))
    assert (cold.evaporation < 0.0).all()
    np.testing.assert_array_equal(
        cold.evaporation, exchange(columns, wetness=np.ones(30), surface_temperature=np.full(30, 230.0)).evaporation
    )


def test_still_air_exchanges_by_gusts_alone() -> None:
    columns = ordinary_columns(10, seed=4)
    still = {"eastward_wind": np.zeros_like(columns.mass), "northward_wind": np.zeros_like(columns.mass)}
    gusty = exchange(columns, 1e-3, **still, gustiness=2.0)
    gustier = exchange(columns, 1e-3, **still, gustiness=4.0)
    np.testing.assert_allclose(gustier.sensible_heat_flux, 2.0 * gusty.sensible_heat_flux, rtol=1e-6)
    assert not gusty.stress_eastward.any()
    assert not exchange(columns, **still, gustiness=0.0).sensible_heat_flux.any()


def test_fluxes_in_the_explicit_limit_are_those_of_climt() -> None:
    """climt's Reed and Jablonowski takes the density of dry air and leaves g z out of the sensible heat."""
    import climt

    columns = ordinary_columns(40, seed=5)
    surface_humidity = saturation(columns)
    step = 1.0e-3
    ours = exchange(columns, step, gustiness=0.0, wetness=np.ones(40))
    scheme = climt.SimplePhysics(
        large_scale_condensation=False, boundary_layer=False, use_external_surface_specific_humidity=True
    )
    state = climt_state(columns, surface_humidity)
    theirs, after = scheme(state, timedelta(seconds=step))
    density, height = lowest_layer(columns)
    middle = 0.5 * (columns.pressure_interface[:, -2] + columns.pressure_interface[:, -1])
    ratio = density * scheme._Rair * columns.air_temperature[:, -1] / middle
    sensible = theirs["surface_upward_sensible_heat_flux"].values * CP / scheme._Cpd
    excess = columns.surface_temperature - columns.air_temperature[:, -1]
    np.testing.assert_allclose(
        ours.sensible_heat_flux, ratio * sensible * (1.0 - G * height / CP / excess), rtol=1e-6, atol=1e-6
    )
    latent = theirs["surface_upward_latent_heat_flux"].values / scheme._Lv
    np.testing.assert_allclose(np.maximum(ours.evaporation, 0.0), ratio * latent, rtol=1e-6, atol=1e-12)
    # climt applies its stress to half of the layer, za deep: tau = rho za du/dt
    above, below = columns.pressure_interface[:, -2:].T
    virtual = columns.air_temperature[:, -1] * (
        1.0 + (scheme._Rcond / scheme._Rair - 1.0) * columns.specific_humidity[:, -1]
    )
    half = scheme._Rair * virtual / scheme._g * 0.5 * np.log(below / above)
    slowing = (after["eastward_wind"].values[0] - columns.eastward_wind[:, -1]) / step
    np.testing.assert_allclose(ours.stress_eastward, density * half * slowing, rtol=1e-5, atol=1e-9)


def test_column_does_not_know_its_neighbours() -> None:
    columns = harsh_columns(64, seed=6)
    whole = exchange(columns)
    order = np.random.default_rng(0).permutation(64)[:37]
    for name, part in exchange(columns.take(order))._asdict().items():
        np.testing.assert_array_equal(part, getattr(whole, name)[order])


def test_python_has_the_defaults_of_fortran() -> None:
    python = [signature(surface_exchange).parameters[name].default for name in DEFAULTS]
    assert tuple(python) == _fortran_physics.wrap_emagram_surface__surface_defaults()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"wetness": np.full(3, 1.5)}, "argument 'wetness': expected values from .* to .*, got"),
        ({"wetness": np.ones(2)}, "argument 'wetness': expected size 3, got 2"),
        ({"surface_temperature": np.full(3, -1.0)}, "argument 'surface_temperature': expected values above 0"),
        ({"air_temperature": np.full((3, 8), np.nan)}, "argument 'air_temperature': expected finite values"),
        ({"eastward_wind": np.zeros((3, 7))}, "argument 'eastward_wind': expected 8 values in each of 3 columns"),
        ({"time_step": 0.0}, "argument 'dt': expected values above 0"),
        ({"gustiness": -1.0}, "argument 'gustiness': expected values from"),
        ({"heat_exchange_coefficient": 0.0}, "argument 'heat_exchange_coefficient': expected values above 0"),
        ({"smallest_drag_coefficient": 1.0}, "argument 'smallest_drag_coefficient': expected values from"),
    ],
)
def test_exchange_refuses_bad_arguments(change: dict[str, Any], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        exchange(ordinary_columns(3, 0, 8), **change)


def test_exchange_refuses_pressure_upside_down_or_without_layers() -> None:
    columns = ordinary_columns(3, 0, 8)
    arguments = columns.state | {"surface_temperature": columns.surface_temperature, "wetness": columns.wetness}
    with pytest.raises(EmagramError, match="increase from the model top"):
        surface_exchange(columns.pressure_interface[:, ::-1], time_step=1.0, **arguments)
    with pytest.raises(EmagramError, match=r"expected shape \(n_column, n_level \+ 1\), got \(3, 1\)"):
        surface_exchange(columns.pressure_interface[:, :1], time_step=1.0, **arguments)


SLAB = {
    "heat_capacity": np.array([4.0e6, 1.0e5, 0.0]),
    "net_shortwave": np.array([300.0, 0.0, 900.0]),
    "downwelling_longwave": np.array([350.0, 150.0, 400.0]),
    "upwelling_longwave": np.array([450.0, 250.0, 460.0]),
    "sensible_heat_flux": np.array([15.0, -30.0, 100.0]),
    "evaporation": np.array([4.0e-5, -1.0e-6, 1.0e-4]),
    "snow": np.array([0.0, 5.0e-5, 0.0]),
}
SURFACE = np.array([300.0, 255.0, 302.0])


def test_slab_gains_what_falls_on_it() -> None:
    got = slab(SURFACE, time_step=1200.0, **SLAB)
    budget = np.array([300.0 - 100.0 - 15.0, -100.0 + 30.0, 900.0 - 60.0 - 100.0])
    budget -= 2.501e6 * SLAB["evaporation"] + 3.337e5 * SLAB["snow"]
    np.testing.assert_allclose(got.net_surface_flux, budget, rtol=1e-14)
    np.testing.assert_allclose(got.rate_surface_temperature, [budget[0] / 4.0e6, budget[1] / 1.0e5, 0.0], rtol=1e-14)
    np.testing.assert_array_equal(got.surface_temperature, SURFACE + 1200.0 * got.rate_surface_temperature)
    assert got.surface_temperature[2] == SURFACE[2]


def test_air_and_slab_together_keep_their_energy() -> None:
    """Only (Lv+Lf) E - Lv E = Lf E is left: the water that the surface gives is counted from ice in the air."""
    columns = ordinary_columns(50, seed=7)
    air = exchange(columns)
    nothing = np.zeros(50)
    fluxes = dict.fromkeys(("net_shortwave", "downwelling_longwave", "upwelling_longwave", "snow"), nothing)
    ground = slab(
        columns.surface_temperature,
        time_step=1200.0,
        heat_capacity=np.full(50, 1.0e6),
        sensible_heat_flux=air.sensible_heat_flux,
        evaporation=air.evaporation,
        **fluxes,
    )
    gained = energy_gain(columns, air._asdict(), 1200.0) + ground.rate_surface_temperature * 1.0e6
    assert np.abs(gained - LF * air.evaporation).max() <= ENERGY_TOLERANCE


@pytest.mark.parametrize("name", list(SLAB))
def test_slab_refuses_bad_arguments(name: str) -> None:
    with pytest.raises(EmagramError, match=f"argument '{name}': expected size 3, got 2"):
        slab(SURFACE, time_step=1.0, **(SLAB | {name: SLAB[name][:2]}))
    with pytest.raises(EmagramError, match=f"argument '{name}': expected finite values"):
        slab(SURFACE, time_step=1.0, **(SLAB | {name: np.full(3, np.inf)}))


def test_slab_refuses_a_negative_heat_capacity() -> None:
    with pytest.raises(EmagramError, match="argument 'heat_capacity': expected values from"):
        slab(SURFACE, time_step=1.0, **(SLAB | {"heat_capacity": np.full(3, -1.0)}))


def test_surface_emits_as_a_black_body() -> None:
    np.testing.assert_allclose(surface_longwave(SURFACE), 5.67e-8 * SURFACE**4, rtol=1e-15)
    with pytest.raises(EmagramError, match="argument 'surface_temperature': expected values above 0"):
        surface_longwave([0.0])
