"""Pictures of evaluations: scores by level and by latitude, scores by variable, residuals of budgets."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
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

# of Okabe and Ito, told apart by every common colour vision; styles and hatches tell them apart in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
GREY = "#5b6670"
BELOW_ZERO = "#E69F00"  # orange, of no blue's lightness in between: R² < 0 is marked, not merely pale
NO_VALUE = "#c8c8c8"
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
LATITUDES = (-90, -60, -30, 0, 30, 60, 90)


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
    _save(path, lambda figure: _draw_level_profiles(figure, evaluations, metric), _profile_size(evaluations))


def draw_zonal_means(evaluations: Mapping[str, Evaluation], variables: Sequence[str], path: Path) -> None:
    """R² of zonal means on sin(latitude) and pressure, a row for each variable, a column for each evaluation.

    Bands have equal area; white lines mark R² of 0.7 and 0.9 as in ClimSim's own figure; orange is R² below 0, grey
    where the truth does not vary or no cell lies.

    Args:
        evaluations: by title.
        variables: names of outputs on levels.
        path: of the PNG file.
    Raises:
        EmagramError: if there is nothing to draw, or a variable is not on levels.
    """
    if not evaluations or not variables:
        raise EmagramError("zonal means: expected evaluations and variables to draw, got none")
    size = (1.4 + 2.7 * len(evaluations), 0.9 + 2.2 * len(variables))
    _save(path, lambda figure: _draw_zonal_means(figure, evaluations, variables), size)


def draw_scores(evaluations: Sequence[Evaluation], path: Path) -> None:
    """R², MAE and RMSE of every variable, a bar for each network: the mean over its seeds, a dot for each seed.

    Raises:
        EmagramError: if there is no evaluation, or their variables differ.
    """
    variables = _variables(evaluations, [str(row["variable"]) for row in evaluations[0].rows] if evaluations else [])
    n_network = len({e.network for e in evaluations})
    size = (8.6, 1.2 + len(variables) * (0.16 + 0.13 * n_network))
    _save(path, lambda figure: _draw_scores(figure, evaluations, variables), size)


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
    _save(path, lambda figure: _draw_budgets(figure, evaluation, budgets), (7.2, 0.7 + 2.0 * n_row))


def _save(path: Path, draw: Callable[[Figure], None], size: tuple[float, float]) -> None:
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


def _by_network(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(evaluation.network, []).append(evaluation)
    return groups


def _draw_level_profiles(figure: Figure, evaluations: Sequence[Evaluation], metric: str) -> None:
    variables, groups = _layered(evaluations), _by_network(evaluations)
    n_column = min(len(variables), 3)
    panels = figure.subplots(-(-len(variables) // 3), n_column, sharey=True, squeeze=False)
    for panel, variable in zip(panels.flat, variables, strict=False):
        for members, colour, line in zip(groups.values(), COLOURS, LINES, strict=False):
            profiles = np.stack([m.profiles[metric].sel(variable=variable).values for m in members])
            pressure = members[0].profiles["air_pressure"].values / 100.0
            panel.plot(profiles.mean(axis=0), pressure, color=colour, linestyle=line, linewidth=1.4)
            if len(members) > 1:
                low, high = profiles.min(axis=0), profiles.max(axis=0)
                panel.fill_betweenx(pressure, low, high, color=colour, alpha=0.22, linewidth=0.0)
        panel.set(title=variable_label(variable), ylim=(1013.0, 0.0))
        panel.grid(visible=True)
        panel.xaxis.set_major_locator(MaxNLocator(5))
        if metric == "r2":
            panel.set_xlim(0.0, 1.02)
    for panel in panels.flat[len(variables) :]:
        panel.set_visible(False)
    figure.supylabel("pressure [hPa]", fontsize=9.0)
    figure.supxlabel(METRIC_LABELS[metric], fontsize=9.0)
    handles = [
        Line2D([], [], color=c, linestyle=s, linewidth=1.4) for _, c, s in zip(groups, COLOURS, LINES, strict=False)
    ]
    figure.legend(handles, _group_titles(groups), loc="outside upper center", ncols=min(len(groups), 4))


def _group_titles(groups: Mapping[str, Sequence[Evaluation]]) -> list[str]:
    return [f"{name} ({len(m)} seed{'s' if len(m) > 1 else ''})" for name, m in groups.items()]


def r2_colours() -> Colormap:
    """White at 0 to dark blue at 1, of evenly falling lightness; orange below 0, grey without a value."""
    colours = LinearSegmentedColormap.from_list("r2", ["#ffffff", "#b9d6ea", "#5fa2ce", "#1f6aa8", "#08204a"])
    colours.set_under(BELOW_ZERO)
    colours.set_bad(NO_VALUE)
    return colours


def _draw_zonal_means(figure: Figure, evaluations: Mapping[str, Evaluation], variables: Sequence[str]) -> None:
    panels = figure.subplots(len(variables), len(evaluations), sharex=True, sharey=True, squeeze=False)
    mesh = None
    for row, variable in zip(panels, variables, strict=True):
        for panel, (title, evaluation) in zip(row, evaluations.items(), strict=True):
            mesh = _draw_zonal_mean(panel, evaluation, variable)
            panel.set_title(f"{title}: {variable_label(variable)}")
    for panel in panels[-1]:
        panel.set_xticks(np.sin(np.deg2rad(LATITUDES)).tolist(), [_latitude_label(latitude) for latitude in LATITUDES])
    figure.supylabel("pressure [hPa]", fontsize=9.0)
    figure.supxlabel("latitude (equal areas)", fontsize=9.0)
    bar = figure.colorbar(mesh, ax=panels, extend="min", aspect=30)  # type: ignore[arg-type]
    bar.set_label("R² of zonal means [1]; orange: below 0, grey: no value")


def _draw_zonal_mean(panel: Axes, evaluation: Evaluation, variable: str) -> Any:
    profiles = evaluation.profiles
    if variable not in profiles["variable"].values:
        raise EmagramError(f"zonal mean: expected a variable of {profiles['variable'].values}, got '{variable}'")
    r2 = profiles["zonal_mean_r2"].sel(variable=variable).values.T
    bounds = profiles["sine_of_latitude_bound"].values
    pressure = profiles["air_pressure"].values / 100.0
    mesh = panel.pcolormesh(bounds, _edges(pressure), np.ma.masked_invalid(r2), cmap=r2_colours(), vmin=0.0, vmax=1.0)
    middle = 0.5 * (bounds[1:] + bounds[:-1])
    if np.nanmax(np.append(r2, 0.0)) > 0.7 and min(r2.shape) > 1:
        lines = panel.contour(middle, pressure, r2, [0.7, 0.9], colors="white", linewidths=1.0)
        panel.clabel(lines, fontsize=6.5)
    panel.set(ylim=(1013.0, 0.0), xlim=(-1.0, 1.0))
    return mesh


def _edges(pressure: Array) -> Array:
    """Boundaries half-way between levels, the outer ones as far out as the inner ones are in, not below 0."""
    inner = 0.5 * (pressure[1:] + pressure[:-1])
    outer = (2.0 * pressure[0] - inner[0], 2.0 * pressure[-1] - inner[-1])
    return np.concatenate([[max(outer[0], 0.0)], inner, [outer[1]]])


def _latitude_label(latitude: int) -> str:
    return "0°" if latitude == 0 else f"{abs(latitude)}°{'N' if latitude > 0 else 'S'}"


def _draw_scores(figure: Figure, evaluations: Sequence[Evaluation], variables: Sequence[str]) -> None:
    groups = _by_network(evaluations)
    panels = figure.subplots(1, 3, sharey=True)
    height = 0.8 / len(groups)
    for panel, metric in zip(panels, ("r2", "mae", "rmse"), strict=True):
        for number, (members, colour, hatch) in enumerate(zip(groups.values(), COLOURS, HATCHES, strict=False)):
            values = np.array([[float(m.row(v)[metric]) for v in variables] for m in members])  # type: ignore[arg-type]
            if metric == "r2":
                values = np.maximum(values, 0.0)  # keeps NaN
            place = np.arange(len(variables)) + (number - 0.5 * (len(groups) - 1)) * height
            panel.barh(place, values.mean(axis=0), height, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4)
            for row in values:
                panel.plot(row, place, "o", color="black", markersize=1.8, markeredgewidth=0.0)
        panel.grid(visible=True, axis="x")
        panel.set_xlabel(METRIC_LABELS[metric] + (", 0 if below" if metric == "r2" else ""))
        panel.set_xlim(0.0, 1.02 if metric == "r2" else None)
    panels[0].set_yticks(range(len(variables)), [variable_label(name) for name in variables])
    panels[0].set_ylim(len(variables) - 0.4, -0.6)
    bars = [c for c in panels[0].containers]
    figure.legend(bars, _group_titles(groups), loc="outside upper center", ncols=min(len(groups), 4))


def _draw_budgets(figure: Figure, evaluation: Evaluation, budgets: Sequence[str]) -> None:
    panels = figure.subplots(-(-len(budgets) // 2), 2, squeeze=False)
    for panel, name in zip(panels.flat, budgets, strict=False):
        _draw_budget(panel, name, evaluation.budgets[name])
    for panel in panels.flat[len(budgets) :]:
        panel.set_visible(False)
    handles = [
        Line2D([], [], color=COLOURS[1], linewidth=1.6),
        Line2D([], [], color=COLOURS[0], linewidth=1.6, ls="--"),
    ]
    figure.legend(handles, [evaluation.network, "truth"], loc="outside upper center", ncols=2)
    figure.supylabel("number of columns", fontsize=9.0)


def _draw_budget(panel: Axes, name: str, kinds: Mapping[str, Mapping[str, Any]]) -> None:
    edges = SMALLEST * 10.0 ** (np.arange(N_BIN + 1) / BINS_PER_DECADE)
    unit = ""
    for kind, colour, line in (("prediction", COLOURS[1], "-"), ("truth", COLOURS[0], "--")):
        summary = kinds[kind]
        if "skipped" in summary:
            text = f"{kind}: not given"
            panel.text(0.03, 0.93 if kind == "truth" else 0.82, text, transform=panel.transAxes, color=GREY, va="top")
            continue
        panel.stairs(summary["histogram"], edges, color=colour, linestyle=line, linewidth=1.4)
        unit = str(summary["unit"])
        if summary["threshold"]:
            panel.axvline(summary["threshold"], color=GREY, linestyle=":", linewidth=1.0)
    panel.set(xscale="log", yscale="log", xlim=(SMALLEST, edges[-1]), ylim=(0.5, None))
    panel.set_title(name.replace("_", " "))
    panel.set_xlabel(f"|residual| [{unit}]" if unit else "|residual|")
    panel.set_xticks([10.0**n for n in range(-18, 7, 6)])
    panel.minorticks_off()
    panel.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:g}"))
