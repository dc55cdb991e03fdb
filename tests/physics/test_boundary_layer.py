"""Turbulent mixing: closure, dissipation, no new extrema, invariances."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.physics import _fortran_physics
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.boundary_layer import BoundaryLayer, boundary_layer, turbulence
from emagram.physics.fortran_physics.diffusion import Diffusion, diffusion
from emagram.physics.fortran_physics.surface import surface_exchange
from turbulent_columns import (
    CONSTANTS,
    ENERGY_TOLERANCE,
    WATER_TOLERANCE,
    Array,
    Columns,
    dry_column,
    energy_gain,
    exact_sum,
    harsh_columns,
    ordinary_columns,
)

CP, G, RD = CONSTANTS.heat_capacity_dry_air, CONSTANTS.gravity, CONSTANTS.gas_constant_dry_air
MIXED = ("specific_humidity", "cloud_liquid", "cloud_ice", "eastward_wind", "northward_wind")
RATE_OF = dict(zip(MIXED, ("humidity", "liquid", "ice", "eastward_wind", "northward_wind"), strict=True))
DEFAULTS = ("critical_richardson_number", "surface_layer_fraction", "largest_height")
DEFAULTS += ("mixing_length", "background_diffusivity")

seeds = st.integers(0, 2**32 - 1)
# shorter ones make fluxes of 1e6 W m-2 from the noise of harsh columns, whose rounding alone is 1e-10
time_steps = st.floats(300.0, 1.0e5)
harshness = st.sampled_from([ordinary_columns, harsh_columns])


def fluxes_of(columns: Columns, time_step: float) -> dict[str, Array]:
    """What the surface exchange gives for this state."""
    got = surface_exchange(
        columns.pressure_interface,
        time_step=time_step,
        surface_temperature=columns.surface_temperature,
        wetness=columns.wetness,
        **columns.state,
    )
    return {
        name: getattr(got, name)
        for name in ("sensible_heat_flux", "evaporation", "stress_eastward", "stress_northward")
    }


def mix(columns: Columns, time_step: float = 1200.0, **changes: Any) -> BoundaryLayer:
    arguments: dict[str, Any] = columns.state | columns.cloud | fluxes_of(columns, 1200.0) | {"time_step": time_step}
    return boundary_layer(columns.pressure_interface, **(arguments | changes))


def rate(got: BoundaryLayer, name: str) -> Array:
    array: Array = getattr(got, f"rate_{RATE_OF[name]}")
    return array


@settings(max_examples=60, deadline=None)
@given(harshness, seeds, st.integers(1, 70), time_steps)
def test_mixing_closes_energy_water_and_momentum(make: Any, seed: int, n_level: int, time_step: float) -> None:
    columns = make(20, seed, n_level)
    got = mix(columns, time_step)
    assert np.abs(energy_gain(columns, got._asdict(), time_step)).max() <= ENERGY_TOLERANCE
    for name in ("humidity", "liquid", "ice"):
        assert np.abs(exact_sum(getattr(got, f"rate_{name}") * columns.mass)).max() <= WATER_TOLERANCE
    for name in ("eastward_wind", "northward_wind"):
        assert np.abs(exact_sum(getattr(got, f"rate_{name}") * columns.mass)).max() <= 1e-13


@settings(max_examples=60, deadline=None)
@given(harshness, seeds, st.integers(1, 70), time_steps)
def test_mixing_makes_no_extremum_and_no_negative_water(make: Any, seed: int, n_level: int, time_step: float) -> None:
    columns = make(20, seed, n_level)
    got = mix(columns, time_step)
    for name in MIXED:
        before = getattr(columns, name)
        after = before + time_step * rate(got, name)
        rounding = 1e-13 * np.abs(before).max(axis=1, keepdims=True)
        assert (after <= before.max(axis=1, keepdims=True) + rounding).all()
        assert (after >= before.min(axis=1, keepdims=True) - rounding).all()
        if "wind" not in name:
            assert after.min() >= 0.0
    assert np.isfinite(got.rate_temperature).all()


def test_single_layer_has_nothing_to_mix_with() -> None:
    got = mix(harsh_columns(10, 0, 1))
    for name, array in got._asdict().items():
        if name.startswith("rate"):
            assert not array.any()


def exchanges(columns: Columns, fluxes: dict[str, Array], time_step: float) -> tuple[Array, Array, Array]:
    """ρ K / Δz of heat and of momentum [kg m-2 s-1] from the diffusivities, and the height of the layers [m]."""
    got = turbulence(columns.pressure_interface, time_step=time_step, **columns.state, **fluxes)
    virtual = columns.air_temperature * (1.0 + (1.0 / CONSTANTS.epsilon - 1.0) * columns.specific_humidity)
    p = columns.pressure_interface
    thickness = RD * virtual[:, 1:] / G * np.log(p[:, 2:] / p[:, 1:-1])
    lower = np.concatenate([np.cumsum(thickness[:, ::-1], axis=1)[:, ::-1], np.zeros((len(p), 1))], axis=1)
    height = lower + RD * virtual / G * np.log(2.0 * p[:, 1:] / (p[:, 1:] + p[:, :-1]))
    density = p[:, 1:-1] / (RD * 0.5 * (virtual[:, 1:] + virtual[:, :-1]))
    conductance = np.zeros_like(p)
    conductance[:, 1:-1] = density / (height[:, :-1] - height[:, 1:])
    return conductance * got.diffusivity_heat, conductance * got.diffusivity_momentum, height


@settings(max_examples=20, deadline=None)
@given(harshness, seeds, st.floats(1.0, 1.0e4))
def test_mixing_is_diffusion_plus_the_heat_of_dissipation(make: Any, seed: int, time_step: float) -> None:
    """Layer by layer: cp dT m = div F_s + half of e |dU'|**2 of both interfaces + |dU|**2 m / (2 dt), none below 0."""
    columns = make(10, seed, 40)
    fluxes = fluxes_of(columns, 1200.0)
    heat, momentum, height = exchanges(columns, fluxes, time_step)
    got = mix(columns, time_step)

    def diffused(quantity: Array, exchange: Array) -> Diffusion:
        return diffusion(columns.pressure_interface, exchange, quantity, time_step=time_step)

    for name in MIXED:
        wanted = diffused(getattr(columns, name), momentum if "wind" in name else heat).rate
        scale = np.abs(getattr(columns, name)).max() / time_step
        np.testing.assert_allclose(rate(got, name), wanted, rtol=1e-8, atol=1e-11 * scale)
    dissipation = np.zeros_like(columns.mass)
    for name in ("eastward_wind", "northward_wind"):
        after = getattr(columns, name) + time_step * rate(got, name)
        sheared = np.zeros_like(columns.pressure_interface)
        sheared[:, 1:-1] = momentum[:, 1:-1] * np.diff(after, axis=1) ** 2
        dissipation += 0.5 * (sheared[:, 1:] + sheared[:, :-1]) + 0.5 * time_step * columns.mass * rate(got, name) ** 2
    warmed = CP * columns.mass * got.rate_temperature
    mixed = columns.mass * diffused(CP * columns.air_temperature + G * height, heat).rate
    np.testing.assert_allclose(warmed - mixed, dissipation, rtol=1e-5, atol=1e-5)
    assert dissipation.min() >= 0.0


def test_friction_of_a_sheared_column_warms_it_by_the_lost_wind() -> None:
    columns = ordinary_columns(30, 21)
    got = mix(columns)
    lost = 0.0
    for name in ("eastward_wind", "northward_wind"):
        before = getattr(columns, name)
        lost += 0.5 * ((before**2 - (before + 1200.0 * rate(got, name)) ** 2) * columns.mass).sum(axis=1) / 1200.0
    warmed = CP * (got.rate_temperature * columns.mass).sum(axis=1)
    np.testing.assert_allclose(warmed, lost, atol=1e-9)
    assert lost.min() > 0.0


def test_well_mixed_column_stays_so() -> None:
    columns = ordinary_columns(20, 22)
    same = np.ones_like(columns.mass)
    got = mix(
        columns,
        specific_humidity=0.01 * same,
        cloud_liquid=1e-4 * same,
        cloud_ice=2e-4 * same,
        eastward_wind=7.0 * same,
        northward_wind=-3.0 * same,
    )
    for name in MIXED:
        assert not rate(got, name).any()


def test_neutral_dry_static_energy_is_not_changed() -> None:
    """Dry and still, cp T + g z the same everywhere: what is mixed is well-mixed."""
    columns = ordinary_columns(20, 23)
    p = columns.pressure_interface
    middle = 0.5 * (p[:, 1:] + p[:, :-1])
    # below 200 hPa only, that the temperature stays positive: hydrostatic s = cp T + g z, layer by layer from below
    keep = slice(-30, None)
    columns = Columns(**{name: array[:, keep] if array.ndim > 1 else array for name, array in vars(columns).items()})
    p, middle = p[:, -31:], middle[:, keep]
    temperature = np.empty_like(middle)
    below = np.zeros(len(p))
    for k in range(middle.shape[1] - 1, -1, -1):
        scale = RD / G * np.log(p[:, k + 1] / middle[:, k])
        temperature[:, k] = (CP * 300.0 - G * below) / (CP + G * scale)
        below = below + RD * temperature[:, k] / G * np.log(p[:, k + 1] / p[:, k])
    still = np.zeros_like(middle)
    got = boundary_layer(
        p,
        time_step=1200.0,
        air_temperature=temperature,
        **dict.fromkeys(MIXED, still),
        sensible_heat_flux=np.full(20, 100.0),
        evaporation=np.zeros(20),
        stress_eastward=np.full(20, 0.3),
        stress_northward=np.zeros(20),
    )
    assert temperature.min() > 200.0
    assert np.abs(got.rate_temperature).max() * 86400.0 < 1e-7


def test_coordinates_may_move_with_the_wind() -> None:
    """The fluxes of the surface held, all rates are the same, the heat of dissipation too."""
    columns = ordinary_columns(40, 24)
    fluxes = fluxes_of(columns, 1200.0)
    here = mix(columns)
    there = mix(columns, **fluxes, eastward_wind=columns.eastward_wind + 32.0)
    for name, array in here._asdict().items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(getattr(there, name), array, rtol=1e-7, atol=1e-8 * scale)


def test_mixing_by_two_half_steps_is_that_by_one_to_first_order() -> None:
    """The diffusivities follow the state: what one step differs by falls at least with its length."""
    columns = ordinary_columns(20, 25)

    def gap(time_step: float) -> float:
        one = columns.air_temperature + time_step * mix(columns, time_step).rate_temperature
        half = mix(columns, 0.5 * time_step)
        names = {"air_temperature": "temperature"} | RATE_OF
        moved = {
            name: getattr(columns, name) + 0.5 * time_step * getattr(half, f"rate_{short}")
            for name, short in names.items()
        }
        state = Columns(**(vars(columns) | moved))
        second = mix(state, 0.5 * time_step, **fluxes_of(columns, 1200.0))
        return float(np.abs(state.air_temperature + 0.5 * time_step * second.rate_temperature - one).max())

    assert gap(0.1) < 0.35 * gap(0.2)


def heated(time_step: float, n_level: int) -> float:
    """Height of the boundary layer after 8 hours of 150 W m-2 into still air of 5 K km-1."""
    columns = dry_column(0.005, n_level)
    temperature, still = columns.air_temperature.copy(), np.zeros_like(columns.mass)
    flux, none = np.full(1, 150.0), np.zeros(1)
    for _ in range(round(8 * 3600.0 / time_step)):
        temperature[:, -1] += flux * time_step / (CP * columns.mass[:, -1])
        got = boundary_layer(
            columns.pressure_interface,
            time_step=time_step,
            air_temperature=temperature,
            **dict.fromkeys(MIXED, still),
            sensible_heat_flux=flux,
            evaporation=none,
            stress_eastward=none,
            stress_northward=none,
        )
        temperature = temperature + time_step * got.rate_temperature
    return float(got.boundary_layer_height[0])


@pytest.mark.parametrize(("time_step", "n_level"), [(300.0, 60), (1200.0, 30), (1200.0, 60), (1200.0, 120)])
def test_heated_layer_grows_by_encroachment_and_entrainment(time_step: float, n_level: int) -> None:
    """h**2 = 2 (1 + 2 A) H t / (rho cp gamma), A = 0 for encroachment and 0.2 for the entrainment usually observed."""
    encroachment = np.sqrt(2.0 * 150.0 * 8 * 3600.0 / (1.1 * CP * 0.005))
    assert 1.05 < heated(time_step, n_level) / encroachment < 1.3


def test_column_does_not_know_its_neighbours() -> None:
    columns = harsh_columns(64, 26)
    whole = mix(columns)
    order = np.random.default_rng(0).permutation(64)[:37]
    for name, part in mix(columns.take(order))._asdict().items():
        np.testing.assert_array_equal(part, getattr(whole, name)[order])


@pytest.mark.parametrize("front", [boundary_layer, turbulence])
def test_python_has_the_defaults_of_fortran(front: Any) -> None:
    python = [signature(front).parameters[name].default for name in DEFAULTS]
    assert tuple(python) == _fortran_physics.wrap_emagram_boundary_layer__boundary_layer_defaults()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cloud_ice": np.zeros((3, 7))}, "argument 'cloud_ice': expected 8 values in each of 3 columns, got 7"),
        ({"northward_wind": np.full((3, 8), np.inf)}, "argument 'northward_wind': expected finite values"),
        ({"air_temperature": np.zeros((3, 8))}, "argument 'air_temperature': expected values above 0"),
        ({"stress_eastward": np.zeros(2)}, "argument 'stress_eastward': expected size 3, got 2"),
        ({"evaporation": np.full(3, np.nan)}, "argument 'evaporation': expected finite values"),
        ({"time_step": 0.0}, "argument 'dt': expected values above 0"),
        ({"critical_richardson_number": 0.0}, "argument 'critical_richardson_number': expected values above 0"),
        ({"surface_layer_fraction": 2.0}, "argument 'surface_layer_fraction': expected values from"),
        ({"largest_height": -1.0}, "argument 'largest_height': expected values above 0"),
        ({"mixing_length": 0.0}, "argument 'mixing_length': expected values above 0"),
        ({"background_diffusivity": -1.0}, "argument 'background_diffusivity': expected values from"),
    ],
)
def test_mixing_refuses_bad_arguments(change: dict[str, Any], text: str) -> None:
    columns = ordinary_columns(3, 0, 8)
    with pytest.raises(EmagramError, match=text):
        mix(columns, **change)
    shared = columns.state | fluxes_of(columns, 1200.0)
    if next(iter(change)) in shared or next(iter(change)) in DEFAULTS:
        with pytest.raises(EmagramError, match=text):
            turbulence(columns.pressure_interface, **({"time_step": 0.0} | shared | change))
