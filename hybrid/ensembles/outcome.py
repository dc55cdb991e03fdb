"""How a member ended: it lived through its days, or the host stopped it because its state was no atmosphere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ...emulators.run_folder import read_json, write_json
from ...physics.errors import EmagramError
from ..case import CaseConfig
from ..configuration import build
from ..run import check_claim

OUTCOME_NAME = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """What became of a member.

    Attributes:
        days: the days that it was to live.
        day: [day] when it was stopped, or `days`.
        variable: what left its bounds, and sentence: of the host; empty where it lived.
    """

    survived: bool
    days: int
    day: float
    variable: str = ""
    sentence: str = ""


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Mark a member's run folder as done."""
    write_json(folder / OUTCOME_NAME, asdict(outcome))


def read_outcome(folder: Path, case: CaseConfig) -> Outcome | None:
    """The outcome of a member that was run before, None if it has still something to do.

    Raises:
        EmagramError: if the folder is of another case, went further, or its outcome is damaged.
    """
    path = folder / OUTCOME_NAME
    if not path.exists():
        return None
    check_claim(case, folder)
    outcome = build(Outcome, read_json(path), f"'{path}'")
    if outcome.days > case.days:
        raise EmagramError(
            f"run folder '{folder}': expected at least the {outcome.days} days of its {OUTCOME_NAME}, got {case.days}"
        )
    return outcome if outcome.days == case.days or not outcome.survived else None
