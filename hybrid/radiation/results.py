"""What a run of the demo left in its folder, read and checked for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from ...emulators.data.columns import RADIATION_INPUTS, RADIATION_OUTPUTS, read_columns
from ...emulators.data.netcdf import open_netcdf
from ...emulators.experiment import TEST_SPLITS
from ...emulators.radiation import radiation_constraints
from ...physics.constants import Constants
from ...physics.errors import EmagramError

Array = NDArray[np.float64]

SPECTRA = ("longwave", "shortwave")
COORDINATES = ("experiment_label", "site", "profile_weight")
SUMMARY_KEYS = (
    *("emagram", "truth", "licence", "quick", "ranks", "columns", "heldout_climates", "folds", "split"),
    *("scores", "best", "model", "programs", "bits_equal", "native_error", "closure", "rejected_columns", "seconds"),
)


@dataclass(frozen=True)
class Group:
    """Columns that are scored and drawn together: a title and their numbers, (n_column_of_group,)."""

    title: str
    index: NDArray[np.int64]


@dataclass(frozen=True)
class Results:
    """A finished run.

    Attributes:
        summary: contents of `summary.json`.
        truth: inputs, true outputs and coordinates of the predicted columns, as `read_columns` gives them.
        predicted: the outputs by name, (column, level) or (column), NaN where the program rejected a column.
        loss_png: the picture of the training.
    """

    summary: Mapping[str, Any]
    truth: xr.Dataset
    predicted: Mapping[str, Array]
    loss_png: bytes

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Columns whose outputs are all finite, (n_column)."""
        finite = [np.isfinite(np.atleast_2d(x.T)).all(axis=0) for x in self.predicted.values()]
        return np.asarray(np.all(finite, axis=0))

    @property
    def groups(self) -> tuple[Group, ...]:
        """Accepted columns of training climates and of held-out climates; a group without columns is left out."""
        heldout = np.isin(self.truth["experiment_label"].values.astype(str), self.summary["heldout_climates"])
        members = (self.accepted & ~heldout, self.accepted & heldout)
        pairs = zip(TEST_SPLITS.values(), members, strict=True)
        return tuple(Group(title, np.flatnonzero(member)) for title, member in pairs if member.any())

    def true_and_predicted(self, name: str, group: Group) -> tuple[Array, Array]:
        """An output of the columns of a group, in the unit of the variables table."""
        return self.truth[name].values[group.index], self.predicted[name][group.index]

    def residuals(self, spectrum: str) -> Array:
        """|Σ (cp/g) h Δp − net flux into the column| of what the program wrote [W m-2] (n_column), NaN if rejected."""
        fields = {name: torch.from_numpy(self.truth[name].values) for name in RADIATION_INPUTS}
        fields |= {name: torch.from_numpy(values) for name, values in self.predicted.items()}
        constraint = {c.name: c for c in radiation_constraints(Constants())}[spectrum]
        return np.asarray(constraint.residuals(fields)[spectrum].abs().numpy())

    def largest_residual(self, spectrum: str) -> float:
        """The largest over the accepted columns [W m-2]."""
        return float(np.nanmax(self.residuals(spectrum)))


def read_results(folder: Path) -> Results:
    """Read a run folder.

    Args:
        folder: with `summary.json`, `columns.nc`, `predictions.nc` and `train/loss.png`.
    Raises:
        EmagramError: if a file is missing or damaged, the two NetCDF files do not fit each other, or no column was
            accepted.
    """
    folder = Path(folder)
    truth = read_columns(folder / "columns.nc", (*RADIATION_INPUTS, *RADIATION_OUTPUTS))
    for name in COORDINATES:
        if name not in truth.coords:
            raise EmagramError(f"file '{folder / 'columns.nc'}': expected a coordinate '{name}', got none")
    predicted = _read_predictions(folder / "predictions.nc", truth)
    results = Results(_read_summary(folder / "summary.json"), truth, predicted, _read(folder / "train" / "loss.png"))
    if not results.accepted.any():
        raise EmagramError(f"file '{folder / 'predictions.nc'}': expected a column with finite outputs, got none")
    return results


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise EmagramError(f"file '{path}': expected a file of the run, got no such file")
    return path.read_bytes()


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(_read(path))
    except ValueError as error:  # not UTF-8 or not JSON
        if isinstance(error, EmagramError):
            raise
        raise EmagramError(f"file '{path}': expected JSON, got '{error}'") from error
    for key in SUMMARY_KEYS:
        if key not in summary:
            raise EmagramError(f"file '{path}': expected a key '{key}', got none")
    return dict(summary)


def _read_predictions(path: Path, truth: xr.Dataset) -> dict[str, Array]:
    """The outputs, NaN where the file holds a fill value."""
    with open_netcdf(path) as file:
        return {name: _read_prediction(file, name, truth[name]) for name in RADIATION_OUTPUTS}


def _read_prediction(file: netCDF4.Dataset, name: str, truth: xr.DataArray) -> Array:
    label = f"variable '{name}' of '{file.filepath()}'"
    if name not in file.variables:
        raise EmagramError(f"{label}: expected in the file, got no such variable")
    variable = file.variables[name]
    if (variable.dimensions, variable.shape) != (truth.dims, truth.shape):
        raise EmagramError(
            f"{label}: expected dimensions {truth.dims} of {truth.shape}, got {variable.dimensions} of {variable.shape}"
        )
    if getattr(variable, "units", None) != truth.attrs["units"]:
        raise EmagramError(
            f"{label}: expected unit '{truth.attrs['units']}', got '{getattr(variable, 'units', 'none')}'"
        )
    return np.ma.filled(np.ma.asarray(variable[...]).astype(np.float64), np.nan)
