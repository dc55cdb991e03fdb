"""Open a model file and call it from Python, through the library that a Fortran model links."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _bridge
from .dataset import FIELD_ERROR, STAGES, Budget, Field, budget, ledger, predict
from .errors import BridgeError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_bridge.set_error_type(BridgeError)

POLICIES = {"error": 0, "mask": 1, "clip": 2}
ROLES = {"column": 1, "column_1": 1, "column_2": 2, "level": 3, "interface": 3, "neighbour": 4}
DIMENSIONS = ("column", "layer", "interface")
ARGUMENT_ERROR, FILE_ERROR = 1, 2


def open(
    path: str | Path,
    comm: Any = None,
    *,
    policy: str = "error",
    allow_other_dt: bool = False,
    defer_constraints: bool = False,
    extrapolation_margin: float = 0.0,
    measure_only: bool = False,
) -> Model:
    """Open a model file, verify its checksums and replay its self-test.

    Args:
        path: a file `.emg`.
        comm: an mpi4py communicator; rank 0 reads, the others receive. All ranks must call.
        policy: what an invalid column does: "error" fails the step, "mask" leaves the host's values,
            "clip" clips inputs to the training range first.
        allow_other_dt: accept a time step other than the model's.
        defer_constraints: leave the constraints to `Columns.constrain`.
        extrapolation_margin: [1] of the width of the training range of a field by which an input may lie outside the
            range of its level before its column counts as extrapolated.
        measure_only: residuals are measured, and no constraint changes anything.
    Raises:
        BridgeError: if the file cannot be read or is not a sound model file, on all ranks alike.

    >>> model = emagram.open(model_file)
    >>> model.n_level, model.budgets
    (60, ('longwave', 'shortwave'))
    >>> [field.name for field in model.inputs if field.unit == "K"]
    ['air_temperature', 'surface_temperature']
    """
    if policy not in POLICIES:
        raise BridgeError(ARGUMENT_ERROR, f"policy: expected one of {', '.join(POLICIES)}, got '{policy}'")
    content = _read(Path(path)) if comm is None or comm.rank == 0 else b""
    if comm is not None:
        content = comm.bcast(content, root=0)
    options = (POLICIES[policy], allow_other_dt, defer_constraints, extrapolation_margin, measure_only)
    opened = _open(content, path, options)
    failures = [opened if isinstance(opened, BridgeError) else None]
    if comm is not None:
        failures = comm.allgather(failures[0])
    for failure in failures:  # the first rank's, on all ranks
        if failure is not None:
            raise failure
    assert not isinstance(opened, BridgeError)
    return Model(opened)


def _read(path: Path) -> bytes | BridgeError:
    """The file, or the error that every rank must raise."""
    try:
        return path.read_bytes()
    except OSError as error:
        return BridgeError(FILE_ERROR, f"model file '{path}' cannot be read: {error.strerror}")


def _open(
    content: bytes | BridgeError, path: str | Path, options: tuple[int, bool, bool, float, bool]
) -> _bridge.Model | BridgeError:
    if isinstance(content, BridgeError):
        return content
    try:
        return _bridge.Model(content, *options)
    except BridgeError as error:
        return BridgeError(error.code, f"'{path}': {error}")


class Model:
    """A model file opened: immutable, shared by threads. Made by `emagram.open`."""

    def __init__(self, handle: _bridge.Model) -> None:
        self._handle = handle
        description = handle.describe()
        self.name: str = description["name"]
        self.sha256: str = description["sha256"]
        self.n_level: int = description["n_level"]
        self.time_step: float = description["time_step"]
        self.manifest: dict[str, Any] = json.loads(description["manifest"])
        entries = self.manifest["inputs"] + self.manifest["outputs"]
        fields = [_field(row, entry) for row, entry in zip(description["fields"], entries, strict=True)]
        self.inputs = tuple(fields[: len(self.manifest["inputs"])])
        self.outputs = tuple(fields[len(self.manifest["inputs"]) :])
        self.budget_table = tuple(Budget(*row) for row in description["budgets"])
        self.budget_units: dict[str, str] = {budget.name: budget.unit for budget in self.budget_table}
        self.budgets: tuple[str, ...] = tuple(self.budget_units)

    def __repr__(self) -> str:
        inputs, outputs = len(self.inputs), len(self.outputs)
        return f"<Emagram model '{self.name}': {self.n_level} levels, {inputs} inputs, {outputs} outputs>"

    def describe(self) -> dict[str, Any]:
        """Name, grid, time step, inputs and outputs with units, budgets: what a host must know."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "n_level": self.n_level,
            "time_step": self.time_step or None,
            "inputs": [vars(field) for field in self.inputs],
            "outputs": [vars(field) for field in self.outputs],
            "budgets": list(self.budgets),
        }

    def columns(self, n_column_1: int, n_column_2: int = 1, identity: Sequence[int] | None = None) -> Columns:
        """A view of a host's columns, to bind arrays to; `identity` holds their global numbers."""
        return Columns(self, n_column_1, n_column_2, identity)

    def step(self, columns: Columns, number: int, dt: float, *, step: int = 0, member: int = 0) -> None:
        """Run the model on the first `number` columns; the bound output arrays receive the results.

        Args:
            columns: with every input and output bound.
            number: how many of its columns.
            dt: the host's time step [s].
            step, member: the host's step counter and ensemble member.
        Raises:
            BridgeError: a field is not bound, dt is not the model's, or (policy "error") a column is invalid.
        """
        columns._handle.step(self._handle, number, dt, step, member)

    def begin(self, columns: Columns, number: int, dt: float, *, step: int = 0, member: int = 0) -> None:
        """The first half of `step`: compute, and leave the host's arrays alone until `Columns.finish`."""
        columns._handle.begin(self._handle, number, dt, step, member)

    def constrain(self, columns: Columns, number: int, dt: float) -> None:
        """Close the bound outputs as they stand, after a coupler has merged them."""
        columns._handle.constrain(self._handle, number, dt)

    def predict(self, dataset: xr.Dataset) -> xr.Dataset:
        """Outputs for every column of a Dataset, with CF attributes.

        Args:
            dataset: every input by name, dimensions (column), (column, level) or (column, interface), each with an
                attribute `units` that converts linearly to the model's unit.
        Returns:
            Every output in the model's unit, `emagram_status`, and the coordinates of `column`.
        Raises:
            BridgeError: an input is missing, has other dimensions, sizes or units, or (policy "error") is invalid.

        >>> predicted = emagram.open(model_file).predict(columns)
        >>> predicted["toa_outgoing_longwave_flux"].attrs["units"]
        'W m-2'
        """
        return predict(self, dataset)

    def budget(self, dataset: xr.Dataset) -> xr.Dataset:
        """Residual of each of the model's column budgets in given inputs and outputs, whoever made them.

        Args:
            dataset: every input and output by name, as `predict` takes and returns them.
        Returns:
            one variable a budget, (column), in the budget's unit: the float64 sum of rates against fluxes.
        Raises:
            BridgeError: a variable is missing, has other dimensions, sizes or units, or is not finite.

        >>> model = emagram.open(model_file)
        >>> residual = model.budget(columns.assign(model.predict(columns)))
        >>> bool(abs(residual["longwave"]).max() < 1e-10)  # [W m-2]
        True
        """
        return budget(self, dataset)

    def ledger(self, dataset: xr.Dataset) -> xr.Dataset:
        """Residuals of each of the model's column budgets at every stage of its constraints, and where one is unmet.

        Args:
            dataset: every input and output by name, as `predict` takes and returns them. It is not changed. Of outputs
                that `predict` closed already, little is left to do; what the network said before them is in those of a
                model opened with measure_only.
        Returns:
            for each budget its residual (stage, column) in its unit: as the outputs are (predicted), just before its
            own constraint (before), just after it (after), and after the last (returned); and `<budget>_unmet`
            (column), 1 where its constraint cannot hold.
        Raises:
            BridgeError: a variable is missing, has other dimensions, sizes or units, or is not finite.

        >>> raw = columns.assign(emagram.open(model_file, measure_only=True).predict(columns))
        >>> found = emagram.open(model_file).ledger(raw)
        >>> largest = abs(found["longwave"]).max("column")  # [W m-2]
        >>> bool(largest.sel(stage="before") > 0.1), bool(largest.sel(stage="after") < 1e-9)
        (True, True)
        >>> int(found["longwave_unmet"].sum())
        0
        """
        return ledger(self, dataset)

    def close(self) -> None:
        """Give the memory back; later calls raise."""
        self._handle.close()


class Columns:
    """One call's view of a host's arrays. Made by `Model.columns`."""

    def __init__(self, model: Model, n_column_1: int, n_column_2: int, identity: Sequence[int] | None) -> None:
        self._model = model
        numbers = None if identity is None else [int(i) for i in identity]
        expected = n_column_1 * n_column_2
        if numbers is not None and len(numbers) != expected:
            raise BridgeError(ARGUMENT_ERROR, f"identity: expected {expected} numbers, got {len(numbers)}")
        self._handle = _bridge.Columns(model._handle, n_column_1, n_column_2, numbers)

    def bind(
        self,
        name: str,
        array: NDArray[Any],
        axes: Sequence[str] | str,
        unit: str | None = None,
        *,
        persistent: bool = False,
    ) -> None:
        """Name the array of an input or output; nothing is copied, any strides will do.

        Args:
            name: of the model's field.
            array: float32 or float64; of an output: writeable.
            axes: the role of each axis, "column level" or ("column_1", "column_2", "level").
            unit: of the numbers in the array, the model's own by default.
            persistent: keep the binding after the next step.
        Raises:
            BridgeError: unknown name, role, dtype or unit, or another shape.
        """
        words = axes.split() if isinstance(axes, str) else list(axes)
        for word in words:
            if word not in ROLES:
                raise BridgeError(FIELD_ERROR, f"field '{name}': expected a role of {list(ROLES)}, got '{word}'")
        writes = any(field.name == name for field in self._model.outputs)
        try:
            self._handle.bind(name, array, [ROLES[word] for word in words], unit, persistent, writes)
        except BridgeError:
            raise
        except ValueError as error:
            raise BridgeError(FIELD_ERROR, str(error)) from None

    def finish(self) -> None:
        """The second half of `Model.step`: write the outputs that `Model.begin` computed."""
        self._handle.finish()

    def status(self, number: int) -> NDArray[np.int32]:
        """(number) What befell each column in the last step, see COLUMN_STATUS."""
        return self._handle.status(number)

    def budget(self, name: str, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Residual of a column budget before and after the constraints, each (number), in the budget's unit.

        Raises:
            BridgeError: the model has no such budget, or the last step had fewer columns.
        """
        return self._handle.budget(self._number_of(name), number)

    def budget_at(self, name: str, stage: str, number: int) -> NDArray[np.float64]:
        """Residual of a column budget at one of `STAGES`, (number), in the budget's unit.

        Raises:
            BridgeError: the model has no such budget, there is no such stage, or the last step had fewer columns.
        """
        if stage not in STAGES:
            raise BridgeError(ARGUMENT_ERROR, f"stage '{stage}': expected one of {', '.join(STAGES)}")
        return self._handle.budget_at(self._number_of(name), STAGES.index(stage), number)

    def unmet(self, name: str, number: int) -> NDArray[np.int32]:
        """1 in columns in which the constraint of a budget cannot hold, else 0, (number).

        Raises:
            BridgeError: the model has no such budget, or the last step had fewer columns.
        """
        return self._handle.unmet(self._number_of(name), number)

    def _number_of(self, budget: str) -> int:
        if budget not in self._model.budgets:
            names = ", ".join(self._model.budgets) or "none"
            raise BridgeError(ARGUMENT_ERROR, f"budget '{budget}': expected one of {names}")
        return self._model.budgets.index(budget)

    def timers(self) -> Mapping[str, float]:
        """Calls, columns, rejected columns, and seconds in gather, network, constraints and scatter."""
        return self._handle.timers()


def _field(row: tuple[Any, ...], entry: Mapping[str, Any]) -> Field:
    name, unit, _, dimension, size, lowest, highest = row
    return Field(
        name,
        unit,
        DIMENSIONS[dimension],
        size,
        (lowest, highest),
        entry.get("long_name") or name.replace("_", " "),
        entry.get("standard_name"),
    )
