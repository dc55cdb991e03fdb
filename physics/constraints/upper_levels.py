"""No moist physics near the model top, where networks have nothing to learn from and hosts have no water to lose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
from ..errors import EmagramError
from .columns import Columns, replaced
from .constraint import WATER_TOLERANCE, Budget, Fields, reading, require_distinct, require_positive


@dataclass(frozen=True)
class UpperLevels:
    """Rates are zero above a pressure, and the water that this takes away is given back below.

    A layer is upper where ½ (p_k + p_{k+1}) < p_top. R = Σ_{upper} m_k Σ_{water} q̇_k; then every rate is zero there,
    and the receiver gains R / Σ_{lower} m in the layers below. A column without lower layers is left alone.

    Args:
        name: of the constraint; its budget is `<name>_water`.
        rates: names of the rates (..., n_level) that are zero above.
        water: those among them that are rates of water [kg kg-1 s-1].
        receiver: the one of them that gains the water, vapour.
        top_pressure: p_top [Pa].
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        constants: of the host; gravity counts.
    Raises:
        EmagramError: if the rates repeat themselves, the water is not among them, the receiver not among the water, or
            p_top is not positive.
    """

    name: str
    rates: tuple[str, ...]
    water: tuple[str, ...]
    receiver: str
    top_pressure: float
    interface_pressure: str
    constants: Constants

    def __post_init__(self) -> None:
        require_distinct(self.name, "outputs", self.rates)
        require_distinct(self.name, "water", self.water)
        require_positive(self.name, "top_pressure", self.top_pressure)
        for names, among, what in ((self.water, self.rates, "outputs"), ((self.receiver,), self.water, "water")):
            for name in names:
                if name not in among:
                    raise EmagramError(f"constraint '{self.name}': expected '{name}' in its {what}, got {list(among)}")

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Water that appears or vanishes above [kg m-2 s-1]."""
        return (Budget(f"{self.name}_water", "kg m-2 s-1", WATER_TOLERANCE),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure."""
        return (self.interface_pressure,)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The rates."""
        return self.rates

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """R [kg m-2 s-1] (...), float64, by the name of the budget; raises EmagramError if a field does not fit."""
        columns = self._columns(fields)
        return {self.budgets[0].name: self._water_above(columns, columns.upper(self.top_pressure))}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with rates that are zero above; raises EmagramError if a field does not fit."""
        columns = self._columns(fields)
        is_upper = columns.upper(self.top_pressure)
        lower = torch.where(is_upper, 0.0, columns.mass).sum(dim=-1)
        returned = self._water_above(columns, is_upper) / torch.where(lower > 0.0, lower, 1.0)
        changed = {name: torch.where(is_upper, 0.0, columns.layer(name)) for name in self.rates}
        changed[self.receiver] = changed[self.receiver] + torch.where(is_upper, 0.0, returned.unsqueeze(-1))
        return replaced(self.name, fields, changed)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; the constants stand elsewhere in it."""
        return {
            "type": "upper_levels",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "outputs": list(self.rates),
            "water": list(self.water),
            "receiver": self.receiver,
            "top_pressure": self.top_pressure,
            "interface_pressure": self.interface_pressure,
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> UpperLevels:
        """Read its entry; raises EmagramError if a key is missing or a value of no use."""
        del time_step
        with reading(entry, "upper_levels"):
            return cls(
                entry["name"],
                tuple(entry["outputs"]),
                tuple(entry["water"]),
                entry["receiver"],
                entry["top_pressure"],
                entry["interface_pressure"],
                constants,
            )

    def _columns(self, fields: Fields) -> Columns:
        return Columns(self.name, fields, self.interface_pressure, self.constants.gravity)

    def _water_above(self, columns: Columns, is_upper: Tensor) -> Tensor:
        mass = torch.where(is_upper, columns.mass, 0.0)
        total = columns.layer(self.water[0])
        for name in self.water[1:]:
            total = total + columns.layer(name)
        return (mass * total).sum(dim=-1)
