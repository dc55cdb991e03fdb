"""The benchmark of constraints, in its smallest form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emagram.emulators.climsim_constraints import CLIMSIM_CONSTRAINTS
from emagram.hybrid import bench_constraints as bench
from emagram.hybrid.bench import BENCHES
from emagram.hybrid.benchmark import BenchOptions, Ceiling, Row
from emagram.physics.errors import EmagramError


@pytest.fixture
def one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "N_BATCH", 1)


def rows_by_engine(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    rows = [row for row in bench.measure(folder, n_level=12, n_pass=1) if isinstance(row, Row)]
    return {(row.case.split("/")[0], row.engine): row.to_json(Ceiling(1.0, 1.0, 1.0)) for row in rows}


@pytest.mark.usefixtures("one_batch")
def test_rows_of_the_sequence_and_every_constraint(tmp_path: Path) -> None:
    assert BENCHES["constraints"] is bench.bench_constraints
    rows = rows_by_engine(tmp_path)
    parts = ("sequence", *CLIMSIM_CONSTRAINTS)
    assert set(rows) == {(part, engine) for part in parts for engine in ("native", "reference")} | {
        ("sequence", "native-mlp")
    }
    assert all(row["correct"] and row["median_us"] > 0.0 for row in rows.values())
    network = rows["sequence", "native-mlp"]
    for part in parts:
        row = rows[part, "native"]
        assert row["share_of_mlp"] == pytest.approx(row["median_us"] / network["median_us"])
        assert row["us_per_column"] == pytest.approx(row["median_us"] / bench.BATCH)
        assert rows[part, "native"]["median_us"] < rows[part, "reference"]["median_us"]


@pytest.mark.usefixtures("one_batch")
def test_a_result_that_differs_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if torch had left the outputs as the network returned them."""
    monkeypatch.setattr(bench.Case, "close", lambda _, outputs, *__: outputs)
    rows = rows_by_engine(tmp_path)
    correct = {part for (part, engine), row in rows.items() if engine == "native" and row["correct"]}
    assert correct <= {"accounts", "bounds", "precipitation"}  # which change nothing, or not in these columns


def test_what_was_not_written_is_wrong() -> None:
    got, expected = np.array([1.0, np.nan]), np.array([1.0, 2.0])
    assert np.isnan(bench._column_error(got, expected, expected))


def test_only_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(EmagramError, match="bench constraints: expected device 'cpu', got 'cuda'"):
        bench.bench_constraints(BenchOptions(device="cuda"))
