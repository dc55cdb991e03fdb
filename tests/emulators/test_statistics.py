"""Streamed statistics against numpy on the whole, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emagram.emulators.climsim import climsim_spec, pack_inputs, pack_outputs
from emagram.emulators.emulator import ColumnEmulator, EmulatorSpec
from emagram.emulators.features import Feature
from emagram.emulators.networks.dense import DenseConfig
from emagram.emulators.statistics import CONSTANT_SCALE, SCALE_FLOOR, Normalisation, stream_normalisation
from emagram.emulators.training.samples import Samples
from emagram.physics.errors import EmagramError
from toy_columns import N_STEP, toy_samples

N_LEVEL = 12
STEPS = range(2, N_STEP)

TINY = EmulatorSpec(
    3,
    ("air_temperature", "toa_incoming_shortwave_flux"),
    ("tendency_of_air_temperature_due_to_model_physics", "surface_net_downward_shortwave_flux"),
    (Feature("identity", ("air_temperature",)), Feature("identity", ("toa_incoming_shortwave_flux",))),
    scale_by={"surface_net_downward_shortwave_flux": "toa_incoming_shortwave_flux"},
)


def tiny(temperature: np.ndarray, sunlight: np.ndarray) -> Samples:
    t, s = torch.from_numpy(temperature), torch.from_numpy(sunlight)
    return Samples(
        {TINY.inputs[0]: t, TINY.inputs[1]: s}, {TINY.outputs[0]: 1e-9 * t.square(), TINY.outputs[1]: 0.5 * s + 1.0}
    )


def joined(batches: list[Samples]) -> Samples:
    return Samples(
        {name: torch.cat([batch.inputs[name] for batch in batches]) for name in batches[0].inputs},
        {name: torch.cat([batch.targets[name] for batch in batches]) for name in batches[0].targets},
    )


def floored(rows: np.ndarray, sizes: list[int], *, constant: float | None = 1.0) -> np.ndarray:
    """The documented scale, from all rows at once; `constant` where nothing varied, or None for the floor there."""
    deviation, scale, start = rows.std(axis=0), np.ones(rows.shape[1]), 0
    for size in sizes:
        at = slice(start, start + size)
        floor = SCALE_FLOOR * np.sqrt((deviation[at] ** 2).mean())
        varied = deviation[at] > 1e-10 * np.abs(rows[:, at]).max(axis=0)
        otherwise = max(floor, CONSTANT_SCALE) if constant is None else constant
        scale[at] = np.where(varied, np.maximum(deviation[at], floor), otherwise)
        start += size
    return scale


@pytest.mark.parametrize("set_name", ["v1", "v5"])
def test_one_pass_over_batches_is_numpy_on_the_whole(set_name: str) -> None:
    spec = climsim_spec(set_name, n_level=N_LEVEL)
    batches = [toy_samples(spec, step) for step in STEPS]
    whole = joined(batches)
    found = stream_normalisation(iter(batches), spec)
    features, outputs = pack_inputs(spec, whole.inputs).numpy(), pack_outputs(spec, whole.targets).numpy()
    sizes = [spec.feature_size(feature) for feature in spec.features]
    output_sizes = [spec.size(name) for name in spec.outputs]
    np.testing.assert_allclose(found.feature_scale, floored(features, sizes), rtol=1e-9)
    np.testing.assert_allclose(found.output_scale, floored(outputs, output_sizes, constant=None), rtol=1e-9)
    assert (np.abs(found.feature_mean.numpy() - features.mean(axis=0)) <= 1e-12 * np.abs(features).max(axis=0)).all()
    assert (np.abs(found.output_mean.numpy() - outputs.mean(axis=0)) <= 1e-12 * np.abs(outputs).max(axis=0)).all()
    inputs = np.concatenate([whole.inputs[name].numpy().reshape(whole.n_column, -1) for name in spec.inputs], axis=1)
    np.testing.assert_array_equal(found.input_minimum, inputs.min(axis=0))
    np.testing.assert_array_equal(found.input_maximum, inputs.max(axis=0))
    assert found.n_column == whole.n_column == 54 * len(STEPS)


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    offset=st.sampled_from([0.0, 250.0, 1e8]),
    dark=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_any_division_into_batches_gives_the_same(sizes: list[int], offset: float, dark: bool, seed: int) -> None:
    """Also far from zero, where a sum of squares would cancel, and where whole batches are dark."""
    random = np.random.default_rng(seed)
    n = sum(sizes)
    temperature = offset + random.standard_normal((n, 3))
    sunlight = 1000.0 * random.random(n)
    if dark:
        sunlight[: sizes[0]] = 0.0
    ends = np.cumsum([0, *sizes])
    batches = [tiny(temperature[a:b], sunlight[a:b]) for a, b in pairwise(ends)]
    found = stream_normalisation(batches, TINY)
    error = np.abs(found.feature_mean[:3].numpy() - temperature.mean(axis=0))
    assert error.max() <= 1e-14 * np.abs(temperature).max()
    np.testing.assert_allclose(found.feature_scale[:3], floored(temperature, [3]), rtol=1e-6)
    lit = sunlight[sunlight != 0.0]
    ratio = (0.5 * lit + 1.0) / lit if lit.size else np.zeros(1)
    assert float(found.output_mean[3]) == pytest.approx(ratio.mean(), rel=1e-12)
    if lit.size > 1:
        assert float(found.output_scale[3]) == pytest.approx(ratio.std(), rel=1e-9)


def test_what_did_not_vary_has_scale_one_as_a_feature_and_what_hardly_did_the_floor() -> None:
    random = np.random.default_rng(0)
    temperature = np.stack([np.full(50, 280.0), 250.0 + 1e-7 * random.random(50), 10.0 * random.random(50)], axis=1)
    found = stream_normalisation([tiny(temperature, np.zeros(50))], TINY)
    spread = temperature.std(axis=0)
    assert float(found.feature_scale[0]) == 1.0
    assert float(found.feature_scale[1]) == pytest.approx(SCALE_FLOOR * np.sqrt((spread**2).mean()), rel=1e-6)
    assert float(found.feature_scale[2]) == pytest.approx(spread[2], rel=1e-12)
    assert (float(found.output_mean[3]), float(found.output_scale[3])) == (0.0, CONSTANT_SCALE)


def test_a_floor_of_one_amplifies_no_level_beyond_the_mean_spread() -> None:
    spec = climsim_spec("v1", n_level=N_LEVEL)
    samples = toy_samples(spec, 2)
    deviation = pack_inputs(spec, samples.inputs).numpy()[:, N_LEVEL : 2 * N_LEVEL].std(axis=0)
    found = stream_normalisation([samples], spec, feature_floor=1.0).feature_scale[N_LEVEL : 2 * N_LEVEL]
    np.testing.assert_allclose(found, np.maximum(deviation, np.sqrt((deviation**2).mean())), rtol=1e-9)
    with pytest.raises(EmagramError, match="expected a 'feature_floor' from 0 to 1, got 2"):
        stream_normalisation([samples], spec, feature_floor=2.0)


def test_an_emulator_takes_its_statistics() -> None:
    spec = climsim_spec("v1", n_level=N_LEVEL)
    emulator = ColumnEmulator(spec, DenseConfig((4,)).build(spec.layout)).double()
    batches = [toy_samples(spec, step) for step in STEPS]
    found = stream_normalisation(batches, spec)
    found.apply(emulator)
    encoded = emulator.encode(joined(batches).inputs).detach()
    torch.testing.assert_close(encoded.mean(dim=0), torch.zeros(28, dtype=torch.float64), rtol=0.0, atol=1e-10)
    varied = found.feature_scale != 1.0
    assert float(encoded.std(dim=0, correction=0)[varied].max()) == pytest.approx(1.0, rel=1e-9)
    assert int(emulator.n_training_column) == 54 * len(STEPS)
    assert torch.equal(emulator.input_maximum, found.input_maximum)


def test_a_fingerprint_is_of_the_data() -> None:
    spec = climsim_spec("v1", n_level=N_LEVEL)
    one, again, other = (stream_normalisation([toy_samples(spec, step)], spec) for step in (2, 2, 3))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    warmer = climsim_spec("v2", n_level=N_LEVEL)
    assert stream_normalisation([toy_samples(warmer, 2)], warmer).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (climsim_spec("v1", n_level=8), "expected those of the emulator's n_level, 8, got 12"),
        (climsim_spec("v2", n_level=N_LEVEL), "emulator's inputs, 'mass_fraction_of_cloud_liquid.* got 'surface_air"),
        (
            replace(
                climsim_spec("v1", n_level=N_LEVEL),
                features=(Feature("log", ("air_temperature",)), *climsim_spec("v1", n_level=N_LEVEL).features[1:]),
            ),
            "emulator's features, .*'log'.* got .*'identity'",
        ),
        (
            replace(climsim_spec("v1", n_level=N_LEVEL), outputs=climsim_spec("v1", n_level=N_LEVEL).outputs[:-1]),
            "emulator's outputs, None, got 'surface_downwelling_diffuse_near",
        ),
    ],
)
def test_statistics_of_another_data_set_are_refused(other: EmulatorSpec, match: str) -> None:
    spec = climsim_spec("v1", n_level=N_LEVEL)
    found = stream_normalisation([toy_samples(spec, 2)], spec, source="the toy")
    with pytest.raises(EmagramError, match=f"statistics of the toy: .*{match}"):
        found.apply(ColumnEmulator(other, DenseConfig((4,)).build(other.layout)))


@pytest.mark.parametrize("set_name", ["v1", "v2", "v5"])
def test_columns_of_the_same_climate_pass_the_range_check(set_name: str) -> None:
    """Statistics of a single step of 54 columns, and every later step, also column by column."""
    spec = climsim_spec(set_name, n_level=N_LEVEL)
    found = stream_normalisation([toy_samples(spec, 2)], spec)
    for step in STEPS[1:]:
        found.check_range(toy_samples(spec, step))
        for column in range(0, 54, 5):
            found.check_range(toy_samples(spec, step).select(torch.tensor([column])))


def test_a_warmer_climate_passes_the_range_check() -> None:
    spec = climsim_spec("v2_rh", n_level=N_LEVEL)
    found = stream_normalisation([toy_samples(spec, step) for step in STEPS], spec)
    samples = toy_samples(spec, 3)
    inputs = samples.inputs | {"air_temperature": samples.inputs["air_temperature"] + 4.0}
    inputs["specific_humidity"] = 1.3 * inputs["specific_humidity"]
    found.check_range(Samples(inputs, samples.targets))


@pytest.mark.parametrize(
    ("name", "factor", "offset"),
    [
        ("air_temperature", 1.0, -273.15),
        ("air_pressure", 1e-2, 0.0),
        ("surface_air_pressure", 1e-2, 0.0),
        ("specific_humidity", 1e3, 0.0),
        ("snow_thickness_over_sea_ice", 0.0, 1e30),
        ("air_temperature", float("nan"), 0.0),
    ],
)
def test_a_batch_in_other_units_is_refused(name: str, factor: float, offset: float) -> None:
    spec = climsim_spec("v2_rh", n_level=N_LEVEL)
    found = stream_normalisation([toy_samples(spec, step) for step in STEPS], spec, source="the toy")
    samples = toy_samples(spec, 4)
    wrong = Samples(samples.inputs | {name: factor * samples.inputs[name] + offset}, samples.targets)
    with pytest.raises(EmagramError, match=f"input '{name}': expected values like those of the toy, .* far outside"):
        found.check_range(wrong)


def test_far_outside_is_a_mean_width_beyond_the_range_for_a_quarter_of_the_values() -> None:
    levels = np.array([200.0, 240.0, 280.0])
    widths = np.array([10.0, 30.0, 50.0])  # 30 on average
    training = np.stack([levels, levels + widths])
    found = stream_normalisation([tiny(training, np.array([100.0, 900.0]))], TINY)

    def batch(beyond: float, n_strange: int, n_column: int = 4) -> Samples:
        temperature = np.tile(levels, (n_column, 1))
        temperature.flat[:n_strange] = (np.tile(levels + widths, (n_column, 1)) + beyond).flat[:n_strange]
        return tiny(temperature, np.full(n_column, 500.0))

    found.check_range(batch(29.9, 12))
    found.check_range(batch(1e6, 2))
    with pytest.raises(EmagramError, match=r"input 'air_temperature': .* got 100 % far outside, such as 240.1"):
        found.check_range(batch(30.1, 12))
    with pytest.raises(EmagramError, match="got 25 % far outside"):
        found.check_range(batch(1e6, 3))


def test_a_batch_upside_down_is_refused() -> None:
    spec = climsim_spec("v2_rh", n_level=N_LEVEL)
    found = stream_normalisation([toy_samples(spec, step) for step in STEPS], spec)
    samples = toy_samples(spec, 4)
    flipped = {n: v.flip(1) if v.ndim == 2 else v for n, v in samples.inputs.items()}
    with pytest.raises(EmagramError, match="the statistics may be of another data set"):
        found.check_range(Samples(flipped, samples.targets))


def test_bad_batches_are_refused() -> None:
    spec = climsim_spec("v1", n_level=N_LEVEL)
    samples = toy_samples(spec, 2)
    temperature = samples.inputs["air_temperature"]
    with pytest.raises(EmagramError, match="statistics of the training columns: expected columns, got none"):
        stream_normalisation([], spec)
    with pytest.raises(EmagramError, match=r"expected 'air_temperature' of shape \(54, 12\), got \(54, 11\)"):
        stream_normalisation([Samples(samples.inputs | {"air_temperature": temperature[:, 1:]}, samples.targets)], spec)
    without = {name: value for name, value in samples.inputs.items() if name != "air_temperature"}
    with pytest.raises(EmagramError, match="expected variable 'air_temperature', got only"):
        stream_normalisation([Samples(without, samples.targets)], spec)
    broken = temperature.clone()
    broken[3, 4] = torch.nan
    with pytest.raises(EmagramError, match="expected finite values of 'air_temperature', got NaN or infinity"):
        stream_normalisation([samples, Samples(samples.inputs | {"air_temperature": broken}, samples.targets)], spec)


def test_a_normalisation_checks_itself() -> None:
    spec = climsim_spec("v1", n_level=N_LEVEL)
    good = stream_normalisation([toy_samples(spec, 2)], spec)
    bad: list[tuple[dict[str, torch.Tensor], str]] = [
        ({"feature_mean": good.feature_mean[1:]}, "'feature_mean': expected 28 values of float64"),
        ({"output_scale": good.output_scale.float()}, "'output_scale': expected 32 values of float64"),
        ({"output_scale": 0.0 * good.output_scale}, "'output_scale': expected positive values, got 0"),
        ({"feature_mean": good.feature_mean / 0.0}, "'feature_mean': expected finite values"),
        ({"input_minimum": good.input_maximum + 1.0}, "'input_minimum': expected at most the maximum"),
    ]
    for change, match in bad:
        with pytest.raises(EmagramError, match=match):
            replace(good, **change)  # type: ignore[arg-type]
    assert isinstance(replace(good), Normalisation)
