"""One linear conservation law of a column, as the sum of its terms that must vanish."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import EmagramError
from .constraint import ENERGY_TOLERANCE, WATER_TOLERANCE, Budget, require_distinct, require_positive

Coefficient = float | tuple[float, ...]
"""One number for all values of a field, or one for each."""
TOLERANCES = {"W m-2": ENERGY_TOLERANCE, "kg m-2 s-1": WATER_TOLERANCE}
"""By unit."""


@dataclass(frozen=True)
class Term:
    """What a field contributes to a law, Σ_k c_k x_k, or Σ_k c_k m_k x_k with the mass m_k = Δp_k / g of the layers.

    Args:
        field: name of an input or output, of the column, its layers or its interfaces.
        coefficient: c, a number or one for each value of the field, in the unit of the law by that of the field.
        per_mass: whether the field is an amount per mass of the layers [kg m-2].
    Raises:
        EmagramError: if a coefficient is not a finite number, or there is none.
    """

    field: str
    coefficient: Coefficient
    per_mass: bool = False

    def __post_init__(self) -> None:
        require_finite(f"term '{self.field}'", self.coefficient)
        if not isinstance(self.per_mass, bool):
            raise EmagramError(f"term '{self.field}': expected per_mass true or false, got {self.per_mass!r}")

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in a law."""
        return {"field": self.field, "coefficient": to_entry(self.coefficient), "per_mass": self.per_mass}

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any]) -> Term:
        """Read its entry; raises KeyError if a key is missing, EmagramError if a number is of no use."""
        return cls(entry["field"], from_entry(entry["coefficient"]), entry["per_mass"])


@dataclass(frozen=True)
class Law:
    """The sum of the terms vanishes in every column: A y + B x = 0, of outputs y and inputs x.

    Args:
        name: of the budget.
        unit: of the sum.
        terms: at most one a field.
        tolerance: |sum| [unit] up to which it holds; None for 1e-9 W m-2 or 1e-14 kg m-2 s-1.
    Raises:
        EmagramError: if there is no term or a field has two, or the tolerance is not positive, or None in another unit.
    """

    name: str
    unit: str
    terms: tuple[Term, ...]
    tolerance: float | None = None

    def __post_init__(self) -> None:
        require_distinct(self.name, "fields of its terms", self.fields)
        tolerance = TOLERANCES.get(self.unit) if self.tolerance is None else self.tolerance
        if tolerance is None:
            raise EmagramError(f"law '{self.name}': expected a tolerance [{self.unit}], got None")
        require_positive(self.name, "tolerance", tolerance)
        object.__setattr__(self, "tolerance", tolerance)

    @property
    def budget(self) -> Budget:
        """What it closes."""
        return Budget(self.name, self.unit, self.tolerance or 0.0)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the terms are of."""
        return tuple(term.field for term in self.terms)

    def term(self, field: str) -> Term | None:
        """That of a field, if there is one."""
        return next((term for term in self.terms if term.field == field), None)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `laws` of a constraint."""
        terms = [term.to_manifest() for term in self.terms]
        return {"name": self.name, "unit": self.unit, "tolerance": self.tolerance, "terms": terms}

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any]) -> Law:
        """Read its entry; raises KeyError if a key is missing, EmagramError if a number is of no use."""
        terms = tuple(Term.from_manifest(term) for term in entry["terms"])
        return cls(entry["name"], entry["unit"], terms, entry["tolerance"])


def require_finite(what: str, coefficient: Coefficient) -> None:
    """Refuse a coefficient that is no finite number, nor one or more of them."""
    numbers = coefficient if isinstance(coefficient, tuple) else (coefficient,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise EmagramError(f"{what}: expected a finite number or a tuple of them, got {number!r}")
    if not numbers:
        raise EmagramError(f"{what}: expected a finite number or a tuple of them, got none")


def to_entry(coefficient: Coefficient) -> float | list[float]:
    """A coefficient as manifests have it."""
    return list(coefficient) if isinstance(coefficient, tuple) else coefficient


def from_entry(entry: float | Sequence[float]) -> Coefficient:
    """Back from there."""
    return tuple(entry) if isinstance(entry, list) else entry  # type: ignore[return-value]
