"""The heating of a column equals the fluxes into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..budgets import column_mass, energy_residual
from ..constants import Constants
from ..errors import EmagramError
from .columns import Columns, replaced
from .constraint import ENERGY_TOLERANCE, Budget, Fields, reading, require_distinct


@dataclass(frozen=True)
class FluxTerm:
    """A flux across the boundary of a column; sign +1 warms the column, −1 cools it."""

    name: str
    sign: int

    def __post_init__(self) -> None:
        if isinstance(self.sign, bool) or self.sign not in (-1, 1):
            raise EmagramError(f"flux '{self.name}': expected sign 1 or -1, got {self.sign!r}")

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in a constraint's list of fluxes."""
        return {"name": self.name, "sign": self.sign}


@dataclass(frozen=True)
class ColumnEnergy:
    """Closes the column integral of a heating rate against the fluxes into the column.

    r = Σ_k (cp/g) h_k Δp_k − Σ_j sign_j F_j, and every h_k is lowered by r / Σ_k (cp/g) Δp_k: of all changes that
    close the budget, the one with the smallest mass-weighted square.

    Args:
        name: of the constraint and of its budget.
        heating: name of a heating rate [K s-1] (..., n_level).
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        fluxes: names and signs of the fluxes [W m-2] (...).
        constants: of the host; gravity and heat_capacity_dry_air count.
    Raises:
        EmagramError: if there is no flux or one appears twice.
    """

    name: str
    heating: str
    interface_pressure: str
    fluxes: tuple[FluxTerm, ...]
    constants: Constants

    def __post_init__(self) -> None:
        require_distinct(self.name, "fluxes", tuple(flux.name for flux in self.fluxes))

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Its energy [W m-2]."""
        return (Budget(self.name, "W m-2", ENERGY_TOLERANCE),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure and the fluxes."""
        return (self.interface_pressure, *(flux.name for flux in self.fluxes))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The heating."""
        return (self.heating,)

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """Heating minus absorbed flux.

        Args:
            fields: by name, at least the heating, the interface pressure and the fluxes.
        Returns:
            [W m-2] (...), float64, by the name of the budget.
        Raises:
            EmagramError: if a field is missing or its shape does not fit the pressure's.
        """
        columns = Columns(self.name, fields, self.interface_pressure, self.constants.gravity)
        heating = columns.layer(self.heating)
        absorbed = heating.new_zeros(heating.shape[:-1])
        for flux in self.fluxes:
            absorbed = absorbed + flux.sign * columns.column(flux.name)
        return {self.name: energy_residual(heating, columns.pressure, absorbed, constants=self.constants)}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with the heating closed; it keeps its dtype, and the closure is as exact as that is.

        Args, Raises: as `residuals`.
        """
        residual = self.residuals(fields)[self.name]
        mass = column_mass(fields[self.interface_pressure], constants=self.constants)
        correction = residual / (self.constants.heat_capacity_dry_air * mass)
        return replaced(self.name, fields, {self.heating: fields[self.heating].double() - correction.unsqueeze(-1)})

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; the constants stand elsewhere in it."""
        return {
            "type": "column_energy",
            "name": self.name,
            "unit": "W m-2",
            "heating": self.heating,
            "interface_pressure": self.interface_pressure,
            "fluxes": [flux.to_manifest() for flux in self.fluxes],
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> ColumnEnergy:
        """Read one entry of the `constraints` of a manifest; unknown keys are ignored, as the format asks.

        Raises:
            EmagramError: if a key is missing, or the type or the unit is another.
        """
        del time_step  # the closure of rates by fluxes does not depend on it
        with reading(entry, "column_energy"):
            if entry["unit"] != "W m-2":
                raise EmagramError(f"constraint '{entry['name']}': expected unit 'W m-2', got '{entry['unit']}'")
            fluxes = tuple(FluxTerm(flux["name"], flux["sign"]) for flux in entry["fluxes"])
            return cls(entry["name"], entry["heating"], entry["interface_pressure"], fluxes, constants)
