"""How the loss of the fit and those of the budgets become one gradient: fixed or adaptive weights, or ConFIG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from ...physics.errors import EmagramError
from .gradients import Gradients, conflict_free


class Combination(Protocol):
    """What a training does with several losses; the first is that of the fit, the others are those of budgets."""

    @property
    def merit_weights(self) -> Tensor:
        """Fixed weights of the losses, (n_loss,), float64, by which epochs are compared and the best one is chosen."""
        ...

    def set_gradient(self, losses: Tensor | None, gradients: Gradients) -> None:
        """Set the gradient of a step from this process's shares of the losses, (n_loss,); None has no columns."""
        ...

    def measures(self) -> dict[str, float]:
        """What changes from epoch to epoch, for the log, by name."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What `load_state_dict` needs to go on to the same bits."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a saved state."""
        ...


class WeightedSum:
    """L = Σ_i w_i l_i with fixed weights, (n_loss,); nothing to remember."""

    def __init__(self, weights: Tensor) -> None:
        self.merit_weights = weights.double()

    def set_gradient(self, losses: Tensor | None, gradients: Gradients) -> None:
        """The gradient of L."""
        gradients.set_sum(losses, self.merit_weights)

    def measures(self) -> dict[str, float]:
        """None."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class ShareConfig:
    """L = (1 − α) F + α P with P = mean_b P_b: the penalty of LCnet.

    Attributes:
        share: α, in [0, 1].
    Raises:
        EmagramError: if α lies outside.
    Source: Beucler et al. 2021, doi:10.1103/PhysRevLett.126.098302.
    """

    share: float
    kind: Literal["share"] = field(default="share", kw_only=True)

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise EmagramError(f"combination 'share': expected 0 to 1, got {self.share}")

    def build(self, budgets: tuple[str, ...]) -> Combination:
        """For the fit and these budgets."""
        n = len(budgets)
        return WeightedSum(torch.tensor([1.0 - self.share, *[self.share / n] * n], dtype=torch.float64))


@dataclass(frozen=True)
class DualAscentConfig:
    """L = F + Σ_b λ_b P_b with multipliers that rise while P_b > 1 and fall while P_b < 1, see `DualAscent`.

    Attributes:
        rate: ρ > 0, the most by which the logarithm of a multiplier changes in a step.
        initial: of the multipliers, > 0, in units of F.
    Raises:
        EmagramError: if a number lies outside its range.
    """

    rate: float = 0.003
    initial: float = 0.01
    kind: Literal["dual_ascent"] = field(default="dual_ascent", kw_only=True)

    def __post_init__(self) -> None:
        for name in ("rate", "initial"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise EmagramError(
                    f"combination '{name}': expected a positive finite number, got {getattr(self, name)}"
                )

    def build(self, budgets: tuple[str, ...]) -> Combination:
        """For the fit and these budgets."""
        return DualAscent(self, budgets)


class DualAscent:
    """Minimises F where P_b ≤ 1: after each step λ_b ← λ_b exp(ρ min(P_b − 1, 1)), P_b of that step's columns.

    P_b − 1 is the slope of the Lagrangian F + Σ_b λ_b (P_b − 1) along λ_b, cut at 1 as it is at −1 by nature. The
    ascent is that of the logarithm, so that multipliers stay positive and find their size, whatever that of F, and
    what an untrained network's residuals have raised comes down as fast once these are small. Epochs are compared
    by F + Σ_b P_b, as the multipliers differ between them.

    Args:
        config: ρ and the multipliers to begin with.
        budgets: names of P_b.
    Source: Platt and Barr 1987, Constrained differential optimization, Neural Information Processing Systems 0; of
        networks Fioretto et al. 2020, Lagrangian duality for constrained deep learning, arXiv:2001.09394; the logarithm
        from Kivinen and Warmuth 1997, Exponentiated gradient versus gradient descent, doi:10.1006/inco.1996.2612.
    """

    def __init__(self, config: DualAscentConfig, budgets: tuple[str, ...]) -> None:
        self.rate, self.budgets = config.rate, budgets
        self.merit_weights = torch.ones(1 + len(budgets), dtype=torch.float64)
        self.multipliers = torch.full((len(budgets),), config.initial, dtype=torch.float64)

    def set_gradient(self, losses: Tensor | None, gradients: Gradients) -> None:
        """The gradient of L with the multipliers as they are, which then follow the residuals of all processes."""
        n_loss = 1 + len(self.budgets)
        gradients.set_sum(losses, torch.cat([torch.ones(1, dtype=torch.float64), self.multipliers]))
        violation = gradients.together(losses, n_loss)[1:] - 1.0
        if bool(violation.isfinite().all()):
            self.multipliers = self.multipliers * (self.rate * violation.clamp(max=1.0)).exp()

    def measures(self) -> dict[str, float]:
        """λ_b at the end of the epoch."""
        return {f"multiplier_{name}": float(value) for name, value in zip(self.budgets, self.multipliers, strict=True)}

    def state_dict(self) -> dict[str, Tensor]:
        """The multipliers."""
        return {"multipliers": self.multipliers}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on with saved multipliers."""
        self.multipliers = state["multipliers"]


@dataclass(frozen=True)
class ConflictFreeConfig:
    """F and every P_b are losses of their own, whose gradients ConFIG makes one that lowers all, see `conflict_free`.

    It costs a backward pass for each loss. Epochs are compared by F + Σ_b P_b.
    """

    kind: Literal["conflict_free"] = field(default="conflict_free", kw_only=True)

    def build(self, budgets: tuple[str, ...]) -> Combination:
        """For the fit and these budgets."""
        return ConflictFree(1 + len(budgets))


class ConflictFree(WeightedSum):
    """The conflict-free gradient of several losses; nothing to remember."""

    def __init__(self, n_loss: int) -> None:
        super().__init__(torch.ones(n_loss))

    def set_gradient(self, losses: Tensor | None, gradients: Gradients) -> None:
        """ConFIG of the gradients of all processes together."""
        gradients.set(conflict_free(gradients.of_each(losses, self.merit_weights.numel())))


CombinationConfig = ShareConfig | DualAscentConfig | ConflictFreeConfig
"""Every combination, told apart by the field `kind`."""
