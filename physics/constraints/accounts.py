"""Momentum and dry mass of a column: accounted for and stated, never enforced."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..budgets import column_integral
from ..constants import Constants
from ..errors import EmagramError
from .columns import Columns
from .constraint import Budget, Fields, reading, require_distinct

DIRECTIONS = ("eastward", "northward")


@dataclass(frozen=True)
class Accounts:
    """What a column gains of momentum beyond the surface's force on it, and of dry air; nothing is changed.

    Momentum, in each direction: Σ m u̇ − τ [Pa], τ the force of the surface on the air, 0 unless named. The drag of
    unresolved waves and turbulence across the top is in it, so that it need not vanish. Dry mass: at a surface pressure
    that physics holds, m is that of moist air, and what water the layers gain they lose of dry air, −Σ m Σ_s q̇_s
    [kg m-2 s-1]; a host has to know.

    Args:
        name: of the constraint; budgets `<name>_dry_mass` and, with winds, `<name>_eastward_momentum` and
            `<name>_northward_momentum`, of infinite tolerance.
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        water: names of the rates of waters [kg kg-1 s-1] (..., n_level).
        winds: names of the rates of the eastward and the northward wind [m s-2] (..., n_level), or none.
        stress: names of τ, eastward and northward [N m-2] (...), or none.
        constants: of the host; gravity counts.
    Raises:
        EmagramError: if a name appears twice, there is no water, one wind alone, or stress that is not two with winds.
    """

    name: str
    interface_pressure: str
    water: tuple[str, ...]
    winds: tuple[str, ...]
    stress: tuple[str, ...]
    constants: Constants

    def __post_init__(self) -> None:
        require_distinct(self.name, "water", self.water)
        require_distinct(self.name, "fields", self.inputs)
        for what, names, counts in (("winds", self.winds, (0, 2)), ("stress", self.stress, (0, len(self.winds)))):
            if len(names) not in counts:
                raise EmagramError(
                    f"constraint '{self.name}': expected {max(counts)} names in '{what}' or none, got {list(names)}"
                )

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Dry mass [kg m-2 s-1] and momentum [Pa]."""
        momentum = (Budget(f"{self.name}_{where}_momentum", "Pa", math.inf) for where in DIRECTIONS[: len(self.winds)])
        return Budget(f"{self.name}_dry_mass", "kg m-2 s-1", math.inf), *momentum

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure, the rates and the stress."""
        return (self.interface_pressure, *self.water, *self.winds, *self.stress)

    @property
    def outputs(self) -> tuple[str, ...]:
        """None."""
        return ()

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """What the accounts hold (...), float64, by budget; raises EmagramError if a field does not fit."""
        columns = Columns(self.name, fields, self.interface_pressure, self.constants.gravity)
        water = sum((columns.layer(name) for name in self.water[1:]), columns.layer(self.water[0]))
        held = [-self._integral(columns, water)]
        for at, wind in enumerate(self.winds):
            gained = self._integral(columns, columns.layer(wind))
            held.append(gained - columns.column(self.stress[at]) if self.stress else gained)
        return {budget.name: value for budget, value in zip(self.budgets, held, strict=True)}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, as they are."""
        return dict(fields)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; the constants stand elsewhere in it."""
        return {
            "type": "accounts",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "enforced": False,
            "interface_pressure": self.interface_pressure,
            "water": list(self.water),
            "winds": list(self.winds),
            "stress": list(self.stress),
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> Accounts:
        """Read its entry; raises EmagramError if a key is missing or a value of no use."""
        del time_step
        with reading(entry, "accounts"):
            if entry["enforced"] is not False:
                raise EmagramError(
                    f"constraint '{entry['name']}': expected 'enforced' to be false, got {entry['enforced']!r}"
                )
            water, winds, stress = (tuple(entry[key]) for key in ("water", "winds", "stress"))
            return cls(entry["name"], entry["interface_pressure"], water, winds, stress, constants)

    def _integral(self, columns: Columns, rate: Tensor) -> Tensor:
        return column_integral(rate, columns.pressure, constants=self.constants)
