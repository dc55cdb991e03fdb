"""Constraints of columns as projections of sampled columns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...physics.constraints import Constraint, Fields, LinearLaws
from ...physics.errors import EmagramError
from .metric import Metric


class ColumnProjection:
    """Sampled values of one column's outputs, closed by its constraints: usable wherever a projection is.

    It is a projection, the nearest point in a metric, only as far as the constraints are: that of `LinearLaws` is one
    in the metric of its variances and covariances, which `metric` returns.

    Args:
        constraints: applied in order.
        fields: of one column, (1,) or (1, n): inputs, and outputs for their shape.
        outputs: names of what is sampled, in order; among them all that the constraints may change.
    Raises:
        EmagramError: if a field is missing or is not of one column, or a constraint changes what is not sampled.
    """

    def __init__(self, constraints: Sequence[Constraint], fields: Fields, outputs: Sequence[str]) -> None:
        self._constraints, self._outputs = tuple(constraints), tuple(outputs)
        for constraint in self._constraints:
            for name in constraint.outputs:
                if name not in self._outputs:
                    raise EmagramError(f"constraint '{constraint.name}': expected '{name}' among what is sampled")
        for name in self._outputs:
            if name not in fields:
                raise EmagramError(f"projection: expected field '{name}', got {sorted(fields)}")
        for name, value in fields.items():
            if value.ndim not in (1, 2) or len(value) != 1:
                raise EmagramError(f"field '{name}': expected that of one column, got shape {tuple(value.shape)}")
        self._fields = {name: value.double() for name, value in fields.items()}

    def fields(self, samples: Tensor) -> dict[str, Tensor]:
        """Named fields (n_sample,) or (n_sample, n) of samples (n_sample, n_value), with all inputs."""
        n_sample, first = len(samples), 0
        named = {name: value.expand(n_sample, *value.shape[1:]) for name, value in self._fields.items()}
        for name in self._outputs:
            n = self._fields[name].numel()
            named[name] = samples[:, first : first + n].reshape(named[name].shape)
            first += n
        return named

    def values(self, fields: Fields) -> Tensor:
        """Samples (n_sample, n_value) of named fields."""
        return torch.cat([fields[name].reshape(len(fields[name]), -1) for name in self._outputs], dim=1)

    def __call__(self, samples: Tensor) -> Tensor:
        """The nearest samples that satisfy the constraints, (n_sample, n_value) of the same."""
        fields = self.fields(samples)
        for constraint in self._constraints:
            fields = constraint.apply(fields)
        return self.values(fields)

    def metric(self, laws: LinearLaws) -> Metric:
        """In which the laws' change is the smallest; raises EmagramError if something sampled has no variance."""
        return Metric(*laws.spread(self._fields, self._outputs))
