"""Least values of outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..constants import Constants
from ..errors import EmagramError
from .columns import require_field
from .constraint import Budget, Fields, reading, require_distinct


@dataclass(frozen=True)
class Minimum:
    """The least value of an output, in its unit; raises EmagramError if it is not finite."""

    output: str
    value: float

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not math.isfinite(self.value):
            raise EmagramError(f"minimum of '{self.output}': expected a finite number, got {self.value!r}")


@dataclass(frozen=True)
class Bounds:
    """Outputs are at least their minimum, y := max(y, y_min).

    Args:
        name: of the constraint, which has no budget.
        minimum: of each output, any shape.
    Raises:
        EmagramError: if there is none, or an output has two.
    """

    name: str
    minimum: tuple[Minimum, ...]

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
        """What has a minimum."""
        return tuple(minimum.output for minimum in self.minimum)

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """None."""
        del fields
        return {}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with those outputs raised to their minimum; raises EmagramError if one is missing."""
        raised = {m.output: require_field(self.name, fields, m.output).clamp(min=m.value) for m in self.minimum}
        return {**fields, **raised}

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest."""
        return {
            "type": "bounds",
            "name": self.name,
            "budgets": [],
            "minimum": [{"output": minimum.output, "value": minimum.value} for minimum in self.minimum],
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> Bounds:
        """Read its entry; raises EmagramError if a key is missing or a value of no use."""
        del constants, time_step
        with reading(entry, "bounds"):
            return cls(entry["name"], tuple(Minimum(item["output"], item["value"]) for item in entry["minimum"]))
