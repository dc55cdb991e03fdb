"""What a replica is called, and what a score is worth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emagram.hybrid.judging.floors import differences, kind_of
from emagram.hybrid.judging.judgement import Judgement, judge
from emagram.hybrid.judging.runs import read_run
from emagram.physics.errors import EmagramError
from judged_runs import EMULATOR, Fields, made_up_run


def perturbation(**values: Any) -> dict[str, Any]:
    return {"relative": 0.0, "seed": 0, "weather": None} | values


@pytest.mark.parametrize(
    ("settings", "kind", "keys"),
    [
        ({}, "same", set()),
        ({"days": 40, "name": "other", "record": {"every": 3}, "chunk": 2}, "same", set()),
        ({"physics": {"source": "conventional", "on_invalid": "mask"}}, "same", set()),
        ({"perturbation": perturbation(relative=1e-14, seed=1)}, "last digit", {"relative", "seed"}),
        ({"perturbation": perturbation(relative=1e-14)}, "last digit", {"relative", "seed"}),
        ({"perturbation": perturbation(weather=3)}, "other weather", {"weather"}),
        ({"perturbation": perturbation(weather=3, relative=1e-9)}, "other", {"weather", "relative", "seed"}),
        ({"seed": 4}, "other seed", {"seed"}),
        ({"parameters": {"convection": {"relaxation_time": 1.0}}}, "other", {"relaxation_time"}),
    ],
)
def test_the_kind_of_a_replica(tmp_path: Path, settings: dict[str, Any], kind: str, keys: set[str]) -> None:
    control = read_run(made_up_run(tmp_path / "control"))
    found = differences(read_run(made_up_run(tmp_path / "replica", **settings)), control)
    assert kind_of(found) == kind
    assert {key.rpartition(".")[2] for key in found} == keys


def judged(tmp_path: Path, floor_error: float, **settings: Any) -> Judgement:
    """A run 3 K too warm in two days of four beside a replica with another error throughout."""

    def edit(fields: Fields) -> None:
        fields["air_temperature"] += np.array([0.0, 0.0, 3.0, 3.0])[:, None, None]

    def perturb(fields: Fields) -> None:
        for values in fields.values():
            values *= 1.0 + floor_error

    control = made_up_run(tmp_path / "control")
    run = made_up_run(tmp_path / "run", edit, physics=EMULATOR | {"spin_up_days": 2})
    return judge(run, control, [made_up_run(tmp_path / "replica", perturb, **settings)])


def test_a_score_over_its_floor(tmp_path: Path) -> None:
    judgement = judged(tmp_path, 0.01, perturbation=perturbation(weather=3))
    ratio = next(ratio for ratio in judgement.floor_ratios if ratio.variable == "air_temperature")
    assert ratio.floor.startswith("replica: perturbation.weather 3")
    np.testing.assert_allclose(ratio.rmse, 2.5, rtol=0.01)  # 1 % of about 250 K
    np.testing.assert_allclose(ratio.bias, 2.5, rtol=0.02)
    assert ratio.rmse_ratio == pytest.approx(3.0 / ratio.rmse)
    assert ratio.rmse_of_mean_ratio == pytest.approx(3.0 / ratio.rmse_of_mean)
    assert judgement.floors[0].precipitation_distance_mm_day == pytest.approx(0.03456, rel=0.05)
    assert not any("Replica" in note for note in judgement.notes)


@pytest.mark.parametrize("floor_error", [0.0, 1e-14, 1e-7])
def test_no_score_is_divided_by_a_floor_near_zero(tmp_path: Path, floor_error: float) -> None:
    judgement = judged(tmp_path, floor_error, perturbation=perturbation(relative=1e-14, seed=1))
    assert judgement.floors[0].kind == "last digit"
    for ratio in judgement.floor_ratios:
        assert (ratio.rmse_ratio, ratio.rmse_of_mean_ratio) == (None, None)
    assert any("hardly chaotic" in note for note in judgement.notes)


def test_a_replica_of_other_physics_is_named_no_floor(tmp_path: Path) -> None:
    judgement = judged(tmp_path, 0.01, parameters={"convection": {"relaxation_time": 1.0}})
    assert any("so that it is no floor" in note and "relaxation_time 1 (none)" in note for note in judgement.notes)


def test_the_same_run_again_is_named(tmp_path: Path) -> None:
    assert any("same run again" in note for note in judged(tmp_path, 0.0).notes)


def test_a_replica_that_is_too_short_is_refused(tmp_path: Path) -> None:
    control, short = made_up_run(tmp_path / "control"), made_up_run(tmp_path / "short", n_record=3)
    with pytest.raises(EmagramError, match="short': expected the 4 days that are compared, got 3"):
        judge(control, control, [short])
