"""The picture of a study of conservation: residual against skill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..physics.errors import EmagramError
from .evaluation_figures import COLOURS, GREY, save_picture

SHAPES = {"raw": ("o", "raw inputs"), "climate_invariant": ("^", "climate-invariant inputs")}
LEAST = 1e-32
"""[W2 m-4] A residual of 0 is drawn here."""

CLOSED = 1e-10
"""[W2 m-4] Residuals below are rounding."""

# beyond the colours of other pictures, as dark as those on white
MORE_COLOURS = (*COLOURS, "#8C6D1F", "#7F7F7F")


def draw_skill(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Residual against mean square error, both logarithmic, a column for each climate, a colour for each variant.

    Where some residuals are rounding and others are not, the axis is cut between them. A marker stands at the mean
    over the seeds, in a shape for each kind of inputs; its bars reach one standard deviation to either side, downwards
    and to the left no further than a tenth of the mean.

    Args:
        rows: of `conservation_study.summarise`.
        path: of the PNG file.
    Raises:
        EmagramError: if there is no row, or there are more variants than colours.
    """
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    if not 0 < len(variants) <= len(MORE_COLOURS):
        raise EmagramError(f"picture of skill: expected 1 to {len(MORE_COLOURS)} variants, got {len(variants)}")
    n_climate = len({row["climate"] for row in rows})
    save_picture(path, lambda figure: _draw(figure, rows, variants), (0.9 + 3.6 * n_climate, 5.2))


def _draw(figure: Figure, rows: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> None:
    climates = list(dict.fromkeys(row["climate"] for row in rows))
    parts = _parts(rows)
    shares = [3.0, 1.0] if len(parts) > 1 else [1.0]
    panels = figure.subplots(
        len(parts), len(climates), sharex="col", sharey="row", squeeze=False, gridspec_kw={"height_ratios": shares}
    )
    colours = dict(zip(variants, MORE_COLOURS, strict=False))
    for line, part in zip(panels, parts, strict=True):
        for panel, climate in zip(line, climates, strict=True):
            for row in part:
                if row["climate"] == climate:
                    _draw_row(panel, row, colours[row["variant"]])
            panel.set(xscale="log", yscale="log")
            panel.grid(visible=True)
            panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.xaxis.set_minor_formatter(NullFormatter())
    _label(figure, [list(line) for line in panels], climates)
    _explain(figure, colours, list(dict.fromkeys(row["inputs"] for row in rows)))


def _parts(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Rows whose residual is open, and those in which it is closed; none of them empty."""
    is_open = [row["residual_mean"] > CLOSED for row in rows]
    parts = [[row for row, here in zip(rows, is_open, strict=True) if here is wanted] for wanted in (True, False)]
    return [part for part in parts if part]


def _label(figure: Figure, panels: Sequence[Sequence[Axes]], climates: Sequence[str]) -> None:
    """Titles and axes; between the parts of a cut axis a gap with two strokes."""
    for panel, climate in zip(panels[0], climates, strict=True):
        panel.set_title(climate)
    for panel in panels[-1]:
        panel.set_ylim(*_decades(panel.get_ylim()))
    figure.supxlabel("mean square error [W² m⁻⁴]", fontsize=9.0)
    figure.supylabel("mean square residual [W² m⁻⁴]", fontsize=9.0)
    if len(panels) > 1:
        stroke: dict[str, Any] = {"marker": [(-1, -0.5), (1, 0.5)], "markersize": 7, "linestyle": "none", "color": GREY}
        for upper, lower in zip(*panels, strict=True):
            upper.spines["bottom"].set_visible(False)
            lower.spines["top"].set_visible(False)
            upper.tick_params(axis="x", which="both", length=0.0)
            upper.plot([0, 1], [0, 0], transform=upper.transAxes, clip_on=False, mec=GREY, **stroke)
            lower.plot([0, 1], [1, 1], transform=lower.transAxes, clip_on=False, mec=GREY, **stroke)


def _decades(limits: tuple[float, float]) -> tuple[float, float]:
    """At least a decade to either side, so that rounding is not spread over the panel."""
    return limits[0] / 10.0, limits[1] * 10.0


def _explain(figure: Figure, colours: Mapping[str, str], kinds: Sequence[str]) -> None:
    handles = [Line2D([], [], color=c, marker="s", linestyle="", markersize=5) for c in colours.values()]
    labels = list(colours)
    for inputs in kinds:
        marker, label = SHAPES[inputs]
        handles.append(Line2D([], [], color=GREY, marker=marker, linestyle="", markersize=5.5, fillstyle="none"))
        labels.append(label)
    figure.legend(handles, labels, loc="outside upper center", ncols=4 if len(labels) > 6 else 3)


def _draw_row(panel: Axes, row: Mapping[str, Any], colour: str) -> None:
    residual, spread = max(row["residual_mean"], LEAST), row["residual_spread"]
    error, error_spread = row["mse_mean"], row["mse_spread"]
    panel.errorbar(
        error,
        residual,
        xerr=[[min(error_spread, 0.9 * error)], [error_spread]],
        yerr=[[min(spread, 0.9 * residual)], [spread]],
        fmt=SHAPES[row["inputs"]][0],
        color=colour,
        markersize=5.5,
        linewidth=1.1,
        alpha=0.85,
    )
