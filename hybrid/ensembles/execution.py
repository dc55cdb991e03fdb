"""Running the members of an ensemble side by side: one process of the column host each, as many at once as told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from ...emulators.run_folder import write_json
from ...physics.errors import EmagramError
from ..host_output import read_stop
from ..run import NAMELIST_NAME, append_log, prepare, program, said, summarise
from .config import Member
from .outcome import Outcome, read_outcome, write_outcome

ALONE = {
    "OMPI_MCA_ess_singleton_isolated": "1",
    "OMPI_MCA_orte_create_session_dirs": "0",
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl": "self",
}
"""A process that nobody else talks to starts Open MPI four times as fast without its daemon and its networks, and
without a folder for them, which several that begin or end at once would take from each other."""
LOCK_NAME = "ensemble.lock"
LOCK_SECONDS = 10.0
"""How long hosts of a killed ensemble may take to see that nobody listens, at the end of their day."""


class Execution:
    """Members at work in their folders, which all stop with the first error or signal.

    The netCDF library is not to be used by two threads at once, so members are prepared and read one at a time; the
    hosts, which take nearly all the time, run at once.

    Args:
        folder: of the members' run folders.
        lock: the descriptor of its locked file, which hosts inherit and so hold while they run.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock
        self._netcdf = threading.Lock()
        self._stopped = threading.Event()
        self._hosts: set[subprocess.Popen[str]] = set()
        self._starting = threading.Lock()

    def find_outcomes(self, members: Sequence[Member]) -> dict[str, Outcome]:
        """Of the members that are done, by name; raises EmagramError if a folder holds another case."""
        outcomes = {member.name: read_outcome(self._folder / member.name, member.case) for member in members}
        return {name: outcome for name, outcome in outcomes.items() if outcome is not None}

    def run(self, members: Sequence[Member], workers: int, on_done: Callable[[], None]) -> None:
        """Run the members, `workers` at once; an interrupted member continues from its last restart file.

        Raises:
            EmagramError: if a member fails of anything but a state out of bounds; the others are stopped, and those
                that finished are kept.
            KeyboardInterrupt: on SIGINT and SIGTERM, after the hosts were stopped.
        """
        with _terminate_as_interrupt(), ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._run_member, member, on_done) for member in members]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                _raise_first(done)
            finally:
                self._stop()
                pool.shutdown(wait=True, cancel_futures=True)

    def _run_member(self, member: Member, on_done: Callable[[], None]) -> None:
        folder = self._folder / member.name
        with self._netcdf:
            if self._stopped.is_set():
                return
            prepare(member.case, folder)
        for name in ("stopped.json", "summary.json"):
            (folder / name).unlink(missing_ok=True)
        status, lines = self._run_host(folder)
        if self._stopped.is_set():
            return
        with contextlib.suppress(OSError):  # a full disk is what the host's sentence is about
            append_log(folder / "log.txt", [line for line in lines if not line.startswith("day ")])
        outcome = judge(member, folder, status, lines)
        with self._netcdf:
            write_json(folder / "summary.json", summarise(member.case, folder, 1))
        write_outcome(folder, outcome)
        on_done()

    def _run_host(self, folder: Path) -> tuple[int, list[str]]:
        """Status and lines of the host; an orphaned host ends by itself when it reports its day to nobody."""
        with self._starting:
            if self._stopped.is_set():
                return 0, []
            host = subprocess.Popen(
                [str(program()), str(folder / NAMELIST_NAME)],
                env=ALONE | os.environ | {"OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=(self._lock,),
            )
            self._hosts.add(host)
        text, _ = host.communicate()
        self._hosts.discard(host)
        return host.returncode, text.splitlines(keepends=True)

    def _stop(self) -> None:
        with self._starting:
            self._stopped.set()
        for host in list(self._hosts):
            host.terminate()


def judge(member: Member, folder: Path, status: int, lines: list[str]) -> Outcome:
    """The outcome of a member whose host ended.

    Raises:
        EmagramError: if it failed of anything but a state out of bounds, which says nothing of its survival, or what
            the host wrote of that is damaged.
    """
    if status == 0:
        return Outcome(True, member.case.days, float(member.case.days))
    sentence = said(lines, status)
    stop = read_stop(folder) if status > 0 else None
    if stop is None:
        raise EmagramError(f"member '{member.name}' failed, which is no end by its physics: {sentence}")
    return Outcome(False, member.case.days, stop.day, stop.variable, sentence)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """The descriptor of a file in the folder that one ensemble, and the hosts it left behind, can lock.

    Raises:
        EmagramError: if another process holds it.
        OSError: if it cannot be made.
    """
    path = folder / LOCK_NAME
    with path.open("w") as file:
        end = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise EmagramError(f"folder '{folder}': expected one ensemble at work, got another one") from None
                time.sleep(0.1)
        yield file.fileno()


def _raise_first(futures: set[Future[None]]) -> None:
    """The first error of members, which all others may follow from."""
    for future in futures:
        if (error := future.exception()) is not None:
            raise error


@contextlib.contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM as KeyboardInterrupt, where this is the thread that gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
