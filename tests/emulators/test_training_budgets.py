"""Soft conservation: residuals of budgets as losses beside the fit."""

import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from soft_training import (
    COMBINATIONS,
    TRAINING,
    closable_samples,
    closed_spec,
    open_emulator,
    soft_objective,
    soft_trainer,
)

from commands import ROOT, run
from emagram.emulators.climsim_metrics import energy_factor
from emagram.emulators.training.budget_objective import BudgetObjectiveConfig, StudyObjectiveConfig
from emagram.emulators.training.checkpoint import CHECKPOINT_NAME, load_checkpoint
from emagram.emulators.training.combination import (
    CombinationConfig,
    ConflictFreeConfig,
    DualAscent,
    DualAscentConfig,
    ShareConfig,
)
from emagram.emulators.training.energy_objective import EnergyObjectiveConfig, energy_values
from emagram.emulators.training.gradients import conflict_free
from emagram.emulators.training.objectives import NormalisedObjectiveConfig, OutputWeight
from emagram.emulators.training.optimisation import AdamWConfig
from emagram.emulators.training.samples import Samples
from emagram.hybrid.configuration import build
from emagram.physics.errors import EmagramError
from training_runs import assert_same_state, weights, without_times

BUDGETS = ("column_water", "column_energy")
ROUNDING = 1e-9


@dataclass(frozen=True)
class Study:
    objective: StudyObjectiveConfig


def case() -> tuple:
    """The closed spec, columns, and an open emulator of them with what it returns."""
    spec = closed_spec()
    samples = closable_samples(spec)
    emulator = open_emulator(spec, samples)
    return spec, samples, emulator, {name: value.detach() for name, value in emulator(samples.inputs).items()}


def test_the_losses_are_the_fit_and_the_mean_squares_of_the_residuals() -> None:
    spec, samples, emulator, outputs = case()
    config = BudgetObjectiveConfig(ShareConfig(0.2), EnergyObjectiveConfig(), energy_scale=4.0)
    objective = config.build(emulator, spec.constraints)
    found = objective.losses(outputs, samples.targets, samples.inputs)
    residuals = spec.constraints[0].residuals({**samples.inputs, **outputs})
    water, energy = (residuals[name].numpy() for name in BUDGETS)
    fit = float(EnergyObjectiveConfig().build(emulator)(outputs, samples.targets, samples.inputs))
    expected = [fit, np.mean((2.501e6 * water / 4.0) ** 2), np.mean((energy / 4.0) ** 2)]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    assert expected[1] > 0.0 < expected[2]
    assert objective.names == ("fit", *BUDGETS)
    whole = objective(outputs, samples.targets, samples.inputs)
    assert float(whole) == pytest.approx(0.8 * fit + 0.2 * 0.5 * (expected[1] + expected[2]), rel=1e-12)


def test_the_energy_fit_is_the_mean_square_of_errors_in_watts() -> None:
    spec, samples, emulator, outputs = case()
    found = EnergyObjectiveConfig().build(emulator)(outputs, samples.targets, samples.inputs)
    thickness = np.diff(samples.inputs["air_pressure_at_interface"].numpy(), axis=1)
    errors = {n: (outputs[n] - samples.targets[n]).numpy() for n in spec.outputs}
    heating = 1004.64 / 9.80616 * thickness * errors["tendency_of_air_temperature_due_to_model_physics"]
    values = energy_values(spec, outputs, samples.inputs) - energy_values(spec, samples.targets, samples.inputs)
    np.testing.assert_allclose(values[:, :12].numpy(), heating, rtol=1e-9, atol=1e-12)
    assert float(found) == pytest.approx(float(values.square().mean()), rel=1e-12)
    flux = "toa_outgoing_longwave_flux"
    assert energy_factor(flux, samples.inputs, thickness=torch.ones(1, 1), constants=spec.constants) == 1.0
    weighted = EnergyObjectiveConfig((OutputWeight(flux, 50.0),)).build(emulator)
    squares = values.square().mean(dim=0)
    weight = torch.ones_like(squares)
    weight[list(dict(spec.output_slices()).items())[spec.outputs.index(flux)][1]] = 50.0
    expected = float((squares * weight).sum() / weight.sum())
    assert float(weighted(outputs, samples.targets, samples.inputs)) == pytest.approx(expected, rel=1e-12)


def test_losses_of_batches_add_up() -> None:
    spec, samples, emulator, _ = case()
    emulator.network.double()
    objective = soft_objective(ShareConfig(0.3)).build(emulator, spec.constraints)

    def losses(part: Samples) -> torch.Tensor:
        return objective.losses(emulator(part.inputs), part.targets, part.inputs)

    parts = [samples.select(torch.arange(a, b)) for a, b in ((0, 5), (5, 54))]
    torch.testing.assert_close(losses(samples), (5 * losses(parts[0]) + 49 * losses(parts[1])) / 54, rtol=1e-12, atol=0)


def gradient_of(objective: BudgetObjectiveConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of a first step, and those of its losses alone."""
    spec, samples, emulator, _ = case()
    emulator.network.double()
    built = objective.build(emulator, spec.constraints)
    parameters = list(emulator.network.parameters())
    step = TRAINING.build(emulator, built, train=samples, validation=samples, seed=0, folder=Path()).optimisation
    step.gradient_clip = 1e30
    step.step(samples, n_together=samples.n_column, learning_rate=0.0)
    found = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    losses = built.losses(emulator(samples.inputs), samples.targets, samples.inputs)
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
    return found, torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


@pytest.mark.parametrize(
    ("combination", "expected"),
    [
        (ShareConfig(0.3), lambda rows: 0.7 * rows[0] + 0.15 * (rows[1] + rows[2])),
        (ShareConfig(0.0), lambda rows: rows[0]),
        (DualAscentConfig(initial=2.0), lambda rows: rows[0] + 2.0 * (rows[1] + rows[2])),
        (ConflictFreeConfig(), conflict_free),
    ],
)
def test_the_gradient_of_a_step_is_that_of_its_combination(
    combination: CombinationConfig, expected: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    found, rows = gradient_of(soft_objective(combination))
    assert float(rows.norm(dim=1).min()) > 0.0
    torch.testing.assert_close(found, expected(rows), rtol=1e-9, atol=1e-9 * float(rows.abs().max()))


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_combined_gradient_is_clipped(tmp_path: Path, name: str) -> None:
    norms = []
    for share in (1e30, 0.25):
        trainer = soft_trainer(tmp_path, soft_objective(COMBINATIONS[name]), replace(TRAINING, gradient_clip=share))
        samples = closable_samples(closed_spec())
        _, norm = trainer.optimisation.step(samples, n_together=samples.n_column, learning_rate=0.0)
        left = torch.cat([p.grad.flatten() for p in trainer.optimisation.parameters if p.grad is not None]).norm()
        norms.append((norm, float(left)))
    assert norms[0][0] == pytest.approx(norms[1][0], rel=1e-6)
    assert norms[0] == pytest.approx((norms[0][0], norms[0][0]), rel=1e-5)
    assert norms[0][0] > 0.3
    assert norms[1][1] == pytest.approx(0.25, rel=1e-4)


def test_a_multiplier_rises_while_its_residual_is_too_large_and_falls_while_it_is_small() -> None:
    ascent = DualAscent(DualAscentConfig(rate=0.5, initial=1.0), ("a", "b", "c"))
    trainer = _Recorder()
    for _ in range(2):
        ascent.set_gradient(torch.tensor([7.0, 100.0, 1.5, 0.25], dtype=torch.float64), trainer)  # type: ignore[arg-type]
    # cut at 1; 1.5 − 1; 0.25 − 1, each times ρ and the steps
    assert ascent.multipliers.tolist() == pytest.approx([math.exp(1.0), math.exp(0.5), math.exp(-0.75)])
    ascent.set_gradient(torch.tensor([7.0, 0.0, 0.0, 1.0], dtype=torch.float64), trainer)  # type: ignore[arg-type]
    assert ascent.multipliers.tolist() == pytest.approx([math.exp(0.5), 1.0, math.exp(-0.75)])
    assert trainer.weights[0] == [1.0, 1.0, 1.0, 1.0]
    assert trainer.weights[1] == pytest.approx([1.0, math.exp(0.5), math.exp(0.25), math.exp(-0.375)])
    assert ascent.measures()["multiplier_a"] == pytest.approx(math.exp(0.5))


class _Recorder:
    """Stands for gradients: remembers the weights and returns the losses."""

    def __init__(self) -> None:
        self.weights: list[list[float]] = []

    def set_sum(self, losses: torch.Tensor, weights: torch.Tensor) -> None:
        del losses
        self.weights.append(weights.tolist())

    def together(self, losses: torch.Tensor, n_loss: int) -> torch.Tensor:
        return losses[:n_loss]


def rms_residuals(trainer_log: list[dict[str, float]], scale: float) -> list[float]:
    return [scale * trainer_log[-1][f"train_{name}"] ** 0.5 for name in BUDGETS]


def test_a_penalty_keeps_budgets_that_the_fit_alone_leaves_open(tmp_path: Path) -> None:
    """And dual ascent brings the residuals near the scale, where a fixed share goes where it will."""
    long = replace(TRAINING, epochs=60, optimiser=AdamWConfig(1e-2, 0.0), gradient_clip=100.0, average_decay=None)
    found = {}
    for name, combination in {
        "fit": ShareConfig(0.0),
        "share": ShareConfig(0.5),
        "dual_ascent": DualAscentConfig(rate=0.05, initial=0.1),
        "conflict_free": ConflictFreeConfig(),
    }.items():
        (tmp_path / name).mkdir()
        log = soft_trainer(tmp_path / name, soft_objective(combination, 10.0), long).fit()
        found[name] = rms_residuals(log, 10.0)
    for name in ("share", "dual_ascent", "conflict_free"):
        assert max(found[name]) < 0.5 * max(found["fit"]), found
    assert max(found["dual_ascent"]) < 15.0, found


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_stopped_training_resumes_to_the_same_bits(tmp_path: Path, name: str, precision: str) -> None:
    config = replace(TRAINING, precision=precision)  # type: ignore[arg-type]

    def stop(epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    logs, states = [], []
    for place in ("whole", "stopped"):
        (tmp_path / place).mkdir()
        trainer = soft_trainer(tmp_path / place, soft_objective(COMBINATIONS[name]), config)
        if place == "stopped":
            with pytest.raises(KeyboardInterrupt):
                trainer.fit(stop)
            trainer = soft_trainer(tmp_path / place, soft_objective(COMBINATIONS[name]), config)
        logs.append(without_times(trainer.fit()))
        states.append(weights(trainer.emulator))
    assert logs[0] == logs[1]
    assert_same_state(*states)
    left, right = (load_checkpoint(tmp_path / place / CHECKPOINT_NAME) for place in ("whole", "stopped"))
    assert_same_state(left["combination"], right["combination"])
    assert set(logs[0][0]) > {"train_fit", "train_column_water", "train_column_energy"}


def test_the_log_has_the_parts_of_the_loss(tmp_path: Path) -> None:
    trainer = soft_trainer(tmp_path, soft_objective(ShareConfig(0.3)))
    row = trainer.fit()[0]
    parts = 0.7 * row["train_fit"] + 0.15 * (row["train_column_water"] + row["train_column_energy"])
    assert row["train_loss"] == pytest.approx(parts, rel=1e-12)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    run([*torchrun, ROOT / "tests" / "soft_training.py", folder], env=environment, timeout=180.0)
    return folder


@pytest.mark.parametrize("name", COMBINATIONS)
def test_two_processes_train_like_one_with_twice_the_columns(two_processes: Path, tmp_path: Path, name: str) -> None:
    config = replace(TRAINING, batch_size=40)
    one = soft_trainer(tmp_path, soft_objective(COMBINATIONS[name]), config, double=True, n_column=41)
    log = one.fit()
    two, other = (torch.load(two_processes / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert_same_state(two["weights"], other["weights"])
    for key, value in weights(one.emulator).items():
        torch.testing.assert_close(two["weights"][key], value, rtol=0.0, atol=1e-8 * float(value.abs().max()))
    for left, right in zip(without_times(log), without_times(two["log"]), strict=True):
        assert right == pytest.approx(left, rel=1e-7)


def test_a_checkpoint_of_other_laws_or_weights_is_refused(tmp_path: Path) -> None:
    soft_trainer(tmp_path, soft_objective(ShareConfig(0.3))).fit()
    with pytest.raises(EmagramError, match="expected objective"):
        soft_trainer(tmp_path, soft_objective(ShareConfig(0.4))).fit()
    with pytest.raises(EmagramError, match="expected objective"):
        soft_trainer(tmp_path, soft_objective(ShareConfig(0.3)), laws=("residual_levels",)).fit()


def test_what_cannot_be_measured_is_refused() -> None:
    spec, _, emulator, _ = case()
    config = soft_objective(ShareConfig(0.3))
    with pytest.raises(EmagramError, match="objective 'budgets': expected constraints that have budgets, got none"):
        config.build(emulator)
    emulator.spec = spec
    with pytest.raises(EmagramError, match="hold in prediction alone, got 'column' in training"):
        config.build(emulator, spec.constraints)
    emulator.spec = replace(spec, inputs=spec.inputs[:-1], constraints=())
    with pytest.raises(EmagramError, match="expected the field 'air_pressure_at_interface' of 'column', got none"):
        config.build(emulator, spec.constraints)
    with pytest.raises(EmagramError, match="expected the input 'air_pressure_at_interface'"):
        EnergyObjectiveConfig().build(emulator)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShareConfig(1.5), "combination 'share': expected 0 to 1, got 1.5"),
        (lambda: DualAscentConfig(rate=0.0), "combination 'rate': expected a positive finite number, got 0.0"),
        (lambda: DualAscentConfig(initial=0.0), "combination 'initial': expected a positive finite number, got 0.0"),
        (lambda: soft_objective(ShareConfig(0.5), 0.0), "objective 'energy_scale': expected a positive finite number"),
        (lambda: soft_objective(ShareConfig(0.5), float("nan")), "objective 'energy_scale'"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(EmagramError, match=message):
        make()


def test_the_configuration_is_read_strictly() -> None:
    table = {"kind": "budgets", "energy_scale": 2, "combination": {"kind": "share", "share": 0.01}}
    assert build(Study, {"objective": table}, "a.toml").objective == BudgetObjectiveConfig(
        ShareConfig(0.01), energy_scale=2.0
    )
    full = table | {"fit": {"kind": "normalised", "penalty": "mse"}, "combination": {"kind": "conflict_free"}}
    assert build(Study, {"objective": full}, "a.toml").objective == BudgetObjectiveConfig(
        ConflictFreeConfig(), NormalisedObjectiveConfig("mse"), 2.0
    )
    with pytest.raises(EmagramError, match="unknown key 'shares'; did you mean 'share'"):
        build(Study, {"objective": table | {"combination": {"kind": "share", "shares": 0.1}}}, "a.toml")
    with pytest.raises(EmagramError, match=r"'kind' one of \['share', 'dual_ascent', 'conflict_free'\]"):
        build(Study, {"objective": table | {"combination": {"kind": "config"}}}, "a.toml")
