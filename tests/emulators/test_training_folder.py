"""One training at a time in a folder, and checkpoints that are refused."""

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from emagram.emulators.training.checkpoint import CHECKPOINT_NAME, load_checkpoint, remove_partial_files
from emagram.emulators.training.folder_lock import LOCK_NAME, FolderLock
from emagram.emulators.training.schedules import ConstantSchedule
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
