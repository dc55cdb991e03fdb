"""Normalisation of features and outputs, and the range of every input, from the training columns alone."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..physics.errors import EmagramError
from .emulator import ColumnEmulator

CONSTANT_SHARE = 1e-10
"""A value that varies by less than this share of its magnitude did not vary: its scale is 1."""


def fit_normalisation(emulator: ColumnEmulator, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
    """Set the buffers of an emulator.

    A feature has a mean per level and one scale for all its levels, σ² = mean_k var(f_k): levels that hardly varied in
    training (stratospheric humidity) would otherwise be amplified without bound in another climate. An output has a
    mean and a scale per level; where it is scaled by an input, both are of their ratio, over the columns where that
    input is not zero.

    Args:
        inputs, outputs: of the training columns, float64, (n_column,) or (n_column, size), units of the table.
    Raises:
        EmagramError: if there is no column.
    """
    spec = emulator.spec
    n_column = inputs[spec.inputs[0]].shape[0]
    if n_column == 0:
        raise EmagramError("normalisation: expected training columns, got none")
    flat = torch.cat([inputs[name].reshape(n_column, -1) for name in spec.inputs], dim=1)
    features = [feature.evaluate(inputs, constants=spec.constants) for feature in spec.features]
    ratios = [_ratio(outputs[name], inputs, spec.scale_by.get(name)) for name in spec.outputs]
    emulator.n_training_column.fill_(n_column)
    emulator.input_minimum.copy_(flat.amin(dim=0))
    emulator.input_maximum.copy_(flat.amax(dim=0))
    emulator.feature_mean.copy_(torch.cat([value.mean(dim=0) for value in features]))
    emulator.feature_scale.copy_(torch.cat([_pooled_scale(value) for value in features]))
    emulator.output_mean.copy_(torch.cat([value.mean(dim=0) for value in ratios]))
    emulator.output_scale.copy_(torch.cat([_scale(value) for value in ratios]))


def _ratio(output: Tensor, inputs: Mapping[str, Tensor], scale_by: str | None) -> Tensor:
    """What the network has to return before its scale, of the columns in which that is defined."""
    output = output.reshape(output.shape[0], -1)
    if scale_by is None:
        return output
    scale = inputs[scale_by]
    lit = scale != 0.0
    return output[lit] / scale[lit].unsqueeze(1) if bool(lit.any()) else torch.zeros_like(output[:1])


def _scale(value: Tensor) -> Tensor:
    """Standard deviation of each value, (size,); 1 where it did not vary."""
    deviation = value.std(dim=0, correction=0)
    return torch.where(deviation > CONSTANT_SHARE * value.abs().amax(dim=0), deviation, torch.ones_like(deviation))


def _pooled_scale(value: Tensor) -> Tensor:
    """One standard deviation for all levels, (size,); 1 where none varied."""
    deviation = value.var(dim=0, correction=0).mean().sqrt()
    varied = bool(deviation > CONSTANT_SHARE * value.abs().amax())
    return torch.full((value.shape[1],), float(deviation) if varied else 1.0, dtype=torch.float64)
