"""Derived ClimSim variables against the formulas written out, from the toy's successive steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emagram.emulators.data.climsim_derived import Kind, derive, first_offset, needs
from emagram.emulators.data.climsim_grid import built_in_grid
from emagram.emulators.data.climsim_sets import FEATURES, VARIABLE_SETS
from emagram.physics.errors import EmagramError
from emagram.physics.variables import VARIABLES, find
from toy_columns import TIME_STEP, files_around, toy_grid, toy_steps

Array = NDArray[np.float64]
STEP = 5


def field(*aliases: str) -> tuple[str, ...]:
    return tuple(find(alias, "climsim").name for alias in aliases)


def derived(alias: str) -> Array:
    (name,) = field(alias)
    return derive([name], files_around(toy_steps(), STEP), time_step=TIME_STEP, grid=toy_grid())[name]


def file(kind: Kind, step: int, name: str) -> Array:
    return toy_steps()[step][kind][name]


def water(kind: Kind, step: int) -> Array:
    return sum((file(kind, step, f"state_q000{i}") for i in (1, 2, 3)), start=np.zeros(()))


def test_tendencies_are_what_the_physics_did() -> None:
    for x in ("t", "q0001", "q0002", "q0003", "u", "v"):
        expected = (file("mlo", STEP, f"state_{x}") - file("mli", STEP, f"state_{x}")) / TIME_STEP
        np.testing.assert_array_equal(derived(f"ptend_{x}"), expected)
        assert np.abs(expected).max() > 0.0


def test_cloud_tendency_is_that_of_liquid_and_ice() -> None:
    expected = derived("ptend_q0002") + derived("ptend_q0003")
    np.testing.assert_allclose(derived("ptend_qn"), expected, rtol=1e-13, atol=1e-20)
    assert np.abs(derived("ptend_q0003")).max() > 0.0


def test_forcing_is_all_change_since_the_physics_before() -> None:
    for before, step in (("", STEP), ("tm_", STEP - 1)):
        for x in ("t", "u"):
            change = file("mli", step, f"state_{x}") - file("mlo", step - 1, f"state_{x}")
            np.testing.assert_array_equal(derived(f"{before}state_{x}_dyn"), change / TIME_STEP)
        expected = (water("mli", step) - water("mlo", step - 1)) / TIME_STEP
        np.testing.assert_allclose(derived(f"{before}state_q0_dyn"), expected, rtol=1e-9, atol=1e-19)


def test_memory_of_the_physics_is_of_one_and_two_steps_before() -> None:
    for before, step in (("", STEP - 1), ("tm_", STEP - 2)):
        for x in ("t", "q0001", "q0002", "q0003", "u"):
            change = file("mlo", step, f"state_{x}") - file("mli", step, f"state_{x}")
            np.testing.assert_array_equal(derived(f"{before}state_{x}_prvphy"), change / TIME_STEP)
        both = derived(f"{before}state_q0002_prvphy") + derived(f"{before}state_q0003_prvphy")
        np.testing.assert_allclose(derived(f"{before}state_qn_prvphy"), both, rtol=1e-13, atol=1e-20)


def test_scalars_of_the_step_before() -> None:
    for name in ("state_ps", "pbuf_SOLIN", "pbuf_LHFLX", "pbuf_SHFLX", "pbuf_COSZRS"):
        np.testing.assert_array_equal(derived(f"tm_{name}"), file("mli", STEP - 1, name))
    assert not np.array_equal(derived("tm_pbuf_SOLIN"), derived("pbuf_SOLIN"))


def test_place_comes_from_the_grid() -> None:
    latitude = np.deg2rad(toy_grid().latitude)
    np.testing.assert_allclose(derived("slat"), np.sin(latitude), rtol=1e-15)
    np.testing.assert_allclose(derived("clat") ** 2 + derived("slat") ** 2, 1.0, rtol=1e-14)
    assert derived("clat").min() > 0.0
    np.testing.assert_array_equal(derived("icol"), np.arange(1, 55))


def test_pressure_comes_from_the_grid_and_the_surface() -> None:
    names = ["air_pressure", "air_pressure_at_interface"]
    raw = {(0, "mli"): {"state_ps": file("mli", STEP, "state_ps")}}
    pressure = derive(names, raw, time_step=TIME_STEP, grid=toy_grid())  # type: ignore[arg-type]
    coordinate, surface = toy_grid().coordinate, file("mli", STEP, "state_ps")[:, None]
    expected = np.array(coordinate.hyai) * coordinate.p0 + np.array(coordinate.hybi) * surface
    np.testing.assert_allclose(pressure[names[1]], expected, rtol=1e-14)
    np.testing.assert_allclose(pressure[names[0]], 0.5 * (expected[:, 1:] + expected[:, :-1]), rtol=1e-14)
    np.testing.assert_allclose(pressure[names[0]], file("mli", STEP, "state_pmid"), rtol=1e-14)


def test_fill_of_snow_without_ice_is_no_snow() -> None:
    raw = file("mli", STEP, "cam_in_SNOWHICE")
    assert raw.max() == 1.0e30
    snow = derived("cam_in_SNOWHICE")
    np.testing.assert_array_equal(snow, np.where(raw == 1.0e30, 0.0, raw))
    assert snow.max() > 0.0


@pytest.mark.parametrize("variables", VARIABLE_SETS.values(), ids=VARIABLE_SETS)
def test_every_set_is_derived_from_what_it_needs_alone(variables: Any) -> None:
    """Everything a set does not ask for is poisoned away: absent."""
    names = field(*(name for name in (*variables.inputs, *variables.outputs) if name not in FEATURES))
    wanted, files = needs(names), files_around(toy_steps(), STEP)
    raw = {place: {name: files[place][name] for name in wanted[place]} for place in wanted}
    fields = derive(names, raw, time_step=TIME_STEP, grid=toy_grid())
    assert tuple(fields) == names
    for name, value in fields.items():
        assert value.dtype == np.float64
        assert value.shape == ((54,) if VARIABLES[name].dimension == "column" else (54, 12))
        low, high = VARIABLES[name].valid_range
        assert value.min() >= low
        assert value.max() <= high


def test_needs_says_how_far_back() -> None:
    assert needs(field("state_t")) == {(0, "mli"): ("state_t",)}
    assert needs(field("cam_out_PRECC")) == {(0, "mlo"): ("cam_out_PRECC",)}
    assert needs(field("ptend_t")) == {(0, "mli"): ("state_t",), (0, "mlo"): ("state_t",)}
    assert needs(field("clat", "slat", "icol")) == {}
    assert list(needs(field("tm_state_q0_dyn"))) == [(-2, "mlo"), (-1, "mli")]
    offsets = {"state_t": 0, "state_t_dyn": -1, "tm_state_ps": -1, "tm_state_t_dyn": -2, "tm_state_u_prvphy": -2}
    assert {alias: first_offset(field(alias)) for alias in offsets} == offsets


def test_one_column_and_one_level() -> None:
    raw: Any = {(0, "mli"): {"state_t": np.full((1, 1), 280.0)}, (0, "mlo"): {"state_t": np.full((1, 1), 281.2)}}
    (name,) = field("ptend_t")
    np.testing.assert_allclose(derive([name], raw, time_step=1200.0)[name], [[1e-3]], rtol=1e-9)


@pytest.mark.parametrize("time_step", [0.0, -1200.0, float("nan"), float("inf")])
def test_a_time_step_is_a_positive_number(time_step: float) -> None:
    with pytest.raises(EmagramError, match="ClimSim time step: expected a positive number of seconds"):
        derive(field("ptend_t"), files_around(toy_steps(), STEP), time_step=time_step)


def test_a_missing_file_or_variable_is_named() -> None:
    files = dict(files_around(toy_steps(), STEP))
    place: tuple[int, Kind] = (-1, "mlo")
    without = files | {place: {name: value for name, value in files[place].items() if name != "state_u"}}
    with pytest.raises(EmagramError, match=r"'state_u' of 'mlo' at step -1: expected in the file"):
        derive(field("state_u_prvphy"), without, time_step=TIME_STEP)
    del files[(-2, "mlo")]
    with pytest.raises(EmagramError, match=r"'state_t' of 'mlo' at step -2: expected that file"):
        derive(field("tm_state_t_dyn"), files, time_step=TIME_STEP)


@pytest.mark.parametrize("wrong", [np.zeros((54, 11)), np.zeros((53, 12)), np.zeros((12, 54)), np.zeros(54)])
def test_files_of_another_grid_are_refused(wrong: Array) -> None:
    raw: Any = {(0, "mli"): {"state_t": file("mli", 0, "state_t")}, (0, "mlo"): {"state_t": wrong}}
    with pytest.raises(EmagramError, match=r"'state_t' of 'mlo' at step \+0: expected shape \(54, 12\)"):
        derive(field("ptend_t"), raw, time_step=TIME_STEP)
    with pytest.raises(EmagramError, match=r"expected shape \(6, 12\)"):
        derive(field("ptend_t"), raw, time_step=TIME_STEP, grid=built_in_grid(6, 12))


def test_the_grid_and_a_climsim_name_are_asked_for() -> None:
    with pytest.raises(EmagramError, match="'sine_of_latitude': expected the grid of the columns"):
        derive(field("slat"), {}, time_step=TIME_STEP)
    with pytest.raises(EmagramError, match="'surface_temperature': expected one that ClimSim's files give"):
        needs(["surface_temperature"])
    with pytest.raises(EmagramError, match=r"nearest is .*air_temperature"):
        needs(["air_temprature"])
