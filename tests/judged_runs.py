"""Run folders of the host with made-up contents, whose comparison is known beforehand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from emagram.emulators.data.climsim_grid import built_in_grid

N_COLUMN, N_LEVEL = 54, 10
GRID = built_in_grid(N_COLUMN, N_LEVEL)
SURFACE_PRESSURE = 1.0e5 + 800.0 * np.cos(np.arange(N_COLUMN))

Fields = dict[str, np.ndarray]
"""Of a history, (n_record, n_level, n_column) or (n_record, n_column)."""

PROFILES = {
    "air_temperature": (250.0, 20.0),
    "specific_humidity": (4e-3, 1e-3),
    "mass_fraction_of_cloud_liquid_water_in_air": (1e-5, 1e-6),
    "mass_fraction_of_cloud_ice_in_air": (2e-6, 1e-7),
    "eastward_wind": (5.0, 4.0),
    "northward_wind": (0.0, 2.0),
}
SCALARS = {
    "precipitation_flux": (4e-5, 1e-5),
    "water_evaporation_flux": (3e-5, 1e-6),
    "toa_outgoing_longwave_flux": (240.0, 10.0),
    "toa_net_downward_shortwave_flux": (250.0, 10.0),
    "surface_net_downward_shortwave_flux": (180.0, 10.0),
    "surface_downwelling_longwave_flux": (350.0, 10.0),
    "surface_upwelling_longwave_flux": (400.0, 10.0),
    "surface_upward_sensible_heat_flux": (15.0, 3.0),
    "surface_temperature": (288.0, 5.0),
}
EMULATOR_SCALARS = (
    *("emulator_share", "emulator_rejected", "emulator_extrapolated"),
    *("energy_residual_before_constraints", "water_residual_before_constraints", "open_ocean_area_fraction"),
)
BUDGETS = {"column_water": "kg_m2_s", "column_energy": "w_m2"}
BY_REGIME = (
    *("emulated_steps", "heating_correction", "heating_tendency", "moistening_correction", "moistening_tendency"),
    *(f"{what}_{name}" for name in BUDGETS for what in ("residual_before", "unmet")),
)
N_CLASS = 4
EMULATOR_PROFILES = tuple(
    f"{name}_{what}"
    for what in ("tendency_emulator", "correction", "tendency_magnitude")
    for name in ("air_temperature", "specific_humidity")
)
STOP: dict[str, Any] = {
    "day": 4.35,
    "date": "0001-01-05-30240",
    "after": "emulator",
    "column": 17,
    "latitude": 1.0,
    "longitude": 2.0,
    "level": 4,
    "variable": "air_temperature",
    "value": 500.0,
    "minimum": 100.0,
    "maximum": 400.0,
}
EMULATOR = {"source": "emulator", "model": "best.emg", "spin_up_days": 0}


def interface_pressure() -> np.ndarray:
    """[Pa] (n_level + 1, n_column), written out once more."""
    a, b = (np.array(getattr(GRID.coordinate, name))[:, None] for name in ("hyai", "hybi"))
    return a * 1e5 + b * SURFACE_PRESSURE


def mass_weight() -> np.ndarray:
    """[1] (n_level, n_column)."""
    mass = np.diff(interface_pressure(), axis=0) * GRID.area
    return mass / mass.sum()


def made_up_fields(n_record: int, seed: int = 0) -> Fields:
    """Random numbers of plausible size; nothing of an emulator."""
    random = np.random.default_rng(seed)
    fields = {n: random.normal(*v, (n_record, N_LEVEL, N_COLUMN)) for n, v in PROFILES.items()}
    fields |= {n: random.normal(*v, (n_record, N_COLUMN)) for n, v in SCALARS.items()}
    fields |= {n: np.zeros((n_record, N_COLUMN)) for n in EMULATOR_SCALARS}
    fields |= {n: np.zeros((n_record, N_LEVEL, N_COLUMN)) for n in EMULATOR_PROFILES}
    return fields | {f"{n}_by_regime": np.zeros((n_record, N_CLASS, N_COLUMN)) for n in BY_REGIME}


def made_up_run(
    folder: Path,
    edit: Callable[[Fields], None] = lambda _: None,
    *,
    n_record: int = 4,
    seed: int = 0,
    stopped: dict[str, Any] | None = None,
    **configuration: Any,
) -> Path:
    """A run folder with fields that `edit` may change; keywords change the configuration."""
    folder.mkdir(parents=True)
    settings = {
        "name": folder.name,
        "days": n_record,
        "time_step": 1200,
        "start_day": 0,
        "seed": seed,
        "history_days": 1,
        "chunk": 16,
    }
    settings |= {"physics": None, "perturbation": None} | configuration
    fields = made_up_fields(n_record, seed)
    edit(fields)
    write_history(folder / "history.nc", fields, settings["history_days"])
    write_budgets(folder / "budgets.csv", n_record * settings["history_days"])
    write_timers(folder / "timers.csv", {"longwave": 1.0, "files": 1.0}, n_record * 72 * N_COLUMN)
    (folder / "configuration.json").write_text(json.dumps(settings))
    (folder / "summary.json").write_text(json.dumps({"ranks": 1}))
    if stopped is not None:
        (folder / "stopped.json").write_text(json.dumps(stopped))
    return folder


def write_history(path: Path, fields: Fields, days: int) -> None:
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as file:
        sizes = {"time": None, "ncol": N_COLUMN, "lev": N_LEVEL, "ilev": N_LEVEL + 1, "regime": N_CLASS}
        for name, size in sizes.items():
            file.createDimension(name, size)
        columns = {"lat": GRID.latitude, "lon": GRID.longitude, "area": GRID.area}
        for name, values in (columns | {"surface_air_pressure": SURFACE_PRESSURE}).items():
            file.createVariable(name, "f8", ("ncol",))[:] = values
        for name in ("hyai", "hybi"):
            file.createVariable(name, "f8", ("ilev",))[:] = getattr(GRID.coordinate, name)
        n_record = len(fields["air_temperature"])
        file.createVariable("time", "f8", ("time",))[:n_record] = days * np.arange(1.0, n_record + 1)
        file.createVariable("days_in_mean", "f8", ("time",))[:n_record] = days
        for name, values in fields.items():
            of_column = "regime" if name.endswith("_by_regime") else "lev"
            dimensions = ("time", of_column, "ncol") if values.ndim == 3 else ("time", "ncol")
            file.createVariable(name, "f8", dimensions)[:n_record] = values


def write_budgets(path: Path, days: int, **columns: list[float]) -> None:
    """Zeros, but for given columns."""
    names = (
        *("toa_net_downward_flux_w_m2", "closure_state_energy_w_m2", "closure_state_water_kg_m2_s"),
        *("residual_energy_w_m2_surface", "residual_water_kg_m2_s_surface"),
        *("residual_energy_w_m2_emulator", "residual_water_kg_m2_s_emulator"),
        *("residual_before_energy_w_m2", "residual_before_water_kg_m2_s"),
        *("emulator_rejected_fraction", "emulator_extrapolated_fraction"),
    )
    for name, unit in BUDGETS.items():
        names += (f"budget_unmet_{name}", f"budget_before_{name}_{unit}", f"budget_after_{name}_{unit}")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["day", *names])
        writer.writerows([i + 1, *(columns.get(name, [0.0] * days)[i] for name in names)] for i in range(days))


def write_timers(path: Path, seconds: dict[str, float], column_steps: int) -> None:
    lines = [f"{name},{value},{column_steps}" for name, value in {**seconds, "all": sum(seconds.values())}.items()]
    path.write_text("\n".join(["part,seconds,column_steps", *lines, ""]))
