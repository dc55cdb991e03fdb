"""A U-Net over the levels of a column."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from ...physics.errors import EmagramError
from .layout import Layout, LevelNetwork, require_positive, with_scalars

GROUP_WIDTH = 8
"""Channels that are normalised together; widths are multiples of it."""


@dataclass(frozen=True)
class UnetConfig:
    """A U-Net over levels: profiles and broadcast scalars are its channels.

    The default of about 0.4 million parameters trains on two CPU cores; widths (128, 256, 256, 256) with 5 blocks and
    attention come to the 13 million of the source.

    Attributes:
        widths: channels at each resolution, the finest first; every further one halves the number of levels.
        blocks: residual blocks at each resolution, down as well as up.
        attention: whether the coarsest resolution has self-attention over its levels.
    Raises:
        EmagramError: if a width is not a positive multiple of 8 or there is no block.
    Source: Hu et al. 2024, Stable machine-learning parameterization of subgrid processes (arXiv:2407.00124), after
        Ronneberger et al. 2015 (arXiv:1505.04597); own arrangement of blocks and heads.
    """

    widths: tuple[int, ...] = (64, 96, 128)
    blocks: int = 1
    attention: bool = False
    kind: Literal["unet"] = field(default="unet", kw_only=True)

    def __post_init__(self) -> None:
        if not self.widths or any(width < 1 or width % GROUP_WIDTH for width in self.widths):
            raise EmagramError(f"network 'widths': expected positive multiples of {GROUP_WIDTH}, got {self.widths}")
        require_positive("blocks", self.blocks)

    def build(self, layout: Layout) -> "Unet":
        """A network with torch's default initial weights; seed torch's generator before.

        Raises:
            EmagramError: if the layout has fewer than 2 levels or a group that is neither a profile nor a scalar.
        """
        return Unet(self, layout)


class Unet(LevelNetwork):
    """Packed rows through a U-Net, x (n_column, n_in) → y (n_column, n_out).

    Levels are extended above the model top by copies of the top one to a multiple of 2^(resolutions − 1) (60 → 64 with
    4 or 5 resolutions); the surface stays at the edge. A learned embedding of the level is added to the first
    features. Scalars come from the features' mean over the levels and from those of the lowest level.
    """

    def __init__(self, config: UnetConfig, layout: Layout) -> None:
        super().__init__(layout)
        widths = config.widths
        self.padding = -layout.n_level % 2 ** (len(widths) - 1)
        self.embedding = nn.Parameter(torch.zeros(widths[0], layout.n_level + self.padding))
        self.entry = nn.Conv1d(self.n_profile_in + self.n_scalar_in, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_blocks(width, width, config.blocks) for width in widths[:-1])
        self.coarsen = nn.ModuleList(nn.Conv1d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.bottom = _blocks(widths[-1], widths[-1], config.blocks)
        self.attention = SelfAttention(widths[-1]) if config.attention else nn.Identity()
        self.refine = nn.ModuleList(nn.Conv1d(b, a, 3, padding=1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_blocks(2 * width, width, config.blocks) for width in widths[:-1])
        self.exit = nn.Sequential(nn.GroupNorm(widths[0] // GROUP_WIDTH, widths[0]), nn.SiLU())
        self.profile_head = nn.Conv1d(widths[0], self.n_profile_out, 3, padding=1) if self.n_profile_out else None
        self.scalar_head = nn.Linear(2 * widths[0], self.n_scalar_out) if self.n_scalar_out else None

    def transform(self, profiles: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Profiles and scalars from profiles and scalars, see `LevelNetwork`."""
        values = with_scalars(profiles, scalars)
        values = pad(values, (self.padding, 0), mode="replicate") if self.padding else values
        values = self.entry(values) + self.embedding
        finer = []
        for blocks, coarsen in zip(self.down, self.coarsen, strict=True):
            values = blocks(values)
            finer.append(values)
            values = coarsen(values)
        values = self.attention(self.bottom(values))
        for blocks, refine, skip in zip(self.up[::-1], self.refine[::-1], finer[::-1], strict=True):
            values = refine(values.repeat_interleave(2, dim=2))
            values = blocks(torch.cat([values, skip], dim=1))
        return self._heads(self.exit(values)[:, :, self.padding :], scalars)

    def _heads(self, values: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Output profiles and scalars from the finest features, (n_column, width, n_level)."""
        n_column, _, n_level = values.shape
        profiles = values.new_zeros(n_column, 0, n_level) if self.profile_head is None else self.profile_head(values)
        if self.scalar_head is None:
            return profiles, scalars.new_zeros(n_column, 0)
        return profiles, self.scalar_head(torch.cat([values.mean(dim=2), values[:, :, -1]], dim=1))


class ResidualBlock(nn.Module):
    """y = (S x + C₂ g(N₂ C₁ g(N₁ x))) / √2: N group normalisation, g SiLU, C convolution over 3 levels, S 1 × 1.

    Source: the pre-activation order of He et al. 2016 (arXiv:1603.05027); Wu and He 2018 (arXiv:1803.08494) for N.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(n_in // GROUP_WIDTH, n_in),
            nn.SiLU(),
            nn.Conv1d(n_in, n_out, 3, padding=1),
            nn.GroupNorm(n_out // GROUP_WIDTH, n_out),
            nn.SiLU(),
            nn.Conv1d(n_out, n_out, 3, padding=1),
        )
        self.shortcut = nn.Identity() if n_in == n_out else nn.Conv1d(n_in, n_out, 1)

    def forward(self, values: Tensor) -> Tensor:
        """(n_column, n_in, size) → (n_column, n_out, size)."""
        result: Tensor = (self.shortcut(values) + self.body(values)) * math.sqrt(0.5)
        return result


class SelfAttention(nn.Module):
    """y = x + P softmax(QᵀK / √c) V over the levels, one head, after group normalisation; (n_column, c, size)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(width // GROUP_WIDTH, width)
        self.query_key_value = nn.Conv1d(width, 3 * width, 1)
        self.projection = nn.Conv1d(width, width, 1)

    def forward(self, values: Tensor) -> Tensor:
        """Same shape."""
        query, key, value = self.query_key_value(self.norm(values)).transpose(1, 2).chunk(3, dim=2)
        attended = scaled_dot_product_attention(query, key, value)
        result: Tensor = values + self.projection(attended.transpose(1, 2))
        return result


def _blocks(n_in: int, n_out: int, n: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(n_in if i == 0 else n_out, n_out) for i in range(n)))
