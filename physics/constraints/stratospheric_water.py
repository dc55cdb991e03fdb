"""No cloud above the tropopause, where networks leave some and nothing takes it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
from ..tropopause import TropopauseSearch, layer_pressure, tropopause_pressure
from .columns import Columns, not_below_zero, replaced
from .constraint import (
    WATER_TOLERANCE,
    Budget,
    Fields,
    Prognostic,
    reading,
    require_distinct,
    require_positive,
    require_time_step,
)


@dataclass(frozen=True)
class StratosphericWater:
    """Cloud of the layers above the tropopause is vapour after the step.

    There q̇_s := −q_s / Δt for liquid and ice; with δ_s = (q_s + Δt q̇_s) / Δt, what that takes, the vapour gains
    δ_l + δ_i, and Ṫ loses (Lv δ_l + (Lv + Lf) δ_i) / cp: water and energy of every layer stay. The tropopause is that
    of the states, `physics.tropopause`; layers whose pressure ½ (p_k + p_{k+1}) is lower lie above it. Linear, given
    where the tropopause is; it jumps where another layer becomes it. Positivity and a projection that come after leave
    no cloud where there is none.

    Args:
        name: of the constraint and its budget.
        temperature: state T [K] and rate Ṫ [K s-1] (..., n_level).
        vapor_rate: name of q̇_v [kg kg-1 s-1] (..., n_level).
        liquid, ice: states q [kg kg-1] and rates q̇ [kg kg-1 s-1] (..., n_level).
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        tropopause: where it is looked for.
        constants: of the host.
        time_step: Δt [s].
    Raises:
        EmagramError: if a rate appears twice or Δt is not positive.
    Source: Hu et al. 2025, doi:10.48550/arXiv.2407.00124, who find the tropopause by potential temperature and let the
        cloud vanish; here it evaporates.
    """

    name: str
    temperature: Prognostic
    vapor_rate: str
    liquid: Prognostic
    ice: Prognostic
    interface_pressure: str
    tropopause: TropopauseSearch
    constants: Constants
    time_step: float

    def __post_init__(self) -> None:
        require_distinct(self.name, "outputs", self.outputs)
        require_positive(self.name, "time_step", self.time_step)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Cloud above the tropopause after the step, per time [kg m-2 s-1]."""
        return (Budget(self.name, "kg m-2 s-1", WATER_TOLERANCE),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure and the states."""
        return (self.interface_pressure, self.temperature.state, self.liquid.state, self.ice.state)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The rates."""
        return self.temperature.rate, self.vapor_rate, self.liquid.rate, self.ice.rate

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """Σ m (|q_l| + |q_i|) / Δt after the step, above the tropopause [kg m-2 s-1] (...), float64.

        Raises:
            EmagramError: if a field does not fit.
        """
        columns = self._columns(fields)
        cloud = self._after(columns, self.liquid).abs() + self._after(columns, self.ice).abs()
        cloud = torch.where(self._is_above(columns), cloud, 0.0)
        return {self.name: (columns.mass * cloud).sum(dim=-1) / self.time_step}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with no cloud above the tropopause; raises EmagramError if a field does not fit."""
        columns, constants = self._columns(fields), self.constants
        is_above = self._is_above(columns)
        liquid, ice = (self._after(columns, cloud) / self.time_step for cloud in (self.liquid, self.ice))
        heat = constants.latent_heat_vaporization * (liquid + ice) + constants.latent_heat_fusion * ice
        changed = {
            self.temperature.rate: columns.layer(self.temperature.rate) - heat / constants.heat_capacity_dry_air,
            self.vapor_rate: columns.layer(self.vapor_rate) + (liquid + ice),
        }
        for cloud in (self.liquid, self.ice):
            state = columns.layer(cloud.state)
            changed[cloud.rate] = not_below_zero(state, -state / self.time_step, self.time_step)
        kept = {name: torch.where(is_above, value, columns.layer(name)) for name, value in changed.items()}
        return replaced(self.name, fields, kept)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; constants and time step stand elsewhere in it."""
        return {
            "type": "stratospheric_water",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            **{key: getattr(self, key).to_manifest() for key in _PARTS},
            "vapor_rate": self.vapor_rate,
            "interface_pressure": self.interface_pressure,
            **vars(self.tropopause),
        }

    @classmethod
    def from_manifest(
        cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None
    ) -> StratosphericWater:
        """Read its entry; raises EmagramError if a key or the time step is missing or a value of no use."""
        with reading(entry, "stratospheric_water"):
            temperature, liquid, ice = (Prognostic.from_manifest(entry[key]) for key in _PARTS)
            return cls(
                entry["name"],
                temperature,
                entry["vapor_rate"],
                liquid,
                ice,
                interface_pressure=entry["interface_pressure"],
                tropopause=TropopauseSearch(**{key.name: entry[key.name] for key in fields(TropopauseSearch)}),
                constants=constants,
                time_step=require_time_step(entry["name"], time_step),
            )

    def _columns(self, fields: Fields) -> Columns:
        return Columns(self.name, fields, self.interface_pressure, self.constants.gravity)

    def _is_above(self, columns: Columns) -> Tensor:
        temperature = columns.layer(self.temperature.state)
        tropopause = tropopause_pressure(columns.pressure, temperature, self.tropopause, constants=self.constants)
        return layer_pressure(columns.pressure) < tropopause.unsqueeze(-1)

    def _after(self, columns: Columns, water: Prognostic) -> Tensor:
        return columns.layer(water.state) + self.time_step * columns.layer(water.rate)


_PARTS = ("temperature", "liquid", "ice")
