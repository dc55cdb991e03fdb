"""Training on two processes that share every step."""

import dataclasses
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from commands import ROOT, run
from emagram.emulators.training.parallel import Parallel, from_environment
from emagram.emulators.training.passes import shared_batches
from emagram.physics.errors import EmagramError
from radiation import radiation_samples
from training_runs import N_TOGETHER, TOGETHER, Stream, make_trainer, weights

PROGRAM = ROOT / "tests" / "training_runs.py"
ROUNDING = 1e-9
"""Relative, of float64 weights and losses after 9 steps: sums in another order differ by 1e-16, and AdamW's ratio of a
gradient to its own size passes the relative difference on, largest where a gradient nearly cancels."""


def environment(rank: int | None = None, port: int = 0) -> dict[str, str]:
    """For a test program; with a rank, what torchrun would say to one of two processes."""
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    if rank is None:
        return own
    return own | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes under torchrun left of the trainings of `training_runs.together`."""
    path = tmp_path_factory.mktemp("together")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", free_port()]
    run([*map(str, torchrun), PROGRAM, "together", path], env=environment(), timeout=120.0)
    return path


@pytest.mark.parametrize("source", ["memory", "stream"])
def test_two_processes_of_24_columns_train_like_one_of_48(folder: Path, tmp_path: Path, source: str) -> None:
    one = make_trainer(
        tmp_path,
        config=dataclasses.replace(TOGETHER, batch_size=48),
        n_column=N_TOGETHER,
        double=True,
        source=Stream if source == "stream" else lambda samples: samples,
    )
    log = one.fit()
    two = torch.load(folder / f"{source}-0.pt", weights_only=True)
    for name, value in weights(one.emulator).items():
        scale = float(value.abs().max())
        torch.testing.assert_close(two["weights"][name], value, rtol=0.0, atol=ROUNDING * scale, msg=name)
    for left, right in zip(log, two["log"], strict=True):
        for name in ("train_loss", "validation_loss", "gradient_norm", "learning_rate"):
            assert right[name] == pytest.approx(left[name], rel=ROUNDING), name


def test_the_weights_moved_far_beyond_the_tolerance(tmp_path: Path, folder: Path) -> None:
    start = weights(make_trainer(tmp_path, n_column=N_TOGETHER, double=True).emulator)
    two = torch.load(folder / "memory-0.pt", weights_only=True)["weights"]
    for name, value in two.items():
        assert float((value - start[name]).abs().max()) > 1e5 * ROUNDING * float(value.abs().max()), name


@pytest.mark.parametrize("training", ["memory", "stream", "resumed"])
def test_both_processes_have_the_same_bits(folder: Path, training: str) -> None:
    left, right = (torch.load(folder / f"{training}-{rank}.pt", weights_only=True)["weights"] for rank in (0, 1))
    assert left.keys() == right.keys()
    assert all(torch.equal(value, right[name]) for name, value in left.items())


def test_a_stopped_training_resumes_to_the_same_bits(folder: Path) -> None:
    whole, resumed = (
        torch.load(folder / f"{name}-0.pt", weights_only=True)["weights"] for name in ("memory", "resumed")
    )
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize("training", ["memory", "stream", "resumed"])
def test_only_the_first_process_writes(folder: Path, training: str) -> None:
    assert {path.name for path in (folder / training / "0").iterdir()} == {"checkpoint.pt", "log.csv", "log.jsonl"}
    assert list((folder / training / "1").iterdir()) == []


def test_what_fails_in_one_process_stops_both(folder: Path) -> None:
    assert (folder / "broken-1.txt").read_text() == "file 'broken.nc': expected columns, got none"
    assert (folder / "broken-0.txt").read_text() == "training: rank 0 of 2 stops because another rank has failed"
    assert "expected no other training in it, got one of this process" in (folder / "locked-0.txt").read_text()
    assert (folder / "locked-1.txt").read_text() == "training: rank 1 of 2 stops because another rank has failed"


@pytest.mark.parametrize(("event", "reason"), [("die", "Connection reset|closed by peer"), ("sleep", "Timed out")])
def test_a_process_that_dies_or_stays_away_is_an_error_and_no_hang(tmp_path: Path, event: str, reason: str) -> None:
    port = free_port()
    command = [sys.executable, PROGRAM, "lonely", tmp_path, event]
    first, second = (
        subprocess.Popen(command, env=environment(rank, port), stdout=subprocess.PIPE, text=True) for rank in (0, 1)
    )
    try:
        printed, _ = first.communicate(timeout=60.0)
        assert first.returncode == 3, printed
        sentence = rf"training: rank 0 of 2: expected every rank to take part, got '.*({reason}).*'"
        assert re.fullmatch(sentence, printed.strip()), printed
    finally:
        second.kill()
        second.communicate()
    assert not (tmp_path / "checkpoint.pt").exists()
    assert not (tmp_path / "training.lock").exists()


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with from_environment() as parallel:
        assert parallel == Parallel(0, 1)
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "1")  # as some schedulers set it for every job
    with from_environment() as parallel:
        assert parallel == Parallel(0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RANK": None}, "expected the environment variable RANK beside WORLD_SIZE, got none"),
        ({"MASTER_ADDR": None}, "expected the environment variable MASTER_ADDR"),
        ({"WORLD_SIZE": "two"}, "expected a number in WORLD_SIZE, got 'two'"),
        ({"RANK": "2"}, "expected a rank from 0 to below 2, got 2"),
    ],
)
def test_an_incomplete_environment_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None], message: str
) -> None:
    for name, value in ({k: v for k, v in environment(0, 1).items() if k.isupper()} | change).items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(EmagramError, match=message), from_environment():
        pass


def test_processes_that_do_not_come_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(0, free_port()).items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(EmagramError, match="rank 0 of 2: expected every rank to take part"),
        from_environment(timeout=1.0),
    ):
        pass


def test_alone_nothing_is_exchanged() -> None:
    parallel = Parallel()
    values = torch.tensor([1.0, 2.0])
    assert parallel.sum(values) is values
    assert parallel.broadcast_bytes(b"abc") == b"abc"
    assert parallel.broadcast_bytes(None) is None
    with pytest.raises(EmagramError, match="mine"), parallel.together():
        raise EmagramError("mine")


def test_batches_of_one_process_are_those_of_the_source() -> None:
    _, samples = radiation_samples()
    expected = list(samples.batches(20, seed=4))
    found = list(shared_batches(samples, 20, seed=4, parallel=Parallel()))
    assert [n for _, n in found] == [20, 20, 8]
    for left, (right, _) in zip(expected, found, strict=True):
        assert all(torch.equal(left.inputs[name], right.inputs[name]) for name in left.inputs)
