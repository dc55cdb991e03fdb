"""One training at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

from ...physics.errors import EmagramError

LOCK_NAME = "training.lock"

_HELD: set[Path] = set()
"""Locks that this process holds: its own second lock would be granted, and end the first when it is closed."""


class FolderLock:
    """Holds `training.lock` of a folder during a `with` block.

    The lock is the kernel's record lock on that file, so it ends with its process, however that dies, and what a dead
    process left is taken over; the file names the holder to people. Child processes do not inherit it.

    Args:
        folder: must exist.
    Raises:
        EmagramError: on entering, if a training runs in the folder.
        OSError: on entering, if the folder cannot be written or its file system has no locks.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder).resolve() / LOCK_NAME
        self._file = -1

    def __enter__(self) -> FolderLock:
        if self.path in _HELD:
            raise self._refusal(f"one of this process, {os.getpid()}")
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._lock(file)
            if _is_same_file(file, self.path):
                break
            os.close(file)  # its last holder removed it between our opening and locking it
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self._file = file
        _HELD.add(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _HELD.discard(self.path)
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _lock(self, file: int) -> None:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip()
            os.close(file)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise self._refusal(holder or "another process") from error
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def _refusal(self, holder: str) -> EmagramError:
        return EmagramError(f"folder '{self.path.parent}': expected no other training in it, got {holder}")


def _is_same_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
