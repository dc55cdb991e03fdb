import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from emagram.emulators.export import export, load_emulator, lower
from emagram.emulators.model_file import ModelFile, read_model_file, write_model_file
from emagram.emulators.networks.dense import ACTIVATIONS, Dense
from emagram.physics.errors import EmagramError
from radiation import is_dark, radiation_samples, random_emulator

TOLERANCE_FLOOR, TOLERANCE_CEILING = 1e-7, 1e-4  # of an output's scale: above rounding, below anything physical


@pytest.fixture
def exported(tmp_path: Path) -> tuple:
    spec, samples = radiation_samples(features="climate_invariant")
    emulator = random_emulator(spec, samples)
    path = tmp_path / "model.emg"
    export(emulator, path, samples=samples.inputs, name="test", provenance={"seed": 0})
    return path, emulator, samples


def test_a_loaded_emulator_returns_the_same_bits(exported: tuple) -> None:
    path, emulator, samples = exported
    loaded = load_emulator(path)
    assert loaded.spec == emulator.spec
    with torch.no_grad():
        expected, found = emulator(samples.inputs), loaded(samples.inputs)
    for name in emulator.spec.outputs:
        assert torch.equal(expected[name], found[name]), name


def test_exporting_twice_gives_the_same_bytes(exported: tuple, tmp_path: Path) -> None:
    path, emulator, samples = exported
    again = tmp_path / "again.emg"
    export(emulator, again, samples=samples.inputs, name="test", provenance={"seed": 0})
    assert again.read_bytes() == path.read_bytes()
    export(load_emulator(path), again, samples=samples.inputs, name="test", provenance={"seed": 0})
    assert again.read_bytes() == path.read_bytes()


def test_the_selftest_holds_day_and_night_in_float64(exported: tuple) -> None:
    path, emulator, samples = exported
    contents = read_model_file(path)
    sunlight = contents.selftest["input.toa_incoming_shortwave_flux"]
    assert sunlight.shape == (16, 1)
    assert 0 < (sunlight == 0.0).sum() < 16
    assert (contents.selftest["output.toa_outgoing_shortwave_flux"][sunlight == 0.0] == 0.0).all()
    assert {value.dtype for value in contents.selftest.values()} == {np.dtype("float64")}
    assert int(is_dark(samples).sum()) >= 8
    double = copy.deepcopy(emulator).double()
    inputs = {name: torch.from_numpy(contents.selftest[f"input.{name}"]) for name in emulator.spec.inputs}
    inputs = {name: value if samples.inputs[name].ndim == 2 else value[:, 0] for name, value in inputs.items()}
    for name, value in double(inputs).items():
        stored = torch.from_numpy(contents.selftest[f"output.{name}"]).reshape(value.shape)
        torch.testing.assert_close(stored, value.detach(), rtol=1e-12, atol=1e-12)


def test_tolerances_are_small_against_the_outputs(exported: tuple) -> None:
    path, emulator, _ = exported
    manifest = read_model_file(path).manifest
    for name, where in emulator.spec.output_slices():
        scale = float(emulator.output_scale[where].max()) * (1361.0 if name in emulator.spec.scale_by else 1.0)
        assert TOLERANCE_FLOOR * scale < manifest["selftest"]["tolerance"][name] < TOLERANCE_CEILING * scale


def test_the_manifest_says_what_the_format_asks_for(exported: tuple) -> None:
    path, emulator, samples = exported
    manifest = read_model_file(path).manifest
    assert manifest["format"] == "emagram-model"
    assert manifest["training"] == {"columns": samples.n_column}
    assert [entry["name"] for entry in manifest["inputs"]] == list(emulator.spec.inputs)
    assert [entry["name"] for entry in manifest["inputs"] if "monotonic" in entry] == ["air_pressure_at_interface"]
    assert sum(entry["scale_by"] is not None for entry in manifest["outputs"]) == 4
    assert [entry["name"] for entry in manifest["constraints"]] == ["longwave", "shortwave"]
    assert sum(entry["size"] for entry in manifest["features"]) == emulator.feature_mean.numel()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_survives_the_file(activation: str, tmp_path: Path) -> None:
    spec, samples = radiation_samples(n_site=4)
    emulator = random_emulator(spec, samples, activation=activation)
    export(emulator, tmp_path / "model.emg", samples=samples.inputs, name=activation)
    operations = read_model_file(tmp_path / "model.emg").plan["operations"]
    assert [operation["activation"]["name"] for operation in operations] == [activation, activation, "identity"]
    assert str(load_emulator(tmp_path / "model.emg").network) == str(emulator.network)


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ((nn.Linear(2, 2), nn.Softplus()), "Softplus"),
        ((nn.Linear(2, 2), nn.GELU("tanh")), "GELU"),
        ((nn.Linear(2, 2), nn.ReLU(), nn.Tanh()), "Tanh"),
        ((nn.ReLU(), nn.Linear(2, 2)), "ReLU"),
        ((nn.Linear(2, 2), nn.LayerNorm(2)), "LayerNorm"),
    ],
)
def test_an_operation_that_the_runtime_lacks_is_named(layers: tuple[nn.Module, ...], named: str) -> None:
    with pytest.raises(EmagramError, match=f"operation of the native runtime, got '{named}"):
        lower(Dense(*layers))


def test_other_networks_are_refused() -> None:
    with pytest.raises(EmagramError, match="'GRU'"):
        lower(nn.GRU(2, 2))
    with pytest.raises(EmagramError, match="at least one dense operation"):
        lower(Dense())


def test_a_failed_export_writes_nothing(tmp_path: Path) -> None:
    spec, samples = radiation_samples(n_site=4)
    emulator = random_emulator(spec, samples)
    emulator.network.append(nn.Softplus())
    with pytest.raises(EmagramError, match="Softplus"):
        export(emulator, tmp_path / "model.emg", samples=samples.inputs, name="test")
    assert list(tmp_path.iterdir()) == []


def changed(path: Path, contents: ModelFile) -> Path:
    write_model_file(path, contents)
    return path


def test_a_file_that_fails_its_selftest_is_refused(exported: tuple, tmp_path: Path) -> None:
    contents = read_model_file(exported[0])
    weights = {name: value.copy() for name, value in contents.weights.items()}
    weights["network.0.bias"][0] += 1.0
    other = changed(tmp_path / "other.emg", ModelFile(contents.manifest, contents.plan, weights, contents.selftest))
    with pytest.raises(EmagramError, match="self-test"):
        load_emulator(other)


@pytest.mark.parametrize("key", ["inputs", "outputs", "features", "constraints", "constants", "vertical", "selftest"])
def test_a_file_without_a_part_is_refused(exported: tuple, key: str, tmp_path: Path) -> None:
    contents = read_model_file(exported[0])
    manifest = {name: value for name, value in contents.manifest.items() if name != key}
    other = changed(tmp_path / "other.emg", ModelFile(manifest, contents.plan, contents.weights, contents.selftest))
    with pytest.raises(EmagramError, match="expected a complete emulator"):
        load_emulator(other)


def test_a_variable_of_another_unit_is_refused(exported: tuple, tmp_path: Path) -> None:
    contents = read_model_file(exported[0])
    manifest = json.loads(json.dumps(contents.manifest))
    manifest["inputs"][2]["unit"] = "degC"
    other = changed(tmp_path / "other.emg", ModelFile(manifest, contents.plan, contents.weights, contents.selftest))
    with pytest.raises(EmagramError, match=r"'air_temperature' \[degC\]"):
        load_emulator(other)
