"""What a host written in Python does with a model file in one step: predict, merge with its own physics, close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...fortran_bridge.dataset import Field
from ...fortran_bridge.model import Columns, Model
from ...physics.errors import EmagramError
from ...physics.variables import VARIABLES, find

REJECTED = 16
"""The first status of a column that the model did not compute (EMAGRAM_COLUMN_REJECTED)."""
EXTRAPOLATED = (1, 2)
"""Status of a column outside the training range, computed as it is or clipped to it."""

Arrays = Mapping[str, NDArray[np.floating]]


@dataclass(frozen=True)
class Merged:
    """Result of a step of `merge_columns`.

    Attributes:
        outputs: every output of the model by name, shaped like the inputs, float64, in units of the variables table.
        status: (n_batch, n_column) what befell each column, see fortran_bridge.dataset.COLUMN_STATUS.
        before: by budget, (n_batch, n_column) its residual in the merged outputs before they were closed.
    """

    outputs: dict[str, NDArray[np.float64]]
    status: NDArray[np.int32]
    before: dict[str, NDArray[np.float64]]


def merge_columns(model: Model, inputs: Arrays, host: Arrays | None, *, share: float, dt: float) -> Merged:
    """Outputs of the model blended with the host's own, y = s y_model + (1 − s) y_host, and closed.

    A rejected column has the host's own outputs, closed; or zeros, where the host has none.

    Args:
        model: opened with `defer_constraints`.
        inputs: every input by name, (n_batch, size, n_column), or (n_batch, n_column) for one value a column; float32
            or float64 with any strides, in units of the variables table, level 0 at the model top.
        host: every output likewise, as the host's own physics has it; None: it has none, and `share` must be 1.
        share: s, from 0 to 1.
        dt: the host's time step [s].
    Raises:
        BridgeError: a field is missing or has another shape, dt is not the model's, or (policy "error") a column is
            invalid.
    """
    n_batch, n_column = (inputs[model.inputs[0].name].shape[i] for i in (0, -1))
    n = n_batch * n_column
    outputs = {field.name: _start(field, host, (n_batch, n_column)) for field in model.outputs}
    columns = model.columns(n_column, n_batch)
    for field in model.inputs:
        _bind(columns, field, inputs[field.name])
    for field in model.outputs:
        _bind(columns, field, outputs[field.name])
    model.step(columns, n, dt)
    status = columns.status(n).reshape(n_batch, n_column)
    if host is not None and share < 1.0:
        _blend(outputs, host, accepted=status < REJECTED, share=share)
    model.constrain(columns, n, dt)
    if host is None:
        _clear(outputs, status >= REJECTED)
    before = {name: columns.budget(name, n)[0].reshape(n_batch, n_column) for name in model.budgets}
    return Merged(outputs, status, before)


def check_dimensions(model: Model) -> None:
    """Require every field of a model in the variables table, with the dimension it has there.

    Raises:
        EmagramError: if one is not there or has another dimension.
    """
    for field in (*model.inputs, *model.outputs):
        if find(field.name).dimension != field.dimension:
            raise EmagramError(
                f"field '{field.name}': expected dimension '{VARIABLES[field.name].dimension}', got '{field.dimension}'"
            )


def _start(field: Field, host: Arrays | None, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The array that receives an output; it holds what a rejected column keeps."""
    if host is not None:
        return np.array(host[field.name], dtype=np.float64, order="C")
    return np.zeros(shape if field.dimension == "column" else (shape[0], field.size, shape[1]))


def _bind(columns: Columns, field: Field, array: NDArray[np.floating]) -> None:
    axes = "column_2 column_1" if field.dimension == "column" else "column_2 level column_1"
    columns.bind(field.name, array, axes, VARIABLES[field.name].unit)


def _blend(
    outputs: Mapping[str, NDArray[np.float64]], host: Arrays, *, accepted: NDArray[np.bool_], share: float
) -> None:
    """Replace the outputs of accepted columns by the blend, in place: they are bound."""
    for name, output in outputs.items():
        where = _over_levels(accepted, output)
        np.copyto(output, share * output + (1.0 - share) * host[name], where=where)


def _clear(outputs: Mapping[str, NDArray[np.float64]], rejected: NDArray[np.bool_]) -> None:
    for output in outputs.values():
        np.copyto(output, 0.0, where=_over_levels(rejected, output))


def _over_levels(columns: NDArray[np.bool_], like: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n_batch, n_column) or (n_batch, 1, n_column), to broadcast with a field."""
    return columns if like.ndim == 2 else columns[:, None, :]
