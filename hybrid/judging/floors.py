"""Floors: how far apart two runs of the same physics are, whose labels say what differs in their configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..run import CHANGEABLE
from .climate import Climate, Score
from .runs import Run

NEGLIGIBLE = 1.0e-3
"""[1] of a variable's spread over days and columns: no score is divided by a floor below."""
UNIMPORTANT = ("name", "record", *CHANGEABLE)
KINDS = {
    "last digit": {"perturbation.relative", "perturbation.seed"},
    "other weather": {"perturbation.weather"},
    "other seed": {"seed"},
}
"""By what differs, and nothing else."""


@dataclass(frozen=True)
class Floor:
    """A replica of the other run beside it.

    Attributes:
        label: the replica's name and what differs in its configuration.
        kind: one of KINDS, `same`, or `other` where its physics or forcing are others.
        climate: the replica's, over the days that were compared.
        precipitation_distance_mm_day: [mm day-1] 1-Wasserstein distance of the distributions of precipitation.
    """

    label: str
    kind: str
    climate: Climate
    precipitation_distance_mm_day: float


@dataclass(frozen=True)
class FloorRatio:
    """A score over a floor [1]; None where the floor is negligible, since the replica then stayed with its original.

    Attributes:
        variable, unit: of the floors `rmse`, `rmse_of_mean` and `bias` of the replica.
        floor: its label.
    """

    variable: str
    unit: str
    floor: str
    rmse: float
    rmse_of_mean: float
    bias: float
    rmse_ratio: float | None
    rmse_of_mean_ratio: float | None


def floor_ratio(score: Score, floor: Floor) -> FloorRatio:
    """A score beside the same score of a replica."""
    other = floor.climate.score(score.variable)

    def ratio(value: float, least: float) -> float | None:
        return value / least if least > NEGLIGIBLE * score.reference_spread else None

    return FloorRatio(
        variable=score.variable,
        unit=score.unit,
        floor=floor.label,
        rmse=other.rmse,
        rmse_of_mean=other.rmse_of_mean,
        bias=other.bias,
        rmse_ratio=ratio(score.rmse, other.rmse),
        rmse_of_mean_ratio=ratio(score.rmse_of_mean, other.rmse_of_mean),
    )


def differences(run: Run, against: Run) -> dict[str, tuple[object, object]]:
    """What two configurations have different, by dotted key: the value of the one and of the other, None for none.

    The name of a run, what it records and its number of days do not count, nor the seed of a
    perturbation of nothing, nor that conventional physics is said to be.
    """
    ours, theirs = (_important(x.configuration) for x in (run, against))
    keys = sorted(ours.keys() | theirs.keys())
    return {key: (ours.get(key), theirs.get(key)) for key in keys if ours.get(key) != theirs.get(key)}


def _important(configuration: Mapping[str, Any]) -> dict[str, object]:
    flat = _flat({key: value for key, value in configuration.items() if key not in UNIMPORTANT})
    unused = KINDS["last digit"] if not flat.get("perturbation.relative") else set()
    if flat.get("physics.source") in (None, "conventional"):
        unused = unused | {key for key in flat if key.startswith("physics.")}
    return {key: value for key, value in flat.items() if key not in unused and value is not None}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def kind_of(differing: Mapping[str, object]) -> str:
    """What kind of replica it is whose configuration has these keys different."""
    if not differing:
        return "same"
    return next((kind for kind, own in KINDS.items() if differing.keys() <= own), "other")


def describe(differing: Mapping[str, tuple[object, object]]) -> str:
    """In words: "seed 4 (3)", the other run's value in brackets."""
    pairs = [f"{key} {_value(ours)} ({_value(theirs)})" for key, (ours, theirs) in differing.items()]
    return ", ".join(pairs) if pairs else "nothing"


def _value(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
