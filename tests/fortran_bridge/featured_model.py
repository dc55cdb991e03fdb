"""A model file whose features are every transform there is, columns that are hard for them, and ways to spoil it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec, Fields
from emagram.emulators.export import export
from emagram.emulators.features import Feature
from emagram.emulators.model_file import ModelFile, read_model_file, write_model_file
from emagram.emulators.networks.dense import DenseConfig
from emagram.physics.constants import Constants

N_LEVEL = 12
STATE = ("air_pressure", "air_temperature", "specific_humidity")
LATENT_HEAT = "surface_upward_latent_heat_flux"
CLOUDS = ("mass_fraction_of_cloud_liquid_water_in_air", "mass_fraction_of_cloud_ice_in_air")
PLANET = Constants(gravity=3.7, gas_constant_dry_air=250.0, latent_heat_vaporization=2.2e6, heat_capacity_dry_air=900.0)
RATES = tuple(np.geomspace(1e3, 1e9, N_LEVEL))

FEATURES: dict[str, tuple[Feature, ...]] = {
    "identity": (Feature("identity", ("air_temperature",)), Feature("identity", (LATENT_HEAT,))),
    "log": (Feature("log", ("specific_humidity",)),),
    "relative_humidity": (Feature("relative_humidity", STATE),),
    "zero": (Feature("zero", ("surface_air_pressure",)), Feature("zero", ("air_pressure",))),
    "sum": (Feature("sum", CLOUDS),),
    "liquid_fraction": (Feature("liquid_fraction", ("air_temperature",)),),
    "climsim_relative_humidity": (Feature("climsim_relative_humidity", STATE),),
    "one_minus_exp": (Feature("one_minus_exp", CLOUDS, RATES), Feature("one_minus_exp", CLOUDS[1:], RATES)),
    "plume_buoyancy": (Feature("plume_buoyancy", STATE),),
    "scaled_latent_heat_flux": (Feature("scaled_latent_heat_flux", (LATENT_HEAT, *STATE)),),
}


def featured_columns(n_column: int = 64, seed: int = 0) -> Fields:
    """From below a cold tropopause to a hot one that cannot saturate, with no cloud, little and much, and no vapour."""
    random = np.random.default_rng(seed)
    sigma = np.geomspace(1e-5, 1.0, N_LEVEL)
    surface = random.uniform(6.0e4, 1.04e5, n_column)
    shape = (n_column, N_LEVEL)
    cloud = 10.0 ** random.uniform(-12.0, -3.0, (2, *shape)) * (random.random((2, *shape)) < 0.6)
    values = {
        "air_pressure": sigma * surface[:, None],
        "air_temperature": random.uniform(150.0, 330.0, shape),
        "specific_humidity": 10.0 ** random.uniform(-8.0, -1.5, shape) * (random.random(shape) < 0.9) - 1e-7,
        CLOUDS[0]: cloud[0],
        CLOUDS[1]: cloud[1],
        LATENT_HEAT: random.uniform(-100.0, 500.0, n_column),
        "surface_air_pressure": surface,
    }
    return {name: torch.from_numpy(value) for name, value in values.items()}


def write_featured(path: Path) -> ColumnEmulator:
    """A model file with all transforms and constants that are not the usual ones."""
    fields = featured_columns()
    features = tuple(feature for several in FEATURES.values() for feature in several)
    spec = EmulatorSpec(N_LEVEL, tuple(fields), ("surface_temperature",), features, constants=PLANET)
    torch.manual_seed(0)
    emulator = ColumnEmulator(spec, DenseConfig((4,)).build(spec.layout))
    emulator.feature_scale.copy_(emulator.features(fields).abs().amax(dim=0).clamp(min=1e-3))
    export(emulator, path, samples=fields, name="featured")
    return emulator


Change = Callable[[dict[str, Any]], None]


def entry(manifest: dict[str, Any], transform: str) -> dict[str, Any]:
    return next(entry for entry in manifest["features"] if entry["transform"] == transform)


def field(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in manifest["inputs"] if entry["name"] == name)


BAD: dict[str, tuple[Change, str]] = {
    "order": (
        lambda m: entry(m, "plume_buoyancy").update(inputs=[STATE[1], STATE[0], STATE[2]]),
        "'plume_buoyancy': expected an input in 'Pa', got 'air_temperature' in 'K'",
    ),
    "number": (
        lambda m: entry(m, "plume_buoyancy").update(inputs=list(STATE[:2])),
        "'plume_buoyancy': expected 3 inputs, got 2",
    ),
    "name": (
        lambda m: entry(m, "sum").update(inputs=["air_colour", CLOUDS[0]]),
        "'sum' reads 'air_colour', which is no input",
    ),
    "output": (
        lambda m: entry(m, "identity").update(inputs=["surface_temperature"]),
        "'identity' reads 'surface_temperature', which is no input",
    ),
    "size": (
        lambda m: entry(m, "scaled_latent_heat_flux").update(size=N_LEVEL),
        "'scaled_latent_heat_flux': expected size 1, got 12",
    ),
    "profile": (
        lambda m: entry(m, "sum").update(inputs=[CLOUDS[0], "surface_air_pressure"]),
        "'sum' reads 'surface_air_pressure', which is no input of size 12",
    ),
    "parameters": (
        lambda m: entry(m, "one_minus_exp").update(parameters=[1.0, 2.0]),
        "'one_minus_exp': expected 12 parameters, got 2",
    ),
    "no parameters": (
        lambda m: entry(m, "one_minus_exp").pop("parameters"),
        "a key is missing or has the wrong type",
    ),
    "monotonic": (
        lambda m: field(m, "air_pressure").pop("monotonic"),
        "expected 'air_pressure' to be monotonic",
    ),
    "pressure": (
        lambda m: field(m, "air_pressure").update(valid_range=[0.0, 1.2e5]),
        "expected 'air_pressure' of a positive valid_range, got 0",
    ),
    "temperature": (
        lambda m: field(m, "air_temperature").update(valid_range=[-10.0, 400.0]),
        "expected 'air_temperature' of a positive valid_range, got -10",
    ),
    "constant": (
        lambda m: m["constants"].update(latent_heat_vaporization=0.0),
        "constant 'latent_heat_vaporization': expected a positive number, got 0",
    ),
}


def bad_features(path: Path, folder: Path) -> dict[str, tuple[bytes, str]]:
    """A model file with all transforms, spoiled in each way, and what is said of it."""
    contents, files = read_model_file(path), {}
    for case, (change, text) in BAD.items():
        manifest = copy.deepcopy(dict(contents.manifest))
        change(manifest)
        write_model_file(folder / "bad.emg", ModelFile(manifest, contents.plan, contents.weights, contents.selftest))
        files[f"feature {case}"] = ((folder / "bad.emg").read_bytes(), text)
    return files
