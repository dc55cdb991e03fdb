"""Judging and drawing an equilibrium; that the committed case reaches one is a long test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emagram.hybrid.case import CaseConfig
from emagram.hybrid.configuration import read_configuration
from emagram.hybrid.equilibrium import judge_equilibrium, moist_adiabat, read_profiles
from emagram.hybrid.run import run
from emagram.physics.errors import EmagramError
from host_case import read, small_case

ROOT = Path(__file__).resolve().parents[2]


def test_dry_air_follows_the_dry_adiabat() -> None:
    pressure = np.linspace(2e4, 1e5, 30)
    adiabat = moist_adiabat(pressure, 300.0, 0.0)
    np.testing.assert_allclose(adiabat, 300.0 * (pressure / 1e5) ** (287.0423113650487 / 1004.64), rtol=1e-8)


def test_saturated_air_keeps_its_moist_entropy() -> None:
    """θe of Bolton 1980 (eq. 43, doi:10.1175/1520-0493(1980)108<1046:TCOEPT>2.0.CO;2) is kept within its 0.5 K."""
    pressure = np.linspace(3e4, 1e5, 60)
    temperature = moist_adiabat(pressure, 300.0, 1.0)  # saturated from the start
    celsius = temperature - 273.15
    vapor = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    mixing = 622.0 * vapor / (pressure - vapor)  # g kg-1
    theta = temperature * (1e5 / pressure) ** (0.2854 * (1.0 - 0.28e-3 * mixing))
    theta_e = theta * np.exp((3.376 / temperature - 0.00254) * mixing * (1.0 + 0.81e-3 * mixing))
    warm = celsius > -10.0  # below, saturation is over ice here and over water there
    assert np.ptp(theta_e[warm]) < 2.5
    dry = moist_adiabat(pressure, 300.0, 0.0)
    assert temperature[0] > dry[0] + 30.0


def test_refined_levels_change_little() -> None:
    """The step in which the air saturates is taken as dry or moist as a whole: a tenth of a kelvin on coarse levels."""
    coarse = np.linspace(2e4, 1e5, 9)
    fine = np.linspace(2e4, 1e5, 81)
    np.testing.assert_allclose(
        moist_adiabat(coarse, 299.0, 0.016), moist_adiabat(fine, 299.0, 0.016)[::10], rtol=0.0, atol=0.12
    )


def test_a_run_is_judged_by_its_last_days(tmp_path: Path) -> None:
    folder = run(small_case(days=3, equilibrium_days=2), output=tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    lines = [line.split(",") for line in (folder / "budgets.csv").read_text().splitlines()]
    column = lines[0].index("toa_net_downward_flux_w_m2")
    np.testing.assert_allclose(summary["toa_imbalance_w_m2"], np.mean([float(line[column]) for line in lines[2:]]))
    assert (folder / "equilibrium.png").read_bytes().startswith(b"\x89PNG")
    profiles = read_profiles(folder / "history.nc", 2)
    expected = read(folder / "history.nc")["air_temperature"][1:].mean(axis=(0, 1))
    np.testing.assert_allclose(profiles.air_temperature, expected)
    with pytest.raises(EmagramError, match="expected at least 5 days, got 3"):
        judge_equilibrium(folder, 5)


@pytest.mark.long
def test_the_committed_case_reaches_equilibrium(tmp_path: Path) -> None:
    folder = run(read_configuration(ROOT / "configs" / "rce.toml", CaseConfig), output=tmp_path / "rce")
    summary = json.loads((folder / "summary.json").read_text())
    assert abs(summary["toa_imbalance_w_m2"]) <= 0.5
    assert abs(summary["surface_imbalance_w_m2"]) <= 0.5
    np.testing.assert_allclose(summary["precipitation_mm_day"], summary["evaporation_mm_day"], rtol=0.01)
    assert summary["closure_flux_energy_w_m2"] <= 1e-10
    assert summary["closure_flux_water_kg_m2_s"] <= 1e-15
    profiles = read_profiles(folder / "history.nc", 200)
    humidity, temperature = float(profiles.specific_humidity[-1]), float(profiles.air_temperature[-1])
    adiabat = moist_adiabat(profiles.air_pressure, temperature, humidity)
    convective = (profiles.air_pressure > 4.5e4) & (profiles.air_pressure < 9e4)
    assert np.abs(profiles.air_temperature - adiabat)[convective].max() < 2.0
