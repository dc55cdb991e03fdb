"""The benchmark of the column host, in its smallest form."""

from __future__ import annotations

from pathlib import Path

import pytest

from emagram.hybrid.bench import BENCHES
from emagram.hybrid.bench_host import PARTS, bench_host, measure
from emagram.hybrid.benchmark import BenchOptions, Ceiling, Row
from emagram.physics.errors import EmagramError
from host_case import small_case


def test_rows_of_every_part(tmp_path: Path) -> None:
    assert BENCHES["host"] is bench_host
    rows = measure(small_case(days=1), tmp_path)
    assert [row.case for row in rows] == [f"{part}/l60/step" for part in PARTS]
    for row in rows:
        assert isinstance(row, Row)
        entry = row.to_json(Ceiling(1.0, 1.0, 1.0))
        assert entry["correct"]
        assert entry["median_us"] > 0.0
    whole = rows[-1]
    assert isinstance(whole, Row)
    assert whole.median >= max(row.median for row in rows if isinstance(row, Row) and row is not whole)
    assert whole.more["column_steps_per_second"] == pytest.approx(1.0 / whole.median)


def test_only_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(EmagramError, match="bench host: expected device 'cpu', got 'cuda'"):
        bench_host(BenchOptions(device="cuda"))
