"""What every constraint is, and the checks that all of them share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from ..constants import Constants
from ..errors import EmagramError

Fields = Mapping[str, Tensor]

ENERGY_TOLERANCE = 1.0e-9
"""[W m-2], above rounding and far below what matters."""
WATER_TOLERANCE = 1.0e-14
"""[kg m-2 s-1], likewise."""


@dataclass(frozen=True)
class Budget:
    """A quantity of a column that vanishes where its constraint holds.

    Attributes:
        name: as reported.
        unit: of the residual.
        tolerance: |residual| in float64 up to which the constraint holds. A column beyond it, where there is not enough
            water, say, is reported as unmet, never relaxed in silence.
        judged: just "after" the constraint, or "before" it where the residual is what no correction can repair.
    """

    name: str
    unit: str
    tolerance: float
    judged: Literal["before", "after"] = "after"

    def to_manifest(self) -> dict[str, str]:
        """Its entry in the `budgets` of a constraint."""
        return {"name": self.name, "unit": self.unit}


@dataclass(frozen=True)
class Prognostic:
    """A quantity of the layers that the host steps.

    Attributes:
        state: name of its value before the physics.
        rate: name of its change per second by the physics.
    """

    state: str
    rate: str

    def to_manifest(self) -> dict[str, str]:
        """Its entry in a constraint."""
        return {"state": self.state, "rate": self.rate}

    @classmethod
    def from_manifest(cls, entry: Mapping[str, str]) -> Prognostic:
        """Read its entry; raises KeyError if a key is missing."""
        return cls(entry["state"], entry["rate"])


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


def require_distinct(owner: str, what: str, names: tuple[str, ...]) -> None:
    """Refuse an empty list of names, or one that repeats itself."""
    if not names or len(set(names)) < len(names):
        raise EmagramError(f"constraint '{owner}': expected distinct {what}, got {list(names)}")


def require_positive(owner: str, what: str, value: object) -> None:
    """Refuse what is not a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0.0):
        raise EmagramError(f"constraint '{owner}': expected a positive '{what}', got {value!r}")


def require_top_pressure(owner: str, value: object) -> None:
    """Refuse a pressure above which layers are upper that is neither positive nor 0, which makes none of them so."""
    if value != 0.0 or isinstance(value, bool):
        require_positive(owner, "top_pressure", value)


def require_time_step(owner: str, time_step: float | None) -> float:
    """The time step; raises EmagramError if there is none."""
    if time_step is None:
        raise EmagramError(f"constraint '{owner}': expected a model with a time step, got none")
    return time_step


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
