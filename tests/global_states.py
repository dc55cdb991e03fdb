"""Globes of random columns of realistic size, and processes that share one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from emagram.physics.exact_sum import Digits, Reduction
from emagram.physics.global_forecast import Forecast, GlobalState
from emagram.physics.globe import area_weights
from emagram.physics.vertical import HybridCoordinate

N_LATITUDE, N_LONGITUDE, N_LEVEL = 6, 12, 10
COORDINATE = HybridCoordinate(
    tuple(np.linspace(0.002, 0.3, N_LEVEL + 1) * (1.0 - np.linspace(0.0, 1.0, N_LEVEL + 1) ** 2)),
    tuple(np.linspace(0.0, 1.0, N_LEVEL + 1) ** 2),
)
WEIGHT = area_weights(np.linspace(-90.0, 90.0, N_LATITUDE + 1).tolist(), N_LONGITUDE)
Result = TypeVar("Result")


def random_state(seed: int) -> GlobalState:
    """An atmosphere of 2.5e9 J m-2 and 25 kg m-2 of vapour or so, over mountains, partly without condensate."""
    rng = np.random.default_rng(seed)
    columns, layers = (N_LATITUDE, N_LONGITUDE), (N_LATITUDE, N_LONGITUDE, N_LEVEL)

    def normal(size: tuple[int, ...], mean: float, spread: float) -> Tensor:
        return torch.from_numpy(rng.normal(mean, spread, size))

    depth = torch.linspace(0.0, 1.0, N_LEVEL, dtype=torch.float64)
    return GlobalState(
        surface_pressure=normal(columns, 98500.0, 1500.0),
        surface_geopotential=normal(columns, 2000.0, 1500.0).clamp(min=0.0),
        air_temperature=210.0 + 75.0 * depth + normal(layers, 0.0, 8.0),
        specific_humidity=8e-3 * depth**3 * normal(layers, 0.0, 0.5).exp(),
        cloud_liquid=normal(layers, 0.0, 1e-5).clamp(min=0.0),
        cloud_ice=normal(layers, 0.0, 1e-5).clamp(min=0.0),
        eastward_wind=normal(layers, 10.0, 15.0),
        northward_wind=normal(layers, 0.0, 10.0),
    )


def random_forecast(seed: int, *, time_step: float = 21600.0) -> Forecast:
    """A step that closes nothing: a few W m-2 of energy, some 1e-6 kg m-2 s-1 of water, some Pa of dry air."""
    before = random_state(seed)
    rng = np.random.default_rng(seed + 1000)

    def noise(field: Tensor, size: float) -> Tensor:
        return torch.from_numpy(rng.normal(size=tuple(field.shape))) * size

    after = GlobalState(
        surface_pressure=before.surface_pressure + noise(before.surface_pressure, 200.0),
        surface_geopotential=before.surface_geopotential,
        air_temperature=before.air_temperature + noise(before.air_temperature, 1.0),
        specific_humidity=before.specific_humidity * (1.0 + noise(before.specific_humidity, 0.1)).clamp(min=0.0),
        cloud_liquid=before.cloud_liquid * 0.9,
        cloud_ice=before.cloud_ice * 1.1,
        eastward_wind=before.eastward_wind + noise(before.eastward_wind, 1.0),
        northward_wind=before.northward_wind + noise(before.northward_wind, 1.0),
    )
    columns = before.surface_pressure
    return Forecast(before, after, noise(columns, 3e-5), 5.0 + noise(columns, 150.0), time_step)


def on_processes(number: int, work: Callable[[int, Reduction], Result]) -> list[Result]:
    """What `work(process, reduction)` returns on each of several processes, here threads that sum together."""
    arrived: list[Digits] = [np.zeros(0, dtype=np.int64)] * number
    barrier = threading.Barrier(number, timeout=60.0)

    def one(process: int) -> Result:
        def reduce(digits: Digits) -> Digits:
            arrived[process] = digits
            barrier.wait()
            total = np.sum(arrived, axis=0)
            barrier.wait()
            return np.asarray(total)

        return work(process, reduce)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def parts_of(n_column: int, number: int) -> Sequence[slice]:
    """Uneven shares of columns, some empty where there are more processes than columns."""
    bounds = [n_column * (i * (i + 1)) // (number * (number + 1)) for i in range(number + 1)]
    return [slice(*pair) for pair in pairwise(bounds)]
