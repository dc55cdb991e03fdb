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
        before, after: just before and just after the constraint that closes it.
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
        """Columns in which the constraint cannot hold (...): |r| where it is judged exceeds the budget's tolerance."""
        residual = self.residuals.after if self.budget.judged == "after" else self.residuals.before
        return residual.abs() > self.budget.tolerance


@dataclass(frozen=True)
class Ledger:
    """What a sequence of constraints did to a batch of columns.

    Attributes:
        fields: all of them, after the last constraint.
        entries: by name of the budget, in order.
        changes: by name of the constraint, its outputs after it less before it, float64.
    """

    fields: dict[str, Tensor]
    entries: dict[str, Entry]
    changes: dict[str, dict[str, Tensor]]


def close(constraints: Sequence[Constraint], fields: Fields) -> Ledger:
    """Apply constraints in order, and keep what each found and left.

    Args:
        constraints: of a model, in its order.
        fields: by name, as the constraints need them.
    Raises:
        EmagramError: if a field is missing or does not fit.
    """
    now = dict(fields)
    before: dict[str, Tensor] = {}
    after: dict[str, Tensor] = {}
    changes: dict[str, dict[str, Tensor]] = {}
    for constraint in constraints:
        before |= constraint.residuals(now)
        closed = constraint.apply(now)
        after |= constraint.residuals(closed)
        changes[constraint.name] = {name: closed[name].double() - now[name].double() for name in constraint.outputs}
        now = closed
    entries = {}
    for constraint in constraints:
        predicted, returned = constraint.residuals(fields), constraint.residuals(now)
        for budget in constraint.budgets:
            name = budget.name
            stages = Residuals(predicted[name], before[name], after[name], returned[name])
            entries[name] = Entry(budget, constraint.name, stages)
    return Ledger(now, entries, changes)
