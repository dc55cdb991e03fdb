"""Which global budgets of a run are closed after each step, and what its log says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..physics.errors import EmagramError

UNITS = {"water": "kg_m2_s", "energy": "w_m2"}


@dataclass(frozen=True)
class FixersConfig:
    """What is left of a budget in the mean over the globe is taken out after each step.

    Surface pressure stays in this host, so there is no dry mass to fix; its change is in `fixers.csv`.

    Attributes:
        water: vapour is scaled.
        energy: all air is heated alike.
    Raises:
        EmagramError: if nothing is to be fixed.
    """

    water: bool = False
    energy: bool = False

    def __post_init__(self) -> None:
        if not (self.water or self.energy):
            raise EmagramError("case 'fixers': expected water, energy or both to be true, got neither")

    def settings(self) -> dict[str, Any]:
        """What the host's namelist says."""
        return {"water": self.water, "energy": self.energy}

    def summarise(self, steps: dict[str, list[float]]) -> dict[str, Any]:
        """What `summary.json` says: the largest residuals and corrections of all steps.

        Args:
            steps: the columns of `fixers.csv`, a value for each step.
        """
        largest = {
            f"fixers_{what}_{budget}_{unit}": max((abs(x) for x in steps[f"{what}_{budget}_{unit}"]), default=None)
            for budget, unit in UNITS.items()
            for what in ("residual_before", "residual_after", "correction")
        }
        return {"fixers": [name for name, is_on in self.settings().items() if is_on]} | largest
