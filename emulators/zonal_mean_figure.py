"""A picture of the R² of zonal means on sin(latitude) and pressure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..physics.errors import EmagramError
from .climsim_scores import Evaluation
from .evaluation_figures import Array, pressure_edges, save_picture, variable_label

BELOW_ZERO, BELOW_ZERO_HATCH = "#E69F00", "////"  # the hatches tell them from blues of the same grey
NO_VALUE, NO_VALUE_HATCH = "#c8c8c8", "...."
HATCH_COLOUR = "#6b6b6b"
R2_LINES = {0.7: 0.7, 0.9: 1.5}  # and their width [pt]
LATITUDES = (-60, -30, 0, 30, 60)


def draw_zonal_means(evaluations: Mapping[str, Evaluation], variables: Sequence[str], path: Path) -> None:
    """R² of zonal means on sin(latitude) and pressure, a row for each variable, a column for each evaluation.

    Bands have equal area; white lines mark R² of 0.7 and 0.9 as in ClimSim's own figure; hatched orange is R² below 0,
    dotted grey where the truth does not vary or no cell lies.

    Args:
        evaluations: by title.
        variables: names of outputs on levels.
        path: of the PNG file.
    Raises:
        EmagramError: if there is nothing to draw, or a variable is not on levels.
    """
    if not evaluations or not variables:
        raise EmagramError("zonal means: expected evaluations and variables to draw, got none")
    size = (1.6 + 2.7 * len(evaluations), 0.9 + 2.2 * len(variables))
    save_picture(path, lambda figure: _draw(figure, evaluations, variables), size)


def r2_colours() -> Colormap:
    """White at 0 to dark blue at 1, of evenly falling lightness; orange below 0, grey without a value."""
    colours = LinearSegmentedColormap.from_list("r2", ["#ffffff", "#b9d6ea", "#5fa2ce", "#1f6aa8", "#08204a"])
    return colours.with_extremes(under=BELOW_ZERO, bad=NO_VALUE)


def _draw(figure: Figure, evaluations: Mapping[str, Evaluation], variables: Sequence[str]) -> None:
    panels = figure.subplots(len(variables), len(evaluations), sharex=True, sharey=True, squeeze=False)
    for row, variable in zip(panels, variables, strict=True):
        for panel, (title, evaluation) in zip(row, evaluations.items(), strict=True):
            mesh = _draw_panel(panel, evaluation, variable)
            panel.set_title(f"{title}: {variable_label(variable)}")
    for panel in panels[-1]:
        panel.set_xticks(np.sin(np.deg2rad(LATITUDES)).tolist(), [_degrees(latitude) for latitude in LATITUDES])
    figure.supylabel("pressure [hPa]", fontsize=9.0)
    figure.supxlabel("latitude (equal areas)", fontsize=9.0)
    bar = figure.colorbar(mesh, ax=panels, extend="min", aspect=30)
    for value, width in R2_LINES.items():
        bar.ax.axhline(value, color="white", linewidth=width)
    bar.set_label("R² of zonal means [1]\nhatched: below 0\ndotted: no value", fontsize=8.0)


def _draw_panel(panel: Axes, evaluation: Evaluation, variable: str) -> Any:
    profiles = evaluation.profiles
    known = profiles["variable"].values.tolist()
    if variable not in known:
        raise EmagramError(f"zonal mean: expected a variable of {known}, got '{variable}'")
    r2 = profiles["zonal_mean_r2"].sel(variable=variable).values.T
    bounds, pressure = profiles["sine_of_latitude_bound"].values, profiles["air_pressure"].values / 100.0
    edges = pressure_edges(pressure)
    mesh = panel.pcolormesh(bounds, edges, np.ma.masked_invalid(r2), cmap=r2_colours(), vmin=0.0, vmax=1.0)
    for where, hatch in ((r2 < 0.0, BELOW_ZERO_HATCH), (np.isnan(r2), NO_VALUE_HATCH)):
        panel.add_collection(_hatched_cells(bounds, edges, where, hatch))
    if min(r2.shape) > 1 and np.nanmax(np.append(r2, 0.0)) > min(R2_LINES):
        middle = 0.5 * (bounds[1:] + bounds[:-1])
        panel.contour(middle, pressure, r2, list(R2_LINES), colors="white", linewidths=list(R2_LINES.values()))
    panel.set(ylim=(edges[-1], 0.0), xlim=(-1.0, 1.0))
    return mesh


def _hatched_cells(x: Array, y: Array, where: NDArray[np.bool_], hatch: str) -> PolyCollection:
    """Hatches, and nothing else, in cells (len(y) − 1, len(x) − 1) between the boundaries x and y."""
    corners = [
        [(x[i], y[j]), (x[i + 1], y[j]), (x[i + 1], y[j + 1]), (x[i], y[j + 1])] for j, i in np.argwhere(where).tolist()
    ]
    return PolyCollection(corners, facecolor="none", edgecolor=HATCH_COLOUR, linewidth=0.0, hatch=hatch)


def _degrees(latitude: int) -> str:
    """As in 30°S."""
    return "0°" if latitude == 0 else f"{abs(latitude)}°{'N' if latitude > 0 else 'S'}"
