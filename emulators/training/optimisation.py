"""One step of training: loss, gradient of all processes together, clipping, AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from ...physics.errors import EmagramError
from ..emulator import ColumnEmulator, Fields
from .gradients import Gradients
from .objectives import Objective
from .parallel import Parallel
from .samples import Samples

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class AdamWConfig:
    """AdamW: steps along the bias-corrected ratio of the gradient's mean and root mean square.

    Attributes:
        learning_rate: the peak of the schedule.
        weight_decay: decoupled from the gradient.
        decayed: "all" parameters, or "matrices" alone: neither biases nor what normalises.
        betas: decay of both running means, in [0, 1).
        epsilon: added to the root mean square.
    Raises:
        EmagramError: if a value lies outside its range.
    Source: Loshchilov and Hutter 2019, Decoupled weight decay regularization (arXiv:1711.05101).
    """

    learning_rate: float = 2e-3
    weight_decay: float = 1.0
    decayed: Literal["all", "matrices"] = "all"
    betas: tuple[float, ...] = (0.9, 0.999)
    epsilon: float = 1e-8
    kind: Literal["adamw"] = field(default="adamw", kw_only=True)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epsilon"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise EmagramError(f"optimiser '{name}': expected a positive finite number, got {getattr(self, name)}")
        if not 0.0 <= self.weight_decay < math.inf:
            raise EmagramError(f"optimiser 'weight_decay': expected a finite number ≥ 0, got {self.weight_decay}")
        if self.decayed not in ("all", "matrices"):
            raise EmagramError(f"optimiser 'decayed': expected 'all' or 'matrices', got '{self.decayed}'")
        if len(self.betas) != 2 or not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise EmagramError(f"optimiser 'betas': expected two numbers from 0 to below 1, got {self.betas}")

    def build(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of a network's parameters."""
        parameters = list(network.parameters())
        decays = [self.decayed == "all" or parameter.ndim > 1 for parameter in parameters]
        groups = [
            {
                "params": [p for p, decayed in zip(parameters, decays, strict=True) if decayed is wanted],
                "weight_decay": w,
            }
            for wanted, w in ((True, self.weight_decay), (False, 0.0))
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=self.learning_rate,
            betas=(self.betas[0], self.betas[1]),
            eps=self.epsilon,
        )


class Optimisation:
    """Steps of an emulator's network down the gradient of an objective.

    Args:
        emulator: whose network is fitted, in place.
        objective: losses that are means over columns of a number of each, so that shares of a batch add up.
        optimiser: of the network's parameters.
        gradient_clip: largest norm of the gradient.
        precision: of the network's arithmetic; weights, sums and constraints keep theirs.
        parallel: processes that share a step.
    Raises:
        EmagramError: if the network is not float32 and reduced precision was asked for.
    """

    def __init__(
        self,
        emulator: ColumnEmulator,
        objective: Objective,
        optimiser: AdamWConfig,
        *,
        gradient_clip: float,
        precision: Precision,
        parallel: Parallel,
    ) -> None:
        self.emulator, self.objective = emulator, objective
        self.gradient_clip, self.precision = gradient_clip, precision
        self.parameters = [p for p in emulator.network.parameters() if p.requires_grad]
        if precision != "float32" and any(p.dtype != torch.float32 for p in self.parameters):
            raise EmagramError(f"training 'precision' {precision}: expected a float32 network, got another")
        self.optimiser = optimiser.build(emulator.network)
        self.gradients, self.combination = Gradients(self.parameters, parallel), objective.combination()

    def step(self, batch: Samples, *, n_together: int, learning_rate: float) -> tuple[Tensor, float]:
        """One step with a batch that may have no columns.

        Args:
            n_together: columns of this step on all processes.
        Returns:
            losses summed over this process's columns (n_loss,), float64, and the norm of the gradient before clipping,
            of all processes; where that is not finite, the weights are left unchanged.
        """
        self.optimiser.zero_grad()
        losses, total = None, torch.zeros(len(self.objective.names), dtype=torch.float64)
        if batch.n_column:
            losses = self.objective.losses(self._outputs(batch.inputs), batch.targets, batch.inputs)
            total = losses.detach().double() * batch.n_column
            losses = losses * (batch.n_column / n_together)
        self.combination.set_gradient(losses, self.gradients)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.gradient_clip))
        if math.isfinite(norm):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate
            self.optimiser.step()
        return total, norm

    def _outputs(self, fields: Mapping[str, Tensor]) -> Fields:
        """The emulator's outputs, its network alone in reduced precision."""
        emulator = self.emulator
        features = emulator.encode(fields)
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            values = emulator.network(features)
        return emulator.constrain(emulator.decode(values, fields), fields)
