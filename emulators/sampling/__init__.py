"""Sampling of what a generative model knows, with every sample inside the constraints."""

from .columns import ColumnProjection
from .gaussian import Gaussian
from .langevin import Langevin, ProjectedLangevin, Schedule, SplitAugmentedLangevin
from .metric import Metric

__all__ = [
    "ColumnProjection",
    "Gaussian",
    "Langevin",
    "Metric",
    "ProjectedLangevin",
    "Schedule",
    "SplitAugmentedLangevin",
]
