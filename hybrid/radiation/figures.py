"""Pictures of the radiation report, as SVG: what the Fortran program predicted beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from ...emulators.evaluation import SCORED_FLUXES, TROPOSPHERE_PRESSURE
from ...physics.units import SECONDS_PER_DAY
from ..figures import COLOURS, GREY, MARKERS, draw_svg
from .results import Group, Results

Array = NDArray[np.float64]

TOP_SHOWN = 10.0  # hPa; the thin air above heats by tens of K day-1 and would hide the rest
SMALLEST_SHOWN = 1.0e-16  # W m-2
CLOSURE_LIMIT = 1.0e-10
"""[W m-2]; what the column residual of real64 outputs must stay below."""

FLUX_TITLES = {
    "outgoing_longwave": "outgoing longwave\nat the top",
    "surface_down_longwave": "downwelling longwave\nat the surface",
    "reflected_shortwave": "reflected shortwave\nat the top",
    "surface_down_shortwave": "downwelling shortwave\nat the surface",
}


@dataclass(frozen=True)
class Profile:
    """Profiles of a group of columns, from the top shown down, (n_level_shown).

    `pressure` is in hPa; mean `truth` and mean `predicted` heating, root-mean-square `error` of the columns, and the
    standard deviation of the truth over them, `spread`, are in K day-1.
    """

    pressure: Array
    truth: Array
    predicted: Array
    error: Array
    spread: Array


def draw_profiles(results: Results, spectrum: str) -> bytes:
    """Mean heating rate and its root-mean-square error against pressure, both [K day-1].

    Each level is averaged over the columns with the weights of their sites and drawn at its mean pressure.
    """
    return draw_svg((5.2, 4.4), lambda figure: _draw_profiles(figure, results, spectrum))


def draw_fluxes(results: Results, spectrum: str) -> bytes:
    """Predicted against true fluxes at the top and the surface [W m-2]; night columns have no shortwave points."""
    return draw_svg((5.2, 3.3), lambda figure: _draw_fluxes(figure, results, spectrum))


def draw_closure(results: Results, spectrum: str) -> bytes:
    """Histogram of the column residuals [W m-2] beside the largest one without the constraint."""
    return draw_svg((5.2, 3.2), lambda figure: _draw_closure(figure, results, spectrum))


def shown_columns(results: Results, group: Group, spectrum: str) -> NDArray[np.int64]:
    """Numbers of the columns of a group that have radiation of a spectrum: in the shortwave those by day."""
    if spectrum == "longwave":
        return group.index
    return group.index[results.truth["toa_incoming_shortwave_flux"].values[group.index] > 0.0]


def heating_profile(results: Results, group: Group, spectrum: str) -> Profile:
    """Average each level over the columns of a group, with the weights of their sites."""
    truth, predicted = results.true_and_predicted(f"tendency_of_air_temperature_due_to_{spectrum}_heating", group)
    weight = results.truth["profile_weight"].values[group.index]

    def mean(values: Array) -> Array:
        return np.asarray(np.average(values, axis=0, weights=weight))

    pressure = mean(results.truth["air_pressure"].values[group.index]) / 100.0
    truth, predicted = truth * SECONDS_PER_DAY, predicted * SECONDS_PER_DAY
    error = np.sqrt(mean(np.square(predicted - truth)))
    spread = np.sqrt(mean(np.square(truth - mean(truth))))
    shown = pressure > TOP_SHOWN
    return Profile(*(values[shown] for values in (pressure, mean(truth), mean(predicted), error, spread)))


def _draw_profiles(figure: Figure, results: Results, spectrum: str) -> None:
    panels = figure.subplots(1, 2, sharey=True)
    profiles = [heating_profile(results, group, spectrum) for group in results.groups]
    curves = ({"truth": "-", "emulator": "--"}, {"error (RMSE)": "-", "spread of truth": ":"})
    for profile, colour, width in zip(profiles, COLOURS, (2.2, 1.2), strict=False):  # where they agree both show
        pairs = ((profile.truth, profile.predicted), (profile.error, profile.spread))
        for panel, pair, styles in zip(panels, pairs, curves, strict=True):
            for values, style in zip(pair, styles.values(), strict=True):
                panel.plot(values, profile.pressure, style, color=colour, linewidth=width)
    panels[0].set(title=f"mean {spectrum} heating", ylabel="pressure [hPa]")
    panels[1].set(title="error and spread")
    _fit_to_layers_above(panels[0], [x for p in profiles for x in (p.truth, p.predicted)])
    _fit_to_layers_above(panels[1], [np.zeros(2), *(x for p in profiles for x in (p.error, p.spread))])
    for panel, styles in zip(panels, curves, strict=True):
        _pressure_axis(panel)
        proxies = [Line2D([], [], color=GREY, ls=style) for style in styles.values()]
        panel.legend(proxies, list(styles), handlelength=1.8, frameon=True, framealpha=0.9, edgecolor="none")
        panel.set_xlabel("heating rate [K day⁻¹]")
    _group_legend(figure, results, [Line2D([], [], color=colour, linewidth=2.0) for colour in COLOURS])


def _fit_to_layers_above(panel: Axes, curves: Sequence[Array]) -> None:
    """Scale the axis to all layers but the lowest, whose exchange with the skin would flatten all others."""
    values = np.concatenate([curve[:-1] for curve in curves])
    margin = 0.06 * float(np.ptp(values)) or 1.0
    panel.set_xlim(float(values.min()) - margin, float(values.max()) + margin)


def _pressure_axis(panel: Axes) -> None:
    """Logarithmic, the surface at the bottom, with a line where the scores begin."""
    panel.set(yscale="log", ylim=(1050.0, TOP_SHOWN))
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda pressure, _: f"{pressure:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.axhline(TROPOSPHERE_PRESSURE / 100.0, color=GREY, linewidth=0.8, linestyle="-.")


def _draw_fluxes(figure: Figure, results: Results, spectrum: str) -> None:
    keys = [key for key in SCORED_FLUXES if key.endswith(spectrum)]
    for panel, key in zip(figure.subplots(1, 2), keys, strict=True):
        _draw_flux(panel, results, spectrum, SCORED_FLUXES[key])
        panel.set(title=FLUX_TITLES[key], xlabel="truth [W m⁻²]")
    figure.axes[0].set_ylabel("emulator [W m⁻²]")
    markers = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5)
        for colour, marker in zip(COLOURS, MARKERS, strict=True)
    ]
    _group_legend(figure, results, markers)


def _draw_flux(panel: Axes, results: Results, spectrum: str, name: str) -> None:
    """One point a column, and the line on which a perfect emulator lies."""
    for group, colour, marker in zip(results.groups, COLOURS, MARKERS, strict=False):
        index = shown_columns(results, group, spectrum)
        truth, predicted = results.truth[name].values[index], results.predicted[name][index]
        panel.plot(truth, predicted, marker, color=colour, markersize=3.2, alpha=0.6, markeredgewidth=0.0)
    low, high = (min(panel.get_xlim()[0], panel.get_ylim()[0]), max(panel.get_xlim()[1], panel.get_ylim()[1]))
    panel.plot([low, high], [low, high], color=GREY, linewidth=0.9, zorder=1)
    panel.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(5))


def _draw_closure(figure: Figure, results: Results, spectrum: str) -> None:
    panel = figure.subplots()
    residuals = results.residuals(spectrum)
    shown = [np.maximum(residuals[shown_columns(results, group, spectrum)], SMALLEST_SHOWN) for group in results.groups]
    bins = np.logspace(np.log10(SMALLEST_SHOWN), 3.0, 58).tolist()  # three a decade
    panel.hist(shown, bins=bins, stacked=True, color=COLOURS[: len(shown)], edgecolor="white", linewidth=0.4)
    panel.set(xscale="log", xlim=(SMALLEST_SHOWN / 2.0, 1.0e3), ylabel="number of columns")
    panel.set(title=f"{spectrum} energy", xlabel="|heating − net flux| of a column [W m⁻²]")
    panel.set_xticks(SMALLEST_SHOWN * 1.0e3 ** np.arange(7), ["0", *(f"$10^{{{n}}}$" for n in range(-13, 5, 3))])
    panel.minorticks_off()
    before = float(results.summary["closure"][spectrum]["before"])
    for value, style, text in ((CLOSURE_LIMIT, ":", "limit"), (before, "--", "largest without\nthe constraint")):
        panel.axvline(value, color=GREY, linestyle=style, linewidth=1.3)
        panel.annotate(
            text,
            (value, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            horizontalalignment="right",
            verticalalignment="top",
            color=GREY,
        )
    _group_legend(figure, results, [Patch(color=colour) for colour in COLOURS])


def _group_legend(figure: Figure, results: Results, handles: Sequence[Artist]) -> None:
    """The groups of columns, below the panels."""
    titles = [group.title for group in results.groups]
    figure.legend(handles[: len(titles)], titles, loc="outside lower center", ncols=2, columnspacing=1.2)
