"""What a study says of the emulator that it exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xarray as xr

from emagram.emulators.climsim_scores import Evaluation
from emagram.hybrid.judging import judge
from emagram.physics.errors import EmagramError
from judged_runs import EMULATOR, made_up_run


def study(folder: Path, model: dict[str, object]) -> Path:
    for seed in (0, 1):
        member = folder / "members" / f"mlp-{seed}" / "evaluation-present"
        member.mkdir(parents=True)
        rows = ({"variable": "air_temperature", "r2": None, "r2_pooled": 0.5 + 0.1 * seed},)
        evaluation = Evaluation(
            network="mlp",
            seed=seed,
            data="present",
            n_step=1,
            n_cell=1,
            rows=rows,
            budgets={},
            kaggle=None,
            profiles=xr.Dataset({"rmse": ("variable", [1.0])}),
        )
        evaluation.write(member)
    (folder / "summary.json").write_text(json.dumps({"model": model}))
    return folder


def model_named(sha256: str) -> bytes:
    """The end of a model file, which holds its name."""
    return f"emagram {1:010d} sha256:{sha256}".encode()


def test_the_exported_member_is_the_one(tmp_path: Path) -> None:
    offline = study(tmp_path / "study", {"file": "best.emg", "network": "mlp", "seed": 1})
    run, control = made_up_run(tmp_path / "run", physics=EMULATOR), made_up_run(tmp_path / "control")
    (offline / "best.emg").write_bytes(model_named("a" * 64))
    summary = {"ranks": 1, "model_sha256": "a" * 64}
    (run / "summary.json").write_text(json.dumps(summary))
    assert judge(run, control, offline=offline).offline_r2 == {"air_temperature": 0.6}

    (offline / "best.emg").write_bytes(model_named("b" * 64))
    with pytest.raises(EmagramError, match=r"expected that of the model of the run \(SHA-256 a{12}\), got 'best.emg'"):
        judge(run, control, offline=offline)
    with pytest.raises(EmagramError, match=r"expected that of the model of the run \(SHA-256 none\)"):
        judge(control, control, offline=offline)


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    control = made_up_run(tmp_path / "control")
    with pytest.raises(EmagramError, match=r"expected a finished study with a summary\.json, got none"):
        judge(control, control, offline=tmp_path)
    nothing = study(tmp_path / "study", {"file": None, "reason": "unknown"})
    with pytest.raises(EmagramError, match="expected an exported model, got none"):
        judge(control, control, offline=nothing)
