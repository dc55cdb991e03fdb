"""Totals and trends of runs that gain energy and water at known rates, and residuals of chosen days."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emagram.hybrid.judging.conservation import Conservation, conservation, trend
from emagram.hybrid.judging.judgement import judge
from emagram.hybrid.judging.runs import read_run
from judged_runs import EMULATOR, GRID, Fields, interface_pressure, made_up_run, write_budgets

AREA = GRID.area / GRID.area.sum()
GRAVITY, HEAT_CAPACITY, VAPORIZATION, FUSION = 9.80616, 1004.64, 2.501e6, 3.337e5
MASS = float((interface_pressure()[-1] - interface_pressure()[0]) @ AREA) / GRAVITY  # kg m-2


def steady(fields: Fields) -> None:
    for name in list(fields):
        fields[name][:] = fields[name][:1]


def drifting(fields: Fields) -> None:
    steady(fields)
    day = np.arange(4.0)[:, None, None]
    fields["air_temperature"] += 0.1 * day
    fields["specific_humidity"] += 1e-5 * day
    fields["mass_fraction_of_cloud_liquid_water_in_air"] += 1e-6 * day
    fields["mass_fraction_of_cloud_ice_in_air"] += 1e-7 * day


def test_energy_and_water_drift_as_the_state_does(tmp_path: Path) -> None:
    run, control = made_up_run(tmp_path / "run", drifting), made_up_run(tmp_path / "control", steady)
    judgement = judge(run, control)
    heating = HEAT_CAPACITY * 0.1 + (VAPORIZATION + FUSION) * 1e-5 + FUSION * 1e-6  # J kg-1 day-1
    np.testing.assert_allclose(judgement.difference_energy_trend_w_m2, MASS * heating / 86400.0, rtol=1e-6)
    np.testing.assert_allclose(judgement.difference_water_trend_mm_day, MASS * 1.11e-5, rtol=1e-6)
    assert judgement.conservation is not None
    assert judgement.against_conservation is not None
    np.testing.assert_allclose(judgement.conservation.energy_trend_w_m2, MASS * heating / 86400.0, rtol=1e-6)
    np.testing.assert_allclose(judgement.against_conservation.energy_trend_w_m2, 0.0, atol=1e-9)


def test_winds_count(tmp_path: Path) -> None:
    def edit(fields: Fields) -> None:
        steady(fields)
        for name in fields:
            fields[name][:] = 0.0
        fields["eastward_wind"][:] = 3.0
        fields["northward_wind"][:] = 4.0

    found = conservation(read_run(made_up_run(tmp_path / "run", edit)), slice(0, 1))
    np.testing.assert_allclose(1e6 * found.energy_mj_m2, 12.5 * MASS, rtol=1e-9)
    assert found.energy_trend_w_m2 is None


def after_a_day(tmp_path: Path, physics: dict[str, object] | None) -> Conservation:
    run = made_up_run(tmp_path / "run", physics=physics)
    write_budgets(
        run / "budgets.csv",
        4,
        toa_net_downward_flux_w_m2=[100.0, 1.0, 2.0, 3.0],
        closure_state_energy_w_m2=[9e9, 1e-9, 3e-9, 2e-9],
        closure_state_water_kg_m2_s=[9e9, 1e-15, 1e-15, 1e-15],
        residual_energy_w_m2_surface=[9e9, 1e-13, 0.0, 0.0],
        residual_energy_w_m2_emulator=[0.0, 0.0, 0.0, 4e-12],
        residual_before_energy_w_m2=[0.0, 5.0, 7.0, 6.0],
    )
    return conservation(read_run(run), slice(1, 4))


def test_residuals_of_the_spin_up_do_not_count(tmp_path: Path) -> None:
    found = after_a_day(tmp_path, EMULATOR)
    assert found.toa_imbalance_w_m2 == 2.0
    assert found.closure_state_energy_w_m2 == 3e-9
    assert found.closure_flux_energy_w_m2 == 4e-12
    assert found.residual_energy_w_m2 == {"surface": 1e-13, "emulator": 4e-12}
    assert found.residual_before_energy_w_m2 == 7.0
    np.testing.assert_allclose(found.accumulated_energy_j_m2, 86400.0 * 6e-9)
    np.testing.assert_allclose(found.accumulated_water_kg_m2, 86400.0 * 3e-15)


def test_conventional_physics_has_no_residual_before_constraints(tmp_path: Path) -> None:
    assert after_a_day(tmp_path, None).residual_before_energy_w_m2 is None


def test_a_straight_line() -> None:
    day = np.array([3.0, 4.0, 7.0])
    np.testing.assert_allclose(trend(day, 5.0 - 2.0 * day), -2.0)
    assert trend(day[:1], day[:1]) is None
