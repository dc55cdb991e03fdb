"""Learning rates over the course of a training: the share of the peak rate when a share of all steps is done."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from ...physics.errors import EmagramError


@dataclass(frozen=True)
class CosineSchedule:
    """s / w during the warm-up w, then half a cosine from 1 down to `final`.

    Attributes:
        warm_up: share of all steps, in [0, 1).
        final: share of the peak rate at the end, in [0, 1].
    Raises:
        EmagramError: if a share lies outside its range.
    Source: Loshchilov and Hutter 2017, SGDR (arXiv:1608.03983), one cycle; the warm-up is linear.
    """

    warm_up: float = 0.1
    final: float = 0.0
    kind: Literal["cosine"] = field(default="cosine", kw_only=True)

    def __post_init__(self) -> None:
        _require_warm_up(self.warm_up)
        _require_share("final", self.final)

    def factor(self, share: float) -> float:
        """Learning rate over its peak when `share` of all steps is done, 0 ≤ share ≤ 1."""
        if share < self.warm_up:
            return share / self.warm_up
        return _half_cosine(1.0, self.final, (share - self.warm_up) / (1.0 - self.warm_up))


@dataclass(frozen=True)
class ConstantSchedule:
    """s / w during the warm-up w, then 1.

    Attributes:
        warm_up: share of all steps, in [0, 1).
    Raises:
        EmagramError: if the share lies outside its range.
    """

    warm_up: float = 0.0
    kind: Literal["constant"] = field(default="constant", kw_only=True)

    def __post_init__(self) -> None:
        _require_warm_up(self.warm_up)

    def factor(self, share: float) -> float:
        """Learning rate over its peak when `share` of all steps is done, 0 ≤ share ≤ 1."""
        return share / self.warm_up if share < self.warm_up else 1.0


@dataclass(frozen=True)
class StepSchedule:
    """s / w during the warm-up w, then f^m, m the number of milestones passed.

    Attributes:
        milestones: shares of all steps, increasing, after the warm-up and before 1.
        decrease: f, in (0, 1).
        warm_up: share of all steps, in [0, 1).
    Raises:
        EmagramError: if a share lies outside its range or the milestones do not increase.
    """

    milestones: tuple[float, ...] = (0.5, 0.75)
    decrease: float = 0.1
    warm_up: float = 0.0
    kind: Literal["step"] = field(default="step", kw_only=True)

    def __post_init__(self) -> None:
        _require_warm_up(self.warm_up)
        ordered = (self.warm_up, *self.milestones, 1.0)
        if not self.milestones or any(not a < b for a, b in pairwise(ordered)):
            raise EmagramError(
                f"schedule 'milestones': expected increasing shares after the warm-up, got {self.milestones}"
            )
        if not 0.0 < self.decrease < 1.0:
            raise EmagramError(f"schedule 'decrease': expected a factor in (0, 1), got {self.decrease}")

    def factor(self, share: float) -> float:
        """Learning rate over its peak when `share` of all steps is done, 0 ≤ share ≤ 1."""
        if share < self.warm_up:
            return share / self.warm_up
        return float(self.decrease ** sum(share >= milestone for milestone in self.milestones))


@dataclass(frozen=True)
class OneCycleSchedule:
    """Half a cosine from `start` up to 1 at `peak`, another down to `final`.

    Attributes:
        peak: share of all steps at which the rate is largest, in (0, 1).
        start, final: shares of the peak rate, in [0, 1].
    Raises:
        EmagramError: if a share lies outside its range.
    Source: Smith and Topin 2018, Super-convergence (arXiv:1708.07120), with cosines for its straight lines.
    """

    peak: float = 0.3
    start: float = 0.04
    final: float = 0.0
    kind: Literal["one_cycle"] = field(default="one_cycle", kw_only=True)

    def __post_init__(self) -> None:
        if not 0.0 < self.peak < 1.0:
            raise EmagramError(f"schedule 'peak': expected a share in (0, 1), got {self.peak}")
        _require_share("start", self.start)
        _require_share("final", self.final)

    def factor(self, share: float) -> float:
        """Learning rate over its peak when `share` of all steps is done, 0 ≤ share ≤ 1."""
        if share < self.peak:
            return _half_cosine(self.start, 1.0, share / self.peak)
        return _half_cosine(1.0, self.final, (share - self.peak) / (1.0 - self.peak))


Schedule = CosineSchedule | ConstantSchedule | StepSchedule | OneCycleSchedule
"""Every schedule, told apart by the field `kind`."""


def _half_cosine(first: float, last: float, share: float) -> float:
    """From `first` at 0 to `last` at 1 along half a cosine."""
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * share))


def _require_warm_up(value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise EmagramError(f"schedule 'warm_up': expected a share from 0 to below 1, got {value}")


def _require_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise EmagramError(f"schedule '{name}': expected a share from 0 to 1, got {value}")
