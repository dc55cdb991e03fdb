"""How fast a run was beside another one: the whole step, and what the emulator replaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...physics.units import SECONDS_PER_DAY
from ..host_output import read_budgets, read_timers
from .runs import Run

CONVENTIONAL_PARTS = ("longwave", "shortwave", "boundary_layer", "convection", "microphysics")
EMULATOR_PARTS = ("emulator", "constraints")
PHYSICS_PARTS = {
    "conventional": CONVENTIONAL_PARTS,
    "emulator": EMULATOR_PARTS,
    "blend": (*CONVENTIONAL_PARTS, *EMULATOR_PARTS),
}
"""What counts as column physics, by whose it is; the sun is an input of both."""
DAYS_PER_YEAR = 365.0


@dataclass(frozen=True)
class RunSpeed:
    """Speed of a run's last session.

    Attributes:
        ranks: MPI processes.
        columns_per_second: column-steps of the whole session in a second, all ranks together, the spin-up included.
        step_microseconds: [µs] of one rank for a step of a column after the spin-up, everything included.
        physics_microseconds: [µs] of that for the column physics: the emulator and its constraints, or the
            conventional processes, or both where both ran: in a blend, with part of the variables taken, and beside
            rejected columns. A session with a spin-up does not tell their time from the spin-up's: it is then the most
            that it can be, every rejected column in a chunk of its own, since a chunk computes all of its columns.
        simulated_years_per_day: of this number of columns, at `step_microseconds` and these ranks.
        part_microseconds: [µs] of one rank by part of the step, over the column-steps in which it ran.
        physics_part_microseconds: those that add up to `physics_microseconds`.
    """

    ranks: int
    columns_per_second: float
    step_microseconds: float
    physics_microseconds: float
    simulated_years_per_day: float
    part_microseconds: Mapping[str, float]
    physics_part_microseconds: Mapping[str, float]


@dataclass(frozen=True)
class Speed:
    """Speeds of a run and of the other one; None of a run that stopped before it wrote its timers,
    or whose last session ended before its emulator ran.

    Attributes:
        step_speedup, physics_speedup: [1] how many times faster a rank of the run is, in the whole step and in the
            column physics; None where either is unknown.
    """

    run: RunSpeed | None
    against: RunSpeed | None
    step_speedup: float | None
    physics_speedup: float | None


def compare_speed(run: Run, against: Run) -> Speed:
    """Speeds from `timers.csv`.

    Raises:
        EmagramError: if the timers of a run that was not stopped are missing.
    """
    ours, theirs = _speed(run), _speed(against)
    if ours is None or theirs is None:
        return Speed(ours, theirs, None, None)
    return Speed(
        run=ours,
        against=theirs,
        step_speedup=theirs.step_microseconds / ours.step_microseconds,
        physics_speedup=theirs.physics_microseconds / ours.physics_microseconds,
    )


def _speed(run: Run) -> RunSpeed | None:
    if run.columns is None or "ranks" not in run.summary:
        return None
    if run.stopped is not None and not (run.folder / "timers.csv").is_file():
        return None
    timers, ranks = read_timers(run.folder), int(run.summary["ranks"])
    seconds, column_steps = timers.pop("all")
    if not (seconds > 0.0 and column_steps):
        return None
    column_days = run.columns.n_column * SECONDS_PER_DAY / float(run.configuration["time_step"])
    session_days = column_steps / column_days
    parts = _part_microseconds(run, timers, ranks, session_days)
    of_physics = {name: s * parts[name] for name, s in _physics_shares(run, session_days).items() if name in parts}
    physics = sum(of_physics.values())
    if not physics > 0.0:  # the session ended within the spin-up
        return None
    other = sum(value for name, value in parts.items() if name not in PHYSICS_PARTS["blend"])
    step = physics + other
    return RunSpeed(
        ranks=ranks,
        columns_per_second=column_steps / seconds,
        step_microseconds=step,
        physics_microseconds=physics,
        simulated_years_per_day=SECONDS_PER_DAY / (1e-6 * step * column_days / ranks) / DAYS_PER_YEAR,
        part_microseconds=parts,
        physics_part_microseconds=of_physics,
    )


def _part_microseconds(
    run: Run, timers: Mapping[str, tuple[float, int]], ranks: int, session_days: float
) -> dict[str, float]:
    """[µs] of a rank in each part, over the column-steps of the session in which it ran.

    The emulator ran from the end of the spin-up on. Conventional processes that an emulator replaces ran until then,
    and for rejected columns; in a session without spin-up their time is that of these.
    """
    online, fell_back = _online_share(run, session_days), _fell_back(run)
    parts = {}
    for name, (seconds, steps) in timers.items():
        share = 1.0
        if name in EMULATOR_PARTS:
            share = online
        elif name in CONVENTIONAL_PARTS and not run.needs_conventional and online < 1.0:
            share = 1.0 - online + online * fell_back
        if share > 0.0 and steps:
            parts[name] = 1e6 * ranks * seconds / (share * steps)
    return parts


def _online_share(run: Run, session_days: float) -> float:
    """Share of the last session's steps that came after the spin-up [1]."""
    end = float(run.stopped["day"]) if run.stopped else float(run.time[-1])
    return min(session_days, max(end - run.spin_up_days, 0.0)) / session_days


def _fell_back(run: Run) -> float:
    """Most of the column-steps after the spin-up that the conventional physics can have computed too [1]."""
    if run.physics == "conventional":
        return 0.0
    budgets = read_budgets(run.folder)
    days = zip(budgets["day"], budgets["emulator_rejected_fraction"], strict=True)
    rejected = [fraction for day, fraction in days if day > run.spin_up_days]
    return min(1.0, float(run.configuration["chunk"]) * sum(rejected) / len(rejected)) if rejected else 0.0


def _physics_shares(run: Run, session_days: float) -> dict[str, float]:
    """What counts as column physics after the spin-up, and for which share of the column-steps [1]."""
    if run.physics == "conventional":
        return dict.fromkeys(PHYSICS_PARTS["conventional"], 1.0)
    whole = run.needs_conventional or _online_share(run, session_days) >= 1.0
    fell_back = dict.fromkeys(CONVENTIONAL_PARTS, 1.0 if whole else _fell_back(run))
    return {name: share for name, share in fell_back.items() if share > 0.0} | dict.fromkeys(EMULATOR_PARTS, 1.0)
