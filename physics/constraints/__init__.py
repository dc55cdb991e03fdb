"""Corrections that close the budgets of a column, applied in sequence after the network.

Each is a small frozen object: it measures its residuals, applies itself differentiably, and describes itself in the
manifest of a model file, from which the C++ runtime builds its twin.
"""

from .bounds import Bounds, Minimum
from .column_energy import ColumnEnergy, FluxTerm
from .constraint import Budget, Constraint, Fields, Prognostic
from .ledger import Entry, Ledger, Residuals, close
from .positivity import Positivity
from .precipitation import Precipitation
from .sequence import CONSTRAINTS, from_manifest
from .shortwave import Shortwave
from .upper_levels import UpperLevels
from .water_and_energy import WaterAndEnergy

__all__ = [
    "CONSTRAINTS",
    "Bounds",
    "Budget",
    "ColumnEnergy",
    "Constraint",
    "Entry",
    "Fields",
    "FluxTerm",
    "Ledger",
    "Minimum",
    "Positivity",
    "Precipitation",
    "Prognostic",
    "Residuals",
    "Shortwave",
    "UpperLevels",
    "WaterAndEnergy",
    "close",
    "from_manifest",
]
