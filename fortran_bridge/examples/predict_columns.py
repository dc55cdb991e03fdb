"""mpirun -n 2 python predict_columns.py MODEL.emg COLUMNS.nc OUTPUT.nc [CHUNK [error|mask|clip]].

Run a model on the columns of a NetCDF file. Every input of the model is a variable of its name with dimensions
(column, level), (column, interface) or (column) and an attribute `units`. The columns are split over the ranks and
stepped CHUNK (default 64) at a time; neither changes a bit of the output. A column that the policy rejects (default
error: none may be) keeps the fill value. Beside the outputs stand the residuals of the model's column budgets before
and after its constraints, and where one cannot hold. OUTPUT.nc appears when it is complete.
predict_columns.f90 and predict_columns.c write the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import netCDF4
import numpy as np
from mpi4py import MPI

import emagram
from emagram.fortran_bridge.dataset import STAGES, residual_attributes, status_attributes, unmet_attributes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emagram.fortran_bridge.dataset import Field
    from emagram.fortran_bridge.model import Model

USAGE = "expected the arguments MODEL.emg COLUMNS.nc OUTPUT.nc [CHUNK [error|mask|clip]]"
FILL = netCDF4.default_fillvals["f8"]
REJECTED = 16

Result = TypeVar("Result")
Arrays = dict[str, "NDArray[Any]"]


def main(arguments: list[str]) -> int:
    """Return the exit status; rank 0 prints one line."""
    comm = MPI.COMM_WORLD
    try:
        line = predict(comm, *parse(arguments))
    except ValueError as error:
        if comm.rank == 0:
            print(f"predict_columns: {error}", file=sys.stderr)
        return 1
    if comm.rank == 0:
        print(f"predict_columns: {line}")
    return 0


def parse(arguments: list[str]) -> tuple[Path, Path, Path, int, str]:
    """Model, columns, output, chunk, policy. Raises ValueError with one sentence."""
    if not 3 <= len(arguments) <= 5:
        raise ValueError(USAGE)
    model, columns, output = map(Path, arguments[:3])
    chunk, policy = [*arguments[3:], *("64", "error")[len(arguments) - 3 :]]
    if not chunk.isdecimal() or int(chunk) < 1:
        raise ValueError(f"argument CHUNK: expected a positive number of columns, got '{chunk}'")
    if policy not in ("error", "mask", "clip"):
        raise ValueError(f"argument POLICY: expected error, mask or clip, got '{policy}'")
    return model, columns, output, int(chunk), policy


def predict(comm: MPI.Comm, model_path: Path, columns: Path, output: Path, chunk: int, policy: str) -> str:
    """Read, step, gather and write; raises the same ValueError on every rank."""
    model = emagram.open(model_path, comm=comm, policy=policy)
    n_column, first, inputs = together(comm, lambda: read_columns(columns, model, comm))
    outputs = together(comm, lambda: step_chunks(model, inputs, first, chunk))
    whole = {name: gather(comm, array) for name, array in outputs.items()}
    together(comm, lambda: write_output(output, model, n_column, whole) if comm.rank == 0 else None)
    n_rejected = np.count_nonzero(whole["emagram_status"] >= REJECTED)
    return f"{n_column} columns, {n_rejected} rejected, written to {output}"


def together(comm: MPI.Comm, work: Callable[[], Result]) -> Result:
    """Do this rank's work; if it fails on any rank, raise the error of the lowest such rank on all."""
    result, message = None, None
    try:
        result = work()
    except (ValueError, OSError) as error:
        message = str(error)
    for failure in comm.allgather(message):
        if failure is not None:
            raise ValueError(failure)
    return result  # type: ignore[return-value]


def read_columns(path: Path, model: Model, comm: MPI.Comm) -> tuple[int, int, dict[str, tuple[NDArray[Any], str]]]:
    """Number of all columns, this rank's first, and its part of every input with the unit in the file."""
    with open_columns(path) as file:
        if "column" not in file.dimensions:
            raise ValueError("dimension 'column': NetCDF: Invalid dimension ID or name")
        n_column = len(file.dimensions["column"])
        first, end = (n_column * rank // comm.size for rank in (comm.rank, comm.rank + 1))
        return n_column, first, {field.name: read_variable(file, field, first, end) for field in model.inputs}


def open_columns(path: Path) -> netCDF4.Dataset:
    """The file, its numbers as they are stored."""
    try:
        file = netCDF4.Dataset(path)
    except OSError as error:
        raise ValueError(f"file '{path}': {error.strerror}") from None
    file.set_auto_maskandscale(False)
    return file


def read_variable(file: netCDF4.Dataset, field: Field, first: int, end: int) -> tuple[NDArray[Any], str]:
    """Columns [first, end) of a variable as float64, and its unit."""
    if field.name not in file.variables:
        raise ValueError(f"variable '{field.name}': NetCDF: Variable not found")
    variable = file.variables[field.name]
    if variable.dimensions != field.dimensions:
        expected, got = ", ".join(field.dimensions), ", ".join(variable.dimensions)
        raise ValueError(f"variable '{field.name}': expected dimensions ({expected}), got ({got})")
    if len(field.dimensions) > 1 and variable.shape[1] != field.size:
        name = field.dimensions[1]
        raise ValueError(f"variable '{field.name}': expected {name} = {field.size}, got {variable.shape[1]}")
    attributes = variable.ncattrs()
    if "scale_factor" in attributes or "add_offset" in attributes:
        raise ValueError(
            f"variable '{field.name}': expected plain numbers, got packed ones (scale_factor or add_offset)"
        )
    if "units" not in attributes:
        raise ValueError(f"variable '{field.name}': attribute 'units': NetCDF: Attribute not found")
    return np.asarray(variable[first:end], dtype=np.float64), variable.units


def step_chunks(model: Model, inputs: dict[str, tuple[NDArray[Any], str]], first: int, chunk: int) -> Arrays:
    """Outputs of this rank's columns, `emagram_status`, and of each budget the residuals and where it is unmet."""
    number = len(next(iter(inputs.values()))[0])
    outputs: Arrays = {
        field.name: np.full((number, field.size)[: len(field.dimensions)], FILL) for field in model.outputs
    }
    outputs["emagram_status"] = np.zeros(number, dtype=np.int32)
    outputs |= {f"residual_of_{name}": np.empty((number, len(STAGES))) for name in model.budgets}
    outputs |= {f"unmet_{name}": np.zeros(number, dtype=np.int32) for name in model.budgets}
    for start in range(0, number, chunk):
        part = slice(start, min(start + chunk, number))
        n = part.stop - part.start
        columns = model.columns(n, identity=range(first + part.start, first + part.stop))
        for field in model.inputs:
            array, unit = inputs[field.name]
            columns.bind(field.name, array[part], field.dimensions, unit=unit)
        for field in model.outputs:
            columns.bind(field.name, outputs[field.name][part], field.dimensions)
        model.step(columns, n, model.time_step or 1.0)
        outputs["emagram_status"][part] = columns.status(n)
        for name in model.budgets:
            residual = np.stack([columns.budget_at(name, stage, n) for stage in STAGES], axis=1)
            outputs[f"residual_of_{name}"][part] = np.where(np.isnan(residual), FILL, residual)
            outputs[f"unmet_{name}"][part] = columns.unmet(name, n)
    return outputs


def gather(comm: MPI.Comm, array: NDArray[Any]) -> NDArray[Any]:
    """The parts of all ranks one after the other, on rank 0."""
    parts = comm.gather(array)
    return np.concatenate(parts) if parts is not None else array


def write_output(path: Path, model: Model, n_column: int, outputs: Arrays) -> None:
    """Write the file under a temporary name and rename it when it is complete."""
    temporary = Path(f"{path}.part")
    try:
        with netCDF4.Dataset(temporary, "w", format="NETCDF3_64BIT_OFFSET") as file:
            write_variables(file, model, n_column, outputs)
        temporary.rename(path)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        raise ValueError(f"file '{path}': {getattr(error, 'strerror', None) or error}") from None


def write_variables(file: netCDF4.Dataset, model: Model, n_column: int, outputs: Arrays) -> None:
    """Dimensions, variables and attributes, after CF-1.8."""
    lengths = {"column": n_column, "level": model.n_level, "interface": model.n_level + 1, "stage": len(STAGES)}
    for name, length in lengths.items():
        file.createDimension(name, length)
    for field in model.outputs:
        variable = file.createVariable(field.name, "f8", field.dimensions, fill_value=FILL)
        variable.setncatts({"units": field.unit, "long_name": field.name.replace("_", " ")})
    status = file.createVariable("emagram_status", "i4", ("column",), fill_value=False)
    status.setncatts(status_attributes())
    define_budgets(file, model)
    file.setncatts({"Conventions": "CF-1.8", "source": f"Emagram model '{model.name}'"})
    file.emagram_model_sha256 = model.sha256
    for name, array in outputs.items():
        file.variables[name][:] = array
    file.variables["stage"][:] = np.arange(len(STAGES))


def define_budgets(file: netCDF4.Dataset, model: Model) -> None:
    """What the stages mean, and two variables a budget."""
    stage = file.createVariable("stage", "i4", ("stage",), fill_value=False)
    flags = {"flag_values": np.arange(len(STAGES), dtype=np.int32), "flag_meanings": " ".join(STAGES)}
    stage.setncatts({"long_name": "when a residual was measured", **flags})
    for budget in model.budget_table:
        residual = file.createVariable(f"residual_of_{budget.name}", "f8", ("column", "stage"), fill_value=FILL)
        residual.setncatts(residual_attributes(budget))
        unmet = file.createVariable(f"unmet_{budget.name}", "i4", ("column",), fill_value=False)
        unmet.setncatts(unmet_attributes(budget, np.int32))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
