"""Linear laws in the runtime: the same as in torch, closed to rounding, and refused where they cannot hold."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import emagram
from constrained_model import (
    HEATING,
    LONGWAVE_DOWN,
    N_KIND,
    NET,
    OLR,
    PRESSURE,
    RAIN,
    RATES,
    SNOW,
    SUNLIGHT,
    TIME_STEP,
    TOA_NET,
    Array,
    Entry,
    hard_columns,
    write_constrained,
)
from emagram.fortran_bridge.errors import BridgeError
from emagram.fortran_bridge.model import Columns
from emagram.physics.constants import Constants
from emagram.physics.constraints import Law, LinearLaws, Term, close
from stepping import bind, same_bits
from test_bad_constraints import FAULT, opening, spoil
from test_bad_input import rewrite

N_COLUMN, N_LEVEL = 2500, 20
CONSTANTS = Constants()
SAME = 1e-12  # of the largest value of the output in the column, before or after
ROUNDING = 1e-14  # of the terms of a law in a column
FORMAT = 3

WATER = Law("water", "kg m-2 s-1", (*(Term(rate, 1.0, per_mass=True) for rate in RATES), Term(RAIN, 1.0e3)))
ENERGY = Law(
    "energy",
    "W m-2",
    (
        Term(HEATING, CONSTANTS.heat_capacity_dry_air, per_mass=True),
        Term(RATES[0], CONSTANTS.latent_heat_vaporization + CONSTANTS.latent_heat_fusion, per_mass=True),
        Term(RATES[1], CONSTANTS.latent_heat_fusion, per_mass=True),
        Term(RAIN, 1.0e3 * CONSTANTS.latent_heat_fusion),
        Term(SNOW, -1.0e3 * CONSTANTS.latent_heat_fusion),
        Term(TOA_NET, -1.0),
        Term(NET, 1.0),
        Term(OLR, 1.0),
        Term(LONGWAVE_DOWN, 1.0),
    ),
)
ABSORBED = Law("absorbed", "W m-2", (Term(TOA_NET, 1.0), Term(SUNLIGHT, -0.7)))
PROFILE = Law("profile", "K s-1", (Term(HEATING, tuple(np.linspace(1.0, -1.0, N_LEVEL).tolist())),), 1.0e-15)
VARIANCE = {HEATING: (1.0 / 86400.0) ** 2, RATES[0]: 1.0e-16, RATES[1]: 1.0e-18, RAIN: 1.0e-16, TOA_NET: 100.0}


def numbers(seed: int, scale: float) -> tuple[float, ...]:
    return tuple((scale * np.random.default_rng(seed).normal(size=N_LEVEL)).tolist())


ONE = LinearLaws("laws", (ENERGY,), {HEATING: 1.0e-10}, PRESSURE, CONSTANTS)
FOUR = LinearLaws("laws", (WATER, ENERGY, ABSORBED, PROFILE), VARIANCE, PRESSURE, CONSTANTS)
CORRELATED = replace(
    FOUR,
    variance={**VARIANCE, HEATING: tuple(np.geomspace(1.0e-11, 1.0e-10, N_LEVEL).tolist())},
    covariance=(
        {HEATING: numbers(1, 1.0e-5), RATES[0]: numbers(2, 1.0e-8), TOA_NET: 10.0},
        {RATES[0]: numbers(3, 1.0e-8), RAIN: -1.0e-8},
        {HEATING: 2.0e-6},
    ),
)
FLUXES = replace(FOUR, laws=(ABSORBED,), variance={TOA_NET: 1.0}, interface_pressure=None)
PLAIN = Law("plain", "kg kg-1 s-1", (Term(RATES[0], 1.0), Term(RAIN, 1.0)), 1.0e-16)
WEIGHED = Law("weighed", "kg m-2 s-1", (Term(RATES[0], 1.0, per_mass=True),), 1.0e-14)
TWINS = LinearLaws("twins", (PLAIN, WEIGHED), {RATES[0]: 1.0e-16}, PRESSURE, CONSTANTS)
"""Which say the same where all layers have one mass."""
LAWS = {"one": ONE, "four": FOUR, "correlated": CORRELATED, "fluxes": FLUXES}


def constrained(
    folder: Path, entries: list[Entry], inputs: dict[str, Array], outputs: dict[str, Array], **options: Any
) -> tuple[dict[str, Array], Columns]:
    """The outputs after the runtime's constraints, in the host's arrays, and the columns with their budgets."""
    model = emagram.open(write_constrained(folder / "model.emg", entries, N_LEVEL), defer_constraints=True, **options)
    native, n = {name: array.copy() for name, array in outputs.items()}, len(inputs[SUNLIGHT])
    columns = model.columns(n)
    bind(columns, inputs | native)
    model.constrain(columns, n, TIME_STEP)
    return native, columns


def fields_of(*arrays: dict[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for part in arrays for name, array in part.items()}


def magnitude(law: Law, fields: dict[str, torch.Tensor]) -> torch.Tensor:
    """Σ |terms| of each column."""
    mass = fields[PRESSURE].diff(dim=1) / CONSTANTS.gravity
    size = torch.zeros(len(mass), dtype=torch.float64)
    for term in law.terms:
        value = fields[term.field].reshape(len(mass), -1).abs() * torch.tensor(term.coefficient).abs()
        size += (value * mass if term.per_mass else value).sum(dim=1)
    return size


@pytest.mark.parametrize("name", LAWS)
def test_both_languages_agree_and_close(tmp_path: Path, name: str) -> None:
    laws = LAWS[name]
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=31)
    native, columns = constrained(tmp_path, [laws.to_manifest()], inputs, outputs)
    ledger = close([laws], fields_of(inputs, outputs))
    for output, raw in outputs.items():
        twin = ledger.fields[output].numpy()
        if output not in laws.outputs:
            assert native[output].tobytes() == raw.tobytes()
            continue
        largest = np.maximum(np.abs(raw), np.abs(twin)).reshape(N_COLUMN, -1).max(axis=1)
        difference = np.abs(native[output] - twin).reshape(N_COLUMN, -1).max(axis=1)
        assert (difference <= SAME * largest).all(), output
        assert (twin != raw).mean() > 0.9
    for law in laws.laws:
        terms = np.maximum(*(magnitude(law, fields_of(inputs, values)).numpy() for values in (outputs, native)))
        before = ledger.entries[law.name].residuals.before.numpy()
        assert np.abs(columns.budget(law.name, N_COLUMN)[0] - before).max() <= 1e-14 * np.abs(before).max()
        after = np.abs(columns.budget(law.name, N_COLUMN)[1])
        assert (after <= ROUNDING * terms).all()
        assert np.abs(before).min() > 1e3 * after.max()


def test_a_column_in_which_laws_cannot_be_told_apart_keeps_its_values(tmp_path: Path) -> None:
    inputs, outputs = hard_columns(30, N_LEVEL, seed=32)
    same = np.arange(30) % N_KIND == 5  # with large sinks and sources
    inputs[PRESSURE][same] = np.linspace(1e4, 9e4, N_LEVEL + 1)
    native, columns = constrained(tmp_path, [TWINS.to_manifest()], inputs, outputs)
    assert native[RATES[0]][same].tobytes() == outputs[RATES[0]][same].tobytes()
    for law in TWINS.laws:
        residual = np.abs(columns.budget(law.name, 30)[1])
        assert ((residual > law.budget.tolerance) == same).all()
        assert (columns.unmet(law.name, 30) == same).all()
    twin = TWINS.apply(fields_of(inputs, outputs))
    np.testing.assert_allclose(native[RATES[0]], twin[RATES[0]].numpy(), rtol=1e-9, atol=0.0)


def test_nearly_dependent_laws_close_all_the_same(tmp_path: Path) -> None:
    """Masses that differ by 1e-4 tell the laws apart by 1e-8: one solution would leave 1e-12 of their terms."""
    inputs, outputs = hard_columns(200, N_LEVEL, seed=35)
    thickness = 4e3 * (1.0 + 1e-4 * np.random.default_rng(1).normal(size=(200, N_LEVEL)))
    inputs[PRESSURE] = np.concatenate([np.full((200, 1), 10.0), 10.0 + thickness.cumsum(axis=1)], axis=1)
    native, columns = constrained(tmp_path, [TWINS.to_manifest()], inputs, outputs)
    for law in TWINS.laws:
        terms = magnitude(law, fields_of(inputs, native)).numpy()
        assert (np.abs(columns.budget(law.name, 200)[1]) <= ROUNDING * terms).all()


@pytest.mark.parametrize("n", [1, 7, 64])
def test_no_bit_depends_on_how_columns_are_split(tmp_path: Path, n: int) -> None:
    inputs, outputs = hard_columns(130, N_LEVEL, seed=33)
    entries = [CORRELATED.to_manifest()]
    whole, _ = constrained(tmp_path, entries, inputs, outputs)
    for first in range(0, 130, n):
        part = slice(first, first + n)
        some = ({name: array[part] for name, array in arrays.items()} for arrays in (inputs, outputs))
        got, _ = constrained(tmp_path, entries, *some)
        assert same_bits(got, {name: array[part].copy() for name, array in whole.items()})


def test_layers_without_mass_are_rejected_by_the_runtime(tmp_path: Path) -> None:
    inputs, outputs = hard_columns(20, N_LEVEL, seed=34)
    inputs[PRESSURE][[4, 11], 5] = inputs[PRESSURE][[4, 11], 4]
    with pytest.raises(BridgeError, match="2 of 20 columns rejected"):
        constrained(tmp_path, [FOUR.to_manifest()], inputs, outputs)
    native, columns = constrained(tmp_path, [FOUR.to_manifest()], inputs, outputs, policy="mask")
    rejected = np.isin(np.arange(20), (4, 11))
    assert same_bits({k: a[rejected] for k, a in native.items()}, {k: a[rejected] for k, a in outputs.items()})
    assert (np.isnan(columns.budget("energy", 20)[1]) == rejected).all()


def changed(path: str, value: Any) -> Entry:
    """The entry of CORRELATED with something else at a path of keys and indices; `None` as value deletes."""
    entry: Any = copy.deepcopy(CORRELATED.to_manifest())
    at, *keys = entry, *path.split(".")
    for key in keys[:-1]:
        at = at[int(key)] if key.isdigit() else at[key]
    last: Any = int(keys[-1]) if keys[-1].isdigit() else keys[-1]
    if value is DELETED:
        del at[last]
    else:
        at[last] = value
    return entry


DELETED = object()
TWICE = CORRELATED.to_manifest()["laws"][0]["terms"][:1] * 2
TRIPLE = [term | {"coefficient": 3.0 * term["coefficient"]} for term in CORRELATED.to_manifest()["laws"][0]["terms"]]
BAD: tuple[tuple[str, Any, str], ...] = (
    ("laws", [], "expected budgets|expected 1 to 8 'laws', got 0"),
    ("laws", "all", "expected 'laws' to be a list"),
    ("laws.0", 3, "expected a key 'tolerance', got none"),
    ("laws.0.tolerance", DELETED, "expected a key 'tolerance', got none"),
    ("laws.0.tolerance", 0.0, "expected a positive 'tolerance', got 0"),
    ("laws.0.tolerance", "small", "expected 'tolerance' to be a finite number, got \"small\""),
    ("laws.0.name", "other", "expected budgets .*other.*, got .*water"),
    ("laws.0.name", 5, "expected laws with a 'name' and a 'unit' of text"),
    ("laws.0.terms", DELETED, "expected a key 'terms', got none"),
    ("laws.0.terms", 3, "expected 'terms' to be a list, got 3"),
    ("laws.0.terms", [], "expected distinct 'terms', got none or one twice"),
    ("laws.0.terms", TWICE, "expected distinct 'terms', got none or one twice"),
    ("laws.1.terms", TRIPLE, "law 'energy' follows from or contradicts those before it"),
    ("laws.0.terms.0.field", "nothing", "expected 'nothing' to be an input or output, got none"),
    ("laws.0.terms.0.field", 7, "expected the name of a field, got 7"),
    ("laws.0.terms.0.field", OLR, f"expected '{OLR}', which is per mass, to be per layer"),
    ("laws.0.terms.0.field", PRESSURE, f"expected '{PRESSURE}', which is per mass, to be per layer"),
    ("laws.0.terms.0.per_mass", 1, "expected 'per_mass' true or false, got 1"),
    ("laws.0.terms.0.coefficient", [1.0] * 3, "expected 20 numbers of 'coefficient', one for each value, got 3"),
    ("laws.0.terms.0.coefficient", 1e200, "expected 'coefficient' up to 1e\\+100, got 1e\\+200"),
    ("laws.0.terms.0.coefficient", None, "expected 'coefficient' to be a finite number, got null"),
    ("laws.2.terms.0.coefficient", 0.0, "expected a term of law 'absorbed' with a variance, got none"),
    ("variance", [], "expected distinct 'variance', got none or one twice"),
    ("variance.0.output", SUNLIGHT, "expected a 'variance' of outputs, got one of an input"),
    ("variance.0.output", RAIN, "expected 1 numbers of 'variance', one for each value, got 20"),
    ("variance.1.output", RATES[1], "expected distinct 'variance', got none or one twice"),
    ("variance.1.value", 0.0, "expected a 'variance' from 1e-100, got 0"),
    ("variance.1.value", -1.0, "expected a 'variance' from 1e-100, got -1"),
    ("variance.4", DELETED, f"expected a 'variance' of '{TOA_NET}', got a covariance alone"),
    ("covariance", [[]] * 33, "expected up to 32 in 'covariance', got 33"),
    ("covariance.0", {}, "expected 'covariance' to hold lists, got {}"),
    ("covariance.0", [], "expected distinct 'covariance', got none or one twice"),
    ("covariance.0.0.value", [1.0], "expected 20 numbers of 'covariance', one for each value, got 1"),
    ("covariance.0.0.value", "x", "expected 'covariance' to be a finite number, got \"x\""),
    ("interface_pressure", None, "expected an 'interface_pressure' for the layers of"),
    ("interface_pressure", OLR, f"expected '{OLR}' to be an input per interface in 'Pa'"),
    ("interface_pressure", DELETED, "expected a key 'interface_pressure', got none"),
    ("budgets", [], "expected budgets"),
)  # fmt: skip


@pytest.mark.parametrize(("path", "value", "text"), BAD)
def test_bad_laws_are_refused_in_one_sentence(tmp_path: Path, path: str, value: Any, text: str) -> None:
    with pytest.raises(BridgeError) as caught:
        emagram.open(write_constrained(tmp_path / "bad.emg", [changed(path, value)], N_LEVEL))
    assert caught.value.code == FORMAT
    assert re.search(f"constraint 'laws': .*({text})", str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_constrained(tmp_path_factory.mktemp("linear") / "sound.emg", [CORRELATED.to_manifest()], N_LEVEL)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_anything_else_is_refused_or_opens_with_the_laws_it_states(sound_file: Path, data: st.DataObject) -> None:
    spoiled = [spoil(CORRELATED.to_manifest(), data)]
    opened = opening(rewrite(sound_file.read_bytes(), manifest={"constraints": spoiled}))
    if isinstance(opened, BridgeError):
        assert "\n" not in str(opened)
        assert opened.code != FAULT
        return
    assert opened.budgets == tuple(law["name"] for law in spoiled[0]["laws"])
