"""Columns that are computed side by side do not notice each other, nor which vectors the processor has."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import emagram
from commands import run
from constrained_model import (
    HEATING,
    OLR,
    PRESSURE,
    RATES,
    STATES,
    Array,
    constraint_entries,
    entries_still_aloft,
    hard_columns,
    write_constrained,
)
from emagram.fortran_bridge.model import Model
from stepping import same_bits
from test_constraints import constrained

N_COLUMN, N_LEVEL = 501, 24
Fields = dict[str, Array]


@pytest.fixture(params=["all", "still aloft"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    entries = constraint_entries() if request.param == "all" else entries_still_aloft()
    return write_constrained(tmp_path / "model.emg", list(entries.values()), N_LEVEL)


def opened(path: Path) -> Model:
    return emagram.open(path, defer_constraints=True, policy="mask")


def rows(fields: Fields, index: Array) -> Fields:
    return {name: np.ascontiguousarray(array[index]) for name, array in fields.items()}


def closed_bytes(path: Path) -> str:
    """A hash of what becomes of columns of every kind, and of their residuals, in both kinds of numbers."""
    model, digest = opened(path), hashlib.sha256()
    for dtype in (np.float64, np.float32):
        inputs, outputs = (rows(f, slice(None)) for f in hard_columns(N_COLUMN, N_LEVEL, seed=31))  # type: ignore[arg-type]
        inputs, outputs = ({n: a.astype(dtype) for n, a in fields.items()} for fields in (inputs, outputs))
        closed, columns = constrained(model, inputs, outputs)
        for name in sorted(closed):
            digest.update(closed[name].tobytes())
        for budget in model.budgets:
            for residual in columns.budget(budget, N_COLUMN):
                digest.update(residual.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_the_bits_are_those_of_every_instruction_set(path: Path, isa: str) -> None:
    folders = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))
    command = f"import sys, pathlib, {__name__} as t; print(t.closed_bytes(pathlib.Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", command, path],
        env=os.environ | {"EMAGRAM_ISA": isa, "PYTHONPATH": folders},
        capture_output=True,
        text=True,
        check=False,
    )
    if "EMAGRAM_ISA: expected one of" in done.stderr:
        pytest.skip(f"this processor has no {isa}")
    assert done.stdout.strip() == closed_bytes(path), done.stderr


@pytest.mark.parametrize("seed", range(5))
def test_no_bit_depends_on_the_neighbours(path: Path, seed: int) -> None:
    """In any order, and any number of them."""
    model, rng = opened(path), np.random.default_rng(seed)
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=32)
    whole, columns = constrained(model, inputs, outputs)
    order = rng.permutation(N_COLUMN)[: rng.integers(1, N_COLUMN)]
    some, others = constrained(model, rows(inputs, order), rows(outputs, order))
    assert same_bits(some, rows(whole, order))
    for budget in model.budgets:
        for stage in ("predicted", "before", "after", "returned"):
            residual = columns.budget_at(budget, stage, N_COLUMN)[order]
            assert residual.tobytes() == others.budget_at(budget, stage, len(order)).tobytes(), (budget, stage)


def test_columns_beside_rejected_ones_keep_their_bits(path: Path) -> None:
    """Whatever is wrong with those: values that are not finite, huge ones, layers without mass or upside down."""
    model = opened(path)
    inputs, outputs = hard_columns(N_COLUMN, N_LEVEL, seed=33)
    whole, _ = constrained(model, inputs, outputs)
    spoiled = np.arange(N_COLUMN) % 3 != 1  # two of three, so in every lane
    bad_in, bad_out = (rows(fields, np.arange(N_COLUMN)) for fields in (inputs, outputs))
    kind = np.arange(N_COLUMN) % 7
    bad_in[PRESSURE][spoiled & (kind == 0)] = np.nan
    bad_in[PRESSURE][spoiled & (kind == 1), 5:8] = 4.0e4
    bad_in[PRESSURE][spoiled & (kind == 2)] *= -1.0
    bad_in[STATES[0]][spoiled & (kind == 3), 3] = np.inf
    bad_out[RATES[1]][spoiled & (kind == 4)] = -np.inf
    bad_out[OLR][spoiled & (kind == 5)] = np.nan
    bad_out[HEATING][spoiled & (kind == 6)] = 1.7e308
    bad_out[RATES[0]][spoiled & (kind == 6)] = -1.7e308
    beside, columns = constrained(model, bad_in, bad_out)
    assert same_bits(rows(beside, ~spoiled), rows(whole, ~spoiled))
    assert same_bits(rows(beside, spoiled), rows(bad_out, spoiled))
    assert (np.isnan(columns.budget("column_energy", N_COLUMN)[1]) == spoiled).all()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="one instruction set alone")
def test_what_an_instruction_set_compiles_stays_its_own(emagram_build: Path) -> None:
    """Of code that several files share the linker keeps one, which another processor might not have."""
    members = run(["nm", emagram_build / "lib" / "libemagram.a"]).split("\n\n")
    own = {m.split(":")[0].strip(): m.splitlines()[1:] for m in members if m.strip().startswith(("laws_", "dense_"))}
    assert len(own) == 6
    for member, symbols in own.items():
        shared = [symbol for symbol in symbols if re.match(r"[0-9a-f ]* [VvWwu] ", symbol)]
        assert not shared, (member, shared)
        assert any(re.match(r"[0-9a-f]* T ", symbol) for symbol in symbols)
