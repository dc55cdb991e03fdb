"""Laws of water and energy for the columns of `constrained_columns`, and a solution of them by dense algebra."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from constrained_columns import CONSTANTS, RATES
from emagram.physics.constraints import Law, LinearLaws, Term

Array = NDArray[np.float64]
FUSION, VAPORIZATION = CONSTANTS.latent_heat_fusion, CONSTANTS.latent_heat_vaporization
DENSITY = CONSTANTS.density_liquid_water

WATER = Law(
    "all_water", "kg m-2 s-1", (*(Term(rate, 1.0, per_mass=True) for rate in RATES), Term("rain", DENSITY)), 1.0e-15
)
ENERGY = Law(
    "all_energy",
    "W m-2",
    (
        Term("dT", CONSTANTS.heat_capacity_dry_air, per_mass=True),
        Term("dqv", VAPORIZATION + FUSION, per_mass=True),
        Term("dql", FUSION, per_mass=True),
        Term("rain", FUSION * DENSITY),
        Term("snow", -FUSION * DENSITY),
        Term("net", 1.0),
        Term("olr", 1.0),
        Term("longwave_up", -1.0),
    ),
    1.0e-10,
)
VARIANCE = {"dT": (1.0 / 86400.0) ** 2, "dqv": 1.0e-16, "dql": 1.0e-18, "rain": 1.0e-16, "olr": 100.0}
LAWS = LinearLaws("laws", (WATER, ENERGY), VARIANCE, "p", CONSTANTS)


def levels(n_level: int) -> LinearLaws:
    """The same laws with a variance, and two covariances, of their own in each of the layers."""
    rng = np.random.default_rng(n_level)

    def numbers(scale: float) -> tuple[float, ...]:
        return tuple((scale * rng.normal(size=n_level)).tolist())

    heating = tuple((VARIANCE["dT"] * rng.uniform(0.1, 3.0, n_level)).tolist())
    covariance = (
        {"dT": numbers(1.0e-5), "dqv": numbers(1.0e-8), "olr": 10.0},
        {"dqv": numbers(1.0e-8), "rain": -1.0e-8},
    )
    return LinearLaws("laws", (WATER, ENERGY), {**VARIANCE, "dT": heating}, "p", CONSTANTS, covariance)


def dense_solution(laws: LinearLaws, fields: Mapping[str, Tensor], at: int) -> tuple[dict[str, Array], Array]:
    """Changed outputs of one column by the optimality conditions with all of Σ, and what the laws were off by.

    [Σ⁻¹ Aᵀ; A 0] [δy; λ] = [0; −r], in units in which Σ has a diagonal and A Σ Aᵀ rows of order one.
    """
    column = {name: np.atleast_1d(value[at].double().numpy()) for name, value in fields.items()}
    mass = np.diff(column["p"]) / CONSTANTS.gravity
    sizes = [column[name].size for name in laws.outputs]
    where = dict(zip(laws.outputs, np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]), strict=True))
    variance = np.concatenate([np.broadcast_to(laws.variance[name], column[name].shape) for name in laws.outputs])
    sigma = np.diag(variance)
    for u in laws.covariance:
        vector = np.zeros(sum(sizes))
        for name, value in u.items():
            vector[where[name]] = value
        sigma += np.outer(vector, vector)
    rows, residual = np.zeros((len(laws.laws), sum(sizes))), np.zeros(len(laws.laws))
    for j, law in enumerate(laws.laws):
        for term in law.terms:
            coefficient = np.broadcast_to(term.coefficient, column[term.field].shape) * (mass if term.per_mass else 1.0)
            residual[j] += coefficient @ column[term.field]
            if term.field in where:
                rows[j, where[term.field]] = coefficient
    unit = np.sqrt(np.diag(sigma))
    scale = np.sqrt(np.einsum("ji,ik,jk->j", rows, sigma, rows))
    inverse = np.linalg.inv(sigma / np.outer(unit, unit))
    scaled = rows * unit / scale[:, None]
    zeros = np.zeros((len(scale), len(scale)))
    system = np.block([[inverse, scaled.T], [scaled, zeros]])
    change = unit * np.linalg.solve(system, np.concatenate([np.zeros(len(unit)), -residual / scale]))[: len(unit)]
    return {name: column[name] + change[where[name]] for name in laws.outputs}, residual
