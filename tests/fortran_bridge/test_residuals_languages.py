"""Residuals of every stage from C, Fortran and Python, bit for bit, and models that only measure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest

import emagram
from constrained_model import (
    HEATING,
    INPUTS,
    RATES,
    TIME_STEP,
    Array,
    constraint_entries,
    hard_columns,
    write_constrained,
)
from emagram.emulators.model_file import ModelFile, read_model_file, write_model_file
from emagram.fortran_bridge.dataset import STAGES
from emagram.fortran_bridge.errors import BridgeError
from emagram.fortran_bridge.model import Model
from emagram.physics.variables import VARIABLES
from stepping import bind

TWIN = Path(__file__).resolve().parents[2] / "fortran_bridge/examples/predict_columns.py"
N_COLUMN, N_LEVEL, INVALID = 83, 12, 31
DIMENSIONS = {"column": ("column",), "layer": ("column", "level"), "interface": ("column", "interface")}
Outcome = dict[str, tuple[Array, Array]]  # of each budget its residuals (n_stage, N_COLUMN) and where it is unmet


def dry_columns() -> dict[str, Array]:
    inputs, _ = hard_columns(N_COLUMN, N_LEVEL, 5)
    inputs["air_temperature"][INVALID, 3] = np.nan
    return inputs


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All constraints, and a network that takes away more vapour than some columns have."""
    folder = tmp_path_factory.mktemp("drying")
    contents = read_model_file(write_constrained(folder / "zeros.emg", list(constraint_entries().values()), N_LEVEL))
    sizes = {entry["name"]: entry["size"] for entry in contents.manifest["outputs"]}
    start = sum(size for name, size in list(sizes.items())[: list(sizes).index(RATES[0])])
    contents.weights["outputs.mean"][start : start + N_LEVEL] = -1e-7
    manifest = {key: value for key, value in contents.manifest.items() if key != "members"}
    write_model_file(folder / "drying.emg", ModelFile(manifest, contents.plan, contents.weights, contents.selftest))
    return folder / "drying.emg"


@pytest.fixture(scope="module")
def columns_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("columns") / "columns.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, length in (("column", N_COLUMN), ("level", N_LEVEL), ("interface", N_LEVEL + 1)):
            file.createDimension(name, length)
        for name, values in dry_columns().items():
            variable = file.createVariable(name, "f8", DIMENSIONS[VARIABLES[name].dimension])
            variable.units = VARIABLES[name].unit
            variable[:] = values
    return path


def stepped(model: Model) -> Outcome:
    """From a step in memory."""
    inputs, columns = dry_columns(), model.columns(N_COLUMN)
    outputs = {f.name: np.zeros((N_COLUMN, f.size)[: len(f.dimensions)]) for f in model.outputs}
    bind(columns, {name: inputs[name] for name in INPUTS} | outputs)
    model.step(columns, N_COLUMN, TIME_STEP)
    return {
        name: (
            np.stack([columns.budget_at(name, stage, N_COLUMN) for stage in STAGES]),
            columns.unmet(name, N_COLUMN),
        )
        for name in model.budgets
    }


@pytest.mark.mpi
def test_every_language_writes_the_residuals_that_a_step_in_memory_has(
    emagram_build: Path, mpirun, model_file: Path, columns_file: Path, tmp_path: Path
) -> None:
    written = {}
    for language, ranks, chunk in (("fortran", 1, 64), ("c", 3, 10), ("python", 2, 7), ("fortran", 4, 5), ("c", 1, 83)):
        program = (
            [sys.executable, TWIN] if language == "python" else [emagram_build / "bin" / f"predict_columns_{language}"]
        )
        output = tmp_path / "output.nc"
        done = mpirun(ranks, *program, model_file, columns_file, output, str(chunk), "mask")
        assert "83 columns, 1 rejected" in done.stdout, done.stderr
        written[language, ranks] = output.read_bytes()
    assert len(set(written.values())) == 1
    expected = stepped(emagram.open(model_file, policy="mask"))
    assert sum(int(unmet.sum()) for _, unmet in expected.values()) > 0
    with netCDF4.Dataset(output) as file:
        file.set_auto_mask(False)
        assert file["stage"].flag_meanings == " ".join(STAGES)
        for budget in emagram.open(model_file).budget_table:
            residual, unmet = expected[budget.name]
            assert file[f"residual_of_{budget.name}"].units == budget.unit
            filled = np.where(np.isnan(residual), netCDF4.default_fillvals["f8"], residual)
            assert np.ascontiguousarray(file[f"residual_of_{budget.name}"][:].T).tobytes() == filled.tobytes()
            np.testing.assert_array_equal(file[f"unmet_{budget.name}"][:], unmet)
            assert list(np.flatnonzero(np.isnan(residual).any(axis=0))) == [INVALID]


def test_stages_are_what_their_names_say(model_file: Path) -> None:
    """A budget is open before its constraint and closed after it; what came first is what the network returned."""
    sound = np.arange(N_COLUMN) != INVALID
    closed, measured = (stepped(emagram.open(model_file, policy="mask", measure_only=only)) for only in (False, True))
    assert list(closed) == list(measured)
    for name, (residual, _) in closed.items():
        predicted = residual[STAGES.index("predicted"), sound]
        for stage in range(len(STAGES)):
            np.testing.assert_array_equal(measured[name][0][stage, sound], predicted)
    before, after = (np.abs(closed["column_water"][0][STAGES.index(s), sound]).max() for s in ("before", "after"))
    assert before > 1e-6 > 1e-15 >= after
    moved = np.abs(np.subtract(*closed["column_water"][0][:2, sound])).max()
    assert moved > 1e-9  # positivity came in between


def test_a_model_that_measures_leaves_what_the_network_returns(model_file: Path) -> None:
    model = emagram.open(model_file, policy="mask", measure_only=True)
    inputs, columns = dry_columns(), model.columns(N_COLUMN)
    outputs = {f.name: np.full((N_COLUMN, f.size)[: len(f.dimensions)], np.nan) for f in model.outputs}
    bind(columns, {name: inputs[name] for name in INPUTS} | outputs)
    model.step(columns, N_COLUMN, TIME_STEP)
    sound = np.arange(N_COLUMN) != INVALID
    assert (outputs[RATES[0]][sound] == -1e-7).all()
    assert all((values[sound] == 0.0).all() for name, values in outputs.items() if name != RATES[0])


def test_a_model_that_measures_leaves_the_bits_of_the_host(model_file: Path) -> None:
    """Also in another unit, from which and to which a value does not come back to the same bits."""
    model = emagram.open(model_file, policy="mask", defer_constraints=True, measure_only=True)
    inputs, columns = dry_columns(), model.columns(N_COLUMN)
    outputs = {f.name: np.zeros((N_COLUMN, f.size)[: len(f.dimensions)]) for f in model.outputs}
    heating = np.random.default_rng(5).normal(size=outputs[HEATING].shape)
    bind(columns, {name: inputs[name] for name in INPUTS} | outputs)
    columns.bind(HEATING, heating, "column level", unit="K day-1")
    before = heating.copy()
    model.constrain(columns, N_COLUMN, TIME_STEP)
    assert heating.tobytes() == before.tobytes()
    predicted, returned = (columns.budget_at("column_energy", stage, N_COLUMN) for stage in ("predicted", "returned"))
    np.testing.assert_array_equal(returned, predicted)


def test_budgets_are_described(model_file: Path) -> None:
    table = {budget.name: budget for budget in emagram.open(model_file).budget_table}
    assert (table["column_energy"].unit, table["column_energy"].tolerance) == ("W m-2", 1e-9)
    assert (table["column_water"].unit, table["column_water"].tolerance) == ("kg m-2 s-1", 1e-14)
    closes = {entry["name"]: entry for entry in constraint_entries().values()}
    for budget in table.values():
        assert budget.name in [one["name"] for one in closes[budget.constraint]["budgets"]]


def test_fortran_describes_measures_and_refuses(fortran, tiny_model: Path) -> None:
    program = fortran.compile("residuals.f90")
    done = subprocess.run([program, tiny_model], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    (budget,) = emagram.open(tiny_model).budget_table
    assert said["budget"].split("|") == [budget.name, budget.unit, budget.constraint, "1.0E-09"]
    assert said["closed"] == said["measured"] == said["every stage"] == "ok"
    assert said["stage -1"] == said["stage 4"].replace("got 4", "got -1")
    assert said["stage 4"] == "1 budget: expected a stage of 0 to 3, got 4"
    for call in ("budget 0", "budget 2", "unmet 2", "describe 0"):
        code, sentence = said[call].split(" ", 1)
        assert int(code) == 1
        assert "budget" in sentence
        assert str(int(call.split()[1]) - 1) in sentence


def test_bad_names_and_stages_are_one_sentence(model_file: Path) -> None:
    model = emagram.open(model_file)
    columns = model.columns(3)
    for call, sentence in (
        (lambda: columns.budget_at("column_water", "later", 3), "stage 'later': expected one of predicted, before"),
        (lambda: columns.budget_at("honey", "after", 3), "budget 'honey': expected one of upper_water"),
        (lambda: columns.unmet("honey", 3), "budget 'honey': expected one of upper_water"),
        (lambda: columns.unmet("column_water", 3), "the last step had 0 columns, asked for 3"),
        (lambda: columns._handle.budget_at(0, -1, 0), "expected a stage of 0 to 3, got -1"),
        (lambda: columns._handle.unmet(-1, 0), "asked for number -1"),
    ):
        with pytest.raises(BridgeError, match=sentence):
            call()
