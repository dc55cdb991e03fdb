"""Features: what a network sees, each a transform of named inputs, described alike in a model file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..physics.constants import Constants
from ..physics.errors import EmagramError
from ..physics.thermodynamics import relative_humidity

LOG_FLOOR = 1e-30
"""The logarithm's argument is at least this, so that an absent gas stays finite."""

Transform = Callable[[Sequence[Tensor], Constants], Tensor]

TRANSFORMS: dict[str, tuple[int, Transform]] = {
    "identity": (1, lambda inputs, _: inputs[0]),
    "log": (1, lambda inputs, _: torch.log(inputs[0].clamp(min=LOG_FLOOR))),
    "relative_humidity": (3, lambda inputs, constants: relative_humidity(*inputs, constants=constants)),
}
"""Number of inputs and function of every transform; the model file and the C++ runtime know the same names."""


@dataclass(frozen=True)
class Feature:
    """One group of network inputs: a transform of fields of one dimension.

    Attributes:
        transform: a name in TRANSFORMS.
        inputs: names of the fields, in the order the transform takes them.
    Raises:
        EmagramError: if the transform is unknown or takes another number of inputs.
    """

    transform: str
    inputs: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.transform not in TRANSFORMS:
            expected = ", ".join(TRANSFORMS)
            raise EmagramError(f"feature of {self.inputs}: expected a transform of {expected}, got '{self.transform}'")
        expected_inputs = TRANSFORMS[self.transform][0]
        if len(self.inputs) != expected_inputs:
            raise EmagramError(f"feature '{self.transform}': expected {expected_inputs} inputs, got {self.inputs}")

    def evaluate(self, fields: Mapping[str, Tensor], *, constants: Constants) -> Tensor:
        """The feature in float64.

        Args:
            fields: named inputs, float64, (n_column,) or (n_column, size).
        Returns:
            (n_column, size); size is 1 for a field without levels.
        """
        value = TRANSFORMS[self.transform][1]([fields[name] for name in self.inputs], constants)
        return value.reshape(value.shape[0], -1)

    def to_manifest(self, size: int) -> dict[str, Any]:
        """The entry in the manifest's `features`."""
        return {"transform": self.transform, "inputs": list(self.inputs), "size": size}

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any]) -> "Feature":
        """The feature of a manifest's entry."""
        return cls(entry["transform"], tuple(entry["inputs"]))


def _radiation_features(humidity: Feature) -> tuple[Feature, ...]:
    """Pressures and gas amounts enter as logarithms, since line absorption scales with them (Beer's law)."""
    return (
        Feature("log", ("air_pressure",)),
        Feature("identity", ("air_temperature",)),
        humidity,
        Feature("log", ("mole_fraction_of_ozone_in_air",)),
        Feature("identity", ("surface_temperature",)),
        Feature("identity", ("surface_albedo",)),
        Feature("identity", ("cosine_of_solar_zenith_angle",)),
        Feature("log", ("mole_fraction_of_carbon_dioxide_in_air",)),
        Feature("log", ("mole_fraction_of_methane_in_air",)),
        Feature("log", ("mole_fraction_of_nitrous_oxide_in_air",)),
        Feature("identity", ("mole_fraction_of_cfc11eq_in_air",)),
    )


FEATURE_SETS: dict[str, tuple[Feature, ...]] = {
    "raw": _radiation_features(Feature("log", ("specific_humidity",))),
    "climate_invariant": _radiation_features(
        Feature("relative_humidity", ("air_pressure", "air_temperature", "specific_humidity"))
    ),
}
"""Inputs of clear-sky radiation. Specific humidity of a warmer climate lies outside that of today's, relative humidity
hardly changes: a network that sees the latter interpolates where the former would extrapolate
(Beucler et al. 2024, Climate-invariant machine learning, doi:10.1126/sciadv.adj7250)."""
