"""Water and energy of a column, closed together by the smallest change that leaves no water below zero."""

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
from .columns import Columns, replaced
from .constraint import (
    ENERGY_TOLERANCE,
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
from .moist_columns import Costs, MoistColumns, close, imbalance


@dataclass(frozen=True)
class WaterAndEnergy:
    """Closes r_A = Σ m (q̇_v + q̇_l + q̇_i) + P and r_B = Σ m [cp Ṫ + (Lv + Lf) q̇_v + Lf q̇_l + K̇] + Lf (P − S) − R_net.

    K̇ = Σ u̇ (u + ½ Δt u̇) over the winds, P = ρ_w · precipitation, S = ρ_w · snowfall, R_net = Σ sign · flux. The change
    minimises Σ_k m_k [δT_k² / σ_T² + Σ_s δq_{s,k}² / (σ_q a_{s,k})] with a = max(q + Δt q̇, 0), so that every water of
    the column changes by one factor, and none loses more than it has. Only where no water is free to do so does
    precipitation close r_A, and temperature r_B. In upper layers, ½ (p_k + p_{k+1}) < p_top, a = 0: water stays there.

    Args:
        name: of the constraint; its budgets are `<name>_water` and `<name>_energy`.
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        temperature_rate: name of Ṫ [K s-1] (..., n_level).
        waters: vapour, liquid and ice, states [kg kg-1] and rates [kg kg-1 s-1] (..., n_level).
        winds: eastward and northward, states [m s-1] and rates [m s-2] (..., n_level), or none.
        precipitation, snowfall: names of both [m s-1] of liquid water (...), the first with the second in it.
        radiation: fluxes [W m-2] (...) and their signs, +1 into the column.
        temperature_variance: σ_T² [K2 s-2].
        water_variance: σ_q [s-2], per water available.
        constants: of the host.
        time_step: Δt [s].
        top_pressure: p_top [Pa]; without it no layer is upper.
    Raises:
        EmagramError: if a name appears twice, there is one wind alone, no radiation, p_top is negative, or another
            number is not positive.
    """

    name: str
    interface_pressure: str
    temperature_rate: str
    waters: tuple[Prognostic, Prognostic, Prognostic]
    winds: tuple[Prognostic, ...]
    precipitation: str
    snowfall: str
    radiation: tuple[FluxTerm, ...]
    temperature_variance: float
    water_variance: float
    constants: Constants
    time_step: float
    top_pressure: float = 0.0

    def __post_init__(self) -> None:
        require_distinct(self.name, "outputs", self.outputs)
        require_distinct(self.name, "radiation", tuple(flux.name for flux in self.radiation))
        if len(self.winds) not in (0, 2):
            raise EmagramError(f"constraint '{self.name}': expected two winds or none, got {len(self.winds)}")
        for what in ("temperature_variance", "water_variance", "time_step"):
            require_positive(self.name, what, getattr(self, what))
        require_top_pressure(self.name, self.top_pressure)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Water [kg m-2 s-1] and energy [W m-2]."""
        return Budget(f"{self.name}_water", "kg m-2 s-1", WATER_TOLERANCE), Budget(
            f"{self.name}_energy", "W m-2", ENERGY_TOLERANCE
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Pressure, states, winds and their rates, and radiation."""
        winds = (name for wind in self.winds for name in (wind.state, wind.rate))
        states = (water.state for water in self.waters)
        return (self.interface_pressure, *states, *winds, *(flux.name for flux in self.radiation))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Rates of temperature and waters, precipitation and snowfall."""
        return (self.temperature_rate, *(water.rate for water in self.waters), self.precipitation, self.snowfall)

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """r_A and r_B (...), float64, by the names of the budgets; raises EmagramError if a field does not fit."""
        names = [budget.name for budget in self.budgets]
        return dict(zip(names, imbalance(self._read(fields), self.constants), strict=True))

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with both budgets closed; raises EmagramError if a field does not fit."""
        before = self._read(fields)
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
            "type": "water_and_energy",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "interface_pressure": self.interface_pressure,
            "temperature_rate": self.temperature_rate,
            **{key: water.to_manifest() for key, water in zip(_WATERS, self.waters, strict=True)},
            "winds": [wind.to_manifest() for wind in self.winds],
            "precipitation": self.precipitation,
            "snowfall": self.snowfall,
            "radiation": [flux.to_manifest() for flux in self.radiation],
            "temperature_variance": self.temperature_variance,
            "water_variance": self.water_variance,
            **({"top_pressure": self.top_pressure} if self.top_pressure else {}),
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> WaterAndEnergy:
        """Read its entry; raises EmagramError if a key or the time step is missing or a value of no use."""
        with reading(entry, "water_and_energy"):
            vapor, liquid, ice = (Prognostic.from_manifest(entry[key]) for key in _WATERS)
            return cls(
                name=entry["name"],
                interface_pressure=entry["interface_pressure"],
                temperature_rate=entry["temperature_rate"],
                waters=(vapor, liquid, ice),
                winds=tuple(Prognostic.from_manifest(item) for item in entry["winds"]),
                precipitation=entry["precipitation"],
                snowfall=entry["snowfall"],
                radiation=tuple(FluxTerm(item["name"], item["sign"]) for item in entry["radiation"]),
                temperature_variance=entry["temperature_variance"],
                water_variance=entry["water_variance"],
                constants=constants,
                time_step=require_time_step(entry["name"], time_step),
                top_pressure=entry.get("top_pressure", 0.0),
            )

    def _read(self, fields: Fields) -> MoistColumns:
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
            columns.upper(self.top_pressure),
        )


_WATERS = ("vapor", "liquid", "ice")
