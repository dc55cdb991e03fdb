"""Compiled from physics/fortran/ by f90wrap; `fortran_physics` is the front."""

from collections.abc import Callable
from typing import Any

def __getattr__(name: str) -> Callable[..., Any]: ...
