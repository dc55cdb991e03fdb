"""Where the constraints act and how much: by level and latitude, by regime, and by budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..host_output import read_budgets
from ..ledger import BudgetLedger, ledger_of
from .climate import band_edges, zonal_mean
from .conservation import days_between
from .interventions import CORRECTED
from .runs import Array, Columns, Run

DAY, RAINING = (1, 3), (2, 3)
"""Of the four classes of a history's `…_by_regime`: night dry, day dry, night raining, day raining."""
N_CLASS = 4
TROPICS, POLES = 30.0, 60.0
"""[degree] of latitude."""
EVERYWHERE = "everywhere"


@dataclass(frozen=True)
class Regime:
    """What the constraints did in one kind of columns and steps; means over them, weighted by area.

    Attributes:
        name: everywhere, day, night, raining, dry, land, sea, tropics, midlatitudes or poles.
        share: [1] of all columns and emulated steps.
        heating_w_m2, moistening_kg_m2_s: [W m-2], [kg m-2 s-1] vertical integral of the magnitude of the change.
        heating_tendency_w_m2, moistening_tendency_kg_m2_s: likewise of the tendency after it.
        residual_before: by budget, its unit, magnitude just before its own constraint.
        unmet_fraction: by budget, [1].
    """

    name: str
    share: float
    heating_w_m2: float
    heating_tendency_w_m2: float
    moistening_kg_m2_s: float
    moistening_tendency_kg_m2_s: float
    residual_before: Mapping[str, float]
    unmet_fraction: Mapping[str, float]

    @property
    def heating_fraction(self) -> float | None:
        """[1] of the heating; None where there is none."""
        return _over(self.heating_w_m2, self.heating_tendency_w_m2)

    @property
    def moistening_fraction(self) -> float | None:
        """[1] of the moistening; None where there is none."""
        return _over(self.moistening_kg_m2_s, self.moistening_tendency_kg_m2_s)


@dataclass(frozen=True)
class BudgetScore:
    """A budget of the model over the compared days.

    Attributes:
        unit: of the residuals; before and after are of its own constraint.
        unmet_fraction: [1] of columns and steps of the emulator in which the constraint could not hold.
        unmet: columns and steps.
        mean_before: [unit] mean magnitude.
        largest_before, largest_after: [unit].
        before_by_latitude: [unit] mean magnitude (n_band,).
    """

    name: str
    unit: str
    unmet_fraction: float
    unmet: int
    mean_before: float
    largest_before: float
    largest_after: float
    before_by_latitude: Array


@dataclass(frozen=True)
class Corrections:
    """What the constraints of a model changed, over the compared records; means of magnitudes of single steps.

    Attributes:
        enforced: whether they changed anything, or were only measured.
        pressure_hpa: [hPa] (n_level,).
        latitude_edges: [degree_north] (n_band + 1,).
        change, tendency: by variable of CORRECTED, its unit (n_level, n_band): magnitude of the change by the
            constraints and of the tendency after them, NaN where no column is.
        regimes: those that there are, `everywhere` first.
        budgets: in the order of the model.
    """

    enforced: bool
    pressure_hpa: Array
    latitude_edges: Array
    change: Mapping[str, Array]
    tendency: Mapping[str, Array]
    regimes: tuple[Regime, ...]
    budgets: tuple[BudgetScore, ...]


def corrections(run: Run, records: slice) -> Corrections:
    """Over the records of a run with an emulator, at least one.

    Raises:
        EmagramError: if a file is damaged or lacks a variable.
    """
    assert run.columns is not None
    columns, edges = run.columns, band_edges(run.columns.n_column)
    days = days_between(read_budgets(run.folder), run.time[records][0] - run.days_in_mean, run.time[records][-1])
    ledger = ledger_of({name: values.tolist() for name, values in days.items()})
    sums = {name: _classes(run, name, records) for name in _names(ledger)}
    land = 1.0 - run.read("open_ocean_area_fraction", records)[:, 0].mean(axis=0)
    members = _members(columns, land)
    regimes = [_regime(name, member, sums, ledger, columns) for name, member in members.items()]
    return Corrections(
        enforced=run.constraints == "enforce",
        pressure_hpa=0.01 * columns.pressure,
        latitude_edges=edges,
        change={n: zonal_mean(_mean(run, f"{n}_correction", records), columns, edges) for n in CORRECTED},
        tendency={n: zonal_mean(_mean(run, f"{n}_tendency_magnitude", records), columns, edges) for n in CORRECTED},
        regimes=tuple(one for one in regimes if one.share > 0.0 or one.name == EVERYWHERE),
        budgets=tuple(_score(budget, regimes[0], sums, columns, edges) for budget in ledger),
    )


def _names(ledger: tuple[BudgetLedger, ...]) -> list[str]:
    """Of variables by regime, less the ending."""
    fixed = ["emulated_steps", *(f"{w}_{k}" for w in ("heating", "moistening") for k in ("correction", "tendency"))]
    return fixed + [f"{what}_{budget.name}" for budget in ledger for what in ("residual_before", "unmet")]


def _classes(run: Run, name: str, records: slice) -> Array:
    """Mean over records (N_CLASS, n_column)."""
    return np.asarray(run.read(f"{name}_by_regime", records).mean(axis=0))


def _mean(run: Run, name: str, records: slice) -> Array:
    """Mean over records (n_level, n_column)."""
    parts = [run.read(name, part).sum(axis=0) for part in run.in_parts(records)]
    return np.asarray(np.sum(parts, axis=0) / (records.stop - records.start))


def _members(columns: Columns, land: Array) -> dict[str, NDArray[np.bool_]]:
    """Which classes and columns belong to each regime (N_CLASS, n_column)."""
    classes, latitude = np.arange(N_CLASS)[:, None], np.abs(columns.latitude)
    day, raining = np.isin(classes, DAY), np.isin(classes, RAINING)
    chosen = {
        EVERYWHERE: np.ones((1, 1), dtype=bool),
        "day": day,
        "night": ~day,
        "raining": raining,
        "dry": ~raining,
        "land": land >= 0.5,
        "sea": land < 0.5,
        "tropics": latitude < TROPICS,
        "midlatitudes": (latitude >= TROPICS) & (latitude < POLES),
        "poles": latitude >= POLES,
    }
    return {name: np.broadcast_to(member, (N_CLASS, columns.n_column)) for name, member in chosen.items()}


def _regime(
    name: str,
    member: NDArray[np.bool_],
    sums: Mapping[str, Array],
    ledger: tuple[BudgetLedger, ...],
    columns: Columns,
) -> Regime:
    weight = member * columns.area_weight
    steps = float((weight * sums["emulated_steps"]).sum())
    whole = float((columns.area_weight * sums["emulated_steps"]).sum())
    means = {key: float((weight * values).sum()) / steps if steps > 0.0 else 0.0 for key, values in sums.items()}
    return Regime(
        name=name,
        share=steps / whole if whole > 0.0 else 0.0,
        heating_w_m2=means["heating_correction"],
        heating_tendency_w_m2=means["heating_tendency"],
        moistening_kg_m2_s=means["moistening_correction"],
        moistening_tendency_kg_m2_s=means["moistening_tendency"],
        residual_before={budget.name: means[f"residual_before_{budget.name}"] for budget in ledger},
        unmet_fraction={budget.name: means[f"unmet_{budget.name}"] for budget in ledger},
    )


def _score(
    budget: BudgetLedger, everywhere: Regime, sums: Mapping[str, Array], columns: Columns, edges: Array
) -> BudgetScore:
    before, steps = (
        zonal_mean(sums[name].sum(axis=0)[None], columns, edges)[0]
        for name in (f"residual_before_{budget.name}", "emulated_steps")
    )
    with np.errstate(invalid="ignore"):
        by_latitude = before / steps
    return BudgetScore(
        name=budget.name,
        unit=budget.unit,
        unmet_fraction=everywhere.unmet_fraction[budget.name],
        unmet=int(sum(budget.unmet)),
        mean_before=everywhere.residual_before[budget.name],
        largest_before=budget.largest_before or 0.0,
        largest_after=budget.largest_after or 0.0,
        before_by_latitude=by_latitude,
    )


def _over(value: float, whole: float) -> float | None:
    return value / whole if whole > 0.0 else None
