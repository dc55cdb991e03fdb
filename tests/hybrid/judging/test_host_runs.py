"""Runs of the host judged: a perturbation of the last digit, other weather, other physics, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emagram.hybrid.case import BuiltInGridConfig, PerturbationConfig
from emagram.hybrid.command_line import main
from emagram.hybrid.host_output import read_budgets
from emagram.hybrid.judging import judge
from emagram.hybrid.judging.conservation import totals
from emagram.hybrid.judging.runs import read_run
from emagram.hybrid.run import run
from host_case import read, small_case

SMALL = {"grid": BuiltInGridConfig("built_in", n_column=9, n_level=20)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("host")
    changes = {
        "control": {},
        "digit": {"perturbation": PerturbationConfig(relative=1e-14, seed=1)},
        "weather": {"perturbation": PerturbationConfig(weather=5)},
        "other": {"parameters": {"convection": {"relaxation_time": 14400.0}}},
    }
    return {name: run(small_case(**SMALL, **change), output=root / name) for name, change in changes.items()}  # type: ignore[arg-type]


def test_floors_of_the_host(folders: dict[str, Path]) -> None:
    judgement = judge(folders["other"], folders["control"], [folders["digit"], folders["weather"]])
    digit, weather = judgement.floors
    assert (digit.kind, weather.kind) == ("last digit", "other weather")
    for floor in judgement.floors:
        assert floor.climate.score("air_temperature").rmse > 0.0
    assert digit.climate.score("air_temperature").rmse < 1e-6
    assert weather.climate.score("air_temperature").rmse > 1e-2
    ratios = {r.floor: r for r in judgement.floor_ratios if r.variable == "air_temperature"}
    assert ratios[digit.label].rmse_ratio is None
    assert ratios[weather.label].rmse_ratio is not None


def test_means_are_those_of_the_host(folders: dict[str, Path]) -> None:
    """budgets.csv holds the same means, computed in Fortran."""
    judgement = judge(folders["other"], folders["control"])
    assert judgement.climate is not None
    ours, theirs = (read_budgets(folders[name]) for name in ("other", "control"))
    for variable, name in (
        ("toa_outgoing_longwave_flux", "toa_outgoing_longwave_flux_w_m2"),
        ("precipitation_flux", "precipitation_mm_day"),
        ("surface_temperature", "surface_temperature_k"),
    ):
        np.testing.assert_allclose(judgement.climate.mean[variable], ours[name], rtol=1e-8)
        np.testing.assert_allclose(judgement.climate.reference_mean[variable], theirs[name], rtol=1e-8)
        bias = np.mean(ours[name]) - np.mean(theirs[name])
        np.testing.assert_allclose(judgement.climate.score(variable).bias, bias, rtol=1e-5, atol=1e-9)


def test_water_changes_by_what_enters(folders: dict[str, Path]) -> None:
    """Totals of daily means against those that the fluxes of half of both days make."""
    _, water = totals(read_run(folders["control"]), slice(0, 2))
    history = read(folders["control"] / "history.nc")
    entered = 86400.0 * history["water_input_by_all_processes"] @ history["area"] / history["area"].sum()
    assert abs(water[1] - water[0] - entered.mean()) < 0.2 * np.abs(entered).max()


def test_the_command_writes_numbers_and_pictures(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--against", str(folders["control"]), "--replica", str(folders["digit"]), str(folders["weather"])]
    assert main(["report", str(folders["other"]), *options]) == 0
    said = capsys.readouterr().out
    assert "online_bias_t_k" in said
    assert "hardly chaotic" in said
    content = json.loads((folders["other"] / "judgement.json").read_text())
    assert (content["run"], len(content["floors"])) == ("other", 2)
    assert {path.suffix for path in (folders["other"] / "pictures").iterdir()} == {".svg"}
    assert main(["report", str(tmp_path), *options]) == 1
    expected = f"emagram report: run folder '{tmp_path}': expected a configuration.json, got none\n"
    assert capsys.readouterr().err == expected
