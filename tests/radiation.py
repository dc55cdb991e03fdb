"""Small radiation columns and emulators of them, for the tests of emulators."""

import torch

from emagram.emulators.data.generated import generate_columns
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.experiment import build_emulator
from emagram.emulators.features import FEATURE_SETS
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.radiation import radiation_spec
from emagram.emulators.training.samples import Samples

N_LEVEL = 12


def radiation_samples(n_site: int = 24, *, features: str = "raw", seed: int = 0) -> tuple[EmulatorSpec, Samples]:
    """Generated columns of two climates, by day and by night."""
    columns = generate_columns(n_site, N_LEVEL, seed, ("Present day (PD)", "4xCO2"))
    spec = radiation_spec(N_LEVEL, FEATURE_SETS[features])
    return spec, Samples.from_dataset(columns, spec)


def random_emulator(spec: EmulatorSpec, samples: Samples, *, activation: str = "gelu", seed: int = 0) -> ColumnEmulator:
    """Normalised on the samples, with initial weights."""
    return build_emulator(spec, DenseConfig((24, 16), activation), samples, seed=seed).eval()


def is_dark(samples: Samples) -> torch.Tensor:
    """Columns at night, (n_column,)."""
    return samples.inputs["toa_incoming_shortwave_flux"] == 0.0
