"""The same forecast closed by real processes, over MPI and over torch.distributed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from commands import ROOT, run
from global_processes import SEED, closed
from global_states import random_forecast

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


@pytest.mark.mpi
def test_real_processes_give_the_bits_of_one(tmp_path: Path) -> None:
    n_rank = 3
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["mpirun", "--oversubscribe", "-n", str(n_rank), sys.executable, ROOT / "tests" / "global_processes.py"]
    run([*command, tmp_path], env={**os.environ, **ENVIRONMENT, **path}, timeout=120.0)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(n_rank)]
    whole = closed(slice(None), random_forecast(SEED), None)
    for way in ("mpi", "torch"):
        for name, value in whole.items():
            if name == "corrections":
                assert all(one[way][name] == value for one in found)
            else:
                assert torch.equal(torch.cat([one[way][name] for one in found]), value), (way, name)
