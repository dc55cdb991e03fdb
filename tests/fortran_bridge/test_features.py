"""What the network sees is the same in torch and in the runtime: every transform, and every ClimSim set with an MLP."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import emagram
from emagram.emulators.climsim import CLOUD_INPUTS, InputKind, climsim_spec
from emagram.emulators.data.climsim_sets import VARIABLE_SETS, variable_set
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec, Fields
from emagram.emulators.export import export
from emagram.emulators.features import TRANSFORMS
from emagram.emulators.networks import ClimsimMlpConfig
from emagram.emulators.statistics import stream_normalisation
from emagram.fortran_bridge import _bridge
from emagram.fortran_bridge.errors import BridgeError
from emagram.physics.variables import VARIABLES
from featured_model import FEATURES, N_LEVEL, PLANET, RATES, bad_features, featured_columns, write_featured
from toy_columns import toy_samples

# the same operations in the same order in float64, but for log and expm1, of which each library has its own
TOLERANCE = 1e-12
OK, REJECTED, INVALID_INPUT, LEVEL_ORDER = 0, 16, 17, 18


def rows(fields: Fields, names: tuple[str, ...]) -> np.ndarray:
    return torch.cat([fields[name].reshape(fields[name].shape[0], -1) for name in names], dim=1).numpy()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ColumnEmulator]:
    path = tmp_path_factory.mktemp("features") / "everything.emg"
    return path, write_featured(path)


def test_every_transform_is_here() -> None:
    assert set(FEATURES) == set(TRANSFORMS)
    assert all(feature.transform == name for name, several in FEATURES.items() for feature in several)


@pytest.mark.parametrize("stride", [1, 8])
def test_the_runtime_sees_what_torch_sees(everything: tuple[Path, ColumnEmulator], stride: int) -> None:
    path, emulator = everything
    fields = featured_columns(500, seed=7)
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


def test_bad_features_are_refused_at_open(everything: tuple[Path, ColumnEmulator], tmp_path: Path) -> None:
    for content, text in bad_features(everything[0], tmp_path).values():
        (tmp_path / "bad.emg").write_bytes(content)
        with pytest.raises(BridgeError, match=text):
            emagram.open(tmp_path / "bad.emg")


def test_columns_that_cannot_be_are_rejected(everything: tuple[Path, ColumnEmulator]) -> None:
    """Each for its own reason: pressure upside down, none at all, and air colder than any."""
    fields = featured_columns(64)
    fields["air_pressure"][1] = fields["air_pressure"][1].flip(0)
    fields["air_pressure"][2, 3] = 0.0
    fields["air_temperature"][3, 5] = 0.0
    model = emagram.open(everything[0], policy="mask")
    held = model.columns(64)
    for name, value in (fields | {"surface_temperature": torch.zeros(64, dtype=torch.float64)}).items():
        held.bind(name, value.numpy(), "column level" if value.ndim > 1 else "column")
    model.step(held, 64, 1.0)
    assert held.status(4).tolist() == [OK, LEVEL_ORDER, INVALID_INPUT, INVALID_INPUT]
