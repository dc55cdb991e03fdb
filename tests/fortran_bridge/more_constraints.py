"""Entries of the constraints that a sequence may have besides, or instead, and columns with the inputs they need."""

from typing import Any

import numpy as np

from constrained_model import (
    HEATING,
    PRESSURE,
    RATES,
    STATES,
    WIND_RATES,
    Array,
    Entry,
    constraint_entries,
    hard_columns,
)

STRESS = ("surface_upward_eastward_stress", "surface_upward_northward_stress")
MEAN = "mean_heating"
MORE_INPUTS = {MEAN: "K s-1", **dict.fromkeys(STRESS, "N m-2")}
TOP_PRESSURE = 1.0e4
WATER, MOMENTUM = "kg m-2 s-1", "Pa"
TEMPERATURE, LIQUID, ICE = (
    {"state": state, "rate": rate}
    for state, rate in (("air_temperature", HEATING), *zip(STATES[1:], RATES[1:], strict=True))
)


def more_entries() -> dict[str, Entry]:
    """One entry of each further type, in the order of a sequence, by type."""
    closing = {"temperature_variance", "water_variance", "type"}
    projection = constraint_entries()["water_and_energy"]
    accounts = {"books_dry_mass": WATER, "books_eastward_momentum": MOMENTUM, "books_northward_momentum": MOMENTUM}
    return {
        "downscaling": _entry(
            "downscaling",
            "heating",
            {"heating": "K s-1"},
            kind="additive",
            profile=HEATING,
            mean=MEAN,
            unit="K s-1",
            tolerance=1e-15,
        ),
        "stratospheric_water": _entry(
            "stratospheric_water",
            "stratosphere",
            {"stratosphere": WATER},
            temperature=TEMPERATURE,
            liquid=LIQUID,
            ice=ICE,
            vapor_rate=RATES[0],
            lowest_pressure=7.5e3,
            highest_pressure=4.5e4,
            fallback_pressure=TOP_PRESSURE,
        ),
        "residual_levels": {k: v for k, v in projection.items() if k not in closing} | {"type": "residual_levels"},
        "cloud_phase": _entry(
            "cloud_phase", "phase", {"phase": WATER}, temperature=TEMPERATURE, liquid=LIQUID, ice=ICE
        ),
        "accounts": _entry(
            "accounts",
            "books",
            accounts,
            enforced=False,
            water=list(RATES),
            winds=list(WIND_RATES),
            stress=list(STRESS),
        ),
    }


def _entry(of_type: str, name: str, budgets: dict[str, str], **keys: Any) -> Entry:
    listed = [{"name": budget, "unit": unit} for budget, unit in budgets.items()]
    return {"type": of_type, "name": name, "budgets": listed, "interface_pressure": PRESSURE} | keys


def more_columns(n_column: int, n_level: int, seed: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Hard columns of which many have a tropopause, with the inputs that only these constraints need."""
    inputs, outputs = hard_columns(n_column, n_level, seed)
    rng = np.random.default_rng(seed + 1000)
    middle = 0.5 * (inputs[PRESSURE][:, 1:] + inputs[PRESSURE][:, :-1])
    tropopause = rng.uniform(5e3, 4e4, (n_column, 1))
    cold = 290.0 * (np.maximum(middle, tropopause) / 1.0e5) ** 0.19
    inputs["air_temperature"] = cold + rng.normal(0.0, 1.0, middle.shape) * rng.choice([0.0, 0.3, 3.0], (n_column, 1))
    inputs[MEAN] = rng.normal(0.0, 2e-5, n_column)
    inputs |= {name: rng.normal(0.0, 0.1, n_column) for name in STRESS}
    return inputs, outputs
