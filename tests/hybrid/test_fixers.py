"""Global fixers in the column host: nothing to do where columns close, the mean closed where they do not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from emagram.hybrid.case import CaseConfig
from emagram.hybrid.configuration import build
from emagram.hybrid.fixers_config import FixersConfig
from emagram.hybrid.host_output import read_fixers
from emagram.hybrid.run import prepare, run
from emagram.physics.errors import EmagramError
from emagram.physics.fortran_physics.budgets import column_totals
from host_case import contents, read, small_case
from online_cases import emulator, online_case, summary
from online_model import changed_model

BOTH = FixersConfig(water=True, energy=True)
UNITS = {"water": "kg_m2_s", "energy": "w_m2"}
OF_COLUMNS = {"water": 1e-15, "energy": 1e-10}
"""What constraints leave in a column [kg m-2 s-1], [W m-2], and so at most in the mean."""
LEFT = {"water": 1e-17, "energy": 2.5e-10}
"""What fixers leave in the mean, 1e-12 of the absorbed sunlight: all temperatures between 256 and 512 K round the same
heating alike, by up to 2.8e-14 K, which is 2.4e-10 W m-2 in steps of 1200 s."""
OF_STATES = {"water": 1e-14, "energy": 1e-8}
"""What rounding of totals makes of the difference of two of them."""


def opened(manifest: dict[str, Any], _: dict[str, Any]) -> None:
    """Keep of a model's constraints only those that keep water from going below zero."""
    manifest["constraints"] = [c for c in manifest["constraints"] if c["type"] != "water_and_energy"]


def with_areas(case: CaseConfig, folder: Path) -> Path:
    """Prepare a folder whose columns do not all count alike."""
    prepare(case, folder)
    with netCDF4.Dataset(folder / "initial.nc", "r+") as file:
        file.variables["area"][:] = np.linspace(0.1, 1.0, 9)
    return folder


@pytest.fixture(scope="module")
def open_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An emulator whose columns do not close."""
    return changed_model(model, tmp_path_factory.mktemp("open") / "open.emg", opened)


@pytest.fixture(scope="module")
def left_open(open_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    case, folder = online_case(emulator(open_model)), tmp_path_factory.mktemp("left open") / "run"
    return run(case, output=with_areas(case, folder))


@pytest.fixture(scope="module")
def fixed(open_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    case, folder = online_case(emulator(open_model), fixers=BOTH), tmp_path_factory.mktemp("fixed") / "run"
    return run(case, output=with_areas(case, folder))


def totals(initial: dict[str, np.ndarray], state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Water [kg m-2] and energy [J m-2] of the columns of a state."""
    pressure = initial["hyai"] * initial["P0"] + initial["hybi"] * initial["surface_air_pressure"][:, np.newaxis]
    names = ("air_temperature", "specific_humidity", "cloud_liquid", "cloud_ice", "eastward_wind", "northward_wind")
    clouds = {
        "cloud_liquid": "mass_fraction_of_cloud_liquid_water_in_air",
        "cloud_ice": "mass_fraction_of_cloud_ice_in_air",
    }
    found = column_totals(pressure, **{name: state[clouds.get(name, name)] for name in names})
    return {"water": np.asarray(found.water), "energy": np.asarray(found.energy)}


def gaps(folder: Path, days: int = 4) -> dict[str, np.ndarray]:
    """What each column gained per second beyond what its fluxes brought, from its states and history alone."""
    initial, history = read(folder / "initial.nc"), read(folder / "history.nc")
    first, last = totals(initial, initial), totals(initial, read(folder / "restart.nc"))
    return {
        name: (last[name] - first[name]) / (86400.0 * days) - history[f"{name}_input_by_all_processes"].mean(axis=0)
        for name in first
    }


def mean(folder: Path, values: np.ndarray) -> float:
    return float(np.average(values, weights=read(folder / "initial.nc")["area"]))


def steps(folder: Path, what: str, budget: str) -> np.ndarray:
    return np.array(read_fixers(folder)[f"{what}_{budget}_{UNITS[budget]}"])


@pytest.mark.parametrize("physics", ["conventional", "emulator"])
def test_where_columns_close_nothing_is_left_to_fix(model: Path, tmp_path: Path, physics: str) -> None:
    case = online_case(emulator(model) if physics == "emulator" else None)
    folder = run(dataclasses.replace(case, fixers=BOTH), output=tmp_path / "fixed")
    for budget, limit in OF_COLUMNS.items():
        correction = steps(folder, "correction", budget)
        assert correction.shape == (4 * 72,)
        assert 0.0 < correction.max() < limit
    assert summary(folder)["fixers"] == ["water", "energy"]
    assert summary(folder)["fixers_correction_energy_w_m2"] < OF_COLUMNS["energy"]
    without = run(case, output=tmp_path / "without")
    assert "fixers" not in summary(without)
    assert not (without / "fixers.csv").exists()
    ours, theirs = read(folder / "restart.nc"), read(without / "restart.nc")
    np.testing.assert_allclose(ours["air_temperature"], theirs["air_temperature"], atol=1e-9, rtol=0.0)


def test_where_columns_are_open_the_mean_is_closed_in_every_step(fixed: Path) -> None:
    for budget, limit in LEFT.items():
        before, after = (steps(fixed, f"residual_{what}", budget) for what in ("before", "after"))
        change = steps(fixed, "correction", budget)
        assert np.abs(before[:72]).max() < OF_COLUMNS[budget]  # the day of spin-up closes by itself
        assert np.abs(before[72:]).min() > 1e4 * np.abs(after).max()
        assert np.abs(after).max() < limit
        np.testing.assert_allclose(change[72:], np.abs(before[72:]), rtol=1e-9)
        numbers = summary(fixed)
        assert numbers[f"fixers_residual_before_{budget}_{UNITS[budget]}"] == np.abs(before).max()
        assert numbers[f"fixers_residual_after_{budget}_{UNITS[budget]}"] == np.abs(after).max()


def test_the_host_s_own_states_say_the_same(fixed: Path, left_open: Path) -> None:
    """Columns stay open, their mean closes; without fixers it does not."""
    for budget, limit in OF_STATES.items():
        ours, theirs = gaps(fixed)[budget], gaps(left_open)[budget]
        assert abs(mean(fixed, ours)) < limit < 1e-4 * abs(ours.mean())
        assert np.abs(ours).max() > 1e4 * limit
        assert abs(mean(left_open, theirs)) > 1e4 * limit


def test_dry_air_makes_room_for_what_evaporates(fixed: Path) -> None:
    initial = read(fixed / "initial.nc")
    gain = totals(initial, read(fixed / "restart.nc"))["water"] - totals(initial, initial)["water"]
    dry = np.mean(read_fixers(fixed)["dry_air_gain_kg_m2_s"])
    assert dry == pytest.approx(-mean(fixed, gain) / (4 * 86400.0), rel=1e-9)
    assert abs(dry) > 1e-8


@pytest.mark.parametrize("only", ["water", "energy"])
def test_one_alone_leaves_the_other_open_and_says_so(open_model: Path, tmp_path: Path, only: str) -> None:
    case = online_case(emulator(open_model, spin_up_days=0), days=1, fixers=FixersConfig(**{only: True}))
    folder = run(case, output=tmp_path / "run")
    for budget, limit in LEFT.items():
        after = np.abs(steps(folder, "residual_after", budget))
        assert (after.max() < limit) == (budget == only)
        assert (np.abs(mean(folder, gaps(folder, 1)[budget])) < OF_STATES[budget]) == (budget == only)
        assert (steps(folder, "correction", budget).max() == 0.0) == (budget != only)


@pytest.mark.mpi
def test_days_in_two_parts_and_on_other_ranks_give_the_same_bits(open_model: Path, fixed: Path, tmp_path: Path) -> None:
    case = online_case(emulator(open_model), fixers=BOTH)
    parts = with_areas(dataclasses.replace(case, days=2), tmp_path / "parts")
    run(dataclasses.replace(case, days=2, chunk=2), ranks=4, output=parts)
    run(dataclasses.replace(case, chunk=5), ranks=2, output=parts)
    assert contents(parts) == contents(fixed)
    assert (parts / "fixers.csv").read_bytes() == (fixed / "fixers.csv").read_bytes()
    three = run(dataclasses.replace(case, chunk=1), ranks=3, output=with_areas(case, tmp_path / "three"))
    assert (three / "fixers.csv").read_bytes() == (fixed / "fixers.csv").read_bytes()
    assert summary(three)["state_sha256"] == summary(fixed)["state_sha256"]


def flood(manifest: dict[str, Any], weights: dict[str, Any]) -> None:
    """Let a model rain 0.1 kg m-2 s-1 more than it dries the air by."""
    manifest["constraints"] = []
    names = [entry["name"] for entry in manifest["outputs"]]
    at = sum(entry["size"] for entry in manifest["outputs"][: names.index("lwe_precipitation_rate")])
    weights["outputs.mean"][at] += 1e-4


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_rain_beyond_all_vapour_ends_the_run(model: Path, tmp_path: Path, ranks: int) -> None:
    wet = changed_model(model, tmp_path / "wet.emg", flood)
    case = online_case(emulator(wet, variables=("precipitation",)), fixers=BOTH)
    sentence = "^global fixers in the step of 0001-01-02-00000: global fixer 'water': expected vapour that can give"
    with pytest.raises(EmagramError, match=sentence):
        run(case, ranks=ranks, output=tmp_path / "run")
    assert len((tmp_path / "run" / "fixers.csv").read_text().splitlines()) == 1 + 72


def test_a_damaged_log_is_one_sentence(tmp_path: Path) -> None:
    folder = run(small_case(days=1, fixers=BOTH), output=tmp_path / "run")
    lines = (folder / "fixers.csv").read_text().splitlines(keepends=True)
    (folder / "fixers.csv").write_text("".join(lines[:-1]))
    with pytest.raises(EmagramError, match=r"fixers.csv': expected the lines of 72 steps that were done, got"):
        run(small_case(fixers=BOTH), output=folder)


def test_the_fixers_of_a_run_stay(tmp_path: Path) -> None:
    folder = run(small_case(days=1, fixers=BOTH), output=tmp_path / "run")
    with pytest.raises(EmagramError, match=r"expected 'fixers' as in its configuration\.json"):
        run(small_case(), output=folder)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "case 'fixers': expected water, energy or both to be true, got neither"),
        ({"water": False}, "case 'fixers': expected water, energy or both to be true, got neither"),
        ({"energy": 1}, "'energy': expected bool, got 1"),
        ({"dry_mass": True}, "unknown key 'dry_mass'"),
    ],
)
def test_a_wrong_table_is_one_sentence(table: dict[str, Any], message: str) -> None:
    grid = {"source": "built_in"}
    with pytest.raises(EmagramError, match=message):
        build(CaseConfig, {"name": "x", "days": 1, "grid": grid, "sun": {"source": "daily_mean"}, "fixers": table}, "x")
