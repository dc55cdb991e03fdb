"""Corrections that close the budgets of a column, applied in sequence after the network.

Each is a small frozen object: it measures its residuals, applies itself differentiably, and describes itself in the
manifest of a model file, from which the C++ runtime builds its twin.
"""

from .column_energy import ColumnEnergy, FluxTerm
from .constraint import Budget, Constraint, Fields
from .sequence import CONSTRAINTS, from_manifest

__all__ = ["CONSTRAINTS", "Budget", "ColumnEnergy", "Constraint", "Fields", "FluxTerm", "from_manifest"]
