"""`emagram bench NAME`: run a benchmark, print its table, write its JSON."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from .. import __version__
from ..physics.errors import EmagramError
from .bench_constraints import bench_constraints
from .bench_host import bench_host
from .bench_loader import bench_loader
from .benchmark import BenchOptions, Row, Skipped, device_name, measure_ceiling

FORMAT_VERSION = 1

BENCHES: Mapping[str, Callable[[BenchOptions], Sequence[Row | Skipped]]] = {
    "constraints": bench_constraints,
    "host": bench_host,
    "loader": bench_loader,
}
"""What measures, by name; each says in its docstring what its cases are."""

_COLUMNS = {
    "median_us": ("median µs", "{:,.0f}"),
    "spread": ("spread", "{:.0%}"),
    "gflops": ("GFLOP/s", "{:,.0f}"),
    "gb_s": ("GB/s", "{:.2f}"),
    "fraction_of_ceiling": ("of ceiling", "{:.0%}"),
    "error": ("error", "{:.1e}"),
}
_KNOWN = {"case", "engine", "dtype", "correct", "tolerance", "repeats", "skipped", *_COLUMNS}


def run(name: str, options: BenchOptions) -> dict[str, Any]:
    """Run a benchmark.

    Returns:
        the common form: `benchmark`, `format_version`, `version`, `device`, `threads`, `ceiling` and `rows`.
    Raises:
        EmagramError: if there is no such benchmark (the nearest is named) or it does not run on the device.
    """
    if name not in BENCHES:
        nearest = difflib.get_close_matches(name, BENCHES, n=1, cutoff=0.0)[0]
        raise EmagramError(f"bench: expected one of {', '.join(BENCHES)} (nearest '{nearest}'), got '{name}'")
    ceiling = measure_ceiling(options.device)
    rows = BENCHES[name](options)
    return {
        "benchmark": name,
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "torch": torch.__version__,
        "device": device_name(options.device),
        "threads": torch.get_num_threads(),
        "size": options.size,
        "ceiling": vars(ceiling),
        "rows": [row.to_json(ceiling) for row in rows],
    }


def print_report(report: Mapping[str, Any]) -> None:
    """The rows as a table, wrong and skipped ones marked."""
    ceiling = ", ".join(f"{name} {value:,.0f}" for name, value in report["ceiling"].items())
    print(f"{report['benchmark']} on {report['device']}, {report['threads']} threads; ceiling: {ceiling}")
    rows = report["rows"]
    measured = [row for row in rows if "skipped" not in row]
    used = [key for key in _COLUMNS if any(row.get(key) is not None for row in measured)]
    more = list(dict.fromkeys(key for row in measured for key in row if key not in _KNOWN))
    common = [key for key in more if len(measured) > 1 and len({row.get(key) for row in measured}) == 1]
    more = [key for key in more if key not in common]
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("case", "engine", "correct"):
        table.add_column(heading)
    for heading in (*(_COLUMNS[key][0] for key in used), *(key.replace("_", " ") for key in more)):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*_cells(row, used, more))
    console = Console()
    console.width = max(console.width, 130)  # a narrow terminal wraps lines rather than losing digits
    console.print(table)
    if common:
        print("all rows: " + ", ".join(f"{key.replace('_', ' ')} {measured[0][key]:.4g}" for key in common))
    for row in rows:
        if "skipped" in row:
            print(f"skipped: {row['case']} {row['engine']}: {row['skipped']}")


def _cells(row: Mapping[str, Any], used: Sequence[str], more: Sequence[str]) -> list[str]:
    if "skipped" in row:
        return [row["case"], row["engine"], "skipped"]
    numbers = ["" if row.get(key) is None else _COLUMNS[key][1].format(row[key]) for key in used]
    extra = ["" if row.get(key) is None else _number(row[key]) for key in more]
    return [row["case"], row["engine"], "yes" if row["correct"] else "NO", *numbers, *extra]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"
