"""The toy's physics closes its budgets and is what its files hold; drawn columns have ClimSim's statistics."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emagram.emulators.data.climsim_grid import built_in_grid
from emagram.emulators.data.climsim_synthetic import RawStep, generate_climsim
from emagram.emulators.data.climsim_toy import NO_ICE_SNOW, STATE, toy_climsim, toy_physics
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.variables import find
from toy_columns import TIME_STEP, toy_grid, toy_steps

Array = NDArray[np.float64]
E3SM = Constants()


def check_plausible(step: RawStep, n_column: int, n_level: int) -> None:
    for name, value in (step["mli"] | step["mlo"]).items():
        variable = find(name, "climsim")
        assert value.dtype == np.float64
        assert value.shape == ((n_column,) if variable.dimension == "column" else (n_column, n_level)), name
        kept = value[value != NO_ICE_SNOW]
        assert kept.min() >= variable.valid_range[0], name
        assert kept.max() <= variable.valid_range[1], name


def integral(rate: Array, step: RawStep) -> Array:
    mass = toy_grid().coordinate.layer_thickness(torch.from_numpy(step["mli"]["state_ps"])).numpy() / E3SM.gravity
    return np.asarray((rate * mass).sum(axis=1))


def test_toy_columns_are_plausible() -> None:
    for step in toy_steps():
        check_plausible(step, 54, 12)
        assert min(step[kind][f"state_q000{i}"].min() for kind in ("mli", "mlo") for i in (1, 2, 3)) >= 0.0


def test_toy_states_after_are_those_before_plus_its_physics() -> None:
    for step in toy_steps()[::3]:
        physics = toy_physics(step["mli"], toy_grid(), time_step=TIME_STEP)
        for name in STATE:
            expected = step["mli"][name] + TIME_STEP * physics[name.replace("state", "ptend")]
            np.testing.assert_array_equal(step["mlo"][name], expected)
            assert not np.array_equal(step["mlo"][name], step["mli"][name])
        for name in (name for name in physics if name.startswith("cam_out_")):
            np.testing.assert_array_equal(step["mlo"][name], physics[name])


def test_toy_closes_water() -> None:
    for step in toy_steps():
        physics = toy_physics(step["mli"], toy_grid(), time_step=TIME_STEP)
        change = integral(sum(physics[f"ptend_q000{i}"] for i in (1, 2, 3)), step)  # type: ignore[arg-type]
        rain = E3SM.density_liquid_water * physics["cam_out_PRECC"]
        np.testing.assert_allclose(change, -rain, rtol=0.0, atol=1e-17)
    assert rain.max() > 1e-6
    assert (physics["cam_out_PRECSC"] <= physics["cam_out_PRECC"]).all()


def test_toy_closes_energy_with_its_radiation() -> None:
    vaporization, fusion = E3SM.latent_heat_vaporization, E3SM.latent_heat_fusion
    for step in toy_steps():
        physics, mli, mlo = toy_physics(step["mli"], toy_grid(), time_step=TIME_STEP), step["mli"], step["mlo"]
        kinetic = sum(0.5 * (mlo[w] ** 2 - mli[w] ** 2) / TIME_STEP for w in ("state_u", "state_v"))
        energy = E3SM.heat_capacity_dry_air * physics["ptend_t"] + kinetic
        energy += (vaporization + fusion) * physics["ptend_q0001"] + fusion * physics["ptend_q0002"]
        rain = E3SM.density_liquid_water * (physics["cam_out_PRECC"] - physics["cam_out_PRECSC"])
        top = mlo["cam_out_FSNT"] - mlo["cam_out_FLUT"]
        surface = mlo["cam_out_NETSW"] + mlo["cam_out_FLWDS"] - mli["cam_in_LWUP"]
        np.testing.assert_allclose(integral(energy, step), -fusion * rain + top - surface, rtol=0.0, atol=1e-9)
        assert np.abs(top - surface).max() > 10.0


def test_toy_sunlight_at_the_surface_closes() -> None:
    albedo = {"SOLS": "ASDIR", "SOLL": "ALDIR", "SOLSD": "ASDIF", "SOLLD": "ALDIF"}
    for step in toy_steps():
        mli, mlo = step["mli"], step["mlo"]
        net = sum(mlo[f"cam_out_{s}"] * (1.0 - mli[f"cam_in_{a}"]) for s, a in albedo.items())
        np.testing.assert_allclose(mlo["cam_out_NETSW"], net, rtol=1e-13)
        assert (mlo["cam_out_FSNT"] <= mli["pbuf_SOLIN"]).all()
        dark = mli["pbuf_COSZRS"] == 0.0
        assert dark.any()
        assert (mlo["cam_out_NETSW"][dark] == 0.0).all()


def test_toy_weather_depends_on_the_seed_alone() -> None:
    def temperature(seed: int) -> Array:
        return list(toy_climsim(toy_grid(), 2, seed))[1]["mli"]["state_t"]

    np.testing.assert_array_equal(temperature(3), temperature(3))
    assert not np.array_equal(temperature(3), temperature(4))


def test_toy_steps_do_not_share_memory() -> None:
    first, second = toy_climsim(toy_grid(), 2, seed=0)
    kept = second["mli"]["state_ps"].copy()
    first["mli"]["state_ps"][:] = np.nan
    np.testing.assert_array_equal(second["mli"]["state_ps"], kept)


@pytest.fixture(scope="module")
def statistics(real_data: Path) -> Path:
    return real_data / "climsim/column_statistics.nc"


@pytest.fixture(scope="module")
def drawn(statistics: Path) -> RawStep:
    return next(iter(generate_climsim(statistics, built_in_grid(5000), 1, seed=1)))


@pytest.mark.real_data
def test_drawn_columns_are_plausible(drawn: RawStep) -> None:
    check_plausible(drawn, 5000, 60)
    mli, mlo = drawn["mli"], drawn["mlo"]
    assert min(part[f"state_q000{i}"].min() for part in (mli, mlo) for i in (1, 2, 3)) >= 0.0
    assert (mlo["cam_out_PRECSC"] <= mlo["cam_out_PRECC"]).all()
    np.testing.assert_allclose(sum(mli[f"cam_in_{x}FRAC"] for x in ("LAND", "ICE", "OCN")), 1.0, rtol=1e-12)
    dark = mli["pbuf_SOLIN"] < 0.1
    assert 0.4 < dark.mean() < 0.55
    assert mli["pbuf_COSZRS"][dark].max() < 1e-3


@pytest.mark.real_data
def test_drawn_columns_have_climsims_means_and_spreads(drawn: RawStep, statistics: Path) -> None:
    """Within five standard errors; ice and ocean fractions are adjusted to each other, and pressure to the surface."""
    adjusted = ("state_ps", "state_pmid", "cam_in_ICEFRAC", "cam_in_OCNFRAC")
    names = [(kind, name) for kind, fields in drawn.items() for name in fields if name not in adjusted]
    with netCDF4.Dataset(statistics) as file:
        for kind, name in names:
            value = drawn[kind][name]
            mean, deviation, least, largest = (
                np.ma.filled(file[f"{kind}_{name}_{part}"][...], np.nan) for part in ("mean", "std", "min", "max")
            )
            varied = deviation > 1e-6 * np.abs(mean)
            error = np.abs(value.mean(axis=0) - mean)[varied] / deviation[varied]
            assert error.max(initial=0.0) < 5.0 / np.sqrt(5000.0) + 0.02, (kind, name)
            if name in ("state_t", "state_u", "cam_in_LWUP", "pbuf_SOLIN"):
                np.testing.assert_allclose(value.std(axis=0)[varied], deviation[varied], rtol=0.05)
            known = np.isfinite(least)
            assert (value[..., known] >= least[known]).all(), (kind, name)
            assert (value[..., known] <= largest[known]).all(), (kind, name)


@pytest.mark.real_data
def test_drawn_profiles_are_smooth_and_moist_where_warm(drawn: RawStep) -> None:
    temperature, vapour = drawn["mli"]["state_t"], drawn["mli"]["state_q0001"]

    def correlation(x: Array, y: Array) -> float:
        return float(np.corrcoef(x, y)[0, 1])

    assert correlation(temperature[:, 40], temperature[:, 41]) > 0.95
    assert abs(correlation(temperature[:, 40], temperature[:, 15])) < 0.1
    assert correlation(temperature[:, 45], vapour[:, 45]) > 0.5
    assert abs(correlation(temperature[:, 45], drawn["mli"]["state_u"][:, 45])) < 0.1


@pytest.mark.real_data
def test_drawn_tendencies_are_small_also_where_statistics_are_missing(statistics: Path) -> None:
    with netCDF4.Dataset(statistics) as file:
        missing = ~np.isfinite(np.ma.filled(file["mlo_state_t_mean"][:], np.nan))
        assert missing.sum() == 1
        spread = np.ma.filled(file["mli_state_t_std"][:], np.nan)
    first, second = generate_climsim(statistics, built_in_grid(2000), 2, seed=2)
    change = first["mlo"]["state_t"] - first["mli"]["state_t"]
    assert np.isfinite(change).all()
    assert (change.std(axis=0) < 0.03 * spread).all()
    assert (change.std(axis=0) > 0.0).all()
    forcing = second["mli"]["state_t"] - first["mlo"]["state_t"]
    assert (forcing.std(axis=0) < 0.1 * spread).all()


@pytest.mark.real_data
def test_drawn_columns_depend_on_the_seed_alone(statistics: Path) -> None:
    grid = built_in_grid(24)
    one, again, other = (list(generate_climsim(statistics, grid, 2, seed))[1] for seed in (5, 5, 6))
    for kind in ("mli", "mlo"):
        for name in one[kind]:
            np.testing.assert_array_equal(one[kind][name], again[kind][name])
        assert not np.array_equal(one[kind]["state_t"], other[kind]["state_t"])


@pytest.mark.real_data
def test_a_grid_of_other_levels_is_refused(statistics: Path) -> None:
    with pytest.raises(EmagramError, match="expected the 30 levels of the grid, got 60"):
        next(iter(generate_climsim(statistics, built_in_grid(6, 30), 1, seed=0)))


def test_statistics_without_a_state_are_refused(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "s.nc", "w") as file:
        file.createDimension("lev", 5)
    with pytest.raises(EmagramError, match="expected statistics of 'mli_state_t', got none"):
        next(iter(generate_climsim(tmp_path / "s.nc", built_in_grid(6, 5), 1, seed=0)))
    with pytest.raises(EmagramError, match="got no such file"):
        next(iter(generate_climsim(tmp_path / "none.nc", built_in_grid(6, 5), 1, seed=0)))
