"""Grids of columns: geometry of the sphere, levels, the file, and what is refused."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.emulators.data.climsim_grid import ColumnGrid, built_in_grid, read_climsim_grid, write_grid
from emagram.physics.errors import EmagramError


def unit_vectors(grid: ColumnGrid) -> np.ndarray:
    latitude, longitude = np.deg2rad(grid.latitude), np.deg2rad(grid.longitude)
    east, north = np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)
    return np.stack([east, north, np.sin(latitude)], axis=1)


def interface(grid: ColumnGrid, surface_pressure: float = 1.0e5) -> np.ndarray:
    return grid.coordinate.interface_pressure(torch.tensor(surface_pressure, dtype=torch.float64)).numpy()


@settings(deadline=None, max_examples=40)
@given(n_column=st.one_of(st.integers(1, 400), st.integers(1, 9).map(lambda n: 6 * n * n)), n_level=st.integers(1, 80))
def test_any_number_of_columns_covers_the_sphere_evenly(n_column: int, n_level: int) -> None:
    grid = built_in_grid(n_column, n_level)
    assert (grid.n_column, grid.n_level) == (n_column, n_level)
    assert grid.area.sum() == pytest.approx(4.0 * math.pi, rel=1e-12)
    assert ((grid.longitude >= 0.0) & (grid.longitude < 360.0)).all()
    mean = (unit_vectors(grid) * grid.area[:, None]).sum(axis=0) / (4.0 * math.pi)
    assert np.abs(mean[2]) < 1e-12
    if n_column > 20:
        assert np.abs(mean).max() < 1.0 / n_column
        # the mean of sin² of latitude over a sphere is 1/3
        assert (np.sin(np.deg2rad(grid.latitude)) ** 2 * grid.area).sum() / (4.0 * math.pi) == pytest.approx(
            1.0 / 3.0, abs=2.0 / n_column
        )
        vectors = unit_vectors(grid)
        cosine = vectors @ vectors.T - 2.0 * np.eye(n_column)
        assert np.arccos(np.clip(cosine.max(), -1.0, 1.0)) > 0.5 * math.sqrt(4.0 * math.pi / n_column)


def test_area_of_a_cubed_sphere_cell_is_its_solid_angle() -> None:
    """By spherical excess of the corners of each cell of a face, an independent formula."""
    n = 4
    grid = built_in_grid(6 * n * n, 3)
    tangent = np.tan(np.linspace(-math.pi / 4, math.pi / 4, n + 1))

    def corner(i: int, j: int) -> np.ndarray:
        vector = np.array([1.0, tangent[j], tangent[i]])
        return vector / np.linalg.norm(vector)

    def triangle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
        volume = abs(float(a @ np.cross(b, c)))
        return 2.0 * math.atan2(volume, 1.0 + float(a @ b + b @ c + c @ a))

    for i in range(n):
        for j in range(n):
            a, b, c, d = corner(i, j), corner(i, j + 1), corner(i + 1, j + 1), corner(i + 1, j)
            assert grid.area[i * n + j] == pytest.approx(triangle(a, b, c) + triangle(a, c, d), rel=1e-12)
            inside = unit_vectors(grid)[i * n + j] @ (a + b + c + d) / np.linalg.norm(a + b + c + d)
            assert inside > 0.999


def test_levels_start_at_a_tenth_of_a_hectopascal_and_end_at_the_surface() -> None:
    pressure = interface(built_in_grid(), 9.7e4)
    assert 5.0 < 0.5 * (pressure[0] + pressure[1]) < 15.0
    assert pressure[-1] == pytest.approx(9.7e4, rel=1e-14)
    assert (np.diff(pressure) > 0.0).all()


def test_a_grid_comes_back_from_its_file(tmp_path: Path) -> None:
    grid = built_in_grid(24, 7)
    write_grid(grid, tmp_path / "grid.nc")
    again = read_climsim_grid(tmp_path / "grid.nc")
    assert again.coordinate == grid.coordinate
    for name in ("latitude", "longitude", "area"):
        np.testing.assert_array_equal(getattr(again, name), getattr(grid, name))
    with netCDF4.Dataset(tmp_path / "grid.nc") as file:
        assert file["lat"].units == "degrees_north"
        np.testing.assert_allclose(file["ilev"][:], interface(grid) / 100.0, rtol=1e-14)


@pytest.mark.real_data
def test_the_built_in_grid_is_like_the_real_one(real_data: Path) -> None:
    real = read_climsim_grid(real_data / "climsim/grid_info/ClimSim_low-res_grid-info.nc")
    ours = built_in_grid()
    assert (real.n_column, real.n_level) == (ours.n_column, ours.n_level)
    for surface_pressure in (6.0e4, 1.0e5):
        ratio = interface(ours, surface_pressure) / interface(real, surface_pressure)
        assert np.abs(np.log(ratio)).max() < math.log(1.15)
    np.testing.assert_allclose(np.sort(ours.area), np.sort(real.area), rtol=0.1)
    np.testing.assert_allclose(np.sort(ours.latitude), np.sort(real.latitude), atol=1.0)
    nearest = (unit_vectors(ours) @ unit_vectors(real).T).max(axis=1)
    assert np.rad2deg(np.arccos(np.clip(nearest.min(), -1.0, 1.0))) < 12.0


def change(name: str, edit: Callable[[netCDF4.Variable], None]) -> Callable[[netCDF4.Dataset], None]:
    return lambda file: edit(file[name])


def add(name: str, at: int, value: float) -> Callable[[netCDF4.Dataset], None]:
    def edit(variable: netCDF4.Variable) -> None:
        variable[at] = variable[at] + value

    return change(name, edit)


def scale(name: str, factor: float) -> Callable[[netCDF4.Dataset], None]:
    def edit(variable: netCDF4.Variable) -> None:
        variable[...] = factor * variable[...]

    return change(name, edit)


def reverse(file: netCDF4.Dataset) -> None:
    for name in ("hyai", "hybi", "hyam", "hybm"):
        file[name][:] = file[name][:][::-1].copy()


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (add("hyam", 3, 1e-3), "expected 'hyam' to be the mean of 'hyai' around each layer, got .* at level 3"),
        (add("hybm", 0, -0.1), "expected 'hybm' to be the mean of 'hybi' around each layer"),
        (reverse, "expected pressure to increase downwards"),
        (scale("P0", 1e-2), "expected 'P0' of about 1e5 Pa, got 1000"),
        (scale("area", 2.0), "areas that sum to 4π, got 2 of that"),
        (scale("lat", 3.0), "expected latitudes from -90 to 90"),
        (lambda file: file.renameVariable("hybi", "b"), "variable 'hybi' .* expected in the file"),
        (lambda file: file.renameDimension("ncol", "column"), "expected a dimension 'ncol'"),
        (scale("lon", float("nan")), "variable 'lon' .* expected finite values"),
    ],
)
def test_contradictory_grids_are_refused(tmp_path: Path, edit: Callable[[netCDF4.Dataset], None], match: str) -> None:
    good, bad = tmp_path / "good.nc", tmp_path / "bad.nc"
    write_grid(built_in_grid(24, 7), good)
    shutil.copy(good, bad)
    with netCDF4.Dataset(bad, "a") as file:
        edit(file)
    read_climsim_grid(good)
    with pytest.raises(EmagramError, match=match):
        read_climsim_grid(bad)


def test_interfaces_are_one_more_than_layers(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "g.nc", "w") as file:
        for name, size in {"ncol": 2, "lev": 3, "ilev": 3}.items():
            file.createDimension(name, size)
        file.createVariable("hyai", "f8", ("ilev",))[:] = [0.1, 0.2, 0.3]
    with pytest.raises(EmagramError, match=r"variable 'hyai' .*: expected dimensions {'ilev': 4}, got {'ilev': 3}"):
        read_climsim_grid(tmp_path / "g.nc")


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="got no such file"):
        read_climsim_grid(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("not NetCDF")
    with pytest.raises(EmagramError, match="expected a complete NetCDF file"):
        read_climsim_grid(tmp_path / "text.nc")


@pytest.mark.parametrize(("n_column", "n_level"), [(0, 60), (-6, 60), (384, 0)])
def test_grids_have_columns_and_levels(n_column: int, n_level: int) -> None:
    with pytest.raises(EmagramError, match="built-in grid: expected positive numbers"):
        built_in_grid(n_column, n_level)


def test_places_and_areas_are_of_one_shape() -> None:
    grid = built_in_grid(6, 3)
    with pytest.raises(EmagramError, match="of one shape"):
        ColumnGrid(grid.coordinate, grid.latitude, grid.longitude[:5], grid.area)
