"""A model file as a physics term of jcm: what the term returns, what it refuses, and runs with it."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

if find_spec("jcm") is None:
    pytest.skip("jcm is not installed; make test-long installs it, the extra 'jcm'", allow_module_level=True)

import jax
import jax.numpy as jnp
from jcm.model import Model
from jcm.physics.composable_physics import ComposablePhysics
from jcm.physics.speedy.physics_data import LWRadiationData, SurfaceFluxData
from jcm.physics.speedy.speedy_terms import speedy_physics
from jcm.physics_interface import PhysicsTendency

import emagram
from emagram.fortran_bridge.errors import BridgeError
from emagram.hybrid.hosts.jcm import EmulatorTerm, emulate
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from jcm_runs import (
    LONGWAVE,
    TIME_STEP,
    RecordedLongwave,
    Relaxation,
    as_columns,
    coordinates,
    random_longwave,
    relaxation_physics,
    run,
    state,
    train_longwave,
)
from linear_model import (
    HEATING,
    OUTGOING,
    PRESSURE,
    UPWELLING,
    close,
    linear_outputs,
    residual,
    write_linear_model,
)

HEATING_ERROR = 1e-11  # [K s-1] as in test_hosts_merging.py
CLOSED = 1e-3  # [W m-2] rates and fluxes in float32


@pytest.fixture(scope="module")
def coords() -> Any:
    return coordinates()


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_linear_model(tmp_path_factory.mktemp("linear") / "linear.emg", time_step=TIME_STEP)


@pytest.fixture(scope="module")
def relaxation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_linear_model(tmp_path_factory.mktemp("relaxation") / "relaxation.emg", closed=False)


def diagnostics(coords: Any) -> dict:
    """Of earlier terms: the surface's radiation."""
    shape = coords.horizontal.nodal_shape
    upwelling = jnp.asarray(np.random.default_rng(1).uniform(150.0, 500.0, shape), jnp.float32)
    return {
        "_dt_seconds": TIME_STEP,
        "_surface_flux": SurfaceFluxData.zeros(shape, rlus=upwelling),
        "_longwave_rad": LWRadiationData.zeros(shape, coords.nodal_shape[0]),
    }


def inputs_of(given: Any, earlier: dict, coords: Any) -> dict:
    """What the model should see of a state of jcm, float64, (column, …)."""
    surface = 1e5 * as_columns(given.normalized_surface_pressure)
    latitude = np.broadcast_to(coords.horizontal.latitudes, coords.horizontal.nodal_shape)
    return {
        PRESSURE: surface[:, None] * np.asarray(coords.vertical.boundaries, float),
        "air_temperature": as_columns(given.temperature[None]),
        "cosine_of_latitude": np.cos(as_columns(latitude)),
        UPWELLING: as_columns(earlier["_surface_flux"].rlus),
    }


class OwnLongwave(Relaxation):
    """Some physics to fall back to, with a flux that does not fit its heating."""

    category = "radiation"

    def __call__(self, state: Any, diagnostics: dict, *_: Any) -> tuple[Any, dict]:
        shape = state.temperature.shape
        tendency = PhysicsTendency.zeros(shape, temperature=jnp.full(shape, -1e-5), u_wind=jnp.full(shape, 2e-5))
        flux = diagnostics["_longwave_rad"].copy(ftop=jnp.full(shape[1:], 222.0))
        return tendency, {**diagnostics, "_longwave_rad": flux}


def call(term: EmulatorTerm, given: Any, earlier: dict) -> tuple[Any, dict]:
    return jax.jit(lambda s, d: term(s, d | {"_dt_seconds": TIME_STEP}, None, None))(given, earlier)


def made(path: Path, coords: Any, **options: Any) -> EmulatorTerm:
    term = EmulatorTerm(path, "radiation", **options)
    term.cache_coords(coords)
    return term


def found_in(tendency: Any, after: dict) -> dict:
    return {
        HEATING: as_columns(tendency.temperature[None]),
        OUTGOING: as_columns(after["emulated_radiation"][OUTGOING]),
    }


def test_the_term_is_the_model_on_jcms_levels_and_closes(linear: Path, coords: Any) -> None:
    given, earlier = state(coords), diagnostics(coords)
    tendency, after = call(made(linear, coords), given, earlier)
    inputs = inputs_of(given, earlier, coords)
    expected, found = linear_outputs(inputs), found_in(tendency, after)
    np.testing.assert_allclose(found[HEATING], expected[HEATING], rtol=0.0, atol=HEATING_ERROR)
    np.testing.assert_allclose(found[OUTGOING], expected[OUTGOING], rtol=1e-6)
    assert np.abs(residual(inputs, found)).max() < CLOSED
    assert np.abs(as_columns(after["emulated_radiation"]["longwave_residual_before"])).max() > 10.0
    assert np.array_equal(after["_longwave_rad"].ftop, after["emulated_radiation"][OUTGOING])
    assert not np.asarray(tendency.specific_humidity).any()


def test_a_batch_of_states_under_vmap_has_the_bits_of_one_after_another(linear: Path, coords: Any) -> None:
    term, earlier = made(linear, coords), diagnostics(coords)
    states = [state(coords, seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *fields: jnp.stack(fields), *states)
    together = jax.vmap(lambda one: call(term, one, earlier)[0].temperature)(stacked)
    for one, found in zip(states, together, strict=True):
        assert np.array_equal(call(term, one, earlier)[0].temperature, found)


def test_columns_as_one_axis_are_the_same(linear: Path, coords: Any) -> None:
    """ComposablePhysics(vectorize_columns=True) hands terms (level, column)."""
    term, given, earlier = made(linear, coords), state(coords), diagnostics(coords)
    earlier.pop("_dt_seconds")
    flat = jax.tree.map(lambda field: field.reshape(*field.shape[:-2], -1), (given, earlier))
    expected, found = call(term, given, earlier), call(term, *flat)
    assert np.array_equal(as_columns(expected[0].temperature[None]), np.asarray(found[0].temperature).T)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_blend_has_the_share_of_the_replaced_term(linear: Path, coords: Any, share: float) -> None:
    given, earlier = state(coords), diagnostics(coords)
    tendency, after = call(made(linear, coords, replaced=OwnLongwave(), share=share), given, earlier)
    inputs = inputs_of(given, earlier, coords)
    raw = linear_outputs(inputs, raw=True)
    own = {HEATING: -1e-5, OUTGOING: 222.0}
    expected = close(inputs, {name: share * raw[name] + (1.0 - share) * own[name] for name in raw})
    found = found_in(tendency, after)
    np.testing.assert_allclose(found[HEATING], expected[HEATING], rtol=0.0, atol=HEATING_ERROR)
    np.testing.assert_allclose(found[OUTGOING], expected[OUTGOING], rtol=1e-6)
    assert (np.asarray(tendency.u_wind) == np.float32(2e-5)).all()  # not emulated: the replaced term's


def test_rejected_columns_fall_back_and_are_counted(linear: Path, coords: Any) -> None:
    given, earlier = state(coords), diagnostics(coords)
    hot = given.copy(temperature=given.temperature.at[3, 5, 7].set(700.0))
    for own in (None, OwnLongwave()):
        term = made(linear, coords, replaced=own)
        sound, spoiled = call(term, given, earlier)[0], call(term, hot, earlier)
        heating = np.asarray(spoiled[0].temperature)
        if own is None:
            assert not heating[:, 5, 7].any()
        else:
            inputs = inputs_of(hot, earlier, coords)
            n = inputs[UPWELLING].size
            fallback = close(inputs, {HEATING: np.full((n, 8), -1e-5), OUTGOING: np.full(n, 222.0)})[HEATING]
            np.testing.assert_allclose(heating[:, 5, 7], fallback[5 * 32 + 7], rtol=0.0, atol=HEATING_ERROR)
        others = np.ones(given.temperature.shape[1:], bool)
        others[5, 7] = False
        assert np.array_equal(heating[:, others], np.asarray(sound.temperature)[:, others])
        counted = call(term, hot, call(term, hot, earlier)[1])[1]["emulated_radiation"]["rejected_steps"]
        assert counted[5, 7] == 2
        assert counted.sum() == 2


def test_extrapolated_columns_are_counted(linear: Path, coords: Any) -> None:
    given = state(coords)
    warm = given.copy(temperature=given.temperature.at[3, 5, 7].set(350.0))
    term, earlier = made(linear, coords), diagnostics(coords)
    more = [call(term, each, earlier)[1]["emulated_radiation"]["extrapolated_steps"] for each in (given, warm)]
    assert more[1][5, 7] == 1
    assert (more[1] >= more[0]).all()


def test_other_levels_constants_and_coordinates_are_refused(tmp_path: Path, linear: Path, coords: Any) -> None:
    with pytest.raises(EmagramError, match="expected the 7 levels of jcm, got 8"):
        Model(coords=coordinates(7), physics=ComposablePhysics([EmulatorTerm(linear, "radiation")]))
    other = write_linear_model(tmp_path / "other.emg", constants=Constants())
    with pytest.raises(EmagramError, match=r"expected jcm's gravity 9\.81, got 9\.80616"):
        made(other, coords)


@pytest.mark.parametrize("checkpointed", [False, True])
def test_another_time_step_is_refused(linear: Path, coords: Any, checkpointed: bool) -> None:
    class Surface(Relaxation):
        def __call__(self, state: Any, earlier: dict, *_: Any) -> tuple[Any, dict]:
            kept = {name: value for name, value in diagnostics(coords).items() if name != "_dt_seconds"}
            return PhysicsTendency.zeros(state.temperature.shape), {**earlier, **kept}

    terms = [Surface(), EmulatorTerm(linear, "radiation")]
    physics = ComposablePhysics(terms, checkpoint_terms=checkpointed, dt_seconds=1200.0)
    physics.cache_coords(coords)
    with pytest.raises(Exception, match=r"1800.*1200"):
        jax.block_until_ready(jax.jit(physics.compute_tendencies)(state(coords), None, None)[0])


def test_what_cannot_be_blended_or_found_is_refused(linear: Path, coords: Any) -> None:
    with pytest.raises(EmagramError, match=r"expected a number from 0 to 1, got 1\.5"):
        EmulatorTerm(linear, "radiation", share=1.5)
    with pytest.raises(EmagramError, match="expected a replaced term to blend with"):
        EmulatorTerm(linear, "radiation", share=0.5)
    with pytest.raises(EmagramError, match="category 'clouds': expected one term of jcm, got 0"):
        emulate(relaxation_physics(), "clouds", linear)
    with pytest.raises(EmagramError, match="expected jcm's diagnostics '_surface_flux'"):
        made(linear, coords)(state(coords), {"_dt_seconds": TIME_STEP}, None, None)
    with pytest.raises(BridgeError, match="cannot be read"):
        EmulatorTerm(linear.with_name("none.emg"), "radiation")


@pytest.mark.long
def test_a_term_replaced_by_its_equal_gives_nearly_the_same_run(relaxation: Path) -> None:
    own = run(relaxation_physics(), 3.0)[1].dynamics.temperature
    emulated = run(emulate(relaxation_physics(), "radiation", relaxation), 3.0)[1].dynamics.temperature
    difference = np.abs(np.asarray(own, float) - np.asarray(emulated, float))
    assert np.asarray(own).std() > 1.0
    assert difference.max() < 2e-3  # [K]
    print(f"largest difference after three days {difference.max():.1e} K")


@pytest.mark.long
def test_an_emulator_of_speedys_longwave_runs(tmp_path: Path) -> None:
    days = 3.0
    recorded = speedy_physics().replace(LONGWAVE, RecordedLongwave())
    reference, saved = run(recorded, days)
    samples = random_longwave(reference, saved.dynamics)
    path = train_longwave(tmp_path / "longwave.emg", samples, reference.coords.vertical.boundaries)

    model, first = run(emulate(speedy_physics(), LONGWAVE, path), days)
    again = model.run(save_interval=0.25, total_time=days)
    for one, other in zip(jax.tree.leaves(first.dynamics), jax.tree.leaves(again.dynamics), strict=True):
        assert np.array_equal(one, other)

    warm, own = (np.asarray(each.dynamics.temperature, float) for each in (first, saved))
    assert np.isfinite(warm).all()
    drift = np.sqrt(np.square(warm - own).mean(axis=(1, 2, 3)))
    cooled = days * 86400.0 * float(np.abs(saved.physics["recorded"][HEATING]).mean())
    print(f"differs by {drift[-1]:.2f} K after {days} days, in which longwave cooled by {cooled:.1f} K")
    assert cooled > 4.0
    assert drift[-1] < 0.1 * cooled
    counts = first.physics[f"emulated_{LONGWAVE}"]
    assert not np.asarray(counts["rejected_steps"]).any()


@pytest.mark.long
def test_output_of_a_run_has_the_term_with_its_budget(relaxation: Path) -> None:
    fields = run(emulate(relaxation_physics(), "radiation", relaxation), 0.5)[1].to_xarray()
    assert fields["emulated_radiation.rejected_steps"].dims == ("time", "lon", "lat")


def test_a_dataset_of_jcms_columns_has_the_same_budget(linear: Path, coords: Any) -> None:
    """Model.budget, which reads no code of this host, finds the returned rates and fluxes closed."""
    given, earlier = state(coords), diagnostics(coords)
    inputs = inputs_of(given, earlier, coords)
    outputs = found_in(*call(made(linear, coords), given, earlier))
    model = emagram.open(linear)
    fields = {field.name: field for field in (*model.inputs, *model.outputs)}
    columns = {
        name: (fields[name].dimensions, value, {"units": fields[name].unit})
        for name, value in (inputs | outputs).items()
    }
    assert float(np.abs(model.budget(xr.Dataset(columns))["longwave"]).max()) < CLOSED
