"""The constraints of a model file, in the order they are applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..constants import Constants
from ..errors import EmagramError
from .accounts import Accounts
from .bounds import Bounds
from .cloud_phase import CloudPhase
from .column_energy import ColumnEnergy
from .constraint import Constraint
from .downscaling import Downscaling
from .linear_laws import LinearLaws
from .positivity import Positivity
from .precipitation import Precipitation
from .residual_levels import ResidualLevels
from .shortwave import Shortwave
from .stratospheric_water import StratosphericWater
from .upper_levels import UpperLevels
from .water_and_energy import WaterAndEnergy

CONSTRAINTS: Mapping[str, type[Constraint]] = {
    "column_energy": ColumnEnergy,
    "downscaling": Downscaling,
    "upper_levels": UpperLevels,
    "shortwave": Shortwave,
    "bounds": Bounds,
    "precipitation": Precipitation,
    "stratospheric_water": StratosphericWater,
    "positivity": Positivity,
    "water_and_energy": WaterAndEnergy,
    "residual_levels": ResidualLevels,
    "cloud_phase": CloudPhase,
    "accounts": Accounts,
    "linear": LinearLaws,
}
"""Classes by the `type` of their entry, in the order in which a sequence has them."""


def from_manifest(
    entries: Sequence[Mapping[str, Any]], constants: Constants, time_step: float | None = None
) -> tuple[Constraint, ...]:
    """Build the constraint sequence of a model file.

    Args:
        entries: of the manifest's `constraints`.
        constants: of the manifest.
        time_step: [s] of the manifest, None where its rates do not depend on it.
    Raises:
        EmagramError: if a type is unknown, an entry is incomplete, or it needs a time step and there is none.
    """
    built = []
    for entry in entries:
        kind = str(entry.get("type"))
        if kind not in CONSTRAINTS:
            raise EmagramError(f"constraint type '{kind}': expected one of {sorted(CONSTRAINTS)}")
        built.append(CONSTRAINTS[kind].from_manifest(entry, constants, time_step))
    names = [budget.name for constraint in built for budget in constraint.budgets]
    if len(set(names)) < len(names):
        raise EmagramError(f"constraints: expected distinct names of budgets, got {names}")
    return tuple(built)
