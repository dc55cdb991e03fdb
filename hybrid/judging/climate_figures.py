"""Pictures of how the climate of a run differs: by latitude and pressure, by level, in time, and beside the floors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...emulators.evaluation_figures import pressure_edges
from ..figures import GREY
from .climate import PROFILES, Climate
from .drawing import (
    AGAINST,
    OTHER,
    OTHER_LINES,
    RUN,
    against_label,
    floor_labels,
    numbered,
    pressure_axis,
    printed,
    run_label,
    shown_levels,
    symmetric_limit,
)
from .judgement import Judgement
from .runs import Array

ZONAL = PROFILES[:4]
BY_LEVEL = PROFILES[:2]
LINED = ("air_temperature", "specific_humidity")
"""Whose means are drawn as lines; those of clouds are too ragged."""
LEAST_SHOWN = 1.0e-4
"""[1] error over spread; what is smaller is drawn as an arrow."""


def _climate(judgement: Judgement) -> Climate:
    assert judgement.climate is not None
    return judgement.climate


def zonal_bias(figure: Figure, judgement: Judgement) -> None:
    """Bias against latitude and pressure in colours, the other run's mean in lines."""
    climate = _climate(judgement)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    filled = np.flatnonzero(np.isfinite(climate.zonal_mean[ZONAL[0].name]).all(axis=0))
    limits = climate.latitude_edges[filled[0]], climate.latitude_edges[filled[-1] + 1]
    for panel, quantity in zip(panels.flat, ZONAL, strict=True):
        _draw_zonal(figure, panel, climate, quantity.name)
        panel.set_title(f"{quantity.label}, bias {printed(quantity.unit)}")
        panel.grid(visible=False)
    for panel in panels[:, 0]:
        panel.set_ylabel("pressure [hPa]")
    for panel in panels[1]:
        panel.set(xlabel="latitude [°N]", xticks=range(-90, 91, 30), xlim=limits)
    pressure_axis(panels[0, 0], climate.pressure_hpa)


def _draw_zonal(figure: Figure, panel: Axes, climate: Climate, name: str) -> None:
    bias, mean = climate.zonal_bias[name], climate.zonal_mean[name]
    limit = symmetric_limit(bias[shown_levels(climate.pressure_hpa)])
    edges = np.maximum(pressure_edges(climate.pressure_hpa), 1e-3)
    colours = panel.pcolormesh(
        climate.latitude_edges, edges, bias, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True
    )
    figure.colorbar(colours, ax=panel, extend="both", pad=0.02, aspect=25)
    middle = 0.5 * (climate.latitude_edges[1:] + climate.latitude_edges[:-1])
    there = np.isfinite(mean).all(axis=0)
    if name in LINED and there.sum() > 1 and np.ptp(mean[:, there]) > 0.0:
        lines = panel.contour(
            middle[there], climate.pressure_hpa, mean[:, there], levels=6, colors="black", linewidths=0.6, alpha=0.7
        )
        panel.clabel(lines, fontsize=6.5, fmt="%g")


def level_profiles(figure: Figure, judgement: Judgement) -> None:
    """Bias and root-mean-square error by level, of the run and of the replicas."""
    climate = _climate(judgement)
    panels = figure.subplots(2, 2, sharey=True)
    named = {run_label(judgement): climate}
    named |= dict(zip(floor_labels(judgement.floors), (floor.climate for floor in judgement.floors), strict=True))
    shown = shown_levels(climate.pressure_hpa)
    for row, quantity in zip(panels, BY_LEVEL, strict=True):
        for panel, metric in zip(row, ("bias", "rmse"), strict=True):
            for number, (label, one) in enumerate(named.items()):
                values: Mapping[str, Array] = getattr(one, f"level_{metric}")
                panel.plot(
                    values[quantity.name][shown],
                    climate.pressure_hpa[shown],
                    **_style(number),
                    label=label,
                    zorder=9 - number,
                )
            what = "bias" if metric == "bias" else "root-mean-square error"
            panel.set_xlabel(f"{what} of {quantity.label} {printed(quantity.unit)}")
            panel.axvline(0.0, color=GREY, linewidth=0.8)
        row[0].set_ylabel("pressure [hPa]")
    pressure_axis(panels[0, 0], climate.pressure_hpa)
    _legend_above(figure, panels[0, 0])


def _style(number: int) -> dict[str, Any]:
    """Of the run (0) or a replica."""
    if number == 0:
        return {"color": RUN, "linestyle": "-", "linewidth": 1.8}
    index = (number - 1) % len(OTHER)
    return {"color": OTHER[index], "linestyle": OTHER_LINES[index], "linewidth": 1.3}


def _legend_above(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4))


def time_series(figure: Figure, judgement: Judgement) -> None:
    """Global means by day: temperature, column water, precipitation, outgoing longwave."""
    climate = _climate(judgement)
    assert judgement.conservation is not None
    assert judgement.against_conservation is not None
    panels = figure.subplots(2, 2, sharex=True)
    for panel, name in zip(
        panels.flat, ("air_temperature", None, "precipitation_flux", "toa_outgoing_longwave_flux"), strict=True
    ):
        if name is None:
            pair = judgement.conservation.water_kg_m2, judgement.against_conservation.water_kg_m2
            panel.set_ylabel("water of the column [kg m⁻²]")
        else:
            pair = climate.mean[name], climate.reference_mean[name]
            score = climate.score(name)
            panel.set_ylabel(f"{score.label} {printed(score.unit)}")
            for number, (label, floor) in enumerate(
                zip(floor_labels(judgement.floors), judgement.floors, strict=True), 1
            ):
                panel.plot(climate.day, floor.climate.mean[name], **_style(number) | {"linewidth": 1.0}, label=label)
        panel.plot(climate.day, pair[1], color=AGAINST, linewidth=1.3, label=against_label(judgement))
        panel.plot(climate.day, pair[0], **_style(0), label=run_label(judgement))
    for panel in panels[1]:
        panel.set_xlabel("day of the run")
    _legend_above(figure, panels[0, 0])


def error_growth(figure: Figure, judgement: Judgement) -> None:
    """Error by day since the runs parted, logarithmic, beside the spread of the other run."""
    climate = judgement.climate
    panels = figure.subplots(1, 2, sharex=True)
    curves = ("temperature_rmse_k", "humidity_rmse_g_kg")
    names = [growth.kind if growth.kind != "other" else growth.label.split(":")[0] for growth in judgement.growth]
    names = [run_label(judgement) if name == "run" else name for name in numbered(names)]
    first = 0 if judgement.growth and judgement.growth[0].kind == "run" else 1
    for panel, quantity, curve in zip(panels, BY_LEVEL, curves, strict=True):
        for number, (label, growth) in enumerate(zip(names, judgement.growth, strict=True), first):
            error = np.where(getattr(growth, curve) > 0.0, getattr(growth, curve), np.nan)
            panel.plot(growth.day, error, **_style(number), label=label, marker="." if len(error) < 15 else None)
        if climate is not None:
            spread = climate.score(quantity.name).reference_spread
            panel.axhline(spread, color=GREY, linewidth=0.9, linestyle="--")
            panel.annotate(
                "spread over days and columns",
                (0.99, spread),
                (0, 2),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=7.5,
                color=GREY,
            )
        panel.set(yscale="log", xlabel="days since the runs parted")
        panel.set_ylabel(f"RMSE of {quantity.label} {printed(quantity.unit)}")
    _legend_above(figure, panels[0])


def scores(figure: Figure, judgement: Judgement) -> None:
    """Root-mean-square error over spread of every variable, of the means over all days and of single days."""
    climate = _climate(judgement)
    panels = figure.subplots(1, 2, sharey=True)
    place = np.arange(len(climate.scores))
    spread = np.array([score.reference_spread for score in climate.scores])
    spread = np.where(spread > 0.0, spread, np.nan)
    named = {run_label(judgement): climate}
    named |= dict(zip(floor_labels(judgement.floors), (floor.climate for floor in judgement.floors), strict=True))
    for panel, metric, title in zip(
        panels, ("rmse_of_mean", "rmse"), ("mean over all days", "single days"), strict=True
    ):
        for number, (label, one) in enumerate(named.items()):
            values = np.array([getattr(score, metric) for score in one.scores]) / spread
            _draw_points(panel, values, place + 0.22 * (number - 0.5 * (len(named) - 1)), number, label)
        panel.set(xscale="log", title=title, xlabel="error (RMSE) over spread [1]")
        panel.axvline(1.0, color=GREY, linewidth=0.9, linestyle="--")
    panels[0].set(yticks=place, yticklabels=[score.label for score in climate.scores])
    panels[0].invert_yaxis()
    _legend_above(figure, panels[0])


def _draw_points(panel: Axes, values: Array, place: NDArray[np.floating[Any]], number: int, label: str) -> None:
    """Points of the run (0) or a replica; arrows where they lie left of the picture."""
    colour, small = _style(number)["color"], values < LEAST_SHOWN
    style: dict[str, Any] = {"color": colour, "linestyle": "none", "markersize": 4.5}
    panel.plot(np.where(small, np.nan, values), place, marker="o^sDvP"[number % 6], label=label, **style)
    panel.plot(np.full(small.sum(), LEAST_SHOWN), place[small], marker="<", fillstyle="none", **style)
