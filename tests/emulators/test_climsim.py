"""Rows that an emulator of a ClimSim set packs, against ClimSim's formulas written out by name and place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from emagram.emulators.climsim import climsim_spec, pack_inputs, pack_outputs, read_cloud_exponents, unpack_outputs
from emagram.emulators.data.climsim_sets import FEATURES, ONLINE_ONLY_ZERO, VARIABLE_SETS, variable_set
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.networks.dense import DenseConfig
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.thermodynamics import saturation_vapor_pressure
from emagram.physics.variables import find
from toy_columns import toy_samples, toy_steps

N_LEVEL = 12
STEP = 4


def part(set_name: str, alias: str, spec: EmulatorSpec, step: int = STEP) -> Tensor:
    """The values of one ClimSim input in the packed rows."""
    rows = pack_inputs(spec, toy_samples(spec, step).inputs)
    assert rows.shape == (54, variable_set(set_name).n_input(N_LEVEL))
    assert rows.dtype == torch.float64
    return rows[:, variable_set(set_name).input_slices(N_LEVEL)[alias]]


def raw(alias: str) -> Tensor:
    return torch.from_numpy(toy_steps()[STEP]["mli"][alias])


@pytest.mark.parametrize("set_name", VARIABLE_SETS)
def test_every_input_is_where_climsim_packs_it(set_name: str) -> None:
    spec, variables = climsim_spec(set_name, n_level=N_LEVEL, zero_online_only=False), variable_set(set_name)
    samples = toy_samples(spec, STEP)
    rows = pack_inputs(spec, samples.inputs)
    assert rows.shape == (54, variables.n_input(N_LEVEL))
    for name, at in variables.input_slices(N_LEVEL).items():
        if name not in FEATURES:
            expected = samples.inputs[find(name, "climsim").name].reshape(54, -1)
            torch.testing.assert_close(rows[:, at], expected, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("set_name", VARIABLE_SETS)
def test_every_output_is_where_climsim_packs_it_and_comes_back(set_name: str) -> None:
    spec, variables = climsim_spec(set_name, n_level=N_LEVEL), variable_set(set_name)
    targets = toy_samples(spec, STEP).targets
    rows = pack_outputs(spec, targets)
    assert rows.shape == (54, variables.n_output(N_LEVEL))
    for name, at in variables.output_slices(N_LEVEL).items():
        assert torch.equal(rows[:, at], targets[find(name, "climsim").name].reshape(54, -1))
    again = unpack_outputs(spec, rows)
    assert {name: value.shape for name, value in again.items()} == {n: v.shape for n, v in targets.items()}
    assert all(torch.equal(again[name], targets[name]) for name in targets)


def test_relative_humidity_is_climsims() -> None:
    spec = climsim_spec("v2_rh", n_level=N_LEVEL)
    expected = 461.0 * raw("state_pmid") * raw("state_q0001") / (287.0 * saturation_vapor_pressure(raw("state_t")))
    torch.testing.assert_close(part("v2_rh", "state_rh", spec), expected, rtol=1e-12, atol=0.0)
    assert 0.5 < float(expected.max()) < 2.0


def test_cloud_water_and_its_liquid_share() -> None:
    spec = climsim_spec("v2_rh_mc", n_level=N_LEVEL)
    cloud = raw("state_q0002") + raw("state_q0003")
    torch.testing.assert_close(part("v2_rh_mc", "state_qn", spec), cloud, rtol=0.0, atol=0.0)
    share = part("v2_rh_mc", "liq_partition", spec)
    temperature = raw("state_t")
    assert bool((share[temperature >= 273.16] == 1.0).all())
    assert bool((share[temperature <= 253.16] == 0.0).all())
    between = (temperature > 253.16) & (temperature < 273.16)
    assert bool(between.any())
    torch.testing.assert_close(share[between], (temperature[between] - 253.16) / 20.0, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("set_name", ["v4", "v5"])
def test_what_is_zero_online_is_zero_and_not_asked_for(set_name: str) -> None:
    spec = climsim_spec(set_name, n_level=N_LEVEL)
    for alias in ONLINE_ONLY_ZERO:
        assert find(alias, "climsim").name not in spec.inputs
        assert not part(set_name, alias, spec).any()
    honest = climsim_spec(set_name, n_level=N_LEVEL, zero_online_only=False)
    assert all(part(set_name, alias, honest).any() for alias in ONLINE_ONLY_ZERO)
    assert torch.equal(part(set_name, "state_ps", spec)[:, 0], raw("state_ps"))


def test_clouds_may_enter_as_a_saturating_exponential() -> None:
    exponents = {"state_q0002": tuple(np.linspace(1e4, 1e6, N_LEVEL)), "state_q0003": (1e5,) * N_LEVEL}
    spec = climsim_spec("v2_rh", n_level=N_LEVEL, cloud_exponents=exponents)
    for name, power in exponents.items():
        expected = 1.0 - torch.exp(-torch.tensor(power, dtype=torch.float64) * raw(name))
        torch.testing.assert_close(part("v2_rh", name, spec), expected, rtol=1e-12, atol=1e-15)
    both = climsim_spec("v5", n_level=N_LEVEL, cloud_exponents={"state_qn": (2e5,) * N_LEVEL})
    expected = 1.0 - torch.exp(-2e5 * (raw("state_q0002") + raw("state_q0003")))
    torch.testing.assert_close(part("v5", "state_qn", both), expected, rtol=1e-12, atol=1e-15)


def test_an_emulator_packs_the_same_row() -> None:
    spec = climsim_spec("v2_rh_mc", n_level=N_LEVEL)
    emulator = ColumnEmulator(spec, DenseConfig((8,)).build(spec.layout)).double()
    inputs = toy_samples(spec, STEP).inputs
    assert torch.equal(emulator.features(inputs), pack_inputs(spec, inputs))
    assert set(emulator(inputs)) == set(spec.outputs)


def test_a_spec_keeps_its_host() -> None:
    spec = climsim_spec("v1", n_level=8, time_step=900.0, constants=Constants(gravity=9.8))
    assert (spec.n_level, spec.time_step, spec.constants.gravity) == (8, 900.0, 9.8)
    assert climsim_spec("v1").time_step == 1200.0


def test_bad_input_is_refused() -> None:
    with pytest.raises(EmagramError, match="variable set: expected one of"):
        climsim_spec("v3")
    with pytest.raises(EmagramError, match="expected a cloud input of 'v5', got 'state_q0002'"):
        climsim_spec("v5", cloud_exponents={"state_q0002": (1.0,) * 60})
    with pytest.raises(EmagramError, match="'one_minus_exp': expected 60 parameters, got 59"):
        climsim_spec("v5", cloud_exponents={"state_qn": (1.0,) * 59})
    with pytest.raises(EmagramError, match=r"rows of outputs: expected shape \(n_column, 32\), got \(5, 31\)"):
        unpack_outputs(climsim_spec("v1", n_level=12), torch.zeros(5, 31))


def test_cloud_exponents_are_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "qn_exp_lambda_large.txt").write_text("1e7,2e5,3e4")
    assert read_cloud_exponents(tmp_path, "v5") == {"state_qn": (1e7, 2e5, 3e4)}
    assert read_cloud_exponents(tmp_path, "v1") == {}
    for text in ("1e7,x", "1e7,-1.0", "nan", "1,2\n3,4"):
        (tmp_path / "qn_exp_lambda_large.txt").write_text(text)
        with pytest.raises(EmagramError, match=r"qn_exp_lambda_large.txt': expected one positive number a level"):
            read_cloud_exponents(tmp_path, "v5")
    with pytest.raises(EmagramError, match=r"qc_exp_lambda_large.txt': expected one positive number a level"):
        read_cloud_exponents(tmp_path, "v4")


@pytest.mark.real_data
@pytest.mark.parametrize(("set_name", "n"), [("v1", 0), ("v2_rh", 2), ("v4", 2), ("v5", 1), ("v7", 1)])
def test_climsims_exponents_fit_its_levels(real_data: Path, set_name: str, n: int) -> None:
    exponents = read_cloud_exponents(real_data / "climsim/normalization", set_name)
    assert len(exponents) == n
    climsim_spec(set_name, cloud_exponents=exponents)
