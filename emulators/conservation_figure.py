"""The picture of a study of conservation: residual against skill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..physics.errors import EmagramError
from .evaluation_figures import COLOURS, GREY, save_picture

SHAPES = {"raw": ("o", "raw inputs"), "climate_invariant": ("^", "climate-invariant inputs")}
LEAST = 1e-32
"""[W2 m-4] A residual of 0 is drawn here."""

# beyond the colours of other pictures, as dark as those on white
MORE_COLOURS = (*COLOURS, "#8C6D1F", "#7F7F7F")


def draw_skill(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Residual (logarithmic) against mean square error, a panel for each climate, a colour for each variant.

    A marker stands at the mean over the seeds, in a shape for each kind of inputs; its bars reach one standard
    deviation to either side, of the residual no further down than a tenth of its mean.

    Args:
        rows: of `conservation_study.summarise`.
        path: of the PNG file.
    Raises:
        EmagramError: if there is no row, or there are more variants than colours.
    """
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    if not 0 < len(variants) <= len(MORE_COLOURS):
        raise EmagramError(f"picture of skill: expected 1 to {len(MORE_COLOURS)} variants, got {len(variants)}")
    climates = list(dict.fromkeys(row["climate"] for row in rows))
    save_picture(path, lambda figure: _draw(figure, rows, variants, climates), (0.9 + 3.5 * len(climates), 4.6))


def _draw(figure: Figure, rows: Sequence[Mapping[str, Any]], variants: Sequence[str], climates: Sequence[str]) -> None:
    panels = figure.subplots(1, len(climates), sharey=True, squeeze=False)[0]
    colours = dict(zip(variants, MORE_COLOURS, strict=False))
    for panel, climate in zip(panels, climates, strict=True):
        for row in rows:
            if row["climate"] == climate:
                _draw_row(panel, row, colours[row["variant"]])
        panel.set(title=climate, yscale="log", xlabel="mean square error [W² m⁻⁴]")
        panel.grid(visible=True)
    panels[0].set_ylabel("mean square residual [W² m⁻⁴]")
    handles = [Line2D([], [], color=colours[name], marker="s", linestyle="", markersize=5) for name in variants]
    labels = list(variants)
    for inputs in dict.fromkeys(row["inputs"] for row in rows):
        marker, label = SHAPES[inputs]
        handles.append(Line2D([], [], color=GREY, marker=marker, linestyle="", markersize=5.5, fillstyle="none"))
        labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def _draw_row(panel: Axes, row: Mapping[str, Any], colour: str) -> None:
    residual, spread = max(row["residual_mean"], LEAST), row["residual_spread"]
    panel.errorbar(
        row["mse_mean"],
        residual,
        xerr=row["mse_spread"],
        yerr=[[min(spread, 0.9 * residual)], [spread]],
        fmt=SHAPES[row["inputs"]][0],
        color=colour,
        markersize=5.5,
        linewidth=1.1,
        alpha=0.9,
    )
