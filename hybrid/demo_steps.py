"""The steps of a demo: announced, and timed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Steps:
    """Announces steps and keeps the seconds that each took.

    Attributes:
        console: where the steps are announced.
        seconds: [s] by key of the step, in their order.
    """

    def __init__(self) -> None:
        self.console, self.seconds = Console(), dict[str, float]()
        self._start = time.perf_counter()

    @contextmanager
    def step(self, key: str, title: str) -> Iterator[None]:
        """Announce and time what is done within."""
        self.console.print(f"[bold]{title}[/bold]")
        start = time.perf_counter()
        yield
        self.seconds[key] = round(time.perf_counter() - start, 1)

    def with_total(self) -> dict[str, float]:
        """[s] of each step so far, and `total` since this was made."""
        return self.seconds | {"total": round(time.perf_counter() - self._start, 1)}
