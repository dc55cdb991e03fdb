"""The variable sets of ClimSim: sizes, order and places against the published table, written out a second time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import netCDF4
import pytest

from emagram.emulators.data.climsim_sets import (
    FEATURES,
    ONLINE_ONLY_ZERO,
    VARIABLE_SETS,
    VariableSet,
    is_profile,
    variable_set,
)
from emagram.physics.errors import EmagramError
from emagram.physics.variables import find

# name: (values in, values out), as published
SIZES = {
    "v1": (124, 128),
    "v2": (557, 368),
    "v2_rh": (557, 368),
    "v2_rh_mc": (557, 308),
    "v4": (1525, 368),
    "v5": (1405, 308),
    "v6": (1399, 308),
    "v7": (797, 308),
}
# first value of some inputs in a row of 60 levels, counted by hand from the published order
PLACES = {
    "v1": {"state_t": 0, "state_q0001": 60, "state_ps": 120, "pbuf_SOLIN": 121, "pbuf_SHFLX": 123},
    "v2": {"state_q0003": 180, "state_ps": 360, "pbuf_COSZRS": 366, "cam_in_SNOWHLAND": 376, "pbuf_ozone": 377},
    "v2_rh": {"state_rh": 60, "pbuf_ozone": 360, "pbuf_N2O": 480, "state_ps": 540, "cam_in_SNOWHLAND": 556},
    "v2_rh_mc": {"state_qn": 120, "liq_partition": 180, "state_v": 300, "state_ps": 540},
    "v4": {
        "state_t_dyn": 360,
        "tm_state_t_dyn": 540,
        "state_t_prvphy": 720,
        "tm_state_t_prvphy": 1020,
        "pbuf_ozone": 1320,
        "state_ps": 1500,
        "tm_state_ps": 1517,
        "clat": 1522,
        "icol": 1524,
    },
    "v5": {"state_t_prvphy": 720, "state_qn_prvphy": 840, "tm_state_u_prvphy": 1140, "state_ps": 1380, "icol": 1404},
    "v6": {"state_ps": 1380, "cam_in_SNOWHLAND": 1396, "clat": 1397, "slat": 1398},
    "v7": {"state_qn_prvphy": 480, "state_u_prvphy": 540, "pbuf_ozone": 600, "state_ps": 780},
}


def test_all_sets_are_there() -> None:
    assert set(VARIABLE_SETS) == set(SIZES)
    assert all(variable_set(name).name == name for name in SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_rows_have_the_published_sizes(name: str) -> None:
    assert (variable_set(name).n_input(60), variable_set(name).n_output(60)) == SIZES[name]


@pytest.mark.parametrize("name", PLACES)
def test_inputs_are_where_they_were_published(name: str) -> None:
    slices = variable_set(name).input_slices(60)
    assert {variable: slices[variable].start for variable in PLACES[name]} == PLACES[name]


def test_outputs_end_with_eight_surface_values() -> None:
    for variables in VARIABLE_SETS.values():
        slices = variables.output_slices(60)
        assert slices["ptend_t"] == slice(0, 60)
        start = variables.n_output(60) - 8
        names = ["NETSW", "FLWDS", "PRECSC", "PRECC", "SOLS", "SOLL", "SOLSD", "SOLLD"]
        assert [slices[f"cam_out_{name}"] for name in names] == [slice(start + i, start + i + 1) for i in range(8)]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("n_level", [1, 7, 60])
def test_slices_fill_a_row_without_gaps(name: str, n_level: int) -> None:
    variables = variable_set(name)
    for slices, size in (
        (variables.input_slices(n_level), variables.n_input(n_level)),
        (variables.output_slices(n_level), variables.n_output(n_level)),
    ):
        places = list(slices.values())
        assert places[0].start == 0
        assert places[-1].stop == size
        assert all(before.stop == after.start for before, after in pairwise(places))


def test_every_name_is_a_feature_or_in_the_variables_table() -> None:
    for variables in VARIABLE_SETS.values():
        for name in (*variables.inputs, *variables.outputs):
            assert name in FEATURES or find(name, "climsim").dimension in ("column", "layer")


def test_online_only_zeros_are_inputs_of_v4_and_v5_alone() -> None:
    having = {name for name, variables in VARIABLE_SETS.items() if set(ONLINE_ONLY_ZERO) & set(variables.inputs)}
    assert having == {"v4", "v5"}
    assert set(ONLINE_ONLY_ZERO) < set(variable_set("v5").inputs)


@pytest.mark.parametrize(("asked", "nearest"), [("v2_rhmc", "v2_rh_mc"), ("v8", "v"), ("V5", "v5"), ("", "v")])
def test_an_unknown_set_is_refused_with_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(EmagramError, match=rf"variable set: expected one of v1, .* \(nearest '{nearest}.*'{asked}'"):
        variable_set(asked)


def test_a_set_names_each_variable_once() -> None:
    with pytest.raises(EmagramError, match="variable set 'x' inputs: expected names once each"):
        VariableSet("x", ("state_t", "state_t"), ("ptend_t",))
    with pytest.raises(EmagramError, match="variable set 'x' outputs"):
        VariableSet("x", ("state_t",), ())


@pytest.mark.real_data
def test_climsim_knows_every_input_with_its_levels(real_data: Path) -> None:
    files = {name: f"input_mean_{name}_pervar.nc" for name in ("v2_rh_mc", "v4", "v5", "v6", "v7")}
    for name, file in ({"v1": "input_mean.nc", "v2": "input_mean.nc"} | files).items():
        with netCDF4.Dataset(real_data / "climsim/normalization" / file) as means:
            for variable in variable_set(name).inputs:
                assert means[variable].dimensions == (("lev",) if is_profile(variable) else ()), variable
