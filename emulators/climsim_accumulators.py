"""What an evaluation accumulates on a grid of cells while its times stream by: scores of outputs, budgets."""

import numpy as np
import torch
from torch import Tensor

from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .climsim_budget_statistics import BudgetStatistics
from .climsim_budgets import BUDGETS, Budget, ColumnState, column_budgets, missing_fields
from .climsim_metrics import METRICS, ErrorMoments, crps
from .data.climsim_grid import ColumnGrid


class Cells:
    """Area weights and latitude bands of a grid.

    `area_weight` is area / mean(area) (n_cell, 1); `band_weight` (n_band, n_cell) takes area-weighted means over the
    cells of each band, NaN in a band without cells.
    """

    def __init__(self, grid: ColumnGrid, n_band: int) -> None:
        self.area = torch.as_tensor(np.asarray(grid.area), dtype=torch.float64)
        latitude = torch.as_tensor(np.asarray(grid.latitude), dtype=torch.float64)
        if self.area.ndim != 1 or latitude.shape != self.area.shape or not bool((self.area > 0.0).all()):
            raise EmagramError(
                "grid: expected positive areas (n_cell,) and as many latitudes, "
                f"got shapes {tuple(self.area.shape)} and {tuple(latitude.shape)}"
            )
        if not bool((latitude.abs() <= 90.0).all()):
            raise EmagramError(f"grid: expected latitudes from -90 to 90 degrees, got {float(latitude.abs().max()):g}")
        self.n_cell, self.n_band = len(self.area), n_band
        self.index = torch.arange(self.n_cell)
        self.area_weight = (self.area / self.area.mean()).unsqueeze(1)
        # bands equal in sin(latitude), that is in area, from south to north
        band = ((torch.sin(torch.deg2rad(latitude)) + 1.0) * 0.5 * n_band).long().clamp(max=n_band - 1)
        self.band_present = torch.bincount(band, minlength=n_band).nonzero()[:, 0]
        weight = torch.zeros(n_band, self.n_cell, dtype=torch.float64)
        weight[band, self.index] = self.area
        self.band_weight = weight / weight.sum(dim=1, keepdim=True)


class OutputScores:
    """What is accumulated of one output.

    `energy` holds errors by cell in W m-2, `native` those of all columns in its own unit, `zonal` those of its zonal
    means in its own unit.
    """

    def __init__(self, name: str, size: int, cells: Cells, n_step_mean: int) -> None:
        self.name, self.cells, self.n_step_mean = name, cells, n_step_mean
        self.energy = ErrorMoments(cells.n_cell, size)
        self.native = ErrorMoments(1, size)
        self.zonal = ErrorMoments(cells.n_band, size)
        self.crps_sum = torch.zeros(cells.n_cell, size, dtype=torch.float64)
        self.n_crps = 0
        self._steps: list[Tensor] = []

    def add(self, ensemble: Tensor, target: Tensor, factor: Tensor | float) -> None:
        """Add one time: members (n_member, n_cell[, n_value]), truth (n_cell[, n_value]), energy factor."""
        ensemble = ensemble.reshape(len(ensemble), self.cells.n_cell, -1)
        target = target.double().reshape(self.cells.n_cell, -1)
        prediction = ensemble.mean(dim=0)
        try:
            self.native.add(prediction, target)
        except EmagramError as error:
            raise EmagramError(f"output '{self.name}', {error}") from error
        weight = factor * self.cells.area_weight
        self.energy.add(weight * prediction, weight * target, self.cells.index)
        if len(ensemble) > 1:
            self.crps_sum += crps(weight * ensemble, weight * target)
            self.n_crps += 1
        self._add_zonal_mean(prediction, target)

    def _add_zonal_mean(self, prediction: Tensor, target: Tensor) -> None:
        weight, band = self.cells.band_weight, self.cells.band_present
        self._steps.append(torch.stack([weight @ prediction, weight @ target]))
        if len(self._steps) == self.n_step_mean:
            mean = torch.stack(self._steps).mean(dim=0)
            self.zonal.add(mean[0, band], mean[1, band], band)
            self._steps.clear()

    def row(self) -> dict[str, object]:
        """Its row of the table of scores."""
        variable = VARIABLES[self.name]
        return {
            "variable": self.name,
            "climsim": variable.aliases.get("climsim", ""),
            **{metric: self.energy.score(metric) for metric in METRICS},
            "r2_pooled": self.energy.r2_pooled,
            "r2_global": self.native.score("r2"),
            "r2_undefined": self.energy.n_undefined,
            "crps": float(self.crps_sum.mean()) / self.n_crps if self.n_crps else float("nan"),
            "native_unit": variable.unit,
            **{f"native_{metric}": self.native.score(metric) for metric in ("mae", "rmse", "bias")},
        }


class BudgetScores:
    """Statistics of the budgets of a prediction, or of the truth."""

    def __init__(self, area: Tensor) -> None:
        self.area = area
        self.statistics: dict[str, BudgetStatistics] = {}
        self.missing: dict[str, tuple[str, ...]] = {}

    def add(self, state: ColumnState) -> None:
        """Add the columns of one time."""
        residuals = column_budgets(state)
        for budget in BUDGETS:
            if budget.name in residuals:
                self.statistics.setdefault(budget.name, BudgetStatistics(budget)).add(residuals[budget.name], self.area)
            else:
                self.missing[budget.name] = missing_fields(budget, state)

    def summary(self, budget: Budget) -> dict[str, object]:
        """What BudgetStatistics summarises, or `skipped` and why."""
        if budget.name in self.statistics:
            return self.statistics[budget.name].summary()
        return {"skipped": f"there is no {', '.join(self.missing[budget.name])}"}
