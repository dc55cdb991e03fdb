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


def test_the_exported_member_is_the_one(tmp_path: Path) -> None:
    offline = study(tmp_path / "study", {"file": "best.emg", "network": "mlp", "seed": 1})
    run, control = made_up_run(tmp_path / "run", physics=EMULATOR), made_up_run(tmp_path / "control")
    assert judge(run, control, offline=offline).offline_r2 == {"air_temperature": 0.6}


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    control = made_up_run(tmp_path / "control")
    with pytest.raises(EmagramError, match=r"expected a finished study with a summary\.json, got none"):
        judge(control, control, offline=tmp_path)
    nothing = study(tmp_path / "study", {"file": None, "reason": "unknown"})
    with pytest.raises(EmagramError, match="expected an exported model, got none"):
        judge(control, control, offline=nothing)
