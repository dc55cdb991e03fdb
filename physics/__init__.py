"""What must hold: variables, units, constants, vertical coordinate, thermodynamics, budgets, constraints."""

from .errors import EmagramError

__all__ = ["EmagramError"]
