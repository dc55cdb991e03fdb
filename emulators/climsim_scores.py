"""What an evaluation found: as JSON, CSV and NetCDF, compared over seeds, networks and climates."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from ..physics.errors import EmagramError
from .atomic import write_atomically
from .climsim_metrics import KaggleScore
from .data.columns import write_columns
from .evaluation import summarise
from .tables import to_csv

FORMAT = 1
COMPARED = ("mae", "rmse", "bias", "r2", "r2_pooled", "r2_global")

Row = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of one emulator on one data set.

    Attributes:
        network, seed, data: what was evaluated on what.
        n_step, n_cell: number of times, and of cells at each.
        rows: one an output: `mae`, `rmse`, `bias` [W m-2] and `r2` as ClimSim defines them; `r2_pooled`, one R² of all
            cells and levels together about the means of the cells, in W m-2; `r2_global`, pooled over all columns about
            their common mean at each level, then averaged over the levels; `r2_undefined`, the number of cells and
            levels whose truth is constant, which `r2` leaves out; `crps` [W m-2] of an ensemble, otherwise NaN;
            `native_mae`, `native_rmse`, `native_bias` [native_unit] over all columns alike.
        budgets: by name, then for `prediction` and `truth`, as BudgetStatistics summarises them, or `skipped` and why.
        kaggle: the Kaggle score where every output of set v2 is there.
        profiles: metrics (variable, level) and `zonal_mean_r2` (variable, band, level), level 0 at the model top.
    """

    network: str
    seed: int | None
    data: str
    n_step: int
    n_cell: int
    rows: tuple[Row, ...]
    budgets: Mapping[str, Mapping[str, Mapping[str, object]]]
    kaggle: KaggleScore | None
    profiles: xr.Dataset

    def row(self, variable: str) -> Row:
        """The scores of an output; raises EmagramError if there is none of that name."""
        for row in self.rows:
            if row["variable"] == variable:
                return row
        raise EmagramError(f"evaluation: expected a variable of {[r['variable'] for r in self.rows]}, got '{variable}'")

    def labelled_rows(self) -> list[Row]:
        """The rows with `data`, `network` and `seed`."""
        return [{"data": self.data, "network": self.network, "seed": self.seed, **row} for row in self.rows]

    def to_json(self) -> str:
        """Everything but the profiles, with null for what is not a finite number."""
        content = {
            "format": FORMAT,
            **{name: getattr(self, name) for name in ("network", "seed", "data", "n_step", "n_cell")},
            "rows": list(self.rows),
            "kaggle": asdict(self.kaggle) if self.kaggle else None,
            "budgets": self.budgets,
        }
        return json.dumps(_without_nan(content), indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """The labelled rows, an empty cell for what is not a finite number."""
        return to_csv(_without_nan(self.labelled_rows())).decode()

    def write(self, folder: Path) -> None:
        """Write `evaluation.json`, `scores.csv` and `profiles.nc`, each complete or not at all.

        Raises:
            EmagramError: if there is no such folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise EmagramError(f"folder '{folder}': expected a folder to write into, got none of that name")
        profiles = self.profiles.assign_attrs(network=self.network, data=self.data)
        write_columns(profiles, folder / "profiles.nc")
        write_atomically(folder / "scores.csv", self.to_csv().encode())
        write_atomically(folder / "evaluation.json", self.to_json().encode())

    @classmethod
    def read(cls, folder: Path) -> "Evaluation":
        """What `write` left in a folder.

        Raises:
            EmagramError: if a file is missing or is not one that `write` made.
        """
        path = Path(folder) / "evaluation.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            content["rows"] = tuple(_with_nan(row) for row in content["rows"])
            content["kaggle"] = KaggleScore(**content["kaggle"]) if content["kaggle"] else None
            with xr.open_dataset(path.with_name("profiles.nc"), engine="netcdf4") as profiles:
                return cls(**content, profiles=profiles.load())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EmagramError(f"evaluation '{path}': expected the files of an evaluation, got '{error}'") from error


def compare_networks(evaluations: Sequence[Evaluation]) -> list[Row]:
    """Mean and spread of every score over the seeds of each network, by data set and variable.

    Returns:
        one row for each data set, network and variable: these, `members`, and `<score>_mean` and `<score>_spread`
        (sample standard deviation, 0 of a single member) in the units of the scores.
    """
    return summarise(
        [_numbers(row) for evaluation in evaluations for row in evaluation.labelled_rows()],
        ("data", "network", "variable"),
    )


def compare_climates(reference: Sequence[Evaluation], heldout: Sequence[Evaluation]) -> list[Row]:
    """Scores in the climate of training beside those in one that was held out, mean and spread over seeds.

    Evaluations are paired by network and seed, so the spread of a change is that of the change.

    Returns:
        one row for each network and variable: `reference` and `heldout`, the names of the data sets, `members`, and
        the mean and spread of `<score>_reference`, `<score>_heldout`, `mae_ratio`, `rmse_ratio` (held out over
        reference, 1 is no degradation) and `r2_loss`, `r2_pooled_loss`, `r2_global_loss` (reference less held out).
    Raises:
        EmagramError: if an evaluation has no partner, or one side comes from several data sets.
    """
    sides = {"reference": _by_member(reference, "reference"), "heldout": _by_member(heldout, "held out")}
    if sides["reference"].keys() != sides["heldout"].keys():
        raise EmagramError(
            f"held-out climate: expected the networks and seeds {sorted(sides['reference'], key=str)}, "
            f"got {sorted(sides['heldout'], key=str)}"
        )
    rows = []
    for member, evaluation in sides["reference"].items():
        other = sides["heldout"][member]
        for row in evaluation.rows:
            pair = _pair(row, other.row(str(row["variable"])))
            names = {"network": member[0], "reference": evaluation.data, "heldout": other.data}
            rows.append({**names, "variable": row["variable"], **pair})
    return summarise(rows, ("network", "reference", "heldout", "variable"))


def _by_member(evaluations: Sequence[Evaluation], side: str) -> dict[tuple[str, int | None], Evaluation]:
    data = {evaluation.data for evaluation in evaluations}
    members = {(evaluation.network, evaluation.seed): evaluation for evaluation in evaluations}
    if len(data) != 1 or len(members) != len(evaluations):
        raise EmagramError(
            f"climate '{side}': expected evaluations of different members on one data set, "
            f"got {len(evaluations)} of {len(members)} members on {sorted(data)}"
        )
    return members


def _pair(reference: Row, heldout: Row) -> dict[str, float]:
    pair: dict[str, float] = {}
    for score in COMPARED:
        before, after = _number(reference[score]), _number(heldout[score])
        pair |= {f"{score}_reference": before, f"{score}_heldout": after}
        if score in ("mae", "rmse"):
            pair[f"{score}_ratio"] = after / before if before > 0.0 else math.nan
        elif score != "bias":
            pair[f"{score}_loss"] = before - after
    return pair


def _numbers(row: Row) -> Row:
    return {name: _number(value) if name in COMPARED or name == "crps" else value for name, value in row.items()}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _with_nan(row: Mapping[str, object]) -> Row:
    """Scores that JSON holds as null are NaN again."""
    return {name: math.nan if value is None else value for name, value in row.items()}


def _without_nan(value: Any) -> Any:
    """The same with None for NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return value
