"""Residual levels, stratospheric water, cloud phase, downscaling and accounts in the runtime, against torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from more_constraints import MEAN, MORE_INPUTS, TOP_PRESSURE, more_columns, more_entries

import emagram
from constrained_model import (
    HEATING,
    N_KIND,
    PRESSURE,
    RATES,
    STATES,
    TIME_STEP,
    Array,
    Entry,
    constraint_entries,
    entries_still_aloft,
    write_constrained,
)
from emagram.fortran_bridge.model import STAGES, Columns, Model
from emagram.physics.constants import Constants
from emagram.physics.constraints import close, from_manifest
from emagram.physics.thermodynamics import liquid_fraction
from emagram.physics.tropopause import TropopauseSearch, tropopause_pressure
from stepping import FLOAT64_RESIDUAL, bind, same_bits

N_COLUMN, N_LEVEL = 2500, 20
LARGEST_DIFFERENCE = 1e-12  # of the largest value of the output in the column, before or after: orders of sums differ
LARGEST_RESIDUAL_DIFFERENCE = 1e-13  # of the largest residual of the budget
WATER_RESIDUAL = 1e-15  # kg m-2 s-1, ARCHITECTURE
ENTRIES, MORE = constraint_entries(), more_entries()
STILL = entries_still_aloft()
PROFILE = {"kind": "softmax", "scale": 5e-5}
Fields = dict[str, Array]

FIRST = [*list(ENTRIES.values())[:-2], MORE["stratospheric_water"], ENTRIES["positivity"]]
LAST = [MORE["cloud_phase"], MORE["accounts"]]
STILL_LAST = [MORE["cloud_phase"] | {"top_pressure": TOP_PRESSURE}, MORE["accounts"]]
DRY_MASS = MORE["accounts"]["budgets"][:1]
SEQUENCES: dict[str, list[Entry]] = {kind: [entry] for kind, entry in MORE.items()}
SEQUENCES |= {
    "downscaling multiplicative": [MORE["downscaling"] | {"kind": "multiplicative"}],
    "downscaling softmax": [MORE["downscaling"] | PROFILE],
    "downscaling by an output": [
        MORE["downscaling"]
        | {"profile": RATES[0], "mean": "moistening", "unit": "kg kg-1 s-1"}
        | {"budgets": [{"name": "heating", "unit": "kg kg-1 s-1"}]}
    ],
    "residual levels aloft": [MORE["residual_levels"] | {"vapor_level": 3, "temperature_level": 12}],
    "cloud phase still aloft": STILL_LAST[:1],
    "accounts without stress": [MORE["accounts"] | {"stress": []}],
    "accounts of dry mass": [
        MORE["accounts"] | {"winds": [], "stress": [], "budgets": MORE["accounts"]["budgets"][:1]}
    ],
    "all by projection": [*FIRST, ENTRIES["water_and_energy"], *LAST],
    "all by residual levels": [*FIRST, MORE["residual_levels"], *LAST],
    "all still aloft": [*list(STILL.values())[:-1], STILL["water_and_energy"], *STILL_LAST],
}


def opened(folder: Path, entries: list[Entry]) -> Model:
    more = {**MORE_INPUTS, "moistening": "kg kg-1 s-1"}
    path = write_constrained(folder / "model.emg", entries, N_LEVEL, more_inputs=more)
    return emagram.open(path, defer_constraints=True)


def prepared(n_column: int, seed: int, entries: list[Entry]) -> tuple[Fields, Fields]:
    """Downscaled profiles have one sign, or a mean of them could be mere rounding."""
    inputs, outputs = more_columns(n_column, N_LEVEL, seed)
    inputs["moistening"] = 1e-3 * inputs[MEAN]
    for entry in entries:
        if entry["type"] == "downscaling":
            outputs[entry["profile"]] = np.abs(outputs[entry["profile"]]) + 1e-7
    return inputs, outputs


def constrained(model: Model, inputs: Fields, outputs: Fields) -> tuple[Fields, Columns]:
    """The outputs after the constraints, in the host's arrays, and the columns with their budgets."""
    arrays, n = {name: array.copy() for name, array in outputs.items()}, len(inputs[PRESSURE])
    columns = model.columns(n)
    bind(columns, inputs | arrays)
    model.constrain(columns, n, TIME_STEP)
    return arrays, columns


def relative(difference: Array, *scales: Array) -> float:
    """Largest difference in a column by the largest magnitude there, over all columns."""
    n = len(difference)
    largest = np.max([np.abs(scale).reshape(n, -1).max(axis=1) for scale in scales], axis=0)
    return float((np.abs(difference).reshape(n, -1).max(axis=1) / np.where(largest > 0.0, largest, 1.0)).max())


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("seed", [31, 32])
def test_both_languages_agree(tmp_path: Path, sequence: str, seed: int) -> None:
    entries = SEQUENCES[sequence]
    model = opened(tmp_path, entries)
    inputs, outputs = prepared(N_COLUMN, seed, entries)
    native, columns = constrained(model, inputs, outputs)
    laws = from_manifest(entries, Constants(), TIME_STEP)
    ledger = close(laws, {name: torch.from_numpy(array) for name, array in (inputs | outputs).items()})
    changed = set()
    for name, raw in outputs.items():
        twin = ledger.fields[name].numpy()
        assert relative(native[name] - twin, raw, twin) <= LARGEST_DIFFERENCE, name
        changed |= {name} if (twin != raw).any() else set()
        if len(entries) == 1 and entries[0]["type"] in ("stratospheric_water", "cloud_phase"):
            assert np.array_equal(native[name] != raw, twin != raw), name
    assert changed == {name for law in laws for name in law.outputs}
    assert model.budgets == tuple(ledger.entries)
    for name, entry in ledger.entries.items():
        largest = max(float(entry.residuals.predicted.abs().max()), float(entry.residuals.before.abs().max()))
        assert largest > 0.0
        for stage, twin in zip(STAGES, entry.residuals, strict=True):
            difference = np.abs(columns.budget_at(name, stage, N_COLUMN) - twin.numpy()).max()
            assert difference <= LARGEST_RESIDUAL_DIFFERENCE * largest, (name, stage)
        assert np.array_equal(columns.unmet(name, N_COLUMN), entry.unmet.numpy()), name


@pytest.mark.parametrize("n", [1, 7, 65])
@pytest.mark.parametrize("sequence", ["all by projection", "all by residual levels", "downscaling softmax"])
def test_no_bit_depends_on_how_columns_are_split(tmp_path: Path, sequence: str, n: int) -> None:
    model = opened(tmp_path, SEQUENCES[sequence])
    inputs, outputs = prepared(195, 33, SEQUENCES[sequence])
    whole, _ = constrained(model, inputs, outputs)
    for first in range(0, 195, n):
        part = slice(first, first + n)
        got, _ = constrained(model, {k: a[part] for k, a in inputs.items()}, {k: a[part] for k, a in outputs.items()})
        assert same_bits(got, {name: array[part].copy() for name, array in whole.items()})


def test_columns_stay_closed_bounded_and_of_the_right_phase(tmp_path: Path) -> None:
    model = opened(tmp_path, SEQUENCES["all by projection"])
    inputs, outputs = prepared(N_COLUMN, 34, [])
    closed, columns = constrained(model, inputs, outputs)
    large = np.isin(np.arange(N_COLUMN) % N_KIND, (4, 5, 7))  # sinks of 0.1 kg m-2 s-1
    assert np.abs(columns.budget("column_water", N_COLUMN)[1]).max() <= WATER_RESIDUAL
    assert np.abs(columns.budget("column_energy", N_COLUMN)[1])[~large].max() <= FLOAT64_RESIDUAL
    assert columns.budget("no_negative_water", N_COLUMN)[1].max() == 0.0
    assert columns.budget("phase", N_COLUMN)[1].max() <= 1e-14
    for state, rate in zip(STATES, RATES, strict=True):
        assert (inputs[state] + TIME_STEP * closed[rate]).min() >= 0.0
    liquid, ice = (inputs[STATES[at]] + TIME_STEP * closed[RATES[at]] for at in (1, 2))
    temperature = inputs["air_temperature"] + TIME_STEP * closed[HEATING]
    share = liquid_fraction(torch.from_numpy(temperature)).numpy()
    assert np.abs(liquid - share * (liquid + ice)).max() <= 1e-15
    search = TropopauseSearch(7.5e3, 4.5e4, TOP_PRESSURE)
    fields = (torch.from_numpy(inputs[name]) for name in (PRESSURE, "air_temperature"))
    tropopause = tropopause_pressure(*fields, search, constants=Constants()).numpy()
    above = 0.5 * (inputs[PRESSURE][:, 1:] + inputs[PRESSURE][:, :-1]) < tropopause[:, None]
    assert 0.5 < (tropopause != TOP_PRESSURE).mean() < 1.0
    assert (np.minimum(liquid, ice)[above] >= 0.0).all()
    assert (liquid + ice)[above].max() <= 1e-18
    before = inputs[STATES[1]] + TIME_STEP * outputs[RATES[1]]
    assert np.abs(before[above]).max() > 1e-5


def test_accounts_change_nothing_and_are_never_unmet(tmp_path: Path) -> None:
    model = opened(tmp_path, SEQUENCES["accounts"])
    inputs, outputs = prepared(200, 35, [])
    closed, columns = constrained(model, inputs, outputs)
    assert same_bits(closed, outputs)
    for name in model.budgets:
        assert np.abs(columns.budget(name, 200)[1]).min() > 0.0
        assert not columns.unmet(name, 200).any()
    assert set(model.budget_units.values()) == {"kg m-2 s-1", "Pa"}


def test_a_profile_without_a_mean_is_unmet(tmp_path: Path) -> None:
    model = opened(tmp_path, SEQUENCES["downscaling multiplicative"])
    inputs, outputs = prepared(100, 36, [])
    outputs[HEATING][::3] = 0.0
    outputs[HEATING][1] = 1e-320
    inputs[MEAN][0] = 0.0
    closed, columns = constrained(model, inputs, outputs)
    without = np.arange(100) % 3 == 0
    without[1] = True
    assert same_bits({HEATING: closed[HEATING][without]}, {HEATING: outputs[HEATING][without]})
    without[0] = False
    assert np.array_equal(columns.unmet("heating", 100), without)


def test_a_rejected_column_does_not_disturb_its_neighbours(tmp_path: Path) -> None:
    entries = SEQUENCES["all by residual levels"]
    inputs, outputs = prepared(64, 37, entries)
    good, _ = constrained(opened(tmp_path, entries), inputs, outputs)
    path = write_constrained(
        tmp_path / "mask.emg", entries, N_LEVEL, more_inputs={**MORE_INPUTS, "moistening": "kg kg-1 s-1"}
    )
    inputs[PRESSURE][5] = 0.0
    outputs[HEATING][11] = np.nan
    closed, _ = constrained(emagram.open(path, defer_constraints=True, policy="mask"), inputs, outputs)
    sound = ~np.isin(np.arange(64), (5, 11))
    assert same_bits({n: a[sound] for n, a in closed.items()}, {n: a[sound] for n, a in good.items()})
    assert same_bits({n: a[~sound] for n, a in closed.items()}, {n: a[~sound] for n, a in outputs.items()})
