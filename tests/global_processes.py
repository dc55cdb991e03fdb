"""mpirun -n N python global_processes.py FOLDER: close a forecast over MPI, then over torch.distributed.

Each process has a band of latitudes; it writes what it got to FOLDER/RANK.pt.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from emagram.physics.exact_sum import Reduction, over_mpi, over_torch
from emagram.physics.global_forecast import Forecast, ForecastFixer, GlobalState
from emagram.physics.globe import Globe
from global_states import COORDINATE, N_LATITUDE, WEIGHT, random_forecast

SEED = 11


def band(forecast: Forecast, rank: int, n_rank: int) -> tuple[slice, Forecast]:
    """The rows of a process and what it knows of a forecast."""
    rows = slice(N_LATITUDE * rank // n_rank, N_LATITUDE * (rank + 1) // n_rank)
    before, after = (
        GlobalState(**{f.name: getattr(state, f.name)[rows] for f in dataclasses.fields(state)})
        for state in (forecast.before, forecast.after)
    )
    inputs = forecast.water_input[rows], forecast.energy_input[rows]
    return rows, Forecast(before, after, *inputs, forecast.time_step)


def closed(rows: slice, forecast: Forecast, reduction: Reduction | None) -> dict[str, Any]:
    """The state and what was done."""
    state, corrections = ForecastFixer(Globe(WEIGHT[rows], reduction), COORDINATE).close(forecast)
    fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    return fields | {"corrections": [dataclasses.astuple(c) for c in corrections]}


def main(folder: Path) -> None:
    """Both ways on this process."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    rank, n_rank = comm.Get_rank(), comm.Get_size()
    rows, forecast = band(random_forecast(SEED), rank, n_rank)
    found = {"mpi": closed(rows, forecast, over_mpi(comm))}
    store = f"file://{folder / 'meeting'}"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=n_rank)
    found["torch"] = closed(rows, forecast, over_torch())
    distributed.destroy_process_group()
    torch.save(found, folder / f"{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
