"""A model on an xarray Dataset: checks, units and CF attributes around `Model.step` and `Model.constrain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BridgeError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike, NDArray

    from .model import Columns, Model

FIELD_ERROR = 7

#: Name of each reason a column can have (EMAGRAM_COLUMN_*); from 16 on it was rejected.
COLUMN_STATUS = {
    0: "ok",
    1: "extrapolated",
    2: "clipped",
    16: "non_finite_input",
    17: "invalid_input",
    18: "level_order",
    19: "non_finite_output",
}


#: When the residual of a budget is measured (EMAGRAM_STAGE_*).
STAGES = ("predicted", "before", "after", "returned")


@dataclass(frozen=True)
class Budget:
    """A column budget: a residual in `unit` that a constraint closes, met where it is at most `tolerance`."""

    name: str
    unit: str
    constraint: str
    tolerance: float


@dataclass(frozen=True)
class Field:
    """One input or output of a model; `size` values a column, in `unit`, ordered from the model top down."""

    name: str
    unit: str
    dimension: str
    size: int
    valid_range: tuple[float, float]
    long_name: str
    standard_name: str | None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions in a Dataset: ("column",), ("column", "level") or ("column", "interface")."""
        return {"column": ("column",), "layer": ("column", "level"), "interface": ("column", "interface")}[
            self.dimension
        ]


def predict(model: Model, dataset: xr.Dataset) -> xr.Dataset:
    """See `Model.predict`."""
    import xarray as xr

    n_column = _check_variables(dataset, model.inputs)
    columns = model.columns(n_column)
    variables: dict[str, Any] = {}
    for field in model.inputs:
        columns.bind(field.name, *_as_bound(dataset, field))
    for field in model.outputs:
        array = np.full((n_column, field.size) if len(field.dimensions) > 1 else n_column, np.nan)
        columns.bind(field.name, array, field.dimensions)
        variables[field.name] = (field.dimensions, array, _attributes(field))
    model.step(columns, n_column, model.time_step or 1.0)
    variables["emagram_status"] = (("column",), columns.status(n_column), status_attributes())
    source = f"Emagram model '{model.name}', sha256 {model.sha256}"
    return xr.Dataset(variables, _of_columns(dataset), {"Conventions": "CF-1.8", "source": source})


def budget(model: Model, dataset: xr.Dataset) -> xr.Dataset:
    """See `Model.budget`."""
    import xarray as xr

    columns, n_column = _constrained_copy(model, dataset)
    return xr.Dataset(
        {
            name: ("column", columns.budget_at(name, STAGES[0], n_column), {"units": unit})
            for name, unit in model.budget_units.items()
        },
        _of_columns(dataset),
    )


def ledger(model: Model, dataset: xr.Dataset) -> xr.Dataset:
    """See `Model.ledger`."""
    import xarray as xr

    columns, n_column = _constrained_copy(model, dataset)
    variables: dict[str, Any] = {}
    for budget in model.budget_table:
        residual = np.stack([columns.budget_at(budget.name, stage, n_column) for stage in STAGES])
        unmet = columns.unmet(budget.name, n_column).astype(np.int8)
        variables[budget.name] = (("stage", "column"), residual, residual_attributes(budget))
        variables[f"{budget.name}_unmet"] = ("column", unmet, unmet_attributes(budget))
    return xr.Dataset(variables, {**_of_columns(dataset), "stage": list(STAGES)})


def _constrained_copy(model: Model, dataset: xr.Dataset) -> tuple[Columns, int]:
    """The columns of a dataset after `constrain`, which closed copies of its outputs, and their number."""
    n_column = _check_variables(dataset, (*model.inputs, *model.outputs))
    columns = model.columns(n_column)
    for field in (*model.inputs, *model.outputs):
        array, axes, unit = _as_bound(dataset, field)
        columns.bind(field.name, array.copy(), axes, unit)
    model.constrain(columns, n_column, model.time_step or 1.0)
    return columns, n_column


def residual_attributes(budget: Budget) -> dict[str, str]:
    """CF attributes of a variable of residuals."""
    return {"units": budget.unit, "long_name": f"residual of {budget.name.replace('_', ' ')}"}


def unmet_attributes(budget: Budget, dtype: type[np.signedinteger[Any]] = np.int8) -> dict[str, ArrayLike]:
    """CF flag attributes of a variable, of a type, that says where a budget is unmet."""
    return {
        "long_name": f"whether {budget.name.replace('_', ' ')} is unmet",
        "flag_values": np.array([0, 1], dtype=dtype),
        "flag_meanings": "met unmet",
    }


def status_attributes() -> dict[str, ArrayLike]:
    """CF flag attributes of a variable of column reasons."""
    return {
        "long_name": "what befell the column in the emulator",
        "flag_values": np.array(list(COLUMN_STATUS), dtype=np.int32),
        "flag_meanings": " ".join(COLUMN_STATUS.values()),
    }


def _attributes(field: Field) -> dict[str, str]:
    """CF attributes of a field."""
    attributes = {"units": field.unit, "long_name": field.long_name}
    return attributes | ({} if field.standard_name is None else {"standard_name": field.standard_name})


def _as_bound(dataset: xr.Dataset, field: Field) -> tuple[NDArray[np.float64], tuple[str, ...], str]:
    """Array, axes and unit of a variable, as `Columns.bind` takes them."""
    variable = dataset[field.name].transpose(*field.dimensions)
    return np.asarray(variable.values, dtype=np.float64), field.dimensions, variable.attrs["units"]


def _of_columns(dataset: xr.Dataset) -> dict[Any, Any]:
    """The coordinates along the columns."""
    return {name: value for name, value in dataset.coords.items() if value.dims == ("column",)}


def _check_variables(dataset: xr.Dataset, fields: Sequence[Field]) -> int:
    """The number of columns, once every field is there as it must be."""
    for field in fields:
        _check_variable(dataset, field)
    return int(dataset.sizes["column"])


def _check_variable(dataset: xr.Dataset, field: Field) -> None:
    """Raise one sentence if a Dataset does not hold an input as it must be."""
    if field.name not in dataset.variables:
        raise BridgeError(FIELD_ERROR, f"variable '{field.name}': the dataset has none of this name")
    variable = dataset[field.name]
    if set(variable.dims) != set(field.dimensions):
        raise BridgeError(
            FIELD_ERROR,
            f"variable '{field.name}': expected dimensions {field.dimensions}, got {tuple(map(str, variable.dims))}",
        )
    if len(field.dimensions) > 1 and variable.sizes[field.dimensions[1]] != field.size:
        raise BridgeError(
            FIELD_ERROR,
            f"variable '{field.name}': expected {field.size} values along '{field.dimensions[1]}', "
            f"got {variable.sizes[field.dimensions[1]]}",
        )
    if "units" not in variable.attrs:
        raise BridgeError(FIELD_ERROR, f"variable '{field.name}': expected an attribute 'units', got none")
