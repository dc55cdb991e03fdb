"""Reader of RFMIP columns: physics of the real files, and every kind of broken file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from emagram.emulators.data.columns import RADIATION_INPUTS, RADIATION_OUTPUTS
from emagram.emulators.data.rfmip import read_rfmip
from emagram.physics.budgets import energy_residual
from emagram.physics.errors import EmagramError
from emagram.physics.variables import VARIABLES

CONDITIONS = "multiple_input4MIPs_radiation_RFMIP_UColorado-RFMIP-1-2_none.nc"
RLU, RLD, RSU, RSD = (f"{name}_Efx_RTE-RRTMGP-181204_rad-irf_r1i1p1f1_gn.nc" for name in ("rlu", "rld", "rsu", "rsd"))
N_EXPT, N_SITE, N_LAYER = 2, 3, 4
Files = dict[str, xr.Dataset]


def small_rfmip() -> Files:
    """Two experiments of three sites (the last at night) of four layers, in the form of the RFMIP files."""
    rng = np.random.default_rng(0)
    site, layer, level = (N_SITE,), (N_SITE, N_LAYER), (N_SITE, N_LAYER + 1)
    edges = np.array([0.01, 2e3, 2e4, 6e4, 1e5]) * np.linspace(1.0, 0.9, N_SITE)[:, None]
    zenith, irradiance = np.array([30.0, 80.0, 120.0]), np.full(site, 1361.0)
    incoming = irradiance * np.maximum(np.cos(np.deg2rad(zenith)), 0.0)

    def variable(dimensions: str, values: np.ndarray, units: str) -> tuple[list[str], np.ndarray, dict[str, str]]:
        return dimensions.split(), np.asarray(values, dtype=np.float32), {"units": units}

    conditions = xr.Dataset(
        {
            "pres_layer": variable("site layer", 0.5 * (edges[:, 1:] + edges[:, :-1]), "Pa"),
            "pres_level": variable("site level", edges, "Pa"),
            "temp_layer": variable("expt site layer", rng.uniform(200, 300, (N_EXPT, *layer)), "K"),
            "water_vapor": variable("expt site layer", rng.uniform(0, 0.03, (N_EXPT, *layer)), "1"),
            "ozone": variable("expt site layer", rng.uniform(1e-8, 1e-5, (N_EXPT, *layer)), "1"),
            "surface_temperature": variable("expt site", rng.uniform(250, 300, (N_EXPT, N_SITE)), "K"),
            "surface_albedo": variable("site", rng.uniform(0, 1, site), "1"),
            "solar_zenith_angle": variable("site", zenith, "degree"),
            "total_solar_irradiance": variable("site", irradiance, "W m-2"),
            "profile_weight": variable("site", np.full(site, 1 / 3), "1"),
            "lat": variable("site", np.array([-60, 0, 60]), "degree_north"),
            "lon": variable("site", np.array([0, 120, 240]), "degree_east"),
            "carbon_dioxide_GM": variable("expt", np.array([398, 284]), "1.e-6"),
            "methane_GM": variable("expt", np.array([1800, 800]), "1.e-9"),
            "nitrous_oxide_GM": variable("expt", np.array([327, 273]), "1.e-9"),
            "cfc11eq_GM": variable("expt", np.array([809, 32]), "1.e-12"),
            "expt_label": (["expt"], np.array(["present", "past"], dtype=object)),
        }
    )
    fluxes = {}
    for path, top in ((RLU, None), (RLD, 0.0), (RSU, None), (RSD, incoming)):
        flux = rng.uniform(100, 400, (N_EXPT, *level))
        if top is not None:
            flux[..., 0] = top
        if path in (RSU, RSD):
            flux[:, 2] = 0.0
        pressure = variable("site level", edges, "Pa")
        fluxes[path] = xr.Dataset({"plev": pressure, path[:3]: variable("expt site level", flux, "W m-2")})
    return {CONDITIONS: conditions} | fluxes


def write(files: Files, folder: Path) -> Path:
    for name, dataset in files.items():
        dataset.to_netcdf(folder / name, encoding={variable: {"_FillValue": None} for variable in dataset.variables})
    return folder


def test_columns_are_experiment_major(tmp_path: Path) -> None:
    files = small_rfmip()
    columns = read_rfmip(write(files, tmp_path))
    assert columns.sizes == {"column": N_EXPT * N_SITE, "level": N_LAYER, "interface": N_LAYER + 1}
    assert columns["experiment"].values.tolist() == [0, 0, 0, 1, 1, 1]
    assert columns["experiment_label"].values.tolist() == ["present"] * 3 + ["past"] * 3
    assert columns["site"].values.tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(columns["latitude"], [-60, 0, 60] * 2)
    temperature = files[CONDITIONS]["temp_layer"].values.astype(np.float64)
    np.testing.assert_array_equal(columns["air_temperature"], temperature.reshape(-1, N_LAYER))
    np.testing.assert_array_equal(columns["surface_albedo"][:3], columns["surface_albedo"][3:])


def test_every_variable_of_the_table_is_there_in_its_unit(tmp_path: Path) -> None:
    columns = read_rfmip(write(small_rfmip(), tmp_path))
    for name in (*RADIATION_INPUTS, *RADIATION_OUTPUTS):
        assert columns[name].dtype == np.float64
        assert columns[name].attrs["units"] == VARIABLES[name].unit
        assert np.isfinite(columns[name]).all()


def test_gas_scalings_come_from_the_units_attribute(tmp_path: Path) -> None:
    files = small_rfmip()
    files[CONDITIONS]["methane_GM"] = files[CONDITIONS]["methane_GM"].copy(data=np.array([2.0, 0.5], dtype=np.float32))
    files[CONDITIONS]["methane_GM"].attrs["units"] = "1.e-6"
    columns = read_rfmip(write(files, tmp_path))
    np.testing.assert_allclose(columns["mole_fraction_of_carbon_dioxide_in_air"][[0, 3]], [398e-6, 284e-6], rtol=1e-14)
    np.testing.assert_allclose(columns["mole_fraction_of_methane_in_air"][[0, 3]], [2e-6, 0.5e-6], rtol=1e-14)


def test_water_vapour_is_counted_per_dry_air(tmp_path: Path) -> None:
    files = small_rfmip()
    columns = read_rfmip(write(files, tmp_path))
    mole_fraction = files[CONDITIONS]["water_vapor"].values.astype(np.float64).reshape(-1, N_LAYER)
    specific_humidity = columns["specific_humidity"].values
    mixing_ratio = specific_humidity / (1.0 - specific_humidity)
    np.testing.assert_allclose(mixing_ratio, mole_fraction * 18.016 / 28.966, rtol=1e-6)


def test_night_columns_are_dark(tmp_path: Path) -> None:
    columns = read_rfmip(write(small_rfmip(), tmp_path))
    night = columns["site"].values == 2
    for name in ("cosine_of_solar_zenith_angle", "toa_incoming_shortwave_flux"):
        assert (columns[name].values[night] == 0.0).all()
        assert (columns[name].values[~night] > 0.0).all()
    assert not columns["tendency_of_air_temperature_due_to_shortwave_heating"].values[night].any()


def closure(columns: xr.Dataset) -> dict[str, float]:
    """Largest residual of the column budgets [W m-2]."""
    value = {name: torch.from_numpy(columns[name].values) for name in columns.data_vars}
    largest = {}
    for spectrum in ("longwave", "shortwave"):
        absorbed = (
            value[f"surface_upwelling_{spectrum}_flux_in_air"]
            - value[f"surface_downwelling_{spectrum}_flux_in_air"]
            - value[f"toa_outgoing_{spectrum}_flux"]
        )
        if spectrum == "shortwave":
            absorbed = absorbed + value["toa_incoming_shortwave_flux"]
        heating = value[f"tendency_of_air_temperature_due_to_{spectrum}_heating"]
        residual = energy_residual(heating, value["air_pressure_at_interface"], absorbed)
        largest[spectrum] = float(residual.abs().max())
    return largest


def test_columns_close(tmp_path: Path) -> None:
    residual = closure(read_rfmip(write(small_rfmip(), tmp_path)))
    assert max(residual.values()) <= 1e-10


def test_other_units_of_one_kind_are_converted(tmp_path: Path) -> None:
    files = small_rfmip()
    before = read_rfmip(write(files, tmp_path))
    files[CONDITIONS]["temp_layer"] = files[CONDITIONS]["temp_layer"].astype(np.float64) - 273.15
    files[CONDITIONS]["temp_layer"].attrs["units"] = "degC"
    after = read_rfmip(write(files, tmp_path))
    np.testing.assert_allclose(after["air_temperature"], before["air_temperature"], rtol=1e-14)


def without(path: str, name: str) -> Callable[[Files], None]:
    def edit(files: Files) -> None:
        files[path] = files[path].drop_vars(name)

    return edit


def with_unit(path: str, name: str, unit: str) -> Callable[[Files], None]:
    def edit(files: Files) -> None:
        files[path][name].attrs["units"] = unit

    return edit


def with_value(path: str, name: str, index: tuple[int, ...], value: float) -> Callable[[Files], None]:
    def edit(files: Files) -> None:
        files[path][name].values[index] = value

    return edit


def with_declared_fill(path: str, name: str, index: tuple[int, ...], value: float) -> Callable[[Files], None]:
    def edit(files: Files) -> None:
        files[path][name].values[index] = value
        files[path][name].attrs["missing_value"] = np.float32(value)

    return edit


def without_last(path: str, dimension: str) -> Callable[[Files], None]:
    def edit(files: Files) -> None:
        files[path] = files[path].isel({dimension: slice(0, -1)})

    return edit


def reversed_levels(files: Files) -> None:
    files[CONDITIONS] = files[CONDITIONS].isel(level=slice(None, None, -1), layer=slice(None, None, -1))


def other_pressure(files: Files) -> None:
    files[RSU]["plev"] = (files[RSU]["plev"] * 1.001).assign_attrs(units="Pa")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (without(CONDITIONS, "water_vapor"), ["'water_vapor'", CONDITIONS, "expected in the file"]),
        (without(CONDITIONS, "expt_label"), ["'expt_label'", CONDITIONS, "expected text"]),
        (without(RSD, "rsd"), ["'rsd'", RSD, "expected in the file"]),
        (with_unit(CONDITIONS, "temp_layer", "Pa"), ["'temp_layer'", "converts to 'K'", "got 'Pa'"]),
        (with_unit(CONDITIONS, "ozone", "kg kg-1"), ["'ozone'", "converts to '1'", "got 'kg kg-1'"]),
        (with_unit(CONDITIONS, "carbon_dioxide_GM", "lots"), ["'carbon_dioxide_GM'", "got 'lots'"]),
        (with_value(CONDITIONS, "temp_layer", (1, 0, 2), np.nan), ["'temp_layer'", CONDITIONS, "index (1, 0, 2)"]),
        (with_value(CONDITIONS, "ozone", (0, 1, 3), 1e20), ["'ozone'", "got 1e+20", "index (0, 1, 3)"]),
        (with_declared_fill(RLU, "rlu", (0, 2, 1), -1000.0), ["'rlu'", RLU, "a fill value or NaN at index (0, 2, 1)"]),
        (with_value(RSU, "rsu", (1, 1, 0), 1e20), ["'rsu'", RSU, "index (1, 1, 0)"]),
        (without_last(CONDITIONS, "level"), ["expected 5 levels", "4 layers", "got 4"]),
        (without_last(RLD, "level"), ["'plev'", RLD, "level 5", "got (site 3, level 4)"]),
        (without_last(RLD, "expt"), ["'rld'", "expt 2", "got (expt 1"]),
        (reversed_levels, ["'pres_level'", "increases from level 0 at the top", "got 100000 Pa first"]),
        (other_pressure, ["'plev'", RSU, "pressure of the conditions"]),
        (with_value(RSD, "rsd", (0, 2, 1), 1.0), ["'rsd'", "expected 0 W m-2 at night", "got 1"]),
        (with_value(RSU, "rsu", (1, 2, 4), 2.0), ["'rsu'", "expected 0 W m-2 at night", "got 2"]),
        (with_value(CONDITIONS, "total_solar_irradiance", (0,), 1300.0), ["'rsd'", "cos(solar_zenith_angle)"]),
        (with_value(RLD, "rld", (1, 1, 0), 3.0), ["'rld'", "expected 0 W m-2 at the top", "got 3"]),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, edit: Callable[[Files], None], words: list[str]) -> None:
    files = small_rfmip()
    edit(files)
    write(files, tmp_path)
    with pytest.raises(EmagramError) as caught:
        read_rfmip(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    write(small_rfmip(), tmp_path)
    (tmp_path / RSU).unlink()
    with pytest.raises(EmagramError, match=r"expected one file 'rsu_Efx_.*', got 0"):
        read_rfmip(tmp_path)


@pytest.mark.parametrize("name", [CONDITIONS, RSD])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_truncated_file_is_one_sentence(tmp_path: Path, name: str, keep: float) -> None:
    write(small_rfmip(), tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(keep * len(content))])
    with pytest.raises(EmagramError, match=f"file '.*{name}': expected a complete NetCDF file"):
        read_rfmip(tmp_path)


@pytest.fixture(scope="module")
def columns(real_data: Path) -> xr.Dataset:
    return read_rfmip(real_data / "rfmip")


@pytest.mark.real_data
def test_real_columns_are_complete(columns: xr.Dataset) -> None:
    assert columns.sizes == {"column": 1500, "level": 60, "interface": 61}
    assert len(np.unique(columns["experiment_label"])) == 15
    for name in (*RADIATION_INPUTS, *RADIATION_OUTPUTS):
        assert np.isfinite(columns[name]).all()
    np.testing.assert_allclose(columns["air_pressure_at_interface"][:, 0], 0.01, rtol=1e-6)
    assert "non-commercial" in columns.attrs["licence"]


@pytest.mark.real_data
def test_real_columns_close(columns: xr.Dataset) -> None:
    residual = closure(columns)
    print(f"RFMIP: largest residual of heating against net flux {residual} W m-2")
    assert max(residual.values()) <= 1e-10


@pytest.mark.real_data
def test_real_nights_are_dark(columns: xr.Dataset) -> None:
    night = columns["cosine_of_solar_zenith_angle"].values == 0.0
    assert night.sum() == 15 * 49
    for name in RADIATION_OUTPUTS:
        if "shortwave" in name:
            assert not columns[name].values[night].any()
    assert (columns["toa_incoming_shortwave_flux"].values[~night] > 0.0).all()


@pytest.mark.real_data
def test_real_gases_and_humidity_have_known_sizes(columns: xr.Dataset) -> None:
    today = columns.isel(column=columns["experiment_label"].values == "Present day (PD)")
    gases = {"carbon_dioxide": 3.975e-4, "methane": 1.831e-6, "nitrous_oxide": 3.27e-7, "cfc11eq": 8.09e-10}
    for gas, amount in gases.items():
        np.testing.assert_allclose(today[f"mole_fraction_of_{gas}_in_air"], amount, rtol=1e-3)
    assert 0.015 < float(today["specific_humidity"].max()) < 0.026
    thickness = np.diff(today["air_pressure_at_interface"].values, axis=1)
    water = (today["specific_humidity"].values * thickness).sum(axis=1) / 9.80616
    mean = np.average(water, weights=today["profile_weight"].values)
    assert 20.0 < mean < 30.0  # global-mean precipitable water is about 25 kg m-2


@pytest.mark.real_data
def test_real_global_mean_outgoing_longwave_is_that_of_clear_skies(columns: xr.Dataset) -> None:
    def mean(label: str) -> float:
        climate = columns.isel(column=columns["experiment_label"].values == label)
        return float(climate["toa_outgoing_longwave_flux"].weighted(climate["profile_weight"]).mean())

    assert 255.0 < mean("Present day (PD)") < 275.0
    assert mean("4xCO2") < mean("0.5xCO2") - 5.0
    assert mean("+4K") > mean("Present day (PD)") + 10.0


@pytest.mark.real_data
def test_real_troposphere_cools_in_the_longwave_and_warms_in_the_shortwave(columns: xr.Dataset) -> None:
    pressure = columns["air_pressure"].values
    troposphere = (pressure > 3e4) & (pressure < 9e4)
    longwave = columns["tendency_of_air_temperature_due_to_longwave_heating"].values * 86400.0
    shortwave = columns["tendency_of_air_temperature_due_to_shortwave_heating"].values * 86400.0
    assert -2.5 < longwave[troposphere].mean() < -1.0
    assert shortwave.min() >= -1e-3
    day = columns["cosine_of_solar_zenith_angle"].values > 0.0
    assert 0.5 < shortwave[day][troposphere[day]].mean() < 2.0
