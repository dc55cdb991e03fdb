"""Pictures of where the constraints act: by level and latitude, and by regime."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...emulators.evaluation_figures import pressure_edges
from ...physics.units import SECONDS_PER_DAY
from ..figures import GREY
from .corrections import BudgetScore, Corrections
from .drawing import OTHER, RUN, decade_axis, note, pressure_axis, printed, shown_levels
from .judgement import Judgement
from .process_figures import RATES
from .runs import Array

COLOURS = "Blues"  # dark is much, in print too; none is white
LARGEST_SHARE = 100.0  # %
MARKERS = "o^sDvPX*"
WATER = "kg m-2 s-1"
MOST_UNITS = 2  # panels
LEAST_SHOWN = 1.0e-12  # of the largest in a panel; what is smaller is nothing


def corrections(figure: Figure, judgement: Judgement) -> None:
    """Magnitude of the changes, and their share of the tendencies, against latitude and pressure."""
    found = judgement.corrections
    assert found is not None
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for row, (name, (factor, label)) in zip(panels, RATES.items(), strict=True):
        change, tendency = factor * found.change[name], factor * found.tendency[name]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(tendency > 0.0, 100.0 * change / tendency, np.nan)
        what = label.split(" [")[0]
        _draw_map(figure, row[0], found, change, np.inf)
        row[0].set_title(f"change of {label}")
        _draw_map(figure, row[1], found, share, LARGEST_SHARE)
        row[1].set_title(f"share of the {what} [%]")
        row[0].set_ylabel("pressure [hPa]")
    filled = np.flatnonzero(np.isfinite(found.change["air_temperature"]).all(axis=0))
    limits = found.latitude_edges[filled[0]], found.latitude_edges[filled[-1] + 1]
    for panel in panels[1]:
        panel.set(xlabel="latitude [°N]", xticks=range(-90, 91, 30), xlim=limits)
    pressure_axis(panels[0, 0], found.pressure_hpa)


def _draw_map(figure: Figure, panel: Axes, found: Corrections, values: Array, largest: float) -> None:
    """On a scale from 0 to what 99 % of the values stay below, or to `largest`."""
    shown = values[shown_levels(found.pressure_hpa)]
    finite = shown[np.isfinite(shown)]
    limit = min(float(np.percentile(finite, 99.0)), largest) if finite.size else 0.0
    edges = np.maximum(pressure_edges(found.pressure_hpa), 1e-3)
    colours = panel.pcolormesh(
        found.latitude_edges, edges, values, cmap=COLOURS, vmin=0.0, vmax=limit if limit > 0.0 else 1.0, rasterized=True
    )
    figure.colorbar(colours, ax=panel, extend="max", pad=0.02, aspect=25)
    panel.grid(visible=False)
    if not limit > 0.0:
        note(panel, "nothing was changed")


def regimes(figure: Figure, judgement: Judgement) -> None:
    """Share of the tendencies that is change by the constraints, and residuals before them, by regime."""
    found = judgement.corrections
    assert found is not None
    units = sorted({budget.unit for budget in found.budgets})[:MOST_UNITS]
    panels = np.atleast_1d(figure.subplots(1, 1 + len(units), sharey=True))
    place = np.arange(float(len(found.regimes)))
    _draw_shares(panels[0], found, place)
    for panel, unit in zip(panels[1:], units, strict=True):
        _draw_residuals(panel, found, [budget for budget in found.budgets if budget.unit == unit], place)
    panels[0].set(yticks=place, yticklabels=[f"{regime.name} ({_share(regime.share)})" for regime in found.regimes])
    panels[0].invert_yaxis()
    for panel in panels:
        panel.axhline(0.5, color=GREY, linewidth=0.8)  # below everywhere
        panel.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.2)


def _share(share: float) -> str:
    return f"{100.0 * share:.0f} %" if share >= 0.005 else "< 1 %"


def _draw_shares(panel: Axes, found: Corrections, place: Array) -> None:
    largest = 0.0
    for what, colour, marker in (("heating", RUN, "o"), ("moistening", OTHER[0], "^")):
        values = [getattr(regime, f"{what}_fraction") for regime in found.regimes]
        percents = 100.0 * np.array([np.nan if value is None else value for value in values])
        panel.plot(percents, place, marker, color=colour, markersize=5.0, clip_on=False, label=what)
        largest = max(largest, float(np.nanmax(percents, initial=0.0)))
    panel.set(xlabel="change over tendency [%]", xlim=(0.0, 1.1 * largest if largest > 0.0 else 1.0))


def _draw_residuals(panel: Axes, found: Corrections, budgets: list[BudgetScore], place: Array) -> None:
    """Logarithmic; precipitation's unit for water."""
    unit = budgets[0].unit
    factor, shown_unit = (SECONDS_PER_DAY, "mm day-1") if unit == WATER else (1.0, unit)
    names = [budget.name for budget in budgets]
    rows = {name: [factor * regime.residual_before[name] for regime in found.regimes] for name in names}
    least = LEAST_SHOWN * max(max(values) for values in rows.values())
    colours = (RUN, *OTHER)
    for number, (name, values) in enumerate(rows.items()):
        shown = np.where(np.array(values) > least, values, np.nan)
        style: dict[str, Any] = {"color": colours[number % len(colours)], "markersize": 5.0, "clip_on": False}
        label = name.replace("_", " ") + ("" if np.isfinite(shown).any() else " (none)")
        panel.plot(shown, place, MARKERS[number % len(MARKERS)], label=label, **style)
    decade_axis(panel, np.array([value for values in rows.values() for value in values if value > least]))
    if not least > 0.0:
        note(panel, "nothing lacked")
    panel.set_xlabel(f"residual before {printed(shown_unit)}")
