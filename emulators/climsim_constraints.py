"""What must hold in the columns of a ClimSim-like emulator, by name, with the inputs that only this needs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..physics.constraints import (
    Accounts,
    Bounds,
    CloudPhase,
    Constraint,
    FluxTerm,
    Minimum,
    Positivity,
    Precipitation,
    Prognostic,
    ResidualLevels,
    Shortwave,
    StratosphericWater,
    UpperLevels,
    WaterAndEnergy,
)
from ..physics.errors import EmagramError
from ..physics.tropopause import TropopauseSearch
from ..physics.units import SECONDS_PER_DAY
from ..physics.variables import VARIABLES
from .climsim_budgets import (
    BANDS,
    CLOUD,
    HEATING,
    LONGWAVE_DOWN,
    LONGWAVE_UP,
    NET_SHORTWAVE,
    OLR,
    RAIN_AND_SNOW,
    SNOW,
    SUNLIGHT,
    TOA_SHORTWAVE,
    VAPOR,
    WATERS,
    WINDS,
)
from .emulator import EmulatorSpec

PRESSURE = "air_pressure_at_interface"
TOP_PRESSURE = 1.0e4
"""[Pa]; above, the physics of water is left out."""
TEMPERATURE_VARIANCE = (1.0 / SECONDS_PER_DAY) ** 2
"""[K2 s-2]: a change of 1 K/day is one standard deviation."""
WATER_VARIANCE = (1.0e-3 / SECONDS_PER_DAY) ** 2 / 1.0e-2
"""[s-2]: a change of 1 g/kg/day in a layer of 10 g/kg is one standard deviation."""

TROPOPAUSE = TropopauseSearch(lowest_pressure=7.5e3, highest_pressure=4.5e4, fallback_pressure=1.0e4)
"""Looked for where E3SM does, from 75 hPa to 450 hPa."""

_STRESS = ("surface_upward_eastward_stress", "surface_upward_northward_stress")
_ALTERNATIVES = ("water_and_energy", "residual_levels")
_TEMPERATURE = Prognostic("air_temperature", HEATING)
_SPECIES = tuple(Prognostic(*names) for names in WATERS)
_RATES = tuple(species.rate for species in _SPECIES)


def climsim_constraints(spec: EmulatorSpec, names: Sequence[str]) -> tuple[Constraint, ...]:
    """The constraints of those names for an emulator, in the order in which they must be applied.

    With `upper_levels`, the others leave water above `TOP_PRESSURE` alone, so that its rates stay zero there; only
    `stratospheric_water` evaporates what cloud is there.

    Args:
        spec: outputs, constants and time step count.
        names: of `CLIMSIM_CONSTRAINTS`, in any order.
    Raises:
        EmagramError: if a name is unknown (it names the nearest) or comes twice, two are alternatives, or one needs an
            output, the fluxes at the top (`cam_out_FSNT`, `cam_out_FLUT`) among them, or the time step, that the
            emulator lacks.
    """
    for name in names:
        if name not in CLIMSIM_CONSTRAINTS:
            nearest = difflib.get_close_matches(name, CLIMSIM_CONSTRAINTS, n=1, cutoff=0.0)[0]
            known = ", ".join(CLIMSIM_CONSTRAINTS)
            raise EmagramError(f"constraint '{name}': expected one of {known} (nearest '{nearest}'), got another")
    if len(set(names)) < len(names):
        raise EmagramError(f"constraints: expected distinct names, got {tuple(names)}")
    if set(names) >= set(_ALTERNATIVES):
        raise EmagramError(f"constraints: expected one of {' and '.join(_ALTERNATIVES)}, got both")
    chosen = [name for name in CLIMSIM_CONSTRAINTS if name in names]
    top_pressure = TOP_PRESSURE if "upper_levels" in names else 0.0
    built = tuple(CLIMSIM_CONSTRAINTS[name](spec, top_pressure) for name in chosen)
    for name, constraint in zip(chosen, built, strict=True):
        _require_outputs(name, constraint, spec)
    return built


def constrained(spec: EmulatorSpec, names: Sequence[str]) -> EmulatorSpec:
    """The same emulator with constraints, and after its inputs those that only they need.

    Args, Raises: as `climsim_constraints`.
    """
    constraints = climsim_constraints(spec, names)
    needed = (name for constraint in constraints for name in constraint.inputs if name not in spec.outputs)
    return replace(spec, inputs=tuple(dict.fromkeys((*spec.inputs, *needed))), constraints=constraints)


def _upper_levels(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    return UpperLevels("upper_levels", _RATES, _RATES, VAPOR, top_pressure, PRESSURE, spec.constants)


def _shortwave(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    del top_pressure
    toa_net = TOA_SHORTWAVE if TOA_SHORTWAVE in spec.outputs else None
    return Shortwave("shortwave", tuple(BANDS), tuple(BANDS.values()), NET_SHORTWAVE, SUNLIGHT, toa_net)


def _bounds(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    del top_pressure
    fluxes = (LONGWAVE_DOWN, *((OLR,) if OLR in spec.outputs else ()))
    return Bounds("bounds", tuple(Minimum(flux, 0.0) for flux in fluxes))


def _precipitation(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    del spec, top_pressure
    return Precipitation("precipitation", RAIN_AND_SNOW, SNOW)


def _stratospheric_water(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    del top_pressure
    _, liquid, ice = _SPECIES
    return StratosphericWater(
        "stratospheric_water",
        _TEMPERATURE,
        VAPOR,
        liquid,
        ice,
        interface_pressure=PRESSURE,
        tropopause=TROPOPAUSE,
        constants=spec.constants,
        time_step=_time_step(spec),
    )


def _positivity(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    return Positivity("positivity", _SPECIES, PRESSURE, spec.constants, _time_step(spec), top_pressure)


def _water_and_energy(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    return WaterAndEnergy(
        **_moist_law(spec),
        temperature_variance=TEMPERATURE_VARIANCE,
        water_variance=WATER_VARIANCE,
        top_pressure=top_pressure,
    )


def _residual_levels(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    del top_pressure  # the lowest level is never upper
    return ResidualLevels(**_moist_law(spec))


def _moist_law(spec: EmulatorSpec) -> dict[str, Any]:
    """What the laws that close water and energy have in common."""
    vapor, liquid, ice = _SPECIES
    signs = {TOA_SHORTWAVE: 1, OLR: -1, NET_SHORTWAVE: -1, LONGWAVE_DOWN: -1, LONGWAVE_UP: 1}
    moves = all(rate in spec.outputs for _, rate in WINDS)
    return {
        "name": "column",
        "interface_pressure": PRESSURE,
        "temperature_rate": HEATING,
        "waters": (vapor, liquid, ice),
        "winds": tuple(Prognostic(*names) for names in WINDS) if moves else (),
        "precipitation": RAIN_AND_SNOW,
        "snowfall": SNOW,
        "radiation": tuple(FluxTerm(name, sign) for name, sign in signs.items()),
        "constants": spec.constants,
        "time_step": _time_step(spec),
    }


def _cloud_phase(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    _, liquid, ice = _SPECIES
    return CloudPhase(
        "cloud_phase", _TEMPERATURE, liquid, ice, PRESSURE, spec.constants, _time_step(spec), top_pressure
    )


def _accounts(spec: EmulatorSpec, top_pressure: float) -> Constraint:
    del top_pressure
    clouds = tuple(rate for rate in (*_RATES[1:], CLOUD) if rate in spec.outputs)
    winds = tuple(rate for _, rate in WINDS)
    moves = all(rate in spec.outputs for rate in winds)
    stress = _STRESS if moves and all(name in spec.inputs for name in _STRESS) else ()
    return Accounts("accounts", PRESSURE, (VAPOR, *clouds), winds if moves else (), stress, spec.constants)


def _time_step(spec: EmulatorSpec) -> float:
    if spec.time_step is None:
        raise EmagramError("constraints: expected an emulator with a time step, got None")
    return spec.time_step


def _require_outputs(name: str, constraint: Constraint, spec: EmulatorSpec) -> None:
    """What physics returns cannot be an input: the emulator has to return it too."""
    for field in (*constraint.outputs, *constraint.inputs):
        alias = VARIABLES[field].aliases.get("climsim", "")
        if alias.startswith(("cam_out_", "ptend_")) and field not in spec.outputs:
            where = ", which 'extra_outputs' adds" if field in (TOA_SHORTWAVE, OLR) else ""
            raise EmagramError(
                f"constraint '{name}': expected output '{field}' ({alias}{where}) of the emulator, got none"
            )


CLIMSIM_CONSTRAINTS: Mapping[str, Callable[[EmulatorSpec, float], Constraint]] = {
    "upper_levels": _upper_levels,
    "shortwave": _shortwave,
    "bounds": _bounds,
    "precipitation": _precipitation,
    "stratospheric_water": _stratospheric_water,
    "positivity": _positivity,
    "water_and_energy": _water_and_energy,
    "residual_levels": _residual_levels,
    "cloud_phase": _cloud_phase,
    "accounts": _accounts,
}
"""By the type of constraint, in the order of the sequence."""
WHOLE_SEQUENCE = tuple(name for name in CLIMSIM_CONSTRAINTS if name != _ALTERNATIVES[1])
"""All that go together."""
