"""Rain and snow do not rise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
from .columns import Columns, replaced
from .constraint import Budget, Fields, reading, require_distinct


@dataclass(frozen=True)
class Precipitation:
    """Precipitation is at least snowfall, and that not negative: S := max(S, 0), P := max(P, S).

    Args:
        name: of the constraint, which has no budget.
        total: name of P, rain and snow [m s-1] (...).
        snow: name of S [m s-1] (...).
    Raises:
        EmagramError: if both are one.
    """

    name: str
    total: str
    snow: str

    def __post_init__(self) -> None:
        require_distinct(self.name, "outputs", self.outputs)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """None."""
        return ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """P and S."""
        return (self.total, self.snow)

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """None."""
        del fields
        return {}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with P and S so; raises EmagramError if a field does not fit."""
        columns = Columns(self.name, fields, self.total)
        snow = columns.column(self.snow).clamp(min=0.0)
        return replaced(
            self.name, fields, {self.snow: snow, self.total: torch.maximum(columns.column(self.total), snow)}
        )

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest."""
        return {"type": "precipitation", "name": self.name, "budgets": [], "total": self.total, "snow": self.snow}

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> Precipitation:
        """Read its entry; raises EmagramError if a key is missing or a value of no use."""
        del constants, time_step
        with reading(entry, "precipitation"):
            return cls(entry["name"], entry["total"], entry["snow"])
