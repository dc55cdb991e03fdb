"""What the pictures of a judgement have in common: size, style, colours, the pressure axis."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..figures import GREY, STYLE
from ..markup import SUPERSCRIPTS
from .floors import Floor
from .judgement import Judgement
from .runs import Array

Form = Literal["svg", "png"]

RUN = "#D55E00"
AGAINST = "#000000"
OTHER = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Of Okabe and Ito; lines and markers tell them apart in grey."""
OTHER_LINES: tuple[Any, ...] = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
PRESSURE_TICKS = (1.0, 10.0, 50.0, 100.0, 200.0, 300.0, 500.0, 700.0, 1000.0)  # hPa
TOP_SHOWN = 0.1  # hPa; errors often grow from the model top
PIXELS_PER_INCH = 200


def render(draw: Callable[[Figure], None], size: tuple[float, float], form: Form) -> bytes:
    """Draw a figure of a size [inch]; the same bytes every time."""
    stream = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained", dpi=PIXELS_PER_INCH)
        FigureCanvasAgg(figure)
        draw(figure)
        metadata: dict[str, Any] = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(stream, format=form, metadata=metadata)
    return stream.getvalue()


def printed(unit: str) -> str:
    """A unit as it is printed, `W m-2` as W m⁻², in brackets."""
    return f"[{' '.join(_power(part) for part in unit.split())}]"


def _power(part: str) -> str:
    letters = part.rstrip("-0123456789")
    return letters + part[len(letters) :].translate(SUPERSCRIPTS) if letters else part


def run_label(judgement: Judgement) -> str:
    """What the run is called in a legend."""
    return judgement.run if judgement.physics == "conventional" else judgement.physics


def against_label(judgement: Judgement) -> str:
    """What the other run is called in a legend."""
    return judgement.against if judgement.physics == "conventional" else "conventional"


def floor_labels(floors: tuple[Floor, ...]) -> list[str]:
    """Short names of replicas: their kinds, numbered where there are several of one."""
    return numbered([floor.kind if floor.kind != "other" else floor.label.split(":")[0] for floor in floors])


def numbered(names: list[str]) -> list[str]:
    """Names told apart: `other weather 1`, `other weather 2`."""
    return [f"{name} {names[: i + 1].count(name)}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def pressure_axis(panel: Axes, pressure: Array) -> None:
    """As p^0.3, between mass and height, downward, from the lowest level to TOP_SHOWN; pressure [hPa] (n_level,)."""
    panel.set_yscale(
        "function", functions=(lambda p: np.maximum(p, 0.0) ** 0.3, lambda x: np.maximum(x, 0.0) ** (10 / 3))
    )
    panel.set_ylim(float(pressure.max()), max(TOP_SHOWN, float(pressure.min())))
    panel.set_yticks([p for p in PRESSURE_TICKS if pressure.min() <= p <= 1.05 * pressure.max()])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def decade_axis(panel: Axes, values: Array) -> None:
    """Horizontal, logarithmic, over the whole decades of the values above 0."""
    positive = values[values > 0.0]
    if positive.size:
        first, last = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
        panel.set(xscale="log", xlim=(10.0**first, 10.0 ** max(last, first + 1.0)))
        panel.xaxis.set_minor_formatter(NullFormatter())


def shown_levels(pressure: Array) -> Any:
    """Which levels a pressure axis shows, (n_level,)."""
    return pressure >= min(TOP_SHOWN, float(pressure.max()))


def note(panel: Axes, words: str) -> None:
    """Words in a panel that has nothing to draw."""
    panel.text(0.5, 0.5, words, transform=panel.transAxes, ha="center", va="center", color=GREY)


def symmetric_limit(values: Array) -> float:
    """Largest magnitude of a colour scale about 0: what 99 % of the finite values stay below, above 0."""
    finite = np.abs(values[np.isfinite(values)])
    limit = float(np.percentile(finite, 99.0)) if finite.size else 0.0
    return limit if limit > 0.0 else 1.0
