"""Scores of runs that differ in known ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emagram.hybrid.judging import climate as climate_module
from emagram.hybrid.judging import runs
from emagram.hybrid.judging.climate import JUDGED, PROFILES, Climate, compare_climate
from emagram.hybrid.judging.judgement import judge
from emagram.hybrid.judging.runs import compared_records, read_run
from judged_runs import EMULATOR, GRID, N_LEVEL, Fields, interface_pressure, made_up_fields, made_up_run, mass_weight

AREA = GRID.area / GRID.area.sum()


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return made_up_run(tmp_path / "control")


def compared(run: Path, against: Path) -> Climate:
    ours, theirs = read_run(run), read_run(against)
    return compare_climate(ours, theirs, compared_records(ours, theirs, ours.spin_up_days))


def test_the_made_up_weights_are_those_of_the_atmosphere() -> None:
    """Levels and columns weigh differently, so that a wrong weight shows."""
    weight = mass_weight()
    assert weight.max() > 5.0 * weight.min()
    assert np.ptp(weight.sum(axis=0) / AREA) > 1e-3
    assert np.ptp(GRID.area) > 0.02 * GRID.area.mean()


def test_a_run_beside_itself_has_no_error(control: Path) -> None:
    climate = compared(control, control)
    assert [score.variable for score in climate.scores] == [quantity.name for quantity in JUDGED]
    for score in climate.scores:
        assert (score.bias, score.rmse, score.rmse_of_mean) == (0.0, 0.0, 0.0)
        assert score.reference_spread > 0.0


def test_bias_of_one_layer_of_one_column_is_its_share_of_the_mass(tmp_path: Path, control: Path) -> None:
    def edit(fields: Fields) -> None:
        fields["air_temperature"][:, 7, 5] += 3.0
        fields["specific_humidity"][:, 2, 9] -= 1e-3
        fields["toa_outgoing_longwave_flux"][:, 4] += 10.0
        fields["precipitation_flux"][:, 3] += 1e-5

    climate = compared(made_up_run(tmp_path / "run", edit), control)
    weight = mass_weight()
    expected = {
        "air_temperature": (3.0, weight[7, 5]),
        "specific_humidity": (-1.0, weight[2, 9]),  # g kg-1
        "toa_outgoing_longwave_flux": (10.0, AREA[4]),
        "precipitation_flux": (0.864, AREA[3]),  # mm day-1
    }
    for score in climate.scores:
        value, share = expected.get(score.variable, (0.0, 0.0))
        np.testing.assert_allclose(score.bias, value * share, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(score.rmse, abs(value) * np.sqrt(share), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(score.rmse_of_mean, score.rmse, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(
        climate.level_bias["air_temperature"], 3.0 * AREA[5] * (np.arange(N_LEVEL) == 7), atol=1e-12
    )
    np.testing.assert_allclose(climate.level_rmse["air_temperature"][7], 3.0 * np.sqrt(AREA[5]), rtol=1e-12)


def test_errors_that_cancel_in_time_remain_in_the_error_of_days_only(tmp_path: Path, control: Path) -> None:
    def edit(fields: Fields) -> None:
        fields["air_temperature"] += np.array([2.0, -2.0, 2.0, -2.0])[:, None, None]

    score = compared(made_up_run(tmp_path / "run", edit), control).score("air_temperature")
    np.testing.assert_allclose((score.bias, score.rmse, score.rmse_of_mean), (0.0, 2.0, 0.0), atol=1e-12)


def test_mean_and_spread_of_the_other_run(control: Path, tmp_path: Path) -> None:
    climate = compared(made_up_run(tmp_path / "run", seed=1), control)
    fields, weight = made_up_fields(4), mass_weight()
    for quantity in PROFILES:
        values = quantity.factor * fields[quantity.name]
        of_level = weight / weight.sum(axis=1, keepdims=True)
        mean = (values * of_level).mean(axis=0).sum(axis=1)[:, None]
        score = climate.score(quantity.name)
        np.testing.assert_allclose(score.reference_mean, (values * weight).sum() / 4, rtol=1e-9)
        np.testing.assert_allclose(
            score.reference_spread, np.sqrt(((values - mean) ** 2 * weight).sum() / 4), rtol=1e-9
        )
    np.testing.assert_allclose(
        climate.reference_mean["surface_temperature"], fields["surface_temperature"] @ AREA, rtol=1e-12
    )


def test_parts_of_a_history_give_what_the_whole_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, control: Path
) -> None:
    run = made_up_run(tmp_path / "run", seed=1)
    whole = compared(run, control)
    monkeypatch.setattr(runs, "RECORDS_AT_ONCE", 3)
    parts = compared(run, control)
    for ours, theirs in zip(parts.scores, whole.scores, strict=True):
        np.testing.assert_allclose(
            (ours.bias, ours.rmse, ours.rmse_of_mean, ours.reference_spread),
            (theirs.bias, theirs.rmse, theirs.rmse_of_mean, theirs.reference_spread),
            rtol=1e-9,
        )
    assert len(parts.day) == 4


def test_months_of_a_year_without_leap_day(tmp_path: Path) -> None:
    """From 27 February: two days of February and three of March."""

    def edit(fields: Fields) -> None:
        fields["air_temperature"] += np.array([1.0, 3.0, 10.0, 20.0, 30.0])[:, None, None]

    control = made_up_run(tmp_path / "control", n_record=5, start_day=57)
    months = compared(made_up_run(tmp_path / "run", edit, n_record=5, start_day=57), control).scores[0].months
    assert [(m.name, m.compared_days, m.month_days) for m in months] == [("0001-02", 2.0, 28), ("0001-03", 3.0, 31)]
    np.testing.assert_allclose([m.bias for m in months], [2.0, 20.0])
    np.testing.assert_allclose([m.rmse for m in months], [np.sqrt(5.0), np.sqrt(1400.0 / 3.0)])


def test_a_run_into_the_next_year(tmp_path: Path) -> None:
    control = made_up_run(tmp_path / "control", start_day=363)
    names = [month.name for month in compared(control, control).scores[0].months]
    assert names == ["0001-12", "0002-01"]


def test_the_spin_up_does_not_count(tmp_path: Path, control: Path) -> None:
    def edit(fields: Fields) -> None:
        fields["air_temperature"][:3] += 50.0
        fields["air_temperature"][3] += 1.0

    run = made_up_run(tmp_path / "run", edit, physics=EMULATOR | {"spin_up_days": 3})
    judgement = judge(run, control)
    assert judgement.climate is not None
    assert (judgement.first_day, judgement.last_day) == (3.0, 4.0)
    np.testing.assert_allclose(judgement.climate.score("air_temperature").bias, 1.0)
    assert any("differ during the spin-up already" in note for note in judgement.notes)


def test_records_that_begin_within_the_spin_up_do_not_count(tmp_path: Path) -> None:
    control = made_up_run(tmp_path / "control", history_days=2)
    run = made_up_run(tmp_path / "run", history_days=2, physics=EMULATOR | {"spin_up_days": 3})
    ours, theirs = read_run(run), read_run(control)
    assert compared_records(ours, theirs, ours.spin_up_days) == slice(2, 4)


def test_zonal_means_are_of_the_columns_of_a_band(tmp_path: Path, control: Path) -> None:
    def edit(fields: Fields) -> None:
        fields["air_temperature"] += GRID.latitude

    climate = compared(made_up_run(tmp_path / "run", edit), control)
    edges = climate.latitude_edges
    assert (edges[0], edges[-1], len(edges)) == (-90.0, 90.0, 7)
    for band in range(6):
        there = (GRID.latitude >= edges[band]) & ((GRID.latitude < edges[band + 1]) | (band == 5))
        expected = np.average(GRID.latitude[there], weights=GRID.area[there])
        np.testing.assert_allclose(climate.zonal_bias["air_temperature"][:, band], expected, rtol=1e-9, atol=1e-9)
    empty = climate_module.zonal_mean(
        np.ones((1, len(GRID.area))), read_run(control).columns, np.array([-90.0, 10.0, 10.001, 90.0])
    )
    np.testing.assert_allclose(empty, [[1.0, np.nan, 1.0]])


def test_pressure_is_that_of_the_middle_of_layers(control: Path) -> None:
    middle = interface_pressure() @ AREA
    np.testing.assert_allclose(compared(control, control).pressure_hpa, 0.005 * (middle[1:] + middle[:-1]), rtol=1e-12)
