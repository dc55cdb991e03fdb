"""What a run keeps of its constraints: residuals before and after each, where one cannot hold, and regimes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import emagram
from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_grid import read_climsim_grid
from emagram.emulators.data.climsim_series import find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.model_file import read_model_file
from emagram.hybrid.case import CaseConfig, RecordConfig
from emagram.hybrid.configuration import read_configuration
from emagram.hybrid.host_output import read_budgets
from emagram.hybrid.ledger import ledger_of
from emagram.hybrid.run import run
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from host_case import Arrays, contents, read
from online_cases import emulator, online_case, summary
from online_model import changed_model

DIMENSIONS = {"column": ("column",), "layer": ("column", "level"), "interface": ("column", "interface")}
STEPS = 72
RAIN = 1.0 / 86400.0  # [kg m-2 s-1]
BUDGETS = ("upper_levels_water", "shortwave", "positivity", "positivity_deficit", "column_water", "column_energy")


@pytest.fixture(scope="module")
def recorded(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with the emulator from the first step on, every step recorded."""
    case = online_case(emulator(model, spin_up_days=0), days=1, record=RecordConfig(every=1))
    return run(case, output=tmp_path_factory.mktemp("recorded") / "run")


@pytest.fixture(scope="module")
def measured(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(online_case(emulator(model, constraints="measure")), output=tmp_path_factory.mktemp("measured") / "run")


def inputs_of(folder: Path, model: Path) -> xr.Dataset:
    """Inputs of the model in every recorded column."""
    manifest = read_model_file(model).manifest
    spec = replace(climsim_spec("v2"), inputs=tuple(entry["name"] for entry in manifest["inputs"]))
    stream = ColumnStream(find_series(folder / "columns"), spec, read_climsim_grid(folder / "grid.nc"))
    columns = next(stream.batches(stream.n_column, seed=0))
    return xr.Dataset(
        {
            entry["name"]: (
                DIMENSIONS[entry["dimension"]],
                columns.inputs[entry["name"]].numpy(),
                {"units": entry["unit"]},
            )
            for entry in manifest["inputs"]
        }
    )


def test_the_largest_residuals_are_those_of_the_recorded_columns(model: Path, recorded: Path) -> None:
    inputs = inputs_of(recorded, model)
    assert inputs.sizes["column"] == STEPS * 9
    raw = emagram.open(model, measure_only=True).predict(inputs)
    found = emagram.open(model).ledger(inputs.assign(raw))
    ledger = {budget.name: budget for budget in ledger_of(read_budgets(recorded))}
    assert tuple(ledger) == BUDGETS
    for name in BUDGETS:
        largest = float(np.abs(found[name].sel(stage="before")).max())
        np.testing.assert_allclose(ledger[name].before, [largest], rtol=1e-6, atol=1e-22)
        assert ledger[name].unit == found[name].attrs["units"]
        assert max(ledger[name].after) <= (1e-10 if ledger[name].unit == "W m-2" else 1e-15)
    assert min(ledger[name].largest_before or 0.0 for name in BUDGETS if name != "positivity_deficit") > 0.0


def test_regimes_are_counted_in_every_step(recorded: Path) -> None:
    """Against the recorded insolation and precipitation of each step."""
    history = read(recorded / "history.nc")
    expected = np.zeros((4, 9))
    for before in sorted((recorded / "columns").glob("*.mli.*")):
        after = read(Path(str(before).replace(".mli.", ".mlo.")))
        day, rain = read(before)["pbuf_SOLIN"] > 0.0, 1000.0 * after["cam_out_PRECC"] > RAIN
        for column in range(9):
            expected[int(day[column]) + 2 * int(rain[column]), column] += 1.0 / STEPS
    np.testing.assert_allclose(history["emulated_steps_by_regime"][0], expected, atol=1e-12)
    assert (expected.sum(axis=1) > 0.0).all()


def integral(history: Arrays, name: str, weight: float) -> np.ndarray:
    """Of a profile of the history over mass (n_record, n_column)."""
    pressure = history["hyai"] * 1e5 + history["hybi"] * history["surface_air_pressure"][:, None]
    return (history[name] * np.diff(pressure, axis=1)).sum(axis=2) * weight / Constants().gravity


@pytest.mark.parametrize(
    ("what", "variable", "weight"),
    [("heating", "air_temperature", Constants().heat_capacity_dry_air), ("moistening", "specific_humidity", 1.0)],
)
def test_regimes_add_up_to_the_profiles(recorded: Path, what: str, variable: str, weight: float) -> None:
    history = read(recorded / "history.nc")
    for kind, profile in (("correction", "correction"), ("tendency", "tendency_magnitude")):
        whole = integral(history, f"{variable}_{profile}", weight)
        np.testing.assert_allclose(history[f"{what}_{kind}_by_regime"].sum(axis=1), whole, rtol=1e-12)
        assert whole.min() > 0.0


def test_the_summary_names_every_budget(recorded: Path) -> None:
    numbers = summary(recorded)
    assert numbers["constraints"] == "enforce"
    assert numbers["unmet_fraction"] == dict.fromkeys(BUDGETS, 0.0)
    energy = numbers["budget_residuals"]["column_energy"]
    assert energy["unit"] == "W m-2"
    assert energy["before"] > 1.0 > 1e-9 > energy["after"]


def test_one_model_file_runs_without_its_constraints(measured: Path) -> None:
    """Nothing is changed, so nothing closes; the host alone keeps water from falling below zero, and counts it."""
    history, state, numbers = read(measured / "history.nc"), read(measured / "restart.nc"), summary(measured)
    assert history["air_temperature_correction"].max() == history["specific_humidity_correction"].max() == 0.0
    assert history["air_temperature_tendency_magnitude"][1:].max() > 0.0
    assert numbers["constraints"] == "measure"
    assert numbers["closure_flux_energy_w_m2"] > 1.0
    assert numbers["unmet_fraction"]["column_energy"] == 1.0
    for budget in ledger_of(read_budgets(measured)):
        assert list(budget.before) == list(budget.after)
    assert state["specific_humidity"].min() >= 0.0
    assert read_budgets(measured)["filled_water_mm_day"][0] < 1e-12 < max(read_budgets(measured)["filled_water_mm_day"])
    assert "budget" not in (measured / "log.txt").read_text()


@pytest.mark.mpi
def test_measuring_depends_on_no_ranks_and_no_restart(model: Path, measured: Path, tmp_path: Path) -> None:
    case = online_case(emulator(model, constraints="measure"), chunk=2)
    parts = tmp_path / "parts"
    run(replace(case, days=2), ranks=4, output=parts)
    run(case, ranks=2, output=parts)
    assert contents(parts) == contents(measured)


def dried(manifest: dict[str, Any], weights: dict[str, Any]) -> None:
    """A model that takes more water from every layer than there is, and changes nothing else."""
    sizes = {output["name"]: output["size"] for output in manifest["outputs"]}
    names = list(sizes)
    at = names.index("tendency_of_specific_humidity_due_to_model_physics")
    start = sum(sizes[name] for name in names[:at])
    weights["outputs.mean"][:] = 0.0
    weights["outputs.scale"][:] = 1e-30
    weights["outputs.mean"][start : start + 60] = -1e-4
    manifest["constraints"] = [c for c in manifest["constraints"] if c["type"] != "water_and_energy"]


@pytest.fixture(scope="module")
def dry(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dry")
    return changed_model(model, folder / "dry.emg", dried)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 3])
def test_what_cannot_hold_is_counted_named_and_logged_once_a_day(dry: Path, tmp_path: Path, ranks: int) -> None:
    folder = run(online_case(emulator(dry), days=3), ranks=ranks, output=tmp_path / "run")
    ledger = {budget.name: budget for budget in ledger_of(read_budgets(folder))}
    unmet = ledger["positivity_deficit"].unmet
    assert list(unmet) == [0.0, 9.0 * STEPS, 9.0 * STEPS]
    assert summary(folder)["unmet_fraction"]["positivity_deficit"] == 1.0
    assert summary(folder)["unmet_fraction"]["positivity"] == 0.0
    lines = [line for line in (folder / "log.txt").read_text().splitlines() if "positivity_deficit" in line]
    assert len(lines) == 2
    assert lines[0].startswith(f"in day 2, {9 * STEPS} columns and steps: budget 'positivity_deficit' unmet; first ")
    assert "the first is column 0: expected at most 1e-14 kg m-2 s-1, got " in lines[0]
    history = read(folder / "history.nc")
    np.testing.assert_allclose(history["unmet_positivity_deficit_by_regime"].sum(axis=1)[1:], 1.0)


def test_the_log_says_of_each_budget_what_the_library_said_of_it(model: Path, tmp_path: Path) -> None:
    """Two are unmet in the same steps: the second, by its tolerance, not for the reasons of the first."""
    wind, pressure = "tendency_of_eastward_wind_due_to_model_physics", "air_pressure_at_interface"
    terms = [{"field": wind, "coefficient": 1.0, "per_mass": True}]
    calm: dict[str, Any] = {
        "type": "linear",
        "name": "calm",
        "budgets": [{"name": "calm wind", "unit": "Pa"}],
        "interface_pressure": pressure,
        "laws": [{"name": "calm wind", "unit": "Pa", "tolerance": 1e-300, "terms": terms}],
        "variance": [{"output": wind, "value": [1e-10 * (k + 1) for k in range(60)]}],
        "covariance": [],
    }

    def change(manifest: dict[str, Any], weights: dict[str, Any]) -> None:
        dried(manifest, weights)
        names = [output["name"] for output in manifest["outputs"]]
        start = sum(output["size"] for output in manifest["outputs"][: names.index(wind)])
        weights["outputs.mean"][start : start + 60] = 1e-5
        manifest["constraints"].append(calm)

    two = changed_model(model, tmp_path / "two.emg", change)
    folder = run(online_case(emulator(two), days=2), output=tmp_path / "run")
    lines = (folder / "log.txt").read_text().splitlines()
    for name, said in (("calm_wind", "calm wind"), ("positivity_deficit", "positivity_deficit")):
        (line,) = [line for line in lines if f"budget '{name}' unmet; first " in line]
        assert f"budget '{said}' is unmet in" in line


def test_reasons_of_rejections_are_logged_once_a_day(model: Path, tmp_path: Path) -> None:
    pressure = read(run(online_case(None, days=1), output=tmp_path / "own") / "restart.nc")["surface_air_pressure"]

    def narrow(manifest: dict[str, Any], _: dict[str, Any]) -> None:
        entry = next(entry for entry in manifest["inputs"] if entry["name"] == "surface_air_pressure")
        entry["valid_range"] = [entry["valid_range"][0], float(np.sort(pressure)[5])]

    fewer = changed_model(model, tmp_path / "fewer.emg", narrow)
    folder = run(online_case(emulator(fewer), days=3), output=tmp_path / "run")
    lines = (folder / "log.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in lines if "rejected, invalid_input" in line] == [
        f"in day {day}, {3 * STEPS} columns and steps" for day in (2, 3)
    ]
    assert "'surface_air_pressure'" in lines[0]
    assert len(lines) == 3


def test_constraints_are_enforced_or_measured(tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text(
        'name = "x"\ndays = 2\n[grid]\nsource = "built_in"\n[sun]\nsource = "daily_mean"\n'
        '[physics]\nsource = "emulator"\nmodel = "m.emg"\nconstraints = "hope"\n'
    )
    with pytest.raises(EmagramError, match=r"constraints.*expected one of .*enforce.*measure.*got 'hope'"):
        read_configuration(path, CaseConfig)
