"""Columns as tensors: what an emulator is given and what it should return."""

from dataclasses import dataclass

import torch
import xarray as xr
from torch import Tensor

from ...physics.errors import EmagramError
from ..emulator import EmulatorSpec, Fields, to_fields


@dataclass(frozen=True)
class Samples:
    """Inputs and targets of the same columns, float64, (n_column,) or (n_column, size)."""

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

    def batches(self, size: int) -> "list[Samples]":
        """Random minibatches of up to `size` columns that together hold every column once, from torch's generator."""
        return [self.select(index) for index in torch.split(torch.randperm(self.n_column), size)]
