"""Pictures: drawn for one member as for many, with what they show read back from the axes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread

from climsim_columns import KnownEmulator, noisy, small_grid, small_spec, small_stream
from emagram.emulators import evaluation_figures
from emagram.emulators.climsim_evaluation import EvaluationOptions, evaluate_columns
from emagram.emulators.climsim_scores import Evaluation
from emagram.emulators.evaluation_figures import (
    draw_budgets,
    draw_level_profiles,
    draw_scores,
    pressure_edges,
    variable_label,
)
from emagram.emulators.zonal_mean_figure import draw_zonal_means, r2_colours
from emagram.physics.errors import EmagramError

HEATING = "tendency_of_air_temperature_due_to_model_physics"
VAPOR = "tendency_of_specific_humidity_due_to_model_physics"
N_BAND = 5


@pytest.fixture(scope="module")
def evaluations() -> list[Evaluation]:
    """Two networks of two seeds; no vapour tendency in the upper three levels."""
    stream = small_stream(n_step=8)
    for _, samples in stream:
        samples.targets[VAPOR][:, :3] = 0.0
    return [
        evaluate_columns(
            KnownEmulator(small_spec(), stream, noisy(seed, size)),
            stream,
            small_grid(),
            EvaluationOptions(network=network, seed=seed, n_band=N_BAND),
        )
        for network, size in (("mlp", 1.4), ("unet", 0.3))
        for seed in (1, 2)
    ]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were drawn."""
    drawn: list[Figure] = []

    class Kept(Figure):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            drawn.append(self)

    monkeypatch.setattr(evaluation_figures, "Figure", Kept)
    return drawn


def is_a_picture(path: Path) -> bool:
    """Of more than one colour."""
    return bool(np.ptp(imread(path)) > 0.5)


@pytest.mark.parametrize("metric", ["mae", "rmse", "bias", "r2"])
def test_profiles_are_means_over_the_seeds(
    evaluations: list[Evaluation], figures: list[Figure], tmp_path: Path, metric: str
) -> None:
    draw_level_profiles(evaluations, metric, tmp_path / "profiles.png")
    assert is_a_picture(tmp_path / "profiles.png")
    panel = figures[0].axes[0]
    assert panel.get_title() == "dT/dt"
    assert panel.get_ylim()[0] > panel.get_ylim()[1] == 0.0  # the surface at the bottom
    members = [e.profiles[metric].sel(variable=HEATING).values for e in evaluations]
    drawn = [line.get_xdata() for line in panel.lines]
    np.testing.assert_allclose(drawn[0], np.mean(members[:2], axis=0))
    np.testing.assert_allclose(drawn[1], np.mean(members[2:], axis=0))
    np.testing.assert_allclose(panel.lines[0].get_ydata(), evaluations[0].profiles["air_pressure"] / 100.0)
    assert len(panel.collections) == 2


def test_one_seed_has_no_spread(evaluations: list[Evaluation], figures: list[Figure], tmp_path: Path) -> None:
    draw_level_profiles(evaluations[:1], "r2", tmp_path / "profiles.png")
    assert not figures[0].axes[0].collections
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ["mlp (1 seed)"]


def test_zonal_means_lie_on_sine_of_latitude_and_pressure(
    evaluations: list[Evaluation], figures: list[Figure], tmp_path: Path
) -> None:
    titles = {"mlp": evaluations[0], "unet": evaluations[2]}
    draw_zonal_means(titles, (HEATING, VAPOR), tmp_path / "zonal.png")
    assert is_a_picture(tmp_path / "zonal.png")
    panel = figures[0].axes[0]
    mesh = panel.collections[0]
    expected = evaluations[0].profiles["zonal_mean_r2"].sel(variable=HEATING).values.T
    np.testing.assert_allclose(np.ma.filled(mesh.get_array(), np.nan), expected)
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], np.linspace(-1.0, 1.0, N_BAND + 1))
    below, nothing = panel.collections[1:3]
    assert len(below.get_paths()) == int((expected < 0.0).sum()) > 0
    assert len(nothing.get_paths()) == 0
    assert len(figures[0].axes[2].collections[2].get_paths()) == 3 * N_BAND
    labels = {label.get_text(): place for label, place in zip(figures[0].axes[2].get_xticklabels(),
              figures[0].axes[2].get_xticks(), strict=True)}  # fmt: skip
    assert labels["30°S"] == pytest.approx(-0.5)
    assert labels["60°N"] == pytest.approx(np.sqrt(0.75))
    vapor = figures[0].axes[2].collections[0].get_array()
    assert np.ma.getmaskarray(vapor)[:3].all()
    assert not np.ma.getmaskarray(vapor)[3:].any()


def test_r2_below_zero_and_no_value_stand_out() -> None:
    colours = r2_colours()
    below, zero, nothing = colours(-0.1), colours(0.0), colours(np.ma.masked)
    assert below[0] > 0.8 > 0.2 > below[2]  # orange among blues
    assert zero[:3] == (1.0, 1.0, 1.0)
    assert nothing[0] == nothing[1] == nothing[2] < 0.9
    lightness = [np.dot(colours(x)[:3], (0.299, 0.587, 0.114)) for x in np.linspace(0.0, 1.0, 21)]
    assert (np.diff(lightness) < 0.0).all()  # reads in print


def test_scores_below_zero_are_open_markers_at_zero(
    evaluations: list[Evaluation], figures: list[Figure], tmp_path: Path
) -> None:
    draw_scores(evaluations, tmp_path / "scores.png")
    assert is_a_picture(tmp_path / "scores.png")
    variables = [str(row["variable"]) for row in evaluations[0].rows]
    mean = np.array([np.mean([e.row(v)["r2"] for e in evaluations[:2]]) for v in variables])
    assert (mean < 0.0).any()
    full, opened = figures[0].axes[0].lines[:2]
    np.testing.assert_allclose(full.get_xdata(), mean[mean >= 0.0])
    np.testing.assert_allclose(opened.get_xdata(), np.zeros(int((mean < 0.0).sum())))
    assert [label.get_text() for label in figures[0].axes[0].get_yticklabels()][:2] == ["dT/dt", "dqv/dt"]
    assert figures[0].axes[1].get_xlabel() == "MAE [W m⁻²]"


def test_budgets_are_counted_in_their_units(
    evaluations: list[Evaluation], figures: list[Figure], tmp_path: Path
) -> None:
    draw_budgets(evaluations[0], ["A_water", "B_energy", "C_surface_shortwave"], tmp_path / "budgets.png")
    assert is_a_picture(tmp_path / "budgets.png")
    water, energy = figures[0].axes[:2]
    assert water.get_xlabel() == "|residual| [kg m⁻² s⁻¹]"
    drawn = water.patches[0].get_data().values
    assert list(drawn) == evaluations[0].budgets["A_water"]["prediction"]["histogram"]
    assert drawn.sum() == 8 * small_grid().area.size
    assert [text.get_text() for text in energy.texts] == ["prediction: outputs missing", "truth: outputs missing"]


def test_pressure_edges_lie_between_the_levels() -> None:
    np.testing.assert_allclose(pressure_edges(np.array([1.0, 3.0, 7.0])), [0.0, 2.0, 5.0, 9.0])


def test_variables_have_short_names() -> None:
    assert variable_label(HEATING) == "dT/dt"
    assert variable_label("lwe_snowfall_rate") == "PRECSC"
    assert variable_label("tendency_of_air_temperature_due_to_longwave_heating").startswith("tendency")


def test_what_cannot_be_drawn_is_refused(evaluations: list[Evaluation], tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    with pytest.raises(EmagramError, match="picture: expected at least one evaluation, got none"):
        draw_level_profiles([], "r2", path)
    with pytest.raises(EmagramError, match="picture: expected at least one evaluation, got none"):
        draw_scores([], path)
    with pytest.raises(EmagramError, match="zonal means: expected evaluations and variables"):
        draw_zonal_means({}, [HEATING], path)
    with pytest.raises(EmagramError, match=r"zonal mean: expected a variable of .*, got 'lwe_snowfall_rate'"):
        draw_zonal_means({"mlp": evaluations[0]}, ["lwe_snowfall_rate"], path)
    with pytest.raises(EmagramError, match=r"budgets: expected names of .*, got \['heat'\]"):
        draw_budgets(evaluations[0], ["heat"], path)
    stream = small_stream(n_step=2)
    other = evaluate_columns(
        KnownEmulator(small_spec(outputs=(HEATING,)), stream, lambda _, truth: truth + torch.ones(1)),
        stream,
        small_grid(),
    )
    with pytest.raises(EmagramError, match="picture: expected evaluations of the same variables"):
        draw_scores([evaluations[0], other], path)
    assert not path.exists()
