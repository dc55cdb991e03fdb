"""What one step with an emulator is: the model file's prediction, and stops at the same place on any ranks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

import emagram
from emagram.emulators.climsim import climsim_spec
from emagram.emulators.data.climsim_grid import read_climsim_grid
from emagram.emulators.data.climsim_series import find_series
from emagram.emulators.data.climsim_stream import ColumnStream
from emagram.emulators.model_file import read_model_file
from emagram.hybrid.case import RecordConfig
from emagram.hybrid.host_output import Stop, read_stop
from emagram.hybrid.physics_config import RampConfig
from emagram.hybrid.run import run
from emagram.physics.errors import EmagramError
from host_case import read
from online_cases import blend, emulator, online_case, summary
from online_model import EXTRA_OUTPUTS, changed_model, write_linear_model

DIMENSIONS = {"column": ("column",), "layer": ("column", "level"), "interface": ("column", "interface")}


def raised(at: Any, by: float) -> Any:
    """Change a model by raising the mean of an output, by name or by index, and leaving out the closing."""

    def change(manifest: dict[str, Any], weights: dict[str, Any]) -> None:
        weights["outputs.mean"][at if isinstance(at, int) else place_of(manifest, at)] += by
        manifest["constraints"] = [c for c in manifest["constraints"] if c["type"] != "water_and_energy"]

    return change


def place_of(manifest: dict[str, Any], name: str) -> int:
    """Where an output of one value stands among the values of all."""
    names = [output["name"] for output in manifest["outputs"]]
    return sum(output["size"] for output in manifest["outputs"][: names.index(name)])


def stopped(model: Path, folder: Path, *, ranks: int = 1, **changes: Any) -> Stop:
    """What stopped a run that must stop."""
    with pytest.raises(EmagramError, match=r"expected .* from .* to .*, got"):
        run(online_case(**({"physics": emulator(model)} | changes)), ranks=ranks, output=folder)
    stop = read_stop(folder)
    assert stop is not None
    return stop


def test_every_step_is_what_the_model_file_predicts_from_the_recorded_columns(model: Path, tmp_path: Path) -> None:
    """Through names of ClimSim and the Python bindings: other ways to the fields than those of the host."""
    case = online_case(emulator(model, spin_up_days=0), days=1, record=RecordConfig(every=24))
    folder = run(case, output=tmp_path / "run")
    spec = replace(climsim_spec("v2"), outputs=climsim_spec("v2").outputs + EXTRA_OUTPUTS)
    manifest = read_model_file(model).manifest
    spec = replace(spec, inputs=tuple(entry["name"] for entry in manifest["inputs"]))
    stream = ColumnStream(find_series(folder / "columns"), spec, read_climsim_grid(folder / "grid.nc"))
    columns = next(stream.batches(stream.n_column, seed=0))
    assert stream.n_column == 3 * 9
    inputs = {
        entry["name"]: (DIMENSIONS[entry["dimension"]], columns.inputs[entry["name"]].numpy(), {"units": entry["unit"]})
        for entry in manifest["inputs"]
    }
    predicted = emagram.open(model).predict(xr.Dataset(inputs))
    for name, stepped in columns.targets.items():
        scale = np.abs(stepped.numpy()).max()
        assert scale > 0.0
        np.testing.assert_allclose(stepped.numpy(), predicted[name].values, rtol=0.0, atol=1e-11 * scale)


def test_constraints_without_a_budget_are_applied_too(tmp_path: Path) -> None:
    model = write_linear_model(tmp_path, constraints=("bounds", "precipitation"))

    def rise(manifest: dict[str, Any], weights: dict[str, Any]) -> None:
        weights["outputs.mean"][place_of(manifest, "lwe_precipitation_rate")] = -1e-6
        weights["outputs.mean"][:360] = 0.0
        weights["outputs.scale"][:360] = 0.0

    rising = changed_model(model, tmp_path / "rising.emg", rise)
    history = read(run(online_case(emulator(rising), days=2), output=tmp_path / "run") / "history.nc")
    assert history["precipitation_flux"].min() >= 0.0


def test_who_writes_into_the_model_file_does_not_change_a_run(model: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.emg"
    mine.write_bytes(model.read_bytes())
    folder = run(online_case(emulator(mine), days=2), output=tmp_path / "run")
    mine.write_bytes(changed_model(model, tmp_path / "other.emg", raised(3, 1e-5)).read_bytes())
    assert (folder / "model.emg").read_bytes() == model.read_bytes()
    with pytest.raises(EmagramError, match="expected the model that the run began with"):
        run(online_case(emulator(mine)), output=folder)


@pytest.mark.mpi
def test_the_earliest_stop_counts_whatever_the_ranks_and_blocks(model: Path, tmp_path: Path) -> None:
    """All columns get too hot within a day, the first of them neither on the first rank nor in the first block."""
    hot = changed_model(model, tmp_path / "hot.emg", raised(3, 400.0 / 86400.0))
    one = stopped(hot, tmp_path / "one")
    assert one.column > 3
    for ranks, chunk in ((9, 4), (2, 1), (3, 2)):
        folder = tmp_path / f"{ranks} ranks"
        assert stopped(hot, folder, ranks=ranks, physics=emulator(hot), chunk=chunk) == one
        assert summary(folder)["online_days"] == summary(tmp_path / "one")["online_days"]


def test_a_surface_that_leaves_bounds_in_the_last_step_stops_the_run(model: Path, tmp_path: Path) -> None:
    """The emulator is there for the last step only; before, the days are good, and so stays their restart file."""
    hot = changed_model(model, tmp_path / "hot.emg", raised("surface_downwelling_longwave_flux_in_air", 1e6))
    stop = stopped(hot, tmp_path / "run", physics=blend(hot, RampConfig("step", 1.0, 3.0 - 1.0 / 72.0)))
    assert (stop.variable, stop.level, stop.after) == ("surface_temperature", None, "slab")
    assert stop.day == pytest.approx(4.0 - 1.0 / 72.0)
    assert not summary(tmp_path / "run")["online_stable"]
    assert read(tmp_path / "run" / "restart.nc")["surface_temperature"].max() < 320.0


def test_what_the_host_s_own_part_of_a_blend_does_stops_a_run_with_word(model: Path, tmp_path: Path) -> None:
    burning = {"sun": {"solar_irradiance": 1e7}}
    half = blend(model, RampConfig("constant", 0.5), spin_up_days=0)
    stop = stopped(model, tmp_path / "run", physics=half, parameters=burning)
    assert (stop.variable, stop.after) == ("air_temperature", "radiation")


def test_what_stopped_a_run_is_kept_where_it_cannot_go_on(model: Path, tmp_path: Path) -> None:
    hot = changed_model(model, tmp_path / "hot.emg", raised(3, 400.0 / 86400.0))
    stop = stopped(hot, tmp_path / "run")
    with netCDF4.Dataset(tmp_path / "run" / "restart.nc", "a") as file:
        file["complete"][...] = 0
    with pytest.raises(EmagramError, match="expected a complete file"):
        run(online_case(emulator(hot)), output=tmp_path / "run")
    assert read_stop(tmp_path / "run") == stop
    assert summary(tmp_path / "run")["stopped"]["column"] == stop.column
