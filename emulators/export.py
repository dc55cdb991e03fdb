"""Export: an emulator as a model file that a climate model opens, and back."""

from __future__ import annotations

import copy
import importlib.util
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..physics import constraints
from ..physics.constants import Constants
from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .atomic import write_atomically
from .emulator import ColumnEmulator, EmulatorSpec, Fields
from .features import Feature
from .model_file import ModelFile, from_bytes, read_model_file, to_bytes
from .networks.dense import Dense

_LOG = logging.getLogger(__name__)
_BRIDGE_PACKAGE = __name__.rpartition(".")[0].rpartition(".")[0] + ".fortran_bridge"

PLAN_VERSION = 1
CREATED_BY = "emagram 0.1.0"
MAXIMUM_SELFTEST_COLUMNS = 16
LEVEL_ORDER_PROOF = "air_pressure_at_interface"

TOLERANCE_FACTOR = 4.0
"""Of the float32 error of torch on the self-test columns: another order of sums is as good, but not the same."""
TOLERANCE_FLOOR = 1e-6
"""Of the scale of an output: 16 roundings of float32, for outputs in which torch happened to be lucky."""

_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}
_NORMALISATION = {
    "inputs.minimum": "input_minimum",
    "inputs.maximum": "input_maximum",
    "features.mean": "feature_mean",
    "features.scale": "feature_scale",
    "outputs.mean": "output_mean",
    "outputs.scale": "output_scale",
}


def export(
    emulator: ColumnEmulator,
    path: Path,
    *,
    samples: Mapping[str, Tensor],
    name: str,
    description: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write an emulator as a model file, then open it as every loader does.

    Args:
        emulator: with its normalisation fitted; its weights are stored in float32.
        path: of the model file; an existing one is replaced.
        samples: inputs of some columns, float64; up to 16 of them, by day and by night where there are both, become
            the self-test.
        name: of the model.
        description: one paragraph for people.
        provenance: free: data, licence, configuration, seeds.
    Raises:
        EmagramError: if the network holds an operation that the native runtime lacks, or the written file does not
            open or does not pass its self-test.
        OSError: if the file cannot be written; nothing is then left behind.

    >>> emulator = load_emulator(model_file)
    >>> export(emulator, output / "again.emg", samples=to_fields(columns, emulator.spec.inputs), name="again")
    >>> emagram.open(output / "again.emg").name
    'again'
    """
    data = to_bytes(to_model_file(emulator, samples, name=name, description=description, provenance=provenance or {}))
    _rebuild(from_bytes(data, name=str(path)), str(path))
    if importlib.util.find_spec("._bridge", _BRIDGE_PACKAGE) is None:
        _LOG.warning(
            "model file '%s': the native library is not built here, so only torch replayed the self-test", path
        )
    else:
        _open_natively(data)
    write_atomically(Path(path), data)


def to_model_file(
    emulator: ColumnEmulator,
    samples: Mapping[str, Tensor],
    *,
    name: str,
    description: str,
    provenance: Mapping[str, Any],
) -> ModelFile:
    """The contents of an emulator's model file; arguments and errors as `export`."""
    emulator = copy.deepcopy(emulator).eval()
    emulator.network.float()
    spec = emulator.spec
    plan, weights = lower(emulator.network)
    inputs = {key: samples[key][_selftest_columns(spec, samples)] for key in spec.inputs}
    reference, tolerance = _reference(emulator, inputs)
    manifest = {
        "name": name,
        "description": description,
        "created_by": CREATED_BY,
        "provenance": dict(provenance),
        "time_step": spec.time_step,
        "stencil": [1, 1],
        "constants": spec.constants.to_manifest(),
        "vertical": {"n_level": spec.n_level, "order": "top_to_bottom"},
        "inputs": [_input_entry(spec, key) for key in spec.inputs],
        "outputs": [_field_entry(spec, key) | {"scale_by": spec.scale_by.get(key)} for key in spec.outputs],
        "features": [feature.to_manifest(spec.feature_size(feature)) for feature in spec.features],
        "constraints": [constraint.to_manifest() for constraint in spec.constraints],
        "training": {"columns": int(emulator.n_training_column)},
        "selftest": {"columns": next(iter(inputs.values())).shape[0], "tolerance": tolerance},
    }
    for key, buffer in _NORMALISATION.items():
        weights[key] = getattr(emulator, buffer).numpy()
    selftest = {f"input.{key}": _by_column(value) for key, value in inputs.items()}
    selftest |= {f"output.{key}": _by_column(value) for key, value in reference.items()}
    return ModelFile(manifest, plan, weights, selftest)


def lower(network: nn.Module) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The plan of a dense network, and its float32 weights by the names the plan uses.

    Raises:
        EmagramError: if the network holds an operation that the native runtime lacks.
    """
    if not isinstance(network, nn.Sequential):
        raise EmagramError(f"network: expected a sequence of operations of the plan, got '{type(network).__name__}'")
    operations: list[dict[str, Any]] = []
    weights: dict[str, np.ndarray] = {}
    value = "features"
    for key, layer in network.named_children():
        if isinstance(layer, nn.Linear):
            following = f"h{len(operations) + 1}"
            operation = {"op": "dense", "input": value, "output": following, "weight": f"network.{key}.weight"}
            operation["bias"] = None if layer.bias is None else f"network.{key}.bias"
            operations.append(operation | {"activation": {"name": "identity"}})
            weights |= {f"network.{key}.{n}": p.detach().float().numpy() for n, p in layer.named_parameters()}
            value = following
        else:
            _fuse_activation(operations, layer)
    if not operations:
        raise EmagramError("network: expected at least one dense operation, got none")
    operations[-1]["output"] = "outputs"
    return {"plan_version": PLAN_VERSION, "input": "features", "output": "outputs", "operations": operations}, weights


def is_exportable(network: nn.Module) -> bool:
    """Whether the plan of a model file has the operations of a network."""
    try:
        lower(network)
    except EmagramError:
        return False
    return True


def load_emulator(path: Path) -> ColumnEmulator:
    """The emulator of a model file, to run in torch.

    Raises:
        EmagramError: if the file is damaged, newer, or does not describe an emulator of this version.
    """
    return _rebuild(read_model_file(path), str(path))


def _rebuild(contents: ModelFile, file: str) -> ColumnEmulator:
    """The emulator of a model file, after its self-test."""
    try:
        emulator = _rebuild_emulator(contents)
        _replay_selftest(contents, emulator, file)
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise EmagramError(f"model file '{file}': expected a complete emulator: {error!r}") from error
    return emulator


def _replay_selftest(contents: ModelFile, emulator: ColumnEmulator, file: str) -> None:
    """Compare the outputs of the stored inputs with the stored outputs."""
    spec = emulator.spec
    with torch.no_grad():
        outputs = emulator({key: _from_column(contents.selftest[f"input.{key}"], key) for key in spec.inputs})
    for key, output in outputs.items():
        error = float((output - _from_column(contents.selftest[f"output.{key}"], key)).abs().max())
        tolerance = contents.manifest["selftest"]["tolerance"][key]
        if not error <= tolerance:
            raise EmagramError(f"model file '{file}': expected a self-test of '{key}' within {tolerance}, got {error}")


def _open_natively(data: bytes) -> None:
    """Open a model file as a climate model does."""
    from ..fortran_bridge.errors import BridgeError
    from ..fortran_bridge.model import open as open_model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exported.emg"
        path.write_bytes(data)
        try:
            open_model(path).close()
        except BridgeError as error:
            raise EmagramError(f"exported model: expected the native library to open it: {error}") from error


def _fuse_activation(operations: list[dict[str, Any]], layer: nn.Module) -> None:
    kind = _ACTIVATIONS.get(type(layer))
    tanh_gelu = isinstance(layer, nn.GELU) and layer.approximate != "none"
    if kind is None or tanh_gelu or not operations or operations[-1]["activation"]["name"] != "identity":
        raise EmagramError(f"network: expected an operation of the native runtime, got '{layer}'")
    operations[-1]["activation"] = {"name": kind}
    if isinstance(layer, nn.LeakyReLU):
        operations[-1]["activation"]["slope"] = layer.negative_slope


def _reference(emulator: ColumnEmulator, inputs: Fields) -> tuple[Fields, dict[str, float]]:
    """Outputs of the stored weights in float64 arithmetic, and the tolerance of each output."""
    with torch.no_grad():
        reference = copy.deepcopy(emulator).double()(inputs)
        single = emulator(inputs)
    tolerance = {}
    for name, where in emulator.spec.output_slices():
        scale = float(emulator.output_scale[where].max())
        if name in emulator.spec.scale_by:
            scale *= float(inputs[emulator.spec.scale_by[name]].abs().max())
        error = float((single[name] - reference[name]).abs().max())
        tolerance[name] = max(TOLERANCE_FACTOR * error, TOLERANCE_FLOOR * scale)
    return reference, tolerance


def _selftest_columns(spec: EmulatorSpec, samples: Mapping[str, Tensor]) -> Tensor:
    """Up to 16 columns, spread evenly over the samples; half of them dark where a scale can vanish."""
    n_column = samples[spec.inputs[0]].shape[0]
    dark = torch.zeros(n_column, dtype=torch.bool)
    for scale in set(spec.scale_by.values()):
        dark |= samples[scale] == 0.0
    n_dark = min(int(dark.sum()), MAXIMUM_SELFTEST_COLUMNS // 2)
    chosen = [_spread(torch.nonzero(dark)[:, 0], n_dark)]
    chosen.append(_spread(torch.nonzero(~dark)[:, 0], MAXIMUM_SELFTEST_COLUMNS - n_dark))
    return torch.cat(chosen).sort().values


def _spread(index: Tensor, n: int) -> Tensor:
    """At most `n` of an index, evenly spaced."""
    n = min(n, index.numel())
    return index[torch.arange(n) * index.numel() // max(n, 1)]


def _field_entry(spec: EmulatorSpec, name: str) -> dict[str, Any]:
    variable = VARIABLES[name]
    return {
        "name": name,
        "unit": variable.unit,
        "dimension": variable.dimension,
        "size": spec.size(name),
        "valid_range": list(variable.valid_range),
        "standard_name": variable.standard_name,
        "long_name": variable.long_name,
    }


def _input_entry(spec: EmulatorSpec, name: str) -> dict[str, Any]:
    ordered = {LEVEL_ORDER_PROOF} | {feature.ordered_pressure for feature in spec.features}
    return _field_entry(spec, name) | ({"monotonic": "increasing"} if name in ordered else {})


def _by_column(value: Tensor) -> np.ndarray:
    """(n_column, size), size 1 for a quantity of the column."""
    return np.ascontiguousarray(value.reshape(value.shape[0], -1).numpy())


def _from_column(value: np.ndarray, name: str) -> Tensor:
    tensor = torch.from_numpy(value)
    return tensor[:, 0] if VARIABLES[name].dimension == "column" else tensor


def _rebuild_emulator(contents: ModelFile) -> ColumnEmulator:
    manifest = contents.manifest
    for entry in (*manifest["inputs"], *manifest["outputs"]):
        known = VARIABLES.get(entry["name"])
        if known is None or (known.unit, known.dimension) != (entry["unit"], entry["dimension"]):
            raise EmagramError(f"variable '{entry['name']}' [{entry['unit']}]: expected one of the variables table")
    constants = Constants.from_manifest(manifest["constants"])
    spec = EmulatorSpec(
        manifest["vertical"]["n_level"],
        tuple(entry["name"] for entry in manifest["inputs"]),
        tuple(entry["name"] for entry in manifest["outputs"]),
        tuple(Feature.from_manifest(entry) for entry in manifest["features"]),
        constraints.from_manifest(manifest["constraints"], constants, manifest["time_step"]),
        scale_by={entry["name"]: entry["scale_by"] for entry in manifest["outputs"] if entry["scale_by"]},
        constants=constants,
        time_step=manifest["time_step"],
    )
    emulator = ColumnEmulator(spec, _rebuild_network(contents.plan, contents.weights))
    for key, buffer in _NORMALISATION.items():
        getattr(emulator, buffer).copy_(torch.from_numpy(contents.weights[key]))
    emulator.n_training_column.fill_(manifest["training"]["columns"])
    return emulator.eval()


def _rebuild_network(plan: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> Dense:
    """The dense network of a plan, whose operations must follow one another."""
    layers: list[nn.Module] = []
    value = plan["input"]
    for operation in plan["operations"]:
        if operation["op"] != "dense" or operation["input"] != value:
            raise EmagramError(f"plan: expected dense operations that follow one another, got {operation}")
        weight, bias = weights[operation["weight"]], operation["bias"]
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        layer.load_state_dict(
            {"weight": torch.from_numpy(weight)} | ({"bias": torch.from_numpy(weights[bias])} if bias else {})
        )
        layers += [layer, *_rebuild_activation(operation["activation"])]
        value = operation["output"]
    return Dense(*layers)


def _rebuild_activation(entry: Mapping[str, Any]) -> list[nn.Module]:
    if entry["name"] == "identity":
        return []
    if entry["name"] == "leaky_relu":
        return [nn.LeakyReLU(entry["slope"])]
    kinds = {name: kind for kind, name in _ACTIVATIONS.items()}
    if entry["name"] not in kinds:
        raise EmagramError(f"plan activation: expected one of {sorted(kinds)}, got '{entry['name']}'")
    return [kinds[entry["name"]]()]
