"""The fields of columns as constraints read and replace them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import EmagramError
from .constraint import Fields


class Columns:
    """The fields of a batch of columns as a constraint reads them: present, of the right shape, in float64.

    Args:
        owner: name of the constraint, for messages.
        fields: by name.
        like: name of the field of the column (...) or, of a constraint on layers, the interface pressure [Pa]
            (..., n_level + 1) that gives the shape of all others.
        gravity: [m s-2] where `like` is a pressure, else None.
    Raises:
        EmagramError: if that field is missing or has no layer, or a layer has no mass.
    """

    def __init__(self, owner: str, fields: Fields, like: str, gravity: float | None = None) -> None:
        self._owner, self._fields, self._gravity = owner, fields, gravity
        self._like = self._find(like)
        if gravity is not None and (self._like.ndim == 0 or self._like.shape[-1] < 2):
            raise EmagramError(f"field '{like}': expected shape (..., n_level + 1), got {tuple(self._like.shape)}")
        self._shape = tuple(self._like.shape if gravity is None else self._like.shape[:-1])
        if gravity is not None:
            self._require_mass(like)

    @property
    def pressure(self) -> Tensor:
        """At the interfaces [Pa] (..., n_level + 1), float64."""
        return self._like.double()

    @property
    def mass(self) -> Tensor:
        """Of the layers [kg m-2] (..., n_level), float64."""
        return self.pressure.diff(dim=-1) / (self._gravity or math.nan)

    def upper(self, top_pressure: float) -> Tensor:
        """Which layers are upper, ½ (p_k + p_{k+1}) < p_top [Pa] (..., n_level); none in a column that has no other."""
        is_upper = 0.5 * (self.pressure[..., :-1] + self.pressure[..., 1:]) < top_pressure
        return is_upper & ~is_upper.all(dim=-1, keepdim=True)

    def layer(self, name: str) -> Tensor:
        """A field of layers, (..., n_level), float64."""
        return self._shaped(name, (*self._shape, self._like.shape[-1] - 1))

    def column(self, name: str) -> Tensor:
        """A field of the column, (...), float64."""
        return self._shaped(name, self._shape)

    def values(self, name: str) -> Tensor:
        """A field of the column, (..., 1), or of anything in it, (..., n), float64."""
        value = self._find(name)
        if tuple(value.shape) == self._shape:
            return value.double().unsqueeze(-1)
        if self._gravity is None or tuple(value.shape[:-1]) != self._shape:
            expected = "" if self._gravity is None else f" or {(*self._shape, 'n')}"
            raise EmagramError(f"field '{name}': expected shape {self._shape}{expected}, got {tuple(value.shape)}")
        return value.double()

    def _require_mass(self, like: str) -> None:
        with torch.no_grad():
            without = int((~(self._like.diff(dim=-1) > 0.0)).any(dim=-1).sum())
        if without:
            raise EmagramError(
                f"constraint '{self._owner}': expected '{like}' to increase with the index, "
                f"got a layer without mass in {without} columns"
            )

    def _shaped(self, name: str, expected: tuple[int, ...]) -> Tensor:
        value = self._find(name)
        if tuple(value.shape) != expected:
            raise EmagramError(f"field '{name}': expected shape {expected}, got {tuple(value.shape)}")
        return value.double()

    def _find(self, name: str) -> Tensor:
        return require_field(self._owner, self._fields, name)


def require_field(owner: str, fields: Fields, name: str) -> Tensor:
    """A field of a constraint; raises EmagramError if it is missing."""
    if name not in fields:
        raise EmagramError(f"constraint '{owner}': expected field '{name}', got {sorted(fields)}")
    return fields[name]


def replaced(owner: str, fields: Fields, changed: Fields) -> dict[str, Tensor]:
    """All fields with some replaced, each in the dtype it had; raises EmagramError if one is missing."""
    return {**fields, **{name: value.to(require_field(owner, fields, name).dtype) for name, value in changed.items()}}


def not_below_zero(state: Tensor, rate: Tensor, time_step: float) -> Tensor:
    """The rates, the next larger number where rounding alone makes state + Δt rate negative.

    Args:
        state: x ≥ 0, any shape, float64.
        rate: no more below −x / Δt than rounding, same shape, float64.
        time_step: Δt [s].
    Returns:
        same shape; state + time_step * rate is not negative as a host computes it, without fused operations.
    """
    with torch.no_grad():
        larger = torch.nextafter(rate, torch.full_like(rate, torch.inf))
        step = torch.where(state + time_step * rate < 0.0, larger - rate, 0.0)
    return rate + step
