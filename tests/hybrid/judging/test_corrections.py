"""Where the constraints act and how much, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emagram.hybrid.judging.corrections import Corrections, Regime
from emagram.hybrid.judging.judgement import judge
from emagram.hybrid.report import write_report
from judged_runs import EMULATOR, GRID, N_COLUMN, N_LEVEL, Fields, made_up_run, write_budgets

AREA = GRID.area / GRID.area.sum()
CASE = {
    "grid": {"source": "built_in", "n_column": N_COLUMN},
    "forcing": {"temperature_relaxation_days": 20.0, "humidity_relaxation_days": 10.0},
}
NIGHT_DRY, DAY_DRY, NIGHT_RAIN, DAY_RAIN = range(4)
LAND = np.arange(N_COLUMN) % 3 == 0
LATITUDE = np.abs(GRID.latitude)


def edit(fields: Fields) -> None:
    """Day half the time, rain a quarter of it; the first record is of the spin-up."""
    fields["emulator_share"][1:] = 1.0
    fields["open_ocean_area_fraction"][:] = np.where(LAND, 0.25, 1.0)
    shares = np.array([0.4, 0.35, 0.1, 0.15])
    fields["emulated_steps_by_regime"][1:] = shares[:, None]
    fields["heating_correction_by_regime"][1:] = (shares * [1.0, 2.0, 3.0, 4.0])[:, None]
    fields["heating_correction_by_regime"][0] = 1e3
    fields["heating_tendency_by_regime"][1:] = (shares * 50.0)[:, None]
    fields["moistening_correction_by_regime"][1:, DAY_RAIN] = np.where(LAND, 3e-6, 1e-6)
    fields["moistening_tendency_by_regime"][1:] = (shares * 2e-5)[:, None]
    fields["residual_before_column_energy_by_regime"][1:] = (shares[:, None] * LATITUDE)[None]
    fields["unmet_column_water_by_regime"][1:, NIGHT_DRY, 5] = 0.2
    for name, values in (("correction", 3e-6), ("tendency_magnitude", 4e-5)):
        fields[f"air_temperature_{name}"][1:, 2] = values * (GRID.latitude >= 0.0)


def corrected(folder: Path, **physics: Any) -> Corrections:
    run = made_up_run(folder / "run", edit, physics=EMULATOR | {"spin_up_days": 1} | physics, **CASE)
    numbers = {
        "budget_unmet_column_water": [9.0, 4.0, 0.0, 3.0],
        "budget_before_column_energy_w_m2": [1e9, 80.0, 90.0, 70.0],
        "budget_after_column_energy_w_m2": [1e9, 1e-13, 3e-13, 2e-13],
    }
    write_budgets(run / "budgets.csv", 4, **numbers)
    found = judge(run, made_up_run(folder / "control")).corrections
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Corrections:
    return corrected(tmp_path_factory.mktemp("runs"))


def regime(found: Corrections, name: str) -> Regime:
    return next(one for one in found.regimes if one.name == name)


@pytest.mark.parametrize(
    ("name", "share", "heating"),
    [
        ("everywhere", 1.0, 0.4 + 0.7 + 0.3 + 0.6),
        ("day", 0.5, (0.7 + 0.6) / 0.5),
        ("night", 0.5, (0.4 + 0.3) / 0.5),
        ("raining", 0.25, (0.3 + 0.6) / 0.25),
        ("dry", 0.75, (0.4 + 0.7) / 0.75),
        ("land", AREA[LAND].sum(), 2.0),
        ("sea", AREA[~LAND].sum(), 2.0),
        ("tropics", AREA[LATITUDE < 30.0].sum(), 2.0),
        ("midlatitudes", AREA[(LATITUDE >= 30.0) & (LATITUDE < 60.0)].sum(), 2.0),
        ("poles", AREA[LATITUDE >= 60.0].sum(), 2.0),
    ],
)
def test_a_regime_has_its_share_and_its_means(found: Corrections, name: str, share: float, heating: float) -> None:
    one = regime(found, name)
    assert one.share == pytest.approx(share)
    assert one.heating_w_m2 == pytest.approx(heating)
    assert one.heating_fraction == pytest.approx(heating / 50.0)


def test_water_and_budgets_are_those_of_the_regime(found: Corrections) -> None:
    assert regime(found, "night").moistening_kg_m2_s == 0.0
    rain = (3e-6 * AREA[LAND].sum() + 1e-6 * AREA[~LAND].sum()) / 0.25
    assert regime(found, "raining").moistening_fraction == pytest.approx(rain / 2e-5)
    assert regime(found, "land").moistening_kg_m2_s == pytest.approx(3e-6)
    polar = LATITUDE >= 60.0
    energy = regime(found, "poles").residual_before["column_energy"]
    assert energy == pytest.approx(LATITUDE[polar] @ AREA[polar] / AREA[polar].sum())
    assert regime(found, "night").unmet_fraction["column_water"] == pytest.approx(0.2 * AREA[5] / 0.5)
    assert regime(found, "day").unmet_fraction["column_water"] == 0.0


def test_budgets_are_those_of_the_compared_days(found: Corrections) -> None:
    water, energy = found.budgets
    assert (water.name, water.unit, water.unmet) == ("column_water", "kg m-2 s-1", 7)
    assert water.unmet_fraction == pytest.approx(0.2 * AREA[5])
    assert (energy.largest_before, energy.largest_after) == (90.0, 3e-13)
    assert energy.mean_before == pytest.approx(LATITUDE @ AREA)
    band = (GRID.latitude >= found.latitude_edges[0]) & (GRID.latitude < found.latitude_edges[1])
    assert energy.before_by_latitude[0] == pytest.approx(LATITUDE[band] @ AREA[band] / AREA[band].sum())


def test_the_map_has_the_change_where_it_was(found: Corrections) -> None:
    change, tendency = found.change["air_temperature"], found.tendency["air_temperature"]
    assert change.shape == (N_LEVEL, len(found.latitude_edges) - 1)
    north = found.latitude_edges[:-1] >= -1e-9
    np.testing.assert_allclose(change[2, north], 3e-6)
    np.testing.assert_allclose(tendency[2, north], 4e-5)
    assert np.count_nonzero(np.delete(change, 2, axis=0)) == 0
    assert found.enforced


def test_a_run_that_measures_says_so(tmp_path: Path) -> None:
    assert not corrected(tmp_path, constraints="measure").enforced
    run = tmp_path / "run"
    judgement = judge(run, tmp_path / "control")
    assert sum("measured and not enforced" in note for note in judgement.notes) == 1
    page = write_report(run, judgement, run).read_text()
    assert page.count("measured and not enforced") >= 3
    assert "they corrected nothing" in page
