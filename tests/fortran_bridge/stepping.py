"""Running the tiny model through the bridge: what several test files do."""

import numpy as np

from emagram.fortran_bridge.model import Columns, Model
from tiny_model import TIME_STEP, TinyModel

TINY = TinyModel()
FLOAT64_RESIDUAL = 1e-10  # W m-2, ARCHITECTURE: real64 outputs
FLOAT32_RESIDUAL = 1e-3  # W m-2, rounding of real32 outputs alone makes about 4e-5


def outputs_for(model: Model, n: int, dtype: type = np.float64) -> dict[str, np.ndarray]:
    """Output arrays full of NaN, so that a value that is never written shows."""
    return {f.name: np.full((n, f.size) if f.dimension == "layer" else n, np.nan, dtype) for f in model.outputs}


def bind(columns: Columns, arrays: dict[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        columns.bind(name, array, "column level" if array.ndim > 1 else "column")


def run(model: Model, inputs: dict[str, np.ndarray], dtype: type = np.float64) -> dict[str, np.ndarray]:
    n = len(inputs["surface_temperature"])
    columns, outputs = model.columns(n), outputs_for(model, n, dtype)
    bind(columns, inputs | outputs)
    model.step(columns, n, TIME_STEP)
    return outputs


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(a[name].tobytes() == b[name].tobytes() for name in a)
