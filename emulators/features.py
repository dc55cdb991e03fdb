"""Features: what a network sees, each a transform of named inputs, described alike in a model file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..physics.climate_invariant import plume_buoyancy, scaled_latent_heat_flux
from ..physics.constants import Constants
from ..physics.errors import EmagramError
from ..physics.thermodynamics import liquid_fraction, relative_humidity, saturation_vapor_pressure

LOG_FLOOR = 1e-30
"""The logarithm's argument is at least this, so that an absent gas stays finite."""

CLIMSIM_GAS_CONSTANTS = (461.0, 287.0)
"""Of water vapour and dry air [J kg-1 K-1], as rounded in ClimSim's relative humidity, whatever the host's are."""

Evaluation = Callable[[Sequence[Tensor], Constants, Tensor], Tensor]
Sizing = Callable[[Sequence[int]], int]


def size_of_each(sizes: Sequence[int]) -> int:
    """The one size of all inputs, of a transform that takes value by value.

    Raises:
        EmagramError: if the sizes differ.
    """
    if len(set(sizes)) > 1:
        raise EmagramError(f"expected inputs of one size, got sizes {tuple(sizes)}")
    return sizes[0]


def size_of_flux(sizes: Sequence[int]) -> int:
    """1, of a transform of a quantity of the column and profiles.

    Raises:
        EmagramError: if the first input has more than one value or the others differ in size.
    """
    if sizes[0] != 1 or len(set(sizes[1:])) > 1:
        raise EmagramError(f"expected one value a column and then profiles of one size, got sizes {tuple(sizes)}")
    return 1


class Transform(NamedTuple):
    """What is known of a transform by its name.

    Attributes:
        n_input: how many inputs it may take.
        evaluate: its function of (inputs, constants, parameters), each input (n_column, size).
        has_parameters: whether it has any, one a value of the feature.
        units: of the inputs, where only certain quantities make sense.
        size: of the feature, from the sizes of the inputs.
        level_order: the place among its inputs of a layer pressure that must increase with the index, or None where it
            does not matter which layer is above which.
    """

    n_input: tuple[int, ...]
    evaluate: Evaluation
    has_parameters: bool = False
    units: tuple[str, ...] = ()
    size: Sizing = size_of_each
    level_order: int | None = None


def climsim_relative_humidity(air_pressure: Tensor, air_temperature: Tensor, specific_humidity: Tensor) -> Tensor:
    """Relative humidity as ClimSim has it, q Rv p / (Rd e_s(T)); up to 2 % below e / e_s, and linear in q.

    Args:
        air_pressure: [Pa], any shape.
        air_temperature: [K], same shape.
        specific_humidity: [kg kg-1] of moist air, same shape.
    Returns:
        [1], same shape.
    Source: Yu et al. 2023, doi:10.48550/arXiv.2306.08754; saturation as in physics.thermodynamics.
    """
    vapor, dry = CLIMSIM_GAS_CONSTANTS
    return specific_humidity * (vapor * air_pressure) / (dry * saturation_vapor_pressure(air_temperature))


_STATE = ("Pa", "K", "kg kg-1")
"""Units of pressure, temperature and specific humidity, which the transforms of a state take in this order."""


def _scaled_latent_heat_flux(inputs: Sequence[Tensor], constants: Constants, _: Tensor) -> Tensor:
    flux, *profiles = inputs
    return scaled_latent_heat_flux(flux[:, 0], *profiles, constants=constants).unsqueeze(1)


TRANSFORMS: dict[str, Transform] = {
    "identity": Transform((1,), lambda inputs, *_: inputs[0]),
    "log": Transform((1,), lambda inputs, *_: torch.log(inputs[0].clamp(min=LOG_FLOOR))),
    "relative_humidity": Transform(
        (3,), lambda inputs, constants, _: relative_humidity(*inputs, constants=constants), units=_STATE
    ),
    "zero": Transform((1,), lambda inputs, *_: torch.zeros_like(inputs[0])),
    "sum": Transform((2,), lambda inputs, *_: inputs[0] + inputs[1]),
    "liquid_fraction": Transform((1,), lambda inputs, *_: liquid_fraction(inputs[0]), units=("K",)),
    "climsim_relative_humidity": Transform((3,), lambda inputs, *_: climsim_relative_humidity(*inputs), units=_STATE),
    "one_minus_exp": Transform(
        (1, 2), lambda inputs, _, parameters: -torch.expm1(-parameters * sum(inputs[1:], start=inputs[0])), True
    ),
    "plume_buoyancy": Transform(
        (3,), lambda inputs, constants, _: plume_buoyancy(*inputs, constants=constants), units=_STATE, level_order=0
    ),
    "scaled_latent_heat_flux": Transform(
        (4,), _scaled_latent_heat_flux, units=("W m-2", *_STATE), size=size_of_flux, level_order=1
    ),
}
"""Transforms by name, the same in a model file and in the native runtime. `one_minus_exp` is 1 − e^(−λ x), x an input
or the sum of two, λ its parameters, one a level."""


@dataclass(frozen=True)
class Feature:
    """One group of network inputs: a transform of fields.

    Attributes:
        transform: a name in TRANSFORMS.
        inputs: names of the fields, in the order the transform takes them.
        parameters: of a transform that has any, one for each value of the feature.
    Raises:
        EmagramError: if the transform is unknown, takes another number of inputs, or has parameters that are not given
            or is given some that it does not have.
    """

    transform: str
    inputs: tuple[str, ...]
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.transform not in TRANSFORMS:
            expected = ", ".join(TRANSFORMS)
            raise EmagramError(f"feature of {self.inputs}: expected a transform of {expected}, got '{self.transform}'")
        transform = TRANSFORMS[self.transform]
        if len(self.inputs) not in transform.n_input:
            expected = " or ".join(map(str, transform.n_input))
            raise EmagramError(f"feature '{self.transform}': expected {expected} inputs, got {self.inputs}")
        if bool(self.parameters) != transform.has_parameters:
            expected = "parameters" if transform.has_parameters else "no parameters"
            raise EmagramError(f"feature '{self.transform}': expected {expected}, got {len(self.parameters)}")

    def size(self, sizes: Sequence[int]) -> int:
        """Number of values a column.

        Args:
            sizes: of the inputs, in their order.
        Raises:
            EmagramError: if the transform does not take inputs of these sizes, or the parameters are not as many.
        """
        try:
            size = TRANSFORMS[self.transform].size(sizes)
        except EmagramError as error:
            raise EmagramError(f"feature '{self.transform}' of {self.inputs}: {error}") from error
        if self.parameters and len(self.parameters) != size:
            raise EmagramError(f"feature '{self.transform}': expected {size} parameters, got {len(self.parameters)}")
        return size

    def check_units(self, units: Sequence[str]) -> None:
        """Refuse inputs in another order than the transform takes them.

        Args:
            units: of the inputs, in their order.
        Raises:
            EmagramError: if one is not what the transform takes there.
        """
        for name, expected, unit in zip(self.inputs, TRANSFORMS[self.transform].units, units, strict=False):
            if unit != expected:
                raise EmagramError(f"feature '{self.transform}': expected '{name}' in {expected}, got {unit}")

    @property
    def ordered_pressure(self) -> str | None:
        """The input that must increase with the index, if the transform asks for one."""
        place = TRANSFORMS[self.transform].level_order
        return None if place is None else self.inputs[place]

    def evaluate(self, fields: Mapping[str, Tensor], *, constants: Constants) -> Tensor:
        """The feature in float64.

        Args:
            fields: named inputs, float64, (n_column,) or (n_column, size).
        Returns:
            (n_column, size); size is 1 for a field without levels.
        """
        inputs = [fields[name].reshape(fields[name].shape[0], -1) for name in self.inputs]
        parameters = torch.tensor(self.parameters, dtype=torch.float64, device=inputs[0].device)
        return TRANSFORMS[self.transform].evaluate(inputs, constants, parameters)

    def to_manifest(self, size: int) -> dict[str, Any]:
        """The entry in the manifest's `features`."""
        entry = {"transform": self.transform, "inputs": list(self.inputs), "size": size}
        return entry | ({"parameters": list(self.parameters)} if self.parameters else {})

    @classmethod
    def from_manifest(cls, entry: Mapping[str, Any]) -> "Feature":
        """The feature of a manifest's entry."""
        return cls(entry["transform"], tuple(entry["inputs"]), tuple(entry.get("parameters", ())))


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
