"""`python -m emagram train` on two processes of torchrun, on toy records."""

import json
import os
import socket
import sys
from pathlib import Path

import torch

from commands import run
from emagram.emulators.data.climsim_grid import write_grid
from emagram.emulators.training.checkpoint import load_checkpoint
from toy_series import write_series

STUDY = """
name = "toy"
task = "climsim"
seeds = [0]
heldout = []

[records]
folder = "{folder}"
grid = "{folder}/../grid.nc"
train = {{ start = "0001-02-01", stop = "0001-02-03" }}
validation = {{ start = "0001-02-04", stop = "0001-02-04" }}
test = {{ start = "0001-02-05", stop = "0001-02-05" }}

[[networks]]
kind = "climsim_mlp"
hidden = [16]

[training]
epochs = 2
batch_size = 12
"""


def torchrun() -> list[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]


def test_two_processes_train_a_study(tmp_path: Path) -> None:
    series = write_series(tmp_path / "records", 5, interval=86400)
    write_grid(series.grid, tmp_path / "grid.nc")
    study, folder = tmp_path / "toy.toml", tmp_path / "run"
    study.write_text(STUDY.format(folder=tmp_path / "records"))
    command = ["-m", "emagram", "train", study, "--output", folder]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    run([*torchrun(), *command], env=environment, timeout=120.0)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["columns"]["train"] == 72
    assert (folder / "best.emg").stat().st_size > 0
    state = load_checkpoint(folder / "members" / "climsim_mlp-0" / "checkpoint.pt")
    assert state["identity"]["processes"] == 2
    assert len(state["log"]) == 2
    step = next(iter(state["optimiser"]["state"].values()))["step"]
    assert torch.equal(step, torch.tensor(6.0))  # two epochs of 72 columns, 24 in every step of both
