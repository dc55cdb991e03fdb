"""What networks over levels compute, level by level, against loops and index arithmetic of the tests' own."""

import math

import pytest
import torch
from torch import Tensor, nn

from emagram.emulators.networks import GruConfig, Layout, UnetConfig
from emagram.emulators.networks.gru import LevelGru
from emagram.emulators.networks.unet import Unet


def cell(unit: nn.GRU, x: Tensor, h: Tensor) -> Tensor:
    """h' = (1 − z) n + z h with n = tanh(W x + b + r (U h + c)): Cho et al. 2014 in torch's arrangement."""
    xr, xz, xn = (unit.weight_ih_l0 @ x + unit.bias_ih_l0).chunk(3)
    hr, hz, hn = (unit.weight_hh_l0 @ h + unit.bias_hh_l0).chunk(3)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    return (1.0 - z) * torch.tanh(xn + r * hn) + z * h


def swept(network: LevelGru, profiles: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
    """One column, (n_profile, n_level) and (n_scalar,), from the class's equations, one level after another."""
    n_level = profiles.shape[1]
    encoded = []
    for k in range(n_level):
        linear = network.encode.weight @ torch.cat([profiles[:, k], scalars]) + network.encode.bias
        linear = linear + network.embedding[k]
        encoded.append(linear * torch.sigmoid(linear))
    state = torch.zeros(network.embedding.shape[1], dtype=torch.float64)
    if network.top_state is not None:
        state = torch.tanh(network.top_state.weight @ scalars + network.top_state.bias)
    down = []
    for k in range(n_level):
        state = cell(network.downward, encoded[k], state)
        down.append(state)
    start = network.surface_state.weight @ torch.cat([scalars, down[-1]]) + network.surface_state.bias
    state, up = torch.tanh(start), {}
    for k in reversed(range(n_level)):
        state = cell(network.upward, torch.cat([encoded[k], down[k]]), state)
        up[k] = state
    assert network.profile_head is not None
    assert network.scalar_head is not None
    heads = [network.profile_head.weight @ torch.cat([down[k], up[k]]) + network.profile_head.bias for k in up]
    profile = torch.stack(heads[::-1], dim=1)
    return profile, network.scalar_head.weight @ torch.cat([down[-1], up[0]]) + network.scalar_head.bias


@pytest.mark.parametrize("n_scalar", [0, 2])
def test_the_sweeps_are_those_of_a_loop_over_levels(n_scalar: int) -> None:
    torch.manual_seed(0)
    n_level = 7
    network = GruConfig(6).build(Layout((n_level, n_level) + (1,) * n_scalar, (n_level, 1, n_level), n_level)).double()
    nn.init.normal_(network.embedding)  # as no initial weight is, so that its level shows
    profiles = torch.randn(3, 2, n_level, dtype=torch.float64)
    scalars = torch.randn(3, n_scalar, dtype=torch.float64)
    with torch.no_grad():
        found = network.transform(profiles, scalars)
        for column in range(3):
            expected = swept(network, profiles[column], scalars[column])
            torch.testing.assert_close(found[0][column], expected[0], rtol=1e-12, atol=1e-14)
            torch.testing.assert_close(found[1][column], expected[1], rtol=1e-12, atol=1e-14)


def carrying(network: Unet, resolution: int) -> Unet:
    """The network with weights that carry its first profile through one resolution, and nothing else.

    Residual bodies give 0, so that a block is its shortcut / √2; convolutions over levels take the level itself.
    """
    nn.init.zeros_(network.embedding)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.zeros_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    assert network.profile_head is not None
    assert network.scalar_head is not None
    for convolution in (network.entry, *network.coarsen, *network.refine, network.profile_head):
        assert isinstance(convolution, nn.Conv1d)
        convolution.weight.data[0, 0, 1] = 1.0
    for number, blocks in enumerate(network.up):
        width = blocks[0].shortcut.out_channels
        blocks[0].shortcut.weight.data[0, width if number == resolution else 0, 0] = 1.0
    network.scalar_head.weight.data[0, network.scalar_head.in_features // 2] = 1.0
    network.exit = nn.Identity()  # type: ignore[assignment]
    return network


@pytest.mark.parametrize("n_level", [5, 7, 8, 60])
@pytest.mark.parametrize("resolution", [0, 1, 2])
def test_levels_stay_in_place_at_every_resolution_of_the_unet(n_level: int, resolution: int) -> None:
    """Level k comes from the first level of its group of 2^resolution, counted from the surface upwards."""
    network = UnetConfig((8, 8, 8)).build(Layout((n_level, 1), (n_level, 1), n_level)).double()
    values = torch.arange(1.0, n_level + 1.0, dtype=torch.float64).expand(1, 1, -1)
    with torch.no_grad():
        profile, scalar = carrying(network, resolution).transform(values, torch.zeros(1, 1, dtype=torch.float64))
    group = 2**resolution
    blocks = 2 * resolution + (1 if resolution == 2 else 2)
    above_surface = [n_level - 1 - k for k in range(n_level)]
    sources = [n_level - 1 - (h // group * group + group - 1) for h in above_surface]
    expected = [(max(source, 0) + 1.0) * math.sqrt(0.5) ** blocks for source in sources]  # the top is repeated above it
    assert profile[0, 0].tolist() == pytest.approx(expected, rel=1e-12)
    assert float(scalar) == pytest.approx(expected[-1], rel=1e-12)  # of the lowest level
