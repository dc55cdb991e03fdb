"""The column host with an emulator in place of its physics: merged, closed, restarted, refused, stopped."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from emagram.emulators.model_file import ModelFile, read_model_file, write_model_file
from emagram.hybrid.case import RecordConfig
from emagram.hybrid.host_output import read_budgets, read_stop
from emagram.hybrid.physics_config import RampConfig
from emagram.hybrid.run import prepare, program, run
from emagram.physics.errors import EmagramError
from host_case import contents, read, small_case
from online_cases import blend, emulator, online_case, summary
from online_model import changed_model, write_linear_model

FLUX_WATER, FLUX_ENERGY, STATE_ENERGY = 1e-15, 1e-10, 1e-8
"""Bounds [kg m-2 s-1], [W m-2] of closure, of rates against fluxes and of the host's own states."""


@pytest.fixture(scope="module")
def conventional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(online_case(None), output=tmp_path_factory.mktemp("conventional") / "run")


@pytest.fixture(scope="module")
def online(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(online_case(emulator(model)), output=tmp_path_factory.mktemp("online") / "run")


def daily_share(folder: Path) -> np.ndarray:
    """Mean share of the emulator of each day, the same in all columns."""
    share = read(folder / "history.nc")["emulator_share"]
    assert np.ptp(share, axis=1).max() == 0.0
    return share[:, 0]


def assert_closed(folder: Path) -> None:
    numbers = summary(folder)
    assert 0.0 <= numbers["closure_flux_water_kg_m2_s"] <= FLUX_WATER
    assert 0.0 <= numbers["closure_flux_energy_w_m2"] <= FLUX_ENERGY
    assert 0.0 < numbers["closure_state_energy_w_m2"] <= STATE_ENERGY


def test_the_emulator_runs_in_place_of_the_physics_and_every_column_closes(online: Path) -> None:
    numbers = summary(online)
    assert (numbers["physics"], numbers["online_days"], numbers["online_stable"]) == ("emulator", 3, True)
    assert numbers["stopped"] is None
    assert numbers["rejected_fraction"] == 0.0
    assert_closed(online)
    assert numbers["residual_before_energy_w_m2"] > 1.0
    assert numbers["residual_before_water_kg_m2_s"] > 1e-7
    history = read(online / "history.nc")
    heating = history["air_temperature_tendency_emulator"]
    assert np.abs(heating[0]).max() == 0.0 < np.abs(heating[1:]).min(axis=(1, 2)).max()
    for process in ("radiation", "boundary_layer", "convection", "microphysics"):
        assert np.abs(history[f"air_temperature_tendency_{process}"][1:]).max() == 0.0
    correction = history["air_temperature_correction"]
    assert correction[0].max() == 0.0 < correction[1:].min(axis=2).max()


def test_the_spin_up_is_the_host_alone(online: Path, conventional: Path) -> None:
    ours, theirs = read(online / "history.nc"), read(conventional / "history.nc")
    for name in ("air_temperature", "specific_humidity", "precipitation_flux"):
        np.testing.assert_array_equal(ours[name][0], theirs[name][0])
        assert (ours[name][1] != theirs[name][1]).any()


def test_clouds_and_humidity_stay_positive_and_no_sun_shines_at_night(online: Path) -> None:
    state, history = read(online / "restart.nc"), read(online / "history.nc")
    for name in ("specific_humidity", "mass_fraction_of_cloud_liquid_water_in_air"):
        assert state[name].min() >= 0.0
    bands = [name for name in history if name.startswith("surface_di") and name.endswith("_flux")]
    assert len(bands) == 4
    assert min(history[name].min() for name in bands) >= 0.0
    total = sum(history[name] for name in bands)
    assert (total <= history["toa_incoming_shortwave_flux"] + 1e-9).all()


@pytest.mark.mpi
@pytest.mark.parametrize(
    "physics",
    [
        pytest.param(lambda model: emulator(model), id="emulator"),
        pytest.param(lambda model: blend(model, RampConfig("linear", 0.8, 2.5)), id="linear ramp"),
        pytest.param(lambda model: emulator(model, variables=("air_temperature", "longwave")), id="partial"),
    ],
)
def test_days_in_two_parts_and_on_other_ranks_give_the_same_bits(model: Path, tmp_path: Path, physics: Any) -> None:
    whole = run(online_case(physics(model)), output=tmp_path / "whole")
    parts = tmp_path / "in parts"
    run(dataclasses.replace(online_case(physics(model), chunk=2), days=2), ranks=4, output=parts)
    run(online_case(physics(model), chunk=5), ranks=2, output=parts)
    assert contents(parts) == contents(whole)
    assert summary(parts)["state_sha256"] == summary(whole)["state_sha256"]
    assert_closed(parts)


@pytest.mark.parametrize(
    ("ramp", "expected"),
    [
        (RampConfig("constant", 0.5), [0.0, 0.5, 0.5, 0.5]),
        (RampConfig("step", 1.0, 1.5), [0.0, 0.0, 0.5, 1.0]),
        (RampConfig("linear", 0.9, 2.0), [0.0, 0.9 * 72.0 * 36.5 / 144 / 72, 0.9 * 108.5 / 144, 0.9]),
    ],
)
def test_the_share_grows_as_the_ramp_says(model: Path, tmp_path: Path, ramp: RampConfig, expected: list[float]) -> None:
    folder = run(online_case(blend(model, ramp)), output=tmp_path / "run")
    np.testing.assert_allclose(daily_share(folder), expected, rtol=1e-12)
    assert_closed(folder)


def test_a_share_of_nothing_is_the_host_alone(model: Path, conventional: Path, tmp_path: Path) -> None:
    folder = run(online_case(blend(model, RampConfig("constant", 0.0))), output=tmp_path / "run")
    assert (folder / "restart.nc").read_bytes() == (conventional / "restart.nc").read_bytes()
    ours, theirs = read(folder / "history.nc"), read(conventional / "history.nc")
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert {name for name in ours.keys() - theirs.keys() if ours[name].any()} == set()
    budgets = read_budgets(folder)
    assert {name: budgets[name] for name in read_budgets(conventional)} == read_budgets(conventional)


def test_half_of_each_lies_between_them_in_the_first_step(model: Path, tmp_path: Path) -> None:
    """Rates and fluxes of the first step: merged before the constraints, so the mean of both but for the closing."""
    rates = []
    for name, share in (("none", 0.0), ("half", 0.5), ("all", 1.0)):
        case = small_case(days=1, record=RecordConfig(every=100))
        physics = blend(model, RampConfig("constant", share), spin_up_days=0)
        folder = run(dataclasses.replace(case, physics=physics), output=tmp_path / name)
        before, after = (read(next((folder / "columns").glob(f"*.{kind}.*"))) for kind in ("mli", "mlo"))
        rates.append((after["state_u"] - before["state_u"], after["cam_out_FLWDS"], after["cam_out_FLUT"]))
    for none, half, whole in zip(*rates, strict=True):
        np.testing.assert_allclose(half, 0.5 * (none + whole), rtol=1e-9, atol=1e-12)
        assert np.abs(whole - none).max() > 1e-3


def test_of_partial_coupling_the_rest_is_the_host_s(model: Path, tmp_path: Path) -> None:
    """Only winds are the emulator's: in the first step all else is what the host's physics gives, but for closing."""
    states = {}
    for name, physics in (("none", None), ("winds", emulator(model, spin_up_days=0, variables=("eastward_wind",)))):
        case = small_case(days=1, record=RecordConfig(every=100))
        case = case if physics is None else dataclasses.replace(case, physics=physics)
        folder = run(case, output=tmp_path / name)
        states[name] = read(next((folder / "columns").glob("*.mlo.*")))
        if physics is not None:
            assert_closed(folder)
    for name in ("state_v", "cam_out_FLUT", "cam_out_SOLS"):
        np.testing.assert_allclose(states["winds"][name], states["none"][name], rtol=1e-12, atol=1e-12)
    assert np.abs(states["winds"]["state_u"] - states["none"]["state_u"]).max() > 1e-3
    assert (
        0.0 < np.abs(states["winds"]["state_t"] - states["none"]["state_t"]).max() < 0.5
    )  # pays for the winds' energy


@pytest.mark.parametrize(
    ("taken", "changed", "kept"),
    [
        ("longwave", ("cam_out_FLUT", "cam_out_FLWDS"), ("cam_out_FSNT", "cam_out_NETSW", "cam_out_SOLS")),
        ("shortwave", ("cam_out_FSNT", "cam_out_NETSW", "cam_out_SOLS"), ("cam_out_FLUT", "cam_out_FLWDS")),
    ],
)
def test_fluxes_are_taken_in_groups(
    model: Path, tmp_path: Path, taken: str, changed: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    fluxes = []
    for physics in (None, emulator(model, spin_up_days=0, variables=(taken,))):
        case = online_case(physics, days=1, record=RecordConfig(every=100))
        folder = run(case, output=tmp_path / f"run {len(fluxes)}")
        fluxes.append(read(next((folder / "columns").glob("*.mlo.*"))))
    for name in kept:
        np.testing.assert_allclose(fluxes[1][name], fluxes[0][name], rtol=1e-12, atol=1e-10)
    for name in changed:
        assert np.abs(fluxes[1][name] - fluxes[0][name]).max() > 1e-3


def test_rejected_columns_have_the_host_s_physics(model: Path, conventional: Path, tmp_path: Path) -> None:
    """The model declares the pressures of some columns impossible: those go on with the host's physics, and close."""
    pressure = read(conventional / "restart.nc")["surface_air_pressure"]
    limit = float(np.sort(pressure)[5])
    fewer = changed_model(model, tmp_path / "fewer.emg", lambda m, _: narrow(m, "surface_air_pressure", limit))
    folder = run(online_case(emulator(fewer)), output=tmp_path / "run")
    history, rejected = read(folder / "history.nc"), pressure > limit
    assert rejected.sum() == 3
    np.testing.assert_array_equal(history["emulator_rejected"][1:] == 1.0, np.broadcast_to(rejected, (3, 9)))
    np.testing.assert_array_equal(history["emulator_share"][1:] == 0.0, np.broadcast_to(rejected, (3, 9)))
    assert history["emulator_extrapolated"][:, rejected].max() == 0.0
    theirs = read(conventional / "restart.nc")
    ours = read(folder / "restart.nc")
    np.testing.assert_allclose(ours["air_temperature"][rejected], theirs["air_temperature"][rejected], rtol=1e-7)
    assert np.abs(ours["air_temperature"] - theirs["air_temperature"])[~rejected].max() > 0.1
    assert_closed(folder)
    area = history["area"]
    assert summary(folder)["rejected_fraction"] == pytest.approx(area[rejected].sum() / area.sum())
    assert read_budgets(folder)["emulator_rejected_fraction"][0] == 0.0


def narrow(manifest: dict[str, Any], name: str, largest: float) -> None:
    entry = next(entry for entry in manifest["inputs"] if entry["name"] == name)
    entry["valid_range"] = [entry["valid_range"][0], largest]


def test_the_policy_error_ends_the_run_at_the_first_rejected_column(
    model: Path, conventional: Path, tmp_path: Path
) -> None:
    """Its number is that of the run, not of its block."""
    pressure = read(conventional / "restart.nc")["surface_air_pressure"]
    limit, first = float(np.sort(pressure)[-2]), int(np.argmax(pressure))
    assert first > 0
    fewer = changed_model(model, tmp_path / "fewer.emg", lambda m, _: narrow(m, "surface_air_pressure", limit))
    sentence = rf"emulator in the step of 0001-01-02-00000: .* column {first}: .*'surface_air_pressure'"
    with pytest.raises(EmagramError, match=sentence):
        run(online_case(emulator(fewer, on_invalid="error"), chunk=1), output=tmp_path / "run")


def test_columns_outside_the_training_range_can_be_rejected(model: Path, tmp_path: Path) -> None:
    def widen(_: dict[str, Any], weights: dict[str, Any]) -> None:
        weights["inputs.maximum"][:] = -1e20
        weights["inputs.minimum"][:] = -1e20

    beyond = changed_model(model, tmp_path / "beyond.emg", widen)
    kept = run(online_case(emulator(beyond)), output=tmp_path / "kept")
    assert summary(kept)["extrapolated_fraction"] == pytest.approx(1.0)
    assert daily_share(kept)[1] == 1.0
    wide = 1e30
    within = run(online_case(emulator(beyond, extrapolation_margin=wide)), output=tmp_path / "within")
    assert summary(within)["extrapolated_fraction"] == pytest.approx(1.0)  # a range without width has no margin
    rejected = run(online_case(emulator(beyond, reject_extrapolated=True)), output=tmp_path / "rejected")
    assert summary(rejected)["rejected_fraction"] == pytest.approx(1.0)
    assert daily_share(rejected)[1] == 0.0


def test_a_margin_tolerates_what_lies_a_little_beyond_the_training_range(model: Path, tmp_path: Path) -> None:
    """Four days in other weather leave the range of two days a little, but not by twice its width."""
    fractions = [
        summary(
            run(
                online_case(emulator(model, extrapolation_margin=margin, reject_extrapolated=True), seed=8),
                output=tmp_path / f"{margin}",
            )
        )["rejected_fraction"]
        for margin in (0.0, 0.3, 3.0)
    ]
    assert fractions[0] > 0.9
    assert fractions[0] > fractions[1] >= fractions[2]
    assert fractions[2] < 0.5


def test_the_policy_clip_moves_inputs_into_the_training_range(model: Path, tmp_path: Path) -> None:
    """Stresses of a training without wind: the emulator sees none, or what the host has."""

    def calm(manifest: dict[str, Any], weights: dict[str, Any]) -> None:
        names = [entry["name"] for entry in manifest["inputs"]]
        at = names.index("surface_upward_eastward_stress")
        at = sum(entry["size"] for entry in manifest["inputs"][:at])
        weights["inputs.maximum"][at] = weights["inputs.minimum"][at] = 0.0

    still = changed_model(model, tmp_path / "still.emg", calm)
    winds = {}
    for policy in ("mask", "clip"):
        case = online_case(emulator(still, spin_up_days=0, on_invalid=policy), days=1, record=RecordConfig(every=100))
        folder = run(case, output=tmp_path / policy)
        assert summary(folder)["extrapolated_fraction"] == 1.0
        assert summary(folder)["rejected_fraction"] == 0.0
        winds[policy] = read(next((folder / "columns").glob("*.mlo.*")))["state_u"]
    assert np.abs(winds["clip"] - winds["mask"]).max() > 1e-6


def heat(per_day: float) -> Any:
    """Change a model so that it heats its fourth level by so much more [K day-1]."""

    def change(manifest: dict[str, Any], weights: dict[str, Any]) -> None:
        weights["outputs.mean"][3] += per_day / 86400.0
        manifest["constraints"] = [c for c in manifest["constraints"] if c["type"] != "water_and_energy"]

    return change


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_run_that_leaves_bounds_says_when_where_and_by_what(model: Path, tmp_path: Path, ranks: int) -> None:
    hot = changed_model(model, tmp_path / "hot.emg", heat(120.0))
    sentence = (
        r"^column \d+ \(lat .*, lon .*\) after emulator in the step of 0001-01-0\d-\d{5}: expected air_temperature"
    )
    with pytest.raises(EmagramError, match=sentence):
        run(online_case(emulator(hot)), ranks=ranks, output=tmp_path / "run")
    stop, numbers = read_stop(tmp_path / "run"), summary(tmp_path / "run")
    assert stop is not None
    assert (stop.variable, stop.level, stop.after, stop.maximum) == ("air_temperature", 3, "emulator", 400.0)
    assert stop.value is not None
    assert stop.value > 400.0
    assert 1.0 < stop.day < 4.0
    assert (numbers["online_stable"], numbers["online_days"]) == (False, pytest.approx(stop.day - 1.0))
    assert numbers["stopped"]["column"] == stop.column
    with netCDF4.Dataset(tmp_path / "run" / "restart.nc") as file:
        assert file.getncattr("day") == int(stop.day)  # the last good one
    with pytest.raises(EmagramError, match=sentence):  # and again from there
        run(online_case(emulator(hot)), ranks=ranks, output=tmp_path / "run")
    assert read_stop(tmp_path / "run") == stop


def test_what_stopped_a_run_is_forgotten_when_it_goes_on(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    case = dataclasses.replace(online_case(emulator(model)), days=2)
    prepare(case, folder)
    (folder / "stopped.json").write_text("{}")
    run(case, output=folder)
    assert read_stop(folder) is None


@pytest.mark.mpi
def test_a_rank_that_is_killed_ends_all_and_loses_nothing(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    slow = dataclasses.replace(online_case(emulator(model)), days=400)
    prepare(slow, folder)
    command = ["mpirun", "--oversubscribe", "-n", "2", str(program()), str(folder / "case.nml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as host:
        while not (folder / "restart.nc").exists():
            assert host.poll() is None
            time.sleep(0.005)
        rank = subprocess.run(["pgrep", "-f", f"^{program()} {folder}"], capture_output=True, text=True, check=True)
        subprocess.run(["kill", f"-{signal.SIGKILL.value}", rank.stdout.split()[0]], check=True)
        host.communicate(timeout=60)
        assert host.returncode != 0
    with netCDF4.Dataset(folder / "restart.nc") as file:
        done = int(file.getncattr("day"))
    assert 1 <= done < 400
    left = subprocess.run(["pgrep", "-f", f"^{program()} {folder}"], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    again = dataclasses.replace(slow, days=max(4, done))
    run(again, output=folder)
    whole = run(dataclasses.replace(online_case(emulator(model)), days=max(4, done)), output=tmp_path / "whole")
    assert summary(folder)["state_sha256"] == summary(whole)["state_sha256"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m["vertical"].update(n_level=59), "expected a model of the case's 60 levels, got 59"),
        (lambda m: m.update(time_step=1800.0), "expected a model of the case's time step of 1200 s, got 1800 s"),
        (lambda m: m["constants"].update(gravity=9.8), "expected the host's gravity of 9.80616, got 9.8"),
    ],
)
def test_a_model_for_another_host_is_refused_before_anything_is_written(
    model: Path, tmp_path: Path, change: Any, sentence: str
) -> None:
    other = changed_model(model, tmp_path / "other.emg", lambda m, _: change(m))
    with pytest.raises(EmagramError, match=sentence):
        run(online_case(emulator(other)), output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_with_inputs_of_another_host_is_refused(model: Path, tmp_path: Path) -> None:
    old, new = "sea_ice_area_fraction", "vegetation_area_fraction"
    contents = read_model_file(model)
    manifest = json.loads(json.dumps(contents.manifest).replace(old, new))
    del manifest["members"]
    selftest = {name.replace(old, new): value for name, value in contents.selftest.items()}
    write_model_file(tmp_path / "strange.emg", ModelFile(manifest, contents.plan, contents.weights, selftest))
    with pytest.raises(EmagramError, match="expected inputs that the host has, got 'vegetation_area_fraction'"):
        run(online_case(emulator(tmp_path / "strange.emg")), output=tmp_path / "run")


def test_a_model_without_an_output_can_leave_it_to_the_host(tmp_path: Path) -> None:
    """No fluxes at the top: refused as a whole, taken in parts."""
    model = write_linear_model(tmp_path / "model", constraints=("shortwave", "precipitation", "positivity"), extra=())
    with pytest.raises(EmagramError, match="expected an output 'toa_net_downward_shortwave_flux', got none"):
        run(online_case(emulator(model)), output=tmp_path / "all")
    winds = emulator(model, variables=("eastward_wind", "northward_wind"))
    folder = run(online_case(winds), output=tmp_path / "winds")
    assert summary(folder)["online_stable"]
    history = read(folder / "history.nc")
    assert np.abs(history["air_temperature_tendency_emulator"]).max() > 0.0
    assert history["air_temperature_correction"].max() == 0.0  # no constraint of this model changes it


def test_a_model_that_was_replaced_is_refused(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    case = online_case(emulator(model))
    run(dataclasses.replace(case, days=2), output=folder)
    other = changed_model(model, tmp_path / "other.emg", lambda m, _: m.update(description="another"))
    with pytest.raises(EmagramError, match=r"expected 'physics' as in its configuration.json"):
        run(online_case(emulator(other)), output=folder)
    kept = model.read_bytes()
    replaced = tmp_path / "linear.emg"
    replaced.write_bytes(kept)
    again = tmp_path / "again"
    run(dataclasses.replace(online_case(emulator(replaced)), days=2), output=again)
    replaced.unlink()
    replaced.write_bytes(other.read_bytes())
    with pytest.raises(
        EmagramError, match=r"expected the model that the run began with \(SHA-256 .{12}\), got another"
    ):
        run(online_case(emulator(replaced)), output=again)
    (again / "model.emg").unlink()
    (again / "model.emg").write_bytes(other.read_bytes())
    done = subprocess.run([str(program()), str(again / "case.nml")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "expected the one that the run began with" in done.stderr


def test_namelists_that_cannot_be_are_refused_by_the_host(model: Path, tmp_path: Path) -> None:
    prepare(online_case(emulator(model)), tmp_path)
    namelist = (tmp_path / "case.nml").read_text()
    for line, sentence in (
        ("physics%source = 'magic'", "'source': expected conventional or emulator, got 'magic'"),
        ("physics%constraints = 'hope'", "'constraints': expected enforce or measure, got 'hope'"),
        ("physics%on_invalid = 'hope'", "'on_invalid': expected mask, clip or error, got 'hope'"),
        ("physics%variables(1) = 'phlogiston'", "'variables': expected what an emulator gives, got 'phlogiston'"),
        ("physics%coupling%ramp = 'linear'", "ramp: expected a length of at least one step, got none"),
        ("physics%coupling%share = 2.0", "ramp: expected a share from 0 to 1, got another"),
        ("host%radiation_steps = 2", "'radiation_steps': expected 1 with an emulator, got 2"),
    ):
        (tmp_path / "case.nml").write_text(namelist.replace("\n/", f"\n  {line}\n/"))
        done = subprocess.run([str(program()), str(tmp_path / "case.nml")], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
    (tmp_path / "case.nml").write_text(namelist)
    (tmp_path / "model.emg").unlink()
    done = subprocess.run([str(program()), str(tmp_path / "case.nml")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "model.emg" in done.stderr


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: RampConfig("linear", 1.0, 0.0), "ramp 'days': expected more than 0 of a linear ramp, got 0.0"),
        (lambda: RampConfig("step", 1.0), "ramp 'days': expected more than 0 of a step ramp, got 0.0"),
        (lambda: RampConfig("linear", 1.0, float("inf")), "ramp 'days': expected at most 1e\\+06, got inf"),
        (lambda: RampConfig("constant", 1.0, 3.0), "ramp 'days': expected none of a constant ramp, got 3.0"),
        (lambda: RampConfig("constant", 1.5), "ramp 'share': expected 0 to 1, got 1.5"),
        (lambda: emulator(Path("m"), spin_up_days=-1), "'spin_up_days': expected 0 or more, got -1"),
        (lambda: emulator(Path("m"), variables=("soup",)), "'variables': expected some of air_temperature"),
        (lambda: online_case(emulator(Path("m"), spin_up_days=4)), "'spin_up_days': expected fewer than the 4 days"),
        (lambda: online_case(emulator(Path("m")), radiation_steps=2), "'radiation_steps': expected 1 with an emulator"),
        (
            lambda: online_case(blend(Path("m"), RampConfig("step", 1.0, 1e-4))),
            "expected at least a time step of 1200 s",
        ),
    ],
)
def test_physics_that_cannot_be_is_refused(build: Any, sentence: str) -> None:
    with pytest.raises(EmagramError, match=sentence):
        build()
