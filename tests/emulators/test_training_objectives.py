from dataclasses import dataclass

import numpy as np
import pytest
import torch

from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.features import Feature
from emagram.emulators.networks import NETWORKS, DenseConfig
from emagram.emulators.training.objectives import (
    NormalisedObjectiveConfig,
    ObjectiveConfig,
    OutputWeight,
    RadiationObjectiveConfig,
)
from emagram.emulators.training.samples import Samples
from emagram.emulators.training.trainer import TrainingConfig
from emagram.hybrid.configuration import build
from emagram.physics.errors import EmagramError
from radiation import is_dark, radiation_samples, random_emulator


@dataclass(frozen=True)
class Study:
    objective: ObjectiveConfig


SCALES = (2.0, 4.0, 8.0, 0.5)


def column_emulator() -> tuple[ColumnEmulator, Samples]:
    """Heating of three layers and precipitation from temperature, without constraints; 20 columns."""
    spec = EmulatorSpec(
        3,
        ("air_temperature", "surface_air_pressure"),
        ("tendency_of_air_temperature_due_to_model_physics", "lwe_precipitation_rate"),
        (Feature("identity", ("air_temperature",)), Feature("identity", ("surface_air_pressure",))),
    )
    torch.manual_seed(0)
    emulator = ColumnEmulator(spec, DenseConfig((16,)).build(spec.layout).double())
    emulator.output_scale.copy_(torch.tensor(SCALES))
    emulator.output_mean.copy_(torch.tensor([10.0, 0.0, -3.0, 1.0]))
    n = 20
    sizes = {name: (n, 3) if spec.size(name) == 3 else (n,) for name in (*spec.inputs, *spec.outputs)}
    fields = {name: torch.randn(size, dtype=torch.float64) for name, size in sizes.items()}
    return emulator, Samples({k: fields[k] for k in spec.inputs}, {k: fields[k] for k in spec.outputs})


def huber(e: np.ndarray, delta: float) -> np.ndarray:
    return np.where(np.abs(e) < delta, e**2 / 2, delta * np.abs(e) - delta**2 / 2)


PENALTIES = {"mse": np.square, "mae": np.abs, "huber": lambda e: huber(e, 0.7)}


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("weight", [1.0, 2.5, 0.0])
def test_the_normalised_loss_is_that_of_scaled_targets(penalty: str, weight: float) -> None:
    """As ClimSim trains: outputs and targets times their scales (here 1 / σ), then a mean over columns and values."""
    emulator, samples = column_emulator()
    heating, rain = emulator.spec.outputs
    config = NormalisedObjectiveConfig(penalty, 0.7, (OutputWeight(rain, weight),))  # type: ignore[arg-type]
    outputs = emulator(samples.inputs)
    found = config.build(emulator)(outputs, samples.targets, samples.inputs)
    y, t = (
        np.concatenate([side[heating].detach().numpy(), side[rain].detach().numpy()[:, None]], axis=1) / SCALES
        for side in (outputs, samples.targets)
    )
    weights = np.array([1.0, 1.0, 1.0, weight])
    expected = np.average(PENALTIES[penalty](y - t), axis=1, weights=weights).mean()
    assert found.item() == pytest.approx(expected, rel=1e-13)
    assert found.dtype == torch.float64


@pytest.mark.parametrize("penalty", PENALTIES)
def test_losses_of_batches_add_up(penalty: str) -> None:
    emulator, samples = column_emulator()
    objective = NormalisedObjectiveConfig(penalty).build(emulator)  # type: ignore[arg-type]

    def loss(part: Samples) -> float:
        return objective(emulator(part.inputs), part.targets, part.inputs).item()

    parts = [samples.select(torch.arange(a, b)) for a, b in ((0, 3), (3, 20))]
    assert loss(samples) == pytest.approx((3 * loss(parts[0]) + 17 * loss(parts[1])) / 20, rel=1e-13)


def test_an_output_scaled_by_an_input_counts_in_the_networks_units() -> None:
    """Shortwave is the network's value times σ times sunlight: by night there is nothing to learn."""
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    objective = NormalisedObjectiveConfig("mae").build(emulator)
    dark = is_dark(samples)
    name = "toa_outgoing_shortwave_flux"
    where = dict(spec.output_slices())[name]
    n_out = spec.layout.n_out
    off = {key: value.clone() for key, value in samples.targets.items()}
    off[name] = off[name] + 3.0 * emulator.output_scale[where] * samples.inputs["toa_incoming_shortwave_flux"]
    off[name] = off[name].requires_grad_()
    loss = objective(off, samples.targets, samples.inputs)
    assert loss.item() == pytest.approx(3.0 / n_out * float((~dark).double().mean()), rel=1e-12)
    loss.backward()
    gradient = off[name].grad
    assert gradient is not None
    assert bool(gradient.isfinite().all())
    assert not bool(gradient[dark].any())
    assert bool(gradient[~dark].all())


def test_the_scales_are_those_when_it_was_built() -> None:
    emulator, samples = column_emulator()
    objective = NormalisedObjectiveConfig().build(emulator)
    outputs = {name: value.detach() for name, value in emulator(samples.inputs).items()}
    before = objective(outputs, samples.targets, samples.inputs)
    emulator.output_scale.fill_(torch.nan)
    assert torch.equal(objective(outputs, samples.targets, samples.inputs), before)


def test_the_radiation_objective_counts_one_kelvin_a_day_as_one() -> None:
    spec, samples = radiation_samples()
    config = RadiationObjectiveConfig(flux_scale=5.0, absolute_share=0.3)
    objective = config.build(random_emulator(spec, samples))
    off_by_one = {name: value.clone() for name, value in samples.targets.items()}
    assert objective(off_by_one, samples.targets, samples.inputs) == 0.0
    off_by_one[spec.outputs[0]] += 1.0 / 86400.0
    assert objective(off_by_one, samples.targets, samples.inputs).item() == pytest.approx(1.0)
    off_by_one[spec.outputs[2]] += 5.0
    assert objective(off_by_one, samples.targets, samples.inputs).item() == pytest.approx(1.0 + 1.0 / 6.0)


@pytest.mark.parametrize("kind", ["dense", "climsim_mlp", "unet", "gru"])
def test_every_network_learns_with_the_normalised_objective(kind: str, tmp_path) -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    settings = {"dense": {"hidden": (16,)}, "climsim_mlp": {"hidden": (16, 16)}, "unet": {"widths": (8, 8)}}
    torch.manual_seed(0)
    emulator.network = NETWORKS[kind](**settings.get(kind, {"width": 8})).build(spec.layout)
    table = {"epochs": 10, "batch_size": 16, "optimiser": {"learning_rate": 0.01, "weight_decay": 0.0}}
    trainer = build(TrainingConfig, table, "a.toml").build(
        emulator,
        NormalisedObjectiveConfig("huber").build(emulator),
        train=samples,
        validation=samples,
        seed=0,
        folder=tmp_path,
    )
    log = trainer.fit()
    assert trainer.best_loss < 0.7 * log[0]["validation_loss"]


def test_impossible_settings_are_refused() -> None:
    emulator, _ = column_emulator()
    with pytest.raises(EmagramError, match="'penalty'"):
        NormalisedObjectiveConfig("l2")  # type: ignore[arg-type]
    with pytest.raises(EmagramError, match="'huber_delta'"):
        NormalisedObjectiveConfig(huber_delta=0.0)
    with pytest.raises(EmagramError, match="weight of output 'rain'"):
        OutputWeight("rain", -1.0)
    with pytest.raises(EmagramError, match="every output once"):
        NormalisedObjectiveConfig(weights=(OutputWeight("rain", 1.0), OutputWeight("rain", 2.0)))
    with pytest.raises(EmagramError, match="expected outputs of the emulator, got 'rain'"):
        NormalisedObjectiveConfig(weights=(OutputWeight("rain", 1.0),)).build(emulator)
    nothing = tuple(OutputWeight(name, 0.0) for name in emulator.spec.outputs)
    with pytest.raises(EmagramError, match="expected an output that counts"):
        NormalisedObjectiveConfig(weights=nothing).build(emulator)
    with pytest.raises(EmagramError, match="'flux_scale'"):
        RadiationObjectiveConfig(flux_scale=0.0)
    with pytest.raises(EmagramError, match="'absolute_share'"):
        RadiationObjectiveConfig(absolute_share=1.5)
    with pytest.raises(EmagramError, match="expected heating rates and fluxes, got output 'lwe_prec"):
        RadiationObjectiveConfig().build(emulator)


def test_a_configuration_chooses_by_kind() -> None:
    table = {"kind": "normalised", "penalty": "huber", "weights": [{"output": "rain", "weight": 2}]}
    expected = NormalisedObjectiveConfig("huber", weights=(OutputWeight("rain", 2.0),))
    assert build(Study, {"objective": table}, "a.toml").objective == expected
    assert build(Study, {"objective": {"kind": "radiation"}}, "a.toml").objective == RadiationObjectiveConfig()
