"""Bias and error of a run against another one, weighted by mass or area: overall, by month, level and latitude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...emulators.data.noleap import DAYS_OF_MONTH, SECONDS_OF_DAY, date_of
from ...physics.units import SECONDS_PER_DAY
from .runs import Array, Columns, Run

COLUMNS_PER_BAND = 8
LARGEST_NUMBER_OF_BANDS = 18


@dataclass(frozen=True)
class Quantity:
    """A variable of the history as it is judged: its values there times `factor` are in `unit`."""

    name: str
    label: str
    unit: str
    factor: float = 1.0


PROFILES = (
    Quantity("air_temperature", "temperature", "K"),
    Quantity("specific_humidity", "specific humidity", "g kg-1", 1e3),
    Quantity("mass_fraction_of_cloud_liquid_water_in_air", "cloud liquid", "mg kg-1", 1e6),
    Quantity("mass_fraction_of_cloud_ice_in_air", "cloud ice", "mg kg-1", 1e6),
    Quantity("eastward_wind", "eastward wind", "m s-1"),
    Quantity("northward_wind", "northward wind", "m s-1"),
)
SCALARS = (
    Quantity("precipitation_flux", "precipitation", "mm day-1", SECONDS_PER_DAY),
    Quantity("water_evaporation_flux", "evaporation", "mm day-1", SECONDS_PER_DAY),
    Quantity("toa_outgoing_longwave_flux", "outgoing longwave", "W m-2"),
    Quantity("toa_net_downward_shortwave_flux", "absorbed shortwave", "W m-2"),
    Quantity("surface_net_downward_shortwave_flux", "surface net shortwave", "W m-2"),
    Quantity("surface_downwelling_longwave_flux", "surface downwelling longwave", "W m-2"),
    Quantity("surface_upwelling_longwave_flux", "surface upwelling longwave", "W m-2"),
    Quantity("surface_upward_sensible_heat_flux", "sensible heat flux", "W m-2"),
    Quantity("surface_temperature", "surface temperature", "K"),
)
JUDGED = PROFILES + SCALARS


@dataclass(frozen=True)
class Month:
    """Scores of the days of a calendar month that were compared, in the unit of its variable.

    Attributes:
        name: `YYYY-MM`, the year counted from 1.
        compared_days, month_days: [day] compared, and of the whole month.
    """

    name: str
    compared_days: float
    month_days: int
    bias: float
    rmse: float


@dataclass(frozen=True)
class Score:
    """How a variable of a run compares with the same one of another, in `unit`.

    Means are weighted by mass (profiles) or area, over columns and all compared days.

    Attributes:
        reference_mean, reference_spread: mean of the other run; standard deviation about the mean of each level over
            days and columns.
        bias: mean of run − other.
        rmse: root of the mean square difference of the records (daily means, where history_days is 1).
        rmse_of_mean: the same of the means over all compared days, which weather changes less.
        months: by calendar month, in their order.
    """

    variable: str
    label: str
    unit: str
    reference_mean: float
    reference_spread: float
    bias: float
    rmse: float
    rmse_of_mean: float
    months: tuple[Month, ...]


@dataclass(frozen=True)
class Climate:
    """A run beside another one over the days that both have.

    Attributes:
        scores: one of each variable of JUDGED.
        pressure_hpa: [hPa] (n_level,), of the levels.
        latitude_edges: [degree_north] (n_band + 1,).
        day: [day] since the start of the run, ends of the records (n_record,).
        level_bias, level_rmse: by variable with levels, its unit (n_level,), weighted by area.
        zonal_bias, zonal_mean: by variable with levels, its unit (n_level, n_band): run − other, and the other, NaN
            where no column is.
        mean, reference_mean: by variable, its unit (n_record,): means of run and other.
        record_rmse: by variable, its unit (n_record,): root of the mean square difference of each record.
    """

    scores: tuple[Score, ...]
    pressure_hpa: Array
    latitude_edges: Array
    day: Array
    level_bias: Mapping[str, Array]
    level_rmse: Mapping[str, Array]
    zonal_bias: Mapping[str, Array]
    zonal_mean: Mapping[str, Array]
    mean: Mapping[str, Array]
    reference_mean: Mapping[str, Array]
    record_rmse: Mapping[str, Array]

    def score(self, variable: str) -> Score:
        """The score of a variable of JUDGED."""
        return next(score for score in self.scores if score.variable == variable)


@dataclass(frozen=True)
class _Sums:
    """Of one variable: by record, and means over the records by place."""

    mean: Array  # (n_record,)
    reference_mean: Array  # (n_record,)
    mean_square: Array  # (n_record,) of the difference
    difference: Array  # (n_level, n_column)
    reference: Array  # (n_level, n_column)
    square: Array  # (n_level, n_column) of the difference
    reference_square: Array  # (n_level, n_column) of the other's departure from `origin`
    origin: Array  # (n_level,) near the mean, so that squares lose no digits


def compare_climate(run: Run, against: Run, records: slice, quantities: Sequence[Quantity] = JUDGED) -> Climate:
    """Compare the records of two runs of the same columns.

    Args:
        run, against: whose records from `compared_records` are compared.
        records: at least one.
    Raises:
        EmagramError: if a file is damaged or lacks a variable.
    """
    assert against.columns is not None
    columns = against.columns
    edges = band_edges(columns.n_column)
    months = _months(run, records)
    sums = {quantity.name: _sum(run, against, records, quantity) for quantity in quantities}
    profiles = [quantity.name for quantity in quantities if quantity in PROFILES]
    return Climate(
        scores=tuple(_score(q, sums[q.name], columns, months, run.days_in_mean) for q in quantities),
        pressure_hpa=0.01 * columns.pressure,
        latitude_edges=edges,
        day=run.time[records],
        level_bias={n: (sums[n].difference * columns.area_weight).sum(axis=1) for n in profiles},
        level_rmse={n: np.sqrt((sums[n].square * columns.area_weight).sum(axis=1)) for n in profiles},
        zonal_bias={n: zonal_mean(sums[n].difference, columns, edges) for n in profiles},
        zonal_mean={n: zonal_mean(sums[n].reference, columns, edges) for n in profiles},
        mean={name: s.mean for name, s in sums.items()},
        reference_mean={name: s.reference_mean for name, s in sums.items()},
        record_rmse={name: np.sqrt(s.mean_square) for name, s in sums.items()},
    )


def _sum(run: Run, against: Run, records: slice, quantity: Quantity) -> _Sums:
    assert against.columns is not None
    weight = against.columns.mass_weight if quantity in PROFILES else against.columns.area_weight
    n_record = records.stop - records.start
    by_record: list[Array] = []
    by_place = np.zeros((4, *weight.shape))
    origin: Array | None = None
    for part in run.in_parts(records):
        ours, theirs = (quantity.factor * x.read(quantity.name, part) for x in (run, against))
        difference = ours - theirs
        if origin is None:
            origin = theirs[0].mean(axis=1, keepdims=True)
        by_record.append(np.stack([(x * weight).sum(axis=(1, 2)) for x in (ours, theirs, difference**2)]))
        terms = (difference, theirs, difference**2, (theirs - origin) ** 2)
        by_place += np.stack([x.sum(axis=0) for x in terms]) / n_record
    mean, reference_mean, mean_square = np.concatenate(by_record, axis=1)
    assert origin is not None
    difference, reference, square, reference_square = by_place
    return _Sums(
        mean, reference_mean, mean_square, difference, reference, square, reference_square, origin=origin[:, 0]
    )


def _score(
    quantity: Quantity, sums: _Sums, columns: Columns, months: Mapping[str, NDArray[np.bool_]], days: float
) -> Score:
    weight = columns.mass_weight if quantity in PROFILES else columns.area_weight
    by_month = tuple(
        Month(
            name=name,
            compared_days=days * int(members.sum()),
            month_days=DAYS_OF_MONTH[int(name[5:]) - 1],
            bias=float((sums.mean - sums.reference_mean)[members].mean()),
            rmse=float(np.sqrt(sums.mean_square[members].mean())),
        )
        for name, members in months.items()
    )
    return Score(
        variable=quantity.name,
        label=quantity.label,
        unit=quantity.unit,
        reference_mean=float((sums.reference * weight).sum()),
        reference_spread=_spread(sums, weight),
        bias=float((sums.difference * weight).sum()),
        rmse=float(np.sqrt(sums.mean_square.mean())),
        rmse_of_mean=float(np.sqrt((sums.difference**2 * weight).sum())),
        months=by_month,
    )


def _spread(sums: _Sums, weight: Array) -> float:
    """Standard deviation about each level's mean, from moments about an origin near it."""
    of_level = weight.sum(axis=1, keepdims=True)
    share = weight / of_level
    mean = (sums.reference * share).sum(axis=1)
    mean_square = (sums.reference_square * share).sum(axis=1)
    return float(np.sqrt((np.maximum(mean_square - (mean - sums.origin) ** 2, 0.0) * of_level[:, 0]).sum()))


def band_edges(n_column: int) -> Array:
    """Latitudes [degree_north] of as many equal bands as leave some columns in each."""
    n_band = min(max(n_column // COLUMNS_PER_BAND, 3), LARGEST_NUMBER_OF_BANDS)
    return np.linspace(-90.0, 90.0, n_band + 1)


def zonal_mean(values: Array, columns: Columns, edges: Array) -> Array:
    """Means over the columns of bands of latitude, weighted by area.

    Args:
        values: (n_level, n_column).
        edges: [degree_north] (n_band + 1,).
    Returns:
        (n_level, n_band), NaN where a band has no column.
    """
    band = np.clip(np.searchsorted(edges, columns.latitude, side="right") - 1, 0, len(edges) - 2)
    member = (band == np.arange(len(edges) - 1)[:, None]) * columns.area  # (n_band, n_column)
    area = member.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(values @ member.T / area)


def _months(run: Run, records: slice) -> dict[str, NDArray[np.bool_]]:
    """Which of the records lie in which month, by the middle of the record, (n_record,)."""
    middle = run.start_day + run.time[records] - 0.5 * run.days_in_mean
    names = [date_of(int(day * SECONDS_OF_DAY))[:7] for day in middle]
    return {name: np.array([other == name for other in names]) for name in dict.fromkeys(names)}
