"""One training at a time in a folder, and checkpoints that are refused."""

import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.features import Feature
from emagram.emulators.networks import DenseConfig
from emagram.emulators.statistics import stream_normalisation
from emagram.emulators.training.checkpoint import CHECKPOINT_NAME, load_checkpoint, remove_partial_files
from emagram.emulators.training.folder_lock import LOCK_NAME, FolderLock
from emagram.emulators.training.identity import describe_emulator
from emagram.emulators.training.objectives import NormalisedObjectiveConfig
from emagram.emulators.training.samples import Samples
from emagram.emulators.training.schedules import ConstantSchedule
from emagram.emulators.training.trainer import TrainingConfig
from emagram.physics.errors import EmagramError
from training_runs import SHORT, make_trainer

HOLD = """
import sys, time
from pathlib import Path
from emagram.emulators.training.folder_lock import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_training_in_a_folder_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    first, second = make_trainer(tmp_path), make_trainer(tmp_path)
    refused: list[int] = []

    def intrude(epoch: int) -> None:
        if epoch == 12:  # all is done and saved: anybody may read it
            return
        with pytest.raises(EmagramError, match="expected no other training in it, got one of this process"):
            second.fit()
        refused.append(epoch)

    log = first.fit(intrude)
    assert refused == list(range(1, len(log)))
    assert not (tmp_path / LOCK_NAME).exists()
    assert second.fit() == log


def test_the_lock_of_a_living_process_holds_and_that_of_a_dead_one_does_not(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    message = rf"folder '{tmp_path}': expected no other training in it, got process {holder.pid} on "
    for _ in range(2):  # a refusal does not loosen it
        with pytest.raises(EmagramError, match=message), FolderLock(tmp_path):
            pass
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert f"process {holder.pid} " in (tmp_path / LOCK_NAME).read_text()
    with FolderLock(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / LOCK_NAME).read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_stale_lock_that_names_this_very_process_is_taken_over(tmp_path: Path) -> None:
    """Process numbers come again, in containers almost always."""
    (tmp_path / LOCK_NAME).write_text(f"process {os.getpid()} on here, and a longer text than the new one\n")
    with FolderLock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text().count("\n") == 1


def test_worker_processes_do_not_keep_a_lock(tmp_path: Path) -> None:
    """Readers are forked by a training; those that outlive it must not hold its folder."""
    context = multiprocessing.get_context("fork")
    stay = context.Event()
    with FolderLock(tmp_path):
        worker = context.Process(target=stay.wait, args=(60.0,))
        worker.start()
    taken = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert taken.stdout is not None
    assert taken.stdout.readline() == "held\n"
    assert worker.is_alive()
    taken.kill()
    taken.communicate()
    stay.set()
    worker.join()


def test_a_lock_that_was_removed_while_it_was_waited_for_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, the last holder may have removed the file: then both would hold one."""
    import fcntl

    lockf, removed = fcntl.lockf, []

    def lock_late(file: int, operation: int) -> None:
        if not removed:
            (tmp_path / LOCK_NAME).unlink()
            removed.append(file)
        lockf(file, operation)

    monkeypatch.setattr(fcntl, "lockf", lock_late)
    with FolderLock(tmp_path):
        assert removed
        assert f"process {os.getpid()} " in (tmp_path / LOCK_NAME).read_text()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), FolderLock(tmp_path / "absent"):
        pass


def test_leftovers_of_a_killed_writer_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".checkpoint.pt.12.partial", ".notes.txt.12.partial", "checkpoint.pt", "other.partial"):
        (tmp_path / name).write_text("")
    remove_partial_files(tmp_path, (CHECKPOINT_NAME,))
    assert {path.name for path in tmp_path.iterdir()} == {".notes.txt.12.partial", "checkpoint.pt", "other.partial"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 17}, "expected training"),
        ({"average_decay": 0.5}, "expected training"),
        ({"schedule": ConstantSchedule()}, "expected training .*'constant'"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    make_trainer(tmp_path).fit()
    with pytest.raises(EmagramError, match=message):
        make_trainer(tmp_path, config=dataclasses.replace(SHORT, **change)).fit()


def test_something_else_than_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_NAME
    with pytest.raises(EmagramError, match="expected a readable file, got No such file"):
        load_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(EmagramError, match="expected a training's checkpoint, got something else"):
        make_trainer(tmp_path).fit()
    torch.save({"identity": make_trainer, "log": []}, path)  # code, which is not executed
    with pytest.raises(EmagramError, match="expected a complete checkpoint"):
        make_trainer(tmp_path).fit()


HEATING = "tendency_of_air_temperature_due_to_model_physics"
MOISTENING = "tendency_of_specific_humidity_due_to_model_physics"


def fit_profiles(
    folder: Path, outputs: tuple[str, ...] = (HEATING, MOISTENING), *, epochs: int = 1, **change: Any
) -> None:
    """Train on random columns of temperature, with a change to the emulator's specification or to the data."""
    offset, seed = change.pop("offset", 280.0), change.pop("seed", 0)
    random = torch.Generator().manual_seed(seed)
    inputs = {"air_temperature": offset + torch.randn(32, 3, generator=random, dtype=torch.float64)}
    targets = {name: torch.randn(32, 3, generator=random, dtype=torch.float64) for name in (HEATING, MOISTENING)}
    features = (Feature(change.pop("transform", "identity"), ("air_temperature",)),)
    spec = EmulatorSpec(3, ("air_temperature",), outputs, features, **change)
    samples = Samples(inputs, {name: targets[name] for name in outputs})
    torch.manual_seed(0)
    emulator = ColumnEmulator(spec, DenseConfig((4,)).build(spec.layout))
    stream_normalisation([samples], spec).apply(emulator)
    objective = NormalisedObjectiveConfig().build(emulator)
    sources = {"train": samples, "validation": samples}
    config = TrainingConfig(epochs=epochs, checkpoint_interval=1)
    config.build(emulator, objective, **sources, seed=0, folder=folder).fit()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": (MOISTENING, HEATING)}, rf"expected outputs \[0\] {MOISTENING}, got {HEATING}"),
        ({"time_step": 1200.0}, "expected time_step 1200.0, got None"),
        ({"transform": "log"}, r"expected features \[0\] .*'log'.*, got .*'identity'"),
        ({"offset": 200.0}, r"expected normalisation \(SHA-256\) [0-9a-f]{64}, got [0-9a-f]{64}"),
        ({"seed": 1}, "expected normalisation"),
    ],
)
def test_a_checkpoint_of_another_emulator_or_of_other_data_is_refused(
    tmp_path: Path, change: dict, message: str
) -> None:
    """Though the number of columns and every shape are the same."""
    fit_profiles(tmp_path)
    fit_profiles(tmp_path)
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    with pytest.raises(EmagramError, match=message):
        fit_profiles(tmp_path, **change)
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before


def test_the_identity_is_that_before_a_checkpoint_is_continued_and_survives_a_file(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.fit()
    stored = load_checkpoint(tmp_path / CHECKPOINT_NAME)["identity"]
    assert stored == make_trainer(tmp_path)._identity() == trainer._identity()
    assert json.loads(json.dumps(stored)) == json.loads(json.dumps(trainer._identity()))
    described = describe_emulator(trainer.emulator)
    for name in ("feature_mean", "feature_scale", "output_mean", "output_scale", "input_minimum", "input_maximum"):
        buffer = getattr(trainer.emulator, name)
        kept = buffer.clone()
        buffer[-1] += 1e-6 * (1.0 + buffer[-1].abs())
        assert describe_emulator(trainer.emulator) != described, name
        buffer.copy_(kept)
    assert describe_emulator(trainer.emulator) == described
