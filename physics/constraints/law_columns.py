"""The fields of columns as linear laws add them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import EmagramError
from .columns import Columns
from .constraint import Fields
from .law import Coefficient, Law, Term


class LawColumns:
    """Values, coefficients and sums of laws in a batch of columns, float64.

    Args:
        owner: name of the constraint, for messages.
        fields: by name, (...) for a quantity of the column, (..., n) for one of layers or interfaces.
        interface_pressure: name of the pressure [Pa] (..., n_level + 1); None where all are quantities of the column.
        like: name of a field of the column, where there is no pressure.
        gravity: [m s-2].
    Raises:
        EmagramError: if pressure is missing, or a layer of it has no mass.
    """

    def __init__(
        self, owner: str, fields: Fields, interface_pressure: str | None, *, like: str, gravity: float
    ) -> None:
        self._owner = owner
        if interface_pressure is None:
            self._columns, self._mass = Columns(owner, fields, like), None
            return
        self._columns = Columns(owner, fields, interface_pressure, gravity)
        self._mass = self._columns.mass

    def values(self, name: str) -> Tensor:
        """A field, (..., n), with n = 1 for a quantity of the column."""
        return self._columns.values(name)

    def row(self, law: Law, names: Sequence[str]) -> Tensor:
        """Coefficients of a law for all values of these fields, one after the other, (..., Σ n)."""
        parts = []
        for name in names:
            values, term = self.values(name), law.term(name)
            part = torch.zeros_like(values) if term is None else self._coefficient(term, values).expand_as(values)
            parts.append(part)
        return torch.cat(parts, dim=-1)

    def vector(self, numbers: Mapping[str, Coefficient], names: Sequence[str]) -> Tensor:
        """The same number, or numbers, in all columns; 0 for fields without, (Σ n,)."""
        return torch.cat([self._vector(name, numbers.get(name, 0.0), self.values(name)) for name in names])

    def total(self, law: Law, names: Sequence[str]) -> Tensor:
        """Σ of the law's terms of these fields, (...)."""
        first = self.values(law.fields[0])
        total = first.new_zeros(first.shape[:-1])
        for term in law.terms:
            if term.field in names:
                values = self.values(term.field)
                total = total + (self._coefficient(term, values) * values).sum(dim=-1)
        return total

    def _coefficient(self, term: Term, values: Tensor) -> Tensor:
        """c_k, or c_k m_k, that broadcast to the values."""
        coefficient = self._vector(term.field, term.coefficient, values)
        if not term.per_mass:
            return coefficient
        if self._mass is None:
            raise EmagramError(
                f"constraint '{self._owner}': expected an 'interface_pressure' for the mass of '{term.field}', got None"
            )
        if values.shape[-1] != self._mass.shape[-1]:
            raise EmagramError(
                f"field '{term.field}': expected one value for each of the {self._mass.shape[-1]} layers, "
                f"got {values.shape[-1]}"
            )
        return coefficient * self._mass

    def _vector(self, name: str, numbers: Coefficient, values: Tensor) -> Tensor:
        n = values.shape[-1]
        if not isinstance(numbers, tuple):
            return values.new_full((n,), numbers)
        if len(numbers) != n:
            raise EmagramError(
                f"constraint '{self._owner}': expected {n} numbers for the values of '{name}', got {len(numbers)}"
            )
        return values.new_tensor(numbers)
