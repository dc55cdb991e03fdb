"""Columns as tensors: what an emulator is given and what it should return, and where batches of them come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import xarray as xr
from torch import Tensor

from ...physics.errors import EmagramError
from ..emulator import EmulatorSpec, Fields, to_fields


@dataclass(frozen=True)
class Samples:
    """Inputs and targets of the same columns, float64, (n_column,) or (n_column, size); a SampleSource in memory."""

    inputs: Fields
    targets: Fields

    def __post_init__(self) -> None:
        if len({value.shape[0] for value in (*self.inputs.values(), *self.targets.values())}) != 1:
            raise EmagramError("samples: expected the same number of columns in every field")

    @classmethod
    def from_dataset(cls, columns: xr.Dataset, spec: EmulatorSpec) -> "Samples":
        """The inputs and outputs of a spec; raises EmagramError if a variable is missing or the levels are others."""
        if columns.sizes["level"] != spec.n_level:
            raise EmagramError(f"columns: expected {spec.n_level} levels, got {columns.sizes['level']}")
        return cls(to_fields(columns, spec.inputs), to_fields(columns, spec.outputs))

    @property
    def n_column(self) -> int:
        """Number of columns."""
        return next(iter(self.inputs.values())).shape[0]

    def select(self, index: Tensor) -> "Samples":
        """The columns of an index, (n_selected,) int64."""
        return Samples(
            {name: value[index] for name, value in self.inputs.items()},
            {name: value[index] for name, value in self.targets.items()},
        )

    def batches(self, size: int, *, seed: int, part: int = 0, n_part: int = 1) -> "Iterator[Samples]":
        """Minibatches in an order drawn from `seed`; as `SampleSource.batches`."""
        require_part(size, part=part, n_part=n_part)
        order = torch.randperm(self.n_column, generator=torch.Generator().manual_seed(seed))
        for together in torch.split(order, size * n_part):
            yield self.select(share(together, part=part, n_part=n_part))


class SampleSource(Protocol):
    """Columns to pass over again and again: in memory (`Samples`) or streamed from files.

    Step k of training takes batch k of every part: together the parts' batches k hold up to size · n_part columns, and
    which columns those are depends on size · n_part and the seed alone, so that 2 parts of 24 train like 1 of 48.
    """

    @property
    def n_column(self) -> int:
        """Number of columns of one pass over all parts."""
        ...

    def batches(self, size: int, *, seed: int, part: int = 0, n_part: int = 1) -> Iterator[Samples]:
        """One part of one pass over the columns, shuffled.

        Every column comes exactly once in a pass over all parts. Every part yields `count_batches(n_column, …)`
        batches (fewer, but every part equally few, where a source was told to pass over what it cannot read), so that
        no process waits for another. Nothing is repeated to fill up: the columns of the last batches are shared out
        by `share`, and a part may get a batch without columns.

        Args:
            size: largest number of columns in a batch of one part.
            seed: decides the order, and alone decides it: another pass with the same arguments is the same.
            part, n_part: which of how many parts, 0 ≤ part < n_part.
        """
        ...


def count_batches(n_column: int, size: int, n_part: int = 1) -> int:
    """Batches of one part in one pass, ⌈n_column / (size · n_part)⌉."""
    return -(-n_column // (size * n_part))


def share(index: Tensor, *, part: int, n_part: int) -> Tensor:
    """One part's piece of the columns of a step: consecutive pieces whose lengths differ by at most one."""
    return torch.tensor_split(index, n_part)[part]


def require_part(size: int, *, part: int, n_part: int) -> None:
    """Raises EmagramError unless size ≥ 1 and 0 ≤ part < n_part."""
    if size < 1:
        raise EmagramError(f"batches: expected a positive size, got {size}")
    if not 0 <= part < n_part:
        raise EmagramError(f"batches: expected a part from 0 to below {n_part}, got {part}")
