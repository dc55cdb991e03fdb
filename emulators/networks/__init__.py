"""Networks: configurations that build them for a layout."""

from .climsim_mlp import ClimsimMlpConfig
from .dense import Dense, DenseConfig
from .gru import GruConfig, LevelGru
from .layout import Layout
from .unet import Unet, UnetConfig

NetworkConfig = DenseConfig | ClimsimMlpConfig | UnetConfig | GruConfig
"""Every network, told apart by the field `kind`; `build(layout)` makes it."""

NETWORKS: dict[str, type[NetworkConfig]] = {
    "dense": DenseConfig,
    "climsim_mlp": ClimsimMlpConfig,
    "unet": UnetConfig,
    "gru": GruConfig,
}
"""By `kind`."""

__all__ = [
    "NETWORKS",
    "ClimsimMlpConfig",
    "Dense",
    "DenseConfig",
    "GruConfig",
    "Layout",
    "LevelGru",
    "NetworkConfig",
    "Unet",
    "UnetConfig",
]
