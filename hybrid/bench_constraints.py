"""`emagram bench constraints`: what it costs to close columns, beside the network that predicts them.

Cases are `part/b64/forward`: `sequence`, all constraints that an emulator of ClimSim can have together, in order, and
each alone. One call is 64 columns. Of the engine `native`, the library on one thread, it is what its own timer of the
constraints counts, the residuals at all four stages and the search for values that are not finite among it; of
`reference`, torch in float64, the constraints without residuals. Columns are the toy's; what is to be closed is what an
untrained network of the set v2 and the net fluxes at the top makes of them: negative water, sunlight at night, no
budget closed. `native-mlp` is the network of ClimSim's baseline (set v1, 1.7 million parameters) in the same library,
which `share_of_mlp` divides by. `error` is the largest difference from the reference in a column, as a share of the
largest value of the output there; of the network, as a share of the largest value of the output anywhere.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..emulators.climsim import climsim_spec
from ..emulators.climsim_budgets import OLR, TOA_SHORTWAVE
from ..emulators.climsim_constraints import CLIMSIM_CONSTRAINTS, WHOLE_SEQUENCE, constrained
from ..emulators.data.climsim_derived import Kind, derive
from ..emulators.data.climsim_grid import built_in_grid
from ..emulators.data.climsim_toy import toy_climsim
from ..emulators.emulator import ColumnEmulator, EmulatorSpec
from ..emulators.export import export
from ..emulators.networks import ClimsimMlpConfig
from ..emulators.statistics import stream_normalisation
from ..emulators.training.samples import Samples
from ..fortran_bridge import model as bridge
from ..physics.errors import EmagramError
from .benchmark import N_REPEAT, BenchOptions, Row, Skipped

Array = NDArray[np.float64]
Fields = Mapping[str, Tensor]

BATCH = 64
N_BATCH = 6
N_LEVEL = 60
N_PASS = {"quick": 5, "default": 50, "full": 500}
"""Over all batches in a repeat."""
TOLERANCE = 1e-12
"""Of constraints: orders of sums differ."""
NETWORK_TOLERANCE = 1e-5
"""Of the network, float32 with sums of up to 768 terms."""


def bench_constraints(options: BenchOptions) -> list[Row | Skipped]:
    """All cases and engines.

    Raises:
        EmagramError: on another device than the CPU.
    """
    if options.device != "cpu":
        raise EmagramError(f"bench constraints: expected device 'cpu', got '{options.device}'")
    with tempfile.TemporaryDirectory(prefix="emagram-bench-") as folder:
        return measure(Path(folder), n_level=N_LEVEL, n_pass=N_PASS[options.size])


def measure(folder: Path, *, n_level: int, n_pass: int) -> list[Row | Skipped]:
    """All cases, with models written to a folder."""
    network = _network_row(Case(folder / "mlp.emg", climsim_spec("v1", n_level=n_level)), n_pass)
    whole = climsim_spec("v2", n_level=n_level)
    whole = replace(whole, outputs=(*whole.outputs, TOA_SHORTWAVE, OLR))
    rows: list[Row | Skipped] = []
    for part in ("sequence", *CLIMSIM_CONSTRAINTS):
        names = WHOLE_SEQUENCE if part == "sequence" else (part,)
        case = Case(folder / f"{part}.emg", constrained(whole, names))
        rows += _constraint_rows(f"{part}/b{BATCH}/forward", case, n_pass=n_pass, network=network)
    return [rows[0], network, *rows[1:]]


class Case:
    """An untrained emulator in a model file, and toy columns for it."""

    def __init__(self, path: Path, spec: EmulatorSpec) -> None:
        self.samples = _toy_samples(spec)
        torch.manual_seed(0)
        self.emulator = ColumnEmulator(spec, ClimsimMlpConfig().build(spec.layout)).eval()
        stream_normalisation([self.samples], spec).apply(self.emulator)
        self.path = path
        export(self.emulator, path, samples=self.samples.inputs, name=path.stem)

    @torch.no_grad()
    def close(self, outputs: Fields, columns: slice = slice(None)) -> Fields:
        """The constraints by torch."""
        inputs = {name: value[columns] for name, value in self.samples.inputs.items()}
        return self.emulator.constrain({name: value[columns] for name, value in outputs.items()}, inputs)


class Stepper:
    """The library with a model and the columns of a case."""

    def __init__(self, case: Case, *, defer_constraints: bool = False) -> None:
        self._model = bridge.open(case.path, defer_constraints=defer_constraints)
        self._columns = self._model.columns(BATCH)
        self._inputs = {name: value.numpy() for name, value in case.samples.inputs.items()}
        shapes = {
            f.name: (N_BATCH * BATCH, *((f.size,) if f.dimension == "layer" else ())) for f in self._model.outputs
        }
        self.outputs: dict[str, Array] = {name: np.empty(shape) for name, shape in shapes.items()}

    def step(self, timer: str) -> list[float]:
        """Seconds of each batch by a timer of the library; outputs are NaN before."""
        seconds = []
        for array in self.outputs.values():
            array.fill(np.nan)
        for start in range(0, N_BATCH * BATCH, BATCH):
            for name, array in (self._inputs | self.outputs).items():
                axes = "column level" if array.ndim > 1 else "column"
                self._columns.bind(name, array[start : start + BATCH], axes)
            before = self._columns.timers()[timer]
            self._model.step(self._columns, BATCH, self._model.time_step)
            seconds.append(self._columns.timers()[timer] - before)
        return seconds

    def repeat(self, timer: str, n_pass: int) -> list[float]:
        """Medians over batches and passes, one a repeat."""
        return [statistics.median(s for _ in range(n_pass) for s in self.step(timer)) for _ in range(N_REPEAT)]


def _constraint_rows(case_name: str, case: Case, *, n_pass: int, network: Row) -> list[Row]:
    raw, closed = Stepper(case, defer_constraints=True), Stepper(case)
    raw.step("network_s")
    closed.step("constraints_s")
    predicted = {name: torch.from_numpy(array) for name, array in raw.outputs.items()}
    expected = case.close(predicted)
    error = max(_column_error(closed.outputs[n], value.numpy(), raw.outputs[n]) for n, value in expected.items())
    seconds = closed.repeat("constraints_s", n_pass)
    share = {"share_of_mlp": statistics.median(seconds) / network.median}
    native = Row(case_name, "native", "fp64", error, TOLERANCE, seconds, more=_per_column(seconds) | share)
    seconds = _time_reference(case, predicted, max(n_pass // 10, 1))
    reference = Row(case_name, "reference", "fp64", 0.0, TOLERANCE, seconds, more=_per_column(seconds))
    return [native, reference]


def _network_row(case: Case, n_pass: int) -> Row:
    """Of the network alone, against itself in float64."""
    stepper = Stepper(case)
    stepper.step("network_s")
    double = case.emulator.double()
    with torch.no_grad():
        expected = {name: value.numpy() for name, value in double(case.samples.inputs).items()}
    error = max(
        float(np.abs(stepper.outputs[name] - value).max() / np.abs(value).max()) for name, value in expected.items()
    )
    seconds = stepper.repeat("network_s", n_pass)
    n_flop = 2.0 * BATCH * sum(weight.numel() for weight in double.network.parameters() if weight.ndim == 2)
    name = f"sequence/b{BATCH}/forward"
    return Row(name, "native-mlp", "fp32", error, NETWORK_TOLERANCE, seconds, n_flop=n_flop, more=_per_column(seconds))


def _time_reference(case: Case, predicted: Fields, n_pass: int) -> list[float]:
    """Medians over batches and passes, one a repeat."""

    def once(start: int) -> float:
        begin = time.perf_counter()
        case.close(predicted, slice(start, start + BATCH))
        return time.perf_counter() - begin

    starts = [start for _ in range(n_pass) for start in range(0, N_BATCH * BATCH, BATCH)]
    return [statistics.median(map(once, starts)) for _ in range(N_REPEAT)]


def _column_error(got: Array, expected: Array, before: Array) -> float:
    """Largest difference in a column over the largest value there before or after; NaN where something is missing."""
    n = len(got)
    difference = np.abs(got - expected).reshape(n, -1).max(axis=1)
    largest = np.maximum(*(np.abs(array).reshape(n, -1).max(axis=1) for array in (expected, before)))
    return float((difference / np.where(largest > 0.0, largest, 1.0)).max())


def _per_column(seconds: Sequence[float]) -> dict[str, float]:
    return {"us_per_column": 1e6 * statistics.median(seconds) / BATCH}


def _toy_samples(spec: EmulatorSpec) -> Samples:
    """Inputs and outputs of a spec at the third step of a series, float64."""
    grid = built_in_grid(N_BATCH * BATCH, spec.n_level)
    steps = tuple(toy_climsim(grid, 3, seed=0))
    kinds: tuple[Kind, Kind] = ("mli", "mlo")
    raw = {(offset, kind): steps[2 + offset][kind] for offset in (0, -1, -2) for kind in kinds}
    names = (*spec.inputs, *spec.outputs)
    values = derive(names, raw, time_step=spec.time_step or math.nan, grid=grid)
    fields = {name: torch.from_numpy(value) for name, value in values.items()}
    return Samples({name: fields[name] for name in spec.inputs}, {name: fields[name] for name in spec.outputs})
