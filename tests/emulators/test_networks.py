import copy
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from emagram.emulators.export import lower
from emagram.emulators.networks import (
    NETWORKS,
    ClimsimMlpConfig,
    DenseConfig,
    GruConfig,
    Layout,
    NetworkConfig,
    UnetConfig,
)
from emagram.emulators.networks.climsim_mlp import ScalarRectifier
from emagram.emulators.networks.layout import LevelNetwork
from emagram.physics.errors import EmagramError
from radiation import radiation_samples

V1 = Layout((60, 60, 1, 1, 1, 1), (60, 60) + (1,) * 8, 60)
V2 = Layout((60,) * 6 + (1,) * 17 + (60,) * 3, (60,) * 6 + (1,) * 8, 60)
SMALL = {
    "dense": DenseConfig((9, 7)),
    "climsim_mlp": ClimsimMlpConfig((9, 7)),
    "climsim_mlp, relu": ClimsimMlpConfig((9, 7), scalar_output="relu"),
    "unet": UnetConfig((8, 16, 24)),
    "unet, attention": UnetConfig((8, 16), blocks=2, attention=True),
    "gru": GruConfig(8),
}
LAYOUTS = [Layout((n_level, 1, n_level, 1), (1, n_level, 1), n_level) for n_level in (2, 3, 7, 12)] + [
    Layout((5, 5), (5,), 5),
    Layout((1, 1), (1,), 5),
    Layout((5,), (1, 1), 5),
]
FLOAT32 = 1e-5  # a few dozen roundings of float32 in values of order 1
FLOAT64 = 1e-12  # another order of sums in float64


def build(config: NetworkConfig, layout: Layout, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return config.build(layout)


def rows(layout: Layout, n_column: int = 6, *, seed: int = 1) -> Tensor:
    return torch.randn(n_column, layout.n_in, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


every_network = pytest.mark.parametrize(("config", "layout"), list(product(SMALL.values(), LAYOUTS)), ids=str)


@every_network
def test_networks_map_rows_to_rows_of_the_layout(config: NetworkConfig, layout: Layout) -> None:
    network = build(config, layout)
    for n_column in (1, 6):
        outputs = network(rows(layout, n_column).float())
        assert outputs.shape == (n_column, layout.n_out)
        assert outputs.dtype == torch.float32
        assert bool(outputs.isfinite().all())


@every_network
def test_float32_agrees_with_float64_in_values_and_gradients(config: NetworkConfig, layout: Layout) -> None:
    single = build(config, layout)
    double = copy.deepcopy(single).double()
    results = []
    for network, dtype in ((single, torch.float32), (double, torch.float64)):
        values = rows(layout).to(dtype).requires_grad_()
        outputs = network(values)
        assert outputs.dtype == dtype
        outputs.square().sum().backward()
        gradients = [values.grad, *(parameter.grad for parameter in network.parameters())]
        results.append([outputs.detach(), *(g for g in gradients if g is not None)])
    assert len(results[0]) == len(results[1])
    for left, right in zip(*results, strict=True):
        assert bool(left.isfinite().all())
        torch.testing.assert_close(left.double(), right, rtol=0.0, atol=FLOAT32 * max(1.0, float(right.abs().max())))


@pytest.mark.parametrize("config", SMALL.values(), ids=str)
def test_gradients_are_those_of_finite_differences(config: NetworkConfig) -> None:
    layout = LAYOUTS[1]
    network = build(config, layout).double()
    assert torch.autograd.gradcheck(network, (rows(layout, 2).requires_grad_(),))


@every_network
def test_columns_are_independent_and_their_order_is_kept(config: NetworkConfig, layout: Layout) -> None:
    network = build(config, layout).double()
    values = rows(layout)
    outputs = network(values)
    order = torch.tensor([4, 0, 5, 2, 3, 1])
    torch.testing.assert_close(network(values[order]), outputs[order], rtol=0.0, atol=FLOAT64)
    torch.testing.assert_close(network(values[2:3]), outputs[2:3], rtol=0.0, atol=FLOAT64)
    values[0] = torch.nan
    torch.testing.assert_close(network(values)[1:], outputs[1:], rtol=0.0, atol=FLOAT64)


@every_network
def test_memory_order_does_not_matter(config: NetworkConfig, layout: Layout) -> None:
    network = build(config, layout).double()
    values = rows(layout, 8)
    expected = network(values)
    torch.testing.assert_close(network(values.T.contiguous().T), expected, rtol=0.0, atol=FLOAT64)
    padded = torch.full((8, 2 * layout.n_in), torch.nan, dtype=torch.float64)
    padded[:, ::2] = values
    torch.testing.assert_close(network(padded[:, ::2]), expected, rtol=0.0, atol=FLOAT64)


@every_network
def test_every_output_sees_every_input_and_every_parameter_learns(config: NetworkConfig, layout: Layout) -> None:
    network = build(config, layout).double()
    values = rows(layout, 20)
    jacobian = torch.zeros(layout.n_out, layout.n_in, dtype=torch.float64)
    for value in range(layout.n_out):
        inputs = values.clone().requires_grad_()
        network(inputs)[:, value].sum().backward()
        assert inputs.grad is not None
        jacobian[value] = inputs.grad.abs().sum(dim=0)
    rectified = isinstance(config, ClimsimMlpConfig) and config.scalar_output == "relu"
    alive = jacobian.sum(dim=1) > 0.0
    assert bool(alive.all()) or rectified  # a ReLU may be off in all of these columns
    assert bool((jacobian[alive] > 0.0).all())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize("config", SMALL.values(), ids=str)
def test_a_seed_decides_the_initial_weights(config: NetworkConfig) -> None:
    layout = LAYOUTS[2]
    first, again, other = (build(config, layout, seed).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_climsims_baseline_has_its_1_74_million_parameters() -> None:
    network = ClimsimMlpConfig().build(V1)
    assert (V1.n_in, V1.n_out) == (124, 128)
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_736_960
    maps = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in maps] == [768, 640, 512, 640, 640, 128]
    assert {layer.negative_slope for layer in network if isinstance(layer, nn.LeakyReLU)} == {0.15}
    assert sum(isinstance(layer, nn.LeakyReLU) for layer in network) == 5


@pytest.mark.parametrize(("config", "most"), [(UnetConfig(), 1.0e6), (GruConfig(), 1.0e6)], ids=str)
def test_defaults_over_levels_are_small(config: NetworkConfig, most: float) -> None:
    for layout in (V1, V2):
        assert 1e5 < sum(parameter.numel() for parameter in config.build(layout).parameters()) < most


def test_the_large_unet_has_the_size_of_its_source() -> None:
    with torch.device("meta"):
        network = UnetConfig((128, 256, 256, 256), blocks=5, attention=True).build(V2)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(13e6, rel=0.02)
    assert network.padding == 4  # 60 → 64


def test_the_scalars_alone_are_rectified() -> None:
    layout = Layout((3, 1), (3, 1, 3, 1), 3)
    plain, rectified = (build(ClimsimMlpConfig((5,), scalar_output=kind), layout) for kind in ("linear", "relu"))
    values = rows(layout, 200).float()
    expected, found = plain(values), rectified(values)
    scalar = torch.tensor([False] * 3 + [True] + [False] * 3 + [True])
    assert torch.equal(found[:, ~scalar], expected[:, ~scalar])
    assert torch.equal(found[:, scalar], expected[:, scalar].clamp(min=0.0))
    assert bool((expected[:, scalar] < 0.0).any())
    assert bool((expected[:, scalar] > 0.0).any())


class Echo(LevelNetwork):
    """Returns what it is given, to see where the values go."""

    def transform(self, profiles: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        return profiles, scalars


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(2, 9), st.randoms())
@settings(max_examples=50, deadline=None)
def test_packing_is_the_inverse_of_unpacking(is_profile: list[bool], n_level: int, random: object) -> None:
    """Groups of one kind keep their order while the kinds change places."""
    inputs = [n_level if profile else 1 for profile in is_profile]
    outputs = inputs.copy()
    random.shuffle(outputs)  # type: ignore[attr-defined]
    layout = Layout(tuple(inputs), tuple(outputs), n_level)
    groups = [torch.full((2, size), float(number)) for number, size in enumerate(inputs)]
    groups = [group + 0.01 * torch.arange(group.shape[1]) for group in groups]
    kinds = {size: iter([group for group in groups if group.shape[1] == size]) for size in {n_level, 1}}
    expected = torch.cat([next(kinds[size]) for size in outputs], dim=1)
    assert torch.equal(Echo(layout)(torch.cat(groups, dim=1)), expected)


def test_a_spec_gives_its_layout() -> None:
    spec, _ = radiation_samples(2)
    assert spec.layout.inputs == tuple(spec.feature_size(feature) for feature in spec.features)
    assert spec.layout.n_out == sum(spec.size(name) for name in spec.outputs)
    assert spec.layout.n_level == 12


@pytest.mark.parametrize("config", [UnetConfig(), GruConfig()], ids=str)
def test_networks_over_levels_refuse_other_groups(config: NetworkConfig) -> None:
    with pytest.raises(EmagramError, match="expected groups of 5 values or 1, got one of 6"):
        config.build(Layout((5, 6), (5,), 5))
    with pytest.raises(EmagramError, match="expected groups of 5 values or 1, got one of 4"):
        config.build(Layout((5,), (4,), 5))
    with pytest.raises(EmagramError, match="at least 2 levels, got 1"):
        config.build(Layout((1,), (1,), 1))


def test_impossible_settings_are_refused() -> None:
    for sizes in ((), (3, 0)):
        with pytest.raises(EmagramError, match="layout 'inputs'"):
            Layout(sizes, (1,), 3)
        with pytest.raises(EmagramError, match="layout 'outputs'"):
            Layout((1,), sizes, 3)
    with pytest.raises(EmagramError, match="layout 'n_level'"):
        Layout((1,), (1,), 0)
    for widths in ((), (12,), (0,), (16, -8)):
        with pytest.raises(EmagramError, match="'widths': expected positive multiples of 8"):
            UnetConfig(widths)
    with pytest.raises(EmagramError, match="'blocks'"):
        UnetConfig(blocks=0)
    with pytest.raises(EmagramError, match="'width'"):
        GruConfig(0)
    with pytest.raises(EmagramError, match="'hidden'"):
        ClimsimMlpConfig((4, 0))
    with pytest.raises(EmagramError, match="'slope'"):
        ClimsimMlpConfig(slope=1.0)
    with pytest.raises(EmagramError, match="'scalar_output'"):
        ClimsimMlpConfig(scalar_output="tanh")  # type: ignore[arg-type]


def test_networks_are_registered_by_their_kind() -> None:
    assert {name: kind().kind for name, kind in NETWORKS.items()} == {name: name for name in NETWORKS}


@pytest.mark.parametrize("config", SMALL.values(), ids=str)
def test_dense_networks_export_and_others_say_that_they_do_not(config: NetworkConfig) -> None:
    network = build(config, LAYOUTS[2])
    if any(isinstance(layer, ScalarRectifier) for layer in network.modules()):
        with pytest.raises(EmagramError, match="expected an operation of the native runtime, got 'ScalarRectifier"):
            lower(network)
    elif isinstance(network, LevelNetwork):
        name = type(network).__name__
        with pytest.raises(EmagramError, match=f"expected a sequence of operations of the plan, got '{name}'"):
            lower(network)
    else:
        plan, _ = lower(network)
        assert [operation["op"] for operation in plan["operations"]] == ["dense"] * 3


@pytest.mark.parametrize("config", SMALL.values(), ids=str)
def test_reduced_precision_is_near_float32(config: NetworkConfig) -> None:
    network = build(config, LAYOUTS[3])
    values = rows(LAYOUTS[3]).float()
    with torch.no_grad():
        exact = network(values)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        reduced = network(values)
    assert 0.0 < float((reduced.float() - exact).abs().max()) < 0.05  # bfloat16 has 8 bits
