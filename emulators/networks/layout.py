"""How packed network values divide into groups: profiles over levels and scalars of the column."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...physics.errors import EmagramError


@dataclass(frozen=True)
class Layout:
    """Sizes of the groups that make up a row of network inputs and a row of outputs, in order.

    A group of size n_level is a profile, level 0 the model top; a group of size 1 is a scalar. Networks that know of
    levels take no other group; dense networks take any.

    Attributes:
        inputs, outputs: size of each group.
        n_level: number of layers.
    Raises:
        EmagramError: if a size is not positive or a side is empty.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    n_level: int

    def __post_init__(self) -> None:
        if self.n_level < 1:
            raise EmagramError(f"layout 'n_level': expected a positive number, got {self.n_level}")
        for side, sizes in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not sizes or min(sizes) < 1:
                raise EmagramError(f"layout '{side}': expected positive group sizes, at least one, got {sizes}")

    @property
    def n_in(self) -> int:
        """Values in a row of inputs."""
        return sum(self.inputs)

    @property
    def n_out(self) -> int:
        """Values in a row of outputs."""
        return sum(self.outputs)

    def places(self, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Where the profiles and the scalars stand in a row of groups of these sizes.

        Returns:
            int64 indices of the profiles, (n_profile, n_level), and of the scalars, (n_scalar,).
        Raises:
            EmagramError: if there are fewer than 2 levels or a group is neither a profile nor a scalar.
        """
        if self.n_level < 2:
            raise EmagramError(f"network over levels: expected at least 2 levels, got {self.n_level}")
        other = [size for size in sizes if size not in (1, self.n_level)]
        if other:
            raise EmagramError(
                f"network over levels: expected groups of {self.n_level} values or 1, got one of {other[0]}"
            )
        groups = torch.split(torch.arange(sum(sizes)), list(sizes))
        profiles = [group for group in groups if group.numel() == self.n_level]
        scalars = [group for group in groups if group.numel() == 1]
        empty = torch.zeros(0, dtype=torch.int64)
        return torch.cat([empty, *profiles]).reshape(-1, self.n_level), torch.cat([empty, *scalars])


class LevelNetwork(nn.Module):
    """A network over levels between packed rows: x (n_column, n_in) → y (n_column, n_out).

    A subclass maps profiles and scalars to profiles and scalars in `transform`; this class unpacks and packs them in
    the order of the layout.

    Args:
        layout: of the rows.
    Raises:
        EmagramError: if the layout has fewer than 2 levels or a group that is neither a profile nor a scalar.
    """

    profile_in: Tensor
    scalar_in: Tensor
    packing: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        profile_in, scalar_in = layout.places(layout.inputs)
        profile_out, scalar_out = layout.places(layout.outputs)
        self.n_profile_in, self.n_scalar_in = profile_in.shape[0], scalar_in.numel()
        self.n_profile_out, self.n_scalar_out = profile_out.shape[0], scalar_out.numel()
        packing = torch.argsort(torch.cat([profile_out.flatten(), scalar_out]))
        for name, index in (("profile_in", profile_in), ("scalar_in", scalar_in), ("packing", packing)):
            self.register_buffer(name, index, persistent=False)

    def transform(self, profiles: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """What the network computes.

        Args:
            profiles: (n_column, n_profile_in, n_level).
            scalars: (n_column, n_scalar_in).
        Returns:
            (n_column, n_profile_out, n_level) and (n_column, n_scalar_out).
        """
        raise NotImplementedError

    def forward(self, values: Tensor) -> Tensor:
        """Packed outputs (n_column, n_out) of packed inputs (n_column, n_in)."""
        profiles, scalars = self.transform(values[:, self.profile_in], values[:, self.scalar_in])
        return torch.cat([profiles.flatten(1), scalars], dim=1)[:, self.packing]


def with_scalars(profiles: Tensor, scalars: Tensor) -> Tensor:
    """Profiles and, constant over the levels, the scalars: (n_column, n_profile + n_scalar, n_level)."""
    broadcast = scalars.unsqueeze(2).expand(-1, -1, profiles.shape[2])
    return torch.cat([profiles, broadcast], dim=1)


def require_positive(what: str, value: int | float) -> None:
    """Raises EmagramError unless the setting `what` of a network is positive."""
    if not value > 0:
        raise EmagramError(f"network '{what}': expected a positive number, got {value}")
