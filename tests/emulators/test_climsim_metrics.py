"""The accumulators against plain numpy on all times at once, and the scores against their definitions."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from climsim_columns import small_grid, small_inputs
from emagram.emulators.climsim_metrics import KAGGLE_TARGETS, ErrorMoments, crps, energy_factor, kaggle_score
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError

N_TIME, N_CELL, N_LEVEL = 9, 5, 4
METRICS = ("mae", "rmse", "bias", "r2")


def columns(seed: int = 0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth (n_time, n_cell, n_level)."""
    rng = np.random.default_rng(seed)
    truth = offset + rng.normal(size=(N_TIME, N_CELL, N_LEVEL)) * rng.uniform(0.5, 2.0, (N_CELL, N_LEVEL))
    return truth + 0.3 * rng.normal(size=truth.shape) + 0.1, truth


def accumulate(prediction: np.ndarray, truth: np.ndarray, splits: tuple[int, ...] = ()) -> ErrorMoments:
    """Add all columns, in order of time, cut into batches at `splits`."""
    moments = ErrorMoments(truth.shape[1], truth.shape[2])
    cell = torch.arange(truth.shape[1]).repeat(truth.shape[0])
    flat = [torch.from_numpy(a.reshape(-1, truth.shape[2])) for a in (prediction, truth)]
    edges = [0, *splits, len(cell)]
    for first, last in itertools.pairwise(edges):
        moments.add(flat[0][first:last], flat[1][first:last], cell[first:last])
    return moments


def reference(prediction: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of ClimSim (time first) by cell and level."""
    error = prediction - truth
    departure = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return {
        "mae": np.abs(error).mean(axis=0),
        "rmse": np.sqrt((error**2).mean(axis=0)),
        "bias": prediction.mean(axis=0) - truth.mean(axis=0),
        "r2": 1.0 - (error**2).sum(axis=0) / departure,
    }


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("splits", [(), (1,), (7, 8, 23), tuple(range(1, 45))])
def test_metrics_agree_with_numpy_however_the_columns_are_split(metric: str, splits: tuple[int, ...]) -> None:
    prediction, truth = columns()
    moments = accumulate(prediction, truth, splits)
    expected = reference(prediction, truth)[metric]
    np.testing.assert_allclose(getattr(moments, metric), expected, rtol=1e-12)
    np.testing.assert_allclose(moments.profile(metric), expected.mean(axis=0), rtol=1e-12)
    assert moments.score(metric) == pytest.approx(expected.mean(axis=0).mean(), rel=1e-12)


def test_the_time_mean_comes_first() -> None:
    """RMSE and R² of all cells together differ from the mean over cells: the order matters in this test."""
    prediction, truth = columns()
    moments = accumulate(prediction, truth)
    assert abs(moments.score("rmse") - np.sqrt(((prediction - truth) ** 2).mean())) > 1e-3
    pooled = 1.0 - ((prediction - truth) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum()
    assert moments.r2_pooled == pytest.approx(pooled, rel=1e-12)
    assert abs(moments.score("r2") - pooled) > 1e-3


@given(offset=st.floats(-1e9, 1e9), split=st.integers(1, 44), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_a_large_offset_of_the_truth_does_not_spoil_r2(offset: float, split: int, seed: int) -> None:
    prediction, truth = columns(seed)
    expected = reference(prediction, truth)["r2"]
    # both are rounded to multiples of 1e-7 at most when the offset is added
    found = accumulate(prediction + offset, truth + offset, (split,)).r2
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_accumulators_merge() -> None:
    prediction, truth = columns(3, 1e4)
    whole = accumulate(prediction, truth)
    first, second = accumulate(prediction[:4], truth[:4]), accumulate(prediction[4:], truth[4:])
    empty = ErrorMoments(N_CELL, N_LEVEL)
    empty.merge(first)
    empty.merge(second)
    for metric in METRICS:
        np.testing.assert_allclose(getattr(empty, metric), getattr(whole, metric), rtol=1e-9)
    with pytest.raises(EmagramError, match="moments: expected 5 cells of 4 values, got 1 of 4"):
        empty.merge(ErrorMoments(1, N_LEVEL))


@pytest.mark.parametrize("splits", [(), (5, 10), (3, 17)])
def test_a_constant_truth_has_no_r2(splits: tuple[int, ...]) -> None:
    prediction, truth = columns()
    truth[:, 2, 1] = 0.1  # a number that sums do not hold exactly
    truth[:, :, 3] = -0.7
    moments = accumulate(prediction, truth, splits)
    expected = reference(prediction, truth)["r2"]
    undefined = moments.r2.isnan().numpy()
    assert undefined[2, 1]
    assert undefined[:, 3].all()
    assert undefined.sum() == moments.n_undefined == 1 + N_CELL
    np.testing.assert_allclose(moments.r2.numpy()[~undefined], expected[~undefined])
    assert moments.profile("r2")[1] == pytest.approx(np.delete(expected[:, 1], 2).mean())
    assert moments.profile("r2")[3].isnan()
    assert moments.score("r2") == pytest.approx(moments.profile("r2")[:3].mean())
    assert moments.score("mae") > 0.0


def test_a_truth_without_any_variance_scores_nan() -> None:
    moments = ErrorMoments(1, 1)
    moments.add(torch.ones(3), torch.zeros(3))
    assert np.isnan(moments.score("r2"))
    assert np.isnan(moments.r2_pooled)


def test_bias_is_prediction_less_target() -> None:
    moments = ErrorMoments(1, 1)
    moments.add(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 1.0]))
    assert moments.score("bias") == 2.5


def test_a_cell_without_columns_is_nan() -> None:
    moments = ErrorMoments(2, 1)
    moments.add(torch.ones(2), torch.zeros(2), torch.tensor([1, 1]))
    assert moments.mae[0].isnan().all()
    assert moments.mae[1] == 1.0


@pytest.mark.parametrize(
    ("prediction", "target", "cell", "message"),
    [
        (torch.ones(2, 3), torch.ones(2, 4), None, r"prediction: expected shape \(n_column, 4\), got \(2, 3\)"),
        (torch.ones(2, 4), torch.ones(3, 4), None, "target: expected 2 columns as in the prediction, got 3"),
        (torch.full((2, 4), torch.nan), torch.ones(2, 4), None, "prediction: expected finite values, .* column 0"),
        (torch.ones(2, 4), torch.full((2, 4), torch.inf), None, "target: expected finite values"),
        (torch.ones(2, 4), torch.ones(2, 4), torch.tensor([0, 3]), "cell: expected 2 indices below 3"),
        (torch.ones(2, 4), torch.ones(2, 4), torch.tensor([0]), "cell: expected 2 indices below 3"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    prediction: torch.Tensor, target: torch.Tensor, cell: torch.Tensor | None, message: str
) -> None:
    moments = ErrorMoments(3, 4)
    with pytest.raises(EmagramError, match=message):
        moments.add(prediction, target, cell)
    assert float(moments.count.sum()) == 0.0


def test_moments_of_nothing_are_refused() -> None:
    with pytest.raises(EmagramError, match="expected at least one cell and value, got 0 and 3"):
        ErrorMoments(0, 3)


def test_energy_factors_are_those_of_climsim() -> None:
    """Numbers written out from the definition: 9.80616, 1004.64, 2.501e6 and 1000."""
    grid = small_grid()
    inputs = {name: torch.tensor(value) for name, value in small_inputs(np.random.default_rng(1)).items()}
    thickness = grid.coordinate.layer_thickness(inputs["surface_air_pressure"])

    def factor(name: str) -> torch.Tensor | float:
        return energy_factor(name, inputs, thickness=thickness, constants=Constants())

    mass = thickness.numpy() / 9.80616
    wind = np.sqrt(inputs["eastward_wind"].numpy() ** 2 + inputs["northward_wind"].numpy() ** 2)
    due = "_due_to_model_physics"
    np.testing.assert_allclose(factor("tendency_of_air_temperature" + due), 1004.64 * mass, rtol=1e-14)
    for water in (
        "specific_humidity",
        "mass_fraction_of_cloud_liquid_water_in_air",
        "mass_fraction_of_cloud_ice_in_air",
    ):
        np.testing.assert_allclose(factor(f"tendency_of_{water}{due}"), 2.501e6 * mass, rtol=1e-14)
    for component in ("eastward", "northward"):
        np.testing.assert_allclose(factor(f"tendency_of_{component}_wind{due}"), wind * mass, rtol=1e-14)
    assert factor("lwe_precipitation_rate") == factor("lwe_snowfall_rate") == 2.501e9
    assert factor("surface_net_downward_shortwave_flux") == 1.0
    with pytest.raises(EmagramError, match="energy of 'air_temperature': expected a tendency"):
        factor("air_temperature")
    with pytest.raises(EmagramError, match="energy of 'eastward_wind': expected a tendency"):
        factor("eastward_wind")
    inputs.pop("northward_wind")
    with pytest.raises(EmagramError, match="expected the input 'northward_wind'"):
        factor("tendency_of_eastward_wind" + due)


@given(n_member=st.integers(2, 33), seed=st.integers(0, 1000), offset=st.sampled_from([0.0, 1e6]))
@settings(max_examples=40, deadline=None)
def test_crps_is_its_definition(n_member: int, seed: int, offset: float) -> None:
    """Against all pairs of members, for any number of them, with ties."""
    rng = np.random.default_rng(seed)
    ensemble = offset + np.round(rng.normal(size=(n_member, 2, 3)), 1)
    truth = offset + rng.normal(size=(2, 3))
    pairs = np.abs(ensemble[:, None] - ensemble[None]).sum(axis=(0, 1)) / (2 * n_member * (n_member - 1))
    expected = np.abs(ensemble - truth).mean(axis=0) - pairs
    found = crps(torch.from_numpy(ensemble), torch.from_numpy(truth))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 if offset == 0.0 else 1e-8)


def test_crps_is_fair() -> None:
    """Members drawn as the truth is drawn: the mean of N(0, 1) is 1/√π for 2 members as for 32."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(40000, generator=generator, dtype=torch.float64)
    for n_member in (2, 32):
        ensemble = torch.randn(n_member, 40000, generator=generator, dtype=torch.float64)
        # the standard error of the mean is below 0.005
        assert float(crps(ensemble, truth).mean()) == pytest.approx(1.0 / np.sqrt(np.pi), abs=0.02)


def test_crps_of_equal_members_is_the_absolute_error() -> None:
    assert crps(torch.full((5, 2), 3.0), torch.tensor([1.0, 4.0])).tolist() == [2.0, 1.0]


def test_crps_needs_an_ensemble() -> None:
    with pytest.raises(EmagramError, match=r"ensemble: expected at least 2 members, got shape \(1, 3\)"):
        crps(torch.ones(1, 3), torch.ones(3))
    with pytest.raises(EmagramError, match=r"expected members of shape \(4,\), got \(3,\)"):
        crps(torch.ones(2, 3), torch.ones(4))


def kaggle_columns(n_level: int = 60) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    shapes = {name: (40, n_level if name.startswith("tendency") else 1) for name, _ in KAGGLE_TARGETS}
    truth = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return {name: value + 0.5 * rng.normal(size=value.shape) for name, value in truth.items()}, truth


def kaggle_moments(prediction: dict[str, np.ndarray], truth: dict[str, np.ndarray]) -> dict[str, ErrorMoments]:
    moments = {name: ErrorMoments(1, value.shape[1]) for name, value in truth.items()}
    for name, pooled in moments.items():
        for part in (slice(0, 13), slice(13, 40)):
            pooled.add(torch.from_numpy(prediction[name][part]), torch.from_numpy(truth[name][part]))
    return moments


def test_the_kaggle_score_counts_308_of_368_targets() -> None:
    prediction, truth = kaggle_columns()
    # the 368 columns of a submission, in order, and which of them are zeroed
    rows = {kind: np.concatenate(list(v.values()), axis=1) for kind, v in (("p", prediction), ("t", truth))}
    assert rows["t"].shape[1] == 368
    zeroed = np.zeros(368, dtype=bool)
    for first in (60, 120, 180, 240, 300):
        zeroed[first : first + 12] = True
    error = ((rows["p"] - rows["t"]) ** 2).sum(axis=0)
    r2 = 1.0 - error / ((rows["t"] - rows["t"].mean(axis=0)) ** 2).sum(axis=0)
    score = kaggle_score(kaggle_moments(prediction, truth))
    assert score.n_scored == 308
    assert score.n_constant == 0
    assert score.scored == pytest.approx(r2[~zeroed].mean(), rel=1e-12)
    assert score.with_zeroed == pytest.approx(np.where(zeroed, 1.0, r2).mean(), rel=1e-12)


def test_the_zeroed_levels_do_not_count() -> None:
    prediction, truth = kaggle_columns()
    before = kaggle_score(kaggle_moments(prediction, truth))
    for name, zeroed in KAGGLE_TARGETS:
        if zeroed:
            prediction[name][:, :12] = 1e6
    assert kaggle_score(kaggle_moments(prediction, truth)) == before
    prediction["tendency_of_eastward_wind_due_to_model_physics"][:, 12] += 1.0
    assert kaggle_score(kaggle_moments(prediction, truth)).scored < before.scored


def test_constant_kaggle_targets_score_one_if_exact_and_else_zero() -> None:
    prediction, truth = kaggle_columns()
    exact, wrong = "lwe_snowfall_rate", "lwe_precipitation_rate"
    for name in (exact, wrong):
        truth[name][:] = 0.3
    prediction[exact][:] = 0.3
    score = kaggle_score(kaggle_moments(prediction, truth))
    assert score.n_constant == 2
    moments = kaggle_moments(prediction, truth)
    others = [m.r2[0, 12 if z else 0 :].sum() for (n, z), m in zip(KAGGLE_TARGETS, moments.values(), strict=True)
              if n not in (exact, wrong)]  # fmt: skip
    assert score.scored == pytest.approx((float(sum(others)) + 1.0) / 308, rel=1e-12)


def test_the_kaggle_score_needs_every_target() -> None:
    moments = kaggle_moments(*kaggle_columns())
    with pytest.raises(EmagramError, match="expected 1 pooled cell of more than 12 values, got 1 of 12"):
        kaggle_score(kaggle_moments(*kaggle_columns(n_level=12)))
    moments.pop("lwe_snowfall_rate")
    with pytest.raises(EmagramError, match="got none named 'lwe_snowfall_rate'"):
        kaggle_score(moments)
