"""The error of every output as power per area, and the loss that is its mean square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ...physics.constraints import Constraint
from ...physics.errors import EmagramError
from ..climsim import pack_outputs
from ..climsim_metrics import energy_factor
from ..emulator import ColumnEmulator, EmulatorSpec
from .objectives import Fields, OutputWeight, SingleLoss, output_weights

PRESSURE = "air_pressure_at_interface"


def energy_values(spec: EmulatorSpec, outputs: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
    """f_v y_v of the packed output values v, f of `climsim_metrics.energy_factor`.

    Rates of layers count as cp Δp / g (temperature), Lv Δp / g (waters) and |V| Δp / g (winds), precipitation as Lv ρw,
    fluxes as they are.

    Args:
        outputs: every output, (n_column,) or (n_column, size), units of the table.
        inputs: with `air_pressure_at_interface` [Pa] (n_column, n_level + 1), and the winds where their rates are
            outputs.
    Returns:
        [W m-2] (n_column, Σ sizes), float64.
    Raises:
        EmagramError: if the pressure is missing, or an output has no energy.
    """
    if PRESSURE not in inputs:
        raise EmagramError(f"energy of outputs: expected the input '{PRESSURE}', got {sorted(inputs)}")
    thickness = inputs[PRESSURE].double().diff(dim=1)
    one = thickness.new_ones(thickness.shape[0], 1)
    factors = [
        (one * energy_factor(name, inputs, thickness=thickness, constants=spec.constants)).expand(-1, spec.size(name))
        for name in spec.outputs
    ]
    return pack_outputs(spec, outputs).double() * torch.cat(factors, dim=1)


@dataclass(frozen=True)
class EnergyObjectiveConfig:
    """The mean square of errors in W m⁻², as which a budget sees them.

    Attributes:
        weights: of outputs that count more or less than others, or not at all.
    Raises:
        EmagramError: if an output is listed twice.
    """

    weights: tuple[OutputWeight, ...] = ()
    kind: Literal["energy"] = field(default="energy", kw_only=True)

    def __post_init__(self) -> None:
        names = [entry.output for entry in self.weights]
        if len(set(names)) < len(names):
            raise EmagramError(f"objective 'weights': expected every output once, got {names}")

    def build(self, emulator: ColumnEmulator, laws: tuple[Constraint, ...] = ()) -> EnergyObjective:
        """The objective of an emulator; laws count for nothing in it."""
        del laws
        return EnergyObjective(self, emulator.spec)


class EnergyObjective(SingleLoss):
    """L = Σ_v w_v e_v² / Σ_v w_v [W² m⁻⁴] over the packed output values v, mean over columns.

    e_v is the difference of `energy_values` of output and target.

    Raises:
        EmagramError: if the emulator does not read the pressure, a weight names no output, or nothing has a weight.
    Source: the loss of Beucler et al. 2021, doi:10.1103/PhysRevLett.126.098302.
    """

    config: EnergyObjectiveConfig

    def __init__(self, config: EnergyObjectiveConfig, spec: EmulatorSpec) -> None:
        if PRESSURE not in spec.inputs:
            raise EmagramError(f"objective: expected the input '{PRESSURE}' of the emulator, got {list(spec.inputs)}")
        self.config, self.spec = config, spec
        self.weight = output_weights(config.weights, spec)

    def __call__(self, outputs: Fields, targets: Fields, inputs: Fields) -> Tensor:
        """The loss [W2 m-4], a scalar; arguments as `energy_values`."""
        errors = energy_values(self.spec, outputs, inputs) - energy_values(self.spec, targets, inputs)
        return (errors.square() * self.weight).sum(dim=1).mean()
