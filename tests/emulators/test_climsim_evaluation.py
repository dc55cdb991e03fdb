"""Evaluations against plain numpy on all times at once, emulators of known error, and what is written and compared."""

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

from climsim_columns import (
    N_CELL,
    N_LEVEL,
    OUTPUTS,
    TIME_STEP,
    KnownEmulator,
    SmallGrid,
    noisy,
    replayed,
    small_grid,
    small_spec,
    small_stream,
)
from emagram.emulators.climsim_accumulators import Cells
from emagram.emulators.climsim_evaluation import EvaluationOptions, evaluate_columns, evaluate_ensemble
from emagram.emulators.climsim_metrics import crps
from emagram.emulators.climsim_scores import Evaluation, compare_climates, compare_networks
from emagram.emulators.training.samples import Samples
from emagram.physics.errors import EmagramError
from emagram.physics.vertical import HybridCoordinate

HEATING = "tendency_of_air_temperature_due_to_model_physics"
ZONAL_WIND = "tendency_of_eastward_wind_due_to_model_physics"
RAIN = "lwe_precipitation_rate"
NETSW = "surface_net_downward_shortwave_flux"
Stream = list[tuple[int, Samples]]


def truth_of(name: str, truth: Tensor) -> Tensor:  # noqa: ARG001
    return truth


def stacked(stream: Stream, name: str, kind: str = "targets") -> np.ndarray:
    """(n_time, n_cell[, n_level])."""
    return np.stack([getattr(samples, kind)[name].numpy() for _, samples in stream])


def predictions(stream: Stream, seed: int) -> dict[str, np.ndarray]:
    """What KnownEmulator with `noisy(seed)` returns, time by time."""
    change = noisy(seed)
    rows = [{name: change(name, samples.targets[name]).numpy() for name in OUTPUTS} for _, samples in stream]
    return {name: np.stack([row[name] for row in rows]) for name in OUTPUTS}


def weight(stream: Stream, grid: SmallGrid, name: str) -> np.ndarray:
    """ClimSim's weights written out: to W m-2, times area / mean(area); (n_time, n_cell[, n_level])."""
    area = grid.area / grid.area.mean()
    if not name.startswith("tendency"):
        return area * (2.501e9 if name.startswith("lwe") else 1.0) * np.ones((len(stream), 1))
    hyai, hybi = np.array(grid.coordinate.hyai), np.array(grid.coordinate.hybi)
    pressure = hyai * 1e5 + hybi * stacked(stream, "surface_air_pressure", "inputs")[..., None]
    mass = np.diff(pressure, axis=-1) / 9.80616
    if "wind" in name:
        factor = np.hypot(stacked(stream, "eastward_wind", "inputs"), stacked(stream, "northward_wind", "inputs"))
    else:
        factor = 1004.64 if "temperature" in name else 2.501e6
    return area[:, None] * mass * factor


@pytest.fixture(scope="module")
def stream() -> Stream:
    return small_stream(n_step=6)


@pytest.fixture(scope="module")
def evaluation(stream: Stream) -> Evaluation:
    emulator = KnownEmulator(small_spec(), stream, noisy(1))
    options = EvaluationOptions(network="unet", seed=1, data="present", n_band=5)
    return evaluate_columns(emulator, replayed(stream), small_grid(), options)


@pytest.mark.parametrize("name", OUTPUTS)
def test_scores_are_those_of_climsim(stream: Stream, evaluation: Evaluation, name: str) -> None:
    w = weight(stream, small_grid(), name)
    truth, predicted = w * stacked(stream, name), w * predictions(stream, 1)[name]
    error = predicted - truth
    squares, departure = (error**2).sum(axis=0), ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    row = evaluation.row(name)
    assert row["mae"] == pytest.approx(np.abs(error).mean(axis=0).mean(axis=0).mean())
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean(axis=0)).mean(axis=0).mean())
    assert row["bias"] == pytest.approx(error.mean())
    assert row["r2"] == pytest.approx((1.0 - squares / departure).mean())
    assert row["r2_pooled"] == pytest.approx(1.0 - squares.sum() / departure.sum())
    assert row["r2_undefined"] == 0
    assert math.isnan(row["crps"])
    native = predictions(stream, 1)[name] - stacked(stream, name)
    assert row["native_mae"] == pytest.approx(np.abs(native).mean())
    assert row["native_bias"] == pytest.approx(native.mean())


def test_the_table_names_climsim_s_variables(evaluation: Evaluation) -> None:
    assert [row["climsim"] for row in evaluation.rows][:7] == [
        *("ptend_t", "ptend_q0001", "ptend_q0002", "ptend_q0003", "ptend_u", "ptend_v"),
        "cam_out_NETSW",
    ]
    assert evaluation.row(HEATING)["native_unit"] == "K s-1"
    with pytest.raises(EmagramError, match=r"expected a variable of .* got 'rain'"):
        evaluation.row("rain")


def test_the_truth_scores_perfectly(stream: Stream) -> None:
    evaluation = evaluate_columns(KnownEmulator(small_spec(), stream, truth_of), stream, small_grid())
    for row in evaluation.rows:
        assert row["mae"] == row["rmse"] == row["bias"] == 0.0
        assert row["r2"] == row["r2_pooled"] == row["r2_global"] == 1.0
    assert evaluation.kaggle is not None
    assert evaluation.kaggle.scored == evaluation.kaggle.with_zeroed == 1.0
    assert float(evaluation.profiles["zonal_mean_r2"].min()) == 1.0
    for kinds in evaluation.budgets.values():
        assert kinds["prediction"] == kinds["truth"]


def test_a_bias_comes_out_in_watts(stream: Stream) -> None:
    """1 mm of rain an hour too much, in each column: Lv × 1/3600 kg m⁻² s⁻¹ = 694.7 W m⁻²."""
    extra = {RAIN: 1e-3 / 3600.0}
    emulator = KnownEmulator(small_spec(), stream, lambda name, truth: truth + extra.get(name, 0.0))
    evaluation = evaluate_columns(emulator, stream, small_grid())
    assert evaluation.row(RAIN)["bias"] == pytest.approx(694.7, abs=0.1)
    assert evaluation.row(RAIN)["native_bias"] == pytest.approx(1e-3 / 3600.0)
    assert evaluation.row(NETSW)["bias"] == 0.0
    water = evaluation.budgets["A_water"]
    gained = water["prediction"]["mean"] - water["truth"]["mean"]  # type: ignore[operator]
    assert gained == pytest.approx(1.0 / 3600.0)


def test_profiles_hold_each_level(stream: Stream, evaluation: Evaluation) -> None:
    w = weight(stream, small_grid(), ZONAL_WIND)
    error = w * (predictions(stream, 1)[ZONAL_WIND] - stacked(stream, ZONAL_WIND))
    profile = evaluation.profiles.sel(variable=ZONAL_WIND)
    np.testing.assert_allclose(profile["mae"], np.abs(error).mean(axis=(0, 1)))
    np.testing.assert_allclose(profile["bias"], error.mean(axis=(0, 1)))
    assert evaluation.profiles.sizes == {"variable": 6, "level": N_LEVEL, "band": 5, "bound": 6}
    grid, surface = small_grid(), stacked(stream, "surface_air_pressure", "inputs")
    interface = np.array(grid.coordinate.hyai) * 1e5 + np.array(grid.coordinate.hybi) * surface[..., None]
    middle = 0.5 * (interface[..., 1:] + interface[..., :-1])
    expected = np.average(middle.mean(axis=0), axis=0, weights=grid.area)
    np.testing.assert_allclose(evaluation.profiles["air_pressure"], expected)


@pytest.mark.parametrize("n_step_mean", [1, 2])
def test_zonal_means_are_weighted_by_area_in_bands_of_equal_area(stream: Stream, n_step_mean: int) -> None:
    grid = small_grid()
    options = EvaluationOptions(n_band=3, n_step_mean=n_step_mean)
    evaluation = evaluate_columns(KnownEmulator(small_spec(), stream, noisy(1)), stream, grid, options)
    truth, predicted = stacked(stream, HEATING), predictions(stream, 1)[HEATING]
    sine = np.sin(np.deg2rad(grid.latitude))
    for band, (south, north) in enumerate([(-1.0, -1 / 3), (-1 / 3, 1 / 3), (1 / 3, 1.0)]):
        cells = (sine > south) & (sine < north)
        assert cells.sum() == N_CELL // 3
        zonal = [np.average(a[:, cells], axis=1, weights=grid.area[cells]) for a in (predicted, truth)]
        p, t = (a.reshape(-1, n_step_mean, N_LEVEL).mean(axis=1) for a in zonal)
        expected = 1.0 - ((p - t) ** 2).sum(axis=0) / ((t - t.mean(axis=0)) ** 2).sum(axis=0)
        found = evaluation.profiles["zonal_mean_r2"].sel(variable=HEATING).isel(band=band)
        np.testing.assert_allclose(found, expected)
    bounds = evaluation.profiles["sine_of_latitude_bound"]
    np.testing.assert_allclose(bounds, [-1.0, -1 / 3, 1 / 3, 1.0])


def test_a_band_without_cells_has_no_zonal_mean(stream: Stream) -> None:
    grid = small_grid()
    tropics = SmallGrid(grid.coordinate, grid.latitude * 0.3, grid.longitude, grid.area)
    options = EvaluationOptions(n_band=9)
    evaluation = evaluate_columns(KnownEmulator(small_spec(), stream, noisy(1)), stream, tropics, options)
    r2 = evaluation.profiles["zonal_mean_r2"].sel(variable=HEATING)
    assert bool(r2.isel(band=[0, -1]).isnull().all())
    assert bool(r2.isel(band=4).notnull().all())


def test_steps_that_fill_no_mean_are_left_out(stream: Stream) -> None:
    options = EvaluationOptions(n_step_mean=4)
    evaluation = evaluate_columns(KnownEmulator(small_spec(), stream, noisy(1)), stream, small_grid(), options)
    assert bool(evaluation.profiles["zonal_mean_r2"].isnull().all())  # one mean of four steps has no variance


def test_a_perfect_pole_has_latitude_90(stream: Stream) -> None:
    grid = small_grid()
    latitude = grid.latitude.copy()
    latitude[0], latitude[-1] = -90.0, 90.0
    poles = SmallGrid(grid.coordinate, latitude, grid.longitude, grid.area)
    evaluation = evaluate_columns(KnownEmulator(small_spec(), stream, truth_of), stream, poles)
    assert float(evaluation.profiles["zonal_mean_r2"].isel(band=-1).min()) == 1.0


def test_an_ensemble_is_scored_as_its_mean_and_by_its_crps(stream: Stream) -> None:
    emulators = [KnownEmulator(small_spec(), stream, noisy(seed)) for seed in (1, 2, 3)]
    evaluation = evaluate_ensemble(emulators, stream, small_grid())
    members = np.stack([predictions(stream, seed)[HEATING] for seed in (1, 2, 3)])
    w, truth = weight(stream, small_grid(), HEATING), stacked(stream, HEATING)
    expected = crps(torch.from_numpy(w * members), torch.from_numpy(w * truth)).mean()
    row = evaluation.row(HEATING)
    assert row["crps"] == pytest.approx(float(expected))
    assert row["mae"] == pytest.approx(np.abs(w * (members.mean(axis=0) - truth)).mean())
    assert row["crps"] < row["mae"]
    with pytest.raises(EmagramError, match="ensemble: expected at least 2 emulators, got 1"):
        evaluate_ensemble(emulators[:1], stream, small_grid())
    other = KnownEmulator(small_spec(outputs=(HEATING,)), stream, truth_of)
    with pytest.raises(EmagramError, match="ensemble: expected outputs"):
        evaluate_ensemble([emulators[0], other], stream, small_grid())


def test_an_emulator_of_few_outputs_has_no_kaggle_score_and_says_which_budgets_it_lacks(stream: Stream) -> None:
    emulator = KnownEmulator(small_spec(outputs=(HEATING, NETSW)), stream, truth_of)
    evaluation = evaluate_columns(emulator, stream, small_grid())
    assert evaluation.kaggle is None
    water = evaluation.budgets["A_water"]
    assert "tendency_of_specific_humidity" in str(water["prediction"]["skipped"])
    assert "skipped" not in water["truth"]
    assert "toa_net_downward_shortwave_flux" in str(evaluation.budgets["B_energy"]["truth"]["skipped"])


def test_budgets_cover_every_column_of_every_time(evaluation: Evaluation) -> None:
    for kinds in evaluation.budgets.values():
        for summary in kinds.values():
            assert "skipped" in summary or summary["n_column"] == 6 * N_CELL


def test_evaluations_survive_writing(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("written")
    evaluation.write(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["evaluation.json", "profiles.nc", "scores.csv"]
    again = Evaluation.read(folder)
    assert again.to_json() == evaluation.to_json()
    assert again.kaggle == evaluation.kaggle
    xr.testing.assert_equal(again.profiles, evaluation.profiles)
    assert again.profiles["mae"].attrs["units"] == "W m-2"
    rows = list(csv.DictReader(io.StringIO((folder / "scores.csv").read_text())))
    assert [row["variable"] for row in rows] == list(OUTPUTS)
    assert float(rows[0]["mae"]) == evaluation.rows[0]["mae"]
    assert rows[0]["crps"] == ""
    (folder / "evaluation.json").write_text("{}")
    with pytest.raises(EmagramError, match="expected the files of an evaluation"):
        Evaluation.read(folder)
    with pytest.raises(EmagramError, match="expected a folder to write into"):
        evaluation.write(folder / "absent")


def test_a_constant_truth_is_null_in_json_and_counted(stream: Stream) -> None:
    dark = [
        (time, Samples(samples.inputs, {**samples.targets, NETSW: torch.zeros(N_CELL, dtype=torch.float64)}))
        for time, samples in stream
    ]
    evaluation = evaluate_columns(KnownEmulator(small_spec(), dark, noisy(1)), dark, small_grid())

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (row,) = (r for r in json.loads(evaluation.to_json(), parse_constant=refuse)["rows"] if r["variable"] == NETSW)
    assert row["r2"] is None
    assert row["r2_pooled"] is None
    assert row["r2_undefined"] == N_CELL
    assert row["mae"] > 0.0
    assert evaluation.kaggle is not None
    assert evaluation.kaggle.n_constant == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: [*s, s[0]], "time 0: expected every time once, got this one twice"),
        (lambda s: [(0, s[0][1].select(torch.arange(5)))], "time 0: expected the 18 columns of the grid, got 5"),
        (lambda _: [], "evaluation: expected at least one time, got none"),
        (
            lambda s: [(0, Samples(s[0][1].inputs, {HEATING: s[0][1].targets[HEATING]}))],
            "time 0: expected the field 'tendency_of_specific_humidity_due_to_model_physics', got none",
        ),
    ],
)
def test_streams_that_do_not_fit_are_refused(stream: Stream, change, message: str) -> None:
    changed = change(stream)
    with pytest.raises(EmagramError, match=message):
        evaluate_columns(KnownEmulator(small_spec(), changed, truth_of), changed, small_grid())


def test_a_prediction_that_is_not_finite_is_named(stream: Stream) -> None:
    def diverge(name: str, truth: Tensor) -> Tensor:
        return truth / 0.0 if name == RAIN else truth

    message = "time 0: output 'lwe_precipitation_rate', prediction: expected finite values, got NaN or infinity"
    with pytest.raises(EmagramError, match=message):
        evaluate_columns(KnownEmulator(small_spec(), stream, diverge), stream, small_grid())


def test_grids_that_do_not_fit_are_refused(stream: Stream) -> None:
    emulator = KnownEmulator(small_spec(), stream, truth_of)
    with pytest.raises(EmagramError, match="grid: expected 14 levels, got 9"):
        evaluate_columns(emulator, stream, small_grid(n_level=9))
    good = small_grid()
    with pytest.raises(EmagramError, match="grid: expected latitudes from -90 to 90 degrees, got 708"):
        evaluate_columns(emulator, stream, SmallGrid(good.coordinate, good.latitude * 10.0, good.longitude, good.area))
    with pytest.raises(EmagramError, match="grid: expected positive areas"):
        evaluate_columns(emulator, stream, SmallGrid(good.coordinate, good.latitude, good.longitude, -good.area))
    with pytest.raises(EmagramError, match="evaluation 'n_band': expected a positive number, got 0"):
        EvaluationOptions(n_band=0)


def members(stream: Stream, data: str, size: float) -> list[Evaluation]:
    return [
        evaluate_columns(
            KnownEmulator(small_spec(), stream, noisy(seed + len(network), size * (1.0 + 0.1 * seed))),
            stream,
            small_grid(),
            EvaluationOptions(network=network, seed=seed, data=data),
        )
        for network in ("mlp", "unet")
        for seed in (1, 2, 3)
    ]


@pytest.fixture(scope="module")
def present(stream: Stream) -> list[Evaluation]:
    """Two networks of three seeds."""
    return members(stream, "present", 0.3)


@pytest.fixture(scope="module")
def warm(stream: Stream) -> list[Evaluation]:
    """The same, each twice as wrong."""
    return members(stream, "+4 K", 0.6)


def test_networks_are_compared_over_seeds(present: list[Evaluation]) -> None:
    rows = compare_networks(present)
    assert len(rows) == 2 * len(OUTPUTS)
    row = next(row for row in rows if row["network"] == "unet" and row["variable"] == RAIN)
    values = [e.row(RAIN)["mae"] for e in present if e.network == "unet"]
    assert row["members"] == 3
    assert row["mae_mean"] == pytest.approx(np.mean(values))
    assert row["mae_spread"] == pytest.approx(np.std(values, ddof=1))


def test_climates_are_compared_member_by_member(present: list[Evaluation], warm: list[Evaluation]) -> None:
    rows = compare_climates(present, list(reversed(warm)))
    row = next(row for row in rows if row["network"] == "mlp" and row["variable"] == HEATING)
    assert (row["reference"], row["heldout"], row["members"]) == ("present", "+4 K", 3)
    assert row["mae_ratio_mean"] == pytest.approx(2.0, rel=1e-9)
    # every member is exactly twice as wrong, so the ratio has no spread though the errors have
    assert row["mae_ratio_spread"] < 1e-12
    assert row["mae_reference_spread"] > 0.0
    loss = [a.row(HEATING)["r2"] - b.row(HEATING)["r2"] for a, b in zip(present[:3], warm[:3], strict=True)]
    assert row["r2_loss_mean"] == pytest.approx(np.mean(loss))
    assert row["r2_loss_mean"] > 0.0


def test_climates_need_the_same_members_of_one_data_set_each(present: list[Evaluation], warm: list[Evaluation]) -> None:
    with pytest.raises(EmagramError, match=r"held-out climate: expected the networks and seeds .*\('mlp', 1\)"):
        compare_climates(present, warm[1:])
    with pytest.raises(EmagramError, match="climate 'held out': expected evaluations of different members"):
        compare_climates(present, [*warm, *present])


def test_an_emulator_needs_pressure_and_a_time_step(stream: Stream) -> None:
    spec = small_spec()
    assert spec.time_step == TIME_STEP
    timeless = type(spec)(spec.n_level, spec.inputs, spec.outputs, spec.features)
    with pytest.raises(EmagramError, match="expected an emulator with a time step"):
        evaluate_columns(KnownEmulator(timeless, stream, truth_of), stream, small_grid())
    inputs = tuple(name for name in spec.inputs if name != "surface_air_pressure")
    without = type(spec)(spec.n_level, inputs, spec.outputs, (), time_step=TIME_STEP)
    with pytest.raises(EmagramError, match="expected the input 'surface_air_pressure'"):
        evaluate_columns(KnownEmulator(without, stream, truth_of), stream, small_grid())


@pytest.mark.real_data
def test_climsim_s_own_grid_gives_308_scores_and_full_bands(real_data: Path) -> None:
    """384 cells of 60 levels: every band of equal area holds cells, and close to its share of the area."""
    with xr.open_dataset(real_data / "climsim" / "grid_info" / "ClimSim_low-res_grid-info.nc") as file:
        coordinate = HybridCoordinate(tuple(file["hyai"].values.tolist()), tuple(file["hybi"].values.tolist()))
        grid = SmallGrid(coordinate, file["lat"].values, file["lon"].values, file["area"].values)
    stream = small_stream(3, n_level=60, n_column=384)
    evaluation = evaluate_columns(KnownEmulator(small_spec(60), stream, noisy(1)), stream, grid)
    assert evaluation.kaggle is not None
    assert evaluation.kaggle.n_scored == 308
    zonal = evaluation.profiles["zonal_mean_r2"].sel(variable=HEATING)
    assert zonal.shape == (12, 60)
    assert bool(zonal.notnull().all())
    share = [grid.area[Cells(grid, 12).band_weight[band].numpy() > 0.0].sum() / grid.area.sum() for band in range(12)]
    assert sum(share) == pytest.approx(1.0)
    assert max(share) < 1.6 / 12
    # a column of 1000 hPa weighs 10.2 t; 1e-5 K s-1 everywhere is 102 W m-2 in all levels together
    w = weight(stream, grid, HEATING)
    assert 1e-5 * w.sum(axis=-1).mean() == pytest.approx(1e-5 * 1004.64 * 9.2e4 / 9.80616, rel=0.06)
