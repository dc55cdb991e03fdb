"""A series of ClimSim's files in time: which steps are recorded, which are chosen, and what is missing.

The steps of a series are regular: every `interval` seconds one, with both of its files. What is missing between the
first and the last is an error that names it, never a longer step. Choosing (`select`, `split`, `divide`) leaves the
recorded steps known, because some variable sets look at the steps before a chosen one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from ...physics.errors import EmagramError
from .climsim_derived import Kind
from .climsim_files import file_name, parse_file_name
from .noleap import date_of, end_of, seconds_of


@dataclass(frozen=True)
class Split:
    """Every `stride`-th step from the start of the month `start` to the end of the month `stop`."""

    start: str
    stop: str
    stride: int


SPLITS: Mapping[str, Split] = {
    "train": Split("0001-02", "0008-01", 7),
    "validation": Split("0008-02", "0009-01", 7),
    "scoring": Split("0008-02", "0009-01", 6),
    "test": Split("0009-03", "0011-02", 6),
}
"""ClimSim's (Yu et al. 2023, doi:10.48550/arXiv.2306.08754)."""


@dataclass(frozen=True, eq=False)
class Series:
    """Recorded and chosen steps. Times are [s] since 0001-01-01 00:00 of a calendar of 365 days.

    Attributes:
        folder: that holds the files, or the folders with them.
        prefix: of the files' names.
        time_step: [s] of the physics.
        interval: [s] between recorded steps, a multiple of the time step.
        recorded: for each recorded time, ascending, where below `folder` its mli and its mlo file are.
        times: the chosen steps, ascending.
    """

    folder: Path
    prefix: str
    time_step: float
    interval: int
    recorded: Mapping[int, tuple[str, str]]
    times: tuple[int, ...]

    @property
    def n_step(self) -> int:
        """Number of chosen steps."""
        return len(self.times)

    def __str__(self) -> str:
        first, last = date_of(self.times[0]), date_of(self.times[-1])
        return f"{self.n_step} of {len(self.recorded)} steps of '{self.prefix}' in '{self.folder}', {first} to {last}"

    def path(self, time: int, kind: Kind) -> Path:
        """The file of a recorded time.

        Raises:
            EmagramError: if the time is not recorded.
        """
        if time not in self.recorded:
            raise EmagramError(f"{self._name}: expected a step at {date_of(time)}, got none")
        return self.folder / self.recorded[time][kind == "mlo"] / file_name(self.prefix, kind, time)

    def select(self, start: str | None = None, stop: str | None = None, *, stride: int = 1, offset: int = 0) -> Series:
        """Every `stride`-th of the chosen steps from `start` to `stop`, beginning with number `offset`.

        Args:
            start, stop: `YYYY-MM[-DD[-SSSSS]]`, all of the day or month included; None is the end of the series.
            stride, offset: count steps, 0 ≤ offset < stride.
        Raises:
            EmagramError: if a date is none, the stride is not positive, or no step is left.
        """
        if stride < 1 or not 0 <= offset < stride:
            raise EmagramError(f"{self._name}: expected 0 ≤ offset < stride, got offset {offset} and stride {stride}")
        first = self.times[0] if start is None else seconds_of(start)
        last = self.times[-1] if stop is None else end_of(stop)
        times = tuple(time for time in self.times if first <= time <= last)[offset::stride]
        if not times:
            raise EmagramError(f"{self._name}: expected steps from {date_of(first)} to {date_of(last)}, got none")
        return replace(self, times=times)

    def split(self, name: str) -> Series:
        """The part that ClimSim calls `train`, `validation`, `scoring` or `test`, as far as it is recorded.

        Steps are counted from the start of the part, not of the recording: they are ClimSim's own wherever the files
        begin.

        Raises:
            EmagramError: if there is no such part, none of it is recorded, or not every step is (a stride over a
                strided recording would be another one than ClimSim's).
        """
        if name not in SPLITS:
            raise EmagramError(f"split: expected one of {', '.join(SPLITS)}, got '{name}'")
        if self.interval != self.time_step:
            raise EmagramError(
                f"split '{name}': expected a series of every step, got one every {self._n_strided} steps"
            )
        part = SPLITS[name]
        start, every = seconds_of(part.start), part.stride * self.interval
        times = tuple(t for t in self.select(part.start, part.stop).times if (t - start) % every == 0)
        if not times:
            raise EmagramError(f"split '{name}' of {self._name}: expected one of its steps, got only others")
        return replace(self, times=times)

    def divide(self, fractions: Sequence[float], *, separation: int = 0) -> tuple[Series, ...]:
        """Consecutive parts, each contiguous in time.

        With no separation the last step of a part and the first of the next are neighbours, nearly the same columns,
        and a variable of the steps before (`_prvphy`, `_dyn`) looks into the part before.

        Args:
            fractions: of the chosen steps, in order of time, positive; together at most 1.
            separation: chosen steps left out at the start of every part but the first; the times between two parts
                are then separation + 1 steps apart, and a later part is shorter by as much.
        Raises:
            EmagramError: if the fractions are not such, or a part has no step.
        """
        if not fractions or min(fractions) <= 0.0 or sum(fractions) > 1.0 + 1e-9 or separation < 0:
            raise EmagramError(
                f"{self._name}: expected positive fractions of at most 1 together and a separation of at least 0, "
                f"got {tuple(fractions)} and {separation}"
            )
        parts, before = [], 0.0
        for number, fraction in enumerate(fractions):
            start = round(before * self.n_step) + (separation if number else 0)
            before += fraction
            times = self.times[start : round(before * self.n_step)]
            if not times:
                raise EmagramError(f"{self._name}: expected steps in every part of {tuple(fractions)}, got none in one")
            parts.append(replace(self, times=times))
        return tuple(parts)

    def with_previous(self, n: int) -> Series:
        """The chosen steps without those at the start whose `n` previous time steps were not recorded.

        Raises:
            EmagramError: if n > 0 and the recording is strided, or no step is left.
        """
        if n and self.interval != self.time_step:
            raise EmagramError(
                f"{self._name}: expected every time step of {self.time_step:g} s for variables of the step before, "
                f"got only every {self._n_strided} steps"
            )
        earliest = next(iter(self.recorded)) + n * self.interval
        times = tuple(time for time in self.times if time >= earliest)
        if not times:
            raise EmagramError(f"{self._name}: expected steps with {n} before them, got none")
        return replace(self, times=times)

    @property
    def _name(self) -> str:
        return f"series '{self.prefix}' in '{self.folder}'"

    @property
    def _n_strided(self) -> int:
        return round(self.interval / self.time_step)


def find_series(
    folder: Path,
    *,
    prefix: str | None = None,
    time_step: float = 1200.0,
    start: str | None = None,
    stop: str | None = None,
    interval: int | None = None,
) -> Series:
    """Find the file pairs in a folder and the folders below it.

    Args:
        folder: to look in.
        prefix: of the files' names; None if there is only one.
        time_step: [s] of the physics.
        start, stop: look only at files from and to these dates, `YYYY-MM[-DD[-SSSSS]]`, inclusive.
        interval: [s] between the steps as they were recorded; None is the least that is found, and what is left of a
            series when every second file is lost is then taken for a coarser recording.
    Raises:
        EmagramError: if there is no such folder or file, files of several prefixes, one time twice, a file without its
            partner, another interval, or a gap: the sentence names the first.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EmagramError(f"folder '{folder}': expected a folder of mli and mlo files, got none of that name")
    first, last = seconds_of(start or "0001-01"), end_of(stop or "9999-12")
    prefix, found = _of_prefix(_scan(folder, first, last), prefix, folder)
    label = f"series '{prefix}' in '{folder}'"
    _require_partners(found, prefix, label)
    times = sorted(found["mli"])
    interval = _require_regular(times, time_step, interval, label)
    recorded = {time: (found["mli"][time], found["mlo"][time]) for time in times}
    return Series(folder, prefix, time_step, interval, recorded, tuple(times))


Found = dict[str, dict[int, str]]
"""By kind, for each time the folder of its file."""


def _scan(folder: Path, first: int, last: int) -> dict[str, Found]:
    """Every file between two times, by prefix."""
    prefixes: dict[str, Found] = {}
    for place, _, names in os.walk(folder, followlinks=True):
        below = os.path.relpath(place, folder)
        for name in names:
            parsed = parse_file_name(name)
            if parsed is None or not first <= parsed[2] <= last:
                continue
            prefix, kind, time = parsed
            of_kind = prefixes.setdefault(prefix, {"mli": {}, "mlo": {}})[kind]
            if time in of_kind:
                raise EmagramError(
                    f"folder '{folder}': expected '{name}' once, got it in '{of_kind[time]}' and '{below}'"
                )
            of_kind[time] = below
    return prefixes


def _of_prefix(prefixes: dict[str, Found], prefix: str | None, folder: Path) -> tuple[str, Found]:
    found = sorted(prefixes)
    if not found or (prefix is not None and prefix not in prefixes):
        of_name = "PREFIX" if prefix is None else prefix
        raise EmagramError(
            f"folder '{folder}': expected files {of_name}.mli.YYYY-MM-DD-SSSSS.nc and .mlo., "
            f"got {'files of ' + ', '.join(found) if found else 'none'}"
        )
    if prefix is None and len(found) > 1:
        raise EmagramError(
            f"folder '{folder}': expected files of one prefix or to be told which, got {', '.join(found)}"
        )
    prefix = prefix or found[0]
    return prefix, prefixes[prefix]


def _require_partners(found: Found, prefix: str, label: str) -> None:
    alone = sorted(
        (time, kind)
        for kind, other in (("mli", "mlo"), ("mlo", "mli"))
        for time in found[kind].keys() - found[other].keys()
    )
    if alone:
        time, kind = alone[0]
        partner: Kind = "mlo" if kind == "mli" else "mli"
        raise EmagramError(
            f"{label}: expected both files of a step, got no '{file_name(prefix, partner, time)}' ({len(alone)} such)"
        )


def _require_regular(times: list[int], time_step: float, expected: int | None, label: str) -> int:
    """The interval between steps [s], the expected one if given; the first that is longer is a gap."""
    if time_step <= 0.0 or time_step != int(time_step):
        raise EmagramError(f"{label}: expected a time step of whole seconds, got {time_step:g} s")
    if expected is not None and (expected <= 0 or expected % int(time_step)):
        raise EmagramError(f"{label}: expected an interval of a multiple of {time_step:g} s, got {expected} s")
    if len(times) == 1:
        return expected or int(time_step)
    interval = min(later - earlier for earlier, later in pairwise(times))
    if interval % int(time_step):
        raise EmagramError(f"{label}: expected steps of a multiple of {time_step:g} s, got {interval} s between two")
    if expected is not None and interval < expected:
        raise EmagramError(f"{label}: expected a step every {expected} s, got two {interval} s apart")
    interval = expected or interval
    for earlier, later in pairwise(times):
        if later - earlier != interval:
            raise EmagramError(
                f"{label}: expected a step every {interval} s, got a gap: none at {date_of(earlier + interval)} "
                f"(the next is {date_of(later)})"
            )
    return interval
