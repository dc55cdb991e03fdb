"""Passes over a source of columns that several processes share."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ...physics.errors import EmagramError
from ..emulator import ColumnEmulator
from .objectives import Objective
from .optimisation import Optimisation
from .parallel import Parallel
from .samples import Samples, SampleSource, count_batches


class NotFiniteError(Exception):
    """A gradient is not finite; the text says what it is."""


class Pass(NamedTuple):
    """What a pass over the training columns did.

    Attributes:
        n_column: of all processes.
        losses: mean over the columns while the weights changed, (n_loss,), float64.
        gradient_norm: mean over the steps, before clipping.
    """

    n_column: int
    losses: Tensor
    gradient_norm: float


def shared_batches(source: SampleSource, size: int, *, seed: int, parallel: Parallel) -> Iterator[tuple[Samples, int]]:
    """This process's batches of one pass, each with the number of columns that all processes have in that step.

    Args:
        size: largest number of columns of a batch of one process.
        seed: decides the order of the columns.
    Raises:
        EmagramError: what the source of this process raises, and then on every other process too; if the parts have
            different numbers of batches.
        OSError: what the source of this process raises.
    """
    batches = iter(source.batches(size, seed=seed, part=parallel.rank, n_part=parallel.world))
    while True:
        batch, error = None, None
        try:
            batch = next(batches, None)
        except (EmagramError, OSError) as caught:
            error = caught
        counts = torch.tensor([0 if batch is None else batch.n_column, batch is not None, error is not None])
        n_together, n_with, n_failed = (int(count) for count in parallel.sum(counts))
        if error is not None:
            raise error
        if n_failed:
            raise parallel.stops()
        if n_with == 0:
            return
        if batch is None or n_with < parallel.world:
            raise EmagramError(f"columns: expected as many batches in each of {parallel.world} parts, got fewer in one")
        yield batch, n_together


def train_pass(
    optimisation: Optimisation,
    source: SampleSource,
    size: int,
    *,
    seed: int,
    learning_rate: Callable[[float], float],
    after_step: Callable[[], None],
) -> Pass:
    """One pass over the training columns, a step with every batch.

    Args:
        size: columns a step of each process.
        seed: decides the order of the columns.
        learning_rate: by the share of the pass that is done after the step.
        after_step: called when the weights have changed.
    Raises:
        EmagramError: as `shared_batches`.
        NotFiniteError: if a gradient is not finite.
        OSError: what the source of this process raises.
    """
    parallel = optimisation.gradients.parallel
    n_batch = count_batches(source.n_column, size, parallel.world)
    total = torch.zeros(1 + len(optimisation.objective.names), dtype=torch.float64)
    norms = []
    for number, (batch, n_together) in enumerate(shared_batches(source, size, seed=seed, parallel=parallel)):
        rate = learning_rate((number + 1) / n_batch)
        losses, norm = optimisation.step(batch, n_together=n_together, learning_rate=rate)
        if not math.isfinite(norm):
            raise NotFiniteError(f"a gradient of {norm}")
        after_step()
        total += torch.cat([losses, torch.tensor([batch.n_column], dtype=torch.float64)])
        norms.append(norm)
    parallel.sum(total)
    return Pass(int(total[-1]), total[:-1] / total[-1], sum(norms) / len(norms))


@torch.no_grad()
def mean_loss(
    emulator: ColumnEmulator, objective: Objective, source: SampleSource, *, size: int, parallel: Parallel
) -> float:
    """The mean of an objective over all columns of a source, summed in float64; the same bits on every process.

    Args:
        size: largest number of columns at once in one process.
    Raises:
        EmagramError: what the source raises, on every process.
        OSError: what the source of this process raises.
    """
    total = torch.zeros(2, dtype=torch.float64)
    with parallel.together():
        for batch in source.batches(size, seed=0, part=parallel.rank, n_part=parallel.world):
            if batch.n_column:
                loss = float(objective(emulator(batch.inputs), batch.targets, batch.inputs))
                total += torch.tensor([loss * batch.n_column, batch.n_column], dtype=torch.float64)
    parallel.sum(total)
    return float(total[0] / total[1])
