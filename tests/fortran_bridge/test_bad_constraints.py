"""Constraints that a manifest describes badly: one sentence that names the constraint, never a crash."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emagram
from constrained_model import (
    ALBEDOS,
    HEATING,
    LONGWAVE_UP,
    OLR,
    PRESSURE,
    RAIN,
    RATES,
    STATES,
    Entry,
    constraint_entries,
    write_constrained,
)
from emagram.fortran_bridge import model as bridge
from emagram.fortran_bridge.errors import BridgeError
from emagram.physics.constants import Constants
from test_bad_input import rewrite

FORMAT, FAULT = 3, 13
N_LEVEL = 6
VAPOR = {"state": STATES[0], "rate": RATES[0]}
BUDGET = {"name": "sunlight", "unit": "W m-2"}

# of a constraint: changed keys, and the sentence
BAD: tuple[tuple[str, Entry, str], ...] = (
    ("upper_levels", {"outputs": [*RATES, "nothing"]}, "'nothing' to be an output per layer, got none"),
    ("upper_levels", {"outputs": [*RATES, OLR]}, f"'{OLR}' to be an output per layer, got an output per column in"),
    ("upper_levels", {"outputs": [*RATES, STATES[0]]}, "to be an output per layer, got an input per layer in"),
    ("upper_levels", {"outputs": [HEATING]}, "expected every 'water' to stand in 'outputs' too"),
    ("upper_levels", {"water": list(RATES[1:])}, "expected the 'receiver' to be one of 'water'"),
    ("upper_levels", {"water": [HEATING]}, "to be an output per layer in 'kg kg-1 s-1', got an output per layer in"),
    ("upper_levels", {"water": []}, "expected distinct 'water', got none or one twice"),
    ("upper_levels", {"water": [RATES[0], RATES[0]]}, "expected distinct 'water', got none or one twice"),
    ("upper_levels", {"outputs": "all"}, "expected 'outputs' to be a list, got \"all\""),
    ("upper_levels", {"outputs": [5]}, "expected the name of a field, got 5"),
    ("upper_levels", {"top_pressure": 0.0}, "expected 'top_pressure' from 1e-100 to 1e\\+100, got 0"),
    ("upper_levels", {"top_pressure": True}, "expected 'top_pressure' to be a finite number, got true"),
    ("upper_levels", {"interface_pressure": HEATING}, "to be an input per interface in 'Pa', got an output per layer"),
    ("upper_levels", {"budgets": []}, 'expected budgets \\[{"name":"upper_water","unit":"kg m-2 s-1"}\\], got \\[\\]'),
    ("shortwave", {"budgets": [BUDGET | {"unit": "kg m-2 s-1"}]}, 'expected budgets \\[{"name":"sunlight","unit":'),
    ("shortwave", {"budgets": [BUDGET | {"name": "x"}]}, "expected budgets"),
    ("shortwave", {"budgets": [BUDGET, BUDGET]}, "expected budgets"),
    ("shortwave", {"budgets": [{"name": "sunlight"}]}, "expected a key 'unit', got none"),
    ("shortwave", {"albedo": list(ALBEDOS[:3])}, "expected an albedo for each of the 4 fluxes, got 3"),
    ("shortwave", {"albedo": [LONGWAVE_UP] * 4}, "to be an input per column in '1', got an input per column in"),
    ("shortwave", {"net": RAIN}, "to be an output per column in 'W m-2', got an output per column in 'm s-1'"),
    ("shortwave", {"incoming": OLR}, "to be an input per column in 'W m-2', got an output"),
    ("shortwave", {"toa_net": constraint_entries()["shortwave"]["net"]}, "expected distinct 'downward, net and toa"),
    ("bounds", {"minimum": []}, "expected distinct 'minimum'"),
    ("bounds", {"minimum": [{"output": OLR}]}, "expected a key 'value', got none"),
    ("bounds", {"minimum": [{"output": OLR, "value": "low"}]}, "expected 'value' to be a finite number, got \"low\""),
    ("bounds", {"minimum": [{"output": LONGWAVE_UP, "value": 0}]}, f"'{LONGWAVE_UP}' to be an output, got an input"),
    ("precipitation", {"snow": RAIN}, "expected distinct 'total and snow'"),
    ("precipitation", {"total": OLR}, "to be an output per column in 'm s-1', got an output per column in 'W m-2'"),
    ("positivity", {"species": []}, "expected distinct 'species'"),
    ("positivity", {"species": [VAPOR, VAPOR]}, "expected distinct 'species'"),
    ("positivity", {"species": [VAPOR | {"state": HEATING}]}, "to be an input per layer in 'kg kg-1', got an output"),
    ("positivity", {"species": [RATES[0]]}, "expected a key 'state', got none"),
    ("positivity", {"top_pressure": -1.0}, "expected 'top_pressure' from 1e-100 to 1e\\+100, got -1"),
    ("positivity", {"top_pressure": None}, "expected 'top_pressure' to be a finite number, got null"),
    ("water_and_energy", {"top_pressure": 1e300}, "expected 'top_pressure' from 1e-100 to 1e\\+100, got 1e\\+300"),
    ("water_and_energy", {"top_pressure": True}, "expected 'top_pressure' to be a finite number, got true"),
    ("water_and_energy", {"vapor": {"rate": RATES[0]}}, "expected a key 'state', got none"),
    ("water_and_energy", {"liquid": VAPOR}, "expected distinct 'vapor, liquid and ice'"),
    ("water_and_energy", {"temperature_rate": RATES[0]}, "to be an output per layer in 'K s-1', got"),
    ("water_and_energy", {"winds": [VAPOR]}, "to be an input per layer in 'm s-1', got an input per layer in"),
    ("water_and_energy", {"winds": {}}, "expected 'winds' to be a list, got {}"),
    ("water_and_energy", {"snowfall": RAIN}, "expected distinct 'precipitation and snowfall'"),
    ("water_and_energy", {"radiation": [{"name": OLR, "sign": 0.5}]}, "expected 'sign' to be 1 or -1, got 0.5"),
    ("water_and_energy", {"radiation": [{"name": OLR, "sign": -1}] * 2}, "expected distinct 'radiation'"),
    ("water_and_energy", {"radiation": [{"name": RAIN, "sign": 1}]}, "an input or output per column in 'W m-2', got"),
    ("water_and_energy", {"temperature_variance": -1.0}, "'temperature_variance' from 1e-100 to 1e\\+100, got -1"),
    ("water_and_energy", {"water_variance": 0}, "expected 'water_variance' from 1e-100 to 1e\\+100, got 0"),
    ("water_and_energy", {"water_variance": 1e300}, "expected 'water_variance' from 1e-100 to 1e\\+100, got 1e\\+300"),
    ("water_and_energy", {"water_variance": None}, "expected 'water_variance' to be a finite number, got null"),
)  # fmt: skip


def sound(folder: Path) -> Path:
    return write_constrained(folder / "sound.emg", list(constraint_entries().values()), N_LEVEL)


def bad_manifests() -> dict[str, tuple[dict[str, Any], str]]:
    """Changes of a sound manifest, each with the sentence that refuses it."""
    entries = constraint_entries()
    cases: dict[str, tuple[dict[str, Any], str]] = {}
    for number, (kind, changes, message) in enumerate(BAD):
        sentence = f"constraint '{entries[kind]['name']}': .*{message}"
        cases[f"{number} {kind}"] = {"constraints": [entries[kind] | changes]}, sentence
    for kind, entry in entries.items():
        for key in entry.keys() - {"type", "name"}:
            without = {k: v for k, v in entry.items() if k != key}
            cases[f"{kind} without {key}"] = {"constraints": [without]}, f"expected a key '{key}', got none"
    for kind in ("positivity", "water_and_energy"):
        changes = {"constraints": [entries[kind]], "time_step": None}
        cases[f"{kind} without dt"] = changes, "expected the manifest to have a time_step, got null"
    constants = Constants().to_manifest()
    for name in ("gravity", "latent_heat_fusion", "density_liquid_water"):
        missing = {"constants": {key: value for key, value in constants.items() if key != name}}
        cases[f"no {name}"] = missing, f"expected a key '{name}', got none"
        cases[f"{name} zero"] = {"constants": constants | {name: 0}}, f"constant '{name}' must be positive, got 0"
    twice = {"constraints": [entries["shortwave"], entries["shortwave"]]}
    cases["twice"] = twice, "a budget 'sunlight' stands in the sequence already"
    cases["no list"] = {"constraints": None}, "expected 'constraints' to be a list, got null"
    cases["no name"] = {"constraints": [{"type": "bounds"}]}, "a key is missing or has the wrong type"
    cases["no object"] = {"constraints": ["bounds"]}, "a key is missing or has the wrong type"
    return cases


def bad_files(content: bytes) -> dict[str, tuple[bytes, str]]:
    return {case: (rewrite(content, manifest=m), message) for case, (m, message) in bad_manifests().items()}


def opening(content: bytes) -> bridge.Model | BridgeError:
    """The model, or the error that refuses it."""
    try:
        return bridge.Model(bridge._bridge.Model(content, 0, False, False))
    except BridgeError as error:
        return error


def test_bad_constraints_are_one_sentence(tmp_path: Path) -> None:
    for case, (content, message) in bad_files(sound(tmp_path).read_bytes()).items():
        error = opening(content)
        assert isinstance(error, BridgeError), case
        assert (error.code, re.search(message, str(error)) is not None) == (FORMAT, True), (case, error)
        assert "\n" not in str(error)


def test_a_pressure_that_proves_no_order_gives_no_mass(tmp_path: Path) -> None:
    path = sound(tmp_path)
    inputs = emagram.open(path).manifest["inputs"]
    plain = [{key: value for key, value in entry.items() if key != "monotonic"} for entry in inputs]
    error = opening(rewrite(path.read_bytes(), manifest={"inputs": plain}))
    assert str(error) == f"constraint 'upper': expected '{PRESSURE}' to be monotonic"


def test_what_needs_no_time_step_opens_without_one(tmp_path: Path) -> None:
    entries = constraint_entries()
    free = [entries[kind] for kind in ("upper_levels", "shortwave", "bounds", "precipitation")]
    model = emagram.open(write_constrained(tmp_path / "free.emg", free, N_LEVEL, time_step=None))
    assert model.budgets == ("upper_water", "sunlight")


def test_unknown_keys_and_absent_top_are_allowed(tmp_path: Path) -> None:
    entry = constraint_entries()["shortwave"] | {"toa_net": None, "comment": {"a": [1]}}
    assert emagram.open(write_constrained(tmp_path / "more.emg", [entry], N_LEVEL)).budgets == ("sunlight",)


JUNK = st.sampled_from(
    [None, True, 0, -1, 1e-310, 1e308, 2**63, "", "x", HEATING, PRESSURE, OLR, [], {}, [[]], [{}], [VAPOR], [OLR, OLR]]
)


def spoil(value: Any, data: st.DataObject) -> Any:
    """The value with one part of it, however deep, replaced by something else."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or data.draw(st.booleans()):
        return data.draw(JUNK)
    key = data.draw(st.sampled_from(keys))
    spoiled = copy.copy(value)
    spoiled[key] = spoil(value[key], data)
    return spoiled


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound(tmp_path_factory.mktemp("sound"))


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_anything_else_is_refused_or_opens_with_the_budgets_it_states(sound_file: Path, data: st.DataObject) -> None:
    spoiled = spoil(list(constraint_entries().values()), data)
    opened = opening(rewrite(sound_file.read_bytes(), manifest={"constraints": spoiled}))
    if isinstance(opened, BridgeError):
        assert "\n" not in str(opened)
        assert opened.code != FAULT
        return
    stated = [budget["name"] for entry in spoiled for budget in entry["budgets"]]
    assert (opened._handle.describe()["n_budget"], opened.budgets) == (len(stated), tuple(stated))
