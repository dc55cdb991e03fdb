"""The vertical coordinate refuses what is not ordered from the top."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import pytest
import torch

from emagram.physics.errors import EmagramError
from emagram.physics.vertical import HybridCoordinate, layer_thickness

HYAI = (0.002, 0.1, 0.2, 0.1, 0.0)
HYBI = (0.0, 0.0, 0.2, 0.6, 1.0)


def test_interfaces_run_from_the_top_to_the_surface() -> None:
    coordinate = HybridCoordinate(HYAI, HYBI, 1.0e5)
    surface_pressure = torch.tensor([1.0e5, 7.0e4], dtype=torch.float64)
    interface = coordinate.interface_pressure(surface_pressure)
    assert coordinate.n_level == 4
    assert interface.shape == (2, 5)
    assert interface[0].tolist() == pytest.approx([200.0, 1.0e4, 4.0e4, 7.0e4, 1.0e5])
    torch.testing.assert_close(interface[:, -1], surface_pressure)
    torch.testing.assert_close(coordinate.layer_thickness(surface_pressure), layer_thickness(interface))


@pytest.mark.parametrize(
    ("hyai", "hybi", "text"),
    [
        (HYAI[:-1], HYBI, "expected hyai and hybi of one size"),
        ((0.1,), (0.0,), "of at least 2"),
        (HYAI[::-1], HYBI[::-1], "expected pressure to increase downwards"),
        ((-0.1, *HYAI[1:]), HYBI, "expected pressure to increase downwards"),
        ((float("nan"), *HYAI[1:]), HYBI, "expected finite"),
        # ordered at 1000 hPa, folded over Tibet
        ((0.0, 0.6, 0.0), (0.0, 0.0, 1.0), "at a surface pressure of 50000 Pa"),
    ],
)
def test_bad_coefficients_are_refused(hyai: tuple[float, ...], hybi: tuple[float, ...], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        HybridCoordinate(hyai, hybi)


@pytest.mark.parametrize("pressure", [[3.0, 2.0, 1.0], [1.0, 1.0, 2.0], [1.0, float("nan"), 2.0]])
def test_pressure_that_does_not_increase_is_refused(pressure: list[float]) -> None:
    with pytest.raises(EmagramError, match="expected values that increase"):
        layer_thickness(torch.tensor(pressure))


def test_one_interface_makes_no_layer() -> None:
    with pytest.raises(EmagramError, match="expected shape"):
        layer_thickness(torch.tensor([1.0]))


@pytest.mark.real_data
def test_climsim_grid_is_a_hybrid_coordinate(real_data: Path) -> None:
    with netCDF4.Dataset(real_data / "climsim/grid_info/ClimSim_low-res_grid-info.nc") as grid:
        coordinate = HybridCoordinate(tuple(grid["hyai"][:]), tuple(grid["hybi"][:]), float(grid["P0"][...]))
        middle = torch.tensor(grid["hyam"][:] * coordinate.p0 + grid["hybm"][:] * 1.0e5)
    interface = coordinate.interface_pressure(torch.tensor(1.0e5, dtype=torch.float64))
    assert coordinate.n_level == 60
    assert bool(((interface[:-1] < middle) & (middle < interface[1:])).all())
