"""Sunlight at the surface: none at night, no more than enters, and absorbed by what the albedo leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
from ..errors import EmagramError
from .columns import Columns, replaced
from .constraint import ENERGY_TOLERANCE, Budget, Fields, reading, require_distinct


@dataclass(frozen=True)
class Shortwave:
    """Net shortwave at the surface is what the bands bring and their albedos leave, N = Σ_i d_i (1 − a_i).

    With S = max(incoming, 0): d_i := max(d_i, 0), all lowered by the factor S / Σ d where Σ d > S; then N from them,
    and the net flux at the top into [N, S].

    Args:
        name: of the constraint and its budget.
        downward: names of the fluxes d_i onto the surface [W m-2] (...).
        albedo: of the same bands [1] (...), likewise.
        net: name of N [W m-2] (...).
        incoming: name of the sunlight at the top [W m-2] (...).
        toa_net: name of the net flux at the top [W m-2] (...), or None.
    Raises:
        EmagramError: if bands repeat themselves or there is not one albedo each.
    """

    name: str
    downward: tuple[str, ...]
    albedo: tuple[str, ...]
    net: str
    incoming: str
    toa_net: str | None = None

    def __post_init__(self) -> None:
        require_distinct(self.name, "downward fluxes", self.downward)
        require_distinct(self.name, "outputs", self.outputs)
        if len(self.albedo) != len(self.downward):
            raise EmagramError(
                f"constraint '{self.name}': expected {len(self.downward)} albedos, one a flux, got {len(self.albedo)}"
            )

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Net shortwave at the surface [W m-2]."""
        return (Budget(self.name, "W m-2", ENERGY_TOLERANCE),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Sunlight at the top and the albedos."""
        return tuple(dict.fromkeys((self.incoming, *self.albedo)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The bands and the net fluxes."""
        return (*self.downward, self.net, *((self.toa_net,) if self.toa_net is not None else ()))

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """N − Σ d_i (1 − a_i) [W m-2] (...), float64; raises EmagramError if a field does not fit."""
        columns = Columns(self.name, fields, self.incoming)
        bands = torch.stack([columns.column(name) for name in self.downward])
        return {self.name: columns.column(self.net) - (bands * self._absorbed_share(columns)).sum(dim=0)}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with sunlight that obeys; raises EmagramError if a field does not fit."""
        columns = Columns(self.name, fields, self.incoming)
        sunlight = columns.column(self.incoming).clamp(min=0.0)
        bands = torch.stack([columns.column(name) for name in self.downward]).clamp(min=0.0)
        total = bands.sum(dim=0)
        is_bright = total > sunlight
        bands = torch.where(is_bright, bands * (sunlight / torch.where(is_bright, total, 1.0)), bands)
        net = (bands * self._absorbed_share(columns)).sum(dim=0)
        changed = {**dict(zip(self.downward, bands, strict=True)), self.net: net}
        if self.toa_net is not None:
            changed[self.toa_net] = torch.minimum(torch.maximum(columns.column(self.toa_net), net), sunlight)
        return replaced(self.name, fields, changed)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest."""
        return {
            "type": "shortwave",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "downward": list(self.downward),
            "albedo": list(self.albedo),
            "net": self.net,
            "incoming": self.incoming,
            "toa_net": self.toa_net,
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> Shortwave:
        """Read its entry; raises EmagramError if a key is missing or a value of no use."""
        del constants, time_step
        with reading(entry, "shortwave"):
            bands = tuple(entry["downward"]), tuple(entry["albedo"])
            return cls(entry["name"], *bands, entry["net"], entry["incoming"], entry["toa_net"])

    def _absorbed_share(self, columns: Columns) -> Tensor:
        return 1.0 - torch.stack([columns.column(name) for name in self.albedo])
