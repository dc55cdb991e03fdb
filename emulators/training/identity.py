"""What an emulator is apart from its weights, so that a checkpoint is continued by the same emulator alone."""

import hashlib
import json
from typing import Any

from ..emulator import ColumnEmulator


def describe_emulator(emulator: ColumnEmulator) -> dict[str, Any]:
    """What it reads and returns and how it is normalised, as plain JSON values, which a file gives back unchanged.

    The shapes of the weights do not tell outputs of one size or two data sets apart, this does: data of another
    climate have another normalisation.

    Args:
        emulator: normalised, not yet continued from a checkpoint, which would put its own normalisation in place.
    """
    spec = emulator.spec
    described = {
        "n_level": spec.n_level,
        "inputs": list(spec.inputs),
        "outputs": list(spec.outputs),
        "features": [feature.to_manifest(spec.feature_size(feature)) for feature in spec.features],
        "constraints": [constraint.to_manifest() for constraint in spec.constraints],
        "scale_by": dict(spec.scale_by),
        "constants": spec.constants.to_manifest(),
        "time_step": spec.time_step,
        "normalisation (SHA-256)": _digest(emulator),
    }
    plain: dict[str, Any] = json.loads(json.dumps(described))
    return plain


def _digest(emulator: ColumnEmulator) -> str:
    """SHA-256 of the names and bytes of the emulator's own buffers: means, scales, ranges, number of columns."""
    digest = hashlib.sha256()
    for name, values in sorted(emulator.named_buffers(recurse=False)):
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
