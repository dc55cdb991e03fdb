"""What the tests of the streaming loader share."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator

import pytest

from emagram.emulators.data.climsim_series import Series, find_series
from toy_series import N_STEP, ToySeries, write_series


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> ToySeries:
    """Files of 20 steps of 24 toy columns of 7 levels."""
    return write_series(tmp_path_factory.mktemp("a series"), N_STEP)


@pytest.fixture(scope="session")
def series(toy: ToySeries) -> Series:
    return find_series(toy.folder)


@pytest.fixture
def no_hanging() -> Iterator[None]:
    """A test that waits for a dead process ends instead, and none leaves a process behind."""
    signal.alarm(60)
    yield
    signal.alarm(0)
    assert multiprocessing.active_children() == []
