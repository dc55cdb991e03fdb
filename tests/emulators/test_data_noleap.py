"""The calendar of 365 days against cftime, a library of calendars."""

import cftime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emagram.emulators.data.noleap import date_of, end_of, seconds_of
from emagram.physics.errors import EmagramError

LAST = 9999 * 365 * 86400 - 1


@given(st.integers(0, LAST))
def test_dates_are_those_of_cftime(seconds: int) -> None:
    moment = cftime.num2date(seconds, "seconds since 0001-01-01", calendar="noleap")
    day = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
    assert date_of(seconds) == f"{day}-{moment.hour * 3600 + moment.minute * 60 + moment.second:05d}"
    assert seconds_of(date_of(seconds)) == end_of(date_of(seconds)) == seconds
    assert seconds_of(day) <= seconds <= end_of(day)
    assert seconds_of(day[:7]) <= seconds <= end_of(day[:7])


def test_months_and_days_end_where_the_next_begin() -> None:
    assert end_of("0004-02") + 1 == seconds_of("0004-03") == end_of("0004-02-28") + 1  # no 29th in any year
    assert end_of("0008-12") + 1 == seconds_of("0009-01")


@pytest.mark.parametrize(
    "date", ["", "0001", "0000-01", "0001-13", "0001-00", "0004-02-29", "0001-04-31", "0001-01-00", "0001-01-01-86400",
             "0001-1-1", "0001-01-01-1200", "0001-01-01T00", " 0001-01"]
)  # fmt: skip
def test_what_is_no_date_is_refused(date: str) -> None:
    with pytest.raises(EmagramError, match="date: expected"):
        seconds_of(date)


@pytest.mark.parametrize("seconds", [-1, LAST + 1])
def test_moments_outside_of_four_digit_years_are_refused(seconds: int) -> None:
    with pytest.raises(EmagramError, match="years 1 to 9999"):
        date_of(seconds)
