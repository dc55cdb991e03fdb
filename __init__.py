"""Emagram: machine-learned column physics in climate models, with every column's energy and mass closed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emulators.export import export
    from .fortran_bridge.model import open
    from .hybrid.run import run
    from .hybrid.verbs import evaluate, train

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "export", "open", "run", "train"]

_HOME = {
    "export": ".emulators.export",
    "open": ".fortran_bridge.model",
    "evaluate": ".hybrid.verbs",
    "run": ".hybrid.run",
    "train": ".hybrid.verbs",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import emagram` needs neither torch nor the compiled parts."""
    if name not in _HOME:
        raise AttributeError(f"module 'emagram' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name], __name__), name)
