"""No water below zero: layers that would be borrow from their neighbours, and the column keeps its water.

Source: E3SM's massborrow (Zhang et al. 2018, doi:10.5194/gmd-11-1971-2018), here with what cannot be paid shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..constants import Constants
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
class Positivity:
    """n = q + Δt q̇ ≥ 0 in every layer, with Σ_s Σ_k n m kept as far as the column has water.

    What a layer lacks is taken from the layers below it, then from those above. What a cloud species lacks in the whole
    column is taken from the vapour, from each layer in proportion to its mass of vapour. A layer that neither lacks nor
    lends keeps its rate bit for bit. Upper layers, ½ (p_k + p_{k+1}) < p_top, lend nothing.

    Args:
        name: of the constraint and its budget.
        species: state q [kg kg-1] and rate q̇ [kg kg-1 s-1] (..., n_level) of each water, vapour first.
        interface_pressure: name of the pressure [Pa] (..., n_level + 1).
        constants: of the host; gravity counts.
        time_step: Δt [s].
        top_pressure: p_top [Pa]; without it every layer lends.
    Raises:
        EmagramError: if there is no species, one appears twice, Δt is not positive, or p_top is negative.
    """

    name: str
    species: tuple[Prognostic, ...]
    interface_pressure: str
    constants: Constants
    time_step: float
    top_pressure: float = 0.0

    def __post_init__(self) -> None:
        require_distinct(self.name, "species", self.outputs)
        require_positive(self.name, "time_step", self.time_step)
        require_top_pressure(self.name, self.top_pressure)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Water below zero after the step, and what of it the column cannot pay, per time [kg m-2 s-1]."""
        return (
            Budget(self.name, "kg m-2 s-1", WATER_TOLERANCE),
            Budget(f"{self.name}_deficit", "kg m-2 s-1", WATER_TOLERANCE, judged="before"),
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pressure and the states."""
        return (self.interface_pressure, *(species.state for species in self.species))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The rates."""
        return tuple(species.rate for species in self.species)

    def residuals(self, fields: Fields) -> dict[str, Tensor]:
        """Both budgets (...), float64; raises EmagramError if a field does not fit.

        r = Σ_s Σ_k m max(−n, 0) / Δt. With N_s = Σ_k m n of a species, without what upper layers hold, the column
        cannot pay max(Σ_clouds max(−N_s, 0) − N_vapour, 0) / Δt: water that `apply` makes from nothing.
        """
        columns = self._columns(fields)
        amount = torch.stack([columns.mass * self._after(columns, species) for species in self.species])
        lacking = -amount.clamp(max=0.0).sum(dim=0).sum(dim=-1)
        is_upper = columns.upper(self.top_pressure)
        owned = torch.where(is_upper, amount.clamp(max=0.0), amount).sum(dim=-1)
        deficit = ((-owned[1:]).clamp(min=0.0).sum(dim=0) - owned[0]).clamp(min=0.0)
        return {self.name: lacking / self.time_step, f"{self.name}_deficit": deficit / self.time_step}

    def apply(self, fields: Fields) -> dict[str, Tensor]:
        """All fields, with rates that leave no water below zero; raises EmagramError if a field does not fit."""
        columns = self._columns(fields)
        before = torch.stack([columns.mass * self._after(columns, species) for species in self.species])
        if not bool((before < 0.0).any()):
            return dict(fields)
        is_upper = columns.upper(self.top_pressure)
        clouds, debt = _borrow(before[1:], is_upper)
        vapor, _ = _borrow(_charge(before[0], debt.sum(dim=0), is_upper), is_upper)
        after = torch.cat([vapor.unsqueeze(0), clouds])
        changed = {}
        for species, old, new in zip(self.species, before, after, strict=True):
            state, rate = columns.layer(species.state), columns.layer(species.rate)
            needed = not_below_zero(state, (new / columns.mass - state) / self.time_step, self.time_step)
            changed[species.rate] = torch.where(new != old, needed, rate)
        return replaced(self.name, fields, changed)

    def to_manifest(self) -> dict[str, Any]:
        """Its entry in the `constraints` of a manifest; constants and time step stand elsewhere in it."""
        return {
            "type": "positivity",
            "name": self.name,
            "budgets": [budget.to_manifest() for budget in self.budgets],
            "species": [species.to_manifest() for species in self.species],
            "interface_pressure": self.interface_pressure,
            **({"top_pressure": self.top_pressure} if self.top_pressure else {}),
        }

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any], constants: Constants, time_step: float | None) -> Positivity:
        """Read its entry; raises EmagramError if a key or the time step is missing or a value of no use."""
        with reading(entry, "positivity"):
            species = tuple(Prognostic.from_manifest(item) for item in entry["species"])
            step = require_time_step(entry["name"], time_step)
            top_pressure = entry.get("top_pressure", 0.0)
            return cls(entry["name"], species, entry["interface_pressure"], constants, step, top_pressure)

    def _columns(self, fields: Fields) -> Columns:
        return Columns(self.name, fields, self.interface_pressure, self.constants.gravity)

    def _after(self, columns: Columns, species: Prognostic) -> Tensor:
        return columns.layer(species.state) + self.time_step * columns.layer(species.rate)


def _borrow(amount: Tensor, is_upper: Tensor) -> tuple[Tensor, Tensor]:
    """As `settle`, but what upper layers (..., n_level) hold stays theirs: they only borrow."""
    left, debt = settle(torch.where(is_upper, amount.clamp(max=0.0), amount))
    return torch.where(is_upper, amount.clamp(min=0.0), left), debt


def settle(amount: Tensor) -> tuple[Tensor, Tensor]:
    """Pay what layers lack from the layers below, then from those above.

    Args:
        amount: of a water in each layer [kg m-2] (..., n_level), float64.
    Returns:
        amounts, none negative, (..., n_level), and what the column cannot pay, at least 0, (...).
    """
    rows = amount.reshape(-1, amount.shape[-1])
    debt = rows.new_zeros(rows.shape[0])
    lacking = (rows < 0.0).any(dim=-1)
    if bool(lacking.any()):
        left, owed = _sweep(rows[lacking])
        if bool((owed > 0.0).any()):
            paid, owed = _sweep(torch.cat([-owed.unsqueeze(-1), left.flip(-1)], dim=-1))
            left = paid[:, 1:].flip(-1)
        index = (torch.nonzero(lacking)[:, 0],)
        rows, debt = rows.index_put(index, left), debt.index_put(index, owed)
    return rows.reshape(amount.shape), debt.reshape(amount.shape[:-1])


def _sweep(amount: Tensor) -> tuple[Tensor, Tensor]:
    """One sweep over the last axis, D_k = max(D_{k−1} − w_k, 0), and the debt D that is left, (n_row,).

    Every layer of a run with D > 0 goes to the layer that ends the run, so the sum runs in the order of the sweep.
    """
    n_level = amount.shape[-1]
    with torch.no_grad():
        debts = [amount.new_zeros(amount.shape[0])]
        for value in amount.t().contiguous().unbind():
            debts.append((debts[-1] - value).clamp_(min=0.0))
        level = torch.arange(n_level, device=amount.device)
        payer = torch.where(torch.stack(debts[1:], dim=-1) > 0.0, n_level, level)
        payer = payer.flip(-1).cummin(dim=-1).values.flip(-1)
    paid = amount.new_zeros(amount.shape[0], n_level + 1).scatter_add(1, payer, amount)
    return paid[:, :-1].clamp(min=0.0), (-paid[:, -1]).clamp(min=0.0)


def _charge(vapor: Tensor, debt: Tensor, is_upper: Tensor) -> Tensor:
    """Vapour [kg m-2] (..., n_level) less what clouds owe it (...), from each layer by its share, or all there is.

    Upper layers (..., n_level) give nothing.
    """
    available = torch.where(is_upper, 0.0, vapor.clamp(min=0.0))
    total = available.sum(dim=-1)
    enough = total > debt
    share = torch.where(enough, debt / torch.where(enough, total, 1.0), 1.0) * (debt > 0.0)
    return vapor - share.unsqueeze(-1) * available
