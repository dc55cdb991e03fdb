"""Files cut off at any byte are noticed, whatever their kind; whole ones are not suspected."""

import struct
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from emagram.emulators.data.netcdf import open_netcdf
from emagram.emulators.data.netcdf_classic import require_complete
from emagram.physics.errors import EmagramError

KINDS = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA", "NETCDF4"]


def write(path: Path, kind: str, *, last: str = "f8", title: str = "xxxxx") -> None:
    """Names and attributes whose lengths are no multiples of 4, a scalar, a dimension that grows."""
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for name, size in (("lev", 5), ("ncol", 7), ("time", None)):
            file.createDimension(name, size)
        file.title = title
        file.createVariable("tod", "i4", ())[...] = 1200
        for name in ("state_t", "state_ps", "a"):
            variable = file.createVariable(name, "f8", ("lev", "ncol") if name == "state_t" else ("ncol",))
            for number in range(3):
                variable.setncattr(f"note{number}", "y" * number + "z")
            variable.numbers = np.arange(3, dtype=np.int16)
            variable[...] = 1.0
        file.createVariable("z", last, ("ncol",))[...] = np.ones(7, dtype=last)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", ["f8", "i1", "i2"])
def test_whole_files_pass_and_shorter_ones_do_not(tmp_path: Path, kind: str, last: str) -> None:
    path = tmp_path / "file.nc"
    write(path, kind, last=last)
    require_complete(path)
    whole = path.read_bytes()
    padding = -7 * np.dtype(last).itemsize % 4 if kind.startswith("NETCDF3") else 0
    for missing in {padding + 1, 8, 57, len(whole) // 2, len(whole) - 200, len(whole) - 2, len(whole)}:
        path.write_bytes(whole[: len(whole) - missing])
        with pytest.raises(EmagramError, match="expected a complete NetCDF file"), open_netcdf(path):
            pass


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_header_longer_than_the_first_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.nc"
    write(path, kind, title="x" * 70_001)
    with open_netcdf(path) as file:
        assert float(file["a"][6]) == 1.0
    whole = path.read_bytes()
    last_value = whole.rindex(struct.pack(">d", 1.0))  # the library may leave unused bytes behind it
    assert last_value > 70_000
    path.write_bytes(whole[: last_value + 8])
    require_complete(path)
    path.write_bytes(whole[: last_value + 7])
    with pytest.raises(EmagramError, match="cut off after"):
        require_complete(path)


def test_files_that_grow_pass(tmp_path: Path) -> None:
    path = tmp_path / "file.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("time", None)
        file.createDimension("ncol", 3)
        file.createVariable("t", "f8", ("time", "ncol"))[:] = np.ones((4, 3))
    require_complete(path)
