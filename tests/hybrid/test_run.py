"""Run folders of the column host, and what it says when something is wrong: one sentence, on any number of ranks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from emagram.hybrid import run as run_module
from emagram.hybrid.case import ForcingConfig, PerturbationConfig
from emagram.hybrid.host_output import read_budgets, read_timers, state_sha256
from emagram.hybrid.run import PROGRAM, namelist, prepare, program, run
from emagram.physics.errors import EmagramError
from host_case import small_case
from judged_runs import STOP

MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
CASE = """
name = "small"
days = 1
[grid]
source = "built_in"
n_column = 3
n_level = 20
[sun]
source = "daily_mean"
[parameters.longwave]
core_fraction = 0.0
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A run folder that has not begun."""
    prepare(small_case(days=1), tmp_path / "a run")
    return tmp_path / "a run"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of one day of two."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    run(small_case(days=1), output=folder)
    prepare(small_case(days=2), folder)
    return folder


def host(folder: Path, ranks: int = 1) -> str:
    """What the program says when it fails: a single line."""
    launcher = ["mpirun", "--oversubscribe", "-n", str(ranks)] if ranks > 1 else []
    done = subprocess.run(
        [*launcher, program(), folder / "case.nml"],
        env=os.environ | MPI,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("emagram-host: ")]
    assert len(said) == 1, done.stderr
    return said[0]


def change(path: Path, name: str, edit: Callable[[np.ndarray], None]) -> None:
    with netCDF4.Dataset(path, "r+") as file:
        values = file.variables[name][...].filled()
        edit(values)
        file.variables[name][...] = values


def put(index: tuple[int, ...], value: float) -> Callable[[np.ndarray], None]:
    return lambda values: values.__setitem__(index, value)


def test_a_case_from_toml_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text(CASE)
    done = subprocess.run(
        [sys.executable, "-m", "emagram", "run", "case.toml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "state_sha256" in done.stdout
    folder = tmp_path / "runs" / "small"
    names = {
        "budgets.csv",
        "case.nml",
        "columns",
        "configuration.json",
        "grid.nc",
        "history.nc",
        "initial.nc",
        "log.txt",
    }
    assert {path.name for path in folder.iterdir()} == names | {
        "restart.nc",
        "summary.json",
        "timers.csv",
        "versions.json",
    }
    assert "longwave%core_fraction = 0.0d0" in (folder / "case.nml").read_text()
    assert not list((folder / "columns").iterdir())
    seconds, column_steps = read_timers(folder)["all"]
    assert column_steps == 3 * 72
    assert seconds > 0.0


def test_a_parameter_reaches_the_physics(tmp_path: Path) -> None:
    other = run(small_case(days=1, parameters={"longwave": {"well_mixed_factor": 4.0}}), output=tmp_path / "other")
    same = run(small_case(days=1), output=tmp_path / "same")
    name = "toa_outgoing_longwave_flux_w_m2"
    assert read_budgets(other)[name][0] < read_budgets(same)[name][0] - 5.0


def test_namelist_literals() -> None:
    text = namelist({"host": {"days": 3, "sun": "it's"}, "longwave": {"a": 1e-9, "b": 0.1, "c": 2.0}})
    assert text == "&case\n  host%days = 3\n  host%sun = 'it''s'\n  longwave%a = 1d-09\n" + (
        "  longwave%b = 0.1d0\n  longwave%c = 2.0d0\n/\n"
    )


def test_another_case_does_not_continue_a_run(begun: Path) -> None:
    with pytest.raises(EmagramError, match=r"run folder .* expected 'seed' as in its configuration\.json \(3\), got 4"):
        prepare(small_case(seed=4), begun)
    with pytest.raises(EmagramError, match="expected 'forcing' as in"):
        prepare(small_case(forcing=ForcingConfig()), begun)


def test_a_perturbed_case_does_not_continue_a_run_and_one_without_continues_old_ones(
    begun: Path, tmp_path: Path
) -> None:
    with pytest.raises(EmagramError, match="expected 'perturbation' as in"):
        prepare(small_case(perturbation=PerturbationConfig(relative=1e-14)), begun)
    shutil.copytree(begun, tmp_path / "run")
    path = tmp_path / "run" / "configuration.json"
    configuration = json.loads(path.read_text())
    assert configuration.pop("perturbation") is None  # as runs from before had it
    path.write_text(json.dumps(configuration))
    prepare(small_case(), tmp_path / "run")


def test_a_run_is_not_shortened(begun: Path, tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path / "run")
    run(small_case(), output=tmp_path / "run")
    with pytest.raises(EmagramError, match="expected at least the 2 days done there, got 1"):
        prepare(small_case(days=1), tmp_path / "run")


def test_no_ranks_and_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EmagramError, match="--ranks: expected at least 1, got 0"):
        run(small_case(), ranks=0, output=tmp_path)
    monkeypatch.setattr(run_module, "PACKAGE_FOLDERS", [str(tmp_path)])
    with pytest.raises(EmagramError, match="program 'emagram-host': not built"):
        run(small_case(), output=tmp_path / "run")


def test_the_stop_of_an_earlier_session_is_not_taken_for_this_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(small_case(), tmp_path)
    (tmp_path / "stopped.json").write_text(json.dumps(STOP | {"day": 0.5}))
    (tmp_path / "timers.csv").write_text("part,seconds,column_steps\nall,1.0,9\n")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(EmagramError, match="mpirun: expected on the PATH"):
        run(small_case(), ranks=2, output=tmp_path)
    assert not (tmp_path / "summary.json").exists()
    (tmp_path / "summary.json").write_text("{}")  # what summed up that stop stays with it
    with pytest.raises(EmagramError, match="mpirun: expected on the PATH"):
        run(small_case(), ranks=2, output=tmp_path)
    assert (tmp_path / "summary.json").read_text() == "{}"
    assert json.loads((tmp_path / "stopped.json").read_text())["day"] == 0.5


def test_root_is_told_what_mpirun_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMPI_ALLOW_RUN_AS_ROOT", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(EmagramError, match="mpirun: refuses to run as root"):
        run(small_case(), ranks=2, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda text: text.replace("host%days = 1", "host%dyas = 1"),
            "expected a namelist group 'case' of known names",
        ),
        (lambda text: text.replace("&case", "&cases"), "expected a line '&case', got none"),
        (lambda _: "", "expected a line '&case', got none"),
        (lambda text: text.replace("/", ""), "expected a namelist group 'case' of known names, got 'End of file'"),
        (lambda text: text.replace("host%days = 1\n", "host%days = 0\n"), "'days': expected at least 1, got 0"),
        (lambda text: text.replace("time_step = 1200", "time_step = 1201"), "expected a divisor of a day, got 1201"),
        (lambda text: text.replace("'seasonal_diurnal'", "'moon'"), "'sun': expected seasonal_diurnal, daily_mean or"),
        (lambda text: text.replace("top_pressure = 1", "top_pressure = -1"), "'top_pressure': expected above 0"),
        (lambda text: text.replace("chunk = 4", "chunk = 0"), "'chunk': expected at least 1, got 0"),
    ],
)
def test_a_wrong_namelist_is_named(prepared: Path, edit: Callable[[str], str], message: str) -> None:
    path = prepared / "case.nml"
    text = path.read_text()
    path.write_text(edit(text))
    assert path.read_text() != text
    said = host(prepared)
    assert "case.nml': " in said
    assert message in said


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_missing_or_broken_initial_file_is_named(prepared: Path, ranks: int) -> None:
    path = prepared / "initial.nc"
    content = path.read_bytes()
    path.unlink()
    assert f"file '{path}': No such file or directory" in host(prepared, ranks)
    path.write_bytes(content[: len(content) // 2])
    assert f"file '{path}': expected a complete file, got a truncated one" in host(prepared, ranks)
    path.write_bytes(b"no netCDF")
    assert "Unknown file format" in host(prepared, ranks)


@pytest.mark.mpi
def test_a_wrong_variable_of_the_initial_file_is_named(prepared: Path) -> None:
    path = prepared / "initial.nc"
    whole = xr.load_dataset(path, decode_cf=False)
    short = whole.assign(specific_humidity=(("ncol", "short"), whole["specific_humidity"].values[:, :59]))
    short.to_netcdf(path, format="NETCDF3_64BIT")
    said = host(prepared, 2)
    assert f"variable 'specific_humidity' of '{path}': expected shape (9, 60), got (9, 59)" in said
    whole.drop_vars("forcing_phase").to_netcdf(path, format="NETCDF3_64BIT")
    assert "variable 'forcing_phase'" in host(prepared)


@pytest.mark.mpi
def test_a_wrong_value_in_the_beginning_names_column_and_variable(prepared: Path) -> None:
    path = prepared / "initial.nc"
    change(path, "air_temperature", put((7, 5), np.nan))
    assert "'air_temperature'" in host(prepared, 2)
    assert "expected finite values, got NaN or infinity in column 7" in host(prepared)
    change(path, "air_temperature", put((7, 5), 30.0))
    said = host(prepared, 4)
    assert "column 7 (lat -41.81, lon 242.55) in the beginning: " in said
    assert "expected air_temperature at level 5 from  1.0000E+02" in said
    change(path, "air_temperature", put((7, 5), 250.0))
    change(path, "surface_temperature", put((2,), 1e30))
    said = host(prepared)
    assert "column 2 (lat " in said
    assert "in the beginning: expected surface_temperature from  1.0000E+02 to  4.0000E+02, got  1.0000E+30" in said


@pytest.mark.mpi
def test_a_column_that_blows_up_is_named_and_no_rank_hangs(prepared: Path) -> None:
    """One column of nine on one rank of four is heated without end."""
    change(prepared / "initial.nc", "forcing_heating", put((slice(4, 5), slice(None)), 1.0))
    said = host(prepared, 4)
    assert "column 4 (lat 0.00, lon 190.03) after forcing in the step of 0001-01-01-0" in said
    assert "expected air_temperature at level" in said


def test_vertical_motion_that_is_too_fast_is_refused(prepared: Path) -> None:
    change(prepared / "initial.nc", "forcing_vertical_velocity", put((slice(3, 4), slice(None)), 5.0))
    assert "forcing of column 3: expected vertical motion through at most 1 layer in a step, got " in host(prepared)


def copied(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


@pytest.mark.mpi
@pytest.mark.parametrize(("name", "ranks"), [("lat", 2), ("hybi", 1), ("area", 1), ("surface_air_pressure", 1)])
def test_a_restart_file_of_another_grid_is_refused(begun: Path, tmp_path: Path, name: str, ranks: int) -> None:
    folder = copied(begun, tmp_path)
    change(folder / "restart.nc", name, lambda values: np.copyto(values, values * (1.0 + 1e-15)))
    said = host(folder, ranks)
    assert f"expected the grid of the initial file, got '{name}' at index" in said


def test_a_restart_file_of_other_columns_or_steps_is_refused(begun: Path, tmp_path: Path) -> None:
    folder = copied(begun, tmp_path)
    whole = xr.load_dataset(folder / "restart.nc", decode_cf=False)
    whole.isel(ncol=slice(8)).to_netcdf(folder / "restart.nc", format="NETCDF3_64BIT")
    assert "variable 'lat' of" in (said := host(folder))
    assert "expected shape (9), got (8)" in said
    whole.assign_attrs(time_step_seconds=np.int32(600)).to_netcdf(folder / "restart.nc", format="NETCDF3_64BIT")
    assert "expected a time step of 1200 s, got 600 s" in host(folder)
    (folder / "restart.nc").write_bytes(b"torn")
    assert "Unknown file format" in host(folder)
    with pytest.raises(EmagramError, match=r"restart\.nc': expected a restart file"):
        prepare(small_case(), folder)


def test_budgets_that_lack_days_are_refused(begun: Path, tmp_path: Path) -> None:
    folder = copied(begun, tmp_path)
    head = (folder / "budgets.csv").read_text().splitlines()[0]
    (folder / "budgets.csv").write_text(head + "\n")
    assert "budgets.csv': expected the lines of 1 days that were done" in host(folder)


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "ranks"),
    [("restart.nc.part", 1), ("history.nc.part", 2), ("columns/emagram.mli.0001-01-01-00000.nc.part", 1)],
)
def test_a_full_disk_leaves_a_sentence_and_no_half_file(prepared: Path, name: str, ranks: int) -> None:
    """What is written under the temporary name goes to /dev/full."""
    (prepared / name).symlink_to("/dev/full")
    said = host(prepared, ranks)
    assert (prepared / name.removesuffix(".part")).as_posix() in said
    assert "No space left on device" in said
    assert not (prepared / name.removesuffix(".part")).exists()
    assert not (prepared / name).is_symlink()


def test_budgets_that_cannot_be_written_are_named(prepared: Path) -> None:
    (prepared / "budgets.csv.part").mkdir()
    said = host(prepared)
    assert f"file '{prepared}/budgets.csv.part': " in said
    assert "directory" in said


def test_a_folder_that_is_not_there_is_named(prepared: Path) -> None:
    (prepared / "columns").rmdir()
    assert "columns/emagram.mli.0001-01-01-00000.nc': No such file or directory" in host(prepared)


def test_no_argument_and_no_file_are_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run([program()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "emagram-host: expected one argument, CASE.nml\n")
    assert f"file '{tmp_path}/case.nml': " in host(tmp_path)


def test_the_sentence_of_the_host_is_that_of_the_command(prepared: Path) -> None:
    change(prepared / "initial.nc", "surface_temperature", put((2,), 1e30))
    with pytest.raises(EmagramError, match=r"^column 2 \(.*\) in the beginning: expected surface_temperature"):
        run(small_case(days=1), output=prepared)
    assert not (prepared / "summary.json").exists()
    assert "emagram-host: column 2" in (prepared / "log.txt").read_text()


def test_the_hash_of_a_state_is_of_names_and_bits(begun: Path, tmp_path: Path) -> None:
    folder = copied(begun, tmp_path)
    before = state_sha256(folder / "restart.nc")
    assert before == state_sha256(begun / "restart.nc")
    change(folder / "restart.nc", "air_temperature", lambda values: values.__imul__(1.0 + 3e-16))
    assert state_sha256(folder / "restart.nc") != before


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for reader in (read_budgets, read_timers):
        with pytest.raises(EmagramError, match="expected a file of the run, got no such file"):
            reader(tmp_path)
    (tmp_path / "budgets.csv").write_text("day,x\n")
    with pytest.raises(EmagramError, match="expected at least one line of values, got none"):
        read_budgets(tmp_path)


def test_the_program_is_where_batch_scripts_find_the_command() -> None:
    done = subprocess.run([Path(sys.executable).with_name(PROGRAM)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "expected one argument, CASE.nml" in done.stdout + done.stderr
