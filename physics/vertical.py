"""The vertical coordinate: level 0 is the model top, pressure increases with the index.

`n_level` layers lie between `n_level + 1` interfaces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .errors import EmagramError

# A hybrid grid must be ordered over every surface pressure from the highest plateau to the deepest high [Pa].
_SURFACE_PRESSURE_RANGE = (5.0e4, 1.1e5)


@dataclass(frozen=True)
class HybridCoordinate:
    """Hybrid σ–p coordinate, p_i = hyai_i · p0 + hybi_i · ps at interface i.

    Args:
        hyai: [1], n_level + 1 coefficients of the reference pressure, from the top.
        hybi: [1], n_level + 1 coefficients of the surface pressure, from the top.
        p0: [Pa], reference pressure.
    Raises:
        EmagramError: if the sizes differ, a value is not finite, or pressure does not increase downwards.
    Source: Simmons and Burridge 1981, doi:10.1175/1520-0493(1981)109<0758:AEAAMC>2.0.CO;2
    """

    hyai: tuple[float, ...]
    hybi: tuple[float, ...]
    p0: float = 1.0e5

    def __post_init__(self) -> None:
        if len(self.hyai) < 2 or len(self.hyai) != len(self.hybi):
            raise EmagramError(
                "hybrid coordinate: expected hyai and hybi of one size of at least 2, "
                f"got {len(self.hyai)} and {len(self.hybi)}"
            )
        if not all(map(math.isfinite, (*self.hyai, *self.hybi, self.p0))):
            raise EmagramError("hybrid coordinate: expected finite hyai, hybi and p0, got NaN or infinity")
        for surface_pressure in _SURFACE_PRESSURE_RANGE:
            interface = [a * self.p0 + b * surface_pressure for a, b in zip(self.hyai, self.hybi, strict=True)]
            for above, below in pairwise(interface):
                if not 0.0 <= above < below:
                    raise EmagramError(
                        "hybrid coordinate: expected pressure to increase downwards from the top, "
                        f"got {below:g} Pa below {above:g} Pa at a surface pressure of {surface_pressure:g} Pa"
                    )

    @property
    def n_level(self) -> int:
        """Number of layers."""
        return len(self.hyai) - 1

    def interface_pressure(self, surface_pressure: Tensor) -> Tensor:
        """Pressure at the interfaces.

        Args:
            surface_pressure: [Pa] (...).
        Returns:
            [Pa] (..., n_level + 1).
        """
        hyai = torch.tensor(self.hyai, dtype=surface_pressure.dtype, device=surface_pressure.device)
        hybi = torch.tensor(self.hybi, dtype=surface_pressure.dtype, device=surface_pressure.device)
        return hyai * self.p0 + hybi * surface_pressure.unsqueeze(-1)

    def layer_thickness(self, surface_pressure: Tensor) -> Tensor:
        """Pressure thickness of the layers, Δp_k = p0 · Δhyai_k + ps · Δhybi_k.

        Args:
            surface_pressure: [Pa] (...).
        Returns:
            [Pa] (..., n_level).
        """
        return self.interface_pressure(surface_pressure).diff(dim=-1)


def layer_thickness(interface_pressure: Tensor) -> Tensor:
    """Pressure thickness of the layers, Δp_k = p_{k+1} − p_k, checked.

    Args:
        interface_pressure: [Pa] (..., n_level + 1), from the top.
    Returns:
        [Pa] (..., n_level).
    Raises:
        EmagramError: if there are fewer than two interfaces or pressure does not increase with the index.
    """
    if interface_pressure.ndim == 0 or interface_pressure.shape[-1] < 2:
        raise EmagramError(
            f"interface pressure: expected shape (..., n_level + 1), got {tuple(interface_pressure.shape)}"
        )
    thickness = interface_pressure.diff(dim=-1)
    if not bool((thickness > 0.0).all()):
        raise EmagramError(
            "interface pressure: expected values that increase from the model top, "
            f"got a step of {float(thickness.min()):g} Pa"
        )
    return thickness
