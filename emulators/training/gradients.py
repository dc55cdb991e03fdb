"""The gradient of one or several losses, of all processes together, and one without conflicts of several (ConFIG)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .parallel import Parallel

ROUNDING = 1e-12
"""Eigenvalues of Ĝ Ĝᵀ below this share of the largest are taken as 0: the gradients are then linearly dependent."""


class Gradients:
    """Gradients with respect to the weights, summed over the processes that share a step.

    A process without columns in a step gives no losses; it takes part all the same, with gradients of 0.

    Args:
        parameters: the weights, alike on every process.
        parallel: this process among those that train together.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], parallel: Parallel) -> None:
        self.parameters, self.parallel = list(parameters), parallel

    def set_sum(self, losses: Tensor | None, weights: Tensor) -> None:
        """Set every `grad` to that of Σ_i w_i l_i.

        Args:
            losses: l_i, this process's share, (n_loss,) or None.
            weights: w_i, (n_loss,).
        """
        if losses is not None:
            (losses * weights).sum().backward()  # type: ignore[no-untyped-call]
        if self.parallel.world > 1:
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
            self.set(self.parallel.sum(torch.cat([gradient.flatten() for gradient in gradients])))

    def of_each(self, losses: Tensor | None, n_loss: int) -> Tensor:
        """The gradient of every loss, (n_loss, n_weight); losses as in `set_sum`."""
        rows = [self._row(losses, at, is_last=at == n_loss - 1) for at in range(n_loss)]
        return self.parallel.sum(torch.stack(rows))

    def together(self, losses: Tensor | None, n_loss: int) -> Tensor:
        """The values of the losses of all processes, (n_loss,), float64."""
        own = torch.zeros(n_loss, dtype=torch.float64) if losses is None else losses.detach().double().clone()
        return self.parallel.sum(own)

    def set(self, gradient: Tensor) -> None:
        """Set every `grad` to its part of a gradient (n_weight,)."""
        pieces = torch.split(gradient, [p.numel() for p in self.parameters])
        for parameter, piece in zip(self.parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter).to(parameter.dtype)

    def _row(self, losses: Tensor | None, at: int, *, is_last: bool) -> Tensor:
        if losses is None:
            return torch.cat([torch.zeros_like(p).flatten() for p in self.parameters])
        found = torch.autograd.grad(
            losses[at], self.parameters, retain_graph=not is_last, allow_unused=True, materialize_grads=True
        )
        return torch.cat([gradient.flatten() for gradient in found])


@torch.no_grad()
def conflict_free(gradients: Tensor) -> Tensor:
    """g = (Σ_i g_i · u) u with u = unit(Ĝ⁺ 1): a step along −g lowers every loss, each by the same share of |g_i|.

    Ĝ has the rows ĝ_i = g_i / |g_i|. Where the g_i are linearly independent, u · ĝ_i is the same positive number for
    all of them, and the length is that of their sum along u; one gradient alone is left as it is. A gradient of 0 has
    no say. Where gradients depend on each other linearly, as more losses than weights must, u is that of the least
    squares of u · ĝ_i − 1: a loss may then rise, their sum does not. Two that are opposite give g = 0.

    Args:
        gradients: g_i, (n_loss, n_weight).
    Returns:
        (n_weight,), float64; NaN or infinity where a gradient is not finite.
    Source: Liu, Chu and Thuerey 2024, ConFIG, arXiv:2408.11104; Ĝ⁺ 1 is had from the small matrix, Ĝᵀ (Ĝ Ĝᵀ)⁺ 1.
    """
    gradients = gradients.double()
    if not bool(gradients.isfinite().all()):
        return gradients.sum(dim=0)
    length = gradients.norm(dim=1, keepdim=True)
    unit = gradients / torch.where(length > 0.0, length, 1.0)
    pseudo_inverse = torch.linalg.pinv(unit @ unit.mT, rtol=ROUNDING, hermitian=True)
    direction = unit.mT @ pseudo_inverse.sum(dim=1)
    size = direction.norm()
    direction = direction / torch.where(size > ROUNDING, size, torch.inf)
    combined: Tensor = (gradients @ direction).sum() * direction
    return combined
