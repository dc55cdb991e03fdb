"""Pictures of evaluations: scores by level and by variable, residuals of budgets."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .atomic import write_atomically
from .climsim_budget_statistics import BINS_PER_DECADE, N_BIN, SMALLEST
from .climsim_scores import Evaluation

Array = NDArray[np.float64]

# of Okabe and Ito, told apart by every common colour vision; lines and markers tell them apart in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "^", "s", "D", "v", "P")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
GREY = "#5b6670"
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "grid.color": "#dfe3e7",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
LABELS = {
    "ptend_t": "dT/dt",
    "ptend_q0001": "dqv/dt",
    "ptend_q0002": "dql/dt",
    "ptend_q0003": "dqi/dt",
    "ptend_qn": "dqn/dt",
    "ptend_u": "du/dt",
    "ptend_v": "dv/dt",
}
METRIC_LABELS = {"mae": "MAE [W m⁻²]", "rmse": "RMSE [W m⁻²]", "bias": "bias [W m⁻²]", "r2": "R² [1]"}


def variable_label(name: str) -> str:
    """A short name for a picture: `dT/dt`, `NETSW`, or the name itself."""
    alias = VARIABLES[name].aliases.get("climsim", name)
    return LABELS.get(alias, alias.removeprefix("cam_out_"))


def draw_level_profiles(evaluations: Sequence[Evaluation], metric: str, path: Path) -> None:
    """A metric by level, a panel for each variable, a line for each network: the mean over its seeds in their range.

    Args:
        evaluations: on one data set.
        metric: `mae`, `rmse`, `bias` or `r2`; R² is cut at 0, below which a level mean is the better emulator.
        path: of the PNG file.
    Raises:
        EmagramError: if there is no evaluation, or their variables differ.
    """
    save_picture(path, lambda figure: _draw_level_profiles(figure, evaluations, metric), _profile_size(evaluations))


def draw_scores(evaluations: Sequence[Evaluation], path: Path) -> None:
    """R², MAE and RMSE of every variable, a marker for each network: the mean over its seeds, with their range.

    R² below 0 lies at 0 as an open marker.

    Raises:
        EmagramError: if there is no evaluation, or their variables differ.
    """
    variables = _variables(evaluations, [str(row["variable"]) for row in evaluations[0].rows] if evaluations else [])
    n_network = len({e.network for e in evaluations})
    size = (8.6, 1.2 + len(variables) * (0.12 + 0.09 * n_network))
    save_picture(path, lambda figure: _draw_scores(figure, evaluations, variables), size)


def draw_budgets(evaluation: Evaluation, budgets: Sequence[str], path: Path) -> None:
    """Histograms of the magnitude of residuals of the prediction and of the truth, both axes logarithmic.

    Args:
        budgets: names of budgets, a panel for each; one without statistics says why.
        path: of the PNG file.
    Raises:
        EmagramError: if a budget is unknown or none is asked for.
    """
    unknown = [name for name in budgets if name not in evaluation.budgets]
    if unknown or not budgets:
        raise EmagramError(f"budgets: expected names of {sorted(evaluation.budgets)}, got {unknown or 'none'}")
    n_row = (len(budgets) + 1) // 2
    save_picture(path, lambda figure: _draw_budgets(figure, evaluation, budgets), (7.2, 0.7 + 2.0 * n_row))


def save_picture(path: Path, draw: Callable[[Figure], None], size: tuple[float, float]) -> None:
    """Draw a figure of a size [inch] in the style of these pictures, and write it as PNG once it is complete."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=200)
    write_atomically(path, stream.getvalue())


def _variables(evaluations: Sequence[Evaluation], first: Sequence[str]) -> list[str]:
    """The variables that all evaluations must have."""
    if not evaluations:
        raise EmagramError("picture: expected at least one evaluation, got none")
    for evaluation in evaluations:
        found = [row["variable"] for row in evaluation.rows]
        if found != [row["variable"] for row in evaluations[0].rows]:
            raise EmagramError(f"picture: expected evaluations of the same variables, got {found}")
    return list(first)


def _layered(evaluations: Sequence[Evaluation]) -> list[str]:
    return _variables(evaluations, evaluations[0].profiles["variable"].values.tolist() if evaluations else [])


def _profile_size(evaluations: Sequence[Evaluation]) -> tuple[float, float]:
    n_panel = len(_layered(evaluations))
    n_column = min(n_panel, 3)
    return 0.8 + 2.3 * n_column, 0.8 + 2.7 * -(-n_panel // 3)


def pressure_edges(pressure: Array) -> Array:
    """Boundaries half-way between levels, the outer ones as far out as the inner ones are in, not below 0.

    Args:
        pressure: any unit (n_level,), n_level ≥ 2.
    Returns:
        the same unit (n_level + 1,).
    """
    inner = 0.5 * (pressure[1:] + pressure[:-1])
    outer = (2.0 * pressure[0] - inner[0], 2.0 * pressure[-1] - inner[-1])
    return np.concatenate([[max(outer[0], 0.0)], inner, [outer[1]]])


def _by_network(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(evaluation.network, []).append(evaluation)
    return groups


def _draw_level_profiles(figure: Figure, evaluations: Sequence[Evaluation], metric: str) -> None:
    variables, groups = _layered(evaluations), _by_network(evaluations)
    n_column = min(len(variables), 3)
    panels = figure.subplots(-(-len(variables) // 3), n_column, sharey=True, squeeze=False)
    lowest = max(float(pressure_edges(e.profiles["air_pressure"].values)[-1]) for e in evaluations) / 100.0
    for panel, variable in zip(panels.flat, variables, strict=False):
        for members, colour, line in zip(groups.values(), COLOURS, LINES, strict=False):
            profiles = np.stack([m.profiles[metric].sel(variable=variable).values for m in members])
            pressure = members[0].profiles["air_pressure"].values / 100.0
            panel.plot(profiles.mean(axis=0), pressure, color=colour, linestyle=line, linewidth=1.4)
            if len(members) > 1:
                low, high = profiles.min(axis=0), profiles.max(axis=0)
                panel.fill_betweenx(pressure, low, high, color=colour, alpha=0.22, linewidth=0.0)
        panel.set(title=variable_label(variable), ylim=(lowest, 0.0))
        panel.grid(visible=True)
        panel.xaxis.set_major_locator(MaxNLocator(5))
        if metric == "r2":
            panel.set_xlim(0.0, 1.02)  # below 0 the time mean is the better emulator
    for panel in panels.flat[len(variables) :]:
        panel.set_visible(False)
    figure.supylabel("pressure [hPa]", fontsize=9.0)
    figure.supxlabel(METRIC_LABELS[metric] + (" (cut at 0)" if metric == "r2" else ""), fontsize=9.0)
    handles = [
        Line2D([], [], color=c, linestyle=s, linewidth=1.4) for _, c, s in zip(groups, COLOURS, LINES, strict=False)
    ]
    figure.legend(handles, _group_titles(groups), loc="outside upper center", ncols=min(len(groups), 4))


def _group_titles(groups: Mapping[str, Sequence[Evaluation]]) -> list[str]:
    return [f"{name} ({len(m)} seed{'s' if len(m) > 1 else ''})" for name, m in groups.items()]


def _draw_scores(figure: Figure, evaluations: Sequence[Evaluation], variables: Sequence[str]) -> None:
    groups = _by_network(evaluations)
    panels = figure.subplots(1, 3, sharey=True)
    for panel, metric in zip(panels, ("r2", "mae", "rmse"), strict=True):
        for number, members in enumerate(groups.values()):
            place = np.arange(float(len(variables))) + (number - 0.5 * (len(groups) - 1)) * 0.7 / len(groups)
            _draw_metric(panel, members, metric, place, number)
        panel.grid(visible=True, axis="x")
        panel.set_xlabel(METRIC_LABELS[metric] + (" (open: below 0)" if metric == "r2" else ""))
        if metric == "r2":
            panel.set_xlim(-0.03, 1.03)
        else:
            panel.set_xscale("log")
        for border in range(1, len(variables)):
            panel.axhline(border - 0.5, color="#dfe3e7", linewidth=0.6, zorder=0)
    panels[0].set_yticks(range(len(variables)), [variable_label(name) for name in variables])
    panels[0].set_ylim(len(variables) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", markersize=4.5)
        for _, colour, marker in zip(groups, COLOURS, MARKERS, strict=False)
    ]
    figure.legend(handles, _group_titles(groups), loc="outside upper center", ncols=min(len(groups), 4))


def _draw_metric(panel: Axes, members: Sequence[Evaluation], metric: str, place: Array, number: int) -> None:
    """One network: mean over seeds, and their range; a score that is nowhere defined has no marker."""
    variables = [str(row["variable"]) for row in members[0].rows]
    values = np.array([[float(m.row(v)[metric]) for v in variables] for m in members])  # type: ignore[arg-type]
    mean, low, high = values.mean(axis=0), values.min(axis=0), values.max(axis=0)
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    below = (mean < 0.0) & (metric == "r2")
    if metric == "r2":  # NaN stays
        mean, low, high = (np.where(v < 0.0, 0.0, v) for v in (mean, low, high))
    panel.hlines(place, low, high, color=colour, linewidth=1.3)
    panel.plot(mean[~below], place[~below], marker, color=colour, markersize=4.5)
    panel.plot(mean[below], place[below], marker, color=colour, markersize=4.5, markerfacecolor="white")


def _draw_budgets(figure: Figure, evaluation: Evaluation, budgets: Sequence[str]) -> None:
    panels = figure.subplots(-(-len(budgets) // 2), 2, squeeze=False)
    for panel, name in zip(panels.flat, budgets, strict=False):
        _draw_budget(panel, name, evaluation.budgets[name])
    for panel in panels.flat[len(budgets) :]:
        panel.set_visible(False)
    handles = [
        Line2D([], [], color=COLOURS[1], linewidth=1.4),
        Line2D([], [], color=COLOURS[0], linewidth=1.4, linestyle="--"),
        Line2D([], [], color=GREY, linewidth=1.0, linestyle=":"),
    ]
    figure.legend(handles, [evaluation.network, "truth", "threshold"], loc="outside upper center", ncols=3)
    figure.supylabel("number of columns", fontsize=9.0)


def _draw_budget(panel: Axes, name: str, kinds: Mapping[str, Mapping[str, Any]]) -> None:
    edges = SMALLEST * 10.0 ** (np.arange(N_BIN + 1) / BINS_PER_DECADE)
    panel.set_title(name.replace("_", " ").replace("toa", "TOA").replace("olr", "OLR"))
    panel.set(xscale="log", yscale="log", xlim=(SMALLEST / 4.0, edges[-1]))
    quantity = "net radiation" if name == "B_diagnosed_toa_radiation" else "residual"
    for kind, colour, line in (("prediction", COLOURS[1], "-"), ("truth", COLOURS[0], "--")):
        summary = kinds[kind]
        if "skipped" in summary:
            height = 0.93 if kind == "truth" else 0.82
            panel.text(0.03, height, f"{kind}: outputs missing", transform=panel.transAxes, color=GREY, va="top")
            continue
        panel.stairs(summary["histogram"], edges, color=colour, linestyle=line, linewidth=1.4, zorder=2.5)
        panel.set_xlabel(f"|{quantity}| [{_unit(summary['unit'])}]")
        if summary["threshold"]:
            panel.axvline(summary["threshold"], color=GREY, linestyle=":", linewidth=1.0)
    panel.set_ylim(0.5, None if len(panel.patches) else 1000.0)
    panel.set_xticks([10.0**n for n in range(-18, 7, 6)], ["0", *(f"$10^{{{n}}}$" for n in range(-12, 7, 6))])
    panel.minorticks_off()
    panel.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:g}"))


def _unit(unit: str) -> str:
    """As it is printed, `kg m-2` as kg m⁻²."""
    return re.sub(r"-?\d+", lambda power: power[0].translate(SUPERSCRIPTS), unit)
