"""Small cases of the column host, and its recorded files as numpy arrays in Emagram's names."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from emagram.hybrid.case import (
    BuiltInGridConfig,
    CaseConfig,
    ForcingConfig,
    LandConfig,
    RecordConfig,
    SeasonalDiurnalSunConfig,
    SurfaceConfig,
)

Arrays = dict[str, np.ndarray]

LAND_AND_SEA = SurfaceConfig(heat_capacity=1.0e7, relaxation_days=10.0, land=LandConfig(share=0.4))
LIVELY = ForcingConfig(n_mode=3, vertical_velocity=0.03, heating=1.0, moistening=0.1, temperature_relaxation_days=20.0)


def small_case(**changes: Any) -> CaseConfig:
    """Nine columns of 60 levels on land and sea, forced, for two days."""
    case = CaseConfig(
        name="small",
        days=2,
        grid=BuiltInGridConfig("built_in", n_column=9),
        sun=SeasonalDiurnalSunConfig("seasonal_diurnal"),
        seed=3,
        restart_days=1,
        chunk=4,
        surface=LAND_AND_SEA,
        forcing=LIVELY,
        record=RecordConfig(every=25),
    )
    return dataclasses.replace(case, **changes)


def read(path: Path) -> Arrays:
    """All variables of a file, (lev, ncol) turned to (n_column, n_level); NaN where a value is a fill."""
    with netCDF4.Dataset(path) as file:
        return {
            name: np.ma.filled(np.ma.asarray(v[...], dtype=np.float64), np.nan)
            if v.dimensions[-2:] != ("lev", "ncol")
            else np.ma.filled(np.ma.asarray(v[...], dtype=np.float64), np.nan).swapaxes(-1, -2).copy()
            for name, v in file.variables.items()
        }


def contents(folder: Path) -> dict[str, bytes]:
    """What a run computed, file by file."""
    names = ["budgets.csv", "history.nc", "restart.nc", *(f"columns/{p.name}" for p in (folder / "columns").iterdir())]
    return {name: (folder / name).read_bytes() for name in names}
