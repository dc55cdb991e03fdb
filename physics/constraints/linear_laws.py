"""Any linear conservation law of a column, closed by the smallest change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
from ..errors import EmagramError
from .columns import replaced
from .constraint import Budget, Fields, reading, require_distinct, require_positive
from .law import Coefficient, Law, from_entry, require_finite, to_entry
from .law_columns import LawColumns
from .least_change import SMALLEST_PIVOT, LeastChange

MOST_LAWS, MOST_FACTORS = 8, 32
"""That the runtime has room for."""
SOME_LEVELS = 5
"""Of the column in which laws are compared, where no coefficient says how many there are."""


@dataclass(frozen=True)
class LinearLaws:
    """Closes r = A y + B x, the sums of the laws, by y := y − Σ Aᵀ (A Σ Aᵀ)⁻¹ r with Σ = diag(σ²) + Σ_i u_i u_iᵀ.

    Of all changes that close the laws it is the one with the smallest δyᵀ Σ⁻¹ δy; solved for in each column in
    float64, and once more for what rounding left. Only outputs with a variance change. It is linear in y, and
    differentiable wherever the laws can be told apart; a column in which they cannot keeps its values, and its
    residuals show it.

    Args:
        name: of the constraint; its budgets have the names of the laws.
        laws: up to 8.
        variance: σ² of the outputs that may change, in the square of their unit, a number or one for each value.
        interface_pressure: name of the pressure [Pa] (..., n_level + 1); None where every field has one value a column.
        constants: of the host; gravity counts.
        covariance: up to 32 u_i, of some of these outputs, in their unit, likewise.
    Raises:
        EmagramError: if nothing that a law contains may change, a law follows from or contradicts those before it, a
            variance is not positive or of no use, or numbers of values do not fit each other.
    Source: as `LeastChange`.
    """

    name: str
    laws: tuple[Law, ...]
    variance: Mapping[str, Coefficient] = field(hash=False)
    interface_pressure: str | None
    constants: Constants
    covariance: tuple[Mapping[str, Coefficient], ...] = field(default=(), hash=False)

    def __post_init__(self) -> None:
        require_distinct(self.name, "laws", tuple(law.name for law in self.laws))
        require_distinct(self.name, "outputs with a variance", self.outputs)
        for what, number, most in (("laws", len(self.laws), MOST_LAWS), ("u", len(self.covariance), MOST_FACTORS)):
            if number > most:
                raise EmagramError(f"constraint '{self.name}': expected at most {most} {what}, got {number}")
        self._check_spread()
        self._check_independence()

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The sums of the laws."""
        return tuple(law.budget for law in self.laws)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure, and what the laws contain without a variance."""
        fixed = (name for law in self.laws for name in law.fields if name not in self.variance)
        pressure = () if self.interface_pressure is None else (self.interface_pressure,)
        return tuple(dict.fromkeys((*pressure, *fixed)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What has a variance."""
        return tuple(self.variance)

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """Sums of the laws.

        Args:
            fields: by name, (...) or (..., n) with as many values as coefficients.
        Returns:
            [unit of the law] (...), float64, by the names of the laws.
        Raises:
            EmagramError: if a field is missing or of another shape, or a layer has no mass.
        """
        columns = self._columns(fields)
        return {law.name: columns.total(law, law.fields) for law in self.laws}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with the laws closed; each keeps its dtype, and the closure is as exact as that is.

        Args, Raises: as `residuals`.
        """
        columns = self._columns(fields)
        least = self._least_change(columns)
        values = torch.cat([columns.values(name) for name in self.outputs], dim=-1)
        rest = torch.stack([columns.total(law, self.inputs) for law in self.laws], dim=-1)
        values = values + least.closing(least.sums(values) + rest)
        with torch.no_grad():  # the sums vanish but for rounding, and so do their derivatives
            rounding = least.closing(least.sums(values) + rest)
        values, changed, first = values + rounding, {}, 0
        for name in self.outputs:
            n = columns.values(name).shape[-1]
            changed[name] = values[..., first : first + n].reshape(fields[name].shape)
            first += n
        return replaced(self.name, fields, changed)

    def spread(self, fields: Fields, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """σ² (n_value,) and the u_i (n_factor, n_value) of the values of these fields, 0 for those that have none.

        Args, Raises: as `residuals`.
        """
        return self._spread(self._columns(fields), names)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; the constants stand elsewhere in it."""
        return {
            "type": "linear",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "laws": [law.to_manifest() for law in self.laws],
            "variance": _entries(self.variance),
            "interface_pressure": self.interface_pressure,
            "covariance": [_entries(u) for u in self.covariance],
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> LinearLaws:
        """Read its entry; raises EmagramError if a key is missing or a value of no use."""
        del time_step  # a law that depends on it has it in its coefficients
        with reading(entry, "linear"):
            return cls(
                entry["name"],
                tuple(Law.from_manifest(law) for law in entry["laws"]),
                _numbers(entry["variance"]),
                entry["interface_pressure"],
                constants,
                tuple(_numbers(u) for u in entry["covariance"]),
            )

    def _columns(self, fields: Fields) -> LawColumns:
        like, gravity = self.laws[0].fields[0], self.constants.gravity
        return LawColumns(self.name, fields, self.interface_pressure, like=like, gravity=gravity)

    def _least_change(self, columns: LawColumns) -> LeastChange:
        rows = torch.stack([columns.row(law, self.outputs) for law in self.laws], dim=-2)
        return LeastChange(rows, *self._spread(columns, self.outputs))

    def _spread(self, columns: LawColumns, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        vectors = [columns.vector(numbers, names) for numbers in (self.variance, *self.covariance)]
        return vectors[0], torch.stack(vectors)[1:]

    def _check_spread(self) -> None:
        """σ² > 0, and finite u of outputs that have one."""
        tied = {name for law in self.laws for name in law.fields} | {name for u in self.covariance for name in u}
        for name, value in self.variance.items():
            require_finite(f"variance of '{name}'", value)
            for number in value if isinstance(value, tuple) else (value,):
                require_positive(self.name, f"variance of '{name}'", number)
            if name not in tied:
                raise EmagramError(f"constraint '{self.name}': expected '{name}', which has a variance, in a law")
        for name, value in (item for u in self.covariance for item in u.items()):
            require_finite(f"covariance of '{name}'", value)
            if name not in self.variance:
                raise EmagramError(f"constraint '{self.name}': expected a variance of '{name}', got a covariance alone")

    def _check_independence(self) -> None:
        """In a column with layers of random mass; there the numbers of coefficients must fit, too."""
        least = self._least_change(self._columns(self._example()))
        for at, (law, pivot) in enumerate(zip(self.laws, least.pivots.tolist(), strict=True)):
            if least.is_fixed[at]:
                raise EmagramError(
                    f"constraint '{self.name}': expected a term of law '{law.name}' that may change, "
                    f"got none with a variance among {list(law.fields)}"
                )
            if pivot <= SMALLEST_PIVOT:
                raise EmagramError(
                    f"constraint '{self.name}': expected laws that can hold together and each add something, "
                    f"got '{law.name}', which follows from or contradicts {[law.name for law in self.laws[:at]]}"
                )

    def _example(self) -> dict[str, Tensor]:
        """Zeros for all fields of a column, of as many layers as coefficients say."""
        numbers = [(term.field, term.coefficient) for law in self.laws for term in law.terms]
        numbers += [item for spread in (self.variance, *self.covariance) for item in spread.items()]
        sizes = {name: len(value) for name, value in reversed(numbers) if isinstance(value, tuple)}
        layers = {term.field for law in self.laws for term in law.terms if term.per_mass}
        n_level = next((size for name, size in sizes.items() if name in layers), SOME_LEVELS)
        sizes |= dict.fromkeys(layers, n_level)
        generator = torch.Generator().manual_seed(0)
        thickness = 1.0e3 * (0.5 + torch.rand(n_level + 1, generator=generator, dtype=torch.float64))
        fields = {
            name: torch.zeros((sizes[name],) if name in sizes else (), dtype=torch.float64) for name, _ in numbers
        }
        return fields if self.interface_pressure is None else {**fields, self.interface_pressure: thickness.cumsum(0)}


def _entries(numbers: Mapping[str, Coefficient]) -> list[dict[str, Any]]:
    return [{"output": name, "value": to_entry(value)} for name, value in numbers.items()]


def _numbers(entries: Sequence[Mapping[str, Any]]) -> dict[str, Coefficient]:
    numbers = {entry["output"]: from_entry(entry["value"]) for entry in entries}
    if len(numbers) < len(entries):
        raise ValueError("an output twice")
    return numbers
