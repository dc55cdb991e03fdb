import pytest
import torch

from emagram.emulators.baselines import level_mean, ridge_regression
from emagram.emulators.training.samples import Samples
from radiation import is_dark, radiation_samples

CLOSURE = 1e-10  # W m-2


def linear_samples(n_site: int = 200) -> tuple:
    """Targets that are exactly linear in the features (and in the sunlight, where that scales them), and closed."""
    spec, samples = radiation_samples(n_site)
    mean = level_mean(spec, samples)
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(mean.network[0].weight.shape, generator=generator, dtype=torch.float64)
    mean.network[0].weight.data.copy_(0.01 * weight)
    raw = mean.decode(mean.network(mean.encode(samples.inputs)), samples.inputs)
    return spec, Samples(samples.inputs, {name: value.detach() for name, value in raw.items()})


def test_ridge_regression_is_exact_on_linear_data() -> None:
    spec, samples = linear_samples()
    ridge = ridge_regression(spec, samples, penalty=1e-13)
    outputs = ridge.decode(ridge.network(ridge.encode(samples.inputs)), samples.inputs)
    for name in spec.outputs:
        error = (outputs[name] - samples.targets[name]).abs().max() / samples.targets[name].std()
        assert error < 1e-6, name


def test_a_large_penalty_gives_the_level_mean() -> None:
    spec, samples = radiation_samples()
    ridge, mean = ridge_regression(spec, samples, penalty=1e12), level_mean(spec, samples)
    for name, value in mean(samples.inputs).items():
        torch.testing.assert_close(ridge(samples.inputs)[name], value, rtol=1e-8, atol=1e-8)


def test_the_level_mean_is_the_mean_of_the_training_columns() -> None:
    spec, samples = radiation_samples()
    outputs = level_mean(spec, samples)(samples.inputs)
    olr = "toa_outgoing_longwave_flux"
    torch.testing.assert_close(outputs[olr], samples.targets[olr].mean().expand_as(outputs[olr]))


@pytest.mark.parametrize("features", ["raw", "climate_invariant"])
def test_baselines_close_their_columns_and_are_dark_at_night(features: str) -> None:
    spec, samples = radiation_samples(features=features)
    for baseline in (level_mean(spec, samples), ridge_regression(spec, samples, penalty=0.1)):
        with torch.no_grad():
            outputs = baseline(samples.inputs)
        for residual in baseline.residuals(outputs, samples.inputs).values():
            assert residual.abs().max() < CLOSURE
        assert not outputs["toa_outgoing_shortwave_flux"][is_dark(samples)].any()
