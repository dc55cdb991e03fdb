"""The column host as a program: the same bits however it is run, closed columns, records that others read."""

from __future__ import annotations

import csv
import dataclasses
import json
import signal
import subprocess
import time
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from emagram.emulators.data.climsim_files import read_raw
from emagram.emulators.data.climsim_series import find_series
from emagram.emulators.data.climsim_sets import variable_set
from emagram.hybrid.case import DailyMeanSunConfig, FixedSunConfig, ForcingConfig, RecordConfig, SurfaceConfig
from emagram.hybrid.run import prepare, program, run
from emagram.physics.constants import Constants
from emagram.physics.fortran_physics.boundary_layer import boundary_layer
from emagram.physics.fortran_physics.convection import convection
from emagram.physics.fortran_physics.longwave import longwave
from emagram.physics.fortran_physics.microphysics import microphysics
from emagram.physics.fortran_physics.shortwave import Albedo, shortwave
from emagram.physics.fortran_physics.sun import sun
from host_case import contents, read, small_case

E3SM = Constants()
CP, LV, LF, G = E3SM.heat_capacity_dry_air, E3SM.latent_heat_vaporization, E3SM.latent_heat_fusion, E3SM.gravity
LEVELS = ("t", "q0001", "q0002", "q0003", "u", "v")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one rank, in a folder with a space."""
    return run(small_case(), output=tmp_path_factory.mktemp("host") / "a run")


@pytest.fixture(scope="module")
def cloudy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day that begins with fog, ice cloud and supersaturation, recorded from its second step on."""
    folder = tmp_path_factory.mktemp("host") / "cloudy"
    case = small_case(days=1, record=RecordConfig(every=10, offset=1))
    prepare(case, folder)
    with netCDF4.Dataset(folder / "initial.nc", "r+") as file:
        file.variables["mass_fraction_of_cloud_liquid_water_in_air"][:, 45:55] = 6e-4
        file.variables["mass_fraction_of_cloud_ice_in_air"][:, 25:35] = 1.5e-4
        file.variables["specific_humidity"][:, 35:50] *= 1.6
    return run(case, output=folder)


def interfaces(initial: dict[str, np.ndarray]) -> np.ndarray:
    return initial["hyai"] * initial["P0"] + initial["hybi"] * initial["surface_air_pressure"][:, None]


def first_pair(folder: Path, step: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    paths = sorted((folder / "columns").glob("*.mli.*"))
    path = paths[step]
    return read(path), read(path.with_name(path.name.replace(".mli.", ".mlo.")))


@pytest.mark.mpi
@pytest.mark.parametrize(("ranks", "chunk"), [(2, 4), (4, 3), (1, 1), (1, 100)])
def test_ranks_and_chunks_change_no_bit(folder: Path, tmp_path: Path, ranks: int, chunk: int) -> None:
    other = run(small_case(chunk=chunk), ranks=ranks, output=tmp_path / "run")
    assert contents(other) == contents(folder)
    hashes = {json.loads((f / "summary.json").read_text())["state_sha256"] for f in (folder, other)}
    assert len(hashes) == 1


@pytest.mark.mpi
def test_more_ranks_than_columns(tmp_path: Path) -> None:
    grid = dataclasses.replace(small_case().grid, n_column=2)
    few = small_case(grid=grid, days=1)
    assert contents(run(few, ranks=4, output=tmp_path / "4")) == contents(run(few, output=tmp_path / "1"))


@pytest.mark.mpi
@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1)])
def test_a_restart_on_other_ranks_changes_no_bit(folder: Path, tmp_path: Path, before: int, after: int) -> None:
    run(small_case(days=1), ranks=before, output=tmp_path / "run")
    assert contents(tmp_path / "run")["restart.nc"] != contents(folder)["restart.nc"]
    run(small_case(chunk=2), ranks=after, output=tmp_path / "run")
    assert contents(tmp_path / "run") == contents(folder)


def test_a_killed_run_continues_to_the_same_bits(tmp_path: Path) -> None:
    case = small_case(days=60, record=RecordConfig(every=500))
    whole = run(case, output=tmp_path / "whole")
    prepare(case, tmp_path / "killed")
    with subprocess.Popen([program(), tmp_path / "killed" / "case.nml"], stdout=subprocess.DEVNULL) as host:
        while not (tmp_path / "killed" / "restart.nc").exists() and host.poll() is None:
            time.sleep(0.001)
        host.send_signal(signal.SIGKILL)
    assert host.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    with (tmp_path / "killed" / "budgets.csv").open("a") as file:
        file.write("7,1.2")  # as a line that was being written
    run(case, output=tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(whole)


def test_a_finished_run_is_not_repeated(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nc")}
    summary = (folder / "summary.json").read_bytes()
    run(small_case(), output=folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nc")} == before
    assert (folder / "summary.json").read_bytes() == summary


@pytest.mark.parametrize("weather", ["folder", "cloudy"])
def test_every_process_closes_every_column(weather: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(weather)
    summary = json.loads((folder / "summary.json").read_text())
    assert 0.0 < summary["closure_flux_energy_w_m2"] <= 1e-10
    assert 0.0 < summary["closure_flux_water_kg_m2_s"] <= 1e-15
    # differences of totals: 3e9 J m-2 and 30 kg m-2 are known to 5e-7 J m-2 and 4e-15 kg m-2
    assert summary["closure_state_energy_w_m2"] <= 1e-8
    assert summary["closure_state_water_kg_m2_s"] <= 1e-15
    with (folder / "budgets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["day"] for row in rows] == [str(day + 1) for day in range(len(rows))]
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
    assert all(float(row["filled_water_mm_day"]) <= 1e-12 for row in rows)


@pytest.mark.parametrize("weather", ["folder", "cloudy"])
def test_recorded_columns_close_in_climsim_names(weather: str, request: pytest.FixtureRequest) -> None:
    """Budgets A, B and C of the recorded files, by formulas that know nothing of the host."""
    folder = request.getfixturevalue(weather)
    mass = np.diff(interfaces(read(folder / "initial.nc")), axis=1) / G
    for step in range(6):
        mli, mlo = first_pair(folder, step)
        rate = {name: (mlo[f"state_{name}"] - mli[f"state_{name}"]) / 1200.0 for name in LEVELS}
        rain, snow = 1000.0 * (mlo["cam_out_PRECC"] - mlo["cam_out_PRECSC"]), 1000.0 * mlo["cam_out_PRECSC"]
        water = ((rate["q0001"] + rate["q0002"] + rate["q0003"]) * mass).sum(axis=1)
        np.testing.assert_allclose(water, -(rain + snow), rtol=0.0, atol=1e-13)
        kinetic = sum(0.5 * (mlo[f"state_{w}"] ** 2 - mli[f"state_{w}"] ** 2) / 1200.0 for w in "uv")
        gained = CP * rate["t"] + (LV + LF) * rate["q0001"] + LF * rate["q0002"] + kinetic
        net = mlo["cam_out_FSNT"] - mlo["cam_out_NETSW"] - mlo["cam_out_FLUT"]
        net += mli["cam_in_LWUP"] - mlo["cam_out_FLWDS"]
        np.testing.assert_allclose((gained * mass).sum(axis=1), net - LF * rain, rtol=0.0, atol=1e-6)
        absorbed = sum(
            mlo[f"cam_out_{sol}"] * (1.0 - mli[f"cam_in_{albedo}"])
            for sol, albedo in (("SOLS", "ASDIR"), ("SOLL", "ALDIR"), ("SOLSD", "ASDIF"), ("SOLLD", "ALDIF"))
        )
        np.testing.assert_allclose(mlo["cam_out_NETSW"], absorbed, rtol=0.0, atol=1e-10)
        night = mli["pbuf_SOLIN"] == 0.0
        assert (mlo["cam_out_NETSW"][night] == 0.0).all()
        np.testing.assert_array_equal(mli["cam_in_OCNFRAC"], 1.0 - mli["cam_in_LANDFRAC"])


def test_the_recorded_step_is_the_physics_of_python(cloudy: Path) -> None:
    """From the mli file of a cloudy step, process by process through the Python front ends, to the mlo file."""
    initial = read(cloudy / "initial.nc")
    pressure = interfaces(initial)
    mli, mlo = first_pair(cloudy)
    assert (mli["pbuf_SOLIN"] > 100.0).sum() >= 3
    assert (mli["state_q0002"].max(axis=1) > 1e-4).all()
    assert (mli["state_q0003"].max(axis=1) > 1e-5).sum() >= 5
    assert (mlo["cam_out_PRECC"] > mlo["cam_out_PRECSC"]).any()
    light = sun((1 + 0.5) / 72.0, initial["lat"], initial["lon"], time_step=1200.0)
    np.testing.assert_allclose(mli["pbuf_SOLIN"], light.toa_incoming_shortwave_flux, rtol=1e-13)
    np.testing.assert_allclose(mli["pbuf_COSZRS"], light.cosine_of_solar_zenith_angle, rtol=1e-13)
    t, q, ql, qi, u, v = (mli[f"state_{name}"] for name in LEVELS)
    cloud = {"cloud_liquid": ql, "cloud_ice": qi}
    thermal = longwave(pressure, t, q, **cloud, surface_upwelling_longwave_flux=mli["cam_in_LWUP"])
    albedo = Albedo(*(mli[f"cam_in_{name}"] for name in ("ASDIR", "ALDIR", "ASDIF", "ALDIF")))
    solar = shortwave(
        pressure,
        q,
        **cloud,
        ozone=mli["pbuf_ozone"],
        cosine_of_solar_zenith_angle=mli["pbuf_COSZRS"],
        toa_incoming_shortwave_flux=mli["pbuf_SOLIN"],
        albedo=albedo,
    )
    np.testing.assert_allclose(mlo["cam_out_FLUT"], thermal.upwelling_longwave_flux_in_air[:, 0], rtol=1e-13)
    down, up = solar.downwelling_shortwave_flux_in_air, solar.upwelling_shortwave_flux_in_air
    np.testing.assert_allclose(mlo["cam_out_FSNT"], down[:, 0] - up[:, 0], rtol=1e-13)
    np.testing.assert_allclose(mlo["cam_out_SOLLD"], solar.surface_downwelling_diffuse_near_infrared_flux_in_air)
    t = t + 1200.0 * (
        thermal.tendency_of_air_temperature_due_to_longwave_heating
        + solar.tendency_of_air_temperature_due_to_shortwave_heating
    )
    mixed = boundary_layer(
        pressure,
        time_step=1200.0,
        air_temperature=t,
        specific_humidity=q,
        **cloud,
        eastward_wind=u,
        northward_wind=v,
        sensible_heat_flux=mli["pbuf_SHFLX"],
        evaporation=mli["pbuf_LHFLX"] / LV,
        stress_eastward=mli["pbuf_TAUX"],
        stress_northward=mli["pbuf_TAUY"],
    )
    t, q, ql, qi, u, v = (x + 1200.0 * rate for x, rate in zip((t, q, ql, qi, u, v), mixed[:6], strict=True))
    convected = convection(pressure, time_step=1200.0, air_temperature=t, specific_humidity=q)
    t, q, ql, qi = (x + 1200.0 * rate for x, rate in zip((t, q, ql, qi), convected[:4], strict=True))
    rained = microphysics(
        pressure, time_step=1200.0, air_temperature=t, specific_humidity=q, cloud_liquid=ql, cloud_ice=qi
    )
    t, q, ql, qi = (x + 1200.0 * rate for x, rate in zip((t, q, ql, qi), rained[:4], strict=True))
    snow = convected.snow + rained.snow[:, -1]
    rain = convected.rain + rained.rain[:, -1]
    assert rained.rain[:, -1].max() > 1e-6
    np.testing.assert_allclose(1000.0 * mlo["cam_out_PRECSC"], snow, rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(1000.0 * mlo["cam_out_PRECC"], rain + snow, rtol=1e-9, atol=1e-18)
    for name, expected, scale in zip(LEVELS, (t, q, ql, qi, u, v), (300, 1e-2, 1e-4, 1e-4, 10, 10), strict=True):
        np.testing.assert_allclose(mlo[f"state_{name}"], expected, rtol=0.0, atol=1e-11 * scale, err_msg=name)


def test_the_forcing_is_the_formula_of_its_module(tmp_path: Path) -> None:
    """One step a day, so that the mean of the day is the rate of that step."""
    forcing = ForcingConfig(
        n_mode=2,
        vertical_velocity=3e-4,
        heating=1.0,
        moistening=0.1,
        temperature_relaxation_days=5.0,
        humidity_relaxation_days=7.0,
        wind_relaxation_days=3.0,
    )
    out = run(small_case(days=1, time_step=86400, forcing=forcing), output=tmp_path / "run")
    initial, history = read(out / "initial.nc"), read(out / "history.nc")
    pressure = interfaces(initial)
    middle = 0.5 * (pressure[:, 1:] + pressure[:, :-1])
    s = np.clip((middle - 1e4) / (pressure[:, -1:] - 1e4), 0.0, None)
    omega, heating, moistening = np.zeros((3, *middle.shape))
    for m in range(2):
        wave = np.sin(2 * np.pi * 43200.0 / initial["forcing_period"][:, m] + initial["forcing_phase"][:, m])
        wave = wave[:, None] * np.sin(np.pi * initial["forcing_half_waves"][:, m][:, None] * s)
        omega += initial["forcing_vertical_velocity"][:, m][:, None] * wave
        heating += initial["forcing_heating"][:, m][:, None] * wave
        moistening += initial["forcing_relative_moistening"][:, m][:, None] * wave

    def lifted(x: np.ndarray) -> np.ndarray:
        slope = np.diff(x, axis=1) / np.diff(middle, axis=1)
        above, below = np.pad(slope, ((0, 0), (1, 0))), np.pad(slope, ((0, 0), (0, 1)))
        return -np.where(omega > 0.0, omega * above, omega * below)

    t, q = initial["air_temperature"], initial["specific_humidity"]
    kappa = E3SM.gas_constant_dry_air / CP
    expected = lifted(t) + kappa * t * omega / middle + heating
    expected += (initial["reference_air_temperature"] - t) / (6 * 86400.0)
    got = history["air_temperature_tendency_forcing"][0]
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-16)
    expected = lifted(q) + moistening * q + (initial["reference_specific_humidity"] - q) / (8 * 86400.0)
    got = history["specific_humidity_tendency_forcing"][0]
    np.testing.assert_allclose(got, np.maximum(expected, -q / 86400.0), rtol=1e-10, atol=1e-22)
    assert np.abs(omega).max() > 1e-4


def test_forcing_that_would_dry_below_zero_is_withheld_and_told(tmp_path: Path) -> None:
    forcing = ForcingConfig(n_mode=4, moistening=1.5)
    out = run(small_case(days=1, time_step=86400, forcing=forcing), output=tmp_path / "run")
    with (out / "budgets.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["withheld_water_mm_day"]) > 0.01
    assert read(out / "restart.nc")["specific_humidity"].min() >= 0.0
    assert float(row["closure_state_water_kg_m2_s"]) <= 1e-15


def test_held_radiation_and_other_suns(tmp_path: Path) -> None:
    """A fixed sun is the same for all; held radiation is that of its first step; a daily mean has no night."""
    fixed = FixedSunConfig("fixed", 300.0, 0.5)
    every = RecordConfig(every=1)
    out = run(small_case(days=1, sun=fixed, record=every, radiation_steps=3), output=tmp_path / "fixed")
    pairs = [first_pair(out, step) for step in range(4)]
    assert all((mli["pbuf_SOLIN"] == 300.0).all() and (mli["pbuf_COSZRS"] == 0.5).all() for mli, _ in pairs)
    flux = [mlo["cam_out_FLUT"] for _, mlo in pairs]
    assert (flux[0] == flux[1]).all()
    assert (flux[0] == flux[2]).all()
    assert (flux[0] != flux[3]).all()
    assert (pairs[0][1]["state_t"] != pairs[1][1]["state_t"]).any()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["closure_flux_energy_w_m2"] <= 1e-10
    daily = run(small_case(days=1, sun=DailyMeanSunConfig("daily_mean"), record=every), output=tmp_path / "daily")
    solin = [first_pair(daily, step)[0]["pbuf_SOLIN"] for step in (0, 30, 71)]
    latitude = read(daily / "initial.nc")["lat"]
    expected = sun(0.5, latitude, np.zeros_like(latitude), time_step=86400.0).toa_incoming_shortwave_flux
    for values in solin:
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


def test_the_slab_gains_what_the_column_loses(tmp_path: Path) -> None:
    """Heat capacity times warming over a day is the mean flux of the budgets; prescribed seas stay."""
    surface = SurfaceConfig(heat_capacity=1.0e6, relaxation_days=2.0)
    out = run(small_case(days=1, surface=surface), output=tmp_path / "slab")
    initial, final = read(out / "initial.nc"), read(out / "restart.nc")
    gained = 1.0e6 * (final["surface_temperature"] - initial["surface_temperature"]) / 86400.0
    with (out / "budgets.csv").open() as file:
        (row,) = csv.DictReader(file)
    mean = np.average(gained, weights=initial["area"])
    net, relaxation = float(row["surface_net_downward_flux_w_m2"]), float(row["surface_relaxation_w_m2"])
    np.testing.assert_allclose(mean, net + relaxation, rtol=0.0, atol=1e-6)
    assert abs(relaxation) > 0.1
    assert np.abs(gained).max() > 1.0
    fixed = run(small_case(days=1, surface=SurfaceConfig()), output=tmp_path / "fixed")
    np.testing.assert_array_equal(read(fixed / "restart.nc")["surface_temperature"], initial["surface_temperature"])


def test_history_holds_means_with_units(folder: Path) -> None:
    history = read(folder / "history.nc")
    with netCDF4.Dataset(folder / "history.nc") as file:
        assert all(v.units for v in file.variables.values())
        assert file.variables["air_temperature"].dimensions == ("time", "lev", "ncol")
    np.testing.assert_array_equal(history["time"], [1.0, 2.0])
    assert np.isfinite(history["air_temperature"]).all()
    parts = [f"air_temperature_tendency_{p}" for p in ("longwave", "shortwave")]
    np.testing.assert_allclose(
        sum(history[p] for p in parts), history["air_temperature_tendency_radiation"], rtol=1e-9, atol=1e-18
    )
    processes = ("forcing", "surface", "radiation", "boundary_layer", "convection", "microphysics")
    change = 86400.0 * sum(history[f"air_temperature_tendency_{p}"][1] for p in processes)
    before = run(small_case(days=1), output=folder.parent / "one day")
    start, end = read(before / "restart.nc"), read(folder / "restart.nc")
    np.testing.assert_allclose(end["air_temperature"] - start["air_temperature"], change, rtol=0.0, atol=1e-9)


def test_dates_of_records_follow_the_calendar_without_leap_years(tmp_path: Path) -> None:
    case = small_case(days=3, start_day=58, record=RecordConfig(every=50, offset=3, from_day=1, to_day=3))
    out = run(case, output=tmp_path / "run")
    names = sorted(path.name for path in (out / "columns").iterdir() if ".mli." in path.name)
    # steps 103, 153 and 203 of days that begin on the 28th of February
    assert names == [
        "emagram.mli.0001-03-01-37200.nc",
        "emagram.mli.0001-03-02-10800.nc",
        "emagram.mli.0001-03-02-70800.nc",
    ]
    first = read(out / "columns" / names[0])
    assert (first["ymd"], first["tod"]) == (10301, 37200)


def test_records_are_read_as_climsim_files(folder: Path) -> None:
    """By the readers of ClimSim's own: every input and output of v2 is there, plausible and in its unit."""
    series = find_series(folder / "columns", time_step=1200.0)
    assert series.n_step == 6
    chosen = variable_set("v2")
    state = {name: name.replace("ptend", "state") for name in chosen.outputs}
    for second in series.times:
        mli = read_raw(series.path(second, "mli"), [*chosen.inputs, "state_pmid"], n_column=9, n_level=60)
        mlo = read_raw(series.path(second, "mlo"), sorted(set(state.values())), n_column=9, n_level=60)
        assert mli["state_t"].shape == mlo["state_t"].shape == (9, 60)
    pressure = interfaces(read(folder / "initial.nc"))
    np.testing.assert_allclose(mli["state_pmid"], 0.5 * (pressure[:, 1:] + pressure[:, :-1]), rtol=1e-14)
