"""What every constraint is, and the checks that all of them share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from ..constants import Constants
from ..errors import EmagramError

Fields = Mapping[str, Tensor]


@dataclass(frozen=True)
class Budget:
    """A quantity of a column that vanishes where its constraint holds.

    Attributes:
        name: as reported.
        unit: of the residual.
    """

    name: str
    unit: str

    def to_manifest(self) -> dict[str, str]:
        """Its entry in the `budgets` of a constraint."""
        return {"name": self.name, "unit": self.unit}


class Constraint(Protocol):
    """What every constraint does with the named inputs and outputs of a batch of columns."""

    @property
    def name(self) -> str:
        """What it is called in reports and messages."""
        ...

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What it closes, in order; none for mere bounds."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the fields that it reads and never changes."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the fields that it may change."""
        ...

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """Residual of each budget by name, (...), float64, in the budget's unit."""
        ...

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with the corrected ones replaced; each keeps its dtype."""
        ...

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; constants and time step stand elsewhere in it."""
        ...

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> Constraint:
        """Read one entry of the `constraints` of a manifest; unknown keys are ignored, as the format asks.

        Raises:
            EmagramError: if a key is missing or a value is of no use.
        """
        ...


class Columns:
    """The fields of a batch of columns as a constraint reads them: present, of the right shape, in float64.

    Args:
        owner: name of the constraint, for messages.
        fields: by name.
        like: name of the field of the column (...) or, of a constraint on layers, the interface pressure [Pa]
            (..., n_level + 1) that gives the shape of all others.
        gravity: [m s-2] where `like` is a pressure, else None.
    Raises:
        EmagramError: if that field is missing or has no layer.
    """

    def __init__(self, owner: str, fields: Fields, like: str, gravity: float | None = None) -> None:
        self._owner, self._fields, self._gravity = owner, fields, gravity
        self._like = self._find(like)
        if gravity is not None and (self._like.ndim == 0 or self._like.shape[-1] < 2):
            raise EmagramError(f"field '{like}': expected shape (..., n_level + 1), got {tuple(self._like.shape)}")
        self._shape = tuple(self._like.shape if gravity is None else self._like.shape[:-1])

    @property
    def pressure(self) -> Tensor:
        """At the interfaces [Pa] (..., n_level + 1), float64."""
        return self._like.double()

    @property
    def mass(self) -> Tensor:
        """Of the layers [kg m-2] (..., n_level), float64."""
        return self.pressure.diff(dim=-1) / (self._gravity or math.nan)

    def layer(self, name: str) -> Tensor:
        """A field of layers, (..., n_level), float64."""
        return self._shaped(name, (*self._shape, self._like.shape[-1] - 1))

    def column(self, name: str) -> Tensor:
        """A field of the column, (...), float64."""
        return self._shaped(name, self._shape)

    def _shaped(self, name: str, expected: tuple[int, ...]) -> Tensor:
        value = self._find(name)
        if tuple(value.shape) != expected:
            raise EmagramError(f"field '{name}': expected shape {expected}, got {tuple(value.shape)}")
        return value.double()

    def _find(self, name: str) -> Tensor:
        if name not in self._fields:
            raise EmagramError(f"constraint '{self._owner}': expected field '{name}', got {sorted(self._fields)}")
        return self._fields[name]


def replaced(fields: Fields, changed: Fields) -> dict[str, Tensor]:
    """All fields with some replaced, each in the dtype it had."""
    return {**fields, **{name: value.to(fields[name].dtype) for name, value in changed.items()}}


def require_distinct(owner: str, what: str, names: tuple[str, ...]) -> None:
    """Refuse an empty list of names, or one that repeats itself."""
    if not names or len(set(names)) < len(names):
        raise EmagramError(f"constraint '{owner}': expected distinct {what}, got {list(names)}")


def require_positive(owner: str, what: str, value: object) -> None:
    """Refuse what is not a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0.0):
        raise EmagramError(f"constraint '{owner}': expected a positive '{what}', got {value!r}")


@contextmanager
def reading(entry: Mapping[str, Any], kind: str) -> Iterator[None]:
    """While an entry of a manifest is read: a missing key, or a value of another type, is one sentence.

    Raises:
        EmagramError: so, or if the entry is of another type of constraint.
    """
    try:
        if entry["type"] != kind:
            raise EmagramError(f"constraint '{entry['name']}': expected type '{kind}', got '{entry['type']}'")
        yield
    except KeyError as missing:
        raise EmagramError(f"constraint {dict(entry)}: expected key {missing}, got none") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise EmagramError(f"constraint {dict(entry)}: expected values of the format, got '{error}'") from None
