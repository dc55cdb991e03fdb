"""Columns of moist air whose water and energy are closed by the smallest change that leaves no water below zero."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..budgets import frozen_energy_rate, water_rate
from ..constants import Constants
from .columns import not_below_zero
from .projection import Weights, smallest_change

ROUNDING_PASSES = 2
ROUNDING = 4.0 * torch.finfo(torch.float64).eps
"""Of the water before: what is left of it after a step that takes all, and must not grow to close a budget."""


class MoistColumns(NamedTuple):
    """What the budgets need of columns, float64; waters are vapour, liquid and ice.

    Attributes:
        pressure: at the interfaces [Pa] (..., n_level + 1).
        mass: of the layers [kg m-2] (..., n_level).
        heating: Ṫ [K s-1] (..., n_level).
        waters: q [kg kg-1] (..., 3, n_level), before the physics.
        rates: q̇ [kg kg-1 s-1] (..., 3, n_level).
        kinetic: K̇ [W kg-1] (..., n_level).
        rain_and_snow, snow: P and S [kg m-2 s-1] (...).
        radiation: R_net into the column [W m-2] (...).
        is_upper: layers whose water nothing changes (..., n_level).
    """

    pressure: Tensor
    mass: Tensor
    heating: Tensor
    waters: Tensor
    rates: Tensor
    kinetic: Tensor
    rain_and_snow: Tensor
    snow: Tensor
    radiation: Tensor
    is_upper: Tensor


class Costs(NamedTuple):
    """σ_T² [K2 s-2], σ_q [s-2] and the time step Δt [s]; see `WaterAndEnergy`."""

    temperature_variance: float
    water_variance: float
    time_step: float

    def weights(self, constants: Constants, like: Tensor) -> Weights:
        """For a projection on the device of `like`."""
        fusion = constants.latent_heat_fusion
        return Weights(
            constants.heat_capacity_dry_air,
            like.new_tensor([constants.latent_heat_vaporization + fusion, fusion, 0.0]),
            self.temperature_variance,
            self.water_variance,
            1.0 / self.time_step,
        )


def imbalance(columns: MoistColumns, constants: Constants) -> tuple[Tensor, Tensor]:
    """r_A [kg m-2 s-1] and r_B [W m-2] (...), float64."""
    (vapor, liquid, ice), fusion = columns.rates.unbind(dim=-2), constants.latent_heat_fusion
    water = water_rate(columns.pressure, vapor, liquid, ice, constants=constants) + columns.rain_and_snow
    energy = frozen_energy_rate(columns.pressure, columns.heating, vapor, liquid, columns.kinetic, constants=constants)
    return water, energy + fusion * (columns.rain_and_snow - columns.snow) - columns.radiation


def close(columns: MoistColumns, costs: Costs, constants: Constants) -> MoistColumns:
    """Both budgets closed, to rounding."""
    columns = _project(columns, costs, constants)
    for _ in range(ROUNDING_PASSES):
        columns = _close_rounding(columns, costs.time_step, constants)
    return columns


def _project(columns: MoistColumns, costs: Costs, constants: Constants) -> MoistColumns:
    """The smallest change; precipitation and temperature close what water cannot."""
    mass = columns.mass.sum(dim=-1)
    present = columns.waters + costs.time_step * columns.rates
    is_none = (present <= ROUNDING * columns.waters.abs()) | columns.is_upper.unsqueeze(-2)
    present = torch.where(is_none, 0.0, present)
    available = (columns.mass.unsqueeze(-2) * present).sum(dim=-1)
    weights = costs.weights(constants, columns.mass)
    change = smallest_change(imbalance(columns, constants), mass, available, weights)
    less_rain = (columns.rain_and_snow - change.water_left).clamp(min=0.0)
    rain_and_snow = torch.where(change.closes, columns.rain_and_snow, less_rain)
    snow = torch.where(change.closes, columns.snow, torch.minimum(columns.snow, rain_and_snow))
    frozen = constants.latent_heat_fusion * (rain_and_snow - snow - (columns.rain_and_snow - columns.snow))
    alone = (change.energy_left + frozen) / (constants.heat_capacity_dry_air * mass)
    heating = columns.heating - torch.where(change.closes, change.cooling, alone).unsqueeze(-1)
    # the loss of all there is, as the host steps it, is −q / Δt
    rates = torch.maximum(columns.rates - change.loss.unsqueeze(-1) * present, -columns.waters / costs.time_step)
    rates = torch.where(present > 0.0, not_below_zero(columns.waters, rates, costs.time_step), columns.rates)
    return columns._replace(heating=heating, rates=rates, rain_and_snow=rain_and_snow, snow=snow)


def _close_rounding(columns: MoistColumns, time_step: float, constants: Constants) -> MoistColumns:
    """What is left of r_A from the lower layer with most of a water, of r_B from all heating; not differentiated."""
    with torch.no_grad():
        residual = imbalance(columns, constants)[0]
        present = columns.mass.unsqueeze(-2) * (columns.waters + time_step * columns.rates)
        present = torch.where(columns.is_upper.unsqueeze(-2), -torch.inf, present)
        most, at = present.flatten(-2).max(dim=-1, keepdim=True)
        is_rich = most[..., 0] > 2.0 * time_step * residual.abs()
        mass = columns.mass.unsqueeze(-2).expand_as(present).flatten(-2).gather(-1, at)
        gain = torch.where(is_rich, -residual, 0.0).unsqueeze(-1) / mass
        less_rain = torch.where(is_rich, 0.0, torch.minimum(residual, columns.rain_and_snow))
    rates = columns.rates.flatten(-2).scatter_add(-1, at, gain).reshape(columns.rates.shape)
    rain_and_snow = columns.rain_and_snow - less_rain
    snow = torch.where(less_rain != 0.0, torch.minimum(columns.snow, rain_and_snow), columns.snow)
    columns = columns._replace(rates=rates, rain_and_snow=rain_and_snow, snow=snow)
    with torch.no_grad():
        capacity = constants.heat_capacity_dry_air * columns.mass.sum(dim=-1)
        cooling = imbalance(columns, constants)[1] / capacity
    return columns._replace(heating=columns.heating - cooling.unsqueeze(-1))
