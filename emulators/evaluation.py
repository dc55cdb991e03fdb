"""Scores of a radiation emulator on columns, in the units of the field."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import xarray as xr
from torch import Tensor

from ..physics.units import SECONDS_PER_DAY
from .emulator import ColumnEmulator, Fields
from .training.samples import Samples

TROPOSPHERE_PRESSURE = 1.0e4
"""[Pa]; layers of higher pressure are scored, the thin layers above hardly weigh on the climate below."""

SPECTRA = ("longwave", "shortwave")
SCORED_FLUXES = {
    "outgoing_longwave": "toa_outgoing_longwave_flux",
    "surface_down_longwave": "surface_downwelling_longwave_flux_in_air",
    "reflected_shortwave": "toa_outgoing_shortwave_flux",
    "surface_down_shortwave": "surface_downwelling_shortwave_flux_in_air",
}

Scores = dict[str, float]


@dataclass(frozen=True)
class ScoredColumns:
    """Columns to score: their samples and the weight of each in the mean over the globe, (n_column,)."""

    samples: Samples
    weight: Tensor

    @classmethod
    def from_dataset(cls, columns: xr.Dataset, emulator: ColumnEmulator) -> "ScoredColumns":
        """Columns of a data set with the coordinate `profile_weight`; raises EmagramError if a variable is missing."""
        weight = torch.tensor(columns["profile_weight"].values, dtype=torch.float64)
        return cls(Samples.from_dataset(columns, emulator.spec), weight)


@dataclass(frozen=True)
class Prediction:
    """Outputs for scored columns, and the residual of each budget before and after the constraints [W m-2]."""

    columns: ScoredColumns
    outputs: Fields
    residual_before: Fields
    residual_after: Fields

    @classmethod
    def together(cls, parts: Sequence["Prediction"]) -> "Prediction":
        """The predictions of several emulators, each for columns of its own, one after the other."""
        samples = Samples(
            _concatenate([part.columns.samples.inputs for part in parts]),
            _concatenate([part.columns.samples.targets for part in parts]),
        )
        return cls(
            ScoredColumns(samples, torch.cat([part.columns.weight for part in parts])),
            _concatenate([part.outputs for part in parts]),
            _concatenate([part.residual_before for part in parts]),
            _concatenate([part.residual_after for part in parts]),
        )


@torch.no_grad()
def predict(emulator: ColumnEmulator, columns: ScoredColumns) -> Prediction:
    """What an emulator makes of columns."""
    emulator.eval()
    inputs = columns.samples.inputs
    raw = emulator.decode(emulator.network(emulator.encode(inputs)), inputs)
    outputs = emulator.constrain(raw, inputs)
    return Prediction(columns, outputs, emulator.residuals(raw, inputs), emulator.residuals(outputs, inputs))


def evaluate(emulator: ColumnEmulator, columns: ScoredColumns) -> Scores:
    """Scores of an emulator on columns, see `score`."""
    return score(predict(emulator, columns))


def score(prediction: Prediction) -> Scores:
    """Scores of a prediction.

    For both spectra: `<spectrum>_heating_rmse` [K day-1], weighted by mass below 100 hPa and by the weights of the
    columns; `<spectrum>_heating_r2` [1], 1 − SSE / SST about the mean of each level over these columns, same weights.
    For each scored flux: `<flux>_rmse` and `<flux>_bias` [W m-2], prediction minus truth. For each budget:
    `<budget>_residual_before` and `_after` [W m-2], the largest in magnitude before and after the constraints.
    """
    samples, weight, outputs = prediction.columns.samples, prediction.columns.weight, prediction.outputs
    scores = _heating_scores(outputs, samples.targets, samples.inputs, weight)
    scores |= _flux_scores(outputs, samples.targets, weight)
    for name, residual in prediction.residual_after.items():
        scores[f"{name}_residual_before"] = float(prediction.residual_before[name].abs().max())
        scores[f"{name}_residual_after"] = float(residual.abs().max())
    return scores


def _concatenate(parts: Sequence[Fields]) -> Fields:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _heating_scores(outputs: Fields, targets: Fields, inputs: Fields, weight: Tensor) -> Scores:
    thickness = inputs["air_pressure_at_interface"].diff(dim=1)
    mass = weight.unsqueeze(1) * thickness * (inputs["air_pressure"] > TROPOSPHERE_PRESSURE)
    scores = {}
    for spectrum in SPECTRA:
        name = f"tendency_of_air_temperature_due_to_{spectrum}_heating"
        truth = targets[name] * SECONDS_PER_DAY
        squared_error = (mass * (outputs[name] * SECONDS_PER_DAY - truth).square()).sum()
        level_mean = (mass * truth).sum(dim=0) / mass.sum(dim=0).clamp(min=torch.finfo(torch.float64).tiny)
        variance = (mass * (truth - level_mean).square()).sum()
        scores[f"{spectrum}_heating_rmse"] = float((squared_error / mass.sum()).sqrt())
        scores[f"{spectrum}_heating_r2"] = float(1.0 - squared_error / variance)
    return scores


def _flux_scores(outputs: Fields, targets: Fields, weight: Tensor) -> Scores:
    share = weight / weight.sum()
    scores = {}
    for key, name in SCORED_FLUXES.items():
        error = outputs[name] - targets[name]
        scores[f"{key}_rmse"] = float((share * error.square()).sum().sqrt())
        scores[f"{key}_bias"] = float((share * error).sum())
    return scores


def summarise(rows: Iterable[Mapping[str, object]], group: Sequence[str]) -> list[dict[str, object]]:
    """Mean and sample standard deviation over the rows that agree in the columns of `group`, such as over seeds.

    Returns:
        one row a group, in order of first appearance: the columns of `group`, `members`, and `<score>_mean` and
        `<score>_spread` of every numeric score; the spread of a single member is 0.
    """
    groups: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in group), []).append(row)
    summaries = []
    for key, members in groups.items():
        summary: dict[str, object] = {**dict(zip(group, key, strict=True)), "members": len(members)}
        for score in (name for name, value in members[0].items() if isinstance(value, float)):
            values = torch.tensor([float(member[score]) for member in members], dtype=torch.float64)  # type: ignore[arg-type]
            summary[f"{score}_mean"] = float(values.mean())
            summary[f"{score}_spread"] = float(values.std()) if len(members) > 1 else 0.0
        summaries.append(summary)
    return summaries
