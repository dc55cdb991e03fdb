"""Files' worth of columns like ClimSim's for tests at scale: drawn from its statistics, or made up without any.

`generate_climsim` keeps the distribution of every variable at every level, and how a profile hangs together from level
to level, from step to step and from before to after the physics, by a Gaussian copula: standard normal numbers with
those correlations, each turned into the value of the same rank. It keeps no other relation: nobody's physics maps its
inputs to its outputs, and no budget closes. `toy_climsim` is the opposite: made up, but closed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import netCDF4
import numpy as np
import torch
from numpy.typing import NDArray

from ...physics.errors import EmagramError
from .climsim_grid import ColumnGrid
from .climsim_toy import STATE, RawStep, toy_climsim
from .netcdf import open_netcdf, read_dimension

__all__ = ["RawStep", "generate_climsim", "toy_climsim"]

Array = NDArray[np.float64]

CORRELATION_LEVELS = 6.0
"""Levels over which a profile's ranks lose correlation, exp(−(Δk / 6)² / 2)."""
STEP_CORRELATION = 0.999
"""Of a rank with itself a step later."""
PHYSICS_SHARE = 0.01
"""x, where a state's ranks before and after the physics correlate with 1 − x²: their change has the spread √2 x."""
MOISTURE_CORRELATION = 0.9
"""Of water vapour with temperature: warm air is moist."""

# Variables of a group have the same rank in a column, so that night, snow and albedos agree with each other.
_SUN = ("pbuf_SOLIN", "pbuf_COSZRS")
_SUNLIGHT = ("cam_out_NETSW", "cam_out_SOLS", "cam_out_SOLL", "cam_out_SOLSD", "cam_out_SOLLD")
_RANK_OF = {
    **dict.fromkeys((*_SUN, *_SUNLIGHT), "sun"),
    **dict.fromkeys(("cam_in_ALDIF", "cam_in_ALDIR", "cam_in_ASDIF", "cam_in_ASDIR"), "albedo"),
    **dict.fromkeys(("cam_out_PRECC", "cam_out_PRECSC"), "rain"),
}
_NEEDED = (*STATE, "state_pmid", "cam_in_LANDFRAC", "cam_in_ICEFRAC")


def generate_climsim(statistics_path: Path, grid: ColumnGrid, n_step: int, seed: int) -> Iterator[RawStep]:
    """Successive steps of all columns, every variable of ClimSim's files.

    Args:
        statistics_path: ClimSim's statistics by variable and level: `<mli or mlo>_<variable>_bin_edges`, `_frequency`,
            `_mean`, `_min`, `_max`.
        grid: of the columns, with the levels of the statistics.
        n_step: number of steps.
        seed: of the random numbers; the same one gives the same columns.
    Yields:
        `mli` and `mlo` of each step by ClimSim name, float64, (n_column,) or (n_column, n_level).
    Raises:
        EmagramError: if the file is missing or lacks a variable, or the grid has other levels.
    """
    marginals = _read_marginals(Path(statistics_path), grid.n_level)
    random = np.random.Generator(np.random.PCG64(seed))
    root = _correlation_root(grid.n_level)
    own: dict[str, Array] = {}
    for _ in range(n_step):
        own = _next_ranks(own, marginals["mli"] | marginals["mlo"], grid.n_column, root, random)
        ranks = own | {"state_q0001": _mixed(own["state_t"], MOISTURE_CORRELATION, own["state_q0001"])}
        after = ranks | {
            n: _mixed(ranks[n], 1.0 - PHYSICS_SHARE**2, _noise(grid.n_column, root, random)) for n in STATE
        }
        mli = {name: marginal.values(ranks[_rank(name)]) for name, marginal in marginals["mli"].items()}
        mlo = {name: marginal.values(after[_rank(name)]) for name, marginal in marginals["mlo"].items()}
        mlo["cam_out_PRECSC"] = np.minimum(mlo["cam_out_PRECSC"], mlo["cam_out_PRECC"])
        yield {"mli": mli | _computed(mli, grid), "mlo": mlo}


def _computed(mli: Mapping[str, Array], grid: ColumnGrid) -> dict[str, Array]:
    """Surface pressure from that of the lowest layer, the pressure of all layers from it, fractions that sum to 1."""
    ice = np.minimum(mli["cam_in_ICEFRAC"], 1.0 - mli["cam_in_LANDFRAC"])
    coordinate = grid.coordinate
    a, b = 0.5 * sum(coordinate.hyai[-2:]), 0.5 * sum(coordinate.hybi[-2:])
    surface = (mli["state_pmid"][:, -1] - a * coordinate.p0) / b
    interface = coordinate.interface_pressure(torch.from_numpy(surface)).numpy()
    return {
        "state_ps": surface,
        "state_pmid": 0.5 * (interface[:, 1:] + interface[:, :-1]),
        "cam_in_ICEFRAC": ice,
        "cam_in_OCNFRAC": 1.0 - mli["cam_in_LANDFRAC"] - ice,
    }


class _Marginal:
    """The distribution of a variable at each of its levels, from a histogram.

    Within a bin values are spread evenly, except in a bin that holds most of them (no cloud, no rain, night, a range
    stretched by outliers): there as a power of the rank, with the exponent that gives the variable its mean.
    """

    def __init__(self, edges: Array, frequency: Array, mean: Array, least: Array, largest: Array) -> None:
        # a variable that is constant at a level has bins around it, and only its extremes tell the value
        self.edges = np.clip(edges, least[..., None], largest[..., None]).reshape(-1, edges.shape[-1])
        self.is_profile = edges.ndim == 2
        share = frequency.reshape(-1, frequency.shape[-1])
        share = share / share.sum(axis=1, keepdims=True)
        self.cumulative = np.concatenate([np.zeros((share.shape[0], 1)), np.cumsum(share, axis=1)], axis=1)
        level, self.fullest = np.arange(share.shape[0]), share.argmax(axis=1)
        middle = 0.5 * (self.edges[:, 1:] + self.edges[:, :-1])
        most, lowest = share[level, self.fullest], self.edges[level, self.fullest]
        width = self.edges[level, self.fullest + 1] - lowest
        rest = mean.reshape(-1) - (share * middle).sum(axis=1) + most * middle[level, self.fullest]
        with np.errstate(divide="ignore", invalid="ignore"):
            height = np.clip((rest / most - lowest) / width, 1e-6, 1.0 - 1e-6)
        self.exponent = np.where((most > 0.5) & np.isfinite(height), 1.0 / height - 1.0, 1.0)

    def values(self, normal: Array) -> Array:
        """Values of the ranks of standard normal numbers, (n_column,) or (n_column, n_level)."""
        rank = torch.special.ndtr(torch.from_numpy(normal)).numpy().reshape(normal.shape[0], -1)
        values = np.empty_like(rank)
        for k, bin_ in enumerate(self.fullest):
            edges, cumulative = self.edges[k], self.cumulative[k]
            values[:, k] = np.interp(rank[:, k], cumulative, edges)
            low, high = cumulative[bin_], cumulative[bin_ + 1]
            inside = (rank[:, k] > low) & (rank[:, k] < high)
            share = ((rank[inside, k] - low) / (high - low)) ** self.exponent[k]
            values[inside, k] = edges[bin_] + (edges[bin_ + 1] - edges[bin_]) * share
        return values if self.is_profile else np.asarray(values[:, 0])


def _read_marginals(path: Path, n_level: int) -> dict[str, dict[str, _Marginal]]:
    with open_netcdf(path) as file:
        if (found := read_dimension(file, "lev")) != n_level:
            raise EmagramError(f"file '{path}': expected the {n_level} levels of the grid, got {found}")
        names = [name.removesuffix("_bin_edges") for name in file.variables if name.endswith("_bin_edges")]
        marginals: dict[str, dict[str, _Marginal]] = {"mli": {}, "mlo": {}}
        for kind, name in (label.split("_", 1) for label in names):
            marginals[kind][name] = _read_marginal(file, kind, name)
    for kind, needed in (("mli", _NEEDED), ("mlo", (*STATE, "cam_out_PRECC", "cam_out_PRECSC"))):
        for name in needed:
            if name not in marginals[kind]:
                raise EmagramError(f"file '{path}': expected statistics of '{kind}_{name}', got none")
    return marginals


def _read_marginal(file: netCDF4.Dataset, kind: str, name: str) -> _Marginal:
    """Statistics of a variable; a level that is missing after the physics has those from before."""
    parts = []
    for part in ("bin_edges", "frequency", "mean", "min", "max"):
        values = _filled(file, f"{kind}_{name}_{part}")
        if kind == "mlo" and f"mli_{name}_{part}" in file.variables:
            values = np.where(np.isfinite(values), values, _filled(file, f"mli_{name}_{part}"))
        parts.append(values)
    return _Marginal(*parts)


def _filled(file: netCDF4.Dataset, name: str) -> Array:
    if name not in file.variables:
        raise EmagramError(f"file '{file.filepath()}': expected variable '{name}', got no such variable")
    return np.asarray(np.ma.filled(np.ma.asarray(file.variables[name][...]).astype(np.float64), np.nan))


def _correlation_root(n_level: int) -> Array:
    """A matrix R whose rows have unit length and R Rᵀ falls off smoothly with the distance of levels."""
    k = np.arange(n_level, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.exp(-0.5 * ((k[:, None] - k) / CORRELATION_LEVELS) ** 2))
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    return np.asarray(root / np.linalg.norm(root, axis=1, keepdims=True))


def _next_ranks(
    ranks: Mapping[str, Array],
    marginals: Mapping[str, _Marginal],
    n_column: int,
    root: Array,
    random: np.random.Generator,
) -> dict[str, Array]:
    """Standard normal numbers of every rank, correlated with those of the step before."""
    one = np.ones((1, 1))
    following: dict[str, Array] = {}
    for name, marginal in marginals.items():
        rank = _rank(name)
        if rank in following:
            continue
        noise = _noise(n_column, root if marginal.is_profile else one, random)
        noise = noise if marginal.is_profile else noise[:, 0]
        following[rank] = _mixed(ranks[rank], STEP_CORRELATION, noise) if rank in ranks else noise
    return following


def _rank(name: str) -> str:
    return _RANK_OF.get(name, name)


def _noise(n_column: int, root: Array, random: np.random.Generator) -> Array:
    return np.asarray(random.standard_normal((n_column, root.shape[1])) @ root.T)


def _mixed(normal: Array, correlation: float, noise: Array) -> Array:
    """Standard normal numbers with a correlation to others."""
    return correlation * normal + math.sqrt(1.0 - correlation**2) * noise
