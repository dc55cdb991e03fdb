"""The radiation story on built-in columns, two ranks, in a folder with a space."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emagram.hybrid.demo_programs import make_programs
from emagram.hybrid.radiation.demo import read_radiation_configuration, run_radiation


@pytest.mark.mpi
def test_radiation_is_learned_exported_predicted_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        monkeypatch.setenv(name, "1")
    folder = tmp_path / "a story"
    config = read_radiation_configuration(None, quick=True)
    report = run_radiation(config, folder, make_programs(2, quick=True), quick=True)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["bits_equal"]
    assert {program["label"].split(",")[0] for program in summary["programs"]} == {"Fortran", "Python", "C"}
    assert len({program["sha256"] for program in summary["programs"]}) == 1
    for residual in summary["closure"].values():
        assert residual["after"] <= 1e-10 < residual["before"]
    assert max(entry["ratio"] for entry in summary["native_error"].values()) <= 2.0
    assert summary["rejected_columns"] == 0
    assert report.stat().st_size > 50_000
    predicted = xr.load_dataset(folder / "predictions.nc")
    assert np.isfinite(predicted["toa_outgoing_longwave_flux"]).all()
