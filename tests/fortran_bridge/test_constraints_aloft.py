"""The runtime leaves the water of upper layers alone where `top_pressure` says so, to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emagram
from constrained_model import (
    HEATING,
    N_KIND,
    PRESSURE,
    RATES,
    STATES,
    SUNLIGHT,
    TIME_STEP,
    Array,
    Entry,
    constraint_entries,
    entries_still_aloft,
    hard_columns,
    write_constrained,
)
from emagram.fortran_bridge.model import Columns
from stepping import FLOAT64_RESIDUAL, bind, same_bits

N_COLUMN, N_LEVEL = 1000, 24
WATER_RESIDUAL = 1e-15  # kg m-2 s-1, ARCHITECTURE
NEGATIVE = 3  # the kind of column whose water was below zero before
Fields = dict[str, Array]
Constrain = Callable[[list[Entry], Fields, Fields], tuple[Fields, Columns]]


@pytest.fixture
def constrained(tmp_path: Path) -> Constrain:
    """The outputs after constraints of these entries, in the host's arrays, and the columns with their budgets."""

    def constrain(entries: list[Entry], inputs: Fields, outputs: Fields) -> tuple[Fields, Columns]:
        model = emagram.open(write_constrained(tmp_path / "model.emg", entries, N_LEVEL), defer_constraints=True)
        arrays = {name: array.copy() for name, array in outputs.items()}
        n = len(inputs[SUNLIGHT])
        columns = model.columns(n)
        bind(columns, inputs | arrays)
        model.constrain(columns, n, TIME_STEP)
        return arrays, columns

    return constrain


def aloft(inputs: Fields) -> Any:
    return 0.5 * (inputs[PRESSURE][:, 1:] + inputs[PRESSURE][:, :-1]) < 1.0e4


def test_no_water_moves_aloft_in_the_whole_sequence(constrained: Constrain) -> None:
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=21)
    closed, columns = constrained(list(entries_still_aloft().values()), inputs, outputs)
    upper, negative = aloft(inputs), np.arange(N_COLUMN) % N_KIND == NEGATIVE
    assert upper.sum() > N_COLUMN
    for state, rate in zip(STATES, RATES, strict=True):
        assert (closed[rate][upper & (inputs[state] >= 0.0)] == 0.0).all()
        assert (inputs[state] + TIME_STEP * closed[rate]).min() >= 0.0
    assert (columns.budget("upper_water", N_COLUMN)[1][~negative] == 0.0).all()
    assert np.abs(columns.budget("column_water", N_COLUMN)[1]).max() <= WATER_RESIDUAL
    assert np.abs(columns.budget("column_energy", N_COLUMN)[1]).max() <= FLOAT64_RESIDUAL
    assert columns.budget("no_negative_water", N_COLUMN)[1].max() == 0.0
    moved, columns = constrained(list(constraint_entries().values()), inputs, outputs)
    assert np.abs(columns.budget("upper_water", N_COLUMN)[1]).max() > 1e-9
    assert any((moved[rate][upper] != 0.0).any() for rate in RATES)


@pytest.mark.parametrize("wet", [0.0, 10.0])
def test_the_projection_keeps_the_bits_of_rates_aloft(constrained: Constrain, wet: float) -> None:
    """Where most of the column's water is, too, so that the step against rounding would find it there."""
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=22)
    upper = aloft(inputs)
    inputs[STATES[0]][upper] += wet
    outputs[RATES[1]][upper & (outputs[RATES[1]] < 0.0)] = -0.0
    closed, _ = constrained([entries_still_aloft()["water_and_energy"]], inputs, outputs)
    assert same_bits({rate: closed[rate][upper] for rate in RATES}, {rate: outputs[rate][upper] for rate in RATES})
    assert all((closed[rate][~upper] != outputs[rate][~upper]).any() for rate in RATES)
    assert (closed[HEATING] != outputs[HEATING])[upper].mean() > 0.9


def test_rain_closes_where_all_water_lies_aloft(constrained: Constrain) -> None:
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=23)
    upper = aloft(inputs)
    assert upper[:, 0].all()
    for state, rate in zip(STATES, RATES, strict=True):
        inputs[state][:] = np.where(upper, 1e-2, 0.0)
        outputs[rate][:] = np.where(upper, -1e-9, 0.0)
    closed, columns = constrained([entries_still_aloft()["water_and_energy"]], inputs, outputs)
    assert same_bits({rate: closed[rate] for rate in RATES}, {rate: outputs[rate] for rate in RATES})
    assert np.abs(columns.budget("column_water", N_COLUMN)[1]).max() <= WATER_RESIDUAL
    assert np.abs(columns.budget("column_energy", N_COLUMN)[1]).max() <= FLOAT64_RESIDUAL


def test_positivity_takes_nothing_from_aloft(constrained: Constrain) -> None:
    """Wet upper layers, and debts below that the column can, or cannot, pay without them."""
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=24)
    upper = aloft(inputs)
    for state, rate in zip(STATES, RATES, strict=True):
        inputs[state][upper] = 0.1
        outputs[rate][upper] *= 1e-3
    lends, _ = constrained([constraint_entries()["positivity"]], inputs, outputs)
    keeps, columns = constrained([entries_still_aloft()["positivity"]], inputs, outputs)
    assert any((lends[rate][upper] != outputs[rate][upper]).any() for rate in RATES)
    assert same_bits({rate: keeps[rate][upper] for rate in RATES}, {rate: outputs[rate][upper] for rate in RATES})
    assert columns.budget("no_negative_water", N_COLUMN)[1].max() == 0.0


@pytest.mark.parametrize("kind", ["positivity", "water_and_energy"])
def test_no_layer_is_upper_without_the_key_or_others_below(constrained: Constrain, kind: str) -> None:
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=25)
    plain, _ = constrained([constraint_entries()[kind]], inputs, outputs)
    for top_pressure in (0, 1e6):
        same, _ = constrained([entries_still_aloft(top_pressure)[kind]], inputs, outputs)
        assert same_bits(same, plain)
    other, _ = constrained([entries_still_aloft()[kind]], inputs, outputs)
    assert not same_bits(other, plain)
