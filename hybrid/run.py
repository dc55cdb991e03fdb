"""Running the column host: a case becomes a run folder, the folder a run, and a longer case its continuation."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import netCDF4
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .. import __path__ as PACKAGE_FOLDERS
from ..emulators.atomic import write_atomically
from ..emulators.data.climsim_grid import write_grid
from ..emulators.model_file import sha256_of
from ..emulators.run_folder import CONFIGURATION_NAME, as_json, read_json, versions, write_json
from ..physics.errors import EmagramError
from .case import CaseConfig
from .configuration import read_configuration
from .coupled_model import MODEL_NAME, check_model, keep_model
from .equilibrium import judge_equilibrium
from .host_output import Stop, read_budgets, read_fixers, read_stop, read_timers, state_sha256
from .initial_state import make_initial_state, write_initial_state
from .ledger import ledger_of
from .physics_config import SECONDS_PER_DAY, CoupledPhysicsConfig

PROGRAM = "emagram-host"
NAMELIST_NAME = "case.nml"
LOGGED = "log: "
"""How lines of the host begin that are for the log alone."""
CHANGEABLE = ("days", "chunk", "restart_days", "equilibrium_days")
"""What a run that is continued may have otherwise than it began."""


def run(case: Path | str | CaseConfig, *, ranks: int = 1, output: Path | str | None = None) -> Path:
    """Run the column host on a case, or continue what its run folder holds to the case's days.

    Args:
        case: a TOML file or what it holds.
        ranks: MPI processes; they change no bit of the result.
        output: the run folder, by default `runs/<name>`.
    Returns:
        the run folder, with `summary.json`, `budgets.csv`, `fixers.csv` where there are fixers, `history.nc`,
        `restart.nc`, `columns/` and logs.
    Raises:
        EmagramError: if the case cannot be used, the folder holds another run, the host fails, or the state leaves
            physical bounds; `summary.json` is then written too, and `stopped.json` says when, where and by what.
        OSError: if the folder cannot be written.

    >>> folder = emagram.run(case, output=run_folder)
    >>> sorted(path.name for path in folder.glob("*.csv"))
    ['budgets.csv', 'timers.csv']
    """
    if not isinstance(case, CaseConfig):
        case = read_configuration(Path(case), CaseConfig)
    if ranks < 1:
        raise EmagramError(f"--ranks: expected at least 1, got {ranks}")
    folder = Path("runs") / case.name if output is None else Path(output)
    prepare(case, folder)
    if _days_done(folder) == case.days and (folder / "summary.json").exists():
        return folder
    summary, stop = folder / "summary.json", folder / "stopped.json"
    earlier, last_stop = summary.read_bytes() if summary.exists() else None, _changed(stop)
    summary.unlink(missing_ok=True)
    try:
        _start(_command(folder / NAMELIST_NAME, ranks), folder / "log.txt", case.days)
    except EmagramError:
        if stop.exists() and _changed(stop) != last_stop:  # the state left its bounds: the run has ended
            write_json(summary, summarise(case, folder, ranks))
        elif stop.exists() and earlier is not None:  # it did not go on from there: nothing is new
            write_atomically(summary, earlier)
        raise
    write_json(summary, summarise(case, folder, ranks))
    return folder


def _changed(path: Path) -> int | None:
    """When a file was last written [ns], None where there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def prepare(case: CaseConfig, folder: Path) -> None:
    """Make a run folder ready for `mpirun -n N emagram-host FOLDER/case.nml`.

    Raises:
        EmagramError: if the folder holds another run, or one that went further.
        OSError: if it cannot be written.
    """
    model, settings, grid = case.physics.model_file, case.settings(), case.grid.build()
    if model is not None:
        check_model(case, model, grid.n_level)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "columns").mkdir(exist_ok=True)
    _claim(case, folder)
    if not (folder / "initial.nc").exists():
        write_grid(grid, folder / "grid.nc")
        write_initial_state(folder / "initial.nc", make_initial_state(case, grid))
    if model is not None:
        settings["physics"]["model_sha256"] = keep_model(model, folder)
    (folder / NAMELIST_NAME).write_text(namelist(settings), encoding="utf-8")


def _claim(case: CaseConfig, folder: Path) -> None:
    """Write the configuration, or see that the one that is there differs only in what may change."""
    check_claim(case, folder)
    done = _days_done(folder)
    if done > case.days:
        raise EmagramError(f"run folder '{folder}': expected at least the {done} days done there, got {case.days}")
    write_json(folder / "versions.json", versions())
    write_json(folder / CONFIGURATION_NAME, as_json(case))


def check_claim(case: CaseConfig, folder: Path) -> None:
    """See that a run folder is empty or holds this case, but for what may change; raises EmagramError otherwise."""
    path, new = folder / CONFIGURATION_NAME, as_json(case)
    if not path.exists():
        return
    old = read_json(path)
    for key in sorted((old.keys() | new.keys()) - set(CHANGEABLE)):
        if old.get(key) != new.get(key):
            raise EmagramError(
                f"run folder '{folder}': expected '{key}' as in its {CONFIGURATION_NAME} ({old.get(key)}), "
                f"got {new.get(key)}"
            )


def _days_done(folder: Path) -> int:
    path = folder / "restart.nc"
    if not path.exists():
        return 0
    try:
        with netCDF4.Dataset(path) as file:
            return int(file.getncattr("day"))
    except (OSError, AttributeError) as error:
        raise EmagramError(f"file '{path}': expected a restart file, got '{error}'") from error


def namelist(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """The namelist group `case` of the host: `group%name = value`, a line each."""
    lines = [
        f"  {group}%{name} = {_literal(value)}" for group, values in groups.items() for name, value in values.items()
    ]
    return "\n".join(["&case", *lines, "/", ""])


def _literal(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, float):
        return repr(value).replace("e", "d") if "e" in repr(value) else f"{value!r}d0"
    return str(value)


def program() -> Path:
    """The compiled host.

    Raises:
        EmagramError: if it was not built.
    """
    for root in PACKAGE_FOLDERS:
        path = Path(root) / "bin" / PROGRAM
        if path.is_file():
            return path
    raise EmagramError(f"program '{PROGRAM}': not built; it needs MPI and netCDF for Fortran (make sets them up)")


def _command(case: Path, ranks: int) -> list[str]:
    """Without mpirun where one rank is enough."""
    if ranks == 1:
        return [str(program()), str(case)]
    if shutil.which("mpirun") is None:
        raise EmagramError("mpirun: expected on the PATH, got none; install Open MPI (Debian: openmpi-bin)")
    if os.geteuid() == 0 and "OMPI_ALLOW_RUN_AS_ROOT" not in os.environ:
        raise EmagramError("mpirun: refuses to run as root; set OMPI_ALLOW_RUN_AS_ROOT=1 and _CONFIRM=1, or use 1 rank")
    return ["mpirun", "--oversubscribe", "-n", str(ranks), str(program()), str(case)]


def _start(command: list[str], log: Path, days: int) -> None:
    """Run the host to its end, its lines in the log, its days on a progress bar.

    Raises:
        EmagramError: with the sentence of the host, or the first thing that was said.
        OSError: if the log cannot be written.
    """
    shown = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} days"))
    lines: list[str] = []
    with (
        subprocess.Popen(
            command,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as host,
        Progress(*shown, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress,
    ):
        assert host.stdout is not None
        task = progress.add_task("columns", total=days)
        try:
            for line in host.stdout:
                if line.startswith("day "):
                    progress.update(task, completed=int(line.split()[1]))
                else:
                    lines.append(line)
        except BaseException:
            host.terminate()
            raise
    if host.returncode != 0:
        sentence = said(lines, host.returncode)
        with contextlib.suppress(OSError):  # a full disk is what the host's sentence is about
            append_log(log, [line.removeprefix(LOGGED) for line in lines])
        raise EmagramError(sentence)
    append_log(log, [*(line.removeprefix(LOGGED) for line in lines), f"{days} days done\n"])


def said(lines: list[str], status: int) -> str:
    """What the host said of its failure, or else the first line with a word."""
    for line in lines:
        if line.startswith(f"{PROGRAM}: "):
            return line.removeprefix(f"{PROGRAM}: ").strip()
    words = (line.strip() for line in lines if any(map(str.isalpha, line)) and not line.startswith(LOGGED))
    first = next(words, "no word")
    return f"{PROGRAM}: ended with status {status} and '{first}'"


def append_log(log: Path, lines: list[str]) -> None:
    """Add lines, each with its end, to the log of a run."""
    with log.open("a", encoding="utf-8") as file:
        file.writelines(lines)


def summarise(case: CaseConfig, folder: Path, ranks: int) -> dict[str, Any]:
    """What `summary.json` says of a run that ended; largest residuals over all days, columns, steps and processes."""
    stop, timers = read_stop(folder), read_timers(folder)
    budgets = _budgets(folder, stop)

    def largest(start: str) -> float | None:
        return max((max(values) for name, values in budgets.items() if name.startswith(start)), default=None)

    seconds, column_steps = timers["all"]
    steps = column_steps / case.grid.build().n_column
    per_second = column_steps / seconds if seconds > 0.0 else None
    restart = folder / "restart.nc"
    summary = {
        "name": case.name,
        "physics": case.physics.source,
        "days": case.days,
        "ranks": ranks,
        "closure_flux_water_kg_m2_s": largest("residual_water"),
        "closure_flux_energy_w_m2": largest("residual_energy"),
        "closure_state_water_kg_m2_s": largest("closure_state_water"),
        "closure_state_energy_w_m2": largest("closure_state_energy"),
        "columns_per_second": per_second,
        "simulated_years_per_day": steps * case.time_step / 365 / seconds if seconds > 0.0 else None,
        "microseconds": {name: 1e6 * ranks * s / n if n else None for name, (s, n) in timers.items()},
        "state_sha256": state_sha256(restart) if restart.exists() else None,
    }
    summary |= _summarise_emulator(case, folder, stop)
    if case.fixers is not None and budgets:
        summary |= case.fixers.summarise(read_fixers(folder))
    if case.equilibrium_days and stop is None:
        summary |= judge_equilibrium(folder, case.equilibrium_days)
    return summary


def _summarise_emulator(case: CaseConfig, folder: Path, stop: Stop | None) -> dict[str, Any]:
    """What `summary.json` says of the emulator: how long it ran, whether it lasted, what the constraints had to do."""
    if not isinstance(case.physics, CoupledPhysicsConfig):
        return {"stopped": None if stop is None else asdict(stop)}
    budgets = _budgets(folder, stop)
    online = slice(case.physics.spin_up_days, None)  # a line a day

    def mean(name: str) -> float | None:
        values = budgets.get(name, [])[online]
        return sum(values) / len(values) if values else None

    def largest(name: str) -> float | None:
        return max(budgets.get(name, [])[online], default=None)

    ledger = ledger_of({name: values[online] for name, values in budgets.items()})
    of_a_day = case.grid.build().n_column * SECONDS_PER_DAY // case.time_step
    end = case.days if stop is None else stop.day
    return {
        "stopped": None if stop is None else asdict(stop),
        "model_sha256": sha256_of(folder / MODEL_NAME),
        "online_days": max(end - case.physics.spin_up_days, 0),
        "online_stable": stop is None,
        "residual_before_water_kg_m2_s": largest("residual_before_water_kg_m2_s"),
        "residual_before_energy_w_m2": largest("residual_before_energy_w_m2"),
        "rejected_fraction": mean("emulator_rejected_fraction"),
        "extrapolated_fraction": mean("emulator_extrapolated_fraction"),
        "constraints": case.physics.constraints,
        "unmet_fraction": {budget.name: budget.unmet_fraction(of_a_day) for budget in ledger},
        "budget_residuals": {
            budget.name: {"unit": budget.unit, "before": budget.largest_before, "after": budget.largest_after}
            for budget in ledger
        },
    }


def _budgets(folder: Path, stop: Stop | None) -> dict[str, list[float]]:
    """The columns of `budgets.csv`; of a run that did not last a day there are none."""
    return {} if stop is not None and stop.day < 1.0 else read_budgets(folder)
