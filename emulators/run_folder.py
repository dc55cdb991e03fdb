"""A run folder: its configuration and versions, claimed once, so that a run can be continued or repeated from it."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import torch
import xarray as xr

from .. import __version__
from ..physics.errors import EmagramError
from .atomic import write_atomically

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIGURATION_NAME = "configuration.json"


def claim_folder(folder: Path, config: "DataclassInstance") -> None:
    """Make a folder and write `configuration.json` and `versions.json`, or check that it holds this configuration.

    Raises:
        EmagramError: if the folder holds another configuration or a damaged one.
        OSError: if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIGURATION_NAME
    configuration = as_json(config)
    if path.exists():
        if read_json(path) != configuration:
            raise EmagramError(f"run folder '{folder}': expected the same configuration, got another one there")
        return
    write_json(folder / "versions.json", versions())
    write_json(path, configuration)


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises EmagramError if it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON as well as of UTF-8
        raise EmagramError(f"run folder's file '{path}': expected JSON, got {error}") from error


def as_json(config: "DataclassInstance") -> dict[str, Any]:
    """A configuration as JSON has it: lists for tuples, text for paths."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    return plain


def versions() -> dict[str, str]:
    """What this run was made with."""
    return {
        "emagram": f"emagram {__version__}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "xarray": xr.__version__,
        "safetensors": safetensors.__version__,
        "machine": platform.machine(),
    }


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON that appears under its name only when it is complete; NaN and infinity are refused."""
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
