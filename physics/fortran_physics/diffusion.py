"""Implicit vertical diffusion of the Fortran column physics, for numpy arrays."""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from .call import Array, call, column_shapes


class Diffusion(NamedTuple):
    """Rate of what is mixed, and the fluxes it comes from."""

    rate: Array  # [x s-1] (n_column, n_level)
    flux: Array  # [x kg m-2 s-1] (n_column, n_level + 1), upward, after the step


def diffusion(
    pressure_interface: ArrayLike, exchange: ArrayLike, quantity: ArrayLike, *, time_step: float
) -> Diffusion:
    """Backward Euler step of diffusion without flux at top and surface, F_j = e_j (x′_j − x′_{j−1}),
    (x′_k − x_k)/Δt = (F_{k+1} − F_k) g/Δp_k.

    Args:
        pressure_interface: [Pa] (n_column, n_level + 1).
        exchange: e = ρ K / Δz [kg m-2 s-1] (n_column, n_level + 1), at interfaces; first and last are not used.
        quantity: x, in any unit per mass of air (n_column, n_level).
        time_step: [s].
    Raises:
        EmagramError: if shapes differ, or a value is not finite or out of its range.
    """
    layers, interfaces, _ = column_shapes(pressure_interface)
    arguments = (time_step, pressure_interface, exchange, quantity)
    return Diffusion(*call("diffusion", "diffusion", *arguments, results=[layers, interfaces]))
