"""Doubling times of errors of known growth, and how long a run lived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emagram.hybrid.judging.growth import doubling_time, survival
from emagram.hybrid.judging.judgement import judge
from emagram.hybrid.judging.runs import read_run
from judged_runs import EMULATOR, STOP, Fields, made_up_run

DAY = np.arange(1.0, 31.0)


def test_exponential_growth_until_saturation() -> None:
    doubling, note = doubling_time(DAY, np.minimum(1e-6 * 2.0 ** (DAY / 2.5), 1e-4))
    np.testing.assert_allclose(doubling, 2.5)
    assert note == "from day 1 to 15"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (np.zeros(30), "no difference"),
        (np.full(30, 0.3), "within 1 records"),
        (1.0 + 0.1 * DAY, "by a factor of 1.8 only"),
        (np.where(DAY < 15.0, 1e-6, 1.0), "a straight line explains"),
        (np.where(DAY == 5.0, 0.0, DAY), "within 15 records"),
        (np.array([0.0]), "no difference"),
        (np.array([1.0]), "within 1 records"),
    ],
)
def test_growth_that_is_not_exponential_has_no_doubling_time(error: np.ndarray, words: str) -> None:
    doubling, note = doubling_time(DAY[: len(error)], error)
    assert doubling is None
    assert words in note


def test_errors_by_day_since_the_runs_parted(tmp_path: Path) -> None:
    def edit(fields: Fields) -> None:
        fields["air_temperature"][2:] += np.array([0.5, 4.0])[:, None, None]
        fields["specific_humidity"][2:] -= 1e-4

    def perturb(fields: Fields) -> None:
        fields["air_temperature"] += np.array([1.0, 2.0, 3.0, 4.0])[:, None, None]

    control = made_up_run(tmp_path / "control")
    replica = made_up_run(tmp_path / "replica", perturb, perturbation={"relative": 1e-9, "seed": 0, "weather": None})
    judgement = judge(made_up_run(tmp_path / "run", edit, physics=EMULATOR | {"spin_up_days": 2}), control, [replica])
    run, other = judgement.growth
    assert (run.kind, run.parted_day, run.day.tolist()) == ("run", 2.0, [1.0, 2.0])
    np.testing.assert_allclose(run.temperature_rmse_k, [0.5, 4.0])
    np.testing.assert_allclose(run.humidity_rmse_g_kg, 0.1)
    assert (other.kind, other.parted_day, other.day.tolist()) == ("last digit", 0.0, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(other.temperature_rmse_k, [1.0, 2.0, 3.0, 4.0])
    assert not any("during the spin-up" in note for note in judgement.notes)


def test_survival_counts_from_the_spin_up(tmp_path: Path) -> None:
    physics = EMULATOR | {"spin_up_days": 1}
    lived = survival(read_run(made_up_run(tmp_path / "lived", physics=physics)))
    assert (lived.survived, lived.online_days, lived.asked_days, lived.stopped) == (True, 3.0, 3.0, None)
    stop = STOP | {"day": 4.25}
    died = survival(read_run(made_up_run(tmp_path / "died", physics=physics, stopped=stop, days=9)))
    assert (died.survived, died.online_days, died.asked_days, died.stopped) == (False, 3.25, 8.0, stop)
