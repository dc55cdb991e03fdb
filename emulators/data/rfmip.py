"""Reader of the RFMIP clear-sky columns and the RTE+RRTMGP fluxes computed for them.

Pincus, Forster and Stevens 2016, doi:10.5194/gmd-9-3447-2016; Pincus, Mlawer and Delamere 2019,
doi:10.1029/2019MS001621. One hundred sites of ERA-Interim, chosen so that their weighted mean is the global mean, each
in fifteen experiments ("climates"). Level 0 is the top; the top interface is at 0.01 Pa.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import netCDF4
import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from ...physics.errors import EmagramError
from ...physics.thermodynamics import specific_humidity_from_mole_fraction
from ...physics.variables import VARIABLES
from .columns import FLUX_PROFILES, RADIATION_INPUTS, add_radiation, columns_dataset
from .netcdf import open_netcdf, read_dimension, read_labels, read_variable

Array = NDArray[np.float64]

CONDITIONS_FILE = "multiple_input4MIPs_radiation_RFMIP_*_none.nc"
FLUX_FILE = "{}_Efx_RTE-RRTMGP-*_rad-irf_r1i1p1f1_gn.nc"
ATTRIBUTES = {
    "title": "RFMIP clear-sky columns with RTE+RRTMGP fluxes",
    "source": "UColorado-RFMIP-1-2 atmospheric conditions (ERA-Interim); RTE-RRTMGP-181204 fluxes (CMIP6, rad-irf)",
    "references": "doi:10.5194/gmd-9-3447-2016; doi:10.1029/2019MS001621",
    "truth": "RTE+RRTMGP-181204: correlated k-distribution fitted to line-by-line LBLRTM; "
    "no clouds, no aerosol; heating rates are the divergence of its net fluxes",
    "licence": "conditions CC BY-SA 4.0; fluxes CC BY-NC-SA 4.0 (non-commercial)",
}

# quantities of the variables table, by the dimensions they have in the file; the table knows their names there
_CONDITIONS = {
    "air_pressure": ("site", "layer"),
    "air_pressure_at_interface": ("site", "level"),
    "air_temperature": ("expt", "site", "layer"),
    "mole_fraction_of_water_vapor_in_air": ("expt", "site", "layer"),
    "mole_fraction_of_ozone_in_air": ("expt", "site", "layer"),
    "surface_temperature": ("expt", "site"),
    "surface_albedo": ("site",),
    "mole_fraction_of_carbon_dioxide_in_air": ("expt",),
    "mole_fraction_of_methane_in_air": ("expt",),
    "mole_fraction_of_nitrous_oxide_in_air": ("expt",),
    "mole_fraction_of_cfc11eq_in_air": ("expt",),
}
# quantities of the site alone that the table does not have: name in the file, unit, smallest and largest value
_OF_SITE = {
    "solar_zenith_angle": ("solar_zenith_angle", "degree", (0.0, 180.0)),
    "total_solar_irradiance": ("total_solar_irradiance", "W m-2", (0.0, 2000.0)),
    "latitude": ("lat", "degree_north", (-90.0, 90.0)),
    "longitude": ("lon", "degree_east", (-360.0, 360.0)),
    "profile_weight": ("profile_weight", "1", (0.0, 1.0)),
}

TOLERANCE_IRRADIANCE = 1.0e-3  # W m-2; float32 rounding of 1400 W m-2 is 6e-5
TOLERANCE_PRESSURE = 1.0e-6  # relative; the files repeat one float32 pressure


def read_rfmip(folder: Path) -> xr.Dataset:
    """Read the columns, their fluxes, and the heating rates that follow from them.

    Water vapour is converted as RTE+RRTMGP uses it, as moles per mole of *dry* air: w = x Rd/Rv, q = w / (1 + w).
    The incoming shortwave flux is the downwelling flux of the flux file at the top, which agrees with irradiance times
    cos ζ to the rounding of float32 (checked), so that the shortwave budget closes to the rounding of float64. At
    night (ζ ≥ 90°) the cosine and all shortwave fluxes are 0.

    Args:
        folder: with the conditions and the four flux files, under their CMIP6 names.
    Returns:
        Dataset of float64 with dimensions column (experiment × site, the experiment slowest), level and interface:
        inputs and outputs of the variables table, the four flux profiles
        (`upwelling_longwave_flux_in_air`, … on interface), and the coordinates `experiment`, `experiment_label`,
        `site`, `latitude` [degree_north], `longitude` [degree_east] and `profile_weight` [1], all (column).
    Raises:
        EmagramError: if a file or variable is missing, truncated, in a wrong unit, order or size, holds fill values
            or NaN, or if fluxes and conditions contradict each other.
    """
    folder = Path(folder)
    with open_netcdf(_find(folder, CONDITIONS_FILE)) as file:
        sizes = {name: read_dimension(file, name) for name in ("expt", "site", "layer", "level")}
        labels = read_labels(file, "expt_label", "expt")
        _check_level_count(file, sizes)
        conditions = _read_conditions(file, sizes)
        site = _read_sites(file, sizes["site"])
        _check_order(file, conditions["air_pressure_at_interface"])
    fluxes = {
        name: _read_flux(folder, name, sizes, conditions["air_pressure_at_interface"][0]) for name in FLUX_PROFILES
    }
    cosine = np.where(site["solar_zenith_angle"] < 90.0, np.cos(np.deg2rad(site["solar_zenith_angle"])), 0.0)
    _check_fluxes(fluxes, cosine, site["total_solar_irradiance"])
    conditions["cosine_of_solar_zenith_angle"] = cosine[None]
    conditions["toa_incoming_shortwave_flux"] = fluxes["downwelling_shortwave_flux_in_air"][..., 0]
    conditions["specific_humidity"] = specific_humidity_from_mole_fraction(
        torch.from_numpy(conditions.pop("mole_fraction_of_water_vapor_in_air"))
    ).numpy()
    columns = columns_dataset(
        {name: _by_column(conditions[name], sizes) for name in RADIATION_INPUTS},
        experiment_label=labels,
        latitude=site["latitude"],
        longitude=site["longitude"],
        profile_weight=site["profile_weight"],
    )
    columns.attrs = dict(ATTRIBUTES)
    return add_radiation(columns, {name: _by_column(flux, sizes) for name, flux in fluxes.items()})


def _find(folder: Path, pattern: str) -> Path:
    """The one file of that name."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise EmagramError(f"folder '{folder}': expected one file '{pattern}', got {len(found)}")
    return found[0]


def _check_level_count(file: netCDF4.Dataset, sizes: Mapping[str, int]) -> None:
    """Interfaces are one more than layers."""
    if sizes["level"] != sizes["layer"] + 1:
        raise EmagramError(
            f"file '{file.filepath()}': expected {sizes['layer'] + 1} levels (layer edges) "
            f"for {sizes['layer']} layers, got {sizes['level']}"
        )


def _check_order(file: netCDF4.Dataset, pressure: Array) -> None:
    """Level 0 is the top; a file of the other order is refused rather than turned round on a guess."""
    if not (np.diff(pressure, axis=-1) > 0.0).all():
        raise EmagramError(
            f"variable 'pres_level' of '{file.filepath()}': expected pressure that increases from level 0 at the top, "
            f"got {pressure[0, 0, 0]:g} Pa first and {pressure[0, 0, -1]:g} Pa last"
        )


def _read_conditions(file: netCDF4.Dataset, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Conditions of the variables table with axes (expt, site, ...), of size 1 where the file has no such axis."""
    conditions = {}
    for name, dimensions in _CONDITIONS.items():
        values = _read(file, name, {axis: sizes[axis] for axis in dimensions})
        if "expt" not in dimensions:
            values = values[None]
        if "site" not in dimensions:
            values = values[:, None]
        conditions[name] = values
    return conditions


def _read(file: netCDF4.Dataset, name: str, dimensions: Mapping[str, int]) -> Array:
    """A quantity of the variables table under its RFMIP name."""
    row = VARIABLES[name]
    return read_variable(file, row.aliases["rfmip"], dimensions, unit=row.unit, valid_range=row.valid_range)


def _read_sites(file: netCDF4.Dataset, n_site: int) -> dict[str, Array]:
    """What only the site decides, (site)."""
    return {
        ours: read_variable(file, name, {"site": n_site}, unit=unit, valid_range=valid_range)
        for ours, (name, unit, valid_range) in _OF_SITE.items()
    }


def _read_flux(folder: Path, name: str, sizes: Mapping[str, int], pressure: Array) -> Array:
    """One flux [W m-2] (expt, site, level) on the interfaces of the conditions [Pa] (site, level)."""
    with open_netcdf(_find(folder, FLUX_FILE.format(VARIABLES[name].aliases["rfmip"]))) as file:
        dimensions = {axis: sizes[axis] for axis in ("site", "level")}
        row = VARIABLES["air_pressure_at_interface"]
        levels = read_variable(file, "plev", dimensions, unit=row.unit, valid_range=row.valid_range)
        departure = np.abs(levels / pressure - 1.0).max()
        if not departure < TOLERANCE_PRESSURE:
            raise EmagramError(
                f"variable 'plev' of '{file.filepath()}': expected the pressure of the conditions, "
                f"got one that differs by up to {departure:.2g} of it"
            )
        return _read(file, name, {"expt": sizes["expt"]} | dimensions)


def _check_fluxes(fluxes: Mapping[str, Array], cosine: Array, irradiance: Array) -> None:
    """At the top there is sunlight and nothing else; at night there is no sunlight.

    Args:
        fluxes: [W m-2] (expt, site, level).
        cosine: of the zenith angle, 0 at night [1] (site).
        irradiance: [W m-2] (site).
    """
    departure = np.abs(fluxes["downwelling_shortwave_flux_in_air"][..., 0] - irradiance * cosine).max()
    if not departure < TOLERANCE_IRRADIANCE:
        raise EmagramError(
            "variable 'rsd': expected total_solar_irradiance x cos(solar_zenith_angle) at the top, "
            f"got a difference of {departure:.3g} W m-2"
        )
    for name in ("upwelling_shortwave_flux_in_air", "downwelling_shortwave_flux_in_air"):
        at_night = fluxes[name][:, cosine == 0.0]
        if at_night.any():
            raise EmagramError(
                f"variable '{VARIABLES[name].aliases['rfmip']}': expected 0 W m-2 at night, got {at_night.max():g}"
            )
    at_top = fluxes["downwelling_longwave_flux_in_air"][..., 0]
    if at_top.any():
        raise EmagramError(f"variable 'rld': expected 0 W m-2 at the top, got {at_top.max():g}")


def _by_column(values: Array, sizes: Mapping[str, int]) -> Array:
    """(expt or 1, site or 1, ...) as (column, ...), the experiment slowest."""
    whole = np.broadcast_to(values, (sizes["expt"], sizes["site"], *values.shape[2:]))
    return np.array(whole).reshape(-1, *values.shape[2:])
