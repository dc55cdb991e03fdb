import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emagram.emulators.training.schedules import (
    ConstantSchedule,
    CosineSchedule,
    OneCycleSchedule,
    Schedule,
    StepSchedule,
)
from emagram.emulators.training.trainer import TrainingConfig
from emagram.hybrid.configuration import build
from emagram.physics.errors import EmagramError

SCHEDULES = (
    CosineSchedule(),
    CosineSchedule(0.0, 0.2),
    ConstantSchedule(),
    ConstantSchedule(0.5),
    StepSchedule(),
    StepSchedule((0.4, 0.6, 0.9), 0.5, 0.3),
    OneCycleSchedule(),
    OneCycleSchedule(0.7, 0.0, 0.1),
)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@given(share=st.floats(0.0, 1.0))
def test_factors_are_shares(schedule: Schedule, share: float) -> None:
    assert 0.0 <= schedule.factor(share) <= 1.0


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_peak_is_reached(schedule: Schedule) -> None:
    peak = max(schedule.factor(i / 1000) for i in range(1001))
    assert peak == pytest.approx(1.0, rel=1e-12)


def test_the_cosine_rises_then_falls() -> None:
    schedule = CosineSchedule(warm_up=0.25)
    assert schedule.factor(0.0) == 0.0
    assert schedule.factor(0.125) == 0.5
    assert schedule.factor(0.25) == 1.0
    assert schedule.factor(0.625) == pytest.approx(0.5)
    assert schedule.factor(1.0) == 0.0
    assert CosineSchedule(0.0).factor(0.0) == 1.0
    assert CosineSchedule(0.0, 0.2).factor(1.0) == pytest.approx(0.2)
    assert CosineSchedule(0.0, 0.2).factor(1.0 / 3.0) == pytest.approx(0.2 + 0.8 * 0.75)  # cos 60° = 1/2


def test_the_constant_stays() -> None:
    assert [ConstantSchedule().factor(share) for share in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]
    assert [ConstantSchedule(0.5).factor(share) for share in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.5, 1.0, 1.0]


def test_steps_come_at_their_milestones() -> None:
    schedule = StepSchedule((0.5, 0.75), 0.1, warm_up=0.2)
    shares = (0.1, 0.2, math.nextafter(0.5, 0.0), 0.5, 0.74, 0.75, 1.0)
    assert [schedule.factor(share) for share in shares] == pytest.approx([0.5, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01])


def test_one_cycle_goes_up_and_down() -> None:
    schedule = OneCycleSchedule(peak=0.4, start=0.1, final=0.02)
    shares = (0.0, 0.2, 0.4, 0.7, 1.0)
    assert [schedule.factor(share) for share in shares] == pytest.approx([0.1, 0.55, 1.0, 0.51, 0.02])


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (CosineSchedule, {"warm_up": 1.0}),
        (CosineSchedule, {"final": 1.1}),
        (ConstantSchedule, {"warm_up": -0.1}),
        (StepSchedule, {"milestones": ()}),
        (StepSchedule, {"milestones": (0.5, 0.5)}),
        (StepSchedule, {"milestones": (0.5, 1.0)}),
        (StepSchedule, {"milestones": (0.2, 0.5), "warm_up": 0.3}),
        (StepSchedule, {"decrease": 1.0}),
        (StepSchedule, {"warm_up": float("nan")}),
        (OneCycleSchedule, {"peak": 0.0}),
        (OneCycleSchedule, {"start": -0.1}),
        (OneCycleSchedule, {"final": 2.0}),
    ],
)
def test_settings_out_of_range_are_refused(kind: type, setting: dict) -> None:
    with pytest.raises(EmagramError, match=f"schedule '{next(iter(setting))}'"):
        kind(**setting)


def test_a_configuration_chooses_by_kind() -> None:
    config = build(TrainingConfig, {"schedule": {"kind": "step", "milestones": [0.3]}, "average_decay": 0.99}, "a.toml")
    assert config.schedule == StepSchedule((0.3,))
    assert config.average_decay == 0.99
    assert build(TrainingConfig, {"optimiser": {"learning_rate": 1}}, "a.toml").optimiser.learning_rate == 1.0
    for table in ({"kind": "stairs"}, {"warm_up": 0.1}, {}, 3):
        with pytest.raises(EmagramError, match=r"a.toml 'schedule': expected a table with 'kind' one of \['cosine', "):
            build(TrainingConfig, {"schedule": table}, "a.toml")
    with pytest.raises(EmagramError, match="unknown key 'milestone'; did you mean 'milestones'"):
        build(TrainingConfig, {"schedule": {"kind": "step", "milestone": [0.3]}}, "a.toml")
    with pytest.raises(EmagramError, match=r"expected one of \['float32', 'bfloat16'\], got 'float16'"):
        build(TrainingConfig, {"precision": "float16"}, "a.toml")
