"""The same constraints in torch and in C++, on columns of every kind."""

from pathlib import Path

import numpy as np
import pytest
import torch

import emagram
from constrained_model import (
    TIME_STEP,
    Array,
    Entry,
    constraint_entries,
    entries_still_aloft,
    hard_columns,
    write_constrained,
)
from emagram.fortran_bridge.model import STAGES
from emagram.physics.constants import Constants
from emagram.physics.constraints import close, from_manifest
from stepping import bind

N_COLUMN, N_LEVEL = 2500, 20
LARGEST_DIFFERENCE = 1e-12  # of the largest value of the output in the column, before or after: orders of sums differ
LARGEST_RESIDUAL_DIFFERENCE = 1e-14  # of the largest residual of the budget at any stage
ENTRIES = constraint_entries()
STILL = entries_still_aloft()
SEQUENCES = {kind: [entry] for kind, entry in ENTRIES.items()} | {"all": list(ENTRIES.values())}
SEQUENCES |= {f"{kind} still aloft": [STILL[kind]] for kind in ("positivity", "water_and_energy")}
SEQUENCES |= {"all still aloft": list(STILL.values())}


def relative(difference: Array, *scales: Array) -> float:
    """Largest difference in a column by the largest magnitude there, over all columns."""
    n = len(difference)
    largest = np.max([np.abs(scale).reshape(n, -1).max(axis=1) for scale in scales], axis=0)
    return float((np.abs(difference).reshape(n, -1).max(axis=1) / np.where(largest > 0.0, largest, 1.0)).max())


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("seed", [11, 12])
def test_both_languages_agree(tmp_path: Path, sequence: str, seed: int) -> None:
    entries: list[Entry] = SEQUENCES[sequence]
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed)
    model = emagram.open(write_constrained(tmp_path / "model.emg", entries, N_LEVEL), defer_constraints=True)
    native, columns = {name: array.copy() for name, array in outputs.items()}, model.columns(N_COLUMN)
    bind(columns, inputs | native)
    model.constrain(columns, N_COLUMN, TIME_STEP)
    before = {name: torch.from_numpy(array) for name, array in (inputs | outputs).items()}
    laws = from_manifest(entries, Constants(), TIME_STEP)
    ledger = close(laws, before)
    fields = ledger.fields
    changed = set()
    for name, raw in outputs.items():
        twin = fields[name].numpy()
        assert relative(native[name] - twin, raw, twin) <= LARGEST_DIFFERENCE, name
        if sequence.startswith("positivity"):  # what needs no water keeps its bits
            assert np.array_equal(native[name] != raw, twin != raw), name
        changed |= {name} if (twin != raw).any() else set()
    assert changed == {name for law in laws for name in law.outputs}
    assert model.budgets == tuple(budget.name for law in laws for budget in law.budgets)
    for name, entry in ledger.entries.items():
        largest = max(float(residual.abs().max()) for residual in entry.residuals)
        assert float(entry.residuals.predicted.abs().max()) > 0.0
        for stage, twin in zip(STAGES, entry.residuals, strict=True):
            difference = np.abs(columns.budget_at(name, stage, N_COLUMN) - twin.numpy()).max()
            assert difference <= LARGEST_RESIDUAL_DIFFERENCE * largest, (name, stage)
        assert np.array_equal(columns.unmet(name, N_COLUMN), entry.unmet.numpy()), name
