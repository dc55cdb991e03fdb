"""Water and energy of a column, closed by what one level takes: the residual levels of ACnet.

Source: Beucler et al. 2021, doi:10.1103/PhysRevLett.126.098302, whose network does not predict the residual outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
from ..errors import EmagramError
from .columns import replaced
from .constraint import Fields, reading
from .moist_columns import MoistColumns, imbalance
from .moist_law import MoistLaw


@dataclass(frozen=True)
class ResidualLevels(MoistLaw):
    """Closes r_A of `MoistLaw` by the vapour of one level v, then r_B by the temperature of one level t.

    q̇_v,v := q̇_v,v − r_A / m_v, then Ṫ_t := Ṫ_t − r_B / (cp m_t) with the r_B that the first leaves. What the network
    returns for these two does not matter, and gets no gradient. Linear, without a kink; bounds are not kept: vapour
    below zero there after the step shows in the budget of `Positivity`.

    Args:
        vapor_level, temperature_level: v and t, counted from 0 at the model top; None is the lowest.
        Others: as in `MoistLaw`.
    Raises:
        EmagramError: as `MoistLaw`, or if a level is not a whole number from 0.
    """

    vapor_level: int | None = None
    temperature_level: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for what in _LEVELS:
            level = getattr(self, what)
            if level is not None and (isinstance(level, bool) or not isinstance(level, int) or level < 0):
                raise EmagramError(f"constraint '{self.name}': expected '{what}' from 0 at the top, got {level!r}")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Pressure, states, winds and their rates, radiation, rates of clouds, precipitation and snowfall."""
        return (*self._given, *(name for name in self._terms if name not in self.outputs))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Rates of temperature and vapour."""
        return self.temperature_rate, self.waters[0].rate

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with both budgets closed; raises EmagramError if a field does not fit or has no such level."""
        columns = self._closed(self._read(fields))
        changed = {self.temperature_rate: columns.heating, self.waters[0].rate: columns.rates[..., 0, :]}
        return replaced(self.name, fields, changed)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; constants and time step stand elsewhere in it."""
        levels = {what: getattr(self, what) for what in _LEVELS}
        return {**self._entry("residual_levels"), **{w: level for w, level in levels.items() if level is not None}}

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> ResidualLevels:
        """Read its entry; raises EmagramError if a key or the time step is missing or a value of no use."""
        with reading(entry, "residual_levels"):
            levels = {what: entry[what] for what in _LEVELS if what in entry}
            return cls(**cls._arguments(entry, constants, time_step), **levels)

    def _closed(self, columns: MoistColumns) -> MoistColumns:
        is_level, mass = self._level("vapor_level", columns)
        gain = -(imbalance(columns, self.constants)[0] / mass).unsqueeze(-1)
        vapor, liquid, ice = columns.rates.unbind(dim=-2)
        columns = columns._replace(rates=torch.stack([torch.where(is_level, vapor + gain, vapor), liquid, ice], dim=-2))
        is_level, mass = self._level("temperature_level", columns)
        capacity = self.constants.heat_capacity_dry_air * mass
        gain = -(imbalance(columns, self.constants)[1] / capacity).unsqueeze(-1)
        return columns._replace(heating=torch.where(is_level, columns.heating + gain, columns.heating))

    def _level(self, what: str, columns: MoistColumns) -> tuple[Tensor, Tensor]:
        """Which level it is (n_level,), and its mass [kg m-2] (...)."""
        n_level, level = columns.mass.shape[-1], getattr(self, what)
        level = n_level - 1 if level is None else level
        if level >= n_level:
            raise EmagramError(f"constraint '{self.name}': expected '{what}' below {n_level}, got {level}")
        return torch.arange(n_level, device=columns.mass.device) == level, columns.mass[..., level]


_LEVELS = ("vapor_level", "temperature_level")
