"""Small ClimSim-like columns on a grid, and emulators of known error, for the tests of evaluation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from emagram.emulators.climsim_budgets import BANDS
from emagram.emulators.climsim_metrics import KAGGLE_TARGETS
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec, Fields
from emagram.emulators.features import Feature
from emagram.emulators.training.samples import Samples
from emagram.physics.variables import VARIABLES
from emagram.physics.vertical import HybridCoordinate

N_LEVEL = 14
N_CELL = 18
TIME_STEP = 1200.0
OUTPUTS = tuple(name for name, _ in KAGGLE_TARGETS)
INPUTS = (
    "surface_air_pressure",
    "air_temperature",
    "specific_humidity",
    "mass_fraction_of_cloud_liquid_water_in_air",
    "mass_fraction_of_cloud_ice_in_air",
    "eastward_wind",
    "northward_wind",
    "toa_incoming_shortwave_flux",
    "surface_upwelling_longwave_flux_in_air",
    *BANDS.values(),
)
# typical sizes of the outputs and inputs in the units of the variables table
SCALE = {"K s-1": 3e-5, "kg kg-1 s-1": 2e-8, "m s-2": 1e-4, "W m-2": 100.0, "m s-1": 3e-8}


@dataclass(frozen=True)
class SmallGrid:
    coordinate: HybridCoordinate
    latitude: np.ndarray
    longitude: np.ndarray
    area: np.ndarray


def small_grid(n_cell: int = N_CELL, n_level: int = N_LEVEL) -> SmallGrid:
    """Cells of unequal area all over the sphere; the mean of their areas is not 1."""
    rng = np.random.default_rng(0)
    sigma = np.linspace(0.0, 1.0, n_level + 1)
    hybi = sigma**2
    hyai = 0.002 + 0.998 * sigma - hybi
    hyai[-1] = 0.0
    latitude = np.rad2deg(np.arcsin((np.arange(n_cell) + 0.5) / n_cell * 2.0 - 1.0))
    area = rng.uniform(0.4, 1.6, n_cell)
    return SmallGrid(
        HybridCoordinate(tuple(hyai), tuple(hybi)), latitude, rng.uniform(0, 360, n_cell), area / area.sum() * 12.566
    )


def small_spec(n_level: int = N_LEVEL, outputs: tuple[str, ...] = OUTPUTS) -> EmulatorSpec:
    features = (Feature("identity", ("surface_air_pressure",)),)
    return EmulatorSpec(n_level, INPUTS, outputs, features, time_step=TIME_STEP)


def small_inputs(
    generator: np.random.Generator, n_column: int = N_CELL, n_level: int = N_LEVEL
) -> dict[str, np.ndarray]:
    profile = (n_column, n_level)
    sigma = np.linspace(0.02, 1.0, n_level)
    inputs = {
        "surface_air_pressure": generator.uniform(8.0e4, 1.03e5, n_column),
        "air_temperature": 215.0 + 80.0 * sigma + generator.normal(0.0, 4.0, profile),
        "specific_humidity": 0.015 * sigma**3 * generator.uniform(0.3, 1.0, profile),
        "mass_fraction_of_cloud_liquid_water_in_air": generator.uniform(0.0, 1e-4, profile),
        "mass_fraction_of_cloud_ice_in_air": generator.uniform(0.0, 1e-4, profile),
        "eastward_wind": generator.normal(5.0, 15.0, profile),
        "northward_wind": generator.normal(0.0, 8.0, profile),
        "toa_incoming_shortwave_flux": np.maximum(generator.uniform(-600.0, 1300.0, n_column), 0.0),
        "surface_upwelling_longwave_flux_in_air": generator.uniform(250.0, 500.0, n_column),
    }
    return inputs | {albedo: generator.uniform(0.05, 0.7, n_column) for albedo in BANDS.values()}


def small_targets(
    generator: np.random.Generator, n_column: int = N_CELL, n_level: int = N_LEVEL, outputs: tuple[str, ...] = OUTPUTS
) -> dict[str, np.ndarray]:
    targets = {}
    for name in outputs:
        variable = VARIABLES[name]
        shape = (n_column, n_level) if variable.dimension == "layer" else (n_column,)
        values = generator.normal(0.3, 1.0, shape) * SCALE[variable.unit]
        targets[name] = np.abs(values) if variable.dimension == "column" else values
    return targets


def small_stream(
    n_step: int = 6, seed: int = 0, *, n_level: int = N_LEVEL, n_column: int = N_CELL
) -> list[tuple[int, Samples]]:
    """Times with their columns."""
    generator = np.random.default_rng(seed)
    return [
        (
            step,
            Samples(
                tensors(small_inputs(generator, n_column, n_level)),
                tensors(small_targets(generator, n_column, n_level)),
            ),
        )
        for step in range(n_step)
    ]


def tensors(arrays: dict[str, np.ndarray]) -> Fields:
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in arrays.items()}


class KnownEmulator(ColumnEmulator):
    """Gives the truth of the sample that it is asked about, changed by a function of name and truth."""

    def __init__(self, spec: EmulatorSpec, stream: list[tuple[int, Samples]], change: Callable[[str, Tensor], Tensor]):
        super().__init__(spec, nn.Linear(1, 1))
        self.change = change
        self.truth = {id(samples.inputs): samples.targets for _, samples in stream}

    def forward(self, fields: Fields) -> Fields:
        return {name: self.change(name, self.truth[id(fields)][name]) for name in self.spec.outputs}


def noisy(seed: int, size: float = 0.5) -> Callable[[str, Tensor], Tensor]:
    """An independent error of every value, and a bias of a fifth of its size."""
    generator = torch.Generator().manual_seed(seed)

    def change(name: str, truth: Tensor) -> Tensor:
        noise = torch.randn(truth.shape, generator=generator, dtype=torch.float64) + 0.2
        return truth + size * SCALE[VARIABLES[name].unit] * noise

    return change


def replayed(stream: list[tuple[int, Samples]]) -> Iterator[tuple[int, Samples]]:
    """A stream that can be read once only."""
    yield from stream
