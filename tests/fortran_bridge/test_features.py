"""What the network sees is the same in torch and in the runtime: every transform, and every ClimSim set with an MLP."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import emagram
from emagram.emulators.climsim import CLOUD_INPUTS, InputKind, climsim_spec
from emagram.emulators.data.climsim_sets import VARIABLE_SETS, variable_set
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec, Fields
from emagram.emulators.export import export
from emagram.emulators.features import TRANSFORMS, Feature
from emagram.emulators.model_file import ModelFile, read_model_file, write_model_file
from emagram.emulators.networks import ClimsimMlpConfig
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.statistics import stream_normalisation
from emagram.fortran_bridge import _bridge
from emagram.fortran_bridge.errors import BridgeError
from emagram.physics.constants import Constants
from emagram.physics.variables import VARIABLES
from toy_columns import toy_samples

# the same operations in the same order in float64, but for log and expm1, of which each library has its own
TOLERANCE = 1e-12
OK, REJECTED, INVALID_INPUT, LEVEL_ORDER = 0, 16, 17, 18
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


def columns(n_column: int = 64, seed: int = 0) -> Fields:
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


def rows(fields: Fields, names: tuple[str, ...]) -> np.ndarray:
    return torch.cat([fields[name].reshape(fields[name].shape[0], -1) for name in names], dim=1).numpy()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ColumnEmulator]:
    """A model file with all transforms and constants that are not the usual ones."""
    fields = columns()
    features = tuple(feature for several in FEATURES.values() for feature in several)
    spec = EmulatorSpec(N_LEVEL, tuple(fields), ("surface_temperature",), features, constants=PLANET)
    torch.manual_seed(0)
    emulator = ColumnEmulator(spec, DenseConfig((4,)).build(spec.layout))
    emulator.feature_scale.copy_(emulator.features(fields).abs().amax(dim=0).clamp(min=1e-3))
    path = tmp_path_factory.mktemp("features") / "everything.emg"
    export(emulator, path, samples=fields, name="everything")
    return path, emulator


def test_every_transform_is_here() -> None:
    assert set(FEATURES) == set(TRANSFORMS)
    assert all(feature.transform == name for name, several in FEATURES.items() for feature in several)


@pytest.mark.parametrize("stride", [1, 8])
def test_the_runtime_sees_what_torch_sees(everything: tuple[Path, ColumnEmulator], stride: int) -> None:
    path, emulator = everything
    fields = columns(500, seed=7)
    got = _bridge.features(path.read_bytes(), rows(fields, emulator.spec.inputs), stride)
    want = emulator.features(fields).numpy()
    start = 0
    for feature in emulator.spec.features:
        at = slice(start, start + emulator.spec.feature_size(feature))
        start = at.stop
        # buoyancy is a difference of energies that are much larger
        scale = PLANET.gravity if feature.transform == "plume_buoyancy" else 0.0
        np.testing.assert_allclose(got[:, at], want[:, at], TOLERANCE, TOLERANCE * scale, err_msg=feature.transform)
        assert np.isfinite(want[:, at]).all()
        assert feature.transform == "zero" or want[:, at].std() > 0.0
    assert start == got.shape[1]


EXPONENTIAL = ("v2_rh_mc", "v4", "v5", "v6", "v7")


def climsim_emulator(set_name: str, kind: InputKind) -> ColumnEmulator:
    """ClimSim's MLP of a set, untrained, with statistics of toy columns."""
    clouds = [name for name in variable_set(set_name).inputs if name in CLOUD_INPUTS and set_name in EXPONENTIAL]
    spec = climsim_spec(set_name, n_level=N_LEVEL, cloud_exponents=dict.fromkeys(clouds, RATES), inputs=kind)
    torch.manual_seed(1)
    emulator = ColumnEmulator(spec, ClimsimMlpConfig(hidden=(16,)).build(spec.layout))
    stream_normalisation([toy_samples(spec, step) for step in (3, 4, 5)], spec).apply(emulator)
    return emulator.eval()


@pytest.mark.parametrize("kind", ["raw", "climate_invariant"])
@pytest.mark.parametrize("set_name", VARIABLE_SETS)
def test_every_climsim_set_runs_natively(set_name: str, kind: InputKind, tmp_path: Path) -> None:
    emulator = climsim_emulator(set_name, kind)
    spec, fields = emulator.spec, toy_samples(emulator.spec, 6).inputs
    path = tmp_path / "model.emg"
    export(emulator, path, samples=toy_samples(spec, 4).inputs, name=set_name)
    seen = _bridge.features(path.read_bytes(), rows(fields, spec.inputs))
    want = emulator.features(fields).numpy()
    assert (np.abs(seen - want) <= TOLERANCE * np.abs(want).max(axis=0)).all()
    outputs = step(path, fields, spec)
    single, double = emulator(fields), copy.deepcopy(emulator).double()(fields)
    for name, at in spec.output_slices():
        exact = double[name].detach().numpy()
        torch_error = np.abs(single[name].detach().numpy() - exact).max()
        rounding = 16 * np.finfo(np.float32).eps * float(emulator.output_scale[at].max())
        assert np.abs(outputs[name] - exact).max() <= 2.0 * torch_error + rounding, name
        assert exact.std() > 0.0, name


def step(path: Path, fields: Fields, spec: EmulatorSpec) -> dict[str, np.ndarray]:
    """Outputs of the native runtime."""
    model, n = emagram.open(path), len(fields[spec.inputs[0]])
    columns = model.columns(n)
    outputs = {f.name: np.full((n, f.size) if f.size > 1 else n, np.nan) for f in model.outputs}
    for name, array in ({name: value.numpy() for name, value in fields.items()} | outputs).items():
        columns.bind(name, array, "column level" if VARIABLES[name].dimension != "column" else "column")
    model.step(columns, n, spec.time_step)
    assert (columns.status(n) < REJECTED).all()
    return outputs


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


@pytest.mark.parametrize("case", BAD)
def test_bad_features_are_refused_at_open(case: str, everything: tuple[Path, ColumnEmulator], tmp_path: Path) -> None:
    change, text = BAD[case]
    contents = read_model_file(everything[0])
    manifest = copy.deepcopy(dict(contents.manifest))
    change(manifest)
    write_model_file(tmp_path / "bad.emg", ModelFile(manifest, contents.plan, contents.weights, contents.selftest))
    with pytest.raises(BridgeError, match=text):
        emagram.open(tmp_path / "bad.emg")


def test_columns_that_cannot_be_are_rejected(everything: tuple[Path, ColumnEmulator]) -> None:
    """Each for its own reason: pressure upside down, none at all, and air colder than any."""
    fields = columns(64)
    fields["air_pressure"][1] = fields["air_pressure"][1].flip(0)
    fields["air_pressure"][2, 3] = 0.0
    fields["air_temperature"][3, 5] = 0.0
    model = emagram.open(everything[0], policy="mask")
    held = model.columns(64)
    for name, value in (fields | {"surface_temperature": torch.zeros(64, dtype=torch.float64)}).items():
        held.bind(name, value.numpy(), "column level" if value.ndim > 1 else "column")
    model.step(held, 64, 1.0)
    assert held.status(4).tolist() == [OK, LEVEL_ORDER, INVALID_INPUT, INVALID_INPUT]
