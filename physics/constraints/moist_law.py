"""The budgets of water and of energy, of which each law that closes both does so in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..budgets import kinetic_energy_rate
from ..constants import Constants
from ..errors import EmagramError
from .column_energy import FluxTerm
from .columns import Columns
from .constraint import (
    ENERGY_TOLERANCE,
    WATER_TOLERANCE,
    Budget,
    Fields,
    Prognostic,
    require_distinct,
    require_positive,
    require_time_step,
)
from .moist_columns import MoistColumns, imbalance

_WATERS = ("vapor", "liquid", "ice")


@dataclass(frozen=True)
class MoistLaw:
    """r_A = Σ m (q̇_v + q̇_l + q̇_i) + P and r_B = Σ m [cp Ṫ + (Lv + Lf) q̇_v + Lf q̇_l + K̇] + Lf (P − S) − R_net.

    K̇ = Σ u̇ (u + ½ Δt u̇) over the winds, P = ρ_w · precipitation, S = ρ_w · snowfall, R_net = Σ sign · flux.

    Args:
        name: of the law; its budgets are `<name>_water` and `<name>_energy`.
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        temperature_rate: name of Ṫ [K s-1] (..., n_level).
        waters: vapour, liquid and ice, states [kg kg-1] and rates [kg kg-1 s-1] (..., n_level).
        winds: eastward and northward, states [m s-1] and rates [m s-2] (..., n_level), or none.
        precipitation, snowfall: names of both [m s-1] of liquid water (...), the first with the second in it.
        radiation: fluxes [W m-2] (...) and their signs, +1 into the column.
        constants: of the host.
        time_step: Δt [s].
    Raises:
        EmagramError: if a name appears twice, there is one wind alone or no radiation, or Δt is not positive.
    """

    name: str
    interface_pressure: str
    temperature_rate: str
    waters: tuple[Prognostic, Prognostic, Prognostic]
    winds: tuple[Prognostic, ...]
    precipitation: str
    snowfall: str
    radiation: tuple[FluxTerm, ...]
    constants: Constants
    time_step: float

    def __post_init__(self) -> None:
        require_distinct(self.name, "outputs", self._terms)
        require_distinct(self.name, "radiation", tuple(flux.name for flux in self.radiation))
        if len(self.winds) not in (0, 2):
            raise EmagramError(f"constraint '{self.name}': expected two winds or none, got {len(self.winds)}")
        require_positive(self.name, "time_step", self.time_step)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Water [kg m-2 s-1] and energy [W m-2]."""
        return (
            Budget(f"{self.name}_water", "kg m-2 s-1", WATER_TOLERANCE),
            Budget(f"{self.name}_energy", "W m-2", ENERGY_TOLERANCE),
        )

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """r_A and r_B (...), float64, by the names of the budgets; raises EmagramError if a field does not fit."""
        names = [budget.name for budget in self.budgets]
        return dict(zip(names, imbalance(self._read(fields), self.constants), strict=True))

    @property
    def _terms(self) -> tuple[str, ...]:
        """Rates of temperature and waters, precipitation and snowfall."""
        return (self.temperature_rate, *(water.rate for water in self.waters), self.precipitation, self.snowfall)

    @property
    def _given(self) -> tuple[str, ...]:
        """Pressure, states, winds and their rates, and radiation."""
        winds = (name for wind in self.winds for name in (wind.state, wind.rate))
        states = (water.state for water in self.waters)
        return (self.interface_pressure, *states, *winds, *(flux.name for flux in self.radiation))

    def _read(self, fields: Fields, top_pressure: float = 0.0) -> MoistColumns:
        columns = Columns(self.name, fields, self.interface_pressure, self.constants.gravity)
        heating, density = columns.layer(self.temperature_rate), self.constants.density_liquid_water
        kinetic, radiation = torch.zeros_like(heating), torch.zeros_like(heating[..., 0])
        if self.winds:
            east, north = ((columns.layer(wind.state), columns.layer(wind.rate)) for wind in self.winds)
            kinetic = kinetic_energy_rate((east[0], north[0]), (east[1], north[1]), time_step=self.time_step)
        for flux in self.radiation:
            radiation = radiation + flux.sign * columns.column(flux.name)
        return MoistColumns(
            columns.pressure,
            columns.mass,
            heating,
            torch.stack([columns.layer(water.state) for water in self.waters], dim=-2),
            torch.stack([columns.layer(water.rate) for water in self.waters], dim=-2),
            kinetic,
            density * columns.column(self.precipitation),
            density * columns.column(self.snowfall),
            radiation,
            columns.upper(top_pressure),
        )

    def _entry(self, kind: str) -> dict[str, Any]:
        """What every law of this sort has in its entry of a manifest."""
        return {
            "type": kind,
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "interface_pressure": self.interface_pressure,
            "temperature_rate": self.temperature_rate,
            **{key: water.to_manifest() for key, water in zip(_WATERS, self.waters, strict=True)},
            "winds": [wind.to_manifest() for wind in self.winds],
            "precipitation": self.precipitation,
            "snowfall": self.snowfall,
            "radiation": [flux.to_manifest() for flux in self.radiation],
        }

    @classmethod
    def _arguments(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> dict[str, Any]:
        """Those of the constructor that an entry has in common with all of this sort; while `reading` it."""
        vapor, liquid, ice = (Prognostic.from_manifest(entry[key]) for key in _WATERS)
        return {
            "name": entry["name"],
            "interface_pressure": entry["interface_pressure"],
            "temperature_rate": entry["temperature_rate"],
            "waters": (vapor, liquid, ice),
            "winds": tuple(Prognostic.from_manifest(item) for item in entry["winds"]),
            "precipitation": entry["precipitation"],
            "snowfall": entry["snowfall"],
            "radiation": tuple(FluxTerm(item["name"], item["sign"]) for item in entry["radiation"]),
            "constants": constants,
            "time_step": require_time_step(entry["name"], time_step),
        }
