import copy

import pytest
import torch

from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.features import FEATURE_SETS, Feature
from emagram.emulators.networks.dense import ACTIVATIONS, DenseConfig
from emagram.emulators.networks.layout import Layout
from emagram.emulators.normalisation import fit_normalisation
from emagram.emulators.radiation import radiation_spec
from emagram.physics.errors import EmagramError
from radiation import N_LEVEL, is_dark, radiation_samples, random_emulator

CLOSURE = 1e-10  # W m-2: round-off of sums of some hundred W m-2 in float64, as the architecture promises
FLOAT32 = 1e-5  # of an output's scale: a few hundred roundings of float32


@pytest.mark.parametrize("features", FEATURE_SETS)
def test_every_column_closes_to_round_off(features: str) -> None:
    spec, samples = radiation_samples(features=features)
    emulator = random_emulator(spec, samples)
    raw = emulator.decode(emulator.network(emulator.encode(samples.inputs)), samples.inputs)
    before = emulator.residuals(raw, samples.inputs)
    after = emulator.residuals(emulator(samples.inputs), samples.inputs)
    assert set(after) == {"longwave", "shortwave"}
    for name, residual in after.items():
        assert residual.abs().max() < CLOSURE
        assert before[name].abs().max() > 1.0  # the constraint had something to do


def test_shortwave_is_exactly_zero_at_night() -> None:
    spec, samples = radiation_samples()
    outputs = random_emulator(spec, samples)(samples.inputs)
    dark = is_dark(samples)
    assert 0 < dark.sum() < dark.numel()
    for name, value in outputs.items():
        if "shortwave" in name:
            assert not value[dark].any()
            assert value[~dark].all()


def test_outputs_are_float64_and_shaped_like_the_targets() -> None:
    spec, samples = radiation_samples()
    outputs = random_emulator(spec, samples)(samples.inputs)
    assert tuple(outputs) == spec.outputs
    for name, value in outputs.items():
        assert value.dtype == torch.float64
        assert value.shape == samples.targets[name].shape


def test_float32_and_float64_networks_agree_to_single_precision() -> None:
    spec, samples = radiation_samples()
    single = random_emulator(spec, samples)
    double = copy.deepcopy(single).double()
    exact, rounded = double(samples.inputs), single(samples.inputs)
    for name, where in spec.output_slices():
        scale = single.output_scale[where].max() * (1361.0 if name in spec.scale_by else 1.0)
        error = (exact[name] - rounded[name]).abs().max()
        assert 0.0 < error < FLOAT32 * scale


def test_columns_do_not_depend_on_their_neighbours() -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples).double()
    whole, part = emulator(samples.inputs), emulator(samples.select(torch.tensor([5, 2])).inputs)
    for name in spec.outputs:
        torch.testing.assert_close(whole[name][[5, 2]], part[name], rtol=1e-12, atol=1e-12)


def test_gradients_agree_with_finite_differences() -> None:
    spec, samples = radiation_samples(n_site=2)
    emulator = random_emulator(spec, samples, activation="tanh").double()
    inputs = {name: value.clone() for name, value in samples.inputs.items()}
    temperature = inputs["air_temperature"].requires_grad_()
    heating = spec.outputs[0]
    (gradient,) = torch.autograd.grad(emulator(inputs)[heating][0, 3], temperature)
    step = torch.zeros_like(temperature)
    step[0, 7] = 1e-4
    with torch.no_grad():
        up = emulator(inputs | {"air_temperature": temperature + step})[heating][0, 3]
        down = emulator(inputs | {"air_temperature": temperature - step})[heating][0, 3]
    torch.testing.assert_close(gradient[0, 7], (up - down) / 2e-4, rtol=1e-5, atol=0.0)


def test_a_checkpoint_of_the_state_restores_every_bit() -> None:
    spec, samples = radiation_samples()
    emulator, other = random_emulator(spec, samples), random_emulator(spec, samples, seed=1)
    other.load_state_dict(emulator.state_dict())
    for name, value in emulator(samples.inputs).items():
        assert torch.equal(other(samples.inputs)[name], value)


def test_normalised_training_columns_have_zero_mean_and_pooled_unit_variance() -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples).double()
    encoded = emulator.encode(samples.inputs)
    assert encoded.mean(dim=0).abs().max() < 1e-12
    temperature = encoded[:, N_LEVEL : 2 * N_LEVEL]
    torch.testing.assert_close(temperature.var(dim=0, correction=0).mean().item(), 1.0, rtol=1e-12, atol=0.0)
    assert emulator.n_training_column == samples.n_column


def test_a_feature_that_did_not_vary_has_scale_one() -> None:
    spec, samples = radiation_samples()
    constant = {"mole_fraction_of_methane_in_air": torch.full((samples.n_column,), 1.8e-6, dtype=torch.float64)}
    emulator = random_emulator(spec, samples)
    fit_normalisation(emulator, samples.inputs | constant, samples.targets)
    position = 4 * N_LEVEL + 4  # after four profiles, surface temperature, albedo, zenith angle and carbon dioxide
    assert emulator.feature_scale[position] == 1.0
    assert emulator.feature_scale[position - 1] != 1.0
    assert emulator.encode(samples.inputs | constant).isfinite().all()


def test_scaled_outputs_are_normalised_over_lit_columns_alone() -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    reflected = "toa_outgoing_shortwave_flux"
    lit = ~is_dark(samples)
    albedo = samples.targets[reflected][lit] / samples.inputs["toa_incoming_shortwave_flux"][lit]
    where = dict(spec.output_slices())[reflected]
    torch.testing.assert_close(emulator.output_mean[where].item(), albedo.mean().item(), rtol=1e-12, atol=0.0)


def test_the_training_range_is_that_of_the_inputs() -> None:
    spec, samples = radiation_samples()
    emulator = random_emulator(spec, samples)
    for name, where in spec.input_slices():
        value = samples.inputs[name].reshape(samples.n_column, -1)
        assert torch.equal(emulator.input_minimum[where], value.min(dim=0).values)
        assert torch.equal(emulator.input_maximum[where], value.max(dim=0).values)


def test_normalisation_needs_columns() -> None:
    spec, samples = radiation_samples()
    emulator, empty = random_emulator(spec, samples), samples.select(torch.tensor([], dtype=torch.int64))
    with pytest.raises(EmagramError, match="expected training columns"):
        fit_normalisation(emulator, empty.inputs, empty.targets)


def test_a_spec_names_what_is_missing() -> None:
    with pytest.raises(EmagramError, match="'air_colour'"):
        radiation_spec(N_LEVEL, (Feature("log", ("air_colour",)),))
    with pytest.raises(EmagramError, match="variables table"):
        EmulatorSpec(N_LEVEL, ("air_colour",), (), ())
    with pytest.raises(EmagramError, match="one size"):
        radiation_spec(
            N_LEVEL,
            (Feature("relative_humidity", ("air_pressure_at_interface", "air_temperature", "air_temperature")),),
        )
    with pytest.raises(EmagramError, match="'n_level'"):
        radiation_spec(0, ())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_networks_have_the_sizes_asked_for(activation: str) -> None:
    network = DenseConfig((5, 7), activation).build(Layout((2, 1), (2,), 2))
    assert network(torch.zeros(4, 3)).shape == (4, 2)
    assert [tuple(p.shape) for p in network.parameters() if p.ndim == 2] == [(5, 3), (7, 5), (2, 7)]


def test_a_dense_network_refuses_what_it_cannot_be() -> None:
    with pytest.raises(EmagramError, match="'hidden'"):
        DenseConfig((0,))
    with pytest.raises(EmagramError, match="'activation'"):
        DenseConfig((8,), "softsign")


def test_an_emulator_is_a_module_that_is_its_own_reference() -> None:
    spec, samples = radiation_samples(n_site=2)
    emulator = random_emulator(spec, samples)
    assert isinstance(emulator, ColumnEmulator)
    assert all(value.dtype == torch.float64 for value in emulator.buffers() if value.is_floating_point())
    assert {value.dtype for value in emulator.network.parameters()} == {torch.float32}
