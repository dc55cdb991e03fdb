"""A recurrent network that sweeps through the levels of a column, down and up again."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from .layout import Layout, LevelNetwork, require_positive, with_scalars


@dataclass(frozen=True)
class GruConfig:
    """A gated recurrent unit over levels: one sweep from the top to the surface, one back.

    Attributes:
        width: of the encoding of a level and of both sweeps' states.
    Raises:
        EmagramError: if the width is not positive.
    Source: Cho et al. 2014 (arXiv:1406.1078) for the unit; Ukkonen 2022, Exploring pathways to more accurate machine
        learning emulation of atmospheric radiative transfer, J. Adv. Model. Earth Syst., for sweeps over levels.
    """

    width: int = 128
    kind: Literal["gru"] = field(default="gru", kw_only=True)

    def __post_init__(self) -> None:
        require_positive("width", self.width)

    def build(self, layout: Layout) -> "LevelGru":
        """A network with torch's default initial weights; seed torch's generator before.

        Raises:
            EmagramError: if the layout has fewer than 2 levels or a group that is neither a profile nor a scalar.
        """
        return LevelGru(self, layout)


class LevelGru(LevelNetwork):
    """Packed rows through two sweeps, x (n_column, n_in) → y (n_column, n_out).

    e_k = silu(W [profiles_k, scalars] + p_k) with a learned p_k of each level; the downward sweep
    d_k = GRU(e_k, d_{k−1}) starts at the top from tanh(A scalars), or 0 where there is none, the upward sweep
    u_k = GRU([e_k, d_k], u_{k+1}) at the surface from tanh(B [scalars, d_surface]); profiles come from [d_k, u_k],
    scalars from [d_surface, u_top], so that every output sees the whole column.
    """

    def __init__(self, config: GruConfig, layout: Layout) -> None:
        super().__init__(layout)
        width = config.width
        self.encode = nn.Linear(self.n_profile_in + self.n_scalar_in, width)
        self.embedding = nn.Parameter(torch.zeros(layout.n_level, width))
        self.top_state = nn.Linear(self.n_scalar_in, width) if self.n_scalar_in else None
        self.surface_state = nn.Linear(self.n_scalar_in + width, width)
        self.downward = nn.GRU(width, width, batch_first=True)
        self.upward = nn.GRU(2 * width, width, batch_first=True)
        self.profile_head = nn.Linear(2 * width, self.n_profile_out) if self.n_profile_out else None
        self.scalar_head = nn.Linear(2 * width, self.n_scalar_out) if self.n_scalar_out else None

    def transform(self, profiles: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Profiles and scalars from profiles and scalars, see `LevelNetwork`."""
        encoded = nn.functional.silu(self.encode(with_scalars(profiles, scalars).transpose(1, 2)) + self.embedding)
        top = None if self.top_state is None else torch.tanh(self.top_state(scalars)).unsqueeze(0)
        down, _ = self.downward(encoded, top)
        surface = down[:, -1]
        start = torch.tanh(self.surface_state(torch.cat([scalars.to(surface.dtype), surface], dim=1))).unsqueeze(0)
        up, _ = self.upward(torch.cat([encoded, down], dim=2).flip(1), start)
        both, ends = torch.cat([down, up.flip(1)], dim=2), torch.cat([surface, up[:, -1]], dim=1)
        n_column, _, n_level = profiles.shape
        return (
            both.new_zeros(n_column, 0, n_level) if self.profile_head is None else self.profile_head(both).mT,
            both.new_zeros(n_column, 0) if self.scalar_head is None else self.scalar_head(ends),
        )
