"""predict_columns in Fortran, C and Python: one file for one model, and one sentence for bad input."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from tiny_model import INPUTS, N_LEVEL, TinyModel, tiny_columns

TWIN = Path(__file__).resolve().parents[2] / "fortran_bridge/examples/predict_columns.py"
DIMENSIONS = {"column": ("column",), "layer": ("column", "level"), "interface": ("column", "interface")}
LANGUAGES = ("fortran", "c", "python")


def write_columns(
    path: Path, columns: Mapping[str, np.ndarray], *, n_level: int = N_LEVEL, without_unit: str = "", reverse: str = ""
) -> Path:
    """The inputs of the tiny model; `reverse` exchanges the dimensions of one variable."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("column", len(columns["surface_temperature"]))
        file.createDimension("level", n_level)
        file.createDimension("interface", N_LEVEL + 1)
        for name, unit, dimension, *_ in INPUTS:
            if name not in columns:
                continue
            order = DIMENSIONS[dimension][:: -1 if name == reverse else 1]
            variable = file.createVariable(name, "f8", order)
            if name != without_unit:
                variable.units = unit
            values = columns[name][:, :n_level] if dimension == "layer" else columns[name]
            variable[:] = values.T if name == reverse else values
    return path


@pytest.fixture(scope="module")
def program(emagram_build) -> Callable[[str], list[str | Path]]:
    """The command that runs predict_columns in a language."""
    compiled = emagram_build / "bin"
    return lambda language: (
        [sys.executable, TWIN] if language == "python" else [compiled / f"predict_columns_{language}"]
    )


@pytest.fixture(scope="module")
def columns_file(tmp_path_factory) -> Path:
    return write_columns(tmp_path_factory.mktemp("columns") / "columns.nc", tiny_columns(203))


@pytest.mark.mpi
def test_the_same_bytes_from_every_language_rank_count_and_chunk(program, mpirun, tiny_model, columns_file, tmp_path):
    written = {}
    for language, n_rank, chunk in [
        ("fortran", 1, 64), ("fortran", 2, 7), ("fortran", 4, 1000), ("c", 1, 5), ("c", 2, 64), ("c", 4, 16),
        ("python", 1, 64), ("python", 2, 10), ("python", 4, 1),
    ]:  # fmt: skip
        output = tmp_path / "output.nc"
        done = mpirun(n_rank, *program(language), tiny_model, columns_file, output, str(chunk))
        assert done.returncode == 0, done.stderr
        written[language, n_rank, chunk] = output.read_bytes()
        output.unlink()
    first = written["fortran", 1, 64]
    assert {key for key, content in written.items() if content != first} == set()


def test_the_output_is_the_model_in_cf(program, tiny_model, columns_file, tmp_path):
    output = tmp_path / "output.nc"
    subprocess.run([*program("fortran"), tiny_model, columns_file, output], check=True, capture_output=True)
    expected = TinyModel().predict(tiny_columns(203))
    with netCDF4.Dataset(output) as file:
        assert file.Conventions == "CF-1.8"
        assert len(file.emagram_model_sha256) == 64
        assert set(np.asarray(file["emagram_status"])) <= {0, 1}
        for name, values in expected.items():
            assert file[name].units == ("K s-1" if name == "heating" else "W m-2")
            scale = np.abs(values).max()
            np.testing.assert_allclose(np.asarray(file[name][:]) / scale, values / scale, atol=1e-5)


def test_units_of_the_file_are_converted(program, tiny_model, columns_file, tmp_path):
    changed = tmp_path / "celsius.nc"
    changed.write_bytes(columns_file.read_bytes())
    with netCDF4.Dataset(changed, "a") as file:
        file["surface_temperature"][:] = file["surface_temperature"][:] - 273.15
        file["surface_temperature"].units = "degC"
    outgoing = []
    for source in (columns_file, changed):
        output = tmp_path / "output.nc"
        subprocess.run([*program("c"), tiny_model, source, output], check=True, capture_output=True)
        with netCDF4.Dataset(output) as file:
            outgoing.append(np.asarray(file["toa_outgoing_flux"][:]))
    np.testing.assert_allclose(outgoing[1], outgoing[0], rtol=1e-6)


@pytest.mark.mpi
def test_a_masked_column_keeps_the_fill_value(program, mpirun, tiny_model, tmp_path):
    columns = tiny_columns(30)
    columns["air_temperature"][17, 3] = np.nan
    source = write_columns(tmp_path / "columns.nc", columns)
    written = set()
    for language in LANGUAGES:
        output = tmp_path / f"{language}.nc"
        done = mpirun(2, *program(language), tiny_model, source, output, "8", "mask")
        assert "30 columns, 1 rejected" in done.stdout, done.stderr
        written.add(output.read_bytes())
    assert len(written) == 1
    with netCDF4.Dataset(output) as file:
        assert list(np.flatnonzero(np.asarray(file["emagram_status"]) >= 16)) == [17]
        assert list(np.flatnonzero(np.ma.getmaskarray(file["heating"][:]).all(axis=1))) == [17]


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """A columns file for each fault, and words of the sentence it must give."""
    good = tiny_columns(20)
    absent = {name: values for name, values in good.items() if name != "specific_humidity"}
    nan = {**good, "air_temperature": np.where(np.arange(20)[:, None] == 15, np.nan, good["air_temperature"])}
    upside_down = {**good, "air_pressure_at_interface": good["air_pressure_at_interface"][:, ::-1]}
    garbage = folder / "garbage.nc"
    garbage.write_bytes(b"no netCDF")
    return {
        "missing file": (folder / "none.nc", "none.nc"),
        "garbage": (garbage, "garbage.nc"),
        "missing variable": (write_columns(folder / "absent.nc", absent), "variable 'specific_humidity'"),
        "level count": (write_columns(folder / "few.nc", good, n_level=N_LEVEL - 1), "expected level = 8, got 7"),
        "order": (
            write_columns(folder / "order.nc", good, reverse="air_temperature"),
            "variable 'air_temperature': expected dimensions (column, level), got (level, column)",
        ),
        "no unit": (write_columns(folder / "unit.nc", good, without_unit="air_temperature"), "attribute 'units'"),
        "nan": (write_columns(folder / "nan.nc", nan), "column 15: input 'air_temperature'"),
        "level order": (write_columns(folder / "down.nc", upside_down), "levels reversed"),
    }


@pytest.mark.mpi
@pytest.mark.parametrize("language", LANGUAGES)
def test_bad_input_is_one_sentence_and_leaves_no_file(program, mpirun, tiny_model, tmp_path, language):
    for fault, (source, words) in bad_files(tmp_path).items():
        output = tmp_path / "out" / "output.nc"
        output.parent.mkdir(exist_ok=True)
        command = [*program(language), tiny_model, source, output]
        if fault in ("missing file", "nan"):
            done = mpirun(2, *command)
        else:  # mpirun takes a second to notice a failure
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = [line for line in done.stderr.splitlines() if line.startswith("predict_columns: ")]
        assert done.returncode != 0, fault
        assert len(said) == 1, (fault, done.stderr)
        assert words in said[0], fault
        assert list(output.parent.iterdir()) == [], fault


@pytest.mark.parametrize("language", LANGUAGES)
def test_wrong_arguments(program, tiny_model, columns_file, tmp_path, language):
    faults = {
        ("only one",): "expected the arguments",
        (tiny_model, columns_file, tmp_path / "o.nc", "none"): "argument CHUNK",
        (tiny_model, columns_file, tmp_path / "o.nc", "8", "ignore"): "argument POLICY",
        (tmp_path / "none.emg", columns_file, tmp_path / "o.nc"): "none.emg",
        (tiny_model, columns_file, tmp_path / "nowhere" / "o.nc"): "o.nc",
    }
    for arguments, words in faults.items():
        done = subprocess.run([*program(language), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert words in done.stderr


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(program, tiny_model, columns_file, tmp_path, language):
    """What is written under the temporary name goes to /dev/full."""
    output = tmp_path / "output.nc"
    output.write_bytes(b"the old file")
    (tmp_path / "output.nc.part").symlink_to("/dev/full")
    done = subprocess.run(
        [*program(language), tiny_model, columns_file, output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "output.nc" in done.stderr
    assert "No space left on device" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["output.nc"]
    assert output.read_bytes() == b"the old file"
