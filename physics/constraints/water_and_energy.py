"""Water and energy of a column, closed together by the smallest change that leaves no water below zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
from .columns import replaced
from .constraint import Fields, reading, require_positive, require_top_pressure
from .moist_columns import Costs, close
from .moist_law import MoistLaw


@dataclass(frozen=True)
class WaterAndEnergy(MoistLaw):
    """Closes r_A and r_B of `MoistLaw`.

    The change minimises Σ_k m_k [δT_k² / σ_T² + Σ_s δq_{s,k}² / (σ_q a_{s,k})] with a = max(q + Δt q̇, 0), so that every
    water of the column changes by one factor, and none loses more than it has. Only where no water is free to do so
    does precipitation close r_A, and temperature r_B. In upper layers, ½ (p_k + p_{k+1}) < p_top, a = 0: water stays
    there. So it is where rounding alone leaves some of a water that went.

    Args:
        temperature_variance: σ_T² [K2 s-2].
        water_variance: σ_q [s-2], per water available.
        top_pressure: p_top [Pa]; without it no layer is upper.
        Others: as in `MoistLaw`.
    Raises:
        EmagramError: as `MoistLaw`, or if p_top is negative, or another number is not positive.
    """

    temperature_variance: float
    water_variance: float
    top_pressure: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for what in ("temperature_variance", "water_variance"):
            require_positive(self.name, what, getattr(self, what))
        require_top_pressure(self.name, self.top_pressure)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Pressure, states, winds and their rates, and radiation."""
        return self._given

    @property
    def outputs(self) -> tuple[str, ...]:
        """Rates of temperature and waters, precipitation and snowfall."""
        return self._terms

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with both budgets closed; raises EmagramError if a field does not fit."""
        before = self._read(fields, self.top_pressure)
        costs = Costs(self.temperature_variance, self.water_variance, self.time_step)
        state = close(before, costs, self.constants)
        density = self.constants.density_liquid_water
        changed = {water.rate: state.rates[..., at, :] for at, water in enumerate(self.waters)}
        changed[self.temperature_rate] = state.heating
        for name, old, new in (
            (self.precipitation, before.rain_and_snow, state.rain_and_snow),
            (self.snowfall, before.snow, state.snow),
        ):
            changed[name] = torch.where(new != old, new / density, fields[name].double())
        return replaced(self.name, fields, changed)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; constants and time step stand elsewhere in it."""
        return {
            **self._entry("water_and_energy"),
            "temperature_variance": self.temperature_variance,
            "water_variance": self.water_variance,
            **({"top_pressure": self.top_pressure} if self.top_pressure else {}),
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> WaterAndEnergy:
        """Read its entry; raises EmagramError if a key or the time step is missing or a value of no use."""
        with reading(entry, "water_and_energy"):
            return cls(
                **cls._arguments(entry, constants, time_step),
                temperature_variance=entry["temperature_variance"],
                water_variance=entry["water_variance"],
                top_pressure=entry.get("top_pressure", 0.0),
            )
