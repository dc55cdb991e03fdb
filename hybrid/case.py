"""The case of a column host: frozen dataclasses, checked when made, read from TOML by `configuration`."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..emulators.data.climsim_grid import ColumnGrid, built_in_grid, read_climsim_grid
from ..physics.errors import EmagramError
from .fixers_config import FixersConfig
from .physics_config import (
    BlendPhysicsConfig,
    ConventionalPhysicsConfig,
    CoupledPhysicsConfig,
    EmulatorPhysicsConfig,
)

SECONDS_PER_DAY = 86400
PROCESSES = {
    "sun": "sun",
    "longwave": "longwave",
    "shortwave": "shortwave",
    "surface": "surface_exchange",
    "boundary_layer": "boundary_layer",
    "convection": "convection",
    "microphysics": "microphysics",
}
"""Modules of `physics.fortran_physics` whose parameters a case can set, and their functions."""


def _check(what: str, value: float, smallest: float, largest: float = math.inf) -> None:
    """One sentence if a number is not in its range."""
    if not (math.isfinite(value) and smallest <= value <= largest):
        limits = f"from {smallest:g} to {largest:g}" if math.isfinite(largest) else f"of at least {smallest:g}"
        raise EmagramError(f"case {what}: expected a number {limits}, got {value:g}")


def _check_parameters(process: str, values: Mapping[str, float]) -> None:
    """Names of a process's parameters are those that its numpy front end takes beside arrays."""
    if process not in PROCESSES:
        raise EmagramError(f"case 'parameters': expected some of {', '.join(PROCESSES)}, got '{process}'")
    module = importlib.import_module(f"..physics.fortran_physics.{process}", __package__)
    signature = inspect.signature(getattr(module, PROCESSES[process]))
    known = [name for name, parameter in signature.parameters.items() if isinstance(parameter.default, float)]
    for name, value in values.items():
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise EmagramError(f"case parameters of '{process}': unknown name '{name}'; did you mean '{nearest}'?")
        if not math.isfinite(value):
            raise EmagramError(f"case parameters of '{process}': expected a finite '{name}', got {value}")


@dataclass(frozen=True)
class BuiltInGridConfig:
    """Columns and levels by formula."""

    source: Literal["built_in"]
    n_column: int = 384
    n_level: int = 60

    def build(self) -> ColumnGrid:
        """Make it; raises EmagramError if a number is not positive."""
        return built_in_grid(self.n_column, self.n_level)


@dataclass(frozen=True)
class ClimsimGridConfig:
    """The columns and levels of ClimSim's grid file."""

    source: Literal["climsim"]
    file: Path

    def build(self) -> ColumnGrid:
        """Read it; raises EmagramError if the file is missing or contradicts itself."""
        return read_climsim_grid(self.file)


@dataclass(frozen=True)
class FixedSunConfig:
    """The same sun at all times and places.

    Attributes:
        insolation: [W m-2] through the horizontal top.
        cosine_zenith: [1].
    """

    source: Literal["fixed"]
    insolation: float = 409.6
    cosine_zenith: float = 0.7425

    def __post_init__(self) -> None:
        _check("sun 'insolation'", self.insolation, 0.0, 2000.0)
        _check("sun 'cosine_zenith'", self.cosine_zenith, 0.0, 1.0)

    def settings(self) -> dict[str, Any]:
        """What the host's namelist says."""
        return {"sun": "fixed", "fixed_insolation": self.insolation, "fixed_cosine_zenith": self.cosine_zenith}


@dataclass(frozen=True)
class SeasonalDiurnalSunConfig:
    """The sun of each column's latitude, longitude, day and hour."""

    source: Literal["seasonal_diurnal"]

    def settings(self) -> dict[str, Any]:
        """What the host's namelist says."""
        return {"sun": "seasonal_diurnal"}


@dataclass(frozen=True)
class DailyMeanSunConfig:
    """The sun of each column's latitude and day, without night."""

    source: Literal["daily_mean"]

    def settings(self) -> dict[str, Any]:
        """What the host's namelist says."""
        return {"sun": "daily_mean"}


@dataclass(frozen=True)
class LandConfig:
    """Which columns are land, and what it is like.

    Attributes:
        share: [1] of the columns, the highest of a smooth random field on the sphere.
        heat_capacity: [J m-2 K-1] of the ground that takes part, 0 for a prescribed temperature.
        wetness: [1] evaporation relative to open water.
        albedo_visible, albedo_near_infrared: [1].
    """

    share: float = 0.0
    heat_capacity: float = 2.0e6
    wetness: float = 0.4
    albedo_visible: float = 0.1
    albedo_near_infrared: float = 0.3

    def __post_init__(self) -> None:
        for name in ("share", "wetness", "albedo_visible", "albedo_near_infrared"):
            _check(f"land '{name}'", getattr(self, name), 0.0, 1.0)
        _check("land 'heat_capacity'", self.heat_capacity, 0.0)


@dataclass(frozen=True)
class SurfaceConfig:
    """The surface under the columns.

    Attributes:
        warmest, coldest: [K] sea surface temperature at the equator and poleward of 60°, in between as in the
            aqua-planet profile "Qobs".
        warming: [K] added to both.
        heat_capacity: [J m-2 K-1] of an ocean slab, 0 for prescribed temperature; 1 m of water has 4.2e6.
        relaxation_days: [day] in which a slab, sea or land, is drawn to the profile, 0 for not at all.
        albedo: [1] of the sea.
    Source: Neale and Hoskins 2000, doi:10.1006/asle.2000.0022
    """

    warmest: float = 300.15
    coldest: float = 273.15
    warming: float = 0.0
    heat_capacity: float = 0.0
    relaxation_days: float = 0.0
    albedo: float = 0.07
    land: LandConfig = field(default_factory=LandConfig)

    def __post_init__(self) -> None:
        for name in ("warmest", "coldest"):
            _check(f"surface '{name}'", getattr(self, name), 200.0, 330.0)
        _check("surface 'warming'", self.warming, -50.0, 50.0)
        _check("surface 'heat_capacity'", self.heat_capacity, 0.0)
        _check("surface 'relaxation_days'", self.relaxation_days, 0.0)
        _check("surface 'albedo'", self.albedo, 0.0, 1.0)


@dataclass(frozen=True)
class ForcingConfig:
    """Large-scale forcing: sinusoids in time with random phase and period in each column, and relaxation.

    Attributes:
        n_mode: sinusoids in a column.
        vertical_velocity: [Pa s-1], heating: [K day-1], moistening: [day-1] of the present humidity; standard
            deviations in time where the vertical structure is largest.
        shortest_period, longest_period: [day].
        top_pressure: [Pa] none above.
        temperature_relaxation_days, humidity_relaxation_days, wind_relaxation_days: [day] to the initial profiles
            without their perturbation, 0 for not at all.
        wind: [m s-1] of trades and westerlies at the surface; jets aloft are six times as fast.
    """

    n_mode: int = 0
    vertical_velocity: float = 0.0
    heating: float = 0.0
    moistening: float = 0.0
    shortest_period: float = 2.0
    longest_period: float = 20.0
    top_pressure: float = 1.0e4
    temperature_relaxation_days: float = 0.0
    humidity_relaxation_days: float = 0.0
    wind_relaxation_days: float = 1.0
    wind: float = 6.0

    def __post_init__(self) -> None:
        _check("forcing 'n_mode'", self.n_mode, 0, 100)
        for name in ("vertical_velocity", "heating", "moistening"):
            _check(f"forcing '{name}'", getattr(self, name), 0.0)
        for name in ("temperature", "humidity", "wind"):
            _check(f"forcing '{name}_relaxation_days'", getattr(self, f"{name}_relaxation_days"), 0.0)
        _check("forcing 'shortest_period'", self.shortest_period, 0.1)
        _check("forcing 'longest_period'", self.longest_period, self.shortest_period)
        _check("forcing 'top_pressure'", self.top_pressure, 1.0, 5.0e4)
        _check("forcing 'wind'", self.wind, 0.0, 30.0)

    def settings(self) -> dict[str, Any]:
        """What the host's namelist says."""
        times = {
            f"{name}_relaxation": SECONDS_PER_DAY * getattr(self, f"{name}_relaxation_days")
            for name in ("temperature", "humidity", "wind")
        }
        return {"top_pressure": self.top_pressure} | times


@dataclass(frozen=True)
class SpreadConfig:
    """How far columns differ in what they begin with and relax to, beside their surface: smooth random profiles.

    An emulator that is to be left alone with its own errors must have seen states beside those of one climate.

    Attributes:
        temperature: [K], humidity: [1] of its logarithm; standard deviations.
    """

    temperature: float = 0.0
    humidity: float = 0.0

    def __post_init__(self) -> None:
        _check("spread 'temperature'", self.temperature, 0.0, 20.0)
        _check("spread 'humidity'", self.humidity, 0.0, 1.0)


@dataclass(frozen=True)
class RecordConfig:
    """Which steps are recorded before and after physics.

    Attributes:
        every: steps from one to the next, 0 for none.
        offset: the first step, counted from the start of the run.
        from_day, to_day: [day] of the run, the last not included; 0 for its end.
        temperature_noise: [K], water_noise: [1] of the logarithm, wind_noise: [m s-1]; standard deviations of noise on
            the recorded states. The physics after them is that of the noisy state; the run goes on without noise. What
            learns from such records has seen how physics answers to errors of its own.
    """

    every: int = 0
    offset: int = 0
    from_day: int = 0
    to_day: int = 0
    temperature_noise: float = 0.0
    water_noise: float = 0.0
    wind_noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("every", "offset", "from_day", "to_day"):
            _check(f"record '{name}'", getattr(self, name), 0)
        for name, largest in (("temperature_noise", 20.0), ("water_noise", 1.0), ("wind_noise", 20.0)):
            _check(f"record '{name}'", getattr(self, name), 0.0, largest)

    def settings(self) -> dict[str, Any]:
        """What the host's namelist says."""
        settings: dict[str, Any] = {
            "record_steps": self.every,
            "record_offset": self.offset,
            "record_from": self.from_day,
        }
        settings |= {
            f"record_{name}": getattr(self, name) for name in ("temperature_noise", "water_noise", "wind_noise")
        }
        return settings | ({"record_to": self.to_day} if self.to_day else {})


@dataclass(frozen=True)
class PerturbationConfig:
    """What makes a run a replica of another: how far apart the two are is a floor for what another physics does.

    Attributes:
        relative: [1] amplitude of random changes of the initial temperature, of its last digits from 1e-15 on, 0 for
            none.
        seed: of these changes.
        weather: seed of the large-scale forcing's sinusoids instead of the case's, whose land and initial state stay.
    """

    relative: float = 0.0
    seed: int = 0
    weather: int | None = None

    def __post_init__(self) -> None:
        if self.relative != 0.0 or self.weather is None:
            _check("perturbation 'relative'", self.relative, 1e-15, 1e-3)
        _check("perturbation 'seed'", self.seed, 0)
        if self.weather is not None:
            _check("perturbation 'weather'", self.weather, 0)


@dataclass(frozen=True)
class CaseConfig:
    """A run of the column host.

    Attributes:
        days: of the whole run; a longer run continues a shorter one.
        time_step: [s], divides a day.
        start_day: [day] of the year, 0 for the first of January.
        seed: of every random choice.
        radiation_steps: radiation is computed every so many steps and held in between.
        history_days: [day] of a mean in history.nc; restart_days: [day] between restart files.
        chunk: columns stepped together; changes no bit of the result.
        equilibrium_days: [day] at the end of the run over which equilibrium is judged and drawn, 0 for not at all.
        perturbation: of the initial state or the weather, in a replica.
        physics: whose column physics: the host's own unless given.
        fixers: global budgets that are closed after each step; none unless given.
        parameters: of the column physics by process and name, where they differ from their defaults.
    Raises:
        EmagramError: if a value is out of its range or the times do not divide each other.
    """

    name: str
    days: int
    grid: BuiltInGridConfig | ClimsimGridConfig
    sun: FixedSunConfig | SeasonalDiurnalSunConfig | DailyMeanSunConfig
    time_step: int = 1200
    start_day: int = 0
    seed: int = 0
    radiation_steps: int = 1
    history_days: int = 1
    restart_days: int = 30
    chunk: int = 16
    equilibrium_days: int = 0
    surface: SurfaceConfig = field(default_factory=SurfaceConfig)
    forcing: ForcingConfig = field(default_factory=ForcingConfig)
    spread: SpreadConfig = field(default_factory=SpreadConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    perturbation: PerturbationConfig | None = None
    physics: ConventionalPhysicsConfig | EmulatorPhysicsConfig | BlendPhysicsConfig = field(
        default_factory=ConventionalPhysicsConfig
    )
    fixers: FixersConfig | None = None
    parameters: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("days", "time_step", "radiation_steps", "history_days", "restart_days", "chunk"):
            _check(f"'{name}'", getattr(self, name), 1)
        _check("'start_day'", self.start_day, 0, 364)
        _check("'seed'", self.seed, 0)
        _check("'equilibrium_days'", self.equilibrium_days, 0, self.days)
        steps = self._divide("a day", SECONDS_PER_DAY, "time_step", self.time_step)
        self._divide("the steps of a day", steps, "radiation_steps", self.radiation_steps)
        self._divide("'restart_days'", self.restart_days, "history_days", self.history_days)
        self._divide("'days'", self.days, "history_days", self.history_days)
        for process, values in self.parameters.items():
            _check_parameters(process, values)
        if isinstance(self.physics, CoupledPhysicsConfig):
            if self.radiation_steps != 1:
                raise EmagramError(f"case 'radiation_steps': expected 1 with an emulator, got {self.radiation_steps}")
            if self.physics.spin_up_days >= self.days:
                raise EmagramError(
                    f"physics 'spin_up_days': expected fewer than the {self.days} days of the case, "
                    f"got {self.physics.spin_up_days}"
                )
        self.physics.settings(self.time_step)

    def _divide(self, what: str, whole: int, name: str, part: int) -> int:
        if whole % part:
            raise EmagramError(f"case '{name}': expected a divisor of {what} ({whole}), got {part}")
        return whole // part

    def settings(self) -> dict[str, dict[str, Any]]:
        """What the host's namelist says: groups of names and values."""
        names = ("days", "time_step", "start_day", "chunk", "radiation_steps", "history_days", "restart_days")
        host = {name: getattr(self, name) for name in names} | self.sun.settings() | self.record.settings()
        host["surface_relaxation"] = SECONDS_PER_DAY * self.surface.relaxation_days
        physics = self.physics.settings(self.time_step)
        fixers = {} if self.fixers is None else self.fixers.settings()
        return {
            "host": host,
            "physics": physics,
            "fixers": fixers,
            "forcing": self.forcing.settings(),
        } | self.parameters
