"""A column emulator: fields → features → network → outputs, closed by the constraints of physics."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
import xarray as xr
from torch import Tensor, nn

from ..physics.constants import Constants
from ..physics.constraints import Constraint
from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .features import Feature
from .networks.layout import Layout

Fields = dict[str, Tensor]
"""Named float64 tensors: (n_column,) for a quantity of the column, (n_column, size) for layers and interfaces."""


@dataclass(frozen=True)
class EmulatorSpec:
    """What an emulator reads, returns and keeps closed, apart from its numbers.

    Attributes:
        n_level: number of layers.
        inputs, outputs: names in physics.variables.VARIABLES, in the order of the model file. Features and constraints
            read inputs, some perhaps only the latter.
        features: what the network sees, in order.
        constraints: applied to the outputs in this order.
        scale_by: of an output, the input of dimension `column` that multiplies it.
        constants: of the host or data set.
        time_step: [s] of the rates, or None where they do not depend on it.
    Raises:
        EmagramError: if a name is unknown or a feature, a scale or a constraint needs a field that is not there.
    """

    n_level: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    features: tuple[Feature, ...]
    constraints: tuple[Constraint, ...] = ()
    scale_by: Mapping[str, str] = field(default_factory=dict)
    constants: Constants = field(default_factory=Constants)
    time_step: float | None = None

    def __post_init__(self) -> None:
        if self.n_level < 1:
            raise EmagramError(f"emulator 'n_level': expected a positive number, got {self.n_level}")
        for name in (*self.inputs, *self.outputs):
            if name not in VARIABLES:
                raise EmagramError(f"emulator: expected a name of the variables table, got '{name}'")
        for feature in self.features:
            self._require_inputs(feature.inputs, f"feature '{feature.transform}'")
            self.feature_size(feature)
            feature.check_units([VARIABLES[name].unit for name in feature.inputs])
        for name, scale in self.scale_by.items():
            self._require_inputs((scale,), f"scale of output '{name}'")
            if name not in self.outputs or VARIABLES[scale].dimension != "column":
                raise EmagramError(f"scale '{scale}' of '{name}': expected a column input that scales an output")
        for constraint in self.constraints:
            self._require_fields(constraint)

    def size(self, name: str) -> int:
        """Number of values a column."""
        return {"column": 1, "layer": self.n_level, "interface": self.n_level + 1}[VARIABLES[name].dimension]

    def feature_size(self, feature: Feature) -> int:
        """Number of values a column."""
        return feature.size([self.size(name) for name in feature.inputs])

    def input_slices(self) -> Iterator[tuple[str, slice]]:
        """Each input and its place among the input values, in order."""
        return _slices(self.inputs, [self.size(name) for name in self.inputs])

    def output_slices(self) -> Iterator[tuple[str, slice]]:
        """Each output and its place among the output values, in order."""
        return _slices(self.outputs, [self.size(name) for name in self.outputs])

    @property
    def layout(self) -> Layout:
        """Group sizes of what a network sees and returns, in order: one group a feature, one an output."""
        features = tuple(self.feature_size(feature) for feature in self.features)
        return Layout(features, tuple(self.size(name) for name in self.outputs), self.n_level)

    def _require_fields(self, constraint: Constraint) -> None:
        """What a constraint changes is an output, what it reads an input or an output."""
        for names, among, what in (
            (constraint.outputs, self.outputs, "an output"),
            (constraint.inputs, self.inputs + self.outputs, "an input or output"),
        ):
            for name in names:
                if name not in among:
                    raise EmagramError(f"constraint '{constraint.name}': expected {what} of the emulator, got '{name}'")

    def _require_inputs(self, names: tuple[str, ...], what: str) -> None:
        absent = [name for name in names if name not in self.inputs]
        if absent:
            raise EmagramError(f"{what}: expected an input of the emulator, got '{absent[0]}'")


class ColumnEmulator(nn.Module):
    """Outputs of columns from their inputs, with every budget of the constraints closed to round-off.

    y = (network((f(x) − μ_f) / σ_f) · σ_y + μ_y) · s(x), then the constraints. Features, de-normalisation and
    constraints are float64, the network has the dtype of its weights: float32, or float64 after `.double()`, which
    serves as the reference. A scale s(x) of zero makes its outputs exactly zero (shortwave at night).

    Args:
        spec: what it reads and returns.
        network: maps (n_column, Σ feature sizes) to (n_column, Σ output sizes).
    """

    feature_mean: Tensor
    feature_scale: Tensor
    output_mean: Tensor
    output_scale: Tensor
    input_minimum: Tensor
    input_maximum: Tensor
    n_training_column: Tensor

    def __init__(self, spec: EmulatorSpec, network: nn.Module) -> None:
        super().__init__()
        self.spec = spec
        self.network = network
        n_feature = sum(spec.feature_size(feature) for feature in spec.features)
        n_output = sum(spec.size(name) for name in spec.outputs)
        n_input = sum(spec.size(name) for name in spec.inputs)
        for name, n in (("feature", n_feature), ("output", n_output)):
            self.register_buffer(f"{name}_mean", torch.zeros(n, dtype=torch.float64))
            self.register_buffer(f"{name}_scale", torch.ones(n, dtype=torch.float64))
        self.register_buffer("input_minimum", torch.full((n_input,), -torch.inf, dtype=torch.float64))
        self.register_buffer("input_maximum", torch.full((n_input,), torch.inf, dtype=torch.float64))
        self.register_buffer("n_training_column", torch.zeros((), dtype=torch.int64))

    def features(self, fields: Mapping[str, Tensor]) -> Tensor:
        """Features before normalisation, (n_column, Σ feature sizes), float64."""
        values = [feature.evaluate(fields, constants=self.spec.constants) for feature in self.spec.features]
        return torch.cat(values, dim=1)

    def encode(self, fields: Mapping[str, Tensor]) -> Tensor:
        """Normalised features in the dtype of the network."""
        normalised = (self.features(fields) - self.feature_mean) / self.feature_scale
        return normalised.to(next(self.network.parameters()).dtype)

    def decode(self, values: Tensor, fields: Mapping[str, Tensor]) -> Fields:
        """Outputs before the constraints, from what the network returned."""
        values = values.double() * self.output_scale + self.output_mean
        outputs: Fields = {}
        for name, where in self.spec.output_slices():
            output = values[:, where]
            if name in self.spec.scale_by:
                output = output * fields[self.spec.scale_by[name]].unsqueeze(1)
            outputs[name] = output[:, 0] if VARIABLES[name].dimension == "column" else output
        return outputs

    def constrain(self, outputs: Mapping[str, Tensor], fields: Mapping[str, Tensor]) -> Fields:
        """Outputs after the constraints."""
        closed = {**fields, **outputs}
        for constraint in self.spec.constraints:
            closed = constraint.apply(closed)
        return {name: closed[name] for name in self.spec.outputs}

    def forward(self, fields: Mapping[str, Tensor]) -> Fields:
        """Outputs of columns.

        Args:
            fields: every input, float64, (n_column,) or (n_column, size), in the units of the variables table.
        Returns:
            every output, float64, likewise shaped.
        """
        return self.constrain(self.decode(self.network(self.encode(fields)), fields), fields)

    def residuals(self, outputs: Mapping[str, Tensor], fields: Mapping[str, Tensor]) -> Fields:
        """Residual of every budget of the constraints by its name, (n_column,), float64."""
        everything = {**fields, **outputs}
        return {
            name: residual
            for constraint in self.spec.constraints
            for name, residual in constraint.residuals(everything).items()
        }


def to_fields(columns: xr.Dataset, names: tuple[str, ...]) -> Fields:
    """Named tensors, float64, from a Dataset with dimensions (column, …).

    Raises:
        EmagramError: if a variable is missing.
    """
    fields = {}
    for name in names:
        if name not in columns:
            raise EmagramError(f"data set: expected variable '{name}', got {sorted(map(str, columns.data_vars))}")
        fields[name] = torch.tensor(columns[name].values, dtype=torch.float64)
    return fields


def _slices(names: tuple[str, ...], sizes: list[int]) -> Iterator[tuple[str, slice]]:
    start = 0
    for name, size in zip(names, sizes, strict=True):
        yield name, slice(start, start + size)
        start += size
