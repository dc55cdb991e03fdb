"""Data sets of columns, as everything in Emagram takes them, and the CF NetCDF files that hold them.

Dimensions column, level (layers, 0 = top) and interface (one more than levels); variables of the variables table in
float64 and the table's units; coordinates along column: `experiment`, `experiment_label`, `site`, `latitude`,
`longitude`, `profile_weight`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import netCDF4
import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from ...physics.budgets import heating_from_fluxes
from ...physics.errors import EmagramError
from ...physics.variables import VARIABLES
from .netcdf import open_netcdf, read_dimension, read_labels, read_variable

Array = NDArray[np.float64]

RADIATION_INPUTS = (
    "air_pressure",
    "air_pressure_at_interface",
    "air_temperature",
    "specific_humidity",
    "mole_fraction_of_ozone_in_air",
    "surface_temperature",
    "surface_albedo",
    "cosine_of_solar_zenith_angle",
    "toa_incoming_shortwave_flux",
    "mole_fraction_of_carbon_dioxide_in_air",
    "mole_fraction_of_methane_in_air",
    "mole_fraction_of_nitrous_oxide_in_air",
    "mole_fraction_of_cfc11eq_in_air",
)
RADIATION_OUTPUTS = (
    "tendency_of_air_temperature_due_to_longwave_heating",
    "tendency_of_air_temperature_due_to_shortwave_heating",
    "toa_outgoing_longwave_flux",
    "surface_downwelling_longwave_flux_in_air",
    "surface_upwelling_longwave_flux_in_air",
    "toa_outgoing_shortwave_flux",
    "surface_downwelling_shortwave_flux_in_air",
    "surface_upwelling_shortwave_flux_in_air",
)
FLUX_PROFILES = (
    "upwelling_longwave_flux_in_air",
    "downwelling_longwave_flux_in_air",
    "upwelling_shortwave_flux_in_air",
    "downwelling_shortwave_flux_in_air",
)
COORDINATES = {
    "experiment": {"units": "1", "long_name": "number of the experiment"},
    "site": {"units": "1", "long_name": "number of the site"},
    "latitude": {"units": "degree_north", "standard_name": "latitude", "long_name": "latitude"},
    "longitude": {"units": "degree_east", "standard_name": "longitude", "long_name": "longitude"},
    "profile_weight": {"units": "1", "long_name": "weight of the site in the global mean"},
}
LABEL = "experiment_label"
LABEL_ATTRIBUTES = {"long_name": "name of the experiment"}


def columns_dataset(
    inputs: Mapping[str, Array],
    *,
    experiment_label: Sequence[str],
    latitude: Array,
    longitude: Array,
    profile_weight: Array,
) -> xr.Dataset:
    """Name, describe and place the inputs of experiments × sites, the experiment slowest.

    Args:
        inputs: variables of the variables table, (column), (column, level) or (column, interface) as it says.
        experiment_label: one for each experiment.
        latitude, longitude, profile_weight: [degree_north], [degree_east], [1], (site).
    """
    n_experiment, n_site = len(experiment_label), latitude.size
    experiment = np.repeat(np.arange(n_experiment), n_site)
    of_site = {"site": np.arange(n_site), "latitude": latitude, "longitude": longitude}
    of_site["profile_weight"] = profile_weight
    coordinates = {"experiment": experiment} | {name: np.tile(x, n_experiment) for name, x in of_site.items()}
    return xr.Dataset(
        {name: _variable(name, values) for name, values in inputs.items()},
        coords={name: ("column", values, COORDINATES[name]) for name, values in coordinates.items()}
        | {LABEL: ("column", np.asarray(experiment_label, dtype=str)[experiment], LABEL_ATTRIBUTES)},
    )


def add_radiation(columns: xr.Dataset, fluxes: Mapping[str, Array]) -> xr.Dataset:
    """Add flux profiles, boundary fluxes, and the heating rates that are the divergence of the net flux.

    Args:
        columns: with `air_pressure_at_interface` [Pa] (column, interface).
        fluxes: the four of `FLUX_PROFILES` [W m-2] (column, interface).
    Returns:
        A new dataset that has `RADIATION_OUTPUTS` and the profiles too.
    """
    pressure = torch.from_numpy(columns["air_pressure_at_interface"].values)
    values = dict(fluxes)
    for spectrum in ("longwave", "shortwave"):
        upward = fluxes[f"upwelling_{spectrum}_flux_in_air"]
        downward = fluxes[f"downwelling_{spectrum}_flux_in_air"]
        heating = heating_from_fluxes(torch.from_numpy(downward - upward), pressure).numpy()
        values[f"tendency_of_air_temperature_due_to_{spectrum}_heating"] = heating
        values[f"toa_outgoing_{spectrum}_flux"] = upward[:, 0]
        values[f"surface_downwelling_{spectrum}_flux_in_air"] = downward[:, -1]
        values[f"surface_upwelling_{spectrum}_flux_in_air"] = upward[:, -1]
    return columns.assign({name: _variable(name, values[name]) for name in (*RADIATION_OUTPUTS, *FLUX_PROFILES)})


def write_columns(columns: xr.Dataset, path: Path) -> None:
    """Write a CF-1.8 NetCDF file that appears under its name only when it is complete.

    Raises:
        EmagramError: if the folder cannot be written or the disk is full; nothing is then left or changed.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise EmagramError(f"file '{path}': expected a folder to write into, got none of that name")
    dataset = columns.assign_attrs(Conventions="CF-1.8")
    encoding = {name: {"_FillValue": None} for name in dataset.variables}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        dataset.to_netcdf(temporary, engine="netcdf4", encoding=encoding)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        raise EmagramError(f"file '{path}': expected to write it, got '{error}'") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_columns(path: Path, required: Sequence[str] = RADIATION_INPUTS) -> xr.Dataset:
    """Read and check a file of columns; variables that nothing here knows are left out.

    Args:
        path: NetCDF, with dimensions column, level and interface in this order.
        required: variables that must be there; others of the variables table are read where there are.
    Returns:
        Dataset of float64 in the units of the variables table.
    Raises:
        EmagramError: if the file is missing or truncated, a required variable is missing, a dimension, level count,
            order of levels or unit is wrong, or a value is a fill value, NaN or infinity.
    """
    with open_netcdf(path) as file:
        sizes = {name: read_dimension(file, name) for name in ("column", "level", "interface")}
        if sizes["interface"] != sizes["level"] + 1:
            raise EmagramError(
                f"file '{path}': expected {sizes['level'] + 1} interfaces for {sizes['level']} levels, "
                f"got {sizes['interface']}"
            )
        present = [name for name in VARIABLES if name in file.variables or name in required]
        dataset = xr.Dataset(
            {name: _variable(name, _read(file, name, sizes)) for name in present},
            coords=_read_coordinates(file, sizes["column"]),
            attrs={name: file.getncattr(name) for name in file.ncattrs()},
        )
    _check_order(dataset, path)
    return dataset


def _dimensions(name: str) -> tuple[str, ...]:
    """Dimensions of a variable of the table."""
    return {"column": ("column",), "layer": ("column", "level"), "interface": ("column", "interface")}[
        VARIABLES[name].dimension
    ]


def _variable(name: str, values: Array) -> xr.Variable:
    """Values with the dimensions and CF attributes of their name."""
    row = VARIABLES[name]
    attributes = {"units": row.unit, "long_name": row.long_name}
    if row.standard_name is not None:
        attributes["standard_name"] = row.standard_name
    return xr.Variable(_dimensions(name), np.asarray(values, dtype=np.float64), attributes)


def _read(file: netCDF4.Dataset, name: str, sizes: Mapping[str, int]) -> Array:
    """One variable, checked, in the unit of the table."""
    row = VARIABLES[name]
    dimensions = {axis: sizes[axis] for axis in _dimensions(name)}
    return read_variable(file, name, dimensions, unit=row.unit, valid_range=row.valid_range)


def _read_coordinates(file: netCDF4.Dataset, n_column: int) -> dict[str, xr.Variable]:
    """The coordinates that the file holds."""
    coordinates = {}
    for name, attributes in COORDINATES.items():
        if name in file.variables:
            values = read_variable(
                file, name, {"column": n_column}, unit=attributes["units"], valid_range=(-np.inf, np.inf)
            )
            whole = name in ("experiment", "site")
            coordinates[name] = xr.Variable("column", values.astype(np.int64) if whole else values, attributes)
    if LABEL in file.variables:
        labels = np.asarray(read_labels(file, LABEL, "column"), dtype=str)
        coordinates[LABEL] = xr.Variable("column", labels, LABEL_ATTRIBUTES)
    return coordinates


def _check_order(dataset: xr.Dataset, path: Path) -> None:
    """Level 0 is the top."""
    name = "air_pressure_at_interface"
    if name in dataset and not (np.diff(dataset[name].values, axis=1) > 0.0).all():
        first, last = dataset[name].values[0, [0, -1]]
        raise EmagramError(
            f"variable '{name}' of '{path}': expected pressure that increases from interface 0 at the top, "
            f"got {first:g} Pa first and {last:g} Pa last"
        )
