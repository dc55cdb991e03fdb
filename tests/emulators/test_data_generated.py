"""Generated columns: plausible, deterministic, closed, and with a truth that obeys radiative transfer."""

import numpy as np
import pytest
import torch
import xarray as xr

from emagram.emulators.data.columns import RADIATION_INPUTS, RADIATION_OUTPUTS
from emagram.emulators.data.generated import CLIMATES, generate_columns
from emagram.emulators.data.grey_radiation import EMISSIVITY, longwave_fluxes, shortwave_fluxes
from emagram.physics.budgets import energy_residual
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.thermodynamics import relative_humidity
from emagram.physics.variables import VARIABLES

SIGMA = Constants().stefan_boltzmann
HEATING = "tendency_of_air_temperature_due_to_{}_heating"


@pytest.fixture(scope="module")
def columns() -> xr.Dataset:
    return generate_columns(100)


def in_climate(columns: xr.Dataset, label: str) -> xr.Dataset:
    return columns.isel(column=columns["experiment_label"].values == label)


def test_form_is_that_of_real_columns(columns: xr.Dataset) -> None:
    assert columns.sizes == {"column": 100 * len(CLIMATES), "level": 60, "interface": 61}
    assert columns.attrs["truth"] == "generated: grey radiation, not observations"
    assert columns["experiment_label"].values[::100].tolist() == list(CLIMATES)
    for name in (*RADIATION_INPUTS, *RADIATION_OUTPUTS):
        smallest, largest = VARIABLES[name].valid_range
        assert columns[name].attrs["units"] == VARIABLES[name].unit
        assert columns[name].dtype == np.float64
        assert ((columns[name] >= smallest) & (columns[name] <= largest)).all()
    assert (np.diff(columns["air_pressure_at_interface"].values, axis=1) > 0.0).all()


def test_a_seed_decides_everything(columns: xr.Dataset) -> None:
    xr.testing.assert_identical(columns, generate_columns(100))
    other = generate_columns(100, seed=1)
    assert (other["latitude"].values != columns["latitude"].values).all()


def test_draws_are_the_recorded_ones() -> None:
    """Recorded once from seed 0; a change of generator or of the order of draws must be noticed."""
    site = generate_columns(2, n_level=4, experiments=["+4K"])
    np.testing.assert_allclose(site["latitude"], [-21.28690687716859, 15.65157547603853], rtol=1e-12)
    np.testing.assert_allclose(site["surface_temperature"], [294.082905002229, 299.28113568507337], rtol=1e-12)


def test_places_do_not_depend_on_levels_or_climates(columns: xr.Dataset) -> None:
    coarse = generate_columns(100, n_level=7, experiments=["4xCO2"])
    assert coarse.sizes["level"] == 7
    for name in ("surface_temperature", "surface_albedo", "toa_incoming_shortwave_flux"):
        np.testing.assert_array_equal(coarse[name], in_climate(columns, "4xCO2")[name])


@pytest.mark.parametrize("spectrum", ["longwave", "shortwave"])
def test_columns_close(columns: xr.Dataset, spectrum: str) -> None:
    value = {name: torch.from_numpy(columns[name].values) for name in columns.data_vars}
    absorbed = (
        value[f"surface_upwelling_{spectrum}_flux_in_air"]
        - value[f"surface_downwelling_{spectrum}_flux_in_air"]
        - value[f"toa_outgoing_{spectrum}_flux"]
    )
    if spectrum == "shortwave":
        absorbed = absorbed + value["toa_incoming_shortwave_flux"]
    residual = energy_residual(value[HEATING.format(spectrum)], value["air_pressure_at_interface"], absorbed)
    assert float(residual.abs().max()) <= 1e-10


def test_nights_are_dark_and_half_of_all(columns: xr.Dataset) -> None:
    night = columns["cosine_of_solar_zenith_angle"].values == 0.0
    assert 0.35 < night.mean() < 0.65
    for name in (*RADIATION_INPUTS, *RADIATION_OUTPUTS):
        if "shortwave" in name:
            assert not columns[name].values[night].any()
            if "flux" in name:
                assert (columns[name].values[~night] > 0.0).all()


def test_outgoing_longwave_is_that_of_clear_skies(columns: xr.Dataset) -> None:
    outgoing = columns["toa_outgoing_longwave_flux"]
    assert float(outgoing.min()) > 120.0
    assert float(outgoing.max()) < 330.0
    today = in_climate(columns, "Present day (PD)")["toa_outgoing_longwave_flux"]
    assert 245.0 < float(today.mean()) < 270.0
    assert float(today.std()) > 20.0


def test_climates_force_in_the_right_direction(columns: xr.Dataset) -> None:
    mean = {name: float(in_climate(columns, name)["toa_outgoing_longwave_flux"].mean()) for name in CLIMATES}
    assert 2.0 < mean["0.5xCO2"] - mean["2xCO2"] < 10.0  # real: 5.6 for the two doublings
    assert mean["Pre-industrial (PI) greenhouse gas concentrations"] > mean["Present day (PD)"]
    assert mean["+4K"] > mean["+4K, const. RH"] > mean["Present day (PD)"] + 5.0


def test_heating_has_the_observed_size(columns: xr.Dataset) -> None:
    pressure = columns["air_pressure"].values
    troposphere = (pressure > 3e4) & (pressure < 9e4)
    longwave = columns[HEATING.format("longwave")].values * 86400.0
    shortwave = columns[HEATING.format("shortwave")].values * 86400.0
    assert -3.0 < longwave[troposphere].mean() < -1.0
    assert 0.2 < shortwave[troposphere].mean() < 1.5
    assert shortwave[(pressure > 100.0) & (pressure < 1000.0)].mean() > 2.0  # ozone


def test_air_is_not_supersaturated(columns: xr.Dataset) -> None:
    humidity = relative_humidity(
        *(torch.from_numpy(columns[name].values) for name in ("air_pressure", "air_temperature", "specific_humidity"))
    ).numpy()
    troposphere = columns["air_pressure"].values > 3e4
    today = columns["experiment_label"].values == "Present day (PD)"
    constant = columns["experiment_label"].values == "+4K, const. RH"
    assert humidity[troposphere].max() <= 1.0 + 1e-2
    np.testing.assert_allclose(humidity[constant][troposphere[today]], humidity[today][troposphere[today]], rtol=0.02)


def isothermal(columns: xr.Dataset, temperature: float) -> xr.Dataset:
    return columns.assign(
        air_temperature=xr.full_like(columns["air_temperature"], temperature),
        surface_temperature=xr.full_like(columns["surface_temperature"], temperature),
    )


def test_opaque_isothermal_air_is_a_black_body(columns: xr.Dataset) -> None:
    """The surface, too, then emits and reflects σT⁴ in all."""
    wet = isothermal(columns, 280.0).assign(specific_humidity=xr.full_like(columns["specific_humidity"], 0.09))
    upward, downward = longwave_fluxes(wet)
    np.testing.assert_allclose(downward[:, -1], SIGMA * 280.0**4, rtol=1e-6)
    np.testing.assert_allclose(upward, SIGMA * 280.0**4, rtol=1e-6)


def test_surface_emits_and_reflects(columns: xr.Dataset) -> None:
    emitted = EMISSIVITY * SIGMA * columns["surface_temperature"].values ** 4
    reflected = (1.0 - EMISSIVITY) * columns["surface_downwelling_longwave_flux_in_air"].values
    np.testing.assert_allclose(columns["surface_upwelling_longwave_flux_in_air"], emitted + reflected, rtol=1e-12)


def test_transparent_air_leaves_fluxes_alone(columns: xr.Dataset) -> None:
    gases = [name for name in RADIATION_INPUTS if name.startswith("mole_fraction") or name == "specific_humidity"]
    empty = columns.assign({name: xr.zeros_like(columns[name]) for name in gases})
    upward, downward = longwave_fluxes(empty)
    surface = EMISSIVITY * SIGMA * columns["surface_temperature"].values[:, None] ** 4
    np.testing.assert_allclose(upward, np.broadcast_to(surface, upward.shape), rtol=1e-12)
    assert not downward.any()
    upward, downward = shortwave_fluxes(empty)
    incoming = columns["toa_incoming_shortwave_flux"].values[:, None]
    np.testing.assert_allclose(downward, np.broadcast_to(incoming, downward.shape), rtol=1e-12)
    np.testing.assert_allclose(upward, columns["surface_albedo"].values[:, None] * downward, rtol=1e-12)


def test_a_column_does_not_know_its_neighbours(columns: xr.Dataset) -> None:
    whole = longwave_fluxes(columns)[0]
    np.testing.assert_array_equal(longwave_fluxes(columns.isel(column=slice(7, 19)))[0], whole[7:19])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_site": 0}, "at least 1 site, 2 levels and 1 experiment, got 0"),
        ({"n_site": 3, "n_level": 1}, "got 3, 1 and 8"),
        ({"n_site": 3, "experiments": ()}, "got 3, 60 and 0"),
        ({"n_site": 3, "experiments": ["5xCO2"]}, "got '5xCO2'"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(EmagramError, match=message):
        generate_columns(**arguments)  # type: ignore[arg-type]
