"""Checkpoints: complete or absent, read without executing code, continued only by the training that wrote them."""

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...physics.errors import EmagramError
from ..atomic import write_atomically

CHECKPOINT_NAME = "checkpoint.pt"

_DAMAGED = (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, pickle.UnpicklingError)


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state of tensors, numbers, texts, lists and dictionaries, complete or not at all.

    Raises:
        OSError: if it cannot be written; the file is then as before.
    """
    stream = io.BytesIO()
    torch.save(dict(state), stream)
    write_atomically(path, stream.getvalue())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint, without executing code from it.

    Raises:
        EmagramError: if it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EmagramError(f"checkpoint '{path}': expected a readable file, got {error.strerror}") from error
    return parse_checkpoint(data, path)


def parse_checkpoint(data: bytes, path: Path) -> dict[str, Any]:
    """As `load_checkpoint`, of the bytes of the file."""
    try:
        state = torch.load(io.BytesIO(data), weights_only=True)
    except _DAMAGED as error:
        raise EmagramError(f"checkpoint '{path}': expected a complete checkpoint: {error}") from error
    if not isinstance(state, dict) or "identity" not in state:
        raise EmagramError(f"checkpoint '{path}': expected a training's checkpoint, got something else")
    return state


def require_identity(found: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another training.

    Raises:
        EmagramError: naming the first part that differs.
    """
    for key, value in expected.items():
        if found.get(key) != value:
            what, want, got = _first_difference(key, value, found.get(key))
            raise EmagramError(f"checkpoint '{path}': expected {what} {want}, got {got}")


def _first_difference(key: str, expected: Any, found: Any) -> tuple[str, Any, Any]:
    """Of two lists of equal length the first entries that differ, which a sentence can hold, and where they stand."""
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        return next((f"{key} [{n}]", want, got) for n, (want, got) in enumerate(pairs) if want != got)
    return key, expected, found


def remove_partial_files(folder: Path, names: tuple[str, ...]) -> None:
    """Remove what a killed process left of files it was writing; call it while holding the folder's lock."""
    for name in names:
        for partial in folder.glob(f".{name}.*.partial"):
            partial.unlink(missing_ok=True)
