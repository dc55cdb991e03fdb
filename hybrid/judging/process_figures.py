"""Pictures of rain, conservation, interventions and speed."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...physics.units import SECONDS_PER_DAY
from ..figures import GREY
from ..markup import fixed
from .conservation import FLUX_LIMITS, trend
from .drawing import AGAINST, OTHER, RUN, against_label, decade_axis, note, pressure_axis, run_label, shown_levels
from .interventions import Interventions
from .judgement import Judgement
from .precipitation import DRY, Distribution
from .runs import Array
from .speed import CONVENTIONAL_PARTS, EMULATOR_PARTS, RunSpeed

RATES = {
    "air_temperature": (SECONDS_PER_DAY, "heating [K day⁻¹]"),
    "specific_humidity": (1e3 * SECONDS_PER_DAY, "moistening [g kg⁻¹ day⁻¹]"),
}
STATE = "state, each day"
SMALLEST_RESIDUAL = 1.0e-16  # W m-2


def precipitation(figure: Figure, judgement: Judgement) -> None:
    """How often it rains how much: frequency by amount, and how often more falls."""
    rain = judgement.precipitation
    assert rain is not None
    panels = figure.subplots(1, 2)
    edges = rain.edges_mm_day
    for distribution, colour, label in (
        (rain.against, AGAINST, against_label(judgement)),
        (rain.run, RUN, run_label(judgement)),
    ):
        panels[0].stairs(100.0 * distribution.histogram, edges, color=colour, linewidth=1.5, label=label)
        panels[1].plot(edges, _exceedance(distribution), color=colour, linewidth=1.5)
    wettest = max(rain.run.largest_mm_day, rain.against.largest_mm_day)
    days = "day" if rain.days_in_mean == 1.0 else f"{rain.days_in_mean:g} days"
    for panel in panels:
        panel.set(xscale="log", xlim=(DRY, max(1.3 * wettest, 10.0)), xlabel=f"precipitation of a {days} [mm day⁻¹]")
    panels[0].set(ylabel="share of days and columns [%]", ylim=(0.0, None))
    panels[1].set(yscale="log", ylabel="share with more [1]", ylim=(None, 1.3))
    panels[0].legend(loc="upper left")


def _exceedance(distribution: Distribution) -> Array:
    """Share above each edge [1], NaN where there is none."""
    beyond = np.concatenate([np.cumsum(distribution.histogram[::-1])[::-1], [0.0]])
    return np.where(beyond > 1e-12, beyond, np.nan)


def conservation(figure: Figure, judgement: Judgement) -> None:
    """Energy of the columns in time, what the run gains against the other one, and residuals."""
    ours, theirs = judgement.conservation, judgement.against_conservation
    assert ours is not None
    assert theirs is not None
    energy, difference, residuals = figure.subplots(1, 3)
    for one, colour, label in ((theirs, AGAINST, against_label(judgement)), (ours, RUN, run_label(judgement))):
        energy.plot(one.day, one.energy_mj_m2 - theirs.energy_mj_m2[0], color=colour, label=label)
    energy.set(xlabel="day of the run", ylabel="energy of the column,\nless its first value [MJ m⁻²]")
    energy.legend()
    departure = ours.energy_mj_m2 - theirs.energy_mj_m2
    difference.plot(ours.day, departure, color=RUN)
    slope = trend(ours.day, departure)
    if slope is not None:
        line = departure.mean() + slope * (ours.day - ours.day.mean())
        difference.plot(
            ours.day, line, color=GREY, linestyle="--", label=f"{fixed(1e6 * slope / SECONDS_PER_DAY)} W m⁻²"
        )
        difference.legend(title="trend")
    difference.set(
        xlabel="day of the run", ylabel=f"energy, {run_label(judgement)} −\n{against_label(judgement)} [MJ m⁻²]"
    )
    difference.axhline(0.0, color=GREY, linewidth=0.8)
    _draw_residuals(residuals, judgement)


def _draw_residuals(panel: Axes, judgement: Judgement) -> None:
    ours = judgement.conservation
    assert ours is not None
    rows = {STATE: ours.closure_state_energy_w_m2}
    if ours.residual_before_energy_w_m2 is not None:
        rows = {"before constraints": ours.residual_before_energy_w_m2} | rows
    rows |= {name.replace("_", " "): value for name, value in ours.residual_energy_w_m2.items() if value > 0.0}
    place = np.arange(len(rows))
    values = np.maximum(list(rows.values()), SMALLEST_RESIDUAL)
    panel.hlines(place, SMALLEST_RESIDUAL, values, color=OTHER[0], linewidth=1.2)
    limited = np.array([name != STATE for name in rows])  # the difference of two totals has the rounding of totals
    panel.plot(values[limited], place[limited], "o", color=OTHER[0], markersize=5.0)
    panel.plot(values[~limited], place[~limited], "s", color=OTHER[0], markersize=5.0, fillstyle="none")
    panel.axvline(FLUX_LIMITS["energy"], color=GREY, linestyle=":", linewidth=1.2)
    panel.set(xscale="log", yticks=place, yticklabels=list(rows), xlabel="largest residual [W m⁻²]")
    panel.invert_yaxis()


def interventions(figure: Figure, judgement: Judgement) -> None:
    """Rejected and extrapolated columns by latitude and day, corrections beside tendencies by level."""
    found = judgement.interventions
    assert found is not None
    panels = figure.subplots(2, 2)
    middle = 0.5 * (found.latitude_edges[1:] + found.latitude_edges[:-1])
    _draw_shares(panels[0, 0], middle, found.rejected_by_latitude, found.extrapolated_by_latitude)
    panels[0, 0].set(xlabel="latitude [°N]", xlim=(-90.0, 90.0), xticks=range(-90, 91, 30))
    _draw_shares(panels[0, 1], found.day, found.rejected_by_record, found.extrapolated_by_record)
    panels[0, 1].set(xlabel="day of the run")
    for panel, name in zip(panels[1], RATES, strict=True):
        _draw_correction(panel, found, name)
    pairs = zip(*(panel.get_legend_handles_labels() for panel in (panels[0, 1], panels[1, 0])), strict=True)
    handles, labels = ([item for one in several for item in one] for several in pairs)
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    panels[1, 0].set_ylabel("pressure [hPa]")


def _draw_shares(panel: Axes, place: Array, rejected: Array, extrapolated: Array) -> None:
    panel.plot(place, 100.0 * extrapolated, color=OTHER[0], linestyle="--", label="outside the training range")
    panel.plot(place, 100.0 * rejected, color=RUN, label="rejected")
    largest = max(float(np.nanmax(rejected)), float(np.nanmax(extrapolated)))
    panel.set(ylabel="share of columns and steps [%]", ylim=(0.0, 105.0 * largest if largest > 0.0 else 1.0))


def _draw_correction(panel: Axes, found: Interventions, name: str) -> None:
    factor, label = RATES[name]
    shown = shown_levels(found.pressure_hpa)
    pressure = found.pressure_hpa[shown]
    for values, colour, line, what in (
        (found.tendency[name], AGAINST, "-", "tendency"),
        (found.correction[name], RUN, "--", "change by the constraints"),
    ):
        panel.plot(np.where(values > 0.0, factor * values, np.nan)[shown], pressure, line, color=colour, label=what)
    panel.set_xlabel(f"mean absolute {label}")
    decade_axis(panel, factor * np.concatenate([found.tendency[name][shown], found.correction[name][shown]]))
    if not (found.tendency[name] > 0.0).any():
        note(panel, "no tendency of the emulator")
    pressure_axis(panel, found.pressure_hpa)


def speed(figure: Figure, judgement: Judgement) -> None:
    """Time of one rank for a step of a column, by part, of both runs."""
    panel = figure.subplots()
    both = ((against_label(judgement), judgement.speed.against), (run_label(judgement), judgement.speed.run))
    rows = [(label, one) for label, one in both if one is not None]
    colours = dict(zip((*CONVENTIONAL_PARTS, *EMULATOR_PARTS), (*OTHER, RUN, "#999999"), strict=True))
    used = set()
    for place, (_, one) in enumerate(rows):
        start = 0.0
        for name, value in _bars(one).items():
            colour = colours.get(name, "#dddddd")
            label = None if name in used else name.replace("_", " ")
            panel.barh(
                place, value, left=start, color=colour, edgecolor="white", linewidth=0.5, label=label, height=0.6
            )
            used.add(name)
            start += value
        panel.annotate(f"{start:.3g} µs", (start, place), (4, 0), textcoords="offset points", va="center")
    panel.set(
        yticks=range(len(rows)),
        yticklabels=[row[0] for row in rows],
        xlabel="time of a rank for a step of a column [µs]",
    )
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=4)


def _bars(one: RunSpeed) -> dict[str, float]:
    """[µs] by part of the physics, and all the rest."""
    return dict(one.physics_part_microseconds) | {"all else": one.step_microseconds - one.physics_microseconds}
