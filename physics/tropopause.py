"""Where the troposphere ends, from pressure and temperature alone.

Twin: fortran_bridge/src/tropopause.hpp.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .constants import Constants
from .errors import EmagramError

LAPSE_RATE = 2.0e-3
"""[K m-1]; at the tropopause temperature falls with height by no more."""
DEPTH = 2.0e3
"""[m] above it in which that holds."""


@dataclass(frozen=True)
class TropopauseSearch:
    """Between which pressures a tropopause is looked for.

    Args:
        lowest_pressure, highest_pressure: [Pa]; layers whose pressure is from the one to the other may be it.
        fallback_pressure: [Pa], taken for it in a column in which none of them is.
    Raises:
        EmagramError: if a pressure is not positive and finite, or the lowest is not below the highest.
    """

    lowest_pressure: float
    highest_pressure: float
    fallback_pressure: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < float("inf"):
                raise EmagramError(f"tropopause: expected a positive '{name}', got {value!r}")
        if not self.lowest_pressure < self.highest_pressure:
            raise EmagramError(
                f"tropopause: expected 'lowest_pressure' below 'highest_pressure' ({self.highest_pressure:g} Pa), "
                f"got {self.lowest_pressure:g} Pa"
            )


def layer_pressure(interface_pressure: Tensor) -> Tensor:
    """Pressure of the layers, ½ (p_k + p_{k+1}).

    Args:
        interface_pressure: [Pa] (..., n_level + 1), from the top.
    Returns:
        [Pa] (..., n_level), float64.
    """
    pressure = interface_pressure.double()
    return 0.5 * (pressure[..., :-1] + pressure[..., 1:])


@torch.no_grad()
def tropopause_pressure(
    interface_pressure: Tensor, air_temperature: Tensor, search: TropopauseSearch, *, constants: Constants
) -> Tensor:
    """Pressure of the lapse-rate tropopause, of the lowest layer k in the range of the search with

    T_k − T_j ≤ 2 K km⁻¹ (z_j − z_k) for the next layer above and for every layer j within 2 km above it.

    Heights are hydrostatic, z_{j−1} − z_j = (Rd / g) ½ (T_{j−1} + T_j) ln(p_j / p_{j−1}), without the 1 % that vapour
    adds at most up there. The highest layer, which none is above, is never it. A decision: not differentiated.

    Args:
        interface_pressure: [Pa] (..., n_level + 1), increasing from the top.
        air_temperature: [K] (..., n_level).
        search: range, and what counts where no layer of it is a tropopause.
        constants: of the host; gravity and gas_constant_dry_air count.
    Returns:
        [Pa] (...), float64.
    Source: World Meteorological Organization 1957, WMO Bulletin 6, 136; on model levels as by Reichler, Dameris and
        Sausen 2003, doi:10.1029/2003GL018240, here without interpolation between them.
    """
    pressure, temperature = layer_pressure(interface_pressure), air_temperature.double()
    is_tropopause = (pressure >= search.lowest_pressure) & (pressure <= search.highest_pressure)
    is_tropopause &= _falls_slowly(_heights(pressure, temperature, constants), temperature)
    lowest = torch.where(is_tropopause, pressure, 0.0).amax(dim=-1)
    return torch.where(lowest > 0.0, lowest, search.fallback_pressure)


def _heights(pressure: Tensor, temperature: Tensor, constants: Constants) -> Tensor:
    """Of the layers above the lowest one [m] (..., n_level)."""
    mean = 0.5 * (temperature[..., 1:] + temperature[..., :-1])
    scale = constants.gas_constant_dry_air / constants.gravity
    thickness = scale * mean * torch.log(pressure[..., 1:] / pressure[..., :-1])
    above = thickness.flip(-1).cumsum(dim=-1).flip(-1)
    return torch.cat([above, torch.zeros_like(pressure[..., :1])], dim=-1)


def _falls_slowly(height: Tensor, temperature: Tensor) -> Tensor:
    """Whether the mean lapse rate to the next layer and to all within `DEPTH` above is small (..., n_level)."""
    holds = torch.ones_like(temperature, dtype=torch.bool)
    holds[..., 0] = False
    for distance in range(1, temperature.shape[-1]):
        rise = height[..., :-distance] - height[..., distance:]
        fall = temperature[..., distance:] - temperature[..., :-distance]
        is_near = (rise <= DEPTH) | (distance == 1)
        if not bool(is_near.any()):
            break
        holds[..., distance:] &= (fall <= LAPSE_RATE * rise) | ~is_near
    return holds
