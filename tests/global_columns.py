"""Columns for the global fixers in Fortran: what `programs/fixers.F90` reads and writes, and its twin in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from emagram.physics.global_fixers import Correction, fix_dry_mass, fix_energy, fix_water
from emagram.physics.globe import Globe
from global_states import COORDINATE, N_LEVEL, WEIGHT, parts_of, random_state

TWINS = 1e-12
"""Relative: both sum columns from the top down, but multiply in another order."""
DRY_PRESSURE, TIME_STEP = 98200.0, 1200.0
Fields = dict[str, np.ndarray]


def random_fields() -> Fields:
    """Columns by name, (n_column) or (n_column, n)."""
    rng, state, n = np.random.default_rng(2), random_state(2), WEIGHT.numel()
    pressure = state.surface_pressure.reshape(-1)
    return {
        "weight": WEIGHT.reshape(-1).numpy(),
        "surface_pressure": pressure.numpy(),
        "water_residual": rng.normal(3e-6, 2e-5, n),
        "energy_residual": rng.normal(-0.7, 40.0, n),
        "interface_pressure": COORDINATE.interface_pressure(pressure).numpy(),
        "water": state.water.reshape(n, N_LEVEL).numpy(),
        "available": state.specific_humidity.reshape(n, N_LEVEL).numpy() - 1e-5,
        "vapor_rate": rng.normal(0.0, 1e-8, (n, N_LEVEL)),
        "heating": rng.normal(0.0, 3e-5, (n, N_LEVEL)),
    }


def write(path: Path, fields: Fields) -> Path:
    columns = np.concatenate([f.reshape(len(f), -1) for f in fields.values()], axis=1)
    head = [N_LEVEL, len(columns), DRY_PRESSURE, TIME_STEP]
    coordinate = [np.array(COORDINATE.hyai) * COORDINATE.p0, np.array(COORDINATE.hybi)]
    path.write_bytes(np.concatenate([head, *coordinate, columns.ravel()]).astype(np.float64).tobytes())
    return path


def read(path: Path, n_rank: int, n_column: int) -> list[np.ndarray]:
    """Surface pressure, vapour rate and heating of all ranks."""
    found: list[list[np.ndarray]] = []
    for rank, part in enumerate(parts_of(n_column, n_rank)):
        n = part.stop - part.start
        values = np.fromfile(f"{path}.{rank}")
        found.append([values[:n], *values[n:].reshape(2, n, N_LEVEL)])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def in_python(fields: Fields) -> tuple[list[torch.Tensor], list[Correction]]:
    f = {name: torch.from_numpy(value) for name, value in fields.items()}
    globe = Globe(f["weight"])
    pressure, dry = fix_dry_mass(globe, COORDINATE, f["surface_pressure"], f["water"], DRY_PRESSURE)
    rate, water = fix_water(
        globe,
        f["interface_pressure"],
        f["vapor_rate"],
        available=f["available"],
        residual=f["water_residual"],
        time_step=TIME_STEP,
    )
    heating, energy = fix_energy(globe, f["interface_pressure"], f["heating"], residual=f["energy_residual"])
    return [pressure, rate, heating], [dry, water, energy]


def assert_like_python(fields: Fields, found: list[np.ndarray]) -> list[Correction]:
    """Fields and changes of them are those of the twin, whose corrections come back."""
    expected, corrections = in_python(fields)
    for mine, twin, name in zip(found, expected, ("surface_pressure", "vapor_rate", "heating"), strict=True):
        change, twins = mine - fields[name], twin.numpy() - fields[name]
        assert np.abs(change).max() > 0.0
        np.testing.assert_allclose(mine, twin, rtol=TWINS)
        np.testing.assert_allclose(change, twins, atol=TWINS * np.abs(mine).max())
    return corrections
