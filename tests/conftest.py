import os
from pathlib import Path

import pytest

from commands import ROOT, install
from tiny_model import TinyModel


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of RFMIP and ClimSim files, or a skip that says what is missing."""
    folder = os.environ.get("EMAGRAM_DATA")
    if not folder:
        pytest.skip("EMAGRAM_DATA is not set; it names the folder of RFMIP and ClimSim files")
    if not Path(folder).is_dir():
        pytest.fail(f"EMAGRAM_DATA: expected a folder, got '{folder}'")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of 8 levels and a time step of 1200 s; tiny_model.TinyModel knows its mathematics."""
    return TinyModel().write(tmp_path_factory.mktemp("tiny model") / "tiny.emg")


@pytest.fixture(scope="session")
def many_field_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with 22 more scalar inputs: 30 fields."""
    return TinyModel(n_extra=22).write(tmp_path_factory.mktemp("many fields") / "many.emg")


@pytest.fixture(scope="session")
def emagram_build() -> Path:
    """Prefix of an installation without Python, in a folder whose name has a space; rebuilt where sources changed."""
    return install(ROOT / "build" / "native", ROOT / "build" / "native prefix")
