"""Rejected, extrapolated and corrected columns, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emagram.hybrid.judging.interventions import interventions
from emagram.hybrid.judging.judgement import judge
from emagram.hybrid.judging.runs import read_run
from judged_runs import EMULATOR, GRID, N_LEVEL, Fields, made_up_run, mass_weight, write_budgets

AREA = GRID.area / GRID.area.sum()


def edit(fields: Fields) -> None:
    fields["emulator_share"][1:] = 0.75
    fields["emulator_share"][1:, 9] = 0.0
    fields["emulator_rejected"][0] = 1.0  # of the spin-up, not counted
    fields["emulator_rejected"][1:, 7] = np.array([0.0, 0.5, 1.0])
    fields["emulator_rejected"][3, 2] = 0.25
    fields["emulator_extrapolated"][1:, 20] = 1.0
    fields["energy_residual_before_constraints"][1:, 4] = 6.0
    fields["water_residual_before_constraints"][1:, 4] = 3e-5
    fields["air_temperature_tendency_magnitude"][1:, 3] = np.array([1e-5, 3e-5, 2e-5])[:, None]
    fields["air_temperature_tendency_magnitude"][0] = 1.0
    fields["air_temperature_correction"][1:, 3, 11] = 1e-6
    fields["air_temperature_correction"][1:, 5, 11] = 1e-6


def test_where_and_how_often(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", edit, physics=EMULATOR | {"spin_up_days": 1})
    write_budgets(run / "budgets.csv", 4, emulator_rejected_fraction=[0.0, 0.0, 0.1, 0.05])
    found = judge(run, made_up_run(tmp_path / "control")).interventions
    assert found is not None
    np.testing.assert_allclose(found.emulator_share, 0.75 * (1.0 - AREA[9]))
    np.testing.assert_allclose(found.rejected_fraction, 0.5 * AREA[7] + 0.25 / 3.0 * AREA[2])
    np.testing.assert_allclose(found.extrapolated_fraction, AREA[20])
    assert found.rejected_columns == 2
    assert [place.column for place in found.worst_columns] == [7, 2]
    assert found.worst_columns[0].latitude == GRID.latitude[7]
    assert found.worst_columns[0].longitude == GRID.longitude[7]
    np.testing.assert_allclose(found.worst_columns[0].rejected_fraction, 0.5)
    np.testing.assert_allclose(found.rejected_by_record, [0.0, 0.5 * AREA[7], AREA[7] + 0.25 * AREA[2]])
    np.testing.assert_allclose(found.mean_residual_before_energy_w_m2, 6.0 * AREA[4])
    np.testing.assert_allclose(found.mean_residual_before_water_kg_m2_s, 3e-5 * AREA[4])
    assert found.largest_rejected_fraction == 0.1
    assert np.count_nonzero(found.rejected_by_latitude > 0.0) in (1, 2)


def test_corrections_stand_beside_tendencies(tmp_path: Path) -> None:
    run = read_run(made_up_run(tmp_path / "run", edit, physics=EMULATOR))
    found = interventions(run, slice(1, 4))
    there = np.arange(N_LEVEL)
    np.testing.assert_allclose(found.tendency["air_temperature"], 2e-5 * (there == 3))
    corrected = 1e-6 * AREA[11] * ((there == 3) | (there == 5))
    np.testing.assert_allclose(found.correction["air_temperature"], corrected)
    mass = mass_weight().sum(axis=1)
    expected = AREA[11] * 0.05 * (mass[3] + mass[5]) / mass[3]
    np.testing.assert_allclose(found.correction_fraction["air_temperature"], expected)
    assert found.correction_fraction["specific_humidity"] is None  # there is no tendency to compare with


def test_a_conventional_run_has_none(tmp_path: Path) -> None:
    control = made_up_run(tmp_path / "control")
    judgement = judge(control, control)
    assert judgement.interventions is None
    assert any("no emulator is judged" in note for note in judgement.notes)
