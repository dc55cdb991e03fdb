"""ClimSim's own normalisation: from files like its own in the small, and from its own where they are."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch

from emagram.emulators.climsim import CLOUD_INPUTS, climsim_spec, pack_inputs, read_cloud_exponents
from emagram.emulators.climsim_constraints import constrained
from emagram.emulators.climsim_normalisation import read_climsim_normalisation
from emagram.emulators.data.climsim_grid import built_in_grid
from emagram.emulators.data.climsim_sets import VARIABLE_SETS, is_profile, variable_set
from emagram.emulators.data.climsim_synthetic import generate_climsim
from emagram.emulators.emulator import ColumnEmulator
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.statistics import Normalisation
from emagram.emulators.training.samples import Samples
from emagram.physics.errors import EmagramError
from toy_columns import samples_of, toy_samples

N_LEVEL = 12
PUBLISHED = ("v1", "v2", "v2_rh_mc", "v4", "v5", "v6", "v7")
V1_FILES = ("input_mean.nc", "input_max.nc", "input_min.nc")


def write(path: Path, values: dict[str, np.ndarray]) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("lev", N_LEVEL)
        for name, value in values.items():
            file.createVariable(name, "f8", ("lev",) if value.ndim else ())[...] = value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of v1 and v2 with a number of its own for every value; methane is constant below the top."""
    random = np.random.default_rng(0)
    names = variable_set("v2").inputs
    size = {name: (N_LEVEL,) if is_profile(name) else () for name in (*names, *variable_set("v2").outputs)}
    mean = {name: np.asarray(random.random(size[name])) for name in names}
    largest = {name: np.asarray(mean[name] + 1.0 + random.random(size[name])) for name in names}
    smallest = {name: np.asarray(mean[name] - 1.0 - random.random(size[name])) for name in names}
    mean["pbuf_CH4"][1:] = largest["pbuf_CH4"][1:] = smallest["pbuf_CH4"][1:] = 1e-6
    mean["cam_in_SNOWHICE"], largest["cam_in_SNOWHICE"] = np.array(8.9e29), np.array(1e30)
    for name, values in zip(V1_FILES, (mean, largest, smallest), strict=True):
        write(tmp_path / name, values)
    scale = {name: np.asarray(1e6 * (1.0 + random.random(size[name]))) for name in variable_set("v2").outputs}
    write(tmp_path / "output_scale.nc", scale)
    return tmp_path


def read(path: Path, name: str) -> np.ndarray:
    with netCDF4.Dataset(path) as file:
        return np.ma.filled(file[name][...], np.nan).reshape(-1)


@pytest.mark.parametrize("set_name", ["v1", "v2"])
def test_every_value_is_normalised_by_its_own_numbers(folder: Path, set_name: str) -> None:
    found, variables = read_climsim_normalisation(folder, set_name), variable_set(set_name)
    assert found.spec == climsim_spec(set_name, n_level=N_LEVEL)
    for name, at in variables.input_slices(N_LEVEL).items():
        if name in ("pbuf_CH4", "cam_in_SNOWHICE"):
            continue
        mean, largest, smallest = (read(folder / file, name) for file in V1_FILES)
        np.testing.assert_array_equal(found.feature_mean[at], mean)
        np.testing.assert_array_equal(found.feature_scale[at], largest - smallest)
    for name, at in variables.output_slices(N_LEVEL).items():
        np.testing.assert_array_equal(found.output_scale[at], 1.0 / read(folder / "output_scale.nc", name))
    assert not found.output_mean.any()
    assert found.n_column == 0


def test_what_has_no_range_is_zero_and_snow_is_as_it_is(folder: Path) -> None:
    found, slices = read_climsim_normalisation(folder, "v2"), variable_set("v2").input_slices(N_LEVEL)
    methane = found.feature_scale[slices["pbuf_CH4"]]
    assert torch.isfinite(methane).tolist() == [True] + [False] * (N_LEVEL - 1)
    emulator = ColumnEmulator(found.spec, DenseConfig((2,)).build(found.spec.layout)).double()
    found.apply(emulator)
    inputs = toy_samples(found.spec, 3).inputs
    encoded = emulator.encode(inputs)
    assert bool(encoded.isfinite().all())
    assert not encoded[:, slices["pbuf_CH4"]][:, 1:].any()
    snow = encoded[:, slices["cam_in_SNOWHICE"]][:, 0]
    torch.testing.assert_close(snow, inputs["snow_thickness_over_sea_ice"], rtol=0.0, atol=0.0)
    assert float(snow.max()) < 1.0


def test_a_range_of_nothing_is_zero_and_of_float32(folder: Path) -> None:
    widths = np.linspace(1.0, 2.0, N_LEVEL) * 1e-4
    widths[:4] = 0.0, 1e-45, 1e-17, 1e-14  # of 2e-4: nothing, next to nothing, and twice something
    zero = {"state_q0002": np.zeros(N_LEVEL)}
    for file, values in zip(V1_FILES, (zero, {"state_q0002": widths}, zero), strict=True):
        with netCDF4.Dataset(folder / file, "a") as opened:
            opened["state_q0002"][...] = values["state_q0002"]
    found = read_climsim_normalisation(folder, "v2")
    scale = found.feature_scale[variable_set("v2").input_slices(N_LEVEL)["state_q0002"]]
    assert scale.isinf().tolist() == [True, True, True] + [False] * (N_LEVEL - 3)
    np.testing.assert_array_equal(scale[3:], widths[3:])
    assert bool((3e-6 / scale).float().isfinite().all())


def test_training_ranges_are_those_of_the_files(folder: Path) -> None:
    found = read_climsim_normalisation(folder, "v2")
    places = dict(found.spec.input_slices())
    for name, alias in (("air_temperature", "state_t"), ("surface_air_pressure", "state_ps")):
        np.testing.assert_array_equal(found.input_minimum[places[name]], read(folder / "input_min.nc", alias))
        np.testing.assert_array_equal(found.input_maximum[places[name]], read(folder / "input_max.nc", alias))
    snow = places["snow_thickness_over_sea_ice"]
    assert (float(found.input_minimum[snow]), float(found.input_maximum[snow])) == (-np.inf, np.inf)


def test_an_input_of_constraints_alone_has_no_range(folder: Path) -> None:
    spec = constrained(climsim_spec("v2", n_level=N_LEVEL), ("positivity",))
    found, plain = read_climsim_normalisation(folder, "v2", spec=spec), read_climsim_normalisation(folder, "v2")
    at = dict(found.spec.input_slices())["air_pressure_at_interface"]
    assert found.input_minimum[at].tolist() == [-np.inf] * (N_LEVEL + 1)
    assert torch.equal(found.input_minimum[: at.start], plain.input_minimum)
    assert torch.equal(found.feature_mean, plain.feature_mean)


def test_a_cloud_exponential_is_not_normalised_again(folder: Path) -> None:
    spec = climsim_spec("v2", n_level=N_LEVEL, cloud_exponents={"state_q0002": (1e5,) * N_LEVEL})
    found = read_climsim_normalisation(folder, "v2", spec=spec)
    liquid, ice = (variable_set("v2").input_slices(N_LEVEL)[name] for name in ("state_q0002", "state_q0003"))
    assert found.feature_mean[liquid].tolist() == [0.0] * N_LEVEL
    assert found.feature_scale[liquid].tolist() == [1.0] * N_LEVEL
    assert not (found.feature_scale[ice] == 1.0).any()


def test_bad_folders_and_specs_are_refused(folder: Path) -> None:
    with pytest.raises(EmagramError, match=r"normalisation of 'v2_rh': expected a set that ClimSim publishes one for"):
        read_climsim_normalisation(folder, "v2_rh")
    with pytest.raises(EmagramError, match="variable set: expected one of"):
        read_climsim_normalisation(folder, "v3")
    with pytest.raises(EmagramError, match=r"input_mean_v5_pervar.nc': expected a NetCDF file"):
        read_climsim_normalisation(folder, "v5")
    with pytest.raises(EmagramError, match="expected an emulator of 12 levels, as its files have, got 60"):
        read_climsim_normalisation(folder, "v1", spec=climsim_spec("v1"))
    invariant = climsim_spec("v1", n_level=N_LEVEL, inputs="climate_invariant")
    with pytest.raises(
        EmagramError, match=r"'v1': expected 'state_t' as ClimSim has it.*got transform 'plume_buoyancy'"
    ):
        read_climsim_normalisation(folder, "v1", spec=invariant)
    with pytest.raises(EmagramError, match="'v1': expected an emulator of that set"):
        read_climsim_normalisation(folder, "v1", spec=climsim_spec("v2", n_level=N_LEVEL))
    write(folder / "input_mean_v5_pervar.nc", {})
    with pytest.raises(EmagramError, match=r"'v5': expected 'state_qn' as 1 − e\^\(−λ q\).*got transform 'sum'"):
        read_climsim_normalisation(folder, "v5", spec=climsim_spec("v5", n_level=N_LEVEL))
    with pytest.raises(EmagramError, match=r"qn_exp_lambda_large.txt': expected one positive number a level"):
        read_climsim_normalisation(folder, "v5")
    write(folder / "output_scale.nc", {"ptend_t": np.ones(N_LEVEL)})
    with pytest.raises(EmagramError, match=r"output_scale.nc': expected variable 'ptend_q0001'"):
        read_climsim_normalisation(folder, "v1")
    write(folder / "output_scale.nc", {name: np.zeros(()) for name in variable_set("v1").outputs})
    with pytest.raises(EmagramError, match=r"output_scale.nc': expected 12 finite values of 'ptend_t', got 1"):
        read_climsim_normalisation(folder, "v1")


@pytest.fixture(scope="module")
def real(real_data: Path) -> dict[str, Normalisation]:
    return {name: read_climsim_normalisation(real_data / "climsim/normalization", name) for name in PUBLISHED}


@pytest.mark.real_data
@pytest.mark.parametrize("set_name", PUBLISHED)
def test_climsims_files_are_read_for_every_set_that_has_any(real: dict[str, Normalisation], set_name: str) -> None:
    found = real[set_name]
    assert found.spec.n_level == 60
    assert found.feature_mean.numel() == variable_set(set_name).n_input(60)
    assert found.output_scale.numel() == variable_set(set_name).n_output(60)
    # constant methane and nitrous oxide below the stratosphere
    # and cloud liquid in the 24 levels where its range is 1e-12 of its largest or less, which only v2 has as it is
    expected = {"v1": 0, "v2": 66 + 24}.get(set_name, 66)
    assert int(found.feature_scale.isinf().sum()) == expected


@pytest.mark.real_data
def test_no_humid_air_overflows_a_network(real: dict[str, Normalisation]) -> None:
    """Ranges of 1e-45 at the top: a feature of float32 stays finite for any cloud."""
    found = real["v2"]
    for name in ("state_q0002", "state_q0003"):
        at = variable_set("v2").input_slices(60)[name]
        cloud = torch.full((60,), 3e-6, dtype=torch.float64)
        feature = ((cloud - found.feature_mean[at]) / found.feature_scale[at]).float()
        assert bool(feature.isfinite().all())
        assert bool((feature[:5] == 0.0).all()) == (name == "state_q0002")


@pytest.mark.real_data
def test_climsims_scales_are_the_published_ones(real: dict[str, Normalisation]) -> None:
    slices = variable_set("v2").output_slices(60)
    published = {"ptend_t": 1004.64, "ptend_q0001": 2834700.0, "ptend_q0002": 5669400.0, "ptend_u": 250.0}
    published |= {"cam_out_NETSW": 0.0024, "cam_out_PRECC": 1313280.0, "cam_out_SOLLD": 0.0095}
    for name, scale in published.items():
        np.testing.assert_allclose(real["v2"].output_scale[slices[name]], 1.0 / scale, rtol=1e-12)
    capped = real["v5"].output_scale[variable_set("v5").output_slices(60)["ptend_q0001"]]
    assert float(capped.min()) == pytest.approx(3e-10, rel=1e-6)


@pytest.mark.real_data
def test_sets_that_share_variables_share_their_numbers(real: dict[str, Normalisation]) -> None:
    """By name: the places differ, and a set read in another's order would be caught here.

    Not so the least spread of the effects of previous physics, which is 3e-10 kg/kg/s in v4 and 1e-12 in later sets.
    """
    for one, other in (("v4", "v5"), ("v5", "v6"), ("v6", "v7"), ("v2_rh_mc", "v7")):
        places, others = (variable_set(name).input_slices(60) for name in (one, other))
        shared = {name for name in places.keys() & others.keys() if not name.endswith("_prvphy")}
        assert len(shared) > 20
        for name in shared:
            for part in ("feature_mean", "feature_scale"):
                expected, found = getattr(real[one], part)[places[name]], getattr(real[other], part)[others[name]]
                torch.testing.assert_close(found, expected, rtol=1e-6, atol=0.0)


@pytest.mark.real_data
def test_climsims_means_lie_in_its_ranges(real: dict[str, Normalisation]) -> None:
    found = real["v2"]
    places = dict(found.spec.input_slices())
    at = variable_set("v2").input_slices(60)
    for name, alias in (("air_temperature", "state_t"), ("eastward_wind", "state_u")):
        mean = found.feature_mean[at[alias]]
        assert bool((mean > found.input_minimum[places[name]]).all())
        assert bool((mean < found.input_maximum[places[name]]).all())


@pytest.mark.real_data
@pytest.mark.parametrize("set_name", [name for name in VARIABLE_SETS if name in PUBLISHED])
def test_columns_drawn_from_climsim_fit_its_normalisation(
    real: dict[str, Normalisation], real_data: Path, set_name: str
) -> None:
    found, grid = real[set_name], built_in_grid(96)
    steps = tuple(generate_climsim(real_data / "climsim/column_statistics.nc", grid, 3, seed=4))
    samples = samples_of(found.spec, grid, steps, 2)
    found.check_range(samples)
    state = slice(0, 60)
    normalised = (pack_inputs(found.spec, samples.inputs) - found.feature_mean) / found.feature_scale
    assert float(normalised[:, state].abs().max()) < 1.0
    celsius = samples.inputs | {"air_temperature": samples.inputs["air_temperature"] - 273.15}
    with pytest.raises(EmagramError, match="input 'air_temperature': expected values like those of ClimSim's files"):
        found.check_range(Samples(celsius, samples.targets))


@pytest.mark.real_data
@pytest.mark.parametrize("set_name", ["v2_rh_mc", "v4", "v5", "v6", "v7"])
def test_cloud_exponentials_spread_between_zero_and_one(
    real: dict[str, Normalisation], real_data: Path, set_name: str
) -> None:
    """As a network sees them: raw mixing ratios, which the files' mean 0 and range 1 would leave at 1e-5, do not."""
    folder, found, grid = real_data / "climsim/normalization", real[set_name], built_in_grid(96)
    assert found.spec == climsim_spec(set_name, cloud_exponents=read_cloud_exponents(folder, set_name))
    steps = tuple(generate_climsim(real_data / "climsim/column_statistics.nc", grid, 3, seed=4))
    rows = pack_inputs(found.spec, samples_of(found.spec, grid, steps, 2).inputs)
    clouds = {n: at for n, at in variable_set(set_name).input_slices(60).items() if n in CLOUD_INPUTS}
    assert clouds
    for at in clouds.values():
        assert bool((found.feature_scale[at] == 1.0).all())
        assert not found.feature_mean[at].any()
        cloud = (rows[:, at] - found.feature_mean[at]) / found.feature_scale[at]
        assert float(cloud.min()) > -0.01
        assert float(cloud.max()) <= 1.0
        assert 0.1 < float(cloud.std(dim=0).max()) < 1.0


@pytest.mark.real_data
@pytest.mark.parametrize("set_name", ["v2_rh_mc", "v4", "v5", "v6", "v7"])
def test_clouds_without_the_exponents_of_their_set_are_refused(real_data: Path, set_name: str) -> None:
    folder = real_data / "climsim/normalization"
    with pytest.raises(
        EmagramError, match=r"expected 'state_q(n|0002)' as 1 − e\^\(−λ q\).*got transform '(sum|identity)'"
    ):
        read_climsim_normalisation(folder, set_name, spec=climsim_spec(set_name))
