"""Benchmarks: results are checked before they are timed, and every row has the one form."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_grid import built_in_grid
from emagram.hybrid import bench, bench_loader
from emagram.hybrid.bench_loader import Files, Reference, measure, write_files
from emagram.hybrid.benchmark import BenchOptions, Ceiling, Row, Skipped, measure_ceiling, repeat
from emagram.hybrid.command_line import main
from emagram.physics.errors import EmagramError

CEILING = Ceiling(fp32_gflops=100.0, bf16_gflops=400.0, copy_gb_s=10.0)
ROW = Row("mlp/b64/forward", "native", "fp32", 1e-7, 1e-6, [3e-3, 1e-3, 2e-3], n_byte=4e6, n_flop=1e8)


def test_a_row_has_the_form_of_every_benchmark() -> None:
    row = ROW.to_json(CEILING)
    assert row == {
        "case": "mlp/b64/forward", "engine": "native", "dtype": "fp32", "correct": True, "error": 1e-7,
        "tolerance": 1e-6, "median_us": 2000.0, "spread": 1.0, "repeats": 3, "gflops": 50.0, "gb_s": 2.0,
        "fraction_of_ceiling": 0.5,
    }  # fmt: skip
    loader = replace(ROW, dtype="fp64", n_flop=None, more={"columns_per_second": 5.0}).to_json(CEILING)
    assert (loader["gflops"], loader["fraction_of_ceiling"], loader["columns_per_second"]) == (None, 0.2, 5.0)
    assert Skipped("a/b/c", "ftorch", "not installed").to_json(CEILING) == {
        "case": "a/b/c", "engine": "ftorch", "skipped": "not installed",
    }  # fmt: skip


@pytest.mark.parametrize("error", [2e-6, math.nan, math.inf])
def test_what_is_wrong_is_not_correct(error: float) -> None:
    row = replace(ROW, error=error).to_json(CEILING)
    assert row["correct"] is False
    json.dumps(row, allow_nan=False)


def test_the_ceiling_is_measured() -> None:
    ceiling = measure_ceiling("cpu")
    assert min(vars(ceiling).values()) > 0.0
    assert len(repeat(lambda: None)) == 5


@pytest.fixture
def one_row(monkeypatch: pytest.MonkeyPatch) -> list[Row | Skipped]:
    rows: list[Row | Skipped] = [ROW, Skipped("mlp/b64/forward", "ftorch", "it is not installed")]
    monkeypatch.setitem(bench.BENCHES, "fake", lambda _: rows)  # type: ignore[arg-type]
    monkeypatch.setattr(bench, "measure_ceiling", lambda _: CEILING)
    return rows


def test_the_command_prints_and_writes_the_report(
    one_row: list[Row | Skipped], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "fake", "--quick", "--json", str(tmp_path / "fake.json")]) == 0
    shown = capsys.readouterr().out
    assert "native" in shown
    assert "2,000" in shown
    assert "skipped: mlp/b64/forward ftorch: it is not installed" in shown
    report: dict[str, Any] = json.loads((tmp_path / "fake.json").read_text())
    assert (report["benchmark"], report["size"], report["threads"]) == ("fake", "quick", torch.get_num_threads())
    assert report["ceiling"] == vars(CEILING)
    assert report["rows"] == [row.to_json(CEILING) for row in one_row]


def test_a_wrong_result_fails_the_command(one_row: list[Row | Skipped], capsys: pytest.CaptureFixture[str]) -> None:
    one_row[0] = replace(ROW, error=1.0)
    assert main(["bench", "fake"]) == 1
    captured = capsys.readouterr()
    assert "NO" in captured.out
    assert "expected every engine's output to be correct, got mlp/b64/forward native wrong" in captured.err


def test_what_cannot_be_measured_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["bench", "loadr"]) == 1
    assert "(nearest 'loader'), got 'loadr'" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "loader", "--device", "cuda"]) == 1
    assert "got 'cuda' and no GPU that torch can use" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(EmagramError, match="bench loader: expected device 'cpu', got 'cuda'"):
        bench_loader.bench_loader(BenchOptions("cuda"))
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "loader", "--quick", "--full"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_files(tmp_path_factory.mktemp("bench"), 5, built_in_grid(1536, 4))


def test_the_loader_and_its_peers_deliver_the_same_columns(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_loader, "repeat", lambda call: [1e-3 for _ in (call(), call())])
    rows = measure(files)
    assert [row.engine for row in rows] == ["stream", "stream-2", "xarray-per-file", "xarray"] * 2
    assert [row.case for row in rows[3::4]] == ["v1/b1024/shuffled", "v2_rh/b1024/shuffled"]
    for row in rows:
        if isinstance(row, Skipped):
            assert row.engine == "xarray"
            assert find_spec("dask") is None
        else:
            assert row.error == 0.0
            assert row.more["files"] == 10


def test_a_peer_that_is_not_installed_is_a_row(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_loader, "repeat", lambda call: [1e-3 for _ in (call(),)])
    monkeypatch.setattr(bench_loader, "find_spec", lambda _: None)
    monkeypatch.setattr(bench_loader, "SETS", ("v1",))
    last = measure(files)[-1]
    assert isinstance(last, Skipped)
    assert last.why == "dask is not installed; make bench-peers brings it"


def test_the_check_sees_what_is_wrong(files: Files) -> None:
    reference = Reference.of(files, climsim_spec("v1", n_level=4))
    whole = {name: value.copy() for name, value in reference.fields.items()}
    assert reference.error([whole], whole_pass=True) == 0.0
    half = {name: value[:4000] for name, value in whole.items()}
    assert reference.error([half], whole_pass=False) == 0.0
    assert math.isnan(reference.error([half], whole_pass=True))
    assert math.isnan(reference.error([whole, half], whole_pass=True))
    assert math.isnan(reference.error([{k: v for k, v in whole.items() if k != "lwe_snowfall_rate"}], whole_pass=True))
    tendency = "tendency_of_specific_humidity_due_to_model_physics"
    shifted = whole | {tendency: np.roll(whole[tendency], 1, axis=0)}
    assert reference.error([shifted], whole_pass=True) > 1e-3
    poisoned = whole | {"surface_air_pressure": np.full_like(whole["surface_air_pressure"], np.nan)}
    assert not reference.error([poisoned], whole_pass=True) <= bench_loader.TOLERANCE
    unknown = whole | {"air_temperature": whole["air_temperature"] + 1.0}
    assert math.isnan(reference.error([unknown], whole_pass=True))
