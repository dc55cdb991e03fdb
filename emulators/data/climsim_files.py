"""ClimSim's files: one pair a time step, `PREFIX.mli.YYYY-MM-DD-SSSSS.nc` before the physics and `.mlo.` after.

Variables are (ncol) or (lev, ncol), level 0 at the top, under E3SM's names; the integers `ymd` and `tod` hold the date.
In memory they are (n_column,) or (n_column, n_level), contiguous float64. ClimSim's own files are NetCDF of the kind
"64-bit data" and carry no units; so are those written here, with units. Any kind of NetCDF is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import netCDF4
import numpy as np
import torch
from numpy.typing import NDArray

from ...physics.errors import EmagramError
from ...physics.units import convert
from ...physics.variables import Variable, find
from ...physics.vertical import HybridCoordinate
from .climsim_derived import Kind
from .netcdf import open_netcdf
from .noleap import date_of, seconds_of

Array = NDArray[np.float64]

FILLS: Mapping[str, float] = {"cam_in_SNOWHICE": 1.0e30}
"""Documented fill values, kept as they are: snow on sea ice where there is none. Any other fill is refused."""

# What E3SM and copies of ClimSim call units of the variables table. Their gases are mass fractions, though copies
# say mol/mol (see the variables table).
_SPELLINGS = {"W/m2": "W m-2", "N/m2": "N m-2", "m/s": "m s-1", "": "1", "fraction": "1", "unitless": "1"}
_MISLABELLED = {"pbuf_ozone": "mol/mol", "pbuf_CH4": "mol/mol", "pbuf_N2O": "mol/mol"}
# The hottest published air, at the top of the model, has 1322 K: sponge and model top, not an atmosphere.
_WIDER = {"state_t": (100.0, 1500.0)}
_PRESSURE_TOLERANCE = 1e-4  # relative, of pressure on the levels of the grid
_STAMP_TOLERANCE = 3600  # s between the date inside a file and that of its name: a model may stamp the end of a step
_NAME = re.compile(r"(?P<prefix>.+)\.(?P<kind>mli|mlo)\.(?P<date>\d{4}-\d{2}-\d{2}-\d{5})\.nc")


class UnreadableFileError(EmagramError):
    """A file of ClimSim's that cannot be used; `path` says which."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[type[UnreadableFileError], tuple[str, Path]]:
        return type(self), (str(self), self.path)


def file_name(prefix: str, kind: Kind, time: int) -> str:
    """Name of the file of a time [s since 0001-01-01 00:00]."""
    return f"{prefix}.{kind}.{date_of(time)}.nc"


def parse_file_name(name: str) -> tuple[str, str, int] | None:
    """Prefix, kind and time [s since 0001-01-01 00:00] of a file's name, None if it is no such name.

    Raises:
        EmagramError: if the calendar does not have the date.
    """
    match = _NAME.fullmatch(name)
    return (match["prefix"], match["kind"], seconds_of(match["date"])) if match else None


def read_raw(
    path: Path, names: Iterable[str], *, n_column: int, n_level: int, coordinate: HybridCoordinate | None = None
) -> dict[str, Array]:
    """Read variables of one file, checked.

    A file with `state_pmid` and `state_ps` must have the levels of `coordinate`; one with `ymd` and `tod` the date of
    its name, within an hour.

    Args:
        path: NetCDF.
        names: of ClimSim, such as `state_t`.
        n_column, n_level: of the grid the file should be of.
        coordinate: levels of that grid; None leaves pressure unchecked.
    Returns:
        by name, (n_column,) or (n_column, n_level), C-contiguous float64, in the units of the variables table.
    Raises:
        UnreadableFileError: if the file is missing, truncated or of another grid, or a variable is missing, has other
            dimensions or units, or holds NaN, infinity, an undocumented fill or a value that no atmosphere has, or the
            file is of another date.
    """
    try:
        with open_netcdf(path) as file:
            file.set_auto_maskandscale(False)
            _check_grid(file, path, n_column=n_column, n_level=n_level)
            _check_date(file, path)
            if coordinate is not None:
                _check_levels(file, path, coordinate)
            return {name: _read(file, name, f"variable '{name}' of '{path}'") for name in names}
    except EmagramError as error:
        raise UnreadableFileError(str(error), Path(path)) from error


def write_pair(
    folder: Path, prefix: str, time: int, mli: Mapping[str, Array], mlo: Mapping[str, Array]
) -> tuple[Path, Path]:
    """Write the two files of a time step; they appear under their names only when both are complete.

    A pair of the same names is moved aside and comes back if the new one cannot take its place: there is never one file
    of each, though for a moment, or where the process is killed, there may be one or none.

    Args:
        folder: an existing folder.
        prefix: of the names, such as "E3SM-MMF".
        time: [s] since 0001-01-01 00:00.
        mli, mlo: by ClimSim name, (n_column,) or (n_column, n_level) as the variables table says, in its units.
    Returns:
        the two paths.
    Raises:
        EmagramError: if a name is unknown, shapes disagree, a value is not one that `read_raw` accepts, the folder
            cannot be written or the disk is full; nothing is then left, and what was there before stays.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EmagramError(f"folder '{folder}': expected a folder to write into, got none of that name")
    contents: tuple[tuple[Kind, Mapping[str, Array]], ...] = (("mli", mli), ("mlo", mlo))
    paths = [folder / file_name(prefix, kind, time) for kind, _ in contents]
    temporaries = [path.with_name(f".{path.name}.{os.getpid()}.partial") for path in paths]
    try:
        for (_, variables), path, temporary in zip(contents, paths, temporaries, strict=True):
            _write(temporary, variables, time, label=path)
        _exchange(temporaries, paths)
    except (OSError, RuntimeError) as error:
        raise EmagramError(f"file '{paths[0]}': expected to write it and its partner, got '{error}'") from error
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
    return paths[0], paths[1]


def _exchange(new: list[Path], paths: list[Path]) -> None:
    """Move files to their places all together or not at all.

    Raises:
        OSError: if one cannot be moved; every place then holds what it held before.
    """
    old = {path: path.with_name(f".{path.name}.{os.getpid()}.old") for path in paths if path.exists()}
    moved: list[tuple[Path, Path]] = []
    try:
        for source, target in [*old.items(), *zip(new, paths, strict=True)]:
            if source.is_dir():
                raise IsADirectoryError(f"'{source}' is a folder")
            source.replace(target)
            moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            target.replace(source)
        raise
    for aside in old.values():
        aside.unlink(missing_ok=True)


def _check_grid(file: netCDF4.Dataset, path: Path, *, n_column: int, n_level: int) -> None:
    expected = {"ncol": n_column, "lev": n_level}
    found = {name: len(file.dimensions[name]) for name in expected if name in file.dimensions}
    if found != expected:
        sizes = " and ".join(f"{name} {found.get(name, 'absent')}" for name in expected)
        raise EmagramError(
            f"file '{path}': expected the grid with {n_column} columns (ncol) and {n_level} levels (lev), got {sizes}"
        )


def _check_date(file: netCDF4.Dataset, path: Path) -> None:
    """Refuse a file whose `ymd` (such as 10201) and `tod` [s] are of another time than its name."""
    named = parse_file_name(Path(path).name)
    if named is None or not {"ymd", "tod"} <= set(file.variables):
        return
    ymd, tod = (int(np.ravel(file.variables[name][...])[0]) for name in ("ymd", "tod"))
    date = f"{ymd // 10000:04d}-{ymd // 100 % 100:02d}-{ymd % 100:02d}-{tod:05d}"
    try:
        is_other = abs(seconds_of(date) - named[2]) > _STAMP_TOLERANCE
    except EmagramError:
        is_other = True
    if is_other:
        raise EmagramError(f"file '{path}': expected the date of its name inside it, got {date} (ymd and tod)")


def _check_levels(file: netCDF4.Dataset, path: Path, coordinate: HybridCoordinate) -> None:
    """Refuse pressure that is not that of the hybrid levels over the file's own surface."""
    if not {"state_pmid", "state_ps"} <= set(file.variables):
        return
    found, surface = (_read(file, name, f"variable '{name}' of '{path}'") for name in ("state_pmid", "state_ps"))
    interface = coordinate.interface_pressure(torch.from_numpy(surface)).numpy()
    expected = 0.5 * (interface[:, 1:] + interface[:, :-1])
    error = np.abs(found / expected - 1.0)
    if not error.max() <= _PRESSURE_TOLERANCE:
        column, level = np.unravel_index(int(error.argmax()), error.shape)
        raise EmagramError(
            f"file '{path}': of another grid or with its levels upside down: expected 'state_pmid' of "
            f"{expected[column, level]:g} Pa at (column, level) ({column}, {level}), got {found[column, level]:g} Pa"
        )


def _read(file: netCDF4.Dataset, name: str, label: str) -> Array:
    """One variable, widened, in the table's unit, columns first."""
    row = find(name, "climsim")
    if name not in file.variables:
        raise EmagramError(f"{label}: expected in the file, got no such variable")
    variable = file.variables[name]
    if variable.dimensions != _dimensions(row):
        raise EmagramError(f"{label}: expected dimensions {_dimensions(row)}, got {variable.dimensions}")
    if variable.dtype.kind != "f":
        raise EmagramError(f"{label}: expected floating-point numbers, got {variable.dtype}")
    attributes = variable.ncattrs()
    if "scale_factor" in attributes or "add_offset" in attributes:
        raise EmagramError(f"{label}: expected plain numbers, got packed ones (scale_factor or add_offset)")
    values = np.ascontiguousarray(np.asarray(variable[...], dtype=np.float64).T)
    if "units" in attributes:
        values = _converted(values, name, variable.getncattr("units"), label)
    _check_values(values, name, label)
    return values


def _write(path: Path, variables: Mapping[str, Array], time: int, *, label: Path) -> None:
    """One complete file, forced to the disk."""
    checked = {name: np.asarray(value, dtype=np.float64) for name, value in variables.items()}
    n_column, n_level = _sizes(checked, label)
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("ncol", n_column)
        file.createDimension("lev", n_level)
        rows = {name: find(name, "climsim") for name in checked}
        written = {name: file.createVariable(name, "f8", _dimensions(row)) for name, row in rows.items()}
        for name, row in rows.items():
            written[name].setncatts({"units": row.unit, "long_name": row.long_name})
        date = date_of(time)
        for name, number in (("ymd", int(date[:10].replace("-", ""))), ("tod", int(date[11:]))):
            file.createVariable(name, "i4", ())[...] = number
        for name, value in checked.items():
            _check_values(value, name, f"variable '{name}' of '{label}'")
            written[name][...] = value.T
    with path.open("rb+") as done:
        os.fsync(done.fileno())


def _sizes(variables: Mapping[str, Array], label: Path) -> tuple[int, int]:
    """Columns and levels, the same in every variable."""
    profile = next((value.shape for name, value in variables.items() if _is_profile(name)), None)
    if profile is None or len(profile) != 2:
        raise EmagramError(f"file '{label}': expected a profile (n_column, n_level) to write, got {profile}")
    for name, value in variables.items():
        expected = profile if _is_profile(name) else profile[:1]
        if value.shape != expected:
            raise EmagramError(f"variable '{name}' of '{label}': expected shape {expected}, got {value.shape}")
    return profile


def _is_profile(name: str) -> bool:
    return find(name, "climsim").dimension == "layer"


def _dimensions(row: Variable) -> tuple[str, ...]:
    return ("lev", "ncol") if row.dimension == "layer" else ("ncol",)


def _converted(values: Array, name: str, found: str, label: str) -> Array:
    """Values in the unit of the variables table."""
    unit = find(name, "climsim").unit
    known = _SPELLINGS.get(found, found)
    if known == unit or _MISLABELLED.get(name) == found:
        return values
    try:
        return np.asarray(convert(torch.from_numpy(values), known, unit).numpy())
    except EmagramError:
        raise EmagramError(f"{label}: expected a unit that converts to '{unit}', got '{found}'") from None


def _check_values(values: Array, name: str, label: str) -> None:
    """Refuse NaN, infinity, undocumented fills and what no atmosphere has, naming the first."""
    smallest, largest = _WIDER.get(name) or find(name, "climsim").valid_range
    if values.min() >= smallest and values.max() <= largest:  # False for NaN
        return
    allowed = (values >= smallest) & (values <= largest)
    if name in FILLS:
        allowed |= np.isclose(values, FILLS[name], rtol=1e-6)
    if not allowed.all():
        index = tuple(int(i) for i in np.argwhere(~allowed)[0])
        raise EmagramError(
            f"{label}: expected finite values from {smallest:g} to {largest:g} [{find(name, 'climsim').unit}], "
            f"got {values[index]:g} at (column, level) {index}"
        )
