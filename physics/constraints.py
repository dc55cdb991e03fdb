"""Corrections that close the budgets of a column, applied in sequence after the network.

Each is a small frozen object: it measures its residual, applies itself differentiably, and describes itself in the
manifest of a model file, from which the C++ runtime builds its twin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from .budgets import column_mass, energy_residual
from .constants import Constants
from .errors import EmagramError

Fields = Mapping[str, Tensor]


class Constraint(Protocol):
    """What every constraint does with the named inputs and outputs of a batch of columns."""

    @property
    def name(self) -> str:
        """Name of the budget it closes."""
        ...

    def residual(self, fields: Fields) -> Tensor:
        """Residual of the budget (...), float64."""
        ...

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with the corrected ones replaced."""
        ...

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest."""
        ...


@dataclass(frozen=True)
class FluxTerm:
    """A flux across the boundary of a column; sign +1 warms the column, −1 cools it."""

    name: str
    sign: int

    def __post_init__(self) -> None:
        if isinstance(self.sign, bool) or self.sign not in (-1, 1):
            raise EmagramError(f"flux '{self.name}': expected sign 1 or -1, got {self.sign!r}")


@dataclass(frozen=True)
class ColumnEnergy:
    """Closes the column integral of a heating rate against the fluxes into the column.

    r = Σ_k (cp/g) h_k Δp_k − Σ_j sign_j F_j, and every h_k is lowered by r / Σ_k (cp/g) Δp_k: of all changes that
    close the budget, the one with the smallest mass-weighted square.

    Args:
        name: of the budget, as reported.
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
        names = [flux.name for flux in self.fluxes]
        if not names or len(set(names)) < len(names):
            raise EmagramError(f"constraint '{self.name}': expected distinct fluxes, got {names}")

    def residual(self, fields: Fields) -> Tensor:
        """Heating minus absorbed flux.

        Args:
            fields: by name, at least the heating, the interface pressure and the fluxes.
        Returns:
            [W m-2] (...), float64.
        Raises:
            EmagramError: if a field is missing or its shape does not fit the heating's.
        """
        heating = self._field(fields, self.heating)
        pressure = self._field(fields, self.interface_pressure)
        self._check_shape(self.interface_pressure, pressure, (*heating.shape[:-1], heating.shape[-1] + 1))
        absorbed = heating.new_zeros(heating.shape[:-1]).double()
        for flux in self.fluxes:
            value = self._field(fields, flux.name)
            self._check_shape(flux.name, value, tuple(heating.shape[:-1]))
            absorbed = absorbed + flux.sign * value.double()
        return energy_residual(heating, pressure, absorbed, constants=self.constants)

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with the heating closed; it keeps its dtype, and the closure is as exact as that is.

        Args, Raises: as `residual`.
        """
        residual = self.residual(fields)
        heating = fields[self.heating]
        mass = column_mass(fields[self.interface_pressure], constants=self.constants)
        correction = residual / (self.constants.heat_capacity_dry_air * mass)
        closed = (heating.double() - correction.unsqueeze(-1)).to(heating.dtype)
        return {**fields, self.heating: closed}

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; the constants stand elsewhere in it."""
        return {
            "type": "column_energy",
            "name": self.name,
            "unit": "W m-2",
            "heating": self.heating,
            "interface_pressure": self.interface_pressure,
            "fluxes": [{"name": flux.name, "sign": flux.sign} for flux in self.fluxes],
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants) -> ColumnEnergy:
        """Read one entry of the `constraints` of a manifest; unknown keys are ignored, as the format asks.

        Raises:
            EmagramError: if a key is missing, or the type or the unit is another.
        """
        try:
            if (entry["type"], entry["unit"]) != ("column_energy", "W m-2"):
                raise EmagramError(
                    f"constraint '{entry['name']}': expected type 'column_energy' in 'W m-2', "
                    f"got '{entry['type']}' in '{entry['unit']}'"
                )
            fluxes = tuple(FluxTerm(flux["name"], flux["sign"]) for flux in entry["fluxes"])
            return cls(entry["name"], entry["heating"], entry["interface_pressure"], fluxes, constants)
        except KeyError as missing:
            raise EmagramError(f"constraint {dict(entry)}: expected key {missing}, got none") from None

    def _field(self, fields: Fields, name: str) -> Tensor:
        if name not in fields:
            raise EmagramError(f"constraint '{self.name}': expected field '{name}', got {sorted(fields)}")
        return fields[name]

    @staticmethod
    def _check_shape(name: str, value: Tensor, expected: tuple[int, ...]) -> None:
        if tuple(value.shape) != expected:
            raise EmagramError(f"field '{name}': expected shape {expected}, got {tuple(value.shape)}")


CONSTRAINTS = {"column_energy": ColumnEnergy}


def from_manifest(entries: Sequence[Mapping[str, Any]], constants: Constants) -> tuple[Constraint, ...]:
    """Build the constraint sequence of a model file.

    Raises:
        EmagramError: if a type is unknown or an entry is incomplete.
    """
    built = []
    for entry in entries:
        kind = entry.get("type")
        if kind not in CONSTRAINTS:
            raise EmagramError(f"constraint type {kind!r}: expected one of {sorted(CONSTRAINTS)}")
        built.append(CONSTRAINTS[kind].from_manifest(entry, constants))
    return tuple(built)
