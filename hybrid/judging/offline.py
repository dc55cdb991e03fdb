"""What the study that trained an emulator says of it, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...emulators.climsim_scores import Evaluation
from ...emulators.climsim_study_config import PRESENT, file_name
from ...emulators.model_file import sha256_of
from ...emulators.run_folder import read_json
from ...physics.errors import EmagramError


def offline_r2(study: Path, model_sha256: str | None) -> dict[str, float]:
    """R² by variable of the exported member of a study, on its test records of the climate it was trained in.

    Pooled over cells and levels about the means of the cells, since the mean of single R² is undefined where the truth
    does not vary.

    Args:
        study: its folder.
        model_sha256: of the model file that ran online.
    Raises:
        EmagramError: if the folder is no finished study, exported nothing or another model, or a file is damaged.
    """
    path = Path(study) / "summary.json"
    if not path.is_file():
        raise EmagramError(f"study '{study}': expected a finished study with a summary.json, got none")
    model: dict[str, Any] = read_json(path).get("model") or {}
    if not model.get("file"):
        raise EmagramError(f"study '{study}': expected an exported model, got none")
    exported = sha256_of(Path(study) / model["file"])
    if exported != model_sha256:
        raise EmagramError(
            f"study '{study}': expected that of the model of the run (SHA-256 {(model_sha256 or 'none')[:12]}), got "
            f"'{model['file']}' ({exported[:12]})"
        )
    member = Path(study) / "members" / f"{model['network']}-{model['seed']}"
    evaluation = Evaluation.read(member / f"evaluation-{file_name(PRESENT)}")
    return {str(row["variable"]): float(str(row["r2_pooled"])) for row in evaluation.rows}
