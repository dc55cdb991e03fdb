"""The one table of variables: names, units, dimensions, sign conventions, ranges and aliases.

Inside Emagram a variable carries its CF-like name and the unit given here. Other names live in dialects: `climsim`
(E3SM-MMF files, mli and mlo) and `rfmip` (RFMIP columns and fluxes). An alias stands for the same quantity with the
same sign, though files may give it in another unit. Level 0 is the model top.

`valid_range` is wide enough for any atmosphere on Earth and narrow enough that fill values (1e30, -999) and, where
magnitudes allow, wrong units fall outside.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from .errors import EmagramError
from .units import UNITS

Dimension = Literal["column", "layer", "interface"]
Dialect = Literal["climsim", "rfmip"]


@dataclass(frozen=True)
class Variable:
    """A physical quantity of a column.

    Args:
        name: CF-like, unique.
        unit: a base unit of `units.UNITS`; what `valid_range` is given in.
        dimension: `column` (one value), `layer` (n_level) or `interface` (n_level + 1).
        long_name: for people.
        valid_range: smallest and largest physically plausible value [unit].
        standard_name: of the CF table, None where it has no such name.
        sign: what a positive value means, "" where that needs no word.
        aliases: dialect to name there.
    Raises:
        EmagramError: if the unit is not a base unit or the range is empty.
    """

    name: str
    unit: str
    dimension: Dimension
    long_name: str
    valid_range: tuple[float, float]
    standard_name: str | None = None
    sign: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.unit not in {base for _, base, _, _ in UNITS}:
            raise EmagramError(f"variable '{self.name}': expected a base unit of the units table, got '{self.unit}'")
        if not self.valid_range[0] < self.valid_range[1]:
            raise EmagramError(f"variable '{self.name}': expected an increasing valid range, got {self.valid_range}")


_FRACTION = (-1.0e-3, 1.001)  # 0 to 1 and the rounding of regridding
_HUMIDITY = (-1.0e-6, 0.1)  # a little below 0, as advection leaves it
_SOLAR = (-1.0e-3, 2000.0)

# fmt: off
# a table, two or three lines an entry
_STATE = (
    Variable("air_pressure", "Pa", "layer", "pressure of the layer", (1.0e-4, 1.2e5), "air_pressure",
             aliases={"climsim": "state_pmid", "rfmip": "pres_layer"}),
    Variable("air_pressure_at_interface", "Pa", "interface", "pressure at the layer boundaries, increasing downwards",
             (0.0, 1.2e5), "air_pressure", aliases={"rfmip": "pres_level"}),
    Variable("surface_air_pressure", "Pa", "column", "surface pressure", (3.0e4, 1.2e5), "surface_air_pressure",
             aliases={"climsim": "state_ps"}),
    Variable("air_temperature", "K", "layer", "temperature", (100.0, 400.0), "air_temperature",
             aliases={"climsim": "state_t", "rfmip": "temp_layer"}),
    Variable("specific_humidity", "kg kg-1", "layer", "mass of water vapour per mass of moist air", _HUMIDITY,
             "specific_humidity", aliases={"climsim": "state_q0001"}),
    Variable("mass_fraction_of_cloud_liquid_water_in_air", "kg kg-1", "layer", "cloud liquid per mass of moist air",
             _HUMIDITY, "mass_fraction_of_cloud_liquid_water_in_air", aliases={"climsim": "state_q0002"}),
    Variable("mass_fraction_of_cloud_ice_in_air", "kg kg-1", "layer", "cloud ice per mass of moist air",
             _HUMIDITY, "mass_fraction_of_cloud_ice_in_air", aliases={"climsim": "state_q0003"}),
    Variable("eastward_wind", "m s-1", "layer", "zonal wind", (-400.0, 400.0), "eastward_wind", "eastward",
             {"climsim": "state_u"}),
    Variable("northward_wind", "m s-1", "layer", "meridional wind", (-400.0, 400.0), "northward_wind", "northward",
             {"climsim": "state_v"}),
)

_GASES = (
    Variable("mole_fraction_of_water_vapor_in_air", "1", "layer", "water vapour per mole of dry air, n_v / n_d",
             (0.0, 0.2), "mole_fraction_of_water_vapor_in_air", aliases={"rfmip": "water_vapor"}),
    Variable("mole_fraction_of_ozone_in_air", "1", "layer", "ozone per mole of dry air", (0.0, 1.0e-4),
             "mole_fraction_of_ozone_in_air", aliases={"rfmip": "ozone"}),
    Variable("mole_fraction_of_carbon_dioxide_in_air", "1", "column", "carbon dioxide per mole of dry air",
             (0.0, 0.05), "mole_fraction_of_carbon_dioxide_in_air", aliases={"rfmip": "carbon_dioxide_GM"}),
    Variable("mole_fraction_of_methane_in_air", "1", "column", "methane per mole of dry air", (0.0, 1.0e-3),
             "mole_fraction_of_methane_in_air", aliases={"rfmip": "methane_GM"}),
    Variable("mole_fraction_of_nitrous_oxide_in_air", "1", "column", "nitrous oxide per mole of dry air",
             (0.0, 1.0e-4), "mole_fraction_of_nitrous_oxide_in_air", aliases={"rfmip": "nitrous_oxide_GM"}),
    Variable("mole_fraction_of_cfc11eq_in_air", "1", "column",
             "halocarbons as the CFC-11 of equal radiative efficiency, per mole of dry air", (0.0, 1.0e-6),
             aliases={"rfmip": "cfc11eq_GM"}),
    # ClimSim's documentation calls the next three mole fractions; its values (methane up to 1.0e-6, nitrous oxide up
    # to 4.9e-7 for 1.8 and 0.32 ppmv) are mass mixing ratios, as in E3SM's physics buffer.
    Variable("mass_fraction_of_ozone_in_air", "kg kg-1", "layer", "ozone per mass of air", (0.0, 2.0e-4),
             "mass_fraction_of_ozone_in_air", aliases={"climsim": "pbuf_ozone"}),
    Variable("mass_fraction_of_methane_in_air", "kg kg-1", "layer", "methane per mass of air", (0.0, 1.0e-3),
             "mass_fraction_of_methane_in_air", aliases={"climsim": "pbuf_CH4"}),
    Variable("mass_fraction_of_nitrous_oxide_in_air", "kg kg-1", "layer", "nitrous oxide per mass of air",
             (0.0, 1.0e-4), "mass_fraction_of_nitrous_oxide_in_air", aliases={"climsim": "pbuf_N2O"}),
)

_BOUNDARY = (
    Variable("toa_incoming_shortwave_flux", "W m-2", "column", "sunlight at the top, 0 at night", _SOLAR,
             "toa_incoming_shortwave_flux", "downward", {"climsim": "pbuf_SOLIN"}),
    Variable("cosine_of_solar_zenith_angle", "1", "column", "cosine of the solar zenith angle, 0 at night", _FRACTION,
             aliases={"climsim": "pbuf_COSZRS"}),
    Variable("surface_temperature", "K", "column", "skin temperature", (150.0, 400.0), "surface_temperature",
             aliases={"rfmip": "surface_temperature"}),
    Variable("surface_albedo", "1", "column", "albedo for all sunlight", _FRACTION, "surface_albedo",
             aliases={"rfmip": "surface_albedo"}),
    Variable("surface_albedo_for_direct_visible_radiation", "1", "column", "albedo, direct visible", _FRACTION,
             aliases={"climsim": "cam_in_ASDIR"}),
    Variable("surface_albedo_for_diffuse_visible_radiation", "1", "column", "albedo, diffuse visible", _FRACTION,
             aliases={"climsim": "cam_in_ASDIF"}),
    Variable("surface_albedo_for_direct_near_infrared_radiation", "1", "column", "albedo, direct near infrared",
             _FRACTION, aliases={"climsim": "cam_in_ALDIR"}),
    Variable("surface_albedo_for_diffuse_near_infrared_radiation", "1", "column", "albedo, diffuse near infrared",
             _FRACTION, aliases={"climsim": "cam_in_ALDIF"}),
    Variable("surface_upward_latent_heat_flux", "W m-2", "column", "latent heat flux", (-900.0, 3000.0),
             "surface_upward_latent_heat_flux", "upward", {"climsim": "pbuf_LHFLX"}),
    Variable("surface_upward_sensible_heat_flux", "W m-2", "column", "sensible heat flux", (-900.0, 3000.0),
             "surface_upward_sensible_heat_flux", "upward", {"climsim": "pbuf_SHFLX"}),
    # E3SM gives the force on the air: -TAUX is CMIP's tauu, surface_downward_eastward_stress
    Variable("surface_upward_eastward_stress", "N m-2", "column", "zonal force of the surface on the air",
             (-50.0, 50.0), sign="accelerates the air eastward, as under easterly wind",
             aliases={"climsim": "pbuf_TAUX"}),
    Variable("surface_upward_northward_stress", "N m-2", "column", "meridional force of the surface on the air",
             (-50.0, 50.0), sign="accelerates the air northward, as under northerly wind",
             aliases={"climsim": "pbuf_TAUY"}),
    Variable("land_area_fraction", "1", "column", "fraction of land", _FRACTION, "land_area_fraction",
             aliases={"climsim": "cam_in_LANDFRAC"}),
    Variable("sea_ice_area_fraction", "1", "column", "fraction of sea ice", _FRACTION, "sea_ice_area_fraction",
             aliases={"climsim": "cam_in_ICEFRAC"}),
    Variable("open_ocean_area_fraction", "1", "column", "fraction of ice-free ocean", _FRACTION,
             aliases={"climsim": "cam_in_OCNFRAC"}),
    Variable("lwe_thickness_of_snow_over_land", "m", "column", "snow over land, as liquid water", (-1.0e-3, 1.0e3),
             aliases={"climsim": "cam_in_SNOWHLAND"}),
    Variable("snow_thickness_over_sea_ice", "m", "column", "snow over sea ice; the fill value 1e30 where none is",
             (-1.0e-3, 1.0e3), aliases={"climsim": "cam_in_SNOWHICE"}),
)

_TENDENCIES = (
    Variable("tendency_of_air_temperature_due_to_longwave_heating", "K s-1", "layer", "longwave heating rate",
             (-0.01, 0.01), "tendency_of_air_temperature_due_to_longwave_heating", "warming"),
    Variable("tendency_of_air_temperature_due_to_shortwave_heating", "K s-1", "layer", "shortwave heating rate",
             (-0.01, 0.01), "tendency_of_air_temperature_due_to_shortwave_heating", "warming"),
    Variable("tendency_of_air_temperature_due_to_model_physics", "K s-1", "layer", "heating rate of all physics",
             (-0.5, 0.5), "tendency_of_air_temperature_due_to_model_physics", "warming", {"climsim": "ptend_t"}),
    Variable("tendency_of_specific_humidity_due_to_model_physics", "kg kg-1 s-1", "layer", "water vapour tendency",
             (-1.0e-4, 1.0e-4), "tendency_of_specific_humidity_due_to_model_physics", "moistening",
             {"climsim": "ptend_q0001"}),
    Variable("tendency_of_mass_fraction_of_cloud_liquid_water_in_air_due_to_model_physics", "kg kg-1 s-1", "layer",
             "cloud liquid tendency", (-1.0e-4, 1.0e-4), sign="gain", aliases={"climsim": "ptend_q0002"}),
    Variable("tendency_of_mass_fraction_of_cloud_ice_in_air_due_to_model_physics", "kg kg-1 s-1", "layer",
             "cloud ice tendency", (-1.0e-4, 1.0e-4), sign="gain", aliases={"climsim": "ptend_q0003"}),
    Variable("tendency_of_mass_fraction_of_cloud_condensed_water_in_air_due_to_model_physics", "kg kg-1 s-1", "layer",
             "cloud liquid and ice tendency", (-1.0e-4, 1.0e-4), sign="gain", aliases={"climsim": "ptend_qn"}),
    Variable("tendency_of_eastward_wind_due_to_model_physics", "m s-2", "layer", "zonal acceleration", (-0.5, 0.5),
             sign="eastward", aliases={"climsim": "ptend_u"}),
    Variable("tendency_of_northward_wind_due_to_model_physics", "m s-2", "layer", "meridional acceleration",
             (-0.5, 0.5), sign="northward", aliases={"climsim": "ptend_v"}),
)

_FLUXES = (
    Variable("upwelling_longwave_flux_in_air", "W m-2", "interface", "longwave flux up", (-1.0e-3, 1000.0),
             "upwelling_longwave_flux_in_air", "upward", {"rfmip": "rlu"}),
    Variable("downwelling_longwave_flux_in_air", "W m-2", "interface", "longwave flux down", (-1.0e-3, 1000.0),
             "downwelling_longwave_flux_in_air", "downward", {"rfmip": "rld"}),
    Variable("upwelling_shortwave_flux_in_air", "W m-2", "interface", "shortwave flux up", _SOLAR,
             "upwelling_shortwave_flux_in_air", "upward", {"rfmip": "rsu"}),
    Variable("downwelling_shortwave_flux_in_air", "W m-2", "interface", "shortwave flux down", _SOLAR,
             "downwelling_shortwave_flux_in_air", "downward", {"rfmip": "rsd"}),
    # ClimSim has neither of the next two; E3SM calls them FSNT and FLUT, our own host writes them beside the others
    Variable("toa_net_downward_shortwave_flux", "W m-2", "column", "sunlight absorbed by surface and air", _SOLAR,
             "toa_net_downward_shortwave_flux", "downward", {"climsim": "cam_out_FSNT"}),
    Variable("toa_outgoing_longwave_flux", "W m-2", "column", "longwave flux to space", (-1.0e-3, 1000.0),
             "toa_outgoing_longwave_flux", "upward", {"climsim": "cam_out_FLUT"}),
    Variable("surface_downwelling_longwave_flux_in_air", "W m-2", "column", "longwave flux onto the surface",
             (-1.0e-3, 1000.0), "surface_downwelling_longwave_flux_in_air", "downward",
             {"climsim": "cam_out_FLWDS"}),
    Variable("surface_upwelling_longwave_flux_in_air", "W m-2", "column", "longwave flux from the surface",
             (-1.0e-3, 1000.0), "surface_upwelling_longwave_flux_in_air", "upward", {"climsim": "cam_in_LWUP"}),
    Variable("toa_outgoing_shortwave_flux", "W m-2", "column", "sunlight reflected to space", _SOLAR,
             "toa_outgoing_shortwave_flux", "upward"),
    Variable("surface_downwelling_shortwave_flux_in_air", "W m-2", "column", "sunlight onto the surface", _SOLAR,
             "surface_downwelling_shortwave_flux_in_air", "downward"),
    Variable("surface_upwelling_shortwave_flux_in_air", "W m-2", "column", "sunlight reflected by the surface", _SOLAR,
             "surface_upwelling_shortwave_flux_in_air", "upward"),
    Variable("surface_net_downward_shortwave_flux", "W m-2", "column", "sunlight absorbed by the surface", _SOLAR,
             "surface_net_downward_shortwave_flux", "downward", {"climsim": "cam_out_NETSW"}),
    Variable("surface_downwelling_direct_visible_flux_in_air", "W m-2", "column", "direct visible sunlight", _SOLAR,
             sign="downward", aliases={"climsim": "cam_out_SOLS"}),
    Variable("surface_downwelling_direct_near_infrared_flux_in_air", "W m-2", "column",
             "direct near-infrared sunlight", _SOLAR, sign="downward", aliases={"climsim": "cam_out_SOLL"}),
    Variable("surface_downwelling_diffuse_visible_flux_in_air", "W m-2", "column", "diffuse visible sunlight",
             _SOLAR, sign="downward", aliases={"climsim": "cam_out_SOLSD"}),
    Variable("surface_downwelling_diffuse_near_infrared_flux_in_air", "W m-2", "column",
             "diffuse near-infrared sunlight", _SOLAR, sign="downward", aliases={"climsim": "cam_out_SOLLD"}),
    # as a depth of liquid water; times density_liquid_water it is a mass flux [kg m-2 s-1]
    Variable("lwe_precipitation_rate", "m s-1", "column", "rain and snow, as liquid water", (-1.0e-9, 1.0e-3),
             "lwe_precipitation_rate", "downward", {"climsim": "cam_out_PRECC"}),
    Variable("lwe_snowfall_rate", "m s-1", "column", "snow, as liquid water", (-1.0e-9, 1.0e-3),
             "lwe_snowfall_rate", "downward", {"climsim": "cam_out_PRECSC"}),
)

_DYNAMICS = (
    Variable("tendency_of_air_temperature_due_to_dynamics", "K s-1", "layer",
             "heating since the end of the previous physics", (-0.5, 0.5), sign="warming",
             aliases={"climsim": "state_t_dyn"}),
    Variable("tendency_of_mass_fraction_of_water_in_air_due_to_dynamics", "kg kg-1 s-1", "layer",
             "vapour, cloud liquid and ice gained since the end of the previous physics", (-1.0e-4, 1.0e-4),
             sign="gain", aliases={"climsim": "state_q0_dyn"}),
    Variable("tendency_of_eastward_wind_due_to_dynamics", "m s-2", "layer",
             "zonal acceleration since the end of the previous physics", (-0.5, 0.5), sign="eastward",
             aliases={"climsim": "state_u_dyn"}),
)

_PLACE = (
    Variable("cosine_of_latitude", "1", "column", "cosine of latitude", _FRACTION, aliases={"climsim": "clat"}),
    Variable("sine_of_latitude", "1", "column", "sine of latitude", (-1.001, 1.001), aliases={"climsim": "slat"}),
    Variable("column_number", "1", "column", "number of the column on its grid, from 1", (0.0, 1.0e9),
             aliases={"climsim": "icol"}),
)
# fmt: on

# What the previous step's physics did is an input of ClimSim's sets with memory, under names of its own.
_PREVIOUS_PHYSICS = {
    "ptend_t": "state_t_prvphy",
    "ptend_q0001": "state_q0001_prvphy",
    "ptend_q0002": "state_q0002_prvphy",
    "ptend_q0003": "state_q0003_prvphy",
    "ptend_qn": "state_qn_prvphy",
    "ptend_u": "state_u_prvphy",
}
_PREVIOUS_SCALARS = ("state_ps", "pbuf_SOLIN", "pbuf_LHFLX", "pbuf_SHFLX", "pbuf_COSZRS")


def _earlier(variable: Variable, alias: str, *, n_step: int = 1) -> Variable:
    """The same quantity of an earlier time step; ClimSim's prefix `tm_` says "time minus one"."""
    suffix, words = {1: ("_at_previous_time_step", "one"), 2: ("_two_time_steps_before", "two")}[n_step]
    return replace(
        variable,
        name=variable.name + suffix,
        long_name=f"{variable.long_name}, {words} step{'s' * (n_step > 1)} before",
        standard_name=None,
        aliases={"climsim": alias},
    )


def _earlier_variables() -> tuple[Variable, ...]:
    """The memory of ClimSim's sets: forcing, effect of physics and surface conditions of earlier steps."""
    now = {v.aliases.get("climsim"): v for v in (*_STATE, *_BOUNDARY, *_TENDENCIES)}
    forcing = [_earlier(v, f"tm_{v.aliases['climsim']}") for v in _DYNAMICS]
    physics = [_earlier(now[ptend], alias) for ptend, alias in _PREVIOUS_PHYSICS.items()]
    before = [_earlier(now[ptend], f"tm_{alias}", n_step=2) for ptend, alias in _PREVIOUS_PHYSICS.items()]
    scalars = [_earlier(now[alias], f"tm_{alias}") for alias in _PREVIOUS_SCALARS]
    return (*forcing, *physics, *before, *scalars)


VARIABLES: Mapping[str, Variable] = {
    variable.name: variable
    for variable in (*_STATE, *_GASES, *_BOUNDARY, *_TENDENCIES, *_FLUXES, *_DYNAMICS, *_PLACE, *_earlier_variables())
}

_BY_ALIAS: Mapping[Dialect, Mapping[str, Variable]] = {
    dialect: {v.aliases[dialect]: v for v in VARIABLES.values() if dialect in v.aliases}
    for dialect in typing.get_args(Dialect)
}


def find(name: str, dialect: Dialect | None = None) -> Variable:
    """The variable of a name, or of an alias in a dialect.

    Raises:
        EmagramError: if there is none; it names the nearest known one.
    """
    known = VARIABLES if dialect is None else _BY_ALIAS[dialect]
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    where = f" of dialect '{dialect}'" if dialect else ""
    raise EmagramError(f"variable '{name}': expected a known name{where}, the nearest is {nearest}")
