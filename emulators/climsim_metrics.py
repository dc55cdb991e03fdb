"""ClimSim's metrics: errors in W m⁻² by cell and level, accumulated in float64 while columns stream by.

The order of the means is part of the definition: over time in each cell and level, then over cells, then over levels
(Yu et al. 2023, ClimSim, doi:10.48550/arXiv.2306.08754). Level 0 is the model top.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..physics.constants import Constants
from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES, find

METRICS = ("mae", "rmse", "bias", "r2")

ZEROED_LEVEL = 12
"""The Kaggle score leaves out this many levels from the top of water and wind tendencies."""

KAGGLE_TARGETS: tuple[tuple[str, bool], ...] = tuple(
    (find(alias, "climsim").name, zeroed)
    for zeroed, aliases in (
        (False, "ptend_t"),
        (True, "ptend_q0001 ptend_q0002 ptend_q0003 ptend_u ptend_v"),
        (False, "cam_out_NETSW cam_out_FLWDS cam_out_PRECSC cam_out_PRECC"),
        (False, "cam_out_SOLS cam_out_SOLL cam_out_SOLSD cam_out_SOLLD"),
    )
    for alias in aliases.split()
)
"""Every output of set v2, in order, and whether its uppermost levels are left out of the Kaggle score."""


@dataclass
class ErrorMoments:
    """Sums of errors and truth over time, for each cell and value.

    Truth is held as count, mean and Σ(Y − Ȳ)², merged batch by batch, so that a mean far larger than the variation
    loses nothing and a constant truth has exactly no variance.

    Args:
        n_cell: number of cells; 1 pools all columns.
        n_value: values a column: n_level, or 1 for a quantity of the column.
    Source: Chan, Golub and LeVeque 1983, The American Statistician 37, 242–247, doi:10.1080/00031305.1983.10483115
    """

    n_cell: int
    n_value: int
    count: Tensor = field(init=False)
    error: Tensor = field(init=False)
    absolute_error: Tensor = field(init=False)
    squared_error: Tensor = field(init=False)
    mean: Tensor = field(init=False)
    squared_departure: Tensor = field(init=False)

    def __post_init__(self) -> None:
        if self.n_cell < 1 or self.n_value < 1:
            raise EmagramError(f"moments: expected at least one cell and value, got {self.n_cell} and {self.n_value}")
        self.count = torch.zeros(self.n_cell, 1, dtype=torch.float64)
        for name in ("error", "absolute_error", "squared_error", "mean", "squared_departure"):
            setattr(self, name, torch.zeros(self.n_cell, self.n_value, dtype=torch.float64))

    def add(self, prediction: Tensor, target: Tensor, cell: Tensor | None = None) -> None:
        """Add columns, each at one time.

        Args:
            prediction, target: (n_column, n_value), or (n_column,) where n_value is 1; any unit, the same for both.
            cell: (n_column,) int64, the cell of each column; None puts all into cell 0.
        Raises:
            EmagramError: if shapes or cells do not fit, or a value is not finite.
        """
        prediction, target = self._checked(prediction, "prediction"), self._checked(target, "target")
        if prediction.shape != target.shape:
            raise EmagramError(f"target: expected {len(prediction)} columns as in the prediction, got {len(target)}")
        if len(target) == 0:
            return
        cell = self._cell(cell, len(target))
        error = prediction - target
        self.error.index_add_(0, cell, error)
        self.absolute_error.index_add_(0, cell, error.abs())
        self.squared_error.index_add_(0, cell, error.square())
        count = torch.zeros_like(self.count).index_add_(0, cell, torch.ones(len(cell), 1, dtype=torch.float64))
        self._merge_truth(count, *_mean_and_departure(target, cell, count))

    def merge(self, other: "ErrorMoments") -> None:
        """Add what another accumulator of the same shape has seen.

        Raises:
            EmagramError: if the shapes differ.
        """
        if (other.n_cell, other.n_value) != (self.n_cell, self.n_value):
            raise EmagramError(
                f"moments: expected {self.n_cell} cells of {self.n_value} values, got {other.n_cell} of {other.n_value}"
            )
        self.error += other.error
        self.absolute_error += other.absolute_error
        self.squared_error += other.squared_error
        self._merge_truth(other.count, other.mean, other.squared_departure)

    @property
    def mae(self) -> Tensor:
        """Mean absolute error (n_cell, n_value), NaN in a cell without columns."""
        return self.absolute_error / self.count

    @property
    def rmse(self) -> Tensor:
        """Root-mean-square error (n_cell, n_value)."""
        return (self.squared_error / self.count).sqrt()

    @property
    def bias(self) -> Tensor:
        """Mean of prediction − target (n_cell, n_value)."""
        return self.error / self.count

    @property
    def r2(self) -> Tensor:
        """R² = 1 − Σe² / Σ(Y − Ȳ)² (n_cell, n_value), Ȳ the time mean of the cell; NaN where the truth is constant."""
        undefined = torch.full_like(self.squared_departure, torch.nan)
        return torch.where(self.squared_departure > 0.0, 1.0 - self.squared_error / self.squared_departure, undefined)

    @property
    def r2_pooled(self) -> float:
        """R² = 1 − ΣΣe² / ΣΣ(Y − Ȳ)² over all cells and values, which dry cells cannot spoil; NaN without variance.

        Sums of what was added: values that carry an area weight count with its square.
        """
        departure = float(self.squared_departure.sum())
        return 1.0 - float(self.squared_error.sum()) / departure if departure > 0.0 else float("nan")

    def profile(self, metric: str) -> Tensor:
        """A metric at each value, averaged over the cells (n_value,).

        The values carry the weight of the cell's area, so the mean is a simple one; R², in which the weight cancels,
        is averaged over the cells whose truth varies, and is NaN where there is none.

        Args:
            metric: `mae`, `rmse`, `bias` or `r2`.
        """
        values: Tensor = getattr(self, metric)
        return values.nanmean(dim=0) if metric == "r2" else values.mean(dim=0)

    def score(self, metric: str) -> float:
        """The profile of a metric averaged over its levels; for R² those that have one, NaN if none has."""
        return float(self.profile(metric).nanmean() if metric == "r2" else self.profile(metric).mean())

    @property
    def n_undefined(self) -> int:
        """Number of cells and values that have no R²."""
        return int((self.squared_departure <= 0.0).sum())

    def _merge_truth(self, count: Tensor, mean: Tensor, squared_departure: Tensor) -> None:
        total = self.count + count
        share = count / total.clamp(min=1.0)
        step = mean - self.mean
        self.squared_departure += squared_departure + step.square() * self.count * share
        self.mean += step * share
        self.count = total

    def _checked(self, values: Tensor, what: str) -> Tensor:
        values = values.double()
        if values.ndim == 1 and self.n_value == 1:
            values = values.unsqueeze(1)
        if values.ndim != 2 or values.shape[1] != self.n_value:
            raise EmagramError(f"{what}: expected shape (n_column, {self.n_value}), got {tuple(values.shape)}")
        if not bool(values.isfinite().all()):
            column = int((~values.isfinite()).any(dim=1).nonzero()[0])
            raise EmagramError(f"{what}: expected finite values, got NaN or infinity in column {column}")
        return values

    def _cell(self, cell: Tensor | None, n_column: int) -> Tensor:
        if cell is None:
            return torch.zeros(n_column, dtype=torch.int64)
        if cell.shape != (n_column,) or int(cell.min()) < 0 or int(cell.max()) >= self.n_cell:
            raise EmagramError(f"cell: expected {n_column} indices below {self.n_cell}, got {cell.tolist()[:8]}")
        return cell


def _mean_and_departure(target: Tensor, cell: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and Σ(Y − Ȳ)² of each cell in a batch, in two passes; cells without columns get 0."""
    index = cell.unsqueeze(1).expand_as(target)
    # a value of the cell itself as the origin makes the mean of equal values exactly that value
    origin = torch.zeros(len(count), target.shape[1], dtype=torch.float64)
    origin.scatter_reduce_(0, index, target, reduce="amin", include_self=False)
    mean = torch.zeros_like(origin).index_add_(0, cell, target - origin[cell])
    mean = origin + mean / count.clamp(min=1.0)
    return mean, torch.zeros_like(mean).index_add_(0, cell, (target - mean[cell]).square())


def energy_factor(
    name: str, inputs: Mapping[str, Tensor], *, thickness: Tensor, constants: Constants
) -> Tensor | float:
    """What turns a native unit into ClimSim's common W m⁻², without the area weight.

    Tendencies are weighted by Δp/g and by what they cost: cp for temperature, Lv for every water (vapour, liquid and
    ice alike), the wind speed |V| = √(u² + v²) before physics for u and v, so that |V| du is a rate of kinetic energy.
    Precipitation as a depth of water is weighted by Lv ρw; fluxes stay as they are.

    Args:
        name: of the output.
        inputs: with `eastward_wind` and `northward_wind` [m s-1] (n_column, n_level) for winds.
        thickness: Δp [Pa] (n_column, n_level).
    Returns:
        [W m-2 per native unit], (n_column, n_level) for tendencies, otherwise a number.
    Raises:
        EmagramError: if the unit has no energy, or the wind is missing.
    Source: Yu et al. 2023, doi:10.48550/arXiv.2306.08754. Its evaluation script takes |V| from normalised inputs; here
        it is that of the state.
    """
    unit, dimension = VARIABLES[name].unit, VARIABLES[name].dimension
    mass = thickness.double() / constants.gravity
    if unit == "K s-1":
        return constants.heat_capacity_dry_air * mass
    if unit == "kg kg-1 s-1":
        return constants.latent_heat_vaporization * mass
    if unit == "m s-2":
        for wind in ("eastward_wind", "northward_wind"):
            if wind not in inputs:
                raise EmagramError(f"energy of '{name}': expected the input '{wind}', got {sorted(inputs)}")
        return torch.hypot(inputs["eastward_wind"].double(), inputs["northward_wind"].double()) * mass
    if unit == "m s-1" and dimension == "column":  # a depth of rain, no wind
        return constants.latent_heat_vaporization * constants.density_liquid_water
    if unit == "W m-2":
        return 1.0
    raise EmagramError(f"energy of '{name}': expected a tendency, a precipitation rate or a flux, got unit '{unit}'")


def crps(ensemble: Tensor, truth: Tensor) -> Tensor:
    """Continuous ranked probability score of an ensemble, the fair (unbiased) form, in O(n log n).

    CRPS = 1/n Σᵢ|xᵢ − y| − 1/(n(n−1)) Σ_{i<j}|xᵢ − xⱼ|, where the sum over pairs of the sorted members is
    Σₖ k(n−k)(x₍ₖ₊₁₎ − x₍ₖ₎). In expectation it does not depend on n; single values may be negative.

    Args:
        ensemble: (n_member, ...), n_member ≥ 2.
        truth: (...), the same unit.
    Returns:
        (...), float64.
    Raises:
        EmagramError: if there are fewer than two members or the shapes differ.
    Source: Ferro 2014, Fair scores for ensemble forecasts, doi:10.1002/qj.2270
    """
    if ensemble.ndim == 0 or ensemble.shape[0] < 2:
        raise EmagramError(f"ensemble: expected at least 2 members, got shape {tuple(ensemble.shape)}")
    if ensemble.shape[1:] != truth.shape:
        raise EmagramError(f"ensemble: expected members of shape {tuple(truth.shape)}, got {tuple(ensemble.shape[1:])}")
    n = ensemble.shape[0]
    members = ensemble.double().sort(dim=0).values
    below = torch.arange(1, n, dtype=torch.float64)
    pairs: Tensor = torch.tensordot(below * (n - below), members.diff(dim=0), dims=1)
    distance = (members - truth.double()).abs().mean(dim=0)
    return distance - pairs / (n * (n - 1))


@dataclass(frozen=True)
class KaggleScore:
    """The score of the LEAP competition on Kaggle in 2024, on one data set.

    Attributes:
        scored: mean R² over the targets that count.
        with_zeroed: the same over all targets, where a zeroed one, 0 predicted for 0, counts as R² = 1.
        n_scored: number of targets that count, 308 on 60 levels.
        n_constant: how many of those had a constant truth; R² is then 1 if predicted exactly, otherwise 0.
    """

    scored: float
    with_zeroed: float
    n_scored: int
    n_constant: int


def kaggle_score(moments: Mapping[str, ErrorMoments]) -> KaggleScore:
    """Mean R² over the 368 targets of set v2, those of levels 0–11 of q1, q2, q3, u and v zeroed.

    R² of a target is taken over all columns and times together, unweighted, about their common mean.

    Args:
        moments: of every target of KAGGLE_TARGETS, pooled (n_cell = 1), in native or any fixed unit.
    Raises:
        EmagramError: if a target is missing, not pooled, or has too few levels.
    """
    r2, n_zeroed, n_constant = [], 0, 0
    for name, zeroed in KAGGLE_TARGETS:
        if name not in moments:
            raise EmagramError(f"kaggle score: expected every target of set v2, got none named '{name}'")
        target = moments[name]
        first = ZEROED_LEVEL if zeroed else 0
        if target.n_cell != 1 or target.n_value <= first:
            raise EmagramError(
                f"kaggle score of '{name}': expected 1 pooled cell of more than {first} values, "
                f"got {target.n_cell} of {target.n_value}"
            )
        values, exact = target.r2[0, first:], target.squared_error[0, first:] == 0.0
        n_zeroed += first
        n_constant += int(values.isnan().sum())
        r2.append(torch.where(values.isnan(), exact.double(), values))
    scored = torch.cat(r2)
    total = float(scored.sum())
    return KaggleScore(total / len(scored), (total + n_zeroed) / (len(scored) + n_zeroed), len(scored), n_constant)
