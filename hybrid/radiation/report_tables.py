"""Tables of the report, and the scores they and its verdict are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...emulators.experiment import TEST_SPLITS
from ...physics.errors import EmagramError
from ..markup import fixed, judged, scientific, table, text, unit
from .figures import CLOSURE_LIMIT
from .results import SPECTRA, Results

Row = Mapping[str, Any]

NETWORK, RIDGE, LEVEL_MEAN = "dense", "ridge", "level mean"
NATIVE_LIMIT = 2.0
"""The largest error allowed to the library, in units of the error of PyTorch in real32."""


@dataclass(frozen=True)
class Score:
    """A score of `emulators.evaluation.evaluate`: its key, heading (HTML), unit, and key of the bias shown below it."""

    key: str
    heading: str
    unit: str
    bias: str | None = None

    def better(self, row: Row, other: Row) -> bool:
        """Whether the first emulator scores better than the second."""
        ours, theirs = row[f"{self.key}_mean"], other[f"{self.key}_mean"]
        return bool(ours > theirs if self.key.endswith("_r2") else ours < theirs)


SCORES = (
    Score("longwave_heating_rmse", "LW heating<br>RMSE", "K day-1"),
    Score("longwave_heating_r2", "LW heating<br>R²", "1"),
    Score("shortwave_heating_rmse", "SW heating<br>RMSE", "K day-1"),
    Score("shortwave_heating_r2", "SW heating<br>R²", "1"),
    Score("outgoing_longwave_rmse", "outgoing LW<br>RMSE", "W m-2", "outgoing_longwave_bias"),
    Score("surface_down_longwave_rmse", "LW down<br>RMSE", "W m-2", "surface_down_longwave_bias"),
    Score("reflected_shortwave_rmse", "reflected SW<br>RMSE", "W m-2", "reflected_shortwave_bias"),
    Score("surface_down_shortwave_rmse", "SW down<br>RMSE", "W m-2", "surface_down_shortwave_bias"),
)


def score_row(results: Results, emulator: str, columns: str) -> Row:
    """Scores of an emulator on a set of columns; ridge and network are those with the inputs of the exported model.

    Raises:
        EmagramError: if the summary has no such row.
    """
    features = "" if emulator == LEVEL_MEAN else results.summary["best"]["features"]
    for row in results.summary["scores"]:
        if (row["emulator"], row["features"], row["columns"]) == (emulator, features, columns):
            return dict(row)
    raise EmagramError(f"summary 'scores': expected a row '{emulator}' '{features}' of '{columns}', got none")


def mean_and_spread(row: Row, key: str) -> str:
    """Mean over the seeds ± their standard deviation; one member has no spread."""
    digits = 3 if "heating" in key else 2
    mean = fixed(row[f"{key}_mean"], digits)
    return f"{mean} ± {fixed(row[f'{key}_spread'], digits)}" if row["members"] > 1 else mean


def accuracy_tables(results: Results) -> str:
    """One table for each set of columns: emulators against scores."""
    return "\n".join(_accuracy_table(results, columns, title) for columns, title in TEST_SPLITS.items())


def _accuracy_table(results: Results, columns: str, title: str) -> str:
    rows = [row for row in results.summary["scores"] if row["columns"] == columns]
    if not rows:
        raise EmagramError(f"summary 'scores': expected rows of '{columns}', got none")
    head = ["emulator", *(f"{score.heading}<br><small>[{unit(score.unit)}]</small>" for score in SCORES)]
    body = [[_emulator(row, results), *(_score(row, score, rows) for score in SCORES)] for row in rows]
    number = results.summary["split"][columns]
    return table(f"<b>{title[0].upper()}{title[1:]}</b>, {text(number)} columns", head, body)


def _emulator(row: Row, results: Results) -> str:
    """Its name, inputs and number of seeds."""
    inputs = f", {text(row['features'].replace('_', '-'))} inputs" if row["features"] else ""
    best = results.summary["best"]
    details = []
    if row["members"] > 1:
        details.append(f"{row['members']} seeds")
    if (row["emulator"], row["features"]) == (NETWORK, best["features"]):
        details.append(f"seed {text(best['seed'])} exported")
    small = f"<br><small>{', '.join(details)}</small>" if details else ""
    name = f"{row['emulator']} network" if row["emulator"] == NETWORK else row["emulator"]
    return f"{text(name)}{inputs}{small}"


def _score(row: Row, score: Score, rows: list[Row]) -> str:
    """Mean ± spread, bold where no other emulator is better, and the bias in small print."""
    cell = mean_and_spread(row, score.key)
    if not any(score.better(other, row) for other in rows):
        cell = f"<b>{cell}</b>"
    if score.bias is not None:
        cell += f"<br><small>bias {fixed(row[f'{score.bias}_mean'])}</small>"
    return cell


def closure_table(results: Results) -> str:
    """Largest residuals: without the constraint, as the run reported, and of the file read for this page."""
    head = [
        f"{title}<br><small>[{unit('W m-2')}]</small>"
        for title in ("without the constraint", "with it, as reported", "with it, from the file", "limit")
    ]
    rows = []
    for spectrum in SPECTRA:
        entry, ours = results.summary["closure"][spectrum], results.largest_residual(spectrum)
        cells = [fixed(entry["before"]), scientific(entry["after"]), judged(scientific(ours), ours <= CLOSURE_LIMIT)]
        rows.append([spectrum, *cells, scientific(CLOSURE_LIMIT)])
    caption = f"<b>Largest residual in magnitude</b> of {int(results.accepted.sum())} columns"
    return table(caption, ["budget", *head], rows)


def arithmetic_table(results: Results) -> str:
    """Largest error of every output against real64, of the library and of PyTorch in real32."""
    head = ["output", "unit", "native library", "PyTorch, real32", f"ratio<br><small>limit {NATIVE_LIMIT:g}</small>"]
    rows = [
        [
            text(name.replace("_", " ")),
            unit(entry["unit"]),
            scientific(entry["native"]),
            scientific(entry["torch_fp32"]),
            judged(fixed(entry["ratio"]), entry["ratio"] <= NATIVE_LIMIT),
        ]
        for name, entry in results.summary["native_error"].items()
    ]
    return table("<b>Largest error against real64</b>, in the unit of the output", head, rows)
