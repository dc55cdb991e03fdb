"""An ensemble from its configuration to its folder: members run or continued, compared, written and drawn."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ...emulators.atomic import write_atomically
from ...emulators.run_folder import CONFIGURATION_NAME, as_json, versions, write_json
from ...physics.errors import EmagramError
from ..run import program
from .comparison import Group, compare, describe
from .config import EnsembleConfig, Member, read_ensemble
from .execution import Execution, locked
from .figures import draw_power, draw_scores, draw_survival
from .outcome import Outcome
from .scores import SCORES, Array, read_scores
from .tables import SUMMARY_NAME, members_table


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def run_ensemble(
    config: Path | str | EnsembleConfig, *, workers: int | None = None, output: Path | str | None = None
) -> Path:
    """Run the members of an ensemble side by side, or what is left of them, and compare its configurations.

    Args:
        config: a TOML file or what it holds. Seeds, configurations and days may be more than the folder has.
        workers: members that run at once, by default the cores that this process may use.
        output: the folder, by default `runs/<name>`.
    Returns:
        the folder, with `members/<configuration>-<seed>/` (run folders), `members.csv`, `ensemble.json` and the
        pictures `survival.png`, `scores.png` and `power.png`.
    Raises:
        EmagramError: if the configuration cannot be used, a member's folder holds another run, or a member fails of
            anything but a state out of bounds; members that finished are kept.
        OSError: if the folder cannot be written or the disk is full.
    """
    if not isinstance(config, EnsembleConfig):
        config = read_ensemble(Path(config))
    if workers is not None and workers < 1:
        raise EmagramError(f"--workers: expected at least 1, got {workers}")
    folder = Path("runs") / config.name if output is None else Path(output)
    (folder / "members").mkdir(parents=True, exist_ok=True)
    with locked(folder) as lock:
        outcomes = _run_members(config, Execution(folder / "members", lock), workers or available_cores())
        write_json(folder / "versions.json", versions())
        write_json(folder / CONFIGURATION_NAME, as_json(config))
        _write_results(config, folder, read_groups(config, folder, outcomes))
    return folder


def _run_members(config: EnsembleConfig, execution: Execution, workers: int) -> dict[str, Outcome]:
    """Outcomes by name of the members, those that are missing with a progress bar."""
    program()  # not built: said once, before any member begins
    members = config.members()
    done = execution.find_outcomes(members)
    shown = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} members"))
    with Progress(*shown, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("ensemble", total=len(members), completed=len(done))
        missing = [member for member in members if member.name not in done]
        execution.run(missing, workers, lambda: progress.advance(task))
    return execution.find_outcomes(members)


def read_groups(config: EnsembleConfig, folder: Path, outcomes: Mapping[str, Outcome]) -> tuple[Group, ...]:
    """Outcomes and scores of all members, by configuration.

    Raises:
        EmagramError: if a file of a member that survived is missing or damaged.
    """
    nothing = np.full(len(SCORES), np.nan)

    def scores(member: Member) -> Array:
        survived = outcomes[member.name].survived
        return read_scores(folder / "members" / member.name, config.from_day, config.days) if survived else nothing

    return tuple(
        Group(
            configuration.name,
            configuration.seeds,
            tuple(outcomes[member.name] for member in configuration.members()),
            np.array([scores(member) for member in configuration.members()]),
        )
        for configuration in config.configurations
    )


def _write_results(config: EnsembleConfig, folder: Path, groups: Sequence[Group]) -> None:
    write_atomically(folder / "members.csv", members_table(groups).encode())
    reference, *others = groups
    seed = config.resampling_seed
    summary = {
        "name": config.name,
        "days": config.days,
        "from_day": config.from_day,
        "units": SCORES,
        "configurations": [describe(group, seed) for group in groups],
        "comparisons": [compare(group, reference, seed) for group in others],
    }
    write_json(folder / SUMMARY_NAME, summary)
    write_atomically(folder / "survival.png", draw_survival(groups))
    write_atomically(folder / "scores.png", draw_scores(groups, summary))
    if others:
        write_atomically(folder / "power.png", draw_power(summary))
