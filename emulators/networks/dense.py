"""A dense network: affine maps with one activation between them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from torch import nn

from ...physics.errors import EmagramError
from .layout import Layout

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.15),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
"""By the names of the model file; `leaky_relu` has the slope 0.15 of the ClimSim baseline (Yu et al. 2023)."""


class Dense(nn.Sequential):
    """y = W_n g(… g(W_1 x + b_1) …) + b_n, x (n_column, n_in), y (n_column, n_out)."""


@dataclass(frozen=True)
class DenseConfig:
    """A dense network.

    Attributes:
        hidden: width of each hidden layer.
        activation: a name in ACTIVATIONS.
    Raises:
        EmagramError: if a width is not positive or the activation is unknown.
    """

    hidden: tuple[int, ...] = (1024,)
    activation: str = "silu"
    kind: Literal["dense"] = field(default="dense", kw_only=True)

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise EmagramError(f"network 'hidden': expected positive widths, got {self.hidden}")
        if self.activation not in ACTIVATIONS:
            expected = ", ".join(ACTIVATIONS)
            raise EmagramError(f"network 'activation': expected one of {expected}, got '{self.activation}'")

    def build(self, layout: Layout) -> Dense:
        """A network with torch's default initial weights; seed torch's generator before."""
        widths = (layout.n_in, *self.hidden)
        return Dense(*hidden_layers(widths, ACTIVATIONS[self.activation]), nn.Linear(widths[-1], layout.n_out))


def hidden_layers(widths: tuple[int, ...], activation: Callable[[], nn.Module]) -> list[nn.Module]:
    """An affine map and an activation from each width to the next."""
    layers: list[nn.Module] = []
    for width, next_width in pairwise(widths):
        layers += [nn.Linear(width, next_width), activation()]
    return layers
