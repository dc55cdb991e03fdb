"""Trainings that learn to keep the budgets of toy columns; as a program, two processes of torchrun's environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emagram.emulators.climsim import climsim_spec
from emagram.emulators.climsim_constraints import constrained
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.statistics import stream_normalisation
from emagram.emulators.training.budget_objective import BudgetObjectiveConfig
from emagram.emulators.training.combination import (
    CombinationConfig,
    ConflictFreeConfig,
    DualAscentConfig,
    ShareConfig,
)
from emagram.emulators.training.objectives import NormalisedObjectiveConfig
from emagram.emulators.training.optimisation import AdamWConfig
from emagram.emulators.training.parallel import ALONE, Parallel, from_environment
from emagram.emulators.training.samples import Samples
from emagram.emulators.training.trainer import Trainer, TrainingConfig
from emagram.physics.constraints import Constraint
from emagram.physics.variables import find
from toy_columns import toy_samples

N_LEVEL, STEP = 12, 4
LAWS = ("water_and_energy",)
TOA = tuple(find(name, "climsim").name for name in ("cam_out_FSNT", "cam_out_FLUT"))
COMBINATIONS: dict[str, CombinationConfig] = {
    "share": ShareConfig(0.3),
    "dual_ascent": DualAscentConfig(rate=0.05, initial=0.1),
    "conflict_free": ConflictFreeConfig(),
}
TRAINING = TrainingConfig(
    epochs=4,
    batch_size=20,
    optimiser=AdamWConfig(5e-3, 0.0),
    average_decay=0.9,
    gradient_clip=2.0,
    checkpoint_interval=1,
)


def closed_spec(laws: tuple[str, ...] = LAWS) -> EmulatorSpec:
    """The set v2 with the fluxes at the top, closed by laws."""
    spec = climsim_spec("v2", n_level=N_LEVEL)
    return constrained(replace(spec, outputs=spec.outputs + TOA), laws)


def open_emulator(spec: EmulatorSpec, samples: Samples, seed: int = 0) -> ColumnEmulator:
    """As it is trained: without the constraints that hold in prediction alone."""
    torch.manual_seed(seed)
    emulator = ColumnEmulator(replace(spec, constraints=()), DenseConfig((16,)).build(spec.layout))
    stream_normalisation([samples], emulator.spec).apply(emulator)
    return emulator


def closable_samples(spec: EmulatorSpec) -> Samples:
    """Toy columns; the toy has no fluxes at the top, so these are guessed from sunlight and temperature."""
    bare = replace(spec, outputs=tuple(name for name in spec.outputs if name not in TOA), constraints=())
    samples = toy_samples(bare, STEP)
    sun = samples.inputs["toa_incoming_shortwave_flux"]
    top = {TOA[0]: 0.7 * sun, TOA[1]: 240.0 + samples.inputs["air_temperature"][:, -1] - 285.0}
    targets: Mapping[str, Tensor] = samples.targets | top
    return Samples(samples.inputs, {name: targets[name] for name in spec.outputs})


def soft_objective(combination: CombinationConfig, energy_scale: float = 10.0) -> BudgetObjectiveConfig:
    """A fit in the network's units beside the budgets."""
    return BudgetObjectiveConfig(combination, NormalisedObjectiveConfig("mse"), energy_scale)


def soft_trainer(
    folder: Path,
    objective: BudgetObjectiveConfig,
    config: TrainingConfig = TRAINING,
    *,
    parallel: Parallel = ALONE,
    double: bool = False,
    n_column: int = 54,
) -> Trainer:
    """A trainer of a small network on the toy columns, which are also what it is validated on."""
    spec = closed_spec()
    samples = closable_samples(spec).select(torch.arange(n_column))
    emulator = open_emulator(spec, samples)
    if double:
        emulator.network.double()
    laws: tuple[Constraint, ...] = spec.constraints
    built = objective.build(emulator, laws)
    return config.build(emulator, built, train=samples, validation=samples, seed=3, folder=folder, parallel=parallel)


def together(folder: Path) -> None:
    """Every combination on two processes; every rank has folders of its own."""
    torch.set_num_threads(1)
    with from_environment(timeout=60.0) as parallel:
        for name, combination in COMBINATIONS.items():
            place = folder / name / str(parallel.rank)
            place.mkdir(parents=True)
            options: dict[str, Any] = {"parallel": parallel, "double": True, "n_column": 41}
            trainer = soft_trainer(place, soft_objective(combination), TRAINING, **options)
            trainer.fit()
            weights = {key: value.detach() for key, value in trainer.emulator.network.named_parameters()}
            torch.save({"weights": weights, "log": trainer.log}, folder / f"{name}-{parallel.rank}.pt")


if __name__ == "__main__":
    together(Path(sys.argv[1]))
