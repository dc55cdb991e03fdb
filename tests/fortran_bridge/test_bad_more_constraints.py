"""Entries of further constraints that a manifest describes badly: one sentence that names the constraint."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from more_constraints import LIQUID, MEAN, MORE_INPUTS, STRESS, more_entries

import emagram
from constrained_model import HEATING, OLR, PRESSURE, RAIN, RATES, STATES, WIND_RATES, Entry, write_constrained
from emagram.fortran_bridge.errors import BridgeError
from test_bad_constraints import opening, spoil
from test_bad_input import rewrite

FORMAT, FAULT = 3, 13
N_LEVEL = 6
MORE = more_entries()
STATELESS = {"state": HEATING, "rate": HEATING}

# of a constraint: changed keys, and the sentence
BAD: tuple[tuple[str, Entry, str], ...] = (
    ("downscaling", {"kind": "mean"}, 'expected kind additive, multiplicative or softmax, got "mean"'),
    ("downscaling", {"kind": 3}, "expected kind additive, multiplicative or softmax, got 3"),
    ("downscaling", {"kind": "softmax"}, "expected a key 'scale', got none"),
    ("downscaling", {"kind": "softmax", "scale": -1}, "expected 'scale' from 1e-100 to 1e\\+100, got -1"),
    ("downscaling", {"scale": 2.0}, "expected a 'scale' for softmax alone"),
    ("downscaling", {"mean": OLR}, "to be an input or output per column in 'K s-1', got an output per column in"),
    ("downscaling", {"profile": RAIN}, "to be an output per layer in 'K s-1', got an output per column in 'm s-1'"),
    ("downscaling", {"unit": "K"}, f"expected '{HEATING}' to be an output per layer in 'K', got"),
    ("downscaling", {"unit": 5}, "expected 'unit' to be a text, got 5"),
    ("downscaling", {"tolerance": 0}, "expected 'tolerance' from 1e-100 to 1e\\+100, got 0"),
    ("downscaling", {"interface_pressure": MEAN}, "to be an input per interface in 'Pa', got an input per column"),
    ("stratospheric_water", {"temperature": STATELESS}, "to be an input per layer in 'K', got an output per layer"),
    ("stratospheric_water", {"vapor_rate": HEATING}, "to be an output per layer in 'kg kg-1 s-1', got an output"),
    ("stratospheric_water", {"vapor_rate": RATES[1]}, "expected distinct 'vapor_rate, liquid and ice'"),
    ("stratospheric_water", {"ice": LIQUID}, "expected distinct 'vapor_rate, liquid and ice'"),
    ("stratospheric_water", {"lowest_pressure": 5e4}, "below 'highest_pressure' .45000 Pa., got 50000 Pa"),
    ("stratospheric_water", {"fallback_pressure": 0}, "'fallback_pressure' from 1e-100 to 1e\\+100, got 0"),
    ("stratospheric_water", {"highest_pressure": None}, "expected 'highest_pressure' to be a finite number, got null"),
    ("residual_levels", {"vapor_level": N_LEVEL}, "expected 'vapor_level' to be a whole number from 0 to 5, got 6"),
    ("residual_levels", {"vapor_level": -1}, "expected 'vapor_level' to be a whole number from 0 to 5, got -1"),
    ("residual_levels", {"temperature_level": 1.5}, "'temperature_level' to be a whole number from 0 to 5, got 1.5"),
    ("residual_levels", {"vapor_level": True}, "expected 'vapor_level' to be a whole number from 0 to 5, got true"),
    ("residual_levels", {"liquid": MORE["residual_levels"]["vapor"]}, "expected distinct 'vapor, liquid and ice'"),
    ("residual_levels", {"snowfall": RAIN}, "expected distinct 'precipitation and snowfall'"),
    ("residual_levels", {"radiation": [{"name": OLR, "sign": 2}]}, "expected 'sign' to be 1 or -1, got 2"),
    ("cloud_phase", {"ice": LIQUID}, "expected distinct 'liquid and ice'"),
    ("cloud_phase", {"liquid": {"state": STATES[1], "rate": HEATING}}, "in 'kg kg-1 s-1', got an output per layer in"),
    ("cloud_phase", {"temperature": LIQUID}, "to be an input per layer in 'K', got an input per layer in 'kg kg-1'"),
    ("cloud_phase", {"top_pressure": -1}, "expected 'top_pressure' from 1e-100 to 1e\\+100, got -1"),
    ("accounts", {"enforced": True}, "expected 'enforced' to be false"),
    ("accounts", {"water": []}, "expected distinct 'water', got none or one twice"),
    ("accounts", {"water": [STATES[0]]}, "to be an output per layer in 'kg kg-1 s-1', got an input per layer"),
    ("accounts", {"winds": [WIND_RATES[0]]}, "expected two 'winds' or none, got 1"),
    ("accounts", {"winds": [WIND_RATES[0]] * 2}, "expected distinct 'winds', got none or one twice"),
    ("accounts", {"winds": [HEATING, WIND_RATES[0]]}, "to be an output per layer in 'm s-2', got an output per"),
    ("accounts", {"stress": [STRESS[0]]}, "expected 2 names in 'stress' or none, got 1"),
    ("accounts", {"stress": [STRESS[0]] * 2}, "expected distinct 'stress', got one twice"),
    ("accounts", {"stress": [OLR, STRESS[0]]}, "to be an input or output per column in 'N m-2', got an output per"),
    ("accounts", {"winds": [], "budgets": MORE["accounts"]["budgets"][:1]}, "expected 0 names in 'stress' or none"),
    ("accounts", {"winds": []}, 'expected 0 names in \'stress\' or none, got 2'),
    ("accounts", {"budgets": []}, "expected budgets"),
)  # fmt: skip


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a sound file with one constraint of each type."""
    path = tmp_path_factory.mktemp("more") / "more.emg"
    return write_constrained(path, list(MORE.values()), N_LEVEL, more_inputs=MORE_INPUTS).read_bytes()


def check(content: bytes, changes: dict[str, Any], message: str) -> None:
    error = opening(rewrite(content, manifest=changes))
    assert isinstance(error, BridgeError)
    assert (error.code, re.search(message, str(error)) is not None) == (FORMAT, True), error
    assert "\n" not in str(error)


@pytest.mark.parametrize("number", range(len(BAD)))
def test_bad_entries_are_one_sentence(content: bytes, number: int) -> None:
    kind, changes, message = BAD[number]
    check(content, {"constraints": [MORE[kind] | changes]}, f"constraint '{MORE[kind]['name']}': .*{message}")


@pytest.mark.parametrize("kind", MORE)
def test_every_missing_key_is_named(content: bytes, kind: str) -> None:
    for key in MORE[kind].keys() - {"type", "name"}:
        less = {name: value for name, value in MORE[kind].items() if name != key}
        check(content, {"constraints": [less]}, f"expected a key '{key}', got none")


@pytest.mark.parametrize("kind", ["residual_levels", "stratospheric_water", "cloud_phase"])
def test_what_needs_a_time_step_says_so(content: bytes, kind: str) -> None:
    changes = {"constraints": [MORE[kind]], "time_step": None}
    check(content, changes, "expected the manifest to have a time_step, got null")


def test_unknown_keys_and_absent_levels_are_allowed(tmp_path: Path) -> None:
    entries = [entry | {"comment": {"a": [1]}} for entry in MORE.values()]
    model = emagram.open(write_constrained(tmp_path / "more.emg", entries, N_LEVEL, more_inputs=MORE_INPUTS))
    assert model.budgets == tuple(budget["name"] for entry in entries for budget in entry["budgets"])


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_anything_else_is_refused_or_opens_with_the_budgets_it_states(content: bytes, data: st.DataObject) -> None:
    spoiled = spoil(list(MORE.values()), data)
    model = opening(rewrite(content, manifest={"constraints": spoiled}))
    if isinstance(model, BridgeError):
        assert "\n" not in str(model)
        assert model.code != FAULT
        return
    stated = [budget["name"] for entry in spoiled for budget in entry["budgets"]]
    assert model.budgets == tuple(stated)
    assert PRESSURE in {field.name for field in model.inputs}
