"""Blocks of numbers read in order, by worker processes that read ahead.

Each worker owns `AHEAD` slots of shared memory that it fills with its share of the blocks: block k is worker
k mod `workers`'s. So blocks arrive in order whatever the number of workers, memory is bounded by the slots, and nothing
is copied between processes. A worker that dies is noticed at once, since its end of the pipe closes.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...physics.errors import EmagramError

Array = NDArray[np.float64]
Task = TypeVar("Task")

AHEAD = 2
"""Blocks that each worker may have read before they are asked for."""


@dataclass(frozen=True)
class Unreadable:
    """Instead of a block: which file could not be used and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Reader(Generic[Task]):
    """How to read a block.

    Attributes:
        read: fills an array with the block of a task, or says what was unreadable; importable by name, since worker
            processes call it.
        shape: of every block.
    """

    read: Callable[[Task, Array], Unreadable | None]
    shape: tuple[int, ...]


def read_blocks(reader: Reader[Task], tasks: Sequence[Task], *, workers: int) -> Iterator[Array | Unreadable]:
    """The blocks of tasks, in their order.

    Args:
        reader: reads one.
        tasks: what to read, picklable.
        workers: processes that read ahead; 0 reads here, when asked.
    Yields:
        float64 of `reader.shape`, valid until the next is asked for, or what could not be read.
    Raises:
        EmagramError: if a worker process ends before its work, naming its signal.
    """
    if workers > 0 and tasks:
        yield from _read_in_workers(reader, tasks, min(workers, len(tasks)))
        return
    block = np.full(reader.shape, np.nan)
    for task in tasks:
        unreadable = reader.read(task, block)
        yield block if unreadable is None else unreadable


def _read_in_workers(reader: Reader[Task], tasks: Sequence[Task], workers: int) -> Iterator[Array | Unreadable]:
    # Forked from a server process, not from here: threads, MPI and open HDF5 files do not survive a fork.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([reader.read.__module__])
    team: list[_Worker[Task]] = []
    try:
        for number in range(workers):
            team.append(_Worker(context, reader, tasks[number::workers]))
        for number in range(len(tasks)):
            yield from team[number % workers].next_block()
    finally:
        for worker in team:
            worker.stop()


class _Worker(Generic[Task]):
    """One process, its pipe and its slots."""

    def __init__(self, context: Any, reader: Reader[Task], tasks: Sequence[Task]) -> None:
        memory = context.RawArray("d", AHEAD * int(np.prod(reader.shape)))
        self._slots = np.frombuffer(memory, dtype=np.float64).reshape(AHEAD, *reader.shape)
        self._connection: Connection
        self._connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_work, args=(theirs, reader, memory, list(tasks)), daemon=True, name="emagram-reader"
        )
        self._n_answer = 0
        self._process.start()
        theirs.close()

    def next_block(self) -> Iterator[Array | Unreadable]:
        """The next block; its slot is free again once the consumer comes back."""
        try:
            answer: Unreadable | Exception | None = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise EmagramError(self._obituary()) from error
        if isinstance(answer, Exception):
            raise answer
        yield self._slots[self._n_answer % AHEAD] if answer is None else answer
        self._n_answer += 1
        with suppress(ConnectionError):  # it has ended; if another answer is due, that will tell
            self._connection.send(None)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._connection.close()
        self._process.terminate()
        self._process.join()

    def _obituary(self) -> str:
        self._process.join(timeout=5.0)
        code = self._process.exitcode
        label = f"loader worker (process {self._process.pid}): expected it to read all its files"
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"{label}, got it killed by {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
        hint = "" if self._n_answer else "; a program that starts workers needs an `if __name__ == '__main__'` guard"
        return f"{label}, got it ended with exit code {code}{hint}"


def _work(connection: Connection, reader: Reader[Task], memory: Any, tasks: Sequence[Task]) -> None:
    """Read the tasks into the slots in turn, waiting for a free one; end when the other side does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    slots = np.frombuffer(memory, dtype=np.float64).reshape(AHEAD, *reader.shape)
    try:
        for number, task in enumerate(tasks):
            if number >= AHEAD:
                connection.recv()
            connection.send(_answer(reader, task, slots[number % AHEAD]))
        while True:  # what was sent stays readable until the other side closes
            connection.recv()
    except (EOFError, ConnectionError):
        return


def _answer(reader: Reader[Task], task: Task, slot: Array) -> Unreadable | Exception | None:
    try:
        return reader.read(task, slot)
    except EmagramError as error:
        return error
    except Exception as error:  # raised where the blocks are asked for, with where it came from
        error.add_note(f"in a loader worker: {traceback.format_exc()}")
        return error
