"""For all tests of what runs coupled: MPI also as root, and one small model file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from online_model import write_linear_model


@pytest.fixture(autouse=True, scope="session")
def _root_may_run_mpi() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        patch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, _root_may_run_mpi: None) -> Path:
    """An emulator of the column host's physics, linear and closed; see online_model."""
    return write_linear_model(tmp_path_factory.mktemp("a model"))
