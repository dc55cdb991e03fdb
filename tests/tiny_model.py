"""A small model file with known mathematics, written without training: for tests of whatever reads or runs one."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emagram.emulators.model_file import ModelFile, write_model_file
from emagram.physics.constants import Constants

N_LEVEL = 8
TIME_STEP = 1200.0
Array = NDArray[np.float64]
CONSTANTS = Constants()

# name, unit, dimension, size, valid range
INPUTS = (
    ("air_pressure_at_interface", "Pa", "interface", N_LEVEL + 1, (0.0, 1.2e5)),
    ("air_temperature", "K", "layer", N_LEVEL, (100.0, 400.0)),
    ("specific_humidity", "kg kg-1", "layer", N_LEVEL, (0.0, 0.1)),
    ("surface_temperature", "K", "column", 1, (150.0, 400.0)),
    ("toa_incoming_shortwave_flux", "W m-2", "column", 1, (0.0, 1500.0)),
)
OUTPUTS = (
    ("heating", "K s-1", "layer", N_LEVEL, None),
    ("toa_outgoing_flux", "W m-2", "column", 1, None),
    ("surface_downwelling_shortwave_flux", "W m-2", "column", 1, "toa_incoming_shortwave_flux"),
)
FLUXES = (("toa_outgoing_flux", -1), ("surface_downwelling_shortwave_flux", -1), ("toa_incoming_shortwave_flux", 1))


def tiny_columns(n_column: int, seed: int = 0) -> dict[str, Array]:
    """Plausible inputs, each (n_column, size) or (n_column), level 0 at the model top."""
    rng = np.random.default_rng(seed)
    sigma = np.linspace(0.001, 1.0, N_LEVEL + 1)
    surface_pressure = rng.uniform(0.9e5, 1.04e5, (n_column, 1))
    temperature = 210.0 + 80.0 * sigma[1:] + rng.normal(0.0, 3.0, (n_column, N_LEVEL))
    return {
        "air_pressure_at_interface": sigma * surface_pressure,
        "air_temperature": temperature,
        "specific_humidity": 0.012 * sigma[1:] ** 3 * rng.uniform(0.5, 1.5, (n_column, N_LEVEL)),
        "surface_temperature": temperature[:, -1] + rng.normal(1.0, 1.0, n_column),
        "toa_incoming_shortwave_flux": np.maximum(rng.uniform(-400.0, 1300.0, n_column), 0.0),
    }


class TinyModel:
    """Two dense layers with fixed random weights between the normalisations of the format."""

    def __init__(self, *, n_extra: int = 0, hidden: int = 24, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        extra = tuple((f"extra_{i}", "1", "column", 1, (-10.0, 10.0)) for i in range(n_extra))
        self.inputs = INPUTS + extra
        sample = self.extended(tiny_columns(200, seed=seed))
        rows = self._row(sample)
        self.minimum, self.maximum = rows.min(axis=0), rows.max(axis=0)
        self.mean, self.scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
        self.n_output = sum(size for _, _, _, size, _ in OUTPUTS)
        self.weights = {
            "network.0.weight": rng.normal(0.0, 0.2, (hidden, rows.shape[1])).astype(np.float32),
            "network.0.bias": rng.normal(0.0, 0.1, hidden).astype(np.float32),
            "network.1.weight": rng.normal(0.0, 0.2, (self.n_output, hidden)).astype(np.float32),
            "network.1.bias": rng.normal(0.0, 0.1, self.n_output).astype(np.float32),
        }
        self.out_mean = np.concatenate([np.full(N_LEVEL, -1e-5), [240.0], [0.6]])
        self.out_scale = np.concatenate([np.full(N_LEVEL, 2e-5), [30.0], [0.1]])

    def extended(self, columns: dict[str, Array]) -> dict[str, Array]:
        """The columns with the extra inputs that this model has."""
        n = len(columns["surface_temperature"])
        extra = {name: np.linspace(-1.0, 1.0, n) for name, *_ in self.inputs[len(INPUTS) :]}
        return {**columns, **extra}

    def _row(self, columns: dict[str, Array]) -> Array:
        return np.concatenate([columns[name].reshape(-1, size) for name, _, _, size, _ in self.inputs], axis=1)

    def predict(self, columns: dict[str, Array]) -> dict[str, Array]:
        """The outputs in float64 arithmetic, closed."""
        hidden = ((self._row(columns) - self.mean) / self.scale) @ self.weights["network.0.weight"].T.astype(float)
        hidden = hidden + self.weights["network.0.bias"]
        hidden = np.where(hidden < 0.0, np.float64(np.float32(0.15)) * hidden, hidden)
        row = hidden @ self.weights["network.1.weight"].T.astype(float) + self.weights["network.1.bias"]
        return self.closed(row * self.out_scale + self.out_mean, columns)

    def closed(self, row: Array, columns: dict[str, Array]) -> dict[str, Array]:
        """The outputs from de-normalised rows: scaled, and the heating closed."""
        outputs, at = {}, 0
        for name, _, _, size, scale_by in OUTPUTS:
            outputs[name] = row[:, at : at + size] if size > 1 else row[:, at]
            if scale_by is not None:
                outputs[name] = outputs[name] * columns[scale_by]
            at += size
        mass = np.diff(columns["air_pressure_at_interface"], axis=1) * CONSTANTS.heat_capacity_dry_air
        mass /= CONSTANTS.gravity
        change = self.residual(columns, outputs) / mass.sum(axis=1)
        outputs["heating"] = outputs["heating"] - change[:, None]
        return outputs

    @staticmethod
    def residual(columns: dict[str, Array], outputs: dict[str, Array]) -> Array:
        """[W m-2] (n_column) Column integral of the heating less the net flux, in float64."""
        mass = np.diff(columns["air_pressure_at_interface"].astype(float), axis=1)
        heating = (outputs["heating"].astype(float) * mass).sum(axis=1)
        net = sum(sign * {**columns, **outputs}[name].astype(float) for name, sign in FLUXES)
        return CONSTANTS.heat_capacity_dry_air / CONSTANTS.gravity * heating - net

    def write(self, path: Path, *, time_step: float | None = TIME_STEP, manifest: dict | None = None) -> Path:
        """Write the model file; `manifest` overrides entries."""
        columns = self.extended(tiny_columns(5, seed=7))
        outputs = self.predict(columns)
        entries = {
            "name": "tiny",
            "description": "two dense layers with fixed random weights, for tests",
            "created_by": "tests",
            "provenance": {},
            "time_step": time_step,
            "stencil": [1, 1],
            "constants": CONSTANTS.to_manifest(),
            "vertical": {"n_level": N_LEVEL, "order": "top_to_bottom"},
            "inputs": [self._input(*entry) for entry in self.inputs],
            "outputs": [self._output(*entry) for entry in OUTPUTS],
            "features": [{"transform": "identity", "inputs": [n], "size": s} for n, _, _, s, _ in self.inputs],
            "constraints": [
                {
                    "type": "column_energy",
                    "name": "column",
                    "unit": "W m-2",
                    "heating": "heating",
                    "interface_pressure": "air_pressure_at_interface",
                    "fluxes": [{"name": name, "sign": sign} for name, sign in FLUXES],
                }
            ],
            "training": {"columns": 200},
            "selftest": {
                "columns": 5,
                "tolerance": {n: 1e-4 * (1e-5 if u == "K s-1" else 100.0) for n, u, *_ in OUTPUTS},
            },
        }
        selftest = {f"input.{name}": columns[name].reshape(5, -1) for name, *_ in self.inputs}
        selftest |= {f"output.{name}": outputs[name].reshape(5, -1) for name, *_ in OUTPUTS}
        weights = {
            **self.weights,
            "inputs.minimum": self.minimum,
            "inputs.maximum": self.maximum,
            "features.mean": self.mean,
            "features.scale": self.scale,
            "outputs.mean": self.out_mean,
            "outputs.scale": self.out_scale,
        }
        plan = {"plan_version": 1, "input": "features", "output": "outputs", "operations": self._operations()}
        write_model_file(path, ModelFile(entries | (manifest or {}), plan, weights, selftest))
        return path

    @staticmethod
    def _operations() -> list[dict]:
        layers = (
            ("features", "hidden", {"name": "leaky_relu", "slope": 0.15}),
            ("hidden", "outputs", {"name": "identity"}),
        )
        return [
            {
                "op": "dense",
                "input": source,
                "output": result,
                "weight": f"network.{i}.weight",
                "bias": f"network.{i}.bias",
                "activation": activation,
            }
            for i, (source, result, activation) in enumerate(layers)
        ]

    @staticmethod
    def _input(name: str, unit: str, dimension: str, size: int, valid_range: tuple[float, float]) -> dict:
        entry = {"name": name, "unit": unit, "dimension": dimension, "size": size, "valid_range": list(valid_range)}
        return entry | ({"monotonic": "increasing"} if dimension == "interface" else {})

    @staticmethod
    def _output(name: str, unit: str, dimension: str, size: int, scale_by: str | None) -> dict:
        entry = {"name": name, "unit": unit, "dimension": dimension, "size": size, "valid_range": [-1e9, 1e9]}
        return entry | {"scale_by": scale_by}
