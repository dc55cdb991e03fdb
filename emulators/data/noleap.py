"""Time on E3SM's calendar of 365 days: whole seconds since 0001-01-01 00:00, and the dates in names of files."""

from __future__ import annotations

import re
from itertools import accumulate

from ...physics.errors import EmagramError

DAYS_OF_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
SECONDS_OF_DAY = 86_400
DAYS_OF_YEAR = sum(DAYS_OF_MONTH)

_DAYS_BEFORE = (0, *accumulate(DAYS_OF_MONTH))
_DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2})(?:-(\d{5}))?)?")


def seconds_of(date: str) -> int:
    """The first moment of a date.

    Args:
        date: `YYYY-MM`, `YYYY-MM-DD` or `YYYY-MM-DD-SSSSS`, SSSSS the second of the day; years count from 0001.
    Returns:
        [s] since 0001-01-01 00:00.
    Raises:
        EmagramError: if it is not such a date or the calendar has no such day.
    """
    return _interval_of(date)[0]


def end_of(date: str) -> int:
    """The last second of a date: of the month `YYYY-MM`, of the day `YYYY-MM-DD`, or `YYYY-MM-DD-SSSSS` itself [s].

    Raises:
        EmagramError: as `seconds_of`.
    """
    return _interval_of(date)[1]


def date_of(seconds: int) -> str:
    """`YYYY-MM-DD-SSSSS`, the inverse of `seconds_of`.

    Raises:
        EmagramError: if the moment is before year 1 or after year 9999.
    """
    days, second = divmod(seconds, SECONDS_OF_DAY)
    year, day = divmod(days, DAYS_OF_YEAR)
    if not 0 <= year <= 9998:
        raise EmagramError(f"time: expected a moment of the years 1 to 9999, got {seconds} s after 0001-01-01")
    month = next(month for month in range(12) if day < _DAYS_BEFORE[month + 1])
    return f"{year + 1:04d}-{month + 1:02d}-{day - _DAYS_BEFORE[month] + 1:02d}-{second:05d}"


def _interval_of(date: str) -> tuple[int, int]:
    """First and last second of a date."""
    match = _DATE.fullmatch(date)
    year, month, day, second = (int(part) if part else None for part in match.groups()) if match else (0, 0, 0, 0)
    if not (year and month and month <= 12 and (day is None or 1 <= day <= DAYS_OF_MONTH[month - 1])):
        raise EmagramError(f"date: expected YYYY-MM[-DD[-SSSSS]] of a year of 365 days, got '{date}'")
    if second is not None and second >= SECONDS_OF_DAY:
        raise EmagramError(f"date: expected a second of the day below {SECONDS_OF_DAY}, got '{date}'")
    first = ((year - 1) * DAYS_OF_YEAR + _DAYS_BEFORE[month - 1] + (day or 1) - 1) * SECONDS_OF_DAY + (second or 0)
    if second is not None:
        return first, first
    days = 1 if day else DAYS_OF_MONTH[month - 1]
    return first, first + days * SECONDS_OF_DAY - 1
