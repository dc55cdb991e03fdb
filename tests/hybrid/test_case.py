"""Cases of the column host: the committed ones are read, wrong ones are one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emagram.hybrid.case import (
    BuiltInGridConfig,
    CaseConfig,
    ClimsimGridConfig,
    ForcingConfig,
    LandConfig,
    PerturbationConfig,
    SurfaceConfig,
)
from emagram.hybrid.configuration import build, read_configuration
from emagram.hybrid.initial_state import make_initial_state, ozone_mole_fraction, sea_surface_temperature
from emagram.hybrid.run import run
from emagram.physics.errors import EmagramError
from emagram.physics.thermodynamics import relative_humidity
from host_case import read, small_case

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {"name": "x", "days": 2, "grid": {"source": "built_in"}, "sun": {"source": "daily_mean"}}


@pytest.mark.parametrize("name", ["rce", "columns", "columns-4k"])
def test_the_committed_cases_are_read(name: str) -> None:
    case = read_configuration(ROOT / "configs" / f"{name}.toml", CaseConfig)
    assert case.name == name
    assert case.settings()["host"]["days"] == case.days


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dyas": 3}, "unknown key 'dyas'; did you mean 'days'"),
        ({"days": 0}, "case 'days': expected a number of at least 1, got 0"),
        ({"time_step": 1300}, r"case 'time_step': expected a divisor of a day \(86400\), got 1300"),
        ({"radiation_steps": 5}, r"case 'radiation_steps': expected a divisor of the steps of a day \(72\), got 5"),
        (
            {"history_days": 7, "restart_days": 30},
            r"expected a divisor of 'restart_days' \(30\), got 7",
        ),
        ({"days": 3, "history_days": 2}, r"'history_days': expected a divisor of 'days' \(3\), got 2"),
        ({"equilibrium_days": 3}, "'equilibrium_days': expected a number from 0 to 2, got 3"),
        ({"start_day": 365}, "'start_day': expected a number from 0 to 364, got 365"),
        ({"grid": {"source": "cubic"}}, r"expected a table with 'source' one of \['built_in', 'climsim'\]"),
        ({"grid": {"source": "climsim"}}, "expected key 'file', got none"),
        (
            {"sun": {"source": "fixed", "insolation": -1.0}},
            "'insolation': expected a number from 0 to 2000, got -1",
        ),
        ({"surface": {"warmest": 100.0}}, "surface 'warmest': expected a number from 200 to 330, got 100"),
        ({"surface": {"land": {"share": 1.5}}}, "land 'share': expected a number from 0 to 1, got 1.5"),
        (
            {"forcing": {"shortest_period": 5.0, "longest_period": 4.0}},
            "'longest_period': expected .* 5, got 4",
        ),
        ({"record": {"every": -1}}, "record 'every': expected a number of at least 0, got -1"),
        ({"parameters": {"moon": {}}}, "case 'parameters': expected some of sun, longwave, .*, got 'moon'"),
        (
            {"parameters": {"convection": {"relaxation_tiem": 1.0}}},
            "of 'convection': unknown name 'relaxation_tiem'; did you mean 'relaxation_time'?",
        ),
        ({"parameters": {"sun": {"obliquity": "steep"}}}, "expected float, got 'steep'"),
        ({"parameters": {"sun": {"obliquity": float("nan")}}}, "expected a finite 'obliquity', got nan"),
        ({"parameters": {"sun": 3}}, "expected a table, got 3"),
        ({"perturbation": {}}, "perturbation 'relative': expected a number from 1e-15 to 0.001, got 0"),
        ({"perturbation": {"relative": 1e-17}}, "perturbation 'relative': expected a number from 1e-15 to 0.001"),
        (
            {"perturbation": {"relative": 0.1, "weather": 1}},
            "'relative': expected a number from 1e-15 to 0.001, got 0.1",
        ),
        ({"perturbation": {"relative": float("nan")}}, "'relative': expected a number from 1e-15 to 0.001, got nan"),
        (
            {"perturbation": {"relative": 1e-9, "seed": -1}},
            "perturbation 'seed': expected a number of at least 0, got -1",
        ),
        ({"perturbation": {"weather": -1}}, "perturbation 'weather': expected a number of at least 0, got -1"),
        ({"perturbation": {"wether": 1}}, "unknown key 'wether'; did you mean 'weather'"),
    ],
)
def test_wrong_cases_are_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(EmagramError, match=message):
        build(CaseConfig, SMALL | change, "case.toml")


def test_sea_surface_temperature_falls_poleward_as_in_the_aqua_planet_profile() -> None:
    config = SurfaceConfig(warmest=300.15, coldest=273.15, warming=4.0)
    latitude = np.array([0.0, 30.0, -30.0, 60.0, -90.0])
    # at 30°, sin² 45° = 1/2 and sin⁴ 45° = 1/4: the share is 1 − 3/8
    expected = np.array([304.15, 277.15 + 27.0 * 0.625, 277.15 + 27.0 * 0.625, 277.15, 277.15])
    np.testing.assert_allclose(sea_surface_temperature(latitude, config), expected, rtol=1e-14)


def test_ozone_peaks_in_the_stratosphere() -> None:
    """d ln x/dp = 0 at p = 0.83209 · 11.3515 hPa; about 10 ppmv there."""
    pressure = np.geomspace(10.0, 1e5, 4001)
    mole_fraction = ozone_mole_fraction(pressure)
    assert abs(pressure[mole_fraction.argmax()] / 944.5 - 1.0) < 0.01
    assert 8e-6 < mole_fraction.max() < 1.1e-5


def test_the_initial_state_is_an_atmosphere() -> None:
    case = small_case(grid=BuiltInGridConfig("built_in", n_column=54))
    initial = make_initial_state(case, case.grid.build())
    pressure = initial["hyai"] * initial["P0"] + initial["hybi"] * initial["surface_air_pressure"][:, None]
    middle = 0.5 * (pressure[:, 1:] + pressure[:, :-1])
    fields = (middle, initial["reference_air_temperature"], initial["reference_specific_humidity"])
    humidity = relative_humidity(*map(torch.from_numpy, fields)).numpy()
    assert humidity.max() <= 0.9 + 1e-12
    assert humidity[:, -1].min() > 0.7
    assert all(np.isfinite(values).all() for values in initial.values())
    assert (initial["specific_humidity"] > 0.0).all()
    assert 150.0 < initial["air_temperature"].min() < initial["air_temperature"].max() < 320.0
    assert np.abs(initial["eastward_wind"]).max() < 60.0
    # 0.6 kg m-2 of ozone is about 300 Dobson units
    column = (initial["mass_fraction_of_ozone_in_air"] * np.diff(pressure, axis=1)).sum(axis=1) / 9.80616
    assert ((column > 4e-3) & (column < 8e-3)).all()
    assert initial["land_area_fraction"].sum() == round(0.4 * 54)
    np.testing.assert_array_equal(initial["surface_wetness"] == 1.0, initial["land_area_fraction"] == 0.0)


def test_the_seed_decides_and_nothing_else() -> None:
    case = small_case()
    first, again = (make_initial_state(case, case.grid.build()) for _ in range(2))
    other = make_initial_state(small_case(seed=4), case.grid.build())
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["air_temperature"] != other["air_temperature"]).any()
    assert (first["forcing_phase"] != other["forcing_phase"]).all()


def initial_state(**changes: Any) -> dict[str, np.ndarray]:
    case = small_case(**changes)
    return make_initial_state(case, case.grid.build())


def test_a_perturbation_changes_the_last_digits_of_temperature_and_nothing_else() -> None:
    control, first, again, other = (
        initial_state(),
        *(initial_state(perturbation=PerturbationConfig(relative=1e-14, seed=seed)) for seed in (1, 1, 2)),
    )
    assert {name for name in control if (control[name] != first[name]).any()} == {"air_temperature"}
    relative = first["air_temperature"] / control["air_temperature"] - 1.0
    assert np.abs(relative).max() <= 1.02e-14
    assert (relative != 0.0).mean() > 0.95
    assert abs(relative.mean()) < 1e-15
    np.testing.assert_array_equal(first["air_temperature"], again["air_temperature"])
    assert (first["air_temperature"] != other["air_temperature"]).any()


def test_other_weather_keeps_land_and_initial_state() -> None:
    control, other = initial_state(), initial_state(perturbation=PerturbationConfig(weather=9))
    changed = {name for name in control if (control[name] != other[name]).any()}
    assert {"forcing_phase", "forcing_period", "forcing_heating"} <= changed
    assert all(name.startswith("forcing_") for name in changed)


def test_forcing_varies_as_asked() -> None:
    """Standard deviation in time where the vertical structure is 1, over many columns."""
    forcing = ForcingConfig(n_mode=8, vertical_velocity=0.05, heating=2.0, moistening=0.2)
    case = small_case(grid=BuiltInGridConfig("built_in", n_column=600), forcing=forcing)
    modes = make_initial_state(case, case.grid.build())
    time = np.random.default_rng(0).uniform(0.0, 1e8, 300)
    phase = 2 * np.pi * time / modes["forcing_period"][..., None] + modes["forcing_phase"][..., None]
    for name, spread in (
        ("forcing_vertical_velocity", 0.05),
        ("forcing_heating", 2.0 / 86400.0),
        ("forcing_relative_moistening", 0.2 / 86400.0),
    ):
        values = (modes[name][..., None] * np.sin(phase)).sum(axis=1)
        np.testing.assert_allclose(values.std(), spread, rtol=0.1)
    assert set(np.unique(modes["forcing_half_waves"])) == {1.0, 2.0}


def test_no_forcing_is_a_mode_of_zero() -> None:
    case = small_case(forcing=ForcingConfig())
    modes = make_initial_state(case, case.grid.build())
    assert modes["forcing_vertical_velocity"].shape == (9, 1)
    assert all((modes[name] == 0.0).all() for name in ("forcing_vertical_velocity", "forcing_heating"))


def test_all_land_and_no_land() -> None:
    for share in (0.0, 1.0):
        case = small_case(surface=SurfaceConfig(land=LandConfig(share=share, wetness=0.1)))
        initial = make_initial_state(case, case.grid.build())
        assert (initial["land_area_fraction"] == share).all()


@pytest.mark.real_data
def test_a_day_on_the_real_grid(real_data: Path, tmp_path: Path) -> None:
    grid = ClimsimGridConfig("climsim", real_data / "climsim/grid_info/ClimSim_low-res_grid-info.nc")
    folder = run(small_case(days=1, grid=grid), output=tmp_path / "run")
    restart = read(folder / "restart.nc")
    assert restart["air_temperature"].shape == (384, 60)
    np.testing.assert_allclose(restart["area"].sum(), 4.0 * np.pi, rtol=1e-6)
