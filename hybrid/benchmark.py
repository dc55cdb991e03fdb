"""What every benchmark shares: its options, the rows it returns, how time is measured, and what the machine could do.

One form for all, so that tables and comparisons read the same file: see `bench.run`.
"""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from ..physics.errors import EmagramError

Device = Literal["cpu", "cuda"]
Size = Literal["quick", "default", "full"]

N_REPEAT = 5


@dataclass(frozen=True)
class BenchOptions:
    """What the user asked for.

    Attributes:
        device: to measure on.
        size: "quick" within a minute, "default" within ten and 12 GB, "full" larger.
    Raises:
        EmagramError: if there is no such device here.
    """

    device: Device = "cpu"
    size: Size = "default"

    def __post_init__(self) -> None:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise EmagramError("bench: expected a device that is here, got 'cuda' and no GPU that torch can use")


@dataclass(frozen=True)
class Ceiling:
    """The fastest this machine copies memory and multiplies matrices."""

    fp32_gflops: float
    bf16_gflops: float
    copy_gb_s: float


@dataclass(frozen=True)
class Row:
    """One engine on one case.

    Attributes:
        case: `model-or-size/batch-or-window/direction`.
        engine: what ran.
        dtype: of the arithmetic or, of a loader, of the values.
        error: largest deviation of this run's output from the reference; NaN where something was missing.
        tolerance: the error up to which the output counts as correct.
        seconds: of each repeat, for what the case calls once.
        n_byte, n_flop: of that one call, where they make sense.
        more: further numbers of this benchmark.
    """

    case: str
    engine: str
    dtype: str
    error: float
    tolerance: float
    seconds: Sequence[float]
    n_byte: float | None = None
    n_flop: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """[s]."""
        return statistics.median(self.seconds)

    def to_json(self, ceiling: Ceiling) -> dict[str, Any]:
        """The row of the common form; `spread` is (slowest − fastest) / median, `gb_s` of 10⁹ bytes."""
        gflops = None if self.n_flop is None else self.n_flop / self.median / 1e9
        gb_s = None if self.n_byte is None else self.n_byte / self.median / 1e9
        fractions = [0.0 if gb_s is None else gb_s / ceiling.copy_gb_s]
        fractions.append(0.0 if gflops is None else gflops / getattr(ceiling, f"{self.dtype}_gflops", math.inf))
        return {
            "case": self.case,
            "engine": self.engine,
            "dtype": self.dtype,
            "correct": self.error <= self.tolerance,
            "error": self.error if math.isfinite(self.error) else None,
            "tolerance": self.tolerance,
            "median_us": 1e6 * self.median,
            "spread": (max(self.seconds) - min(self.seconds)) / self.median,
            "repeats": len(self.seconds),
            "gflops": gflops,
            "gb_s": gb_s,
            "fraction_of_ceiling": max(fractions),
            **self.more,
        }


@dataclass(frozen=True)
class Skipped:
    """An engine that is not installed or cannot run here, and why."""

    case: str
    engine: str
    why: str

    def to_json(self, _: Ceiling) -> dict[str, Any]:
        """The row of the common form."""
        return {"case": self.case, "engine": self.engine, "skipped": self.why}


def repeat(call: Callable[[], object], *, n: int = N_REPEAT, device: Device = "cpu") -> list[float]:
    """Seconds of each of `n` calls."""
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds


def measure_ceiling(device: Device) -> Ceiling:
    """Copy 256 MB, multiply square matrices; the best of some repeats, in about a second."""
    source = torch.ones(1 << 26, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    copied = 2.0 * source.nbytes  # read and written
    n = 4096 if device == "cuda" else 768

    def gflops(dtype: torch.dtype) -> float:
        matrix = torch.ones((n, n), dtype=dtype, device=device)
        return 2.0 * n**3 / min(repeat(lambda: matrix @ matrix, device=device)) / 1e9

    return Ceiling(
        fp32_gflops=gflops(torch.float32),
        bf16_gflops=gflops(torch.bfloat16),
        copy_gb_s=copied / min(repeat(lambda: target.copy_(source), device=device)) / 1e9,
    )


def device_name(device: Device) -> str:
    """What the hardware calls itself."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
