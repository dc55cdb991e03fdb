"""A profile whose mean over the column is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..constants import Constants
from ..downscaling import require_kind, rescaled
from ..errors import EmagramError
from .columns import Columns, replaced
from .constraint import Budget, Fields, reading, require_distinct, require_positive


@dataclass(frozen=True)
class Downscaling:
    """Σ m y / Σ m = x: a profile y keeps its shape, and its mean becomes x.

    Additive y + (x − ȳ), multiplicative y x / ȳ, softmax e^(y/s) x / mean(e^(y/s)), the mean weighted by the mass of
    the layers. Additive and multiplicative change nothing where the mean is x already; softmax is a parameterisation,
    to be applied once, of a profile that has one sign. Smooth, but that a multiplicative profile whose mean is zero, or
    so small that y x / ȳ is not finite, stays as it is, and its budget open.

    Args:
        name: of the constraint and its budget.
        kind: additive, multiplicative or softmax.
        profile: name of y (..., n_level).
        mean: name of x (...), of the same unit.
        unit: of both, and of the budget.
        tolerance: of the budget, in the unit; a mean further from x counts as unmet.
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        scale: s of softmax, in the unit; None for the other kinds.
        constants: of the host; gravity counts.
    Raises:
        EmagramError: if the kind is unknown, profile and mean are one, the unit is empty, the tolerance is not
            positive, or softmax has no positive scale or another kind has one.
    Source: Harder et al. 2023, see `physics.downscaling`.
    """

    name: str
    kind: str
    profile: str
    mean: str
    unit: str
    tolerance: float
    interface_pressure: str
    scale: float | None
    constants: Constants

    def __post_init__(self) -> None:
        owner = f"constraint '{self.name}'"
        require_kind(owner, self.kind)
        require_distinct(self.name, "profile and mean", (self.profile, self.mean))
        require_positive(self.name, "tolerance", self.tolerance)
        if not isinstance(self.unit, str) or not self.unit:
            raise EmagramError(f"{owner}: expected a unit, got {self.unit!r}")
        if self.kind == "softmax":
            require_positive(self.name, "scale", self.scale)
        elif self.scale is not None:
            raise EmagramError(f"{owner}: expected a 'scale' for softmax alone, got {self.scale!r}")

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The mean, in the unit of the profile."""
        return (Budget(self.name, self.unit, self.tolerance),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure and the mean."""
        return self.interface_pressure, self.mean

    @property
    def outputs(self) -> tuple[str, ...]:
        """The profile."""
        return (self.profile,)

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """Σ m y / Σ m − x (...), float64, by the name of the budget; raises EmagramError if a field does not fit."""
        columns = self._columns(fields)
        return {self.name: (_share(columns) * columns.layer(self.profile)).sum(dim=-1) - columns.column(self.mean)}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with the profile of that mean; raises EmagramError if a field does not fit."""
        columns = self._columns(fields)
        profile = columns.layer(self.profile) / (self.scale or 1.0)
        return replaced(
            self.name,
            fields,
            {self.profile: rescaled(profile, columns.column(self.mean), self.kind, _share(columns))},
        )

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; the constants stand elsewhere in it."""
        return {
            "type": "downscaling",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "kind": self.kind,
            "profile": self.profile,
            "mean": self.mean,
            "unit": self.unit,
            "tolerance": self.tolerance,
            "interface_pressure": self.interface_pressure,
            **({} if self.scale is None else {"scale": self.scale}),
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> Downscaling:
        """Read its entry; raises EmagramError if a key is missing or a value of no use."""
        del time_step
        with reading(entry, "downscaling"):
            return cls(
                entry["name"],
                entry["kind"],
                entry["profile"],
                entry["mean"],
                unit=entry["unit"],
                tolerance=entry["tolerance"],
                interface_pressure=entry["interface_pressure"],
                scale=entry.get("scale"),
                constants=constants,
            )

    def _columns(self, fields: Fields) -> Columns:
        return Columns(self.name, fields, self.interface_pressure, self.constants.gravity)


def _share(columns: Columns) -> Tensor:
    """Of the layers in the mass of the column [1] (..., n_level)."""
    return columns.mass / columns.mass.sum(dim=-1, keepdim=True)
