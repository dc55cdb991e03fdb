"""The grid of ClimSim columns: where each is, how much of the sphere it covers, and its hybrid levels.

The low-resolution grid has 384 columns (each of the 6 faces of a cube cut into 8 × 8) and 60 levels. Where its file
is not at hand, `built_in_grid` computes an equivalent: the same kind of cells, and levels within some percent.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import torch
from numpy.typing import NDArray

from ...physics.errors import EmagramError
from ...physics.vertical import HybridCoordinate
from ..atomic import write_atomically
from .netcdf import open_netcdf, read_dimension

Array = NDArray[np.float64]
Placed = tuple[tuple[str, ...], Array]
"""Dimensions and values of a variable."""

CLIMSIM_COLUMNS = 384
CLIMSIM_LEVELS = 60

TOP = 5.6e-5  # interface pressure at the top over the reference pressure, 5.6 Pa
PURE_PRESSURE = 0.182  # reference pressure below which levels follow pressure alone
P0 = 1.0e5  # Pa

AREA_TOLERANCE = 1e-6
"""Of 4π: what the areas of a file may sum to; more than the rounding of float32, less than half a cell."""
MIDDLE_TOLERANCE = 1e-6
"""Of the reference pressure: what hyam and hybm may differ from the mean of their interfaces."""


@dataclass(frozen=True, eq=False)
class ColumnGrid:
    """Columns on the sphere and the layers of each.

    Attributes:
        coordinate: hybrid levels.
        latitude, longitude: [degree_north], [degree_east], (n_column,).
        area: [sr] (n_column,); positive, 4π in all.
    Raises:
        EmagramError: if the sizes differ, a latitude is not on the sphere, or the areas do not cover it once.
    """

    coordinate: HybridCoordinate
    latitude: Array
    longitude: Array
    area: Array

    def __post_init__(self) -> None:
        shape = self.latitude.shape
        if len(shape) != 1 or shape[0] < 1 or self.longitude.shape != shape or self.area.shape != shape:
            shapes = (shape, self.longitude.shape, self.area.shape)
            raise EmagramError(f"grid: expected latitude, longitude and area of one shape (n_column,), got {shapes}")
        if not (np.abs(self.latitude) <= 90.0).all() or not np.isfinite(self.longitude).all():
            raise EmagramError("grid: expected latitudes from -90 to 90 and finite longitudes, got others")
        share = float(self.area.sum()) / (4.0 * math.pi)
        if not (self.area > 0.0).all() or not abs(share - 1.0) <= AREA_TOLERANCE:
            raise EmagramError(f"grid 'area': expected positive areas that sum to 4π, got {share:g} of that")

    @property
    def n_column(self) -> int:
        """Number of columns."""
        return int(self.latitude.size)

    @property
    def n_level(self) -> int:
        """Number of layers."""
        return self.coordinate.n_level


def read_climsim_grid(path: Path) -> ColumnGrid:
    """Read ClimSim's grid file: `hyai hybi` (ilev), `hyam hybm` (lev), `P0` [Pa], `lat lon area` (ncol).

    Raises:
        EmagramError: if a variable is missing or has other dimensions, the hybrid coefficients contradict each other,
            or the areas do not cover the sphere once.
    """
    with open_netcdf(path) as file:
        n_column, n_level = read_dimension(file, "ncol"), read_dimension(file, "lev")
        sizes = {"ncol": n_column, "lev": n_level, "ilev": n_level + 1}
        names = {"hyai": "ilev", "hybi": "ilev", "hyam": "lev", "hybm": "lev", "lat": "ncol", "lon": "ncol"}
        values = {name: _read(file, name, {at: sizes[at]}) for name, at in (names | {"area": "ncol"}).items()}
        p0 = float(_read(file, "P0", {}))
    _check_hybrid(values, p0, f"file '{path}'")
    try:
        coordinate = HybridCoordinate(tuple(values["hyai"].tolist()), tuple(values["hybi"].tolist()), p0)
        return ColumnGrid(coordinate, values["lat"], values["lon"], values["area"])
    except EmagramError as error:
        raise EmagramError(f"file '{path}': {error}") from error


def built_in_grid(n_column: int = CLIMSIM_COLUMNS, n_level: int = CLIMSIM_LEVELS) -> ColumnGrid:
    """A grid by formula, for any number of columns.

    6 n² columns are the cells of a cubed sphere with equal angles, any other number is spread in a spiral over the
    sphere with equal areas.

    Raises:
        EmagramError: if a number is not positive.
    """
    if n_column < 1 or n_level < 1:
        raise EmagramError(f"built-in grid: expected positive numbers, got {n_column} columns and {n_level} levels")
    n = math.isqrt(n_column // 6)
    latitude, longitude, area = _cubed_sphere(n) if 6 * n * n == n_column else _spiral(n_column)
    return ColumnGrid(_coordinate(n_level), latitude, longitude, area)


def write_grid(grid: ColumnGrid, path: Path) -> None:
    """Write a grid as ClimSim's grid file has it, with units.

    Raises:
        OSError: naming the file, if it cannot be written; nothing is then left or changed.
    """
    coordinate = grid.coordinate
    one = torch.ones((), dtype=torch.float64)
    interface = {"hyai": np.array(coordinate.hyai), "hybi": np.array(coordinate.hybi)}
    interface["ilev"] = 1e-2 * coordinate.interface_pressure(coordinate.p0 * one).numpy()
    middle = {"hyam": "hyai", "hybm": "hybi", "lev": "ilev"}
    columns = {"lat": grid.latitude, "lon": grid.longitude, "area": grid.area}
    units = {
        "lat": "degrees_north",
        "lon": "degrees_east",
        "area": "steradian",
        "lev": "hPa",
        "ilev": "hPa",
        "P0": "Pa",
    }
    variables = {name: (("ilev",), value) for name, value in interface.items()}
    variables |= {m: (("lev",), 0.5 * (interface[i][1:] + interface[i][:-1])) for m, i in middle.items()}
    variables |= {name: (("ncol",), value) for name, value in columns.items()}
    sizes = {"ncol": grid.n_column, "lev": grid.n_level, "ilev": grid.n_level + 1}
    write_atomically(path, _to_bytes(sizes, variables | {"P0": ((), np.array(coordinate.p0))}, units))


def _coordinate(n_level: int) -> HybridCoordinate:
    """Levels from 5.6 Pa, ln Δη(s) = c − 7.59 e^(−s / 0.16) + 2.86 e^(−(s − 0.15)²), s from 0 to 1 downwards.

    η is pressure over the reference pressure where the surface has that pressure. The numbers were fitted to the
    thickness of ClimSim's levels: fine in the boundary layer, coarse in the middle troposphere.
    """
    s = (np.arange(n_level) + 0.5) / n_level
    thickness = np.exp(-7.59 * np.exp(-s / 0.16) + 2.86 * np.exp(-((s - 0.15) ** 2)))
    eta = TOP + (1.0 - TOP) * np.append(0.0, np.cumsum(thickness) / thickness.sum())
    eta[-1] = 1.0
    hybi = np.clip((eta - PURE_PRESSURE) / (1.0 - PURE_PRESSURE), 0.0, None)
    return HybridCoordinate(tuple((eta - hybi).tolist()), tuple(hybi.tolist()), P0)


def _cubed_sphere(n: int) -> tuple[Array, Array, Array]:
    """Latitude, longitude and exact area of 6 × n × n cells whose edges are great circles at equal angles.

    A cell on the plane at distance 1 from the centre, x = tan α, y = tan β, spans the solid angle
    [[atan(x y / √(1 + x² + y²))]] between its corners.
    """
    edge = np.tan(np.linspace(-math.pi / 4.0, math.pi / 4.0, n + 1))
    centre = np.tan((np.arange(n) + 0.5) * math.pi / (2.0 * n) - math.pi / 4.0)
    corner = np.arctan2(np.outer(edge, edge), np.sqrt(1.0 + edge[:, None] ** 2 + edge[None, :] ** 2))
    area = np.diff(np.diff(corner, axis=0), axis=1).ravel()
    y, x = (plane.ravel() for plane in np.meshgrid(centre, centre, indexing="ij"))
    one = np.ones_like(x)
    faces = [(one, x, y), (-x, one, y), (-one, -x, y), (x, -one, y), (-y, x, one), (y, x, -one)]
    east, north, up = (np.concatenate(part) for part in zip(*faces, strict=True))
    latitude = np.rad2deg(np.arctan2(up, np.hypot(east, north)))
    return latitude, np.rad2deg(np.arctan2(north, east)) % 360.0, np.tile(area, 6)


def _spiral(n: int) -> tuple[Array, Array, Array]:
    """Latitude, longitude and area of n points, equally spaced in sin(latitude), a golden angle apart in longitude."""
    i = np.arange(n, dtype=np.float64)
    golden = 180.0 * (3.0 - math.sqrt(5.0))
    latitude = np.rad2deg(np.arcsin(1.0 - (2.0 * i + 1.0) / n))
    return latitude, golden * i % 360.0, np.full(n, 4.0 * math.pi / n, dtype=np.float64)


def _check_hybrid(values: Mapping[str, Array], p0: float, label: str) -> None:
    """Refuse layer coefficients that are not the middle of their interfaces, and an implausible reference pressure."""
    if not 9.0e4 <= p0 <= 1.1e5:
        raise EmagramError(f"{label}: expected 'P0' of about 1e5 Pa, got {p0:g}")
    for layer, interface in (("hyam", "hyai"), ("hybm", "hybi")):
        middle = 0.5 * (values[interface][1:] + values[interface][:-1])
        worst = int(np.argmax(np.abs(values[layer] - middle)))
        if not abs(values[layer][worst] - middle[worst]) <= MIDDLE_TOLERANCE:
            raise EmagramError(
                f"{label}: expected '{layer}' to be the mean of '{interface}' around each layer, "
                f"got {values[layer][worst]:g} for {middle[worst]:g} at level {worst}"
            )


def _read(file: netCDF4.Dataset, name: str, sizes: Mapping[str, int]) -> Array:
    """A variable in float64; the public grid file gives units for few, so its names decide what they are."""
    label = f"variable '{name}' of '{file.filepath()}'"
    if name not in file.variables:
        raise EmagramError(f"{label}: expected in the file, got no such variable")
    variable = file.variables[name]
    if dict(zip(variable.dimensions, variable.shape, strict=True)) != dict(sizes):
        found = dict(zip(variable.dimensions, variable.shape, strict=True))
        raise EmagramError(f"{label}: expected dimensions {dict(sizes)}, got {found}")
    values = np.ma.filled(np.ma.asarray(variable[...]).astype(np.float64), np.nan)
    if not np.isfinite(values).all():
        raise EmagramError(f"{label}: expected finite values, got a fill value or NaN")
    return np.asarray(values)


def _to_bytes(sizes: Mapping[str, int], variables: Mapping[str, Placed], units: Mapping[str, str]) -> bytes:
    """A NetCDF file of float64 variables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grid.nc"
        with netCDF4.Dataset(path, "w") as file:
            for name, size in sizes.items():
                file.createDimension(name, size)
            for name, (dimensions, values) in variables.items():
                variable = file.createVariable(name, "f8", dimensions)
                variable[...] = values
                variable.units = units.get(name, "1")
        return path.read_bytes()
