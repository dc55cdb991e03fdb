"""Model files of every released format open, and pass their self-test, in both readers."""

from pathlib import Path

import pytest

import emagram
from emagram.emulators.model_file import read_model_file

FILES = sorted((Path(__file__).resolve().parents[1] / "compat").glob("*.emg"))


def test_there_is_one_of_every_version() -> None:
    assert [read_model_file(path).manifest["format_version"] for path in FILES] == [1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_opens(path: Path) -> None:
    model = emagram.open(path)
    assert (model.name, model.n_level, model.time_step, model.budgets) == ("tiny", 8, 1200.0, ("column",))
