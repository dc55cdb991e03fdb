"""The model file of a coupled run: checked against the case, and kept in the run folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..emulators.model_file import read_model_file, sha256_of
from ..physics.constants import Constants
from ..physics.errors import EmagramError
from .case import CaseConfig

MODEL_NAME = "model.emg"


def check_model(case: CaseConfig, path: Path, n_level: int) -> None:
    """Refuse a model that is not for this host: other levels, time step, stencil or constants.

    Raises:
        EmagramError: naming the model file, what the case has and what the model has.
    """
    manifest = read_model_file(path).manifest
    levels, time_step, stencil = manifest["vertical"]["n_level"], manifest["time_step"], manifest["stencil"]
    if levels != n_level:
        raise EmagramError(f"model file '{path}': expected a model of the case's {n_level} levels, got {levels}")
    if time_step not in (None, case.time_step):
        raise EmagramError(
            f"model file '{path}': expected a model of the case's time step of {case.time_step} s, got {time_step:g} s"
        )
    if stencil != [1, 1]:
        raise EmagramError(f"model file '{path}': expected a model of single columns, got one of {stencil}")
    ours, theirs = Constants().to_manifest(), manifest["constants"]
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise EmagramError(f"model file '{path}': expected the host's {name} of {value}, got {theirs.get(name)}")


def keep_model(path: Path, folder: Path) -> str:
    """Copy a model file into a run folder; its SHA-256. A link would follow whoever writes into the file.

    Raises:
        EmagramError: if the folder holds another model, or the file is none.
        OSError: if it cannot be written.
    """
    kept, sha256 = folder / MODEL_NAME, sha256_of(path)
    if kept.exists():
        if sha256_of(kept) != sha256:
            raise EmagramError(
                f"run folder '{folder}': expected the model that the run began with (SHA-256 {sha256_of(kept)[:12]}), "
                f"got another file '{path}' ({sha256[:12]})"
            )
        return sha256
    part = kept.with_name(f"{MODEL_NAME}.part")
    part.unlink(missing_ok=True)
    shutil.copyfile(path, part)
    part.replace(kept)
    return sha256
