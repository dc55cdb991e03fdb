"""What the constraints of a run had to do, by budget, from the lines of its `budgets.csv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNMET, BEFORE, AFTER = (f"budget_{what}_" for what in ("unmet", "before", "after"))
UNITS = {"w_m2": "W m-2", "kg_m2_s": "kg m-2 s-1"}
"""By what they are in the names of columns."""


@dataclass(frozen=True)
class BudgetLedger:
    """One budget of a run's model over some days.

    Attributes:
        name, unit: of the budget, the name as in the files of the run.
        unmet: columns and steps of each day in which its constraint could not hold (n_day,).
        before, after: [unit] largest magnitude of its residual just before and just after its constraint, by day.
    """

    name: str
    unit: str
    unmet: Sequence[float]
    before: Sequence[float]
    after: Sequence[float]

    @property
    def largest_before(self) -> float | None:
        """[unit] of all days; None of no day."""
        return max(self.before, default=None)

    @property
    def largest_after(self) -> float | None:
        """[unit] of all days; None of no day."""
        return max(self.after, default=None)

    def unmet_fraction(self, of_a_day: int) -> float | None:
        """[1] of columns and steps, of which a day has so many; None of no day."""
        return sum(self.unmet) / (of_a_day * len(self.unmet)) if self.unmet else None


def ledger_of(budgets: Mapping[str, Sequence[float]]) -> tuple[BudgetLedger, ...]:
    """The budgets in the order of the model, from the columns of `budgets.csv`; none of a conventional run."""
    names = list(budgets)
    found = []
    for place, name in enumerate(names):
        if name.startswith(UNMET):
            budget, (before, after) = name.removeprefix(UNMET), names[place + 1 : place + 3]
            unit = before.removeprefix(f"{BEFORE}{budget}_")
            rows = (budgets[column] for column in (name, before, after))
            found.append(BudgetLedger(budget, UNITS.get(unit, unit), *rows))
    return tuple(found)
