"""Files of columns: a round trip, checks on reading, and nothing half-written."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from emagram.emulators.data.columns import RADIATION_INPUTS, read_columns, write_columns
from emagram.emulators.data.generated import generate_columns
from emagram.physics.errors import EmagramError


@pytest.fixture(scope="module")
def columns() -> xr.Dataset:
    return generate_columns(3, n_level=5, experiments=["Present day (PD)", "+4K"])


@pytest.fixture
def path(columns: xr.Dataset, tmp_path: Path) -> Path:
    write_columns(columns, tmp_path / "columns.nc")
    return tmp_path / "columns.nc"


def test_round_trip_is_exact(columns: xr.Dataset, path: Path) -> None:
    again = read_columns(path)
    assert again.attrs.pop("Conventions") == "CF-1.8"
    xr.testing.assert_identical(again, columns)


def test_file_is_plain_netcdf_for_other_languages(path: Path) -> None:
    with netCDF4.Dataset(path) as file:
        assert {name: len(size) for name, size in file.dimensions.items()} == {"column": 6, "level": 5, "interface": 6}
        for name in RADIATION_INPUTS:
            assert file[name].dtype == np.float64
            assert file[name].dimensions[0] == "column"
            assert "_FillValue" not in file[name].ncattrs()
        assert file["air_temperature"].units == "K"
        assert file["air_temperature"].standard_name == "air_temperature"


def test_inputs_alone_suffice_and_outputs_can_be_required(columns: xr.Dataset, tmp_path: Path) -> None:
    write_columns(columns[list(RADIATION_INPUTS)].reset_coords(drop=True), tmp_path / "inputs.nc")
    assert set(read_columns(tmp_path / "inputs.nc").data_vars) == set(RADIATION_INPUTS)
    with pytest.raises(EmagramError, match=r"variable 'toa_outgoing_longwave_flux' of .*: expected in the file"):
        read_columns(tmp_path / "inputs.nc", required=["toa_outgoing_longwave_flux"])


def test_units_are_converted(columns: xr.Dataset, path: Path) -> None:
    with netCDF4.Dataset(path, "a") as file:
        file["specific_humidity"][:] *= 1000.0
        file["specific_humidity"].units = "g kg-1"
    again = read_columns(path)["specific_humidity"]
    np.testing.assert_allclose(again, columns["specific_humidity"], rtol=1e-14)
    assert again.attrs["units"] == "kg kg-1"


def rename(file: netCDF4.Dataset) -> None:
    file.renameVariable("surface_albedo", "albedo")


def wrong_unit(file: netCDF4.Dataset) -> None:
    file["air_temperature"].units = "hPa"


def no_unit(file: netCDF4.Dataset) -> None:
    file["air_temperature"].delncattr("units")


def not_finite(file: netCDF4.Dataset) -> None:
    file["air_temperature"][4, 2] = np.nan


def fill(file: netCDF4.Dataset) -> None:
    file["surface_temperature"][1] = 1e30


def upside_down(file: netCDF4.Dataset) -> None:
    file["air_pressure_at_interface"][:] = file["air_pressure_at_interface"][:, ::-1]


def no_level(file: netCDF4.Dataset) -> None:
    file.renameDimension("level", "lev")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (rename, ["variable 'surface_albedo'", "expected in the file"]),
        (wrong_unit, ["variable 'air_temperature'", "converts to 'K'", "got 'hPa'"]),
        (no_unit, ["variable 'air_temperature'", "converts to 'K'", "got no attribute 'units'"]),
        (not_finite, ["variable 'air_temperature'", "got a fill value or NaN at index (4, 2)"]),
        (fill, ["variable 'surface_temperature'", "got 1e+30 at index (1,)"]),
        (upside_down, ["variable 'air_pressure_at_interface'", "interface 0 at the top", "got"]),
        (no_level, ["expected a dimension 'level'", "'lev'"]),
    ],
)
def test_bad_file_is_one_sentence(path: Path, edit, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    with netCDF4.Dataset(path, "a") as file:
        edit(file)
    with pytest.raises(EmagramError) as caught:
        read_columns(path)
    for word in (*words, str(path)):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_level_count_must_fit_the_interfaces(columns: xr.Dataset, tmp_path: Path) -> None:
    write_columns(columns.isel(interface=slice(0, 5)), tmp_path / "columns.nc")
    with pytest.raises(EmagramError, match="expected 6 interfaces for 5 levels, got 5"):
        read_columns(tmp_path / "columns.nc")


def test_other_order_of_dimensions_is_an_error(columns: xr.Dataset, tmp_path: Path) -> None:
    write_columns(columns.transpose("level", "column", "interface"), tmp_path / "columns.nc")
    with pytest.raises(EmagramError, match=r"expected dimensions \(column 6, level 5\), got \(level 5, column 6\)"):
        read_columns(tmp_path / "columns.nc")


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_truncated_file_is_one_sentence(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(EmagramError, match="expected a complete NetCDF file"):
        read_columns(path)


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="expected a NetCDF file, got no such file"):
        read_columns(tmp_path / "none.nc")


def test_missing_folder_is_one_sentence(columns: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="expected a folder to write into"):
        write_columns(columns, tmp_path / "none" / "columns.nc")


def limit_file_size() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_full_disk_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    """A limit on the size of files stands for a full disk: the kernel refuses the write half-way."""
    before = path.read_bytes()
    program = (
        "import sys; from pathlib import Path\n"
        "from emagram.emulators.data.columns import write_columns\n"
        "from emagram.emulators.data.generated import generate_columns\n"
        "write_columns(generate_columns(3), Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-B", "-c", program, str(path)]
    result = subprocess.run(command, preexec_fn=limit_file_size, capture_output=True, text=True)
    assert result.returncode != 0
    assert f"EmagramError: file '{path}': expected to write it, got" in result.stderr
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
