"""The tables of variables, units and constants contradict neither themselves nor the data."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.units import UNITS, convert
from emagram.physics.variables import VARIABLES, Variable, find

RADIATION = [
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
    "tendency_of_air_temperature_due_to_longwave_heating",
    "tendency_of_air_temperature_due_to_shortwave_heating",
    "toa_outgoing_longwave_flux",
    "surface_downwelling_longwave_flux_in_air",
    "surface_upwelling_longwave_flux_in_air",
    "toa_outgoing_shortwave_flux",
    "surface_downwelling_shortwave_flux_in_air",
    "surface_upwelling_shortwave_flux_in_air",
]


@pytest.mark.parametrize("name", RADIATION)
def test_radiation_variables_are_known(name: str) -> None:
    assert find(name).name == name


def test_names_and_aliases_are_unique() -> None:
    names = [variable.name for variable in VARIABLES.values()]
    assert len(names) == len(set(names))
    for dialect in ("climsim", "rfmip"):
        aliases = [v.aliases[dialect] for v in VARIABLES.values() if dialect in v.aliases]
        assert len(aliases) == len(set(aliases)) > 0


def test_aliases_find_their_variable() -> None:
    assert find("state_q0001", "climsim").name == "specific_humidity"
    assert find("temp_layer", "rfmip").name == "air_temperature"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("state_t_dyn", "tendency_of_air_temperature_due_to_dynamics"),
        ("tm_state_q0_dyn", "tendency_of_mass_fraction_of_water_in_air_due_to_dynamics_at_previous_time_step"),
        ("state_u_prvphy", "tendency_of_eastward_wind_due_to_model_physics_at_previous_time_step"),
        ("tm_state_q0001_prvphy", "tendency_of_specific_humidity_due_to_model_physics_two_time_steps_before"),
        ("tm_pbuf_SOLIN", "toa_incoming_shortwave_flux_at_previous_time_step"),
        ("cam_out_FSNT", "toa_net_downward_shortwave_flux"),
        ("cam_out_FLUT", "toa_outgoing_longwave_flux"),
        ("slat", "sine_of_latitude"),
    ],
)
def test_memory_and_forcing_of_climsim_are_known(alias: str, name: str) -> None:
    assert find(alias, "climsim").name == name


def test_an_earlier_value_is_of_the_same_kind_as_now() -> None:
    suffixes = ("_at_previous_time_step", "_two_time_steps_before")
    earlier = {name: next((s for s in suffixes if name.endswith(s)), None) for name in VARIABLES}
    assert sum(suffix is not None for suffix in earlier.values()) == 3 + 6 + 6 + 5
    for name, suffix in earlier.items():
        if suffix:
            then, now = VARIABLES[name], VARIABLES[name.removesuffix(suffix)]
            assert (then.unit, then.dimension, then.valid_range) == (now.unit, now.dimension, now.valid_range)
            assert then.standard_name is None


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=lambda v: v.name)
def test_fill_values_are_outside_the_valid_range(variable: Variable) -> None:
    for fill in (1.0e30, 9.969209968386869e36, -9999.0, -999.0):
        assert not variable.valid_range[0] <= fill <= variable.valid_range[1]


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("air_temperature", 15.0, "degC"),
        ("surface_temperature", 15.0, "degC"),
        ("specific_humidity", 10.0, "g kg-1"),
        ("surface_air_pressure", 1013.25, "hPa"),
        ("surface_albedo", 30.0, "%"),
        ("mole_fraction_of_ozone_in_air", 8.0, "ppmv"),
        ("mole_fraction_of_carbon_dioxide_in_air", 400.0, "ppmv"),
        ("mole_fraction_of_methane_in_air", 1800.0, "ppbv"),
        ("mole_fraction_of_nitrous_oxide_in_air", 320.0, "ppbv"),
        ("mole_fraction_of_cfc11eq_in_air", 800.0, "pptv"),
        ("tendency_of_air_temperature_due_to_longwave_heating", -2.0, "K day-1"),
    ],
)
def test_ordinary_values_are_inside_and_wrong_units_outside(name: str, value: float, unit: str) -> None:
    variable = find(name)
    low, high = variable.valid_range
    assert low <= convert(value, unit, variable.unit) <= high
    assert not low <= value <= high


def test_unknown_names_bring_the_nearest() -> None:
    with pytest.raises(EmagramError, match=r"'air_temprature'.*'air_temperature'"):
        find("air_temprature")
    with pytest.raises(EmagramError, match=r"dialect 'climsim'.*'state_q0001'"):
        find("state_q001", "climsim")
    with pytest.raises(EmagramError):
        find("state_t")


def test_variables_check_themselves() -> None:
    with pytest.raises(EmagramError, match="base unit"):
        Variable("x", "hPa", "layer", "x", (0.0, 1.0))
    with pytest.raises(EmagramError, match="increasing valid range"):
        Variable("x", "Pa", "layer", "x", (1.0, 1.0))


@pytest.mark.real_data
def test_climsim_statistics_lie_in_the_valid_ranges(real_data: Path) -> None:
    seen = 0
    with netCDF4.Dataset(real_data / "climsim/column_statistics.nc") as statistics:
        for variable in VARIABLES.values():
            alias = variable.aliases.get("climsim")
            for prefix in ("mli", "mlo"):
                if f"{prefix}_{alias}_min" in statistics.variables:
                    seen += 1
                    assert float(statistics[f"{prefix}_{alias}_min"][:].min()) >= variable.valid_range[0], alias
                    assert float(statistics[f"{prefix}_{alias}_max"][:].max()) <= variable.valid_range[1], alias
    assert seen > 30


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        (25.0, "degC", "K", 298.15),
        (298.15, "K", "degC", 25.0),
        (1013.25, "hPa", "Pa", 101325.0),
        (7.0, "g kg-1", "kg kg-1", 0.007),
        (415.0, "1.e-6", "1", 4.15e-4),
        (1.0, "ppmv", "ppbv", 1000.0),
        (-2.0, "K day-1", "K s-1", -2.0 / 86400.0),
        (86.4, "mm day-1", "kg m-2 s-1", 1.0e-3),
    ],
)
def test_conversions(value: float, from_unit: str, to_unit: str, expected: float) -> None:
    assert convert(value, from_unit, to_unit) == pytest.approx(expected, rel=1e-14)
    as_tensor = convert(torch.tensor([value], dtype=torch.float64), from_unit, to_unit)
    assert as_tensor.tolist() == pytest.approx([expected], rel=1e-14)


@given(st.sampled_from(UNITS), st.floats(-1.0e6, 1.0e6))
def test_every_unit_converts_to_its_base_and_back(row: tuple[str, str, float, float], value: float) -> None:
    unit, base, _, offset = row
    there_and_back = convert(convert(value, unit, base), base, unit)
    assert there_and_back == pytest.approx(value, rel=1e-14, abs=1e-13 * abs(offset) + 1e-300)


def test_every_unit_stands_once_and_every_base_is_itself() -> None:
    names = [unit for unit, _, _, _ in UNITS]
    assert len(names) == len(set(names))
    rows = {unit: (base, factor, offset) for unit, base, factor, offset in UNITS}
    assert all(rows[base] == (base, 1.0, 0.0) for _, base, _, _ in UNITS)


@pytest.mark.parametrize(
    ("from_unit", "to_unit"),
    [("K", "Pa"), ("1", "kg kg-1"), ("m s-1", "kg m-2 s-1"), ("furlong", "m"), ("m", "furlong")],
)
def test_conversions_that_mean_nothing_are_refused(from_unit: str, to_unit: str) -> None:
    with pytest.raises(EmagramError):
        convert(1.0, from_unit, to_unit)


def test_gas_constants_follow_from_e3sm_molecular_weights() -> None:
    universal = 6.02214e26 * 1.38065e-23
    assert Constants().gas_constant_dry_air == pytest.approx(universal / 28.966, rel=1e-15)
    assert Constants().gas_constant_water_vapor == pytest.approx(universal / 18.016, rel=1e-15)
    assert Constants().epsilon == pytest.approx(0.622, abs=1e-4)


def test_constants_survive_the_manifest() -> None:
    host = Constants(gravity=9.80665, latent_heat_vaporization=2.5e6)
    assert Constants.from_manifest(host.to_manifest()) == host


def test_constants_of_a_manifest_are_read_strictly() -> None:
    entry = Constants().to_manifest()
    with pytest.raises(EmagramError, match="'moon_gravity'"):
        Constants.from_manifest({**entry, "moon_gravity": 1.62})
    del entry["gravity"]
    with pytest.raises(EmagramError, match="expected 'gravity'"):
        Constants.from_manifest(entry)


@pytest.mark.parametrize("value", [0.0, -9.8, float("nan"), float("inf"), "9.8"])
def test_constants_are_positive_numbers(value: object) -> None:
    with pytest.raises(EmagramError, match="constant 'gravity'"):
        Constants.from_manifest({**Constants().to_manifest(), "gravity": value})  # type: ignore[dict-item]
