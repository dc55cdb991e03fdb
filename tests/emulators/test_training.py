import csv
import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from emagram.emulators.emulator import ColumnEmulator
from emagram.emulators.networks.climsim_mlp import ClimsimMlpConfig
from emagram.emulators.training.averaging import WeightAverage
from emagram.emulators.training.checkpoint import CHECKPOINT_NAME
from emagram.emulators.training.log import JSON_LOG_NAME, LOG_COLUMNS, LOG_NAME
from emagram.emulators.training.objectives import RadiationObjectiveConfig
from emagram.emulators.training.optimisation import AdamWConfig, Optimisation
from emagram.emulators.training.parallel import Parallel
from emagram.emulators.training.samples import Samples
from emagram.emulators.training.trainer import Trainer, TrainingConfig
from emagram.physics.errors import EmagramError
from radiation import radiation_samples, random_emulator
from training_runs import EVERYTHING, SHORT, assert_same_state, make_trainer, weights, without_times


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = make_trainer(tmp_path)
    log = first.fit()
    again = make_trainer(tmp_path)
    epochs: list[int] = []
    assert again.fit(epochs.append) == log
    assert epochs == []
    assert_same_state(dict(first.emulator.state_dict()), dict(again.emulator.state_dict()))


def test_a_tiny_problem_is_overfitted(tmp_path: Path) -> None:
    config = TrainingConfig(epochs=100, batch_size=8, optimiser=AdamWConfig(1e-2, 0.0), checkpoint_interval=100)
    log = make_trainer(tmp_path, config=config).fit()
    assert log[-1]["train_loss"] < 0.1 * log[0]["train_loss"]


@pytest.mark.parametrize("average_decay", [None, 0.9])
def test_the_kept_state_is_the_best_on_validation(tmp_path: Path, average_decay: float | None) -> None:
    config = TrainingConfig(epochs=8, batch_size=8, optimiser=AdamWConfig(0.1), average_decay=average_decay)
    fitted = make_trainer(tmp_path, config=config)
    log = fitted.fit()
    samples = fitted.validation_samples
    assert isinstance(samples, Samples)
    with torch.no_grad():
        loss = fitted.objective(fitted.emulator(samples.inputs), samples.targets, samples.inputs).item()
    assert loss == pytest.approx(min(row["validation_loss"] for row in log), rel=1e-12)
    assert loss < log[-1]["validation_loss"] or loss == pytest.approx(log[-1]["validation_loss"])
    assert fitted.best_loss == min(row["validation_loss"] for row in log)


def test_seeds_differ(tmp_path: Path) -> None:
    logs = []
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        logs.append(make_trainer(tmp_path / str(seed), seed=seed).fit())
    assert without_times(logs[0]) != without_times(logs[1])


def test_every_epoch_has_an_order_of_its_own(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, config=dataclasses.replace(SHORT, epochs=3))
    step, firsts = trainer.optimisation.step, []

    def recorded(batch: Samples, **options: object) -> tuple[torch.Tensor, float]:
        firsts.append(tuple(batch.inputs["surface_temperature"].tolist()))
        return step(batch, **options)  # type: ignore[arg-type]

    trainer.optimisation.step = recorded  # type: ignore[method-assign, assignment]
    trainer.fit()
    assert len(set(firsts)) == len(firsts) == 9
    epochs = [sorted(sum(firsts[n : n + 3], ())) for n in (0, 3, 6)]
    assert epochs[0] == epochs[1] == epochs[2]


def test_training_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    make_trainer(tmp_path).fit()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_log_has_a_row_for_every_epoch_in_both_forms(tmp_path: Path) -> None:
    log = make_trainer(tmp_path).fit()
    with (tmp_path / LOG_NAME).open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == log
    assert [json.loads(line) for line in (tmp_path / JSON_LOG_NAME).read_text().splitlines()] == log
    assert [row["epoch"] for row in log] == list(range(1, 13))
    assert log[-1]["learning_rate"] == 0.0
    assert all(tuple(row) == LOG_COLUMNS for row in log)
    assert all(0.0 < row["seconds"] < 60.0 and row["columns_per_second"] > 1.0 for row in log)


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    with pytest.raises(EmagramError, match="expected seed 4, got 3"):
        make_trainer(tmp_path, seed=4).fit()
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EmagramError, match="expected a complete checkpoint"):
        make_trainer(tmp_path).fit()


def test_a_loss_that_is_not_finite_stops_training(tmp_path: Path) -> None:
    broken = make_trainer(tmp_path)
    assert isinstance(broken.train_samples, Samples)
    broken.train_samples.targets["toa_outgoing_longwave_flux"][0] = torch.nan
    with pytest.raises(EmagramError, match="finite loss in epoch 1"):
        broken.fit()
    assert list(tmp_path.iterdir()) == []
    assert all(bool(value.isfinite().all()) for value in weights(broken.emulator).values())


def test_training_stops_early_where_validation_no_longer_improves(tmp_path: Path) -> None:
    config = dataclasses.replace(SHORT, epochs=60, patience=3, optimiser=AdamWConfig(0.3, 0.0))
    fitted = make_trainer(tmp_path, config=config)
    losses = [row["validation_loss"] for row in fitted.fit()]
    assert fitted.finished
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 4
    for earlier in range(1, len(losses)):  # and it did not have to stop before
        assert earlier - 1 - losses.index(min(losses[:earlier])) < 3
    again = make_trainer(tmp_path, config=config)
    assert [row["validation_loss"] for row in again.fit()] == losses
    assert_same_state(weights(fitted.emulator), weights(again.emulator))


def test_the_average_is_the_weighted_sum_of_the_weights_of_all_steps(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, config=dataclasses.replace(EVERYTHING, epochs=3, average_decay=0.4, patience=None))
    history = [weights(trainer.emulator)]
    step = trainer.optimisation.step

    def recorded(*arguments: object, **options: object) -> tuple[torch.Tensor, float]:
        result = step(*arguments, **options)  # type: ignore[arg-type]
        history.append(weights(trainer.emulator))
        return result

    trainer.optimisation.step = recorded  # type: ignore[method-assign, assignment]
    trainer.fit()
    n = len(history) - 1
    assert n == 9
    decay = [min(0.4, (1 + t) / (10 + t)) for t in range(1, n + 1)]
    assert min(decay) < max(decay) == 0.4  # both sides of the minimum
    for name, found in trainer.average.values.items():  # type: ignore[union-attr]
        expected = torch.zeros_like(found)
        for t, state in enumerate(history):
            weight = (1.0 - decay[t - 1] if t else 1.0) * float(torch.tensor(decay[t:], dtype=torch.float64).prod())
            expected += weight * state[name].double()
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)


def test_the_average_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, config=dataclasses.replace(EVERYTHING, patience=None))
    averages, losses = [], []

    def note(_: int) -> None:
        averages.append({name: value.float() for name, value in trainer.average.values.items()})  # type: ignore[union-attr]
        own = weights(trainer.emulator)
        assert any(not torch.equal(value, averages[-1][name]) for name, value in own.items())
        trainer.emulator.network.load_state_dict(averages[-1])
        samples = trainer.validation_samples
        assert isinstance(samples, Samples)
        with torch.no_grad():
            outputs = trainer.emulator.eval()(samples.inputs)
        losses.append(trainer.objective(outputs, samples.targets, samples.inputs).item())
        trainer.emulator.network.load_state_dict(own)

    log = trainer.fit(note)
    assert losses == pytest.approx([row["validation_loss"] for row in log], rel=1e-12)
    assert_same_state(weights(trainer.emulator), averages[losses.index(min(losses))])


def test_an_average_is_applied_for_a_while_and_undone_to_the_bit() -> None:
    network = torch.nn.Linear(3, 2)
    average = WeightAverage(network, 0.999)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    with torch.no_grad():
        network.weight.add_(1.0)
    average.update()
    own = network.weight.detach().clone()
    with average.applied():
        share = 1.0 - 2.0 / 11.0  # after one step the decay is still (1 + 1) / (10 + 1)
        torch.testing.assert_close(network.weight, before["weight"] + share * (own - before["weight"]))
    assert torch.equal(network.weight, own)


def test_small_steps_reach_the_average() -> None:
    """In float32 a share of 1e-6 of this difference would be rounded away."""
    network = torch.nn.Linear(1, 1)
    average = WeightAverage(network, 1.0 - 1e-6)
    average.n_step = 10**8
    with torch.no_grad():
        network.weight.mul_(1.01)
    before = average.values["weight"].clone()
    for _ in range(100):
        average.update()
    moved = (average.values["weight"] - before) / (network.weight.double() - before)
    assert moved.item() == pytest.approx(1e-4, rel=1e-3)


def test_reduced_precision_is_the_networks_alone_and_not_in_validation(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, config=dataclasses.replace(SHORT, precision="bfloat16", epochs=4))
    seen: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    network = trainer.emulator.network
    network.register_forward_hook(lambda module, _, output: seen[module.training].add(output.dtype))
    log = trainer.fit()
    assert seen == {True: {torch.bfloat16}, False: {torch.float32}}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    (tmp_path / "float32").mkdir()
    exact = make_trainer(tmp_path / "float32", config=dataclasses.replace(SHORT, epochs=4)).fit()
    assert log[-1]["train_loss"] != exact[-1]["train_loss"]
    assert log[-1]["train_loss"] == pytest.approx(exact[-1]["train_loss"], rel=0.02)  # bfloat16 has 8 bits
    samples = trainer.validation_samples
    assert isinstance(samples, Samples)
    residuals = trainer.emulator.residuals(trainer.emulator(samples.inputs), samples.inputs)
    assert all(residual.abs().max() < 1e-10 for residual in residuals.values())


def test_a_precision_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmagramError, match="expected 'float32' or 'bfloat16', got 'float16', which would need scaled"):
        TrainingConfig(precision="float16")  # type: ignore[arg-type]
    with pytest.raises(EmagramError, match="'precision' bfloat16: expected a float32 network"):
        make_trainer(tmp_path, config=dataclasses.replace(SHORT, precision="bfloat16"), double=True)


def optimisation(emulator: ColumnEmulator, **options: object) -> Optimisation:
    settings = {"gradient_clip": 1e9, "precision": "float32", "parallel": Parallel()} | options
    objective = RadiationObjectiveConfig().build(emulator)
    return Optimisation(emulator, objective, AdamWConfig(), **settings)  # type: ignore[arg-type]


def test_a_step_reports_the_loss_and_the_norm_before_clipping() -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    objective = RadiationObjectiveConfig().build(emulator)
    loss = objective(emulator(samples.inputs), samples.targets, samples.inputs)
    gradients = torch.autograd.grad(loss, list(emulator.network.parameters()))
    norm = sum(float(gradient.double().square().sum()) for gradient in gradients) ** 0.5
    clipped = optimisation(emulator, gradient_clip=0.1 * norm)
    for _ in range(2):
        losses, found = clipped.step(samples, n_together=samples.n_column, learning_rate=0.0)
        assert losses.tolist() == pytest.approx([loss.item() * samples.n_column], rel=1e-5)
        assert found == pytest.approx(norm, rel=1e-5)
    remaining = sum(float(p.grad.double().square().sum()) for p in clipped.parameters if p.grad is not None) ** 0.5
    assert remaining == pytest.approx(0.1 * norm, rel=1e-4)


def test_the_learning_rate_of_a_step_is_the_one_given() -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    before = weights(emulator)
    step = optimisation(emulator)
    step.step(samples, n_together=samples.n_column, learning_rate=0.0)
    assert_same_state(before, weights(emulator))
    step.step(samples, n_together=samples.n_column, learning_rate=1e-3)
    change = max(float((value - before[name]).abs().max()) for name, value in weights(emulator).items())
    assert 0.5e-3 < change < 3e-3  # AdamW's early steps are about one learning rate long


def test_every_step_has_the_learning_rate_of_its_share_of_all_steps(tmp_path: Path) -> None:
    """A warm-up over 30 % of the steps, then half a cosine, across epochs and across an interruption."""
    rates: list[tuple[float, ...]] = []

    def trainer() -> Trainer:
        made = make_trainer(tmp_path, config=dataclasses.replace(EVERYTHING, patience=None, epochs=5))
        made.optimisation.optimiser.register_step_pre_hook(
            lambda optimiser, *_: rates.append(tuple(group["lr"] for group in optimiser.param_groups))
        )
        return made

    def stop(epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer().fit(stop)
    trainer().fit()
    n_step = 5 * 3  # 48 columns in batches of 16
    shares = [(step + 1) / n_step for step in range(n_step)]
    expected = [0.2 * (s / 0.3 if s < 0.3 else (1.0 + math.cos(math.pi * (s - 0.3) / 0.7)) / 2.0) for s in shares]
    assert len(rates) == n_step
    for found, want in zip(rates, expected, strict=True):
        assert found == pytest.approx((want, want), rel=1e-12, abs=1e-15)


def test_matrices_alone_may_decay() -> None:
    spec, samples = radiation_samples()
    network = random_emulator(spec, samples).network
    groups = AdamWConfig(weight_decay=0.5, decayed="matrices").build(network).param_groups
    assert [(group["weight_decay"], {p.ndim for p in group["params"]}) for group in groups] == [(0.5, {2}), (0.0, {1})]
    (group,) = AdamWConfig(weight_decay=0.5).build(network).param_groups
    assert len(group["params"]) == len(list(network.parameters()))


def test_rectified_outputs_need_a_normalisation_without_shift(tmp_path: Path) -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    emulator.network = ClimsimMlpConfig((8,), scalar_output="relu").build(spec.layout)
    objective = RadiationObjectiveConfig().build(emulator)
    options = {"train": samples, "validation": samples, "seed": 0, "folder": tmp_path}
    with pytest.raises(EmagramError, match="scale alone, got means other than 0"):
        SHORT.build(emulator, objective, **options)
    emulator.output_mean.zero_()
    SHORT.build(emulator, objective, **options)


def test_training_needs_columns(tmp_path: Path) -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    none = samples.select(torch.zeros(0, dtype=torch.int64))
    objective = RadiationObjectiveConfig().build(emulator)
    with pytest.raises(EmagramError, match=r"expected columns to train and to validate on, got \(48, 0\)"):
        SHORT.build(emulator, objective, train=samples, validation=none, seed=0, folder=tmp_path)


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0},
        {"batch_size": -1},
        {"gradient_clip": 0.0},
        {"gradient_clip": float("inf")},
        {"gradient_clip": float("nan")},
        {"checkpoint_interval": 0},
        {"validation_batch_size": 0},
        {"average_decay": 1.0},
        {"patience": 0},
    ],
)
def test_settings_out_of_range_are_refused(setting: dict) -> None:
    with pytest.raises(EmagramError, match=f"training '{next(iter(setting))}'"):
        TrainingConfig(**setting)


@pytest.mark.parametrize(
    "setting",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"weight_decay": -1.0},
        {"weight_decay": float("inf")},
        {"betas": (0.9, 1.0)},
        {"betas": (0.9,)},
        {"epsilon": 0.0},
        {"decayed": "some"},
    ],
)
def test_optimiser_settings_out_of_range_are_refused(setting: dict) -> None:
    with pytest.raises(EmagramError, match=f"optimiser '{next(iter(setting))}'"):
        AdamWConfig(**setting)
