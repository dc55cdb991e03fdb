"""How long a run lived, and how its error grew since it parted from the other run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .climate import PROFILES, compare_climate
from .runs import Array, Run

GROWN = PROFILES[:2]
"""Temperature and humidity."""
LEAST_POINTS = 4
LEAST_GROWTH = 4.0
LEAST_R2 = 0.95


@dataclass(frozen=True)
class Survival:
    """Whether a run reached its last day.

    Attributes:
        survived: it did not leave physical bounds.
        online_days: [day] since the spin-up that were completed, with the fraction of the day of the stop.
        asked_days: [day] since the spin-up that the configuration asked for.
        stopped: day, date, part of the step, column, place, variable and value of the stop, as the host wrote them.
    """

    survived: bool
    online_days: float
    asked_days: float
    stopped: Mapping[str, Any] | None


@dataclass(frozen=True)
class Growth:
    """Error of a run, or of a replica, against the other run.

    Attributes:
        label: of the run, or of the replica as in its floor.
        kind: run, or that of the floor.
        parted_day: [day] since the start of the run, when the two parted.
        day: [day] since then, ends of the records (n_record,).
        temperature_rmse_k, humidity_rmse_g_kg: [K], [g kg-1] (n_record,), weighted by mass.
        doubling_days: [day] in which the temperature's error doubled while it grew exponentially, or None.
        doubling_note: why there is none, or over which days.
    """

    label: str
    kind: str
    parted_day: float
    day: Array
    temperature_rmse_k: Array
    humidity_rmse_g_kg: Array
    doubling_days: float | None
    doubling_note: str


def survival(run: Run) -> Survival:
    """From `stopped.json`, or the days that were done."""
    last = float(run.configuration["days"])
    reached = float(run.stopped["day"]) if run.stopped else float(run.time[-1])
    return Survival(
        survived=run.stopped is None,
        online_days=max(reached - run.spin_up_days, 0.0),
        asked_days=last - run.spin_up_days,
        stopped=run.stopped,
    )


def error_growth(run: Run, against: Run, records: slice, *, label: str, kind: str, parted_day: float) -> Growth:
    """Error of each record, at least one, of a run that parted from the other one on a day.

    Raises:
        EmagramError: if a file is damaged or lacks a variable.
    """
    climate = compare_climate(run, against, records, GROWN)
    temperature, humidity = (climate.record_rmse[quantity.name] for quantity in GROWN)
    day = climate.day - parted_day
    doubling, note = doubling_time(day, temperature)
    return Growth(label, kind, parted_day, day, temperature, humidity, doubling, note)


def doubling_time(day: Array, error: Array) -> tuple[float | None, str]:
    """Doubling time [day] of an error (n_record,) that grows exponentially until half of its largest value.

    Returns:
        ln 2 over the slope of ln error, or None where there are fewer than LEAST_POINTS records until then, it grew
        by less than LEAST_GROWTH, or the straight line explains less than LEAST_R2; and a note that says which.
    """
    if not error.max() > 0.0:
        return None, "no difference"
    positive = np.flatnonzero(error > 0.0)
    first, last = int(positive[0]), int(np.argmax(error >= 0.5 * error.max()))
    points = last - first + 1
    if points < LEAST_POINTS or not (error[first : last + 1] > 0.0).all():
        return None, f"half of the largest error is reached within {points} records"
    if error[last] < LEAST_GROWTH * error[first]:
        return None, f"grew by a factor of {error[last] / error[first]:.2g} only"
    x, y = day[first : last + 1], np.log(error[first : last + 1])
    slope, intercept = np.polyfit(x, y, 1)
    r2 = 1.0 - float(np.square(y - slope * x - intercept).sum() / np.square(y - y.mean()).sum())
    if not slope > 0.0 or r2 < LEAST_R2:
        return None, f"not exponential: a straight line explains {max(r2, 0.0):.0%} of its logarithm"
    return float(np.log(2.0) / slope), f"from day {x[0]:g} to {x[-1]:g}"
