"""What every constraint of a sequence found and left: residuals at four stages, and what it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .constraint import Budget, Constraint, Fields


class Residuals(NamedTuple):
    """Of one budget, (...), float64, in its unit.

    Attributes:
        predicted: as the network returned, before the first constraint.
        before, after: just before and just after the constraint that closes it, in float64.
        returned: after the last constraint, in the dtypes of the fields.
    """

    predicted: Tensor
    before: Tensor
    after: Tensor
    returned: Tensor


@dataclass(frozen=True)
class Entry:
    """The residuals of a budget, and the name of the constraint that closes it."""

    budget: Budget
    constraint: str
    residuals: Residuals

    @property
    def unmet(self) -> Tensor:
        """Columns in which the constraint cannot hold (...): |r| where it is judged exceeds the budget's tolerance.

        So does what is not finite; the runtime rejects such columns, and counts them apart.
        """
        residual = self.residuals.after if self.budget.judged == "after" else self.residuals.before
        return ~residual.isfinite() | (residual.abs() > self.budget.tolerance)


@dataclass(frozen=True)
class Ledger:
    """What a sequence of constraints did to a batch of columns.

    Attributes:
        fields: all of them, after the last constraint, each in the dtype it had.
        entries: by name of the budget, in order.
        changes: by name of the constraint, its outputs after it less before it, float64.
    """

    fields: dict[str, Tensor]
    entries: dict[str, Entry]
    changes: dict[str, dict[str, Tensor]]


def close(constraints: Sequence[Constraint], fields: Fields) -> Ledger:
    """Apply constraints in order, and keep what each found and left.

    As in the runtime all is float64 until the last is done: the rounding of real32 outputs shows in what is returned,
    and makes no budget unmet.

    Args:
        constraints: of a model, in its order.
        fields: by name, as the constraints need them.
    Raises:
        EmagramError: if a field is missing or does not fit.
    """
    now = {name: value.double() for name, value in fields.items()}
    before: dict[str, Tensor] = {}
    after: dict[str, Tensor] = {}
    changes: dict[str, dict[str, Tensor]] = {}
    for constraint in constraints:
        before |= constraint.residuals(now)
        closed = constraint.apply(now)
        after |= constraint.residuals(closed)
        changes[constraint.name] = {name: closed[name] - now[name] for name in constraint.outputs}
        now = closed
    now = {name: value.to(fields[name].dtype) for name, value in now.items()}
    entries = {}
    for constraint in constraints:
        predicted, returned = constraint.residuals(fields), constraint.residuals(now)
        for budget in constraint.budgets:
            name = budget.name
            stages = Residuals(predicted[name], before[name], after[name], returned[name])
            entries[name] = Entry(budget, constraint.name, stages)
    return Ledger(now, entries, changes)
