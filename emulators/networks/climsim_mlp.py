"""The dense baseline of ClimSim."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from ...physics.errors import EmagramError
from .dense import Dense, hidden_layers
from .layout import Layout


class ScalarRectifier(nn.Module):
    """y = max(x, 0) for the scalar outputs, y = x for the profiles; x, y (n_column, n_out).

    Args:
        layout: says which values are scalars.
    """

    is_scalar: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        sizes = torch.tensor(layout.outputs)
        is_scalar = torch.repeat_interleave(sizes == 1, sizes)
        self.register_buffer("is_scalar", is_scalar, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """Values with no negative scalar."""
        return torch.where(self.is_scalar, torch.relu(values), values)


@dataclass(frozen=True)
class ClimsimMlpConfig:
    """ClimSim's multilayer perceptron: 124 → 768-640-512-640-640 → 128 in variable set v1, 1.74 million parameters.

    Attributes:
        hidden: width of each hidden layer.
        slope: of LeakyReLU below zero.
        scalar_output: "linear", or "relu" as in ClimSim's baseline: the scalars (fluxes and precipitation, 8 of them)
            pass a ReLU in the network. That means "not negative" only where outputs are scaled without being shifted
            (output mean 0), as ClimSim does; `require_unshifted` refuses another normalisation. ClimSim's online
            step clips these scalars after any network, so a linear one loses nothing there. Only "linear" exports.
    Raises:
        EmagramError: if a width is not positive or the slope lies outside [0, 1).
    Source: Yu et al. 2023, ClimSim (arXiv:2306.08754), the MLP of its baselines.
    """

    hidden: tuple[int, ...] = (768, 640, 512, 640, 640)
    slope: float = 0.15
    scalar_output: Literal["linear", "relu"] = "linear"
    kind: Literal["climsim_mlp"] = field(default="climsim_mlp", kw_only=True)

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise EmagramError(f"network 'hidden': expected positive widths, got {self.hidden}")
        if not 0.0 <= self.slope < 1.0:
            raise EmagramError(f"network 'slope': expected 0 to below 1, got {self.slope}")
        if self.scalar_output not in ("linear", "relu"):
            raise EmagramError(f"network 'scalar_output': expected 'linear' or 'relu', got '{self.scalar_output}'")

    def build(self, layout: Layout) -> Dense:
        """A network with torch's default initial weights; seed torch's generator before."""
        widths = (layout.n_in, *self.hidden)
        layers = hidden_layers(widths, lambda: nn.LeakyReLU(self.slope))
        rectifier = [ScalarRectifier(layout)] if self.scalar_output == "relu" else []
        return Dense(*layers, nn.Linear(widths[-1], layout.n_out), *rectifier)


def require_unshifted(network: nn.Module, output_mean: Tensor) -> None:
    """Refuse a ReLU on outputs whose normalised zero is not the physical zero.

    Args:
        network: any; only a ScalarRectifier in it is looked at.
        output_mean: of the normalisation, (n_out,).
    Raises:
        EmagramError: if a rectified output has a mean other than 0.
    """
    for layer in network.modules():
        if isinstance(layer, ScalarRectifier) and bool((output_mean[layer.is_scalar] != 0.0).any()):
            raise EmagramError(
                "network 'scalar_output' relu: expected outputs normalised by a scale alone, got means other than 0"
            )
