"""The constraints of moist columns in the runtime: what holds in the host's arrays afterwards, to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import emagram
from constrained_model import (
    ALBEDOS,
    FLUXES,
    HEATING,
    INPUTS,
    LONGWAVE_DOWN,
    LONGWAVE_UP,
    N_KIND,
    NET,
    OLR,
    OUTPUTS,
    PRESSURE,
    RAIN,
    RATES,
    SNOW,
    STATES,
    SUNLIGHT,
    TIME_STEP,
    TOA_NET,
    WIND_RATES,
    WINDS,
    Array,
    constraint_entries,
    hard_columns,
    write_constrained,
)
from emagram.fortran_bridge.errors import BridgeError
from emagram.fortran_bridge.model import Columns, Model
from emagram.physics.constants import Constants
from stepping import FLOAT32_RESIDUAL, FLOAT64_RESIDUAL, bind, same_bits

N_LEVEL = 24
WATER_RESIDUAL = {np.float64: 1e-15, np.float32: 1e-10}  # kg m-2 s-1, ARCHITECTURE
ENERGY_RESIDUAL = {np.float64: FLOAT64_RESIDUAL, np.float32: FLOAT32_RESIDUAL}
CONSTANTS = Constants()
Fields = dict[str, Any]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Model]:
    """A model with constraints of the given types, by default all; the coupler applies them."""
    folder = tmp_path_factory.mktemp("constrained")

    def make(*types: str, **options: Any) -> Model:
        entries = constraint_entries()
        path = folder / f"{'-'.join(types)}.emg"
        write_constrained(path, [entries[kind] for kind in types or entries], N_LEVEL)
        return emagram.open(path, defer_constraints=True, **options)

    return make


def constrained(model: Model, inputs: Fields, outputs: Fields) -> tuple[Fields, Columns]:
    """The outputs after the model's constraints, as they then stand in the host's arrays."""
    arrays = {name: array.copy() for name, array in outputs.items()}
    n = len(inputs[SUNLIGHT])
    columns = model.columns(n)
    bind(columns, inputs | arrays)
    model.constrain(columns, n, TIME_STEP)
    return arrays, columns


def integral(inputs: Fields, rate: Array) -> Array:
    return (rate * np.diff(inputs[PRESSURE].astype(float), axis=1)).sum(axis=1) / CONSTANTS.gravity


def imbalances(inputs: Fields, outputs: Fields) -> tuple[Array, Array]:
    """r_A [kg m-2 s-1] and r_B [W m-2] of columns, written out."""
    f = {name: array.astype(float) for name, array in (inputs | outputs).items()}
    fusion, density = CONSTANTS.latent_heat_fusion, CONSTANTS.density_liquid_water
    rates = CONSTANTS.heat_capacity_dry_air * f[HEATING] + fusion * f[RATES[1]]
    rates += (CONSTANTS.latent_heat_vaporization + fusion) * f[RATES[0]]
    for wind, rate in zip(WINDS, WIND_RATES, strict=True):
        rates += ((f[wind] + TIME_STEP * f[rate]) ** 2 - f[wind] ** 2) / (2.0 * TIME_STEP)
    radiation = f[TOA_NET] - f[OLR] - f[NET] - f[LONGWAVE_DOWN] + f[LONGWAVE_UP]
    water = integral(inputs, sum(f[rate] for rate in RATES)) + density * f[RAIN]
    return water, integral(inputs, rates) + fusion * density * (f[RAIN] - f[SNOW]) - radiation


def test_budgets_are_those_of_all_constraints_in_order(opened: Callable[..., Model]) -> None:
    model = opened()
    assert model.budget_units == {
        "upper_water": "kg m-2 s-1",
        "sunlight": "W m-2",
        "no_negative_water": "kg m-2 s-1",
        "no_negative_water_deficit": "kg m-2 s-1",
        "column_water": "kg m-2 s-1",
        "column_energy": "W m-2",
    }
    assert model.describe()["budgets"] == list(model.budget_units)
    inputs, outputs = hard_columns(30, N_LEVEL, seed=5)
    _, columns = constrained(model, inputs, outputs)
    water, energy = imbalances(inputs, outputs)
    np.testing.assert_allclose(columns.budget("column_water", 30)[0], water, atol=1e-15)
    np.testing.assert_allclose(columns.budget("column_energy", 30)[0], energy, rtol=1e-9, atol=1e-8)
    absorbed = sum(outputs[flux] * (1.0 - inputs[albedo]) for flux, albedo in zip(FLUXES, ALBEDOS, strict=True))
    np.testing.assert_allclose(columns.budget("sunlight", 30)[0], outputs[NET] - absorbed, atol=1e-11)
    short = sum(np.maximum(-inputs[s] - TIME_STEP * outputs[r], 0.0) for s, r in zip(STATES, RATES, strict=True))
    lacking = columns.budget("no_negative_water", 30)[0]
    np.testing.assert_allclose(lacking, integral(inputs, short) / TIME_STEP, rtol=1e-12)
    assert (lacking > 0.0).any()


def test_a_dataset_has_every_budget(opened: Callable[..., Model]) -> None:
    model = opened()
    inputs, outputs = hard_columns(12, N_LEVEL)
    dimensions = {field.name: field.dimensions for field in (*model.inputs, *model.outputs)}
    units = {field.name: field.unit for field in (*model.inputs, *model.outputs)}
    variables = {n: (dimensions[n], a, {"units": units[n]}) for n, a in (inputs | outputs).items()}
    budget = model.budget(xr.Dataset(variables))
    assert {name: budget[name].attrs["units"] for name in budget} == model.budget_units
    np.testing.assert_allclose(budget["column_water"], imbalances(inputs, outputs)[0], atol=1e-15)


@pytest.mark.parametrize("n", [1, 7, 64, 65])
def test_no_bit_depends_on_how_columns_are_split(opened: Callable[..., Model], n: int) -> None:
    model = opened()
    inputs, outputs = hard_columns(195, N_LEVEL, seed=1)
    whole, _ = constrained(model, inputs, outputs)
    for first in range(0, 195, n):
        part = slice(first, first + n)
        got, _ = constrained(model, {k: a[part] for k, a in inputs.items()}, {k: a[part] for k, a in outputs.items()})
        assert same_bits(got, {name: array[part].copy() for name, array in whole.items()})


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_merged_columns_close(opened: Callable[..., Model], dtype: type) -> None:
    """Whatever the coupler has put into the host's arrays, as they are read back from them."""
    raw = hard_columns(1000, N_LEVEL, seed=2)
    inputs, outputs = ({name: array.astype(dtype) for name, array in arrays.items()} for arrays in raw)
    closed, columns = constrained(opened(), inputs, outputs)
    water, energy = imbalances(inputs, closed)
    large = np.isin(np.arange(1000) % N_KIND, (4, 5, 7))  # fluxes of 0.1 kg m-2 s-1, of which real32 rounds more off
    judged = ~large if dtype is np.float32 else slice(None)
    assert np.abs(water[judged]).max() <= WATER_RESIDUAL[dtype]
    assert np.abs(energy[judged]).max() <= ENERGY_RESIDUAL[dtype]
    np.testing.assert_allclose(columns.budget("column_water", 1000)[1], water, atol=1e-16)
    np.testing.assert_allclose(columns.budget("column_energy", 1000)[1], energy, atol=1e-10)
    before = imbalances(inputs, outputs)
    assert np.abs(before[0]).min() > 1e-12
    assert np.abs(before[1]).min() > 1e-3


def test_no_water_is_below_zero_as_the_host_steps_it(opened: Callable[..., Model]) -> None:
    inputs, outputs = hard_columns(2000, N_LEVEL, seed=3)
    for types in ((), ("positivity",)):
        closed, _ = constrained(opened(*types), inputs, outputs)
        for state, rate in zip(STATES, RATES, strict=True):
            assert (inputs[state] + TIME_STEP * outputs[rate]).min() < 0.0
            assert (inputs[state] + TIME_STEP * closed[rate]).min() >= 0.0


def test_water_in_real32_is_not_below_zero_but_for_rounding(opened: Callable[..., Model]) -> None:
    raw = hard_columns(1000, N_LEVEL, seed=3)
    inputs, outputs = ({name: array.astype(np.float32) for name, array in arrays.items()} for arrays in raw)
    closed, _ = constrained(opened(), inputs, outputs)
    for state, rate in zip(STATES, RATES, strict=True):
        after = inputs[state] + np.float32(TIME_STEP) * closed[rate]
        assert (after >= -2.0 * np.finfo(np.float32).eps * np.abs(inputs[state])).all()


def test_positivity_moves_water_and_leaves_sound_columns_alone(opened: Callable[..., Model]) -> None:
    inputs, outputs = hard_columns(1000, N_LEVEL, seed=4)
    closed, _ = constrained(opened("positivity"), inputs, outputs)
    kind = np.arange(1000) % N_KIND
    paid = ~np.isin(kind, (1, 2, 3, 4, 5))  # columns with water enough
    gained = integral(inputs, sum(closed[rate] - outputs[rate] for rate in RATES))
    assert np.abs(gained[paid]).max() <= 1e-17
    assert gained[kind == 4].min() > 0.0  # there was not: it is made from nothing, and the budget of water must say so
    sound = kind == 0
    assert same_bits({n: closed[n][sound] for n in RATES}, {n: outputs[n][sound] for n in RATES})
    assert all((closed[n][~sound] != outputs[n][~sound]).any() for n in RATES)
    untouched = [name for name in OUTPUTS if name not in RATES]
    assert same_bits({name: closed[name] for name in untouched}, {name: outputs[name] for name in untouched})


def test_nothing_happens_aloft_and_no_water_is_lost(opened: Callable[..., Model]) -> None:
    inputs, outputs = hard_columns(200, N_LEVEL, seed=6)
    closed, columns = constrained(opened("upper_levels"), inputs, outputs)
    middle = 0.5 * (inputs[PRESSURE][:, 1:] + inputs[PRESSURE][:, :-1])
    for rate in (*RATES, HEATING):
        assert (closed[rate][middle < 1e4] == 0.0).all()
    for rate in (HEATING, *RATES[1:]):
        assert (closed[rate][middle >= 1e4] == outputs[rate][middle >= 1e4]).all()
    gained = integral(inputs, sum(closed[rate] - outputs[rate] for rate in RATES))
    assert np.abs(gained).max() <= 1e-17
    assert np.abs(columns.budget("upper_water", 200)[0]).max() > 1e-5
    assert (columns.budget("upper_water", 200)[1] == 0.0).all()
    shallow = inputs | {PRESSURE: inputs[PRESSURE] * 0.05}  # all of it aloft: there is no one to give the water to
    left_alone, columns = constrained(opened("upper_levels"), shallow, outputs)
    assert same_bits(left_alone, outputs)
    assert (columns.budget("upper_water", 200)[0] == 0.0).all()


def test_sunlight_is_none_at_night_and_never_more_than_comes_in(opened: Callable[..., Model]) -> None:
    inputs, outputs = hard_columns(500, N_LEVEL, seed=7)
    closed, _ = constrained(opened(), inputs, outputs)
    night = inputs[SUNLIGHT] == 0.0
    assert night.any()
    for name in (*FLUXES, NET, TOA_NET):
        assert (closed[name][night] == 0.0).all()
        assert (closed[name] >= 0.0).all()
    assert (sum(closed[flux] for flux in FLUXES) <= inputs[SUNLIGHT] * (1.0 + 1e-15)).all()
    assert (closed[NET] <= closed[TOA_NET] * (1.0 + 1e-15)).all()
    assert (closed[TOA_NET] <= inputs[SUNLIGHT]).all()
    assert (closed[SNOW] >= 0.0).all()
    assert (closed[RAIN] >= closed[SNOW]).all()
    assert min(closed[LONGWAVE_DOWN].min(), closed[OLR].min()) >= 0.0


def test_a_bound_does_not_hide_a_value_that_is_not_finite(opened: Callable[..., Model]) -> None:
    inputs, outputs = hard_columns(9, N_LEVEL)
    outputs[OLR][4], outputs[SNOW][6] = np.nan, -np.inf
    with pytest.raises(BridgeError, match=r"2 of 9 columns rejected.*column 4: output 'toa_outgoing_longwave_flux' is"):
        constrained(opened(), inputs, outputs)
    closed, columns = constrained(opened(policy="mask"), inputs, outputs)
    assert same_bits({n: a[[4, 6]] for n, a in closed.items()}, {n: a[[4, 6]] for n, a in outputs.items()})
    for budget in columns._model.budgets:
        for residual in columns.budget(budget, 9):
            assert (np.isnan(residual) == np.isin(np.arange(9), (4, 6))).all()


def test_a_rejected_column_is_left_as_the_host_has_it(opened: Callable[..., Model]) -> None:
    inputs, outputs = hard_columns(130, N_LEVEL)
    good, _ = constrained(opened(), inputs, outputs)
    inputs[PRESSURE][[3, 70], 5] = 1.0
    closed, columns = constrained(opened(policy="mask"), inputs, outputs)
    rejected = np.isin(np.arange(130), (3, 70))
    assert same_bits({n: a[rejected] for n, a in closed.items()}, {n: a[rejected] for n, a in outputs.items()})
    assert same_bits({n: a[~rejected] for n, a in closed.items()}, {n: a[~rejected] for n, a in good.items()})
    assert (np.isnan(columns.budget("column_energy", 130)[1]) == rejected).all()


def test_step_applies_the_constraints_to_the_network(tmp_path: Path) -> None:
    """The network returns zeros, so what the columns need of heating is what the radiation brings."""
    path = write_constrained(tmp_path / "step.emg", list(constraint_entries().values()), N_LEVEL)
    model = emagram.open(path)
    inputs, outputs = hard_columns(40, N_LEVEL, seed=8)
    columns = model.columns(40)
    bind(columns, inputs | outputs)
    model.step(columns, 40, TIME_STEP)
    water, energy = imbalances(inputs, outputs)
    assert np.abs(water).max() <= WATER_RESIDUAL[np.float64]
    assert np.abs(energy).max() <= ENERGY_RESIDUAL[np.float64]
    assert (outputs[HEATING] != 0.0).all()
    assert all(np.isfinite(outputs[name]).all() for name in OUTPUTS)
    assert sorted(INPUTS) == sorted(inputs)
