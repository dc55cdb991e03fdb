"""ClimSim's files: what is written is read bit for bit, in its layout, and what cannot be used is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emagram.emulators.data.climsim_files import (
    UnreadableFileError,
    file_name,
    parse_file_name,
    read_raw,
    write_pair,
)
from emagram.emulators.data.noleap import seconds_of
from emagram.physics.errors import EmagramError
from emagram.physics.variables import VARIABLES, find
from emagram.physics.vertical import HybridCoordinate
from toy_series import ToySeries, write_series

TIME = seconds_of("0003-04-05-01200")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> ToySeries:
    return write_series(tmp_path_factory.mktemp("files of a toy"), 1)


@pytest.fixture
def pair(toy: ToySeries, tmp_path: Path) -> tuple[Path, Path]:
    return write_pair(tmp_path, "toy", TIME, toy.steps[0]["mli"], toy.steps[0]["mlo"])


def read(path: Path, *names: str, n_column: int = 24, n_level: int = 7) -> dict[str, np.ndarray]:
    return read_raw(path, names, n_column=n_column, n_level=n_level)


@given(time=st.integers(0, 9999 * 365 * 86400 - 1), prefix=st.sampled_from(["E3SM-MMF", "emagram", "a.b mli"]))
def test_names_are_taken_apart_as_they_are_made(time: int, prefix: str) -> None:
    for kind in ("mli", "mlo"):
        assert parse_file_name(file_name(prefix, kind, time)) == (prefix, kind, time)


def test_names_are_climsims() -> None:
    assert file_name("E3SM-MMF", "mli", seconds_of("0001-02-01") + 1200) == "E3SM-MMF.mli.0001-02-01-01200.nc"
    for other in ("E3SM-MMF.mlis.0001-02-01-01200.nc", ".x.mli.0001-02-01-01200.nc.1.partial", "grid.nc"):
        assert parse_file_name(other) is None


def test_a_step_is_read_as_it_was_written(toy: ToySeries, pair: tuple[Path, Path]) -> None:
    assert [path.name for path in pair] == ["toy.mli.0003-04-05-01200.nc", "toy.mlo.0003-04-05-01200.nc"]
    for path, kind in zip(pair, ("mli", "mlo"), strict=True):
        written = toy.steps[0][kind]
        found = read(path, *written)
        assert found.keys() == written.keys()
        for name, value in found.items():
            assert value.dtype == np.float64
            assert value.flags.c_contiguous
            assert value.shape == written[name].shape
            assert value.tobytes() == np.ascontiguousarray(written[name]).tobytes(), name


@given(
    temperature=hnp.arrays(np.float64, (3, 2), elements=st.floats(100.0, 400.0)),
    flux=hnp.arrays(np.float64, 3, elements=st.floats(-900.0, 3000.0)),
)
def test_any_plausible_values_survive_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, temperature: np.ndarray, flux: np.ndarray
) -> None:
    variables = {"state_t": np.asfortranarray(temperature), "pbuf_LHFLX": flux}
    path, _ = write_pair(tmp_path_factory.mktemp("any"), "x", TIME, variables, {"state_t": temperature})
    found = read(path, *variables, n_column=3, n_level=2)
    assert found["state_t"].tobytes() == temperature.tobytes()
    assert found["pbuf_LHFLX"].tobytes() == flux.tobytes()


def test_the_layout_is_climsims_and_xarray_opens_it(toy: ToySeries, pair: tuple[Path, Path]) -> None:
    with xr.open_dataset(pair[0]) as file:
        assert dict(file.sizes) == {"ncol": 24, "lev": 7}
        assert (int(file["ymd"]), int(file["tod"])) == (30405, 1200)
        assert file["state_t"].dims == ("lev", "ncol")
        assert file["state_t"].attrs == {"units": "K", "long_name": "temperature"}
        assert file["state_ps"].dims == ("ncol",)
        np.testing.assert_array_equal(file["state_t"], toy.steps[0]["mli"]["state_t"].T)
        assert float(file["cam_in_SNOWHICE"].max()) == 1e30


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_other_kinds_of_netcdf_without_units_are_read(tmp_path: Path, kind: str, dtype: str) -> None:
    values = np.linspace(200.0, 300.0, 6).astype(dtype).reshape(2, 3)
    path = tmp_path / "other.nc"
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.createDimension("lev", 2)
        file.createDimension("ncol", 3)
        file.createVariable("state_t", dtype, ("lev", "ncol"))[...] = values
        file.createVariable("cam_in_SNOWHICE", dtype, ("ncol",))[...] = [0.0, 1e30, 0.5]
    found = read(path, "state_t", "cam_in_SNOWHICE", n_column=3, n_level=2)
    np.testing.assert_array_equal(found["state_t"], values.T)
    assert found["cam_in_SNOWHICE"][1] > 0.99e30


@pytest.mark.parametrize(
    ("name", "found", "factor"),
    [("pbuf_LHFLX", "W/m2", 1.0), ("state_q0001", "g/kg", 1e-3), ("pbuf_ozone", "mol/mol", 1.0),
     ("state_ps", "hPa", 100.0), ("cam_in_LANDFRAC", "", 1.0)],
)  # fmt: skip
def test_units_of_copies_are_understood(
    toy: ToySeries, pair: tuple[Path, Path], name: str, found: str, factor: float
) -> None:
    with netCDF4.Dataset(pair[0], "a") as file:
        file.variables[name].units = found
        file.variables[name][...] = file.variables[name][...] / factor
    np.testing.assert_allclose(read(pair[0], name)[name], toy.steps[0]["mli"][name], rtol=1e-14)


def edit(name: str, change: Callable[[netCDF4.Variable], None]) -> Callable[[netCDF4.Dataset], None]:
    return lambda file: change(file.variables[name])


def put(index: object, value: float) -> Callable[[netCDF4.Variable], None]:
    return lambda variable: variable.__setitem__(index, value)


BAD = {
    "NaN": (edit("state_t", put((3, 5), np.nan)), r"'state_t' of '.*\.mli.*': .*nan at \(column, level\) \(5, 3\)"),
    "infinity": (edit("state_ps", put(2, np.inf)), r"'state_ps'.*got inf at \(column, level\) \(2,\)"),
    "fill": (edit("state_u", put((0, 0), 1e30)), "'state_u'.*from -400 to 400.*got 1e\\+30"),
    "fill of NetCDF": (edit("pbuf_SOLIN", put(1, 9.96920996838687e36)), "'pbuf_SOLIN'.*got 9.96921e\\+36"),
    "another fill": (edit("cam_in_SNOWHICE", put(1, 1e29)), "'cam_in_SNOWHICE'.*got 1e\\+29"),
    "minus 999": (edit("state_q0001", put((1, 1), -999.0)), "'state_q0001'.*got -999"),
    "unit": (edit("state_t", lambda v: v.setncattr("units", "furlong")), "converts to 'K', got 'furlong'"),
    "packed": (edit("state_t", lambda v: v.setncattr("scale_factor", 2.0)), "plain numbers, got packed"),
    "another day": (edit("ymd", put((), 30406)), "the date of its name inside it, got 0003-04-06-01200"),
    "another hour": (edit("tod", put((), 9600)), "the date of its name inside it, got 0003-04-05-09600"),
    "no day": (edit("ymd", put((), 19990231)), "the date of its name inside it, got 1999-02-31-01200"),
    "renamed": (lambda file: file.renameVariable("state_t", "T"), "'state_t'.*got no such variable"),
    "axes": (lambda file: file.renameVariable("state_ps", "a") or file.renameVariable("state_t", "state_ps"),
             r"expected dimensions \('ncol',\), got \('lev', 'ncol'\)"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_used_is_named(pair: tuple[Path, Path], what: str) -> None:
    change, message = BAD[what]
    names = ("state_ps", "state_t", "state_u", "state_q0001", "pbuf_SOLIN", "cam_in_SNOWHICE")
    read(pair[0], *names)
    with netCDF4.Dataset(pair[0], "a") as file:
        file.set_auto_maskandscale(False)
        change(file)
    with pytest.raises(UnreadableFileError, match=message) as caught:
        read(pair[0], *names)
    assert caught.value.path == pair[0]
    assert pickle.loads(pickle.dumps(caught.value)).path == pair[0]


@pytest.mark.parametrize(("n_column", "n_level"), [(384, 7), (24, 60), (7, 24)])
def test_a_file_of_another_grid_is_named(pair: tuple[Path, Path], n_column: int, n_level: int) -> None:
    with pytest.raises(EmagramError, match=r"toy\.mli.*expected the grid with .*, got ncol 24 and lev 7"):
        read(pair[0], "state_t", n_column=n_column, n_level=n_level)


def flip_levels(file: netCDF4.Dataset) -> None:
    for variable in file.variables.values():
        if variable.dimensions == ("lev", "ncol"):
            variable[...] = variable[...][::-1]


def test_the_pressure_must_be_that_of_the_grid(toy: ToySeries, pair: tuple[Path, Path]) -> None:
    of = toy.grid.coordinate

    def read_on(coordinate: HybridCoordinate) -> None:
        read_raw(pair[0], ["state_t"], n_column=24, n_level=7, coordinate=coordinate)

    read_on(of)
    lifted = tuple(a + 0.002 * (0 < k < 7) for k, a in enumerate(of.hyai))
    with pytest.raises(UnreadableFileError, match=r"toy\.mli.*of another grid or .* got [\d.]+ Pa") as caught:
        read_on(HybridCoordinate(lifted, of.hybi, of.p0))
    assert caught.value.path == pair[0]
    with netCDF4.Dataset(pair[0], "a") as file:
        flip_levels(file)
    with pytest.raises(UnreadableFileError, match=r"toy\.mli.*levels upside down"):
        read_on(of)
    with netCDF4.Dataset(pair[0], "a") as file:
        file.renameVariable("state_pmid", "pressure")
    read_on(of)  # nothing to compare with


def test_a_grid_a_little_different_is_noticed_and_rounding_is_not(toy: ToySeries, tmp_path: Path) -> None:
    of, step = toy.grid.coordinate, toy.steps[0]["mli"]
    for change, is_read in ((5e-5, True), (2e-4, False)):
        mli = step | {"state_pmid": step["state_pmid"] * (1.0 + change)}
        path, _ = write_pair(tmp_path, "toy", TIME, mli, toy.steps[0]["mlo"])
        if is_read:
            read_raw(path, [], n_column=24, n_level=7, coordinate=of)
        else:
            with pytest.raises(EmagramError, match="of another grid"):
                read_raw(path, [], n_column=24, n_level=7, coordinate=of)


def test_a_date_at_the_end_of_the_step_is_of_the_step(pair: tuple[Path, Path]) -> None:
    with netCDF4.Dataset(pair[0], "a") as file:
        file["tod"][...] = 2400
    read(pair[0], "state_t")


@pytest.mark.real_data
def test_published_extremes_are_read(real_data: Path, tmp_path: Path) -> None:
    """The hottest published air has 1322 K, at the top level."""
    folder = real_data / "climsim/normalization"
    with netCDF4.Dataset(folder / "input_min.nc") as low, netCDF4.Dataset(folder / "input_max.nc") as high:
        names = sorted(
            set(low.variables) & {v.aliases.get("climsim") for v in VARIABLES.values()} - {"cam_in_SNOWHICE"}
        )
        extremes = {name: np.stack([np.ma.filled(file[name][...], np.nan) for file in (low, high)]) for name in names}
    assert extremes["state_t"].max() > 1300.0
    assert len(names) > 20
    layers = {name: value for name, value in extremes.items() if find(name, "climsim").dimension == "layer"}
    path, _ = write_pair(tmp_path, "x", TIME, extremes, layers)
    found = read(path, *names, n_column=2, n_level=60)
    for name in names:
        np.testing.assert_array_equal(found[name], extremes[name])


def test_missing_truncated_and_foreign_files_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="no such file"):
        read(tmp_path / "absent.nc", "state_t")
    whole = pair[0].read_bytes()
    for length in (0, 10, 400, len(whole) // 2):
        pair[0].write_bytes(whole[:length])
        with pytest.raises(UnreadableFileError, match=r"toy\.mli"):
            read(pair[0], "state_t", "state_v", "cam_in_LWUP")
    pair[0].write_text("not NetCDF")
    with pytest.raises(UnreadableFileError, match="expected a complete NetCDF file"):
        read(pair[0], "state_t")
    with pytest.raises(EmagramError, match="nearest is \\['state_t'\\]"):
        read(pair[1], "state_tt")


def test_what_is_refused_leaves_nothing(toy: ToySeries, tmp_path: Path) -> None:
    step = toy.steps[0]
    ill = [
        ({**step["mli"], "state_t": np.where(step["mli"]["state_t"] > 290.0, np.nan, 250.0)}, "got nan"),
        ({**step["mli"], "state_ps": np.ones(23)}, r"expected shape \(24,\), got \(23,\)"),
        ({**step["mli"], "state_u": np.ones((24, 8))}, r"expected shape \(24, 7\), got \(24, 8\)"),
        ({**step["mli"], "state_tt": np.ones(24)}, "nearest"),
        ({"state_ps": np.full(24, 1e5)}, "expected a profile"),
    ]
    for mli, message in ill:
        with pytest.raises(EmagramError, match=message):
            write_pair(tmp_path, "toy", TIME, mli, step["mlo"])
        with pytest.raises(EmagramError, match=message):
            write_pair(tmp_path, "toy", TIME, step["mli"], mli)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(EmagramError, match="expected a folder to write into"):
        write_pair(tmp_path / "absent", "toy", TIME, step["mli"], step["mlo"])


def test_a_pair_replaces_one_and_is_never_half_there(
    toy: ToySeries, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [path.read_bytes() for path in pair]

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(EmagramError, match=r"toy\.mli.*No space left"):
        write_pair(pair[0].parent, "toy", TIME, toy.steps[0]["mli"], toy.steps[0]["mlo"])
    assert [path.read_bytes() for path in pair] == before
    assert sorted(pair[0].parent.iterdir()) == sorted(pair)


@pytest.mark.parametrize("refused", ["mli", "mlo"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_file_that_cannot_take_its_place_leaves_no_mixed_pair(
    toy: ToySeries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, is_new: bool
) -> None:
    first, second = toy.steps[0], {k: {n: v.copy() for n, v in toy.steps[0][k].items()} for k in ("mli", "mlo")}
    for kind in second:
        second[kind]["state_t"] += 1.0
    if not is_new:
        write_pair(tmp_path, "toy", TIME, first["mli"], first["mlo"])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    replace = Path.replace

    def refuse(source: Path, target: Path) -> Path:
        if source.name.endswith(".partial") and f".{refused}." in target.name:
            raise PermissionError(13, "Permission denied")
        return replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(EmagramError, match=r"toy\.mli.*Permission denied"):
            write_pair(tmp_path, "toy", TIME, second["mli"], second["mlo"])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    pair = write_pair(tmp_path, "toy", TIME, second["mli"], second["mlo"])
    assert sorted(tmp_path.iterdir()) == sorted(pair)
    for path, kind in zip(pair, ("mli", "mlo"), strict=True):
        np.testing.assert_array_equal(read(path, "state_t")["state_t"], second[kind]["state_t"])


@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_a_folder_of_the_name_of_a_file_stays(toy: ToySeries, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / file_name("toy", kind, TIME)  # type: ignore[arg-type]
    folder.mkdir()
    with pytest.raises(EmagramError, match="is a folder"):
        write_pair(tmp_path, "toy", TIME, toy.steps[0]["mli"], toy.steps[0]["mlo"])
    assert list(tmp_path.iterdir()) == [folder]


def test_the_toy_has_every_variable_of_the_files(toy: ToySeries) -> None:
    """So that a round trip of the toy is one of every name the readers know."""
    raw = {v.aliases["climsim"] for v in VARIABLES.values() if "climsim" in v.aliases}
    derived = {name for name in raw if name.startswith(("ptend_", "tm_")) or name.endswith(("_dyn", "_prvphy"))}
    known = raw - derived - {"clat", "slat", "icol"}
    assert known <= {name for kind in ("mli", "mlo") for name in toy.steps[0][kind]}
