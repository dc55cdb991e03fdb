import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from emagram.emulators.training.objectives import RadiationObjectiveConfig
from emagram.emulators.training.trainer import CHECKPOINT_NAME, LOG_NAME, Trainer, TrainingConfig, load_checkpoint
from emagram.physics.errors import EmagramError
from radiation import radiation_samples, random_emulator

TRAIN = """
import sys, time
from pathlib import Path
import torch
from emagram.emulators.training.objectives import RadiationObjectiveConfig
from emagram.emulators.training.trainer import TrainingConfig
from radiation import radiation_samples, random_emulator

spec, samples = radiation_samples()
config = TrainingConfig(epochs=12, batch_size=16, checkpoint_interval=2)
trainer = config.build(random_emulator(spec, samples), RadiationObjectiveConfig().build(spec), train=samples,
                       validation=samples, seed=3, folder=Path(sys.argv[1]))
trainer.fit(lambda epoch: time.sleep(float(sys.argv[2])))
"""


def trainer(folder: Path, *, seed: int = 3, config: TrainingConfig | None = None) -> Trainer:
    spec, samples = radiation_samples()
    config = config or TrainingConfig(epochs=12, batch_size=16, checkpoint_interval=2)
    return config.build(
        random_emulator(spec, samples),
        RadiationObjectiveConfig().build(spec),
        train=samples,
        validation=samples,
        seed=seed,
        folder=folder,
    )


def assert_same_state(left: dict, right: dict) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


def test_a_run_killed_in_the_middle_resumes_to_the_same_bits(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", TRAIN, whole, "0"], check=True, env=environment)
    victim = subprocess.Popen([sys.executable, "-c", TRAIN, killed, "0.2"], env=environment)
    deadline = time.monotonic() + 60.0
    while not (killed / CHECKPOINT_NAME).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert 0 < len(load_checkpoint(killed / CHECKPOINT_NAME)["log"]) < 12
    subprocess.run([sys.executable, "-c", TRAIN, killed, "0"], check=True, env=environment)
    expected, found = load_checkpoint(whole / CHECKPOINT_NAME), load_checkpoint(killed / CHECKPOINT_NAME)
    assert_same_state(expected["emulator"], found["emulator"])
    assert_same_state(expected["best_state"], found["best_state"])
    assert expected["log"] == found["log"]
    assert (whole / LOG_NAME).read_bytes() == (killed / LOG_NAME).read_bytes()


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    log = first.fit()
    again = trainer(tmp_path)
    epochs: list[int] = []
    assert again.fit(epochs.append) == log
    assert epochs == []
    assert_same_state(dict(first.emulator.state_dict()), dict(again.emulator.state_dict()))


def test_a_tiny_problem_is_overfitted(tmp_path: Path) -> None:
    log = trainer(tmp_path, config=TrainingConfig(epochs=150, batch_size=8, learning_rate=1e-2, weight_decay=0.0)).fit()
    assert log[-1]["train_loss"] < 0.1 * log[0]["train_loss"]


def test_the_kept_state_is_the_best_on_validation(tmp_path: Path) -> None:
    fitted = trainer(tmp_path, config=TrainingConfig(epochs=8, batch_size=8, learning_rate=0.1))
    log = fitted.fit()
    samples = fitted.validation_samples
    with torch.no_grad():
        loss = fitted.objective(fitted.emulator(samples.inputs), samples.targets, samples.inputs).item()
    assert loss == min(row["validation_loss"] for row in log)


def test_seeds_differ(tmp_path: Path) -> None:
    logs = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        logs.append(trainer(tmp_path / str(seed), seed=seed).fit())
    assert logs[0] != logs[1]


def test_training_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    trainer(tmp_path).fit()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_log_has_a_row_for_every_epoch(tmp_path: Path) -> None:
    trainer(tmp_path).fit()
    with (tmp_path / LOG_NAME).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert float(rows[-1]["learning_rate"]) == 0.0


def test_the_schedule_rises_then_falls_to_zero() -> None:
    config = TrainingConfig(learning_rate=2.0, warm_up=0.25)
    assert config.learning_rate_at(0.125) == 1.0
    assert config.learning_rate_at(0.25) == 2.0
    assert config.learning_rate_at(0.625) == pytest.approx(1.0)
    assert config.learning_rate_at(1.0) == 0.0


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).fit()
    with pytest.raises(EmagramError, match="expected seed 4, got 3"):
        trainer(tmp_path, seed=4).fit()
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EmagramError, match="expected a complete checkpoint"):
        trainer(tmp_path).fit()


def test_a_loss_that_is_not_finite_stops_training(tmp_path: Path) -> None:
    broken = trainer(tmp_path)
    broken.train_samples.targets["toa_outgoing_longwave_flux"][0] = torch.nan
    with pytest.raises(EmagramError, match="finite loss in epoch 1"):
        broken.fit()
    assert not (tmp_path / CHECKPOINT_NAME).exists()


def test_the_objective_counts_one_kelvin_a_day_as_one() -> None:
    spec, samples = radiation_samples()
    objective = RadiationObjectiveConfig(flux_scale=5.0, absolute_share=0.3).build(spec)
    off_by_one = {name: value.clone() for name, value in samples.targets.items()}
    assert objective(off_by_one, samples.targets, samples.inputs) == 0.0
    off_by_one[spec.outputs[0]] += 1.0 / 86400.0
    assert objective(off_by_one, samples.targets, samples.inputs).item() == pytest.approx(1.0)
    off_by_one[spec.outputs[2]] += 5.0
    assert objective(off_by_one, samples.targets, samples.inputs).item() == pytest.approx(1.0 + 1.0 / 6.0)


@pytest.mark.parametrize(
    "setting", [{"epochs": 0}, {"batch_size": -1}, {"learning_rate": 0.0}, {"warm_up": 1.0}, {"weight_decay": -1.0}]
)
def test_settings_out_of_range_are_refused(setting: dict) -> None:
    with pytest.raises(EmagramError, match=next(iter(setting))):
        TrainingConfig(**setting)
    with pytest.raises(EmagramError, match="'flux_scale'"):
        RadiationObjectiveConfig(flux_scale=0.0)
    with pytest.raises(EmagramError, match="'absolute_share'"):
        RadiationObjectiveConfig(absolute_share=1.5)
