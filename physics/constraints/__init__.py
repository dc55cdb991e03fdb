"""Corrections that close the budgets of a column, applied in sequence after the network.

Each is a small frozen object: it measures its residuals, applies itself differentiably, and describes itself in the
manifest of a model file, from which the C++ runtime builds its twin.
"""

from .accounts import Accounts
from .bounds import Bounds, Minimum
from .cloud_phase import CloudPhase
from .column_energy import ColumnEnergy, FluxTerm
from .constraint import Budget, Constraint, Fields, Prognostic
from .downscaling import Downscaling
from .law import Law, Term
from .ledger import Entry, Ledger, Residuals, close
from .linear_laws import LinearLaws
from .positivity import Positivity
from .precipitation import Precipitation
from .residual_levels import ResidualLevels
from .sequence import CONSTRAINTS, from_manifest
from .shortwave import Shortwave
from .stratospheric_water import StratosphericWater
from .upper_levels import UpperLevels
from .water_and_energy import WaterAndEnergy

__all__ = [
    "CONSTRAINTS",
    "Accounts",
    "Bounds",
    "Budget",
    "CloudPhase",
    "ColumnEnergy",
    "Constraint",
    "Downscaling",
    "Entry",
    "Fields",
    "FluxTerm",
    "Law",
    "Ledger",
    "LinearLaws",
    "Minimum",
    "Positivity",
    "Precipitation",
    "Prognostic",
    "ResidualLevels",
    "Residuals",
    "Shortwave",
    "StratosphericWater",
    "Term",
    "UpperLevels",
    "WaterAndEnergy",
    "close",
    "from_manifest",
]
