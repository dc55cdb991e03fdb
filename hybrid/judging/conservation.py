"""Do energy and water drift: totals of the columns, their trends, and the residuals that the host kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...physics.constants import Constants
from ...physics.units import SECONDS_PER_DAY
from ..host_output import read_budgets
from .runs import Array, Run

FLUX_LIMITS = {"energy": 1.0e-10, "water": 1.0e-15}
"""[W m-2], [kg m-2 s-1]; what the residual of a process's rates against its fluxes must stay below, in real64."""
STATE_LIMITS = {"energy": 1.0e-8, "water": 1.0e-14}
"""[W m-2], [kg m-2 s-1]; likewise what a column gains in a day, whose totals are rounded."""


@dataclass(frozen=True)
class Conservation:
    """Totals of a run, area means of the records from a day on.

    Energy counts from ice at rest, cp T + (Lv + Lf) qv + Lf ql + (u² + v²)/2; totals are those of mean states, so that
    their trends say what drifts, and `closure_state_…`, which the host computes each day, say what closes.

    Attributes:
        day: [day] since the start of the run, ends of the records (n_record,).
        energy_mj_m2, water_kg_m2: [MJ m-2], [kg m-2] (n_record,).
        energy_trend_w_m2, water_trend_mm_day: [W m-2], [mm day-1] slopes of straight lines; None of one record.
        toa_imbalance_w_m2: [W m-2] mean net downward flux at the top.
        closure_flux_energy_w_m2, closure_flux_water_kg_m2_s: largest residual of any process's rates against its
            fluxes, of all columns and steps.
        closure_state_energy_w_m2, closure_state_water_kg_m2_s: largest residual of a column's daily gain.
        residual_before_energy_w_m2, residual_before_water_kg_m2_s: largest residual before the constraints; None where
            no emulator ran.
        accumulated_energy_j_m2, accumulated_water_kg_m2: largest state residuals of the days, added up: more than any
            column can have gained or lost unseen.
        residual_energy_w_m2: by process, largest of the days from that day on.
    """

    day: Array
    energy_mj_m2: Array
    water_kg_m2: Array
    energy_trend_w_m2: float | None
    water_trend_mm_day: float | None
    toa_imbalance_w_m2: float
    closure_flux_energy_w_m2: float
    closure_flux_water_kg_m2_s: float
    closure_state_energy_w_m2: float
    closure_state_water_kg_m2_s: float
    residual_before_energy_w_m2: float | None
    residual_before_water_kg_m2_s: float | None
    accumulated_energy_j_m2: float
    accumulated_water_kg_m2: float
    residual_energy_w_m2: Mapping[str, float]


def conservation(run: Run, records: slice) -> Conservation:
    """Totals and residuals of a run over some of its records, at least one.

    Raises:
        EmagramError: if a file is missing, damaged, or lacks a variable.
    """
    energy, water = totals(run, records)
    first, last = run.time[records][0] - run.days_in_mean, run.time[records][-1]
    budgets = days_between(read_budgets(run.folder), first, last)
    state_energy, state_water = (budgets[f"closure_state_{name}"] for name in ("energy_w_m2", "water_kg_m2_s"))
    return Conservation(
        day=run.time[records],
        energy_mj_m2=1e-6 * energy,
        water_kg_m2=water,
        energy_trend_w_m2=_scaled(trend(run.time[records], energy), 1.0 / SECONDS_PER_DAY),
        water_trend_mm_day=trend(run.time[records], water),
        toa_imbalance_w_m2=float(budgets["toa_net_downward_flux_w_m2"].mean()),
        closure_flux_energy_w_m2=_largest(budgets, "residual_energy_w_m2_"),
        closure_flux_water_kg_m2_s=_largest(budgets, "residual_water_kg_m2_s_"),
        closure_state_energy_w_m2=float(state_energy.max()),
        closure_state_water_kg_m2_s=float(state_water.max()),
        residual_before_energy_w_m2=_before(run, budgets, "residual_before_energy_w_m2"),
        residual_before_water_kg_m2_s=_before(run, budgets, "residual_before_water_kg_m2_s"),
        accumulated_energy_j_m2=float(SECONDS_PER_DAY * state_energy.sum()),
        accumulated_water_kg_m2=float(SECONDS_PER_DAY * state_water.sum()),
        residual_energy_w_m2={
            name.removeprefix("residual_energy_w_m2_"): float(values.max())
            for name, values in budgets.items()
            if name.startswith("residual_energy_w_m2_")
        },
    )


def totals(run: Run, records: slice) -> tuple[Array, Array]:
    """Energy [J m-2] and water [kg m-2] of the mean column, (n_record,)."""
    assert run.columns is not None
    constants = Constants()
    mass = np.diff(run.columns.interface_pressure, axis=0) / constants.gravity * run.columns.area_weight
    cloud = "mass_fraction_of_cloud_{}_water_in_air", "mass_fraction_of_cloud_{}_in_air"
    names = ("air_temperature", "specific_humidity", cloud[0].format("liquid"), cloud[1].format("ice"))
    parts = []
    for part in run.in_parts(records):
        temperature, vapor, liquid, ice = (run.read(name, part) for name in names)
        kinetic = sum(0.5 * run.read(f"{way}ward_wind", part) ** 2 for way in ("east", "north"))
        energy = (
            constants.heat_capacity_dry_air * temperature
            + (constants.latent_heat_vaporization + constants.latent_heat_fusion) * vapor
            + constants.latent_heat_fusion * liquid
            + kinetic
        )
        parts.append([(values * mass).sum(axis=(1, 2)) for values in (energy, vapor + liquid + ice)])
    energy_total, water_total = np.concatenate(parts, axis=1)
    return energy_total, water_total


def trend(day: Array, values: Array) -> float | None:
    """Slope of the straight line of least squares, the unit of the values a day; None of fewer than two."""
    if len(day) < 2:
        return None
    departure = day - day.mean()
    return float(departure @ (values - values.mean()) / (departure @ departure))


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def days_between(budgets: Mapping[str, Sequence[float]], first: float, last: float) -> dict[str, Array]:
    """The lines of `budgets.csv` of the days after `first` until `last`."""
    day = np.asarray(budgets["day"])
    chosen = (day > first + 1e-9) & (day <= last + 1e-9)
    return {name: np.asarray(values)[chosen] for name, values in budgets.items()}


def _largest(budgets: Mapping[str, Array], start: str) -> float:
    return max(float(values.max()) for name, values in budgets.items() if name.startswith(start))


def _before(run: Run, budgets: Mapping[str, Array], name: str) -> float | None:
    if run.physics == "conventional" or name not in budgets:
        return None
    return float(budgets[name].max())
