"""The copy of a model file that a run folder keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from emagram.hybrid.coupled_model import MODEL_NAME, keep_model
from emagram.physics.errors import EmagramError


def end_of_model(sha256: str) -> bytes:
    """What names a model file."""
    return f"emagram {1:010d} sha256:{sha256}".encode()


def test_a_model_that_is_written_over_in_place_is_refused_and_the_kept_one_stays(tmp_path: Path) -> None:
    model, folder = tmp_path / "best.emg", tmp_path / "run"
    folder.mkdir()
    model.write_bytes(end_of_model("a" * 64))
    assert keep_model(model, folder) == keep_model(model, folder) == "a" * 64
    model.write_bytes(end_of_model("b" * 64))
    with pytest.raises(EmagramError, match=r"expected the model that the run began with \(SHA-256 a{12}\), got"):
        keep_model(model, folder)
    assert (folder / MODEL_NAME).read_bytes() == end_of_model("a" * 64)
    assert [path.name for path in folder.iterdir()] == [MODEL_NAME]
