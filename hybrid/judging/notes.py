"""What a reader must know of a comparison: what differs beside the physics, what is missing, what a floor is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .floors import Floor, describe, differences, floor_ratio
from .growth import GROWN
from .runs import Run


def notes_of(run: Run, against: Run, floors: Sequence[Floor], records: slice) -> tuple[str, ...]:
    """Sentences, none where a comparison is as it should be.

    Args:
        run, against: what is compared.
        floors: replicas of `against`.
        records: that are compared, possibly none.
    """
    return (
        *_physics_notes(run, against),
        *_day_notes(run, against, records),
        *(note for f in floors for note in _floor_notes(f)),
    )


def _physics_notes(run: Run, against: Run) -> list[str]:
    notes = []
    if run.physics == "conventional":
        notes.append(f"'{run.folder.name}' ran conventional physics, so that no emulator is judged.")
    if against.physics != "conventional":
        notes.append(f"'{against.folder.name}', which is compared with, ran the physics '{against.physics}'.")
    if run.physics != "conventional" and run.constraints == "measure":
        notes.append(
            f"The constraints of the model file of '{run.folder.name}' were measured and not enforced: residuals after "
            "them are those before, nothing closes, and water that fell below zero was filled up by the host."
        )
    differing = {key: pair for key, pair in differences(run, against).items() if not key.startswith("physics")}
    if differing:
        notes.append(f"Beside the physics the runs differ in {describe(differing)}.")
    return notes


def _day_notes(run: Run, against: Run, records: slice) -> list[str]:
    notes = []
    if records.start == records.stop:
        notes.append("The run stopped before it completed a record after its spin-up, so that no climate is compared.")
    elif len(run.time) != len(against.time):
        notes.append(
            f"The runs have {len(run.time) * run.days_in_mean:g} and {len(against.time) * run.days_in_mean:g} days; "
            f"those until day {run.time[records][-1]:g} are compared."
        )
    if run.days_in_mean != 1.0:
        notes.append(f"Records are means of {run.days_in_mean:g} days: daily extremes and errors are smoothed.")
    if records.start > 0 and not _is_same_until(run, against, records.start):
        notes.append("The runs differ during the spin-up already, so that not all of the difference is the emulator's.")
    return notes


def _is_same_until(run: Run, against: Run, end: int) -> bool:
    """Whether the last record before is the same, bit for bit."""
    last = slice(end - 1, end)
    return all(np.array_equal(run.read(q.name, last), against.read(q.name, last)) for q in GROWN)


def _floor_notes(floor: Floor) -> list[str]:
    notes = []
    if floor.kind == "same":
        notes.append(f"Replica {floor.label} differs: it is the same run again, and its floor is that of rounding.")
    if floor.kind == "other":
        notes.append(f"Replica {floor.label} differs: more than weather may be different, so that it is no floor.")
    negligible = [score.label for score in floor.climate.scores if floor_ratio(score, floor).rmse_ratio is None]
    if len(negligible) == len(floor.climate.scores):
        notes.append(
            f"Replica {floor.label}: it stayed within a thousandth of the spread of every variable, so that "
            "forced columns are hardly chaotic; no error is divided by this floor, nor need an emulator reach it."
        )
    elif negligible:
        notes.append(f"Replica {floor.label}: the floor of {', '.join(negligible)} is too small to divide by.")
    return notes
