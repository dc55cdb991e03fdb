"""Model files with the constraints of moist columns, and columns that need them: dry, dark, cloudy, impossible."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emagram.emulators.model_file import ModelFile, write_model_file
from emagram.physics.constants import Constants
from emagram.physics.variables import VARIABLES

Array = NDArray[np.float64]
Entry = dict[str, Any]
TIME_STEP = 1200.0
PRESSURE = "air_pressure_at_interface"
HEATING = "tendency_of_air_temperature_due_to_model_physics"
STATES = (
    "specific_humidity",
    "mass_fraction_of_cloud_liquid_water_in_air",
    "mass_fraction_of_cloud_ice_in_air",
)
RATES = tuple(f"tendency_of_{state}_due_to_model_physics" for state in STATES)
WINDS = ("eastward_wind", "northward_wind")
WIND_RATES = tuple(f"tendency_of_{wind}_due_to_model_physics" for wind in WINDS)
BANDS = ("direct_visible", "direct_near_infrared", "diffuse_visible", "diffuse_near_infrared")
FLUXES = tuple(f"surface_downwelling_{band}_flux_in_air" for band in BANDS)
ALBEDOS = tuple(f"surface_albedo_for_{band}_radiation" for band in BANDS)
SUNLIGHT, LONGWAVE_UP = "toa_incoming_shortwave_flux", "surface_upwelling_longwave_flux_in_air"
LONGWAVE_DOWN, OLR = "surface_downwelling_longwave_flux_in_air", "toa_outgoing_longwave_flux"
NET, TOA_NET = "surface_net_downward_shortwave_flux", "toa_net_downward_shortwave_flux"
RAIN, SNOW = "lwe_precipitation_rate", "lwe_snowfall_rate"

INPUTS = (PRESSURE, "air_temperature", *STATES, *WINDS, SUNLIGHT, *ALBEDOS, LONGWAVE_UP)
OUTPUTS = (HEATING, *RATES, *WIND_RATES, RAIN, SNOW, *FLUXES, NET, TOA_NET, LONGWAVE_DOWN, OLR)


def _pairs(states: Sequence[str], rates: Sequence[str]) -> list[dict[str, str]]:
    return [{"state": state, "rate": rate} for state, rate in zip(states, rates, strict=True)]


def _budgets(**units: str) -> list[dict[str, str]]:
    return [{"name": name, "unit": unit} for name, unit in units.items()]


def constraint_entries() -> dict[str, Entry]:
    """One entry of each type, in the order of a sequence, by type."""
    vapor, liquid, ice = _pairs(STATES, RATES)
    signs = {TOA_NET: 1, OLR: -1, NET: -1, LONGWAVE_DOWN: -1, LONGWAVE_UP: 1}
    entries: list[Entry] = [
        {
            "type": "upper_levels",
            "name": "upper",
            "budgets": _budgets(upper_water="kg m-2 s-1"),
            "outputs": [*RATES, HEATING],
            "water": list(RATES),
            "receiver": RATES[0],
            "top_pressure": 1.0e4,
            "interface_pressure": PRESSURE,
        },
        {
            "type": "shortwave",
            "name": "sunlight",
            "budgets": _budgets(sunlight="W m-2"),
            "downward": list(FLUXES),
            "albedo": list(ALBEDOS),
            "net": NET,
            "incoming": SUNLIGHT,
            "toa_net": TOA_NET,
        },
        {
            "type": "bounds",
            "name": "bounds",
            "budgets": [],
            "minimum": [{"output": name, "value": 0.0} for name in (LONGWAVE_DOWN, OLR)],
        },
        {"type": "precipitation", "name": "rain", "budgets": [], "total": RAIN, "snow": SNOW},
        {
            "type": "positivity",
            "name": "no_negative_water",
            "budgets": _budgets(no_negative_water="kg m-2 s-1", no_negative_water_deficit="kg m-2 s-1"),
            "species": [vapor, liquid, ice],
            "interface_pressure": PRESSURE,
        },
        {
            "type": "water_and_energy",
            "name": "column",
            "budgets": _budgets(column_water="kg m-2 s-1", column_energy="W m-2"),
            "interface_pressure": PRESSURE,
            "temperature_rate": HEATING,
            "vapor": vapor,
            "liquid": liquid,
            "ice": ice,
            "winds": _pairs(WINDS, WIND_RATES),
            "precipitation": RAIN,
            "snowfall": SNOW,
            "radiation": [{"name": name, "sign": sign} for name, sign in signs.items()],
            "temperature_variance": (1.0 / 86400.0) ** 2,
            "water_variance": (1.0e-3 / 86400.0) ** 2 / 1.0e-2,
        },
    ]
    return {entry["type"]: entry for entry in entries}


def entries_still_aloft(top_pressure: float = 1.0e4) -> dict[str, Entry]:
    """The same, but no water moves in the layers that are upper for the first."""
    able = ("upper_levels", "positivity", "water_and_energy")
    return {
        kind: entry | ({"top_pressure": top_pressure} if kind in able else {})
        for kind, entry in constraint_entries().items()
    }


def write_constrained(
    path: Path,
    constraints: Sequence[Mapping[str, Any]],
    n_level: int = 24,
    more_inputs: Mapping[str, str] | None = None,
    **manifest: Any,
) -> Path:
    """A model file whose network returns zeros, but for what its constraints make of them; `manifest` overrides.

    More inputs are quantities of the column, by name their unit.
    """
    inputs, outputs = [_entry(name, n_level) for name in INPUTS], [_entry(name, n_level) for name in OUTPUTS]
    for name, unit in (more_inputs or {}).items():
        inputs.append({"name": name, "unit": unit, "dimension": "column", "size": 1, "valid_range": [-1e36, 1e36]})
    columns, _ = hard_columns(2, n_level)
    columns |= {name: np.zeros(2) for name in more_inputs or {}}
    n_in, n_out = (sum(entry["size"] for entry in entries) for entries in (inputs, outputs))
    entries = {
        "name": "constrained",
        "description": "a network of zeros with constraints, for tests",
        "created_by": "tests",
        "provenance": {},
        "time_step": TIME_STEP,
        "stencil": [1, 1],
        "constants": Constants().to_manifest(),
        "vertical": {"n_level": n_level, "order": "top_to_bottom"},
        "inputs": inputs,
        "outputs": [entry | {"scale_by": None} for entry in outputs],
        "features": [{"transform": "identity", "inputs": [SUNLIGHT], "size": 1}],
        "constraints": list(constraints),
        "training": {"columns": 1},
        "selftest": {"columns": 2, "tolerance": dict.fromkeys(OUTPUTS, 1e36)},
    }
    weights = {
        "network.weight": np.zeros((n_out, 1), np.float32),
        "inputs.minimum": np.full(n_in, -1e36),
        "inputs.maximum": np.full(n_in, 1e36),
        **{f"features.{key}": np.full(1, value) for key, value in (("mean", 0.0), ("scale", 1.0))},
        **{f"outputs.{key}": np.full(n_out, value) for key, value in (("mean", 0.0), ("scale", 1.0))},
    }
    selftest = {f"input.{entry['name']}": columns[entry["name"]].reshape(2, -1) for entry in inputs}
    selftest |= {f"output.{entry['name']}": np.zeros((2, entry["size"])) for entry in outputs}
    dense = {"op": "dense", "input": "features", "output": "outputs", "weight": "network.weight", "bias": None}
    plan = {"plan_version": 1, "input": "features", "output": "outputs"}
    plan["operations"] = [dense | {"activation": {"name": "identity"}}]
    write_model_file(path, ModelFile(entries | manifest, plan, weights, selftest))
    return path


def _entry(name: str, n_level: int) -> Entry:
    variable = VARIABLES[name]
    size = {"column": 1, "layer": n_level, "interface": n_level + 1}[variable.dimension]
    entry = {"name": name, "unit": variable.unit, "dimension": variable.dimension, "size": size}
    widest = {"valid_range": [-1e36, 1e36]}  # negative water is what the constraints are for
    return entry | widest | ({"monotonic": "increasing"} if variable.dimension == "interface" else {})


def _impossible(kind: Array, inputs: dict[str, Array], outputs: dict[str, Array]) -> None:
    """Every kind of column but the sound (0) is spoiled in its own way."""
    for state, rate in zip(STATES, RATES, strict=True):
        sound = np.maximum(outputs[rate], -0.5 * inputs[state] / TIME_STEP)
        outputs[rate][kind == 0] = sound[kind == 0]
        inputs[state][kind == 1] *= 1e-9  # nearly dry
        outputs[rate][kind == 1] *= 1e-9
        inputs[state][kind == 2] = 0.0  # no water at all
        inputs[state][kind == 3] -= 1e-6  # negative before physics
        outputs[rate][kind == 4] = -1.5 * inputs[state][kind == 4] / TIME_STEP  # all of it is lost, and more
        outputs[rate][kind == 5] *= 30.0  # large sinks and sources
    outputs[RATES[2]][kind == 6] = -1e-7  # clouds that cannot pay
    outputs[RAIN][kind == 7] = 1e-4  # more than there is
    outputs[RAIN][kind == 8] = 0.0  # water that is lost into nothing
    outputs[RATES[0]][kind == 8] = -np.abs(outputs[RATES[0]][kind == 8])
    inputs[SUNLIGHT][kind == 9] = 0.0  # night


N_KIND = 10


def hard_columns(n_column: int, n_level: int, seed: int = 0) -> tuple[dict[str, Array], dict[str, Array]]:
    """Inputs and raw outputs of columns, (n_column, size) or (n_column); kind c % N_KIND, see `_impossible`."""
    rng = np.random.default_rng(seed)
    sigma = np.concatenate([[0.002], np.linspace(0.03, 1.0, n_level) ** 1.5])
    height = sigma[1:]

    def layers(scale: float | Array, shape: float | Array = 1.0) -> Array:
        return shape * scale * rng.normal(0.0, 1.0, (n_column, n_level))

    cloudy = rng.random((n_column, n_level)) < 0.3
    inputs: dict[str, Array] = {
        PRESSURE: sigma * rng.uniform(0.6e5, 1.04e5, (n_column, 1)),
        "air_temperature": 210.0 + 80.0 * height + layers(3.0),
        STATES[0]: 0.018 * height**3 * rng.uniform(0.05, 1.0, (n_column, n_level)) + 1e-6,
        STATES[1]: np.where(cloudy, np.abs(layers(1e-4)), 0.0),
        STATES[2]: np.where(cloudy, np.abs(layers(3e-5)), 0.0),
        **{wind: layers(15.0) for wind in WINDS},
        SUNLIGHT: rng.uniform(1.0, 1300.0, n_column),
        **{albedo: rng.uniform(0.05, 0.9, n_column) for albedo in ALBEDOS},
        LONGWAVE_UP: rng.uniform(200.0, 500.0, n_column),
    }
    outputs: dict[str, Array] = {
        HEATING: layers(5e-5),
        RATES[0]: layers(4e-8, height),
        RATES[1]: layers(3e-8),
        RATES[2]: layers(1e-8),
        **{rate: layers(1e-4) for rate in WIND_RATES},
        RAIN: rng.exponential(3e-8, n_column),
        SNOW: rng.normal(0.0, 1e-8, n_column),
        **{flux: rng.normal(100.0, 120.0, n_column) for flux in FLUXES},
        NET: rng.normal(200.0, 100.0, n_column),
        TOA_NET: rng.normal(250.0, 100.0, n_column),
        LONGWAVE_DOWN: rng.normal(300.0, 200.0, n_column),
        OLR: rng.normal(240.0, 150.0, n_column),
    }
    _impossible(np.arange(n_column) % N_KIND, inputs, outputs)
    return inputs, outputs
