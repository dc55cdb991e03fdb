"""Columns of every kind that a network may return, and the sequence of constraints for them, under short names."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from emagram.physics.constants import Constants
from emagram.physics.constraints import (
    Bounds,
    Constraint,
    FluxTerm,
    Minimum,
    Positivity,
    Precipitation,
    Prognostic,
    Shortwave,
    UpperLevels,
    WaterAndEnergy,
)

CONSTANTS = Constants()
TIME_STEP = 1200.0
WATERS = ("v", "l", "i")
SPECIES = tuple(Prognostic(f"q{water}", f"dq{water}") for water in WATERS)
RATES = tuple(species.rate for species in SPECIES)
BANDS = 4

WATER_CLOSED = 1.0e-15  # kg m-2 s-1, real64
ENERGY_CLOSED = 1.0e-10  # W m-2, real64

UPPER = UpperLevels("upper", RATES, RATES, "dqv", 1.0e4, "p", CONSTANTS)
SHORTWAVE = Shortwave(
    "shortwave", tuple(f"down{i}" for i in range(BANDS)), tuple(f"albedo{i}" for i in range(BANDS)), "net", "sun", "toa"
)
BOUNDS = Bounds("bounds", (Minimum("longwave_down", 0.0), Minimum("olr", 0.0)))
PRECIPITATION = Precipitation("precipitation", "rain", "snow")
POSITIVITY = Positivity("positivity", SPECIES, "p", CONSTANTS, TIME_STEP)
WATER_AND_ENERGY = WaterAndEnergy(
    name="column",
    interface_pressure="p",
    temperature_rate="dT",
    waters=(SPECIES[0], SPECIES[1], SPECIES[2]),
    winds=(Prognostic("u", "du"), Prognostic("v", "dv")),
    precipitation="rain",
    snowfall="snow",
    radiation=(
        FluxTerm("toa", 1),
        FluxTerm("olr", -1),
        FluxTerm("net", -1),
        FluxTerm("longwave_down", -1),
        FluxTerm("longwave_up", 1),
    ),
    temperature_variance=(1.0 / 86400.0) ** 2,
    water_variance=(1.0e-3 / 86400.0) ** 2 / 1.0e-2,
    constants=CONSTANTS,
    time_step=TIME_STEP,
)
SEQUENCE: tuple[Constraint, ...] = (UPPER, SHORTWAVE, BOUNDS, PRECIPITATION, POSITIVITY, WATER_AND_ENERGY)
STILL_ALOFT: tuple[Constraint, ...] = (
    *SEQUENCE[:-2],
    replace(POSITIVITY, top_pressure=UPPER.top_pressure),
    replace(WATER_AND_ENERGY, top_pressure=UPPER.top_pressure),
)
"""The same, with no water moved in the layers that are upper for the first."""
TYPES = tuple(str(constraint.to_manifest()["type"]) for constraint in SEQUENCE)
"""Of that sequence, which closes columns and bounds them; other types are alternatives or come besides."""
OUTPUTS = tuple(dict.fromkeys(name for constraint in SEQUENCE for name in constraint.outputs))

KINDS = (
    "ordinary",
    "nearly dry",
    "saturated",
    "negative water",
    "thin layers",
    "night",
    "no rain",
    "more rain than water",
    "no water",
)


def columns(seed: int, n_column: int = 4, n_level: int = 12, kind: str = "ordinary") -> dict[str, Tensor]:
    """Random columns of a kind, and what an untrained network makes of them; all needs every correction."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    n, k = n_column, n_level
    steps = (1.0e-6 if kind == "thin layers" else 0.1) + uniform(n, k) ** (6 if kind == "thin layers" else 1)
    surface = 0.5e5 + 0.55e5 * uniform(n, 1)
    depth = torch.cumsum(steps / steps.sum(dim=1, keepdim=True), dim=1)
    height = torch.linspace(0.0, 1.0, k, dtype=torch.float64)
    wet = {"nearly dry": 1.0e-9, "saturated": 3.0, "no water": 0.0}.get(kind, 1.0)
    fields = {
        "p": torch.cat([torch.full((n, 1), 200.0, dtype=torch.float64), 200.0 + (surface - 200.0) * depth], dim=1),
        "qv": wet * 1.0e-2 * height**3 * uniform(n, k),
        "ql": wet * 1.0e-4 * uniform(n, k) * (uniform(n, k) > 0.7),
        "qi": wet * 1.0e-5 * uniform(n, k) * (uniform(n, k) > 0.7),
        "u": 20.0 * normal(n, k),
        "v": 20.0 * normal(n, k),
        "dT": 3.0e-5 * normal(n, k),
        "dqv": 5.0e-8 * normal(n, k),
        "dql": 1.0e-8 * normal(n, k),
        "dqi": 2.0e-9 * normal(n, k),
        "du": 1.0e-4 * normal(n, k),
        "dv": 1.0e-4 * normal(n, k),
        "rain": 5.0e-8 * normal(n),
        "snow": 1.0e-8 * normal(n),
        "sun": (900.0 * (uniform(n) - 0.3)).clamp(min=0.0),
        "toa": 200.0 * normal(n),
        "olr": 240.0 + 100.0 * normal(n),
        "net": 150.0 * normal(n),
        "longwave_down": 300.0 + 150.0 * normal(n),
        "longwave_up": 400.0 + 20.0 * normal(n),
    }
    for band in range(BANDS):
        fields[f"down{band}"], fields[f"albedo{band}"] = 150.0 * normal(n), uniform(n)
    if kind == "negative water":
        fields["qv"] = fields["qv"] - 1.0e-6 * (uniform(n, k) > 0.5)
        fields["ql"] = fields["ql"] - 1.0e-8 * uniform(n, k)
    if kind == "night":
        fields["sun"] = torch.zeros(n, dtype=torch.float64)
    if kind == "no rain":
        fields["rain"], fields["snow"] = torch.zeros(2, n, dtype=torch.float64)
    if kind == "more rain than water":
        fields["rain"] = 1.0e-4 + 1.0e-4 * uniform(n)
    return fields


def apply_all(fields: dict[str, Tensor], sequence: tuple[Constraint, ...] = SEQUENCE) -> dict[str, Tensor]:
    """The whole sequence."""
    for constraint in sequence:
        fields = constraint.apply(fields)
    return fields


def mass(fields: dict[str, Tensor]) -> Tensor:
    """[kg m-2] (n_column, n_level)."""
    return fields["p"].diff(dim=-1) / CONSTANTS.gravity


def aloft(fields: dict[str, Tensor], top_pressure: float = UPPER.top_pressure) -> Tensor:
    """Which layers are upper, of columns that have others (n_column, n_level)."""
    return 0.5 * (fields["p"][:, 1:] + fields["p"][:, :-1]) < top_pressure


def after(fields: dict[str, Tensor], water: str) -> Tensor:
    """A water after the step as a host computes it [kg kg-1] (n_column, n_level)."""
    return fields[f"q{water}"] + TIME_STEP * fields[f"dq{water}"]
