"""Networks: configurations that build them."""

from .dense import Dense, DenseConfig

__all__ = ["Dense", "DenseConfig"]
