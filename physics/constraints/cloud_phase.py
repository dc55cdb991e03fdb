"""Cloud is liquid or ice by its temperature, after the melting or freezing that makes it so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..constants import Constants
from ..thermodynamics import ALL_ICE, TRIPLE_POINT, liquid_fraction
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
    require_top_pressure,
)


@dataclass(frozen=True)
class CloudPhase:
    """Of the cloud n = q_l + q_i after the step, the share f(T) = (T − 253.16 K) / 20 K in [0, 1] is liquid.

    T is the temperature after the step, which what melts has cooled: n and cp T + Lf q_l of every layer stay. With
    θ = T + (Lf / cp) q_l, the temperature that all ice would have,

    q_l := n clip((θ − 253.16 K) / (20 K + Lf n / cp), 0, 1),

    and δ, the change of the rate of liquid, changes that of ice by −δ and that of temperature by −(Lf / cp) δ: water
    and energy stay closed. Layers with n ≤ 0 keep their bits, so do upper ones, ½ (p_k + p_{k+1}) < p_top. No phase
    falls below zero. Kinks: at both ends of the clip, where the derivative is that of the end, and at n = 0.

    Args:
        name: of the constraint and its budget.
        temperature: state T [K] and rate Ṫ [K s-1] (..., n_level).
        liquid, ice: states q [kg kg-1] and rates q̇ [kg kg-1 s-1] (..., n_level).
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        constants: of the host; gravity, cp and Lf count.
        time_step: Δt [s].
        top_pressure: p_top [Pa]; without it no layer is upper.
    Raises:
        EmagramError: if a rate appears twice, Δt is not positive, or p_top is negative.
    Source: f as ClimSim-Online splits cloud (Hu et al. 2025, doi:10.48550/arXiv.2407.00124), there without the heat.
    """

    name: str
    temperature: Prognostic
    liquid: Prognostic
    ice: Prognostic
    interface_pressure: str
    constants: Constants
    time_step: float
    top_pressure: float = 0.0

    def __post_init__(self) -> None:
        require_distinct(self.name, "outputs", self.outputs)
        require_positive(self.name, "time_step", self.time_step)
        require_top_pressure(self.name, self.top_pressure)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Cloud of the wrong phase after the step, per time [kg m-2 s-1]."""
        return (Budget(self.name, "kg m-2 s-1", WATER_TOLERANCE),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure and the states."""
        return (self.interface_pressure, *(part.state for part in (self.temperature, self.liquid, self.ice)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The rates."""
        return self.temperature.rate, self.liquid.rate, self.ice.rate

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """Σ m |q_l − f(T) n| / Δt over the lower layers [kg m-2 s-1] (...), float64.

        Raises:
            EmagramError: if a field does not fit.
        """
        columns = self._columns(fields)
        temperature, liquid, ice = (_after(part, self.time_step) for part in self._read(columns))
        misplaced = (liquid - liquid_fraction(temperature) * (liquid + ice)).abs()
        misplaced = torch.where(columns.upper(self.top_pressure), 0.0, misplaced)
        return {self.name: (columns.mass * misplaced).sum(dim=-1) / self.time_step}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with cloud of the right phase; raises EmagramError if a field does not fit."""
        columns = self._columns(fields)
        temperature, liquid, ice = self._read(columns)
        cloud = _after(liquid, self.time_step) + _after(ice, self.time_step)
        is_cloud = (cloud > 0.0) & ~columns.upper(self.top_pressure)
        share = self._share(temperature, liquid, torch.where(is_cloud, cloud, 1.0))
        melted = self._melted(share, cloud, liquid, ice)
        heating = -self.constants.latent_heat_fusion / self.constants.heat_capacity_dry_air * melted
        changed = {
            self.temperature.rate: torch.where(is_cloud, temperature.rate + heating, temperature.rate),
            self.liquid.rate: torch.where(is_cloud, self._kept(liquid, liquid.rate + melted), liquid.rate),
            self.ice.rate: torch.where(is_cloud, self._kept(ice, ice.rate - melted), ice.rate),
        }
        return replaced(self.name, fields, changed)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; constants and time step stand elsewhere in it."""
        return {
            "type": "cloud_phase",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "temperature": self.temperature.to_manifest(),
            "liquid": self.liquid.to_manifest(),
            "ice": self.ice.to_manifest(),
            "interface_pressure": self.interface_pressure,
            **({"top_pressure": self.top_pressure} if self.top_pressure else {}),
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> CloudPhase:
        """Read its entry; raises EmagramError if a key or the time step is missing or a value of no use."""
        with reading(entry, "cloud_phase"):
            temperature, liquid, ice = (
                Prognostic.from_manifest(entry[key]) for key in ("temperature", "liquid", "ice")
            )
            return cls(
                entry["name"],
                temperature,
                liquid,
                ice,
                interface_pressure=entry["interface_pressure"],
                constants=constants,
                time_step=require_time_step(entry["name"], time_step),
                top_pressure=entry.get("top_pressure", 0.0),
            )

    def _columns(self, fields: Fields) -> Columns:
        return Columns(self.name, fields, self.interface_pressure, self.constants.gravity)

    def _read(self, columns: Columns) -> tuple[_Values, _Values, _Values]:
        temperature, liquid, ice = (
            _Values(columns.layer(part.state), columns.layer(part.rate))
            for part in (self.temperature, self.liquid, self.ice)
        )
        return temperature, liquid, ice

    def _share(self, temperature: _Values, liquid: _Values, cloud: Tensor) -> Tensor:
        """Of liquid, before it is held to [0, 1]."""
        warming = self.constants.latent_heat_fusion / self.constants.heat_capacity_dry_air
        all_ice = _after(temperature, self.time_step) + warming * _after(liquid, self.time_step)
        return (all_ice - ALL_ICE) / ((TRIPLE_POINT - ALL_ICE) + warming * cloud)

    def _melted(self, share: Tensor, cloud: Tensor, liquid: _Values, ice: _Values) -> Tensor:
        """Ice that becomes liquid [kg kg-1 s-1]; all of a phase that goes, whatever rounding makes of n."""
        partly = (share * cloud - _after(liquid, self.time_step)) / self.time_step
        all_frozen, all_melted = -_after(liquid, self.time_step), _after(ice, self.time_step)
        partly = torch.where(share >= 1.0, all_melted / self.time_step, partly)
        return torch.where(share <= 0.0, all_frozen / self.time_step, partly)

    def _kept(self, water: _Values, rate: Tensor) -> Tensor:
        """The rate of a phase, where rounding alone leads below zero the one that does not."""
        with torch.no_grad():
            least = torch.maximum(rate, -water.state / self.time_step)
            kept = not_below_zero(water.state, least, self.time_step)
        return kept + (rate - rate.detach())  # of the rate's derivative, to the bit


class _Values(NamedTuple):
    """A state and its rate, (..., n_level)."""

    state: Tensor
    rate: Tensor


def _after(values: _Values, time_step: float) -> Tensor:
    return values.state + time_step * values.rate
