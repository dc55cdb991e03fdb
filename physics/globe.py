"""Means over all columns of the globe, the same bits for any order of columns and any split over processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import EmagramError
from .exact_sum import ExactSum, Reduction


class _Total(torch.autograd.Function):
    """Σ of all elements of a tensor over all processes, correctly rounded; its gradient is one everywhere."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, reduction: Reduction | None, name: str) -> Tensor:
        ctx.shape = values.shape
        total = ExactSum.of(values.detach().cpu().numpy()).over(reduction).read(name)
        return values.new_tensor(total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0].expand(ctx.shape), None, None


@dataclass(frozen=True, eq=False)
class Globe:
    """The columns of this process and what each counts for.

    Args:
        weight: area of each column [any unit, the same for all] (*columns), not negative.
        reduction: over the processes that share the globe, from `exact_sum.over_mpi` or `over_torch`; none if this one
            has all columns. Every method, and making a Globe, is then collective.
    Raises:
        EmagramError: on every process, if a weight is negative or not finite, or all are zero.
    """

    weight: Tensor
    reduction: Reduction | None = None
    area: Tensor = field(init=False)
    """Σ_i w_i [as the weights] ()."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", self.weight.detach().double())
        self.require(self.weight >= 0.0, "globe: expected areas of 0 or more")
        object.__setattr__(self, "area", self.total(self.weight, "areas"))
        if not self.area > 0.0:
            raise EmagramError("globe: expected a column with an area above 0, got none")

    def total(self, values: Tensor, name: str) -> Tensor:
        """Σ of all elements over all processes, one correctly rounded sum.

        Args:
            values: any shape.
            name: for messages.
        Returns:
            [as values] (), float64, differentiable where one process has all columns.
        Raises:
            EmagramError: if one is not finite, or a gradient is asked for through the reduction.
        """
        if self.reduction is not None and values.requires_grad and torch.is_grad_enabled():
            raise EmagramError(f"global sum of {name}: expected no gradient where processes share the globe, got one")
        total: Tensor = _Total.apply(values.double(), self.reduction, name)  # type: ignore[no-untyped-call]
        return total

    def mean(self, values: Tensor, name: str) -> Tensor:
        """Σ_i w_i x_i / Σ_i w_i over the columns.

        Args:
            values: x (*columns).
            name: for messages.
        Returns:
            [as values] (), float64.
        Raises:
            EmagramError: if the shape is not that of the weights, or a value is not finite.
        """
        if values.shape != self.weight.shape:
            raise EmagramError(
                f"field '{name}': expected shape {tuple(self.weight.shape)}, got {tuple(values.shape)} of columns"
            )
        return self.total(self.weight * values.double(), name) / self.area

    def require(self, holds: Tensor, what: str) -> None:
        """Raise EmagramError on every process unless a condition holds everywhere; `what` says "object: expected …"."""
        wrong = self.total((~holds).double(), what)
        if wrong > 0.0:
            raise EmagramError(f"{what}, got {int(wrong)} that are not")


def area_weights(latitude_bounds: Sequence[float], n_longitude: int) -> Tensor:
    """Areas of the cells of a latitude-longitude grid, (sin φ_north − sin φ_south) / n_longitude.

    Args:
        latitude_bounds: φ [degrees_north], n_latitude + 1 from pole to pole or part of it, in either direction.
        n_longitude: cells in a circle.
    Returns:
        [1] (n_latitude, n_longitude), float64; those of a whole sphere add up to 2.
    Raises:
        EmagramError: if the bounds are not strictly monotonic from -90 to 90 at most, or there is no cell.
    """
    bounds = np.asarray(latitude_bounds, dtype=np.float64)
    if bounds.ndim != 1 or bounds.size < 2 or n_longitude < 1:
        raise EmagramError(
            f"cells: expected 2 latitude bounds and a longitude at least, got {bounds.size}, {n_longitude}"
        )
    steps = np.diff(bounds)
    if not (np.abs(bounds) <= 90.0).all() or not ((steps > 0.0).all() or (steps < 0.0).all()):
        raise EmagramError("latitude bounds: expected monotonic values from -90 to 90, got others")
    band = np.abs(np.diff(np.sin(np.deg2rad(bounds)))) / n_longitude
    return torch.from_numpy(np.repeat(band[:, np.newaxis], n_longitude, axis=1))


def column_sum(values: Tensor) -> Tensor:
    """Σ_k x_k from the top down, in that order whatever the number of columns.

    Args:
        values: x (..., n_level).
    Returns:
        [as values] (...), float64.
    """
    layers = values.double().unbind(dim=-1)
    total = torch.zeros_like(layers[0])
    for layer in layers:
        total = total + layer
    return total
