"""How the pictures of reports look: colours, lines and letters, and SVG that has the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00")  # blue and vermilion of Okabe and Ito, told apart by every common colour vision
MARKERS = ("o", "^")
GREY = "#5b6670"
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dfe3e7",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "emagram",  # the same bytes every time
}


def draw_svg(size: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    """A figure of so many inches as SVG, drawn in this style by what is passed."""
    stream = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
