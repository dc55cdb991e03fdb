"""Figures of the report of an online run, with captions that say what is shown and what to look for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .figures import COLOURS, GREY, draw_svg
from .host_output import read_budgets
from .judging.conservation import FLUX_LIMITS
from .judging.figures import PICTURES, draw, drawable
from .judging.judgement import Judgement
from .markup import figure
from .report_verdict import UNITS

Array = NDArray[np.float64]

SVG = "image/svg+xml"
GREEN = "#009E73"
BUDGETS = {"energy": "w_m2", "water": "kg_m2_s"}
RESIDUALS = "residuals"
CAPTIONS = {
    "time-series": (
        "Global means by day since the spin-up. Look for a line that leaves the conventional one and does not come "
        "back, which is drift, and compare its distance with that of the replicas."
    ),
    "zonal-bias": (
        "Bias of the run against latitude and pressure in colours, red where it has more; lines are the conventional "
        "run's mean. Blank bands have no column."
    ),
    "level-profiles": "Bias and error by level. An error near that of other weather cannot be told from weather.",
    "scores": (
        "Error of every variable over the spread of conventional physics over days and columns of a level. Much of it "
        "lies between equator and poles, and not in the weather: the right climate in other weather is far below 1 in "
        "temperature and wind, and above 1 in rain and clouds. Compare a run with other weather, not with 1."
    ),
    "precipitation": (
        "How often which amount falls on a column in a day, weighted by area, in bins that are equal in the logarithm, "
        "and how often more falls. Emulators tend to drizzle too often and to miss the heaviest rain."
    ),
    RESIDUALS: (
        "Largest residuals of all columns and steps of a day. The solid line must lie below the dotted limit, far "
        "below the dashed one, which is the emulator before its constraints; exact zeros are not drawn. The state "
        "residual is rounding of the host's totals."
    ),
    "conservation": (
        "Energy of the mean column by day, what the run gained against conventional physics, and residuals of energy."
    ),
    "error-growth": (
        "Error by day since the runs parted: the emulator since its first step, replicas since the start. A curve "
        "that levels off has found another weather of the same climate or its bias; one that does not, drifts."
    ),
    "interventions": (
        "Share of rejected and extrapolated columns by latitude and day, and the mean size of the constraints' "
        "corrections beside that of the emulator's tendencies by pressure."
    ),
    "corrections": (
        "Mean magnitude of what the constraints change in a step, and its share of the tendency that comes of it, dark "
        "where it is large. Shares are large where little happens; look where both are."
    ),
    "regimes": (
        "Left: the same in vertical integrals, by regime with its share of columns and steps. Right: how far each "
        "budget is from holding just before its own constraint; exact zeros are not drawn."
    ),
    "speed": "Time of one rank for a step of a column, by part of the step.",
}
ORDER = (
    *("time-series", "zonal-bias", "level-profiles", "scores", "precipitation"),
    *(RESIDUALS, "conservation", "error-growth", "interventions", "corrections", "regimes", "speed"),
)
"""Of the figures on the page."""


def draw_figures(judgement: Judgement, run: Path) -> dict[str, str]:
    """Every figure that there is something to draw of, as HTML by its name; the empty text for the others.

    Raises:
        EmagramError: if the run's `budgets.csv` is damaged.
    """
    pictures = {name: (PICTURES[name].alternative, draw(judgement, name)) for name in drawable(judgement)}
    if _has_days(run):
        alternative = "Largest residuals of energy and water by day, before and after the constraints, and the limit"
        pictures[RESIDUALS] = (alternative, draw_residuals(run))
    figures = dict.fromkeys(ORDER, "")
    for number, name in enumerate((name for name in ORDER if name in pictures), 1):
        alternative, svg = pictures[name]
        figures[name] = figure(number, {alternative: (SVG, svg)}, CAPTIONS[name])
    return figures


def _has_days(run: Path) -> bool:
    """Whether the budgets of a day were written before the run ended."""
    path = run / "budgets.csv"
    return path.is_file() and len(path.read_text(encoding="utf-8").splitlines()) > 1


def draw_residuals(run: Path) -> bytes:
    """Largest residuals of every day before and after the constraints, and of the state [W m-2], [kg m-2 s-1]."""
    budgets = {name: np.asarray(values) for name, values in read_budgets(run).items()}
    return draw_svg((7.2, 3.3), lambda figure: _draw_residuals(figure, budgets))


def _draw_residuals(figure: Figure, budgets: Mapping[str, Array]) -> None:
    for panel, what in zip(figure.subplots(1, 2), BUDGETS, strict=True):
        _draw_residual(panel, budgets, what)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)


def _draw_residual(panel: Axes, budgets: Mapping[str, Array], what: str) -> None:
    unit = BUDGETS[what]
    of_processes = [values for name, values in budgets.items() if name.startswith(f"residual_{what}_{unit}_")]
    before = budgets.get(f"residual_before_{what}_{unit}", np.zeros_like(budgets["day"]))
    curves = (
        ("before the constraints", before, COLOURS[1], "--"),
        ("rates against fluxes, after", np.max(of_processes, axis=0), COLOURS[0], "-"),
        ("state", budgets[f"closure_state_{what}_{unit}"], GREEN, "-."),
    )
    for label, values, colour, style in curves:
        if (values > 0.0).any():
            shown = np.where(values > 0.0, values, np.nan)
            panel.plot(budgets["day"], shown, style, color=colour, linewidth=1.5, label=label)
    panel.axhline(FLUX_LIMITS[what], color=GREY, linewidth=1.2, linestyle=":", label="limit of rates against fluxes")
    panel.set(title=what, xlabel="day of the run", ylabel=f"[{UNITS[what]}]", yscale="log")
