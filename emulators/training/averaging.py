"""An exponential moving average of a network's weights, which is less noisy than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """a ← a + (1 − d_t) (w − a) after step t = 1, 2, …, with d_t = min(d, (1 + t) / (10 + t)).

    The smaller early decay forgets the initial weights in short trainings. The average is float64: in float32, steps
    of 1 − d = 1e-4 of a difference are lost in rounding long before the average has arrived.

    Args:
        network: whose parameters are averaged; buffers are not.
        decay: d, in (0, 1).
    Source: Polyak and Juditsky 1992, doi:10.1137/0330046, with exponential weights in place of equal ones.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        self.n_step = 0
        self.values = {name: p.detach().double().clone() for name, p in network.named_parameters()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after another step."""
        self.n_step += 1
        share = 1.0 - min(self.decay, (1.0 + self.n_step) / (10.0 + self.n_step))
        for name, parameter in self.network.named_parameters():
            self.values[name] += share * (parameter.double() - self.values[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A block in which the network has the averaged weights; its own come back afterwards, bit for bit."""
        parameters = dict(self.network.named_parameters())
        own = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        _copy(self.values, parameters)
        try:
            yield
        finally:
            _copy(own, parameters)

    def state_dict(self) -> dict[str, int | dict[str, Tensor]]:
        """What `load_state_dict` needs to go on."""
        return {"n_step": self.n_step, "values": self.values}

    def load_state_dict(self, state: dict[str, int | dict[str, Tensor]]) -> None:
        """Go on from a saved average."""
        n_step, values = state["n_step"], state["values"]
        if isinstance(n_step, int) and isinstance(values, dict):
            self.n_step, self.values = n_step, values


@torch.no_grad()
def _copy(values: dict[str, Tensor], parameters: dict[str, nn.Parameter]) -> None:
    for name, parameter in parameters.items():
        parameter.copy_(values[name])
