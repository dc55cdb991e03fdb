"""Pictures of an ensemble: survival curves, scores of every member with their means, and power by number of members."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..figures import GREY, STYLE
from .comparison import Group
from .resampling import POWER_SIZES, ROUNDING
from .scores import SCORES
from .survival import SurvivalCurve

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Of configurations, in turn (Okabe and Ito)."""
LABELS = {
    "precipitation_mm_day": "precipitation",
    "evaporation_mm_day": "evaporation",
    "toa_outgoing_longwave_flux_w_m2": "outgoing longwave",
    "toa_net_downward_flux_w_m2": "net flux at the top",
    "surface_temperature_k": "surface temperature",
    "cape_j_kg": "CAPE",
    "precipitable_water_kg_m2": "precipitable water",
    "air_temperature_k": "air temperature",
}


def _draw(size: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    stream = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(stream, format="png", dpi=160, metadata={"Software": None})
    return stream.getvalue()


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def draw_survival(groups: Sequence[Group]) -> bytes:
    """The Kaplan–Meier curve of each configuration with its 95 % band, a tick where members are still alive."""

    def draw(figure: Figure) -> None:
        panel = figure.subplots()
        for number, group in enumerate(groups):
            _draw_curve(panel, group.curve(), f"{group.name} ({len(group.seeds)} members)", _colour(number))
        panel.set(xlabel="day", ylabel="share of members alive", ylim=(-0.02, 1.05), xlim=(0.0, None))
        panel.legend(loc="lower left")

    return _draw((6.0, 4.0), draw)


def _draw_curve(panel: Axes, curve: SurvivalCurve, label: str, colour: str) -> None:
    day = np.concatenate([[0.0], curve.day, [curve.last_day]])
    steps = {
        "alive": np.concatenate([[1.0], curve.survival]),
        "lower": np.concatenate([[curve.first_lower], curve.lower]),
        "upper": np.concatenate([[1.0], curve.upper]),
    }
    drawn = {name: np.append(values, values[-1]) for name, values in steps.items()}
    panel.plot(day, drawn["alive"], drawstyle="steps-post", color=colour, label=label)
    panel.fill_between(day, drawn["lower"], drawn["upper"], step="post", color=colour, alpha=0.15, linewidth=0.0)
    if drawn["alive"][-1] > 0.0:
        panel.plot(day[-1], drawn["alive"][-1], "|", color=colour, markersize=9.0)


def draw_scores(groups: Sequence[Group], summary: Mapping[str, Any]) -> bytes:
    """Every survivor's scores, a panel each; beside them the mean with its 95 % bootstrap interval (studentised)."""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, (len(SCORES) + 1) // 2).flat
        for index, (panel, (name, unit)) in enumerate(zip(panels, SCORES.items(), strict=False)):
            for number, (group, said) in enumerate(zip(groups, summary["configurations"], strict=True)):
                _draw_members(panel, number, group.alive[:, index], (said["scores"] or {}).get(name))
            panel.set(title=LABELS[name], ylabel=unit, xlim=(-0.6, len(groups) - 0.2))
            _leave_rounding_out(panel, np.concatenate([group.alive[:, index] for group in groups]))
            panel.set_xticks(range(len(groups)), [group.name for group in groups], rotation=20, ha="right")
            panel.grid(visible=False, axis="x")

    return _draw((2.0 + 2.2 * ((len(SCORES) + 1) // 2), 6.0), draw)


def _leave_rounding_out(panel: Axes, values: np.ndarray) -> None:
    """Around a score that is the same in all members, an axis of its unit."""
    if values.size and np.ptp(values) <= ROUNDING * np.abs(values).max():
        panel.set_ylim(values[0] - 1.0, values[0] + 1.0)


def _draw_members(panel: Axes, number: int, values: np.ndarray, mean: Mapping[str, Any] | None) -> None:
    """Members side by side in the order of their seeds, then the mean."""
    x = number + np.linspace(-0.35, 0.15, len(values)) if len(values) > 1 else np.full(len(values), float(number))
    panel.plot(x, values, ".", color=_colour(number), alpha=0.35, markersize=4.0, markeredgewidth=0.0)
    if mean is None:
        return
    low, high = mean["interval_studentised"]
    panel.plot(number + 0.3, mean["mean"], "o", color=_colour(number), markersize=4.5)
    if low is not None and high is not None:
        panel.plot([number + 0.3] * 2, [low, high], color=_colour(number), linewidth=1.8)


def draw_power(summary: Mapping[str, Any]) -> bytes:
    """How often the difference from the reference is seen, by number of members: a panel a configuration."""
    comparisons = summary["comparisons"]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(comparisons), sharey=True, squeeze=False)[0]
        for panel, comparison in zip(panels, comparisons, strict=True):
            _draw_power(panel, comparison)
        panels[0].set_ylabel("share of ensembles whose interval excludes zero")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")

    return _draw((3.0 + 3.6 * len(comparisons), 4.0), draw)


def _draw_power(panel: Axes, comparison: Mapping[str, Any]) -> None:
    sizes = [int(n) for n in comparison["power"]]
    for number, name in enumerate(SCORES):
        shares = [share[name] for share in comparison["power"].values()]
        style = "o-" if number < len(COLOURS) else "s--"
        panel.plot(sizes, shares, style, color=_colour(number), markersize=3.5, label=LABELS[name])
    panel.axhline(0.05, color=GREY, linewidth=0.8, linestyle=":")
    panel.set(xscale="log", ylim=(-0.02, 1.05), xlabel="members of each", xlim=(0.9 * POWER_SIZES[0], 120.0))
    panel.set_xticks(POWER_SIZES, [str(n) for n in POWER_SIZES])
    panel.minorticks_off()
    panel.set_title(f"{comparison['configuration']} − {comparison['reference']}")
