"""How a member ended: it lived through its days, or the host stopped it because its state was no atmosphere."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...emulators.run_folder import write_json
from ...physics.errors import EmagramError
from ..case import SECONDS_PER_DAY, CaseConfig
from ..configuration import build
from ..run import check_claim

OUTCOME_NAME = "outcome.json"
STOPPED_NAME = "stopped.json"
DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
OUT_OF_BOUNDS = re.compile(
    r"column \d+ after \w+ in the step of (?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)-(?P<second>\d{5}): "
    r"expected (?P<variable>\w+) (at level \d+ )?from .+ to .+, got "
)
"""The host's sentence; before its first step ("in the beginning") a state out of bounds is a mistake in the case."""


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


def read_stop(folder: Path, sentence: str, case: CaseConfig) -> Outcome | None:
    """The outcome of a host that failed with a sentence, None if it failed of anything but a state out of bounds.

    Raises:
        EmagramError: if `stopped.json` is damaged.
    """
    match = OUT_OF_BOUNDS.match(sentence)
    path = folder / STOPPED_NAME
    if path.exists() and " in the beginning:" not in sentence:
        try:
            stop = json.loads(path.read_text(encoding="utf-8"))
            return Outcome(False, case.days, float(stop["day"]), str(stop["variable"]), sentence)
        except (ValueError, TypeError, KeyError) as error:
            raise EmagramError(f"file '{path}': expected the day and variable of a stop, got {error!r}") from error
    if match is None:
        return None
    return Outcome(False, case.days, _days_since_start(match, case.start_day), match["variable"], sentence)


def _days_since_start(match: re.Match[str], start_day: int) -> float:
    """Of a date in the host's calendar, which begins with year 1 and has no leap years."""
    year, month, day, second = (int(match[name]) for name in ("year", "month", "day", "second"))
    return 365 * (year - 1) + DAYS_BEFORE_MONTH[month - 1] + day - 1 - start_day + second / SECONDS_PER_DAY


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
    outcome = build(Outcome, _read(path), f"'{path}'")
    if outcome.days > case.days:
        raise EmagramError(
            f"run folder '{folder}': expected at least the {outcome.days} days of its {OUTCOME_NAME}, got {case.days}"
        )
    return outcome if outcome.days == case.days or not outcome.survived else None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8 or not JSON
        raise EmagramError(f"file '{path}': expected JSON, got '{error}'") from error
    if not isinstance(values, dict):
        raise EmagramError(f"file '{path}': expected an object, got {values!r}")
    return values
