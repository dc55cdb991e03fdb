"""Variables that are not in ClimSim's files but computed from them: tendencies, forcing, memory, place, pressure.

A file pair holds a step's state before the physics (`mli`) and after it (`mlo`). With dt the time step and x a
variable of the state, both of step s:

- effect of the physics, `ptend_x` = (mlo_x(s) − mli_x(s)) / dt;
- that of the step before, `state_x_prvphy` = (mlo_x(s−1) − mli_x(s−1)) / dt;
- effect of all else, `state_x_dyn` = (mli_x(s) − mlo_x(s−1)) / dt.

`qn` is cloud liquid and ice, `q0` vapour, liquid and ice; `tm_` means one step further back. The state after the
physics is never an input. Relative humidity, cloud water and liquid share are features, computed inside an emulator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ...physics.errors import EmagramError
from ...physics.variables import find
from .climsim_grid import ColumnGrid

Array = NDArray[np.float64]
Kind = Literal["mli", "mlo"]
Place = tuple[int, Kind]
"""Which file: the offset of its step (0, −1 or −2) and whether it is from before or after the physics."""

Needs = Mapping[Place, tuple[str, ...]]
Raw = Mapping[Place, Mapping[str, Array]]

SNOW_FILL = 1.0e29
"""`cam_in_SNOWHICE` is 1e30 where there is no sea ice; from here on it counts as no snow, 0 m."""

_WATER = {"q0": ("q0001", "q0002", "q0003"), "qn": ("q0002", "q0003")}
_MEMORY = re.compile(r"(?P<before>tm_)?state_(?P<x>\w+)_(?P<effect>dyn|prvphy)")
_GRID_ONLY = ("clat", "slat", "icol")
_PRESSURE = ("air_pressure", "air_pressure_at_interface")


@dataclass(frozen=True)
class _Recipe:
    """Value = Σ (after − before) / dt of the named variables, or `after` alone, a single variable as it is."""

    after: Place
    names: tuple[str, ...]
    before: Place | None = None

    def reads(self) -> dict[Place, tuple[str, ...]]:
        return {place: self.names for place in (self.after, self.before) if place is not None}

    def evaluate(self, raw: Raw, time_step: float) -> Array:
        if self.before is None:
            return raw[self.after][self.names[0]]
        changes = [raw[self.after][name] - raw[self.before][name] for name in self.names]
        return np.asarray(sum(changes[1:], start=changes[0]) / time_step)


def needs(names: Iterable[str]) -> Needs:
    """Which ClimSim variables of which files give these variables.

    Args:
        names: of the variables table, each with a ClimSim alias, or `air_pressure_at_interface`.
    Returns:
        for each file (step offset, kind), in order of time, its variables.
    Raises:
        EmagramError: if a name is unknown or ClimSim has no such variable.
    """
    found: dict[Place, dict[str, None]] = {}
    for name in names:
        for place, variables in _reads(name).items():
            found.setdefault(place, {}).update(dict.fromkeys(variables))
    return {place: tuple(found[place]) for place in sorted(found, key=lambda place: (place[0], place[1]))}


def first_offset(names: Iterable[str]) -> int:
    """The earliest step these variables look back to: 0, −1 or −2."""
    return min((offset for offset, _ in needs(names)), default=0)


def derive(names: Iterable[str], raw: Raw, *, time_step: float, grid: ColumnGrid | None = None) -> dict[str, Array]:
    """Variables of a step from ClimSim's variables of that step and those before.

    Args:
        names: of the variables table.
        raw: for each file (step offset, kind), its variables by ClimSim name, (n_column,) or (n_column, n_level), level
            0 at the top, in the units of the variables table; at least what `needs` lists.
        time_step: [s] between the files.
        grid: of the columns, for pressure, latitude and column numbers.
    Returns:
        float64, (n_column,), (n_column, n_level) or (n_column, n_level + 1).
    Raises:
        EmagramError: if a variable is missing or of another shape, the grid is missing or has other columns or levels.
    """
    if not (math.isfinite(time_step) and time_step > 0.0):
        raise EmagramError(f"ClimSim time step: expected a positive number of seconds, got {time_step}")
    names = tuple(names)
    checked = _checked(raw, needs(names), grid)
    return {name: _evaluate(name, checked, time_step, grid) for name in names}


def _reads(name: str) -> dict[Place, tuple[str, ...]]:
    if name in _PRESSURE:
        return {(0, "mli"): ("state_ps",)}
    alias = _alias(name)
    return {} if alias in _GRID_ONLY else _recipe(alias).reads()


def _alias(name: str) -> str:
    variable = find(name)
    if "climsim" not in variable.aliases:
        raise EmagramError(f"variable '{name}': expected one that ClimSim's files give, got one without a ClimSim name")
    return variable.aliases["climsim"]


def _recipe(alias: str) -> _Recipe:
    """How a variable of ClimSim's name comes from the files."""
    memory = _MEMORY.fullmatch(alias)
    if memory:
        step = -1 if memory["before"] else 0
        if memory["effect"] == "dyn":
            return _Recipe((step, "mli"), _states(memory["x"]), before=(step - 1, "mlo"))
        return _Recipe((step - 1, "mlo"), _states(memory["x"]), before=(step - 1, "mli"))
    if alias.startswith("ptend_"):
        return _Recipe((0, "mlo"), _states(alias.removeprefix("ptend_")), before=(0, "mli"))
    if alias.startswith("tm_"):
        return _Recipe((-1, "mli"), (alias.removeprefix("tm_"),))
    return _Recipe((0, "mlo" if alias.startswith("cam_out_") else "mli"), (alias,))


def _states(x: str) -> tuple[str, ...]:
    return tuple(f"state_{water}" for water in _WATER.get(x, (x,)))


def _evaluate(name: str, raw: Raw, time_step: float, grid: ColumnGrid | None) -> Array:
    if name not in _PRESSURE and _alias(name) not in _GRID_ONLY:
        return _recipe(_alias(name)).evaluate(raw, time_step)
    if grid is None:
        raise EmagramError(f"ClimSim variable '{name}': expected the grid of the columns, got none")
    if name in _PRESSURE:
        interface = grid.coordinate.interface_pressure(torch.from_numpy(raw[0, "mli"]["state_ps"]))
        pressure = interface if name == _PRESSURE[1] else 0.5 * (interface[:, 1:] + interface[:, :-1])
        return np.asarray(pressure.numpy())
    return {
        "clat": np.cos(np.deg2rad(grid.latitude)),
        "slat": np.sin(np.deg2rad(grid.latitude)),
        "icol": np.arange(1.0, grid.n_column + 1.0),
    }[_alias(name)]


def _checked(raw: Raw, wanted: Needs, grid: ColumnGrid | None) -> dict[Place, dict[str, Array]]:
    """What is wanted of the files in float64, of one shape, the snow of no sea ice replaced.

    The numbers of columns and levels are those of the grid where there is one, else of the first array.
    """
    n_column, n_level = (grid.n_column, grid.coordinate.n_level) if grid is not None else (None, None)
    checked: dict[Place, dict[str, Array]] = {}
    for place, names in wanted.items():
        for name in names:
            value = _find(raw, place, name)
            is_profile = find(name, "climsim").dimension == "layer"
            n_column = value.shape[0] if n_column is None and value.ndim else n_column
            n_level = value.shape[1] if n_level is None and is_profile and value.ndim == 2 else n_level
            expected = (n_column, n_level) if is_profile else (n_column,)
            if value.shape != expected:
                raise EmagramError(f"{_label(place, name)}: expected shape {expected}, got {value.shape}")
            checked.setdefault(place, {})[name] = value
    return checked


def _find(raw: Raw, place: Place, name: str) -> Array:
    if place not in raw:
        raise EmagramError(f"{_label(place, name)}: expected that file, got only {sorted(raw)}")
    if name not in raw[place]:
        raise EmagramError(f"{_label(place, name)}: expected in the file, got only {sorted(raw[place])}")
    value = np.asarray(raw[place][name], dtype=np.float64)
    return np.where(value >= SNOW_FILL, 0.0, value) if name == "cam_in_SNOWHICE" else value


def _label(place: Place, name: str) -> str:
    return f"ClimSim variable '{name}' of '{place[1]}' at step {place[0]:+d}"
