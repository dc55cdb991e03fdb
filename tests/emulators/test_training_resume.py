"""A training that is killed, wherever that may be, ends with the same bits as one that is not."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import ROOT, run
from emagram.emulators.training.checkpoint import CHECKPOINT_NAME, load_checkpoint
from emagram.emulators.training.folder_lock import LOCK_NAME
from emagram.emulators.training.log import JSON_LOG_NAME, LOG_NAME, MEASURED
from emagram.physics.errors import EmagramError
from training_runs import EVERYTHING, Stream, assert_same_state, make_trainer, without_times

PROGRAM = [sys.executable, ROOT / "tests" / "training_runs.py"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
POINTS = {
    "batch-2": {LOCK_NAME},  # in the first epoch
    "batch-9": {LOCK_NAME, LOG_NAME, JSON_LOG_NAME, CHECKPOINT_NAME},
    "batch-20": {LOCK_NAME, LOG_NAME, JSON_LOG_NAME, CHECKPOINT_NAME},  # after the best epoch
    "replacement-4": {LOCK_NAME, LOG_NAME, JSON_LOG_NAME, ".log.jsonl.*.partial"},  # logs of two epochs, of one
    "replacement-5": {LOCK_NAME, LOG_NAME, JSON_LOG_NAME, ".checkpoint.pt.*.partial"},  # the first checkpoint
    "replacement-10": {LOCK_NAME, LOG_NAME, JSON_LOG_NAME, CHECKPOINT_NAME, ".checkpoint.pt.*.partial"},
}
"""Where a training is killed, and what it leaves behind."""


def assert_same_training(expected: Path, found: Path) -> None:
    """The same checkpoints and logs, apart from the time they took, and nothing else in the folder."""
    left, right = (load_checkpoint(folder / CHECKPOINT_NAME) for folder in (expected, found))
    assert left.keys() == right.keys()
    assert_same_state(left["emulator"], right["emulator"])
    assert_same_state(left["best_state"], right["best_state"])
    assert left["average"]["n_step"] == right["average"]["n_step"]
    assert_same_state(left["average"]["values"], right["average"]["values"])
    assert left["optimiser"]["param_groups"] == right["optimiser"]["param_groups"]
    for key, state in left["optimiser"]["state"].items():
        assert_same_state(state, right["optimiser"]["state"][key])
    assert without_times(left["log"]) == without_times(right["log"])
    assert read_log(expected) == read_log(found)
    kept = {CHECKPOINT_NAME, LOG_NAME, JSON_LOG_NAME}
    assert {path.name for path in found.iterdir()} - {"left"} == kept


def read_log(folder: Path) -> list[dict]:
    with (folder / LOG_NAME).open(newline="") as file:
        return [{name: value for name, value in row.items() if name not in MEASURED} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of a whole training and of killed and resumed ones."""
    folder = tmp_path_factory.mktemp("killed")
    run([*PROGRAM, "kills", folder], env=ENVIRONMENT)
    return folder


@pytest.mark.parametrize("point", POINTS)
def test_a_training_killed_at_any_point_resumes_to_the_same_bits(killed: Path, point: str) -> None:
    left = (killed / point / "left").read_text().splitlines()
    assert len(left) == len(POINTS[point])
    assert all(any(Path(name).match(pattern) for pattern in POINTS[point]) for name in left)
    assert_same_training(killed / "whole", killed / point)


def test_the_whole_training_used_what_has_to_be_resumed(killed: Path) -> None:
    """Otherwise the comparison would not see early stopping, a moved average or a schedule."""
    state = load_checkpoint(killed / "whole" / CHECKPOINT_NAME)
    losses = [row["validation_loss"] for row in state["log"]]
    assert 4 < len(losses) < EVERYTHING.epochs
    assert 3 * losses.index(min(losses)) + 3 < 18  # the best epoch is saved before the last of the kills
    assert losses.index(min(losses)) == len(losses) - 4
    assert state["average"]["n_step"] == 3 * len(losses)
    assert any(not value.equal(state["emulator"][name]) for name, value in state["best_state"].items())
    assert len({row["learning_rate"] for row in state["log"]}) == len(losses)


def test_a_training_killed_from_outside_resumes_to_the_same_bits(killed: Path, tmp_path: Path) -> None:
    victim = subprocess.Popen([*PROGRAM, "slow", tmp_path, "0.3"], env=ENVIRONMENT)
    deadline = time.monotonic() + 60.0
    while not (tmp_path / CHECKPOINT_NAME).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(EmagramError, match=rf"expected no other training in it, got process {victim.pid} on "):
        make_trainer(tmp_path, config=EVERYTHING, source=Stream).fit()
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert 0 < len(load_checkpoint(tmp_path / CHECKPOINT_NAME)["log"]) < EVERYTHING.epochs
    run([*PROGRAM, "slow", tmp_path, "0"], env=ENVIRONMENT)
    assert_same_training(killed / "whole", tmp_path)


def test_a_stopped_training_resumes_to_the_same_bits_in_this_process(tmp_path: Path) -> None:
    """What a resumed trainer needs comes from the checkpoint, not from what the stopped one had."""

    def stop(epoch: int) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    folders = [tmp_path / name for name in ("whole", "stopped")]
    for folder in folders:
        folder.mkdir()
    make_trainer(folders[0], config=EVERYTHING).fit()
    with pytest.raises(KeyboardInterrupt):
        make_trainer(folders[1], config=EVERYTHING).fit(stop)
    assert not (folders[1] / LOCK_NAME).exists()
    resumed = make_trainer(folders[1], config=EVERYTHING)
    for value in (*resumed.emulator.network.parameters(), *resumed.average.values.values()):  # type: ignore[union-attr]
        value.data.fill_(float("nan"))
    resumed.fit()
    assert_same_training(folders[0], folders[1])
