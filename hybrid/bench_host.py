"""`emagram bench host`: the column host on one core, in microseconds a column and step.

Cases are `part/l60/step`, a part of the step or `all` of it, files and budgets included; one call is one step of one
column. A repeat is a run of some days of columns all over the Earth, forced and with land, from their initial state.
`error` is the largest residual of the part's rates against its fluxes [W m-2].
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..physics.errors import EmagramError
from .benchmark import N_REPEAT, BenchOptions, Row, Skipped
from .case import BuiltInGridConfig, CaseConfig, ForcingConfig, LandConfig, SeasonalDiurnalSunConfig, SurfaceConfig
from .host_output import read_budgets, read_timers
from .run import run

CLOSURE_LIMIT = 1.0e-10
"""[W m-2]."""
PARTS: Mapping[str, str] = {
    "forcing": "residual_energy_w_m2_forcing",
    "surface": "residual_energy_w_m2_surface",
    "longwave": "residual_energy_w_m2_radiation",
    "shortwave": "residual_energy_w_m2_radiation",
    "boundary_layer": "residual_energy_w_m2_boundary_layer",
    "convection": "residual_energy_w_m2_convection",
    "microphysics": "residual_energy_w_m2_microphysics",
    "all": "residual_energy_w_m2",
}
"""What is timed, and the columns of budgets.csv that judge it."""
SIZES = {"quick": (96, 1), "default": (384, 2), "full": (384, 20)}
"""Columns and days of a repeat."""


def bench_host(options: BenchOptions) -> list[Row | Skipped]:
    """Every part of the step, on one rank.

    Raises:
        EmagramError: on another device than the CPU, or if the host is not built or fails.
    """
    if options.device != "cpu":
        raise EmagramError(f"bench host: expected device 'cpu', got '{options.device}'")
    n_column, days = SIZES[options.size]
    with tempfile.TemporaryDirectory(prefix="emagram-bench-") as folder:
        return measure(_case(n_column, days), Path(folder))


def measure(case: CaseConfig, folder: Path) -> list[Row | Skipped]:
    """Run a case some times, a folder each, and read the timers."""
    runs = [run(case, output=folder / str(number)) for number in range(N_REPEAT)]
    timers, budgets = [read_timers(path) for path in runs], read_budgets(runs[0])
    rows: list[Row | Skipped] = []
    for part, start in PARTS.items():
        seconds = [timer[part][0] / timer[part][1] for timer in timers]
        error = max(max(values) for name, values in budgets.items() if name.startswith(start))
        rate = {"column_steps_per_second": 1.0 / sorted(seconds)[len(seconds) // 2]} if part == "all" else {}
        rows.append(Row(f"{part}/l60/step", "native", "fp64", error, CLOSURE_LIMIT, seconds, more=rate))
    return rows


def _case(n_column: int, days: int) -> CaseConfig:
    return CaseConfig(
        name="bench",
        days=days,
        grid=BuiltInGridConfig("built_in", n_column=n_column),
        sun=SeasonalDiurnalSunConfig("seasonal_diurnal"),
        surface=SurfaceConfig(relaxation_days=10.0, land=LandConfig(share=0.3)),
        forcing=ForcingConfig(n_mode=6, vertical_velocity=0.04, heating=1.5, moistening=0.15),
    )
