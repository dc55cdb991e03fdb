"""Training on several processes that share every step; one process is the default and needs nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from ...physics.errors import EmagramError

TIMEOUT = 600.0
"""[s] that a rank waits for the others before it gives up."""


@dataclass(frozen=True)
class Parallel:
    """This process among those that train together; `Parallel()` is alone, `from_environment` joins torchrun's.

    Attributes:
        rank: of this process; rank 0 reads and writes files.
        world: number of processes.
    Raises:
        EmagramError: if there is no such rank.
    """

    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise EmagramError(f"parallel training: expected a rank from 0 to below {self.world}, got {self.rank}")

    @property
    def is_first(self) -> bool:
        """Whether this rank reads and writes files."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Σ over ranks of a tensor of equal shape, in place; the bits are the same on every rank and every run.

        Raises:
            EmagramError: if another rank has failed or stays away longer than the timeout.
        """
        if self.world > 1:
            with self._joined():
                dist.all_reduce(values)
        return values

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Give every rank the tensors of rank 0, in place; errors as `sum`."""
        if self.world > 1:
            with self._joined():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def broadcast_bytes(self, data: bytes | None) -> bytes | None:
        """What rank 0 has, on every rank; what the others give is ignored; errors as `sum`."""
        if self.world == 1:
            return data
        size = torch.tensor([-1 if data is None else len(data)])
        self.broadcast([size])
        if int(size) < 1:
            return None if int(size) < 0 else b""
        mine = data if self.is_first and data is not None else bytes(int(size))
        content = torch.frombuffer(bytearray(mine), dtype=torch.uint8)
        self.broadcast([content])
        return content.numpy().tobytes()

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that may fail on one rank: then every rank raises, instead of waiting for that one.

        Every rank must come to the block, and the block itself must not communicate.

        Raises:
            EmagramError: on every other rank if it failed on one, on which the error itself is raised.
        """
        error: BaseException | None = None
        try:
            yield
        except (EmagramError, OSError) as caught:
            error = caught
        failed = self.sum(torch.tensor([0 if error is None else 1]))
        if error is not None:
            raise error
        if int(failed):
            raise self.stops()

    def stops(self) -> EmagramError:
        """What a rank raises that has done nothing wrong itself."""
        return EmagramError(f"training: rank {self.rank} of {self.world} stops because another rank has failed")

    @contextmanager
    def _joined(self) -> Iterator[None]:
        """Errors of the communication as one sentence."""
        try:
            yield
        except RuntimeError as error:
            # the place in gloo's source in front of the message, and its advice behind the first sentence, say nothing
            reason = re.sub(r"^\[\S*\] ", "", str(error).strip()).splitlines()[0].split(". ")[0]
            raise EmagramError(
                f"training: rank {self.rank} of {self.world}: expected every rank to take part, got '{reason}'"
            ) from error


ALONE = Parallel()
"""One process, which needs no communication."""


@contextmanager
def from_environment(*, timeout: float = TIMEOUT) -> Iterator[Parallel]:
    """Join the processes that torchrun started, over gloo, for the length of a `with` block.

    The environment variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are read; without WORLD_SIZE torchrun did
    not start this process, and it is alone, as it is where WORLD_SIZE is 1, which needs none of the others.

    Args:
        timeout: [s] that a rank waits for the others.
    Raises:
        EmagramError: if the environment is incomplete or the others do not come in time.
    """
    if "WORLD_SIZE" not in os.environ:
        yield ALONE
        return
    world = _number("WORLD_SIZE")
    if world == 1:
        yield ALONE
        return
    rank, _ = (_number(name) for name in ("RANK", "MASTER_PORT"))
    parallel = Parallel(rank, world)
    _text("MASTER_ADDR")
    with parallel._joined():
        dist.init_process_group("gloo", init_method="env://", timeout=timedelta(seconds=timeout))
    try:
        yield parallel
    finally:
        dist.destroy_process_group()


def _text(name: str) -> str:
    if name not in os.environ:
        raise EmagramError(f"parallel training: expected the environment variable {name} beside WORLD_SIZE, got none")
    return os.environ[name]


def _number(name: str) -> int:
    text = _text(name)
    try:
        return int(text)
    except ValueError as error:
        raise EmagramError(f"parallel training: expected a number in {name}, got '{text}'") from error
