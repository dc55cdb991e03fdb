"""What a network has to beat: the mean of each level, and ridge regression. Both are closed like the network."""

import torch
from torch import Tensor, nn

from .emulator import ColumnEmulator, EmulatorSpec
from .networks.dense import Dense
from .normalisation import fit_normalisation
from .training.samples import Samples


def level_mean(spec: EmulatorSpec, train: Samples) -> ColumnEmulator:
    """The mean of every output value over the training columns (of its ratio to its scale), whatever the inputs."""
    return _affine_emulator(spec, train)


@torch.no_grad()
def ridge_regression(spec: EmulatorSpec, train: Samples, *, penalty: float) -> ColumnEmulator:
    """The linear map of the normalised features that minimises ‖X W − Y‖² + λ n ‖W‖².

    W = (Xᵀ X + λ n I)⁻¹ Xᵀ Y with X (n, n_feature) and Y (n, n_output) normalised, n the columns that count: an output
    that is scaled by an input is fitted where that input is not zero. The intercept is not penalised.

    Args:
        spec: of the emulator.
        train: training columns.
        penalty: λ, positive.
    """
    emulator = _affine_emulator(spec, train)
    encoded = emulator.encode(train.inputs)
    layer = emulator.network[0]  # type: ignore[index]
    for name, where in spec.output_slices():
        target = train.targets[name].reshape(train.n_column, -1)
        counts = torch.ones(train.n_column, dtype=torch.bool)
        if name in spec.scale_by:
            scale = train.inputs[spec.scale_by[name]]
            counts = scale != 0.0
            target = target / torch.where(counts, scale, torch.ones_like(scale)).unsqueeze(1)
        normalised = (target - emulator.output_mean[where]) / emulator.output_scale[where]
        weight, bias = _solve(encoded[counts], normalised[counts], penalty)
        layer.weight[where] = weight.T
        layer.bias[where] = bias
    return emulator


def _affine_emulator(spec: EmulatorSpec, train: Samples) -> ColumnEmulator:
    """A normalised emulator whose network is one affine map, zero, in float64."""
    n_feature = sum(spec.feature_size(feature) for feature in spec.features)
    network = Dense(nn.Linear(n_feature, sum(spec.size(name) for name in spec.outputs), dtype=torch.float64))
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    emulator = ColumnEmulator(spec, network)
    fit_normalisation(emulator, train.inputs, train.targets)
    return emulator.eval()


def _solve(features: Tensor, targets: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Weights (n_feature, n_output) and intercept (n_output,)."""
    feature_mean, target_mean = features.mean(dim=0), targets.mean(dim=0)
    centred = features - feature_mean
    gram = centred.T @ centred + penalty * features.shape[0] * torch.eye(features.shape[1], dtype=features.dtype)
    weight = torch.linalg.solve(gram, centred.T @ (targets - target_mean))
    return weight, target_mean - feature_mean @ weight
