"""How a member ended: it lived through its days, or the host stopped it because its state was no atmosphere."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from ...emulators.run_folder import read_json, write_json
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
    if (folder / STOPPED_NAME).exists() and " in the beginning:" not in sentence:
        day, variable = _read_stopped(folder / STOPPED_NAME)
        return Outcome(False, case.days, day, variable, sentence)
    match = OUT_OF_BOUNDS.match(sentence)
    if match is None:
        return None
    return Outcome(False, case.days, _days_since_start(match, case.start_day), match["variable"], sentence)


def _read_stopped(path: Path) -> tuple[float, str]:
    stop = read_json(path)
    try:
        day, variable = float(stop["day"]), str(stop["variable"])
    except (ValueError, TypeError, KeyError) as error:
        raise EmagramError(f"file '{path}': expected the day and variable of a stop, got {stop!r}") from error
    if not 0.0 <= day < math.inf:
        raise EmagramError(f"file '{path}': expected a day of at least 0, got {day}")
    return day, variable


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
    outcome = build(Outcome, read_json(path), f"'{path}'")
    if outcome.days > case.days:
        raise EmagramError(
            f"run folder '{folder}': expected at least the {outcome.days} days of its {OUTCOME_NAME}, got {case.days}"
        )
    return outcome if outcome.days == case.days or not outcome.survived else None
