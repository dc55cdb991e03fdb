"""How well an emulator does on columns of a ClimSim-like data set, in one pass over the data."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from ..physics.errors import EmagramError
from ..physics.variables import VARIABLES
from .climsim_accumulators import BudgetScores, Cells, OutputScores
from .climsim_budgets import BUDGETS, ColumnState
from .climsim_metrics import KAGGLE_TARGETS, METRICS, ZEROED_LEVEL, energy_factor, kaggle_score
from .climsim_scores import Evaluation
from .data.climsim_grid import ColumnGrid
from .emulator import ColumnEmulator, EmulatorSpec, Fields
from .training.samples import Samples

SURFACE_PRESSURE = "surface_air_pressure"

Stream = Iterable[tuple[Hashable, Samples]]
"""Times, each with the columns of the whole grid in the grid's order."""


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How to evaluate.

    Args:
        network: name of the kind of emulator, such as `unet`; tables put its seeds together.
        seed: of the training.
        data: name of the data set, such as `present` or `+4 K`.
        n_band: latitude bands of equal area, n ≥ 1.
        n_step_mean: steps that are averaged before the zonal R², such as the steps of a day; the last steps count
            only if they fill a mean.
    Raises:
        EmagramError: if a number is not positive.
    """

    network: str = "network"
    seed: int | None = None
    data: str = "data"
    n_band: int = 12
    n_step_mean: int = 1

    def __post_init__(self) -> None:
        for name in ("n_band", "n_step_mean"):
            if getattr(self, name) < 1:
                raise EmagramError(f"evaluation '{name}': expected a positive number, got {getattr(self, name)}")


@torch.no_grad()
def evaluate_columns(
    emulator: ColumnEmulator, samples: Stream, grid: ColumnGrid, options: EvaluationOptions | None = None
) -> Evaluation:
    """Scores, profiles, zonal-mean R² and budgets of an emulator.

    Args:
        emulator: with `surface_air_pressure` among its inputs.
        samples: streamed once; not kept.
        grid: of the columns, for area, latitude and Δp.
        options: names, and latitude bands.
    Raises:
        EmagramError: if columns and grid do not fit, a time comes twice or none, or a prediction is not finite.
    """
    emulator.eval()
    return _evaluate(emulator.spec, lambda inputs: [emulator(inputs)], samples, grid, options)


@torch.no_grad()
def evaluate_ensemble(
    emulators: Sequence[ColumnEmulator], samples: Stream, grid: ColumnGrid, options: EvaluationOptions | None = None
) -> Evaluation:
    """The same of the mean of several emulators, with the CRPS of them as an ensemble.

    Raises:
        EmagramError: likewise, or if there are fewer than two emulators or their outputs differ.
    """
    if len(emulators) < 2:
        raise EmagramError(f"ensemble: expected at least 2 emulators, got {len(emulators)}")
    for emulator in emulators:
        emulator.eval()
        if emulator.spec.outputs != emulators[0].spec.outputs:
            raise EmagramError(f"ensemble: expected outputs {emulators[0].spec.outputs}, got {emulator.spec.outputs}")
    return _evaluate(emulators[0].spec, lambda inputs: [e(inputs) for e in emulators], samples, grid, options)


def _evaluate(
    spec: EmulatorSpec,
    predict: Callable[[Fields], list[Fields]],
    samples: Stream,
    grid: ColumnGrid,
    options: EvaluationOptions | None,
) -> Evaluation:
    running = _Running(spec, grid, options or EvaluationOptions())
    for time, columns in samples:
        try:
            running.check(time, columns)
            running.add(columns, predict(columns.inputs))
        except EmagramError as error:
            raise EmagramError(f"time {time}: {error}") from error
    return running.result()


class _Running:
    """Everything that is accumulated while the times stream by."""

    def __init__(self, spec: EmulatorSpec, grid: ColumnGrid, options: EvaluationOptions) -> None:
        if SURFACE_PRESSURE not in spec.inputs:
            raise EmagramError(f"evaluation: expected the input '{SURFACE_PRESSURE}', got {spec.inputs}")
        if spec.n_level != grid.coordinate.n_level:
            raise EmagramError(f"grid: expected {spec.n_level} levels, got {grid.coordinate.n_level}")
        if spec.time_step is None:
            raise EmagramError("evaluation: expected an emulator with a time step, got None")
        self.spec, self.coordinate, self.options = spec, grid.coordinate, options
        self.time_step = spec.time_step
        self.cells = Cells(grid, options.n_band)
        self.outputs = {
            name: OutputScores(name, spec.size(name), self.cells, options.n_step_mean) for name in spec.outputs
        }
        self.budgets = {name: BudgetScores(self.cells.area) for name in ("prediction", "truth")}
        self.pressure = torch.zeros(self.cells.n_cell, spec.n_level, dtype=torch.float64)
        self.times: set[Hashable] = set()

    def check(self, time: Hashable, columns: Samples) -> None:
        """Refuse a time that comes twice, columns of another grid, and fields that are missing."""
        if time in self.times:
            raise EmagramError("expected every time once, got this one twice")
        self.times.add(time)
        if columns.n_column != self.cells.n_cell:
            raise EmagramError(f"expected the {self.cells.n_cell} columns of the grid, got {columns.n_column}")
        for name in (*self.spec.inputs, *self.spec.outputs):
            if name not in (columns.inputs if name in self.spec.inputs else columns.targets):
                raise EmagramError(f"expected the field '{name}', got none")

    def add(self, columns: Samples, members: list[Fields]) -> None:
        """Add the columns of one time and what every member predicts for them."""
        interface_pressure = self.coordinate.interface_pressure(columns.inputs[SURFACE_PRESSURE].double())
        thickness = interface_pressure.diff(dim=1)
        self.pressure += 0.5 * (interface_pressure[:, 1:] + interface_pressure[:, :-1])
        mean = {}
        for name, output in self.outputs.items():
            ensemble = torch.stack([member[name].double() for member in members])
            mean[name] = ensemble.mean(dim=0)
            factor = energy_factor(name, columns.inputs, thickness=thickness, constants=self.spec.constants)
            output.add(ensemble, columns.targets[name], factor)
        for kind, outputs in (("prediction", mean), ("truth", columns.targets)):
            fields = {**columns.inputs, **outputs}
            state = ColumnState(fields, interface_pressure, self.spec.constants, self.time_step)
            self.budgets[kind].add(state)

    def result(self) -> Evaluation:
        """The evaluation of all that was added."""
        if not self.times:
            raise EmagramError("evaluation: expected at least one time, got none")
        kaggle = None
        if self.spec.n_level > ZEROED_LEVEL and all(name in self.outputs for name, _ in KAGGLE_TARGETS):
            kaggle = kaggle_score({name: output.native for name, output in self.outputs.items()})
        return Evaluation(
            network=self.options.network,
            seed=self.options.seed,
            data=self.options.data,
            n_step=len(self.times),
            n_cell=self.cells.n_cell,
            rows=tuple(output.row() for output in self.outputs.values()),
            budgets={b.name: {kind: part.summary(b) for kind, part in self.budgets.items()} for b in BUDGETS},
            kaggle=kaggle,
            profiles=self._profiles(),
        )

    def _profiles(self) -> xr.Dataset:
        """Metrics by level, and the R² of zonal means by band and level, of the outputs on levels."""
        layered = [name for name in self.outputs if VARIABLES[name].dimension == "layer"]
        shape = (len(layered), self.options.n_band, self.spec.n_level)
        metrics = {
            metric: torch.stack([self.outputs[name].energy.profile(metric) for name in layered]).numpy()
            for metric in (METRICS if layered else ())
        }
        zonal = torch.stack([self.outputs[name].zonal.r2 for name in layered]).numpy() if layered else np.zeros(shape)
        pressure = self.pressure / len(self.times)
        unit = {"r2": "1"}
        return xr.Dataset(
            {
                **{m: (("variable", "level"), v, {"units": unit.get(m, "W m-2")}) for m, v in metrics.items()},
                "zonal_mean_r2": (("variable", "band", "level"), zonal, {"units": "1"}),
                "zonal_mean_air_pressure": (
                    ("band", "level"),
                    (self.cells.band_weight @ pressure).numpy(),
                    {"units": "Pa"},
                ),
            },
            coords={
                "variable": np.array(layered, dtype=object),
                "air_pressure": ("level", (pressure * self.cells.area_weight).mean(dim=0).numpy(), {"units": "Pa"}),
                "sine_of_latitude_bound": ("bound", np.linspace(-1.0, 1.0, self.options.n_band + 1), {"units": "1"}),
            },
        )
