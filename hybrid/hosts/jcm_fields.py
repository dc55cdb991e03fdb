"""Where jcm keeps the quantities of the variables table: its state, its grid, and the diagnostics of SPEEDY's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...physics.errors import EmagramError

TENDENCIES: Mapping[str, str] = {
    "tendency_of_air_temperature_due_to_longwave_heating": "temperature",
    "tendency_of_air_temperature_due_to_shortwave_heating": "temperature",
    "tendency_of_air_temperature_due_to_model_physics": "temperature",
    "tendency_of_specific_humidity_due_to_model_physics": "specific_humidity",
    "tendency_of_eastward_wind_due_to_model_physics": "u_wind",
    "tendency_of_northward_wind_due_to_model_physics": "v_wind",
}
"""The component of jcm's PhysicsTendency that an output is part of, in the same unit."""

STATE: Mapping[str, str] = {
    "air_temperature": "temperature",
    "specific_humidity": "specific_humidity",
    "eastward_wind": "u_wind",
    "northward_wind": "v_wind",
}
"""The component of jcm's PhysicsState that an input is, (n_level, …) from the model top down, in the same unit."""


class HostField(Protocol):
    """A quantity that jcm keeps outside its state, in the unit of the variables table."""

    @property
    def name(self) -> str:
        """In the variables table."""
        ...

    def read(self, diagnostics: Mapping[str, Any]) -> Any:
        """Its array, (n_level, …) or (…) over the horizontal axes; raises EmagramError if it is not there."""
        ...

    def write(self, diagnostics: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The diagnostics with another value, for the terms that follow; unchanged where nothing keeps it."""
        ...


@dataclass(frozen=True)
class StructField:
    """A quantity in one of the structures through which jcm's terms speak to each other.

    Attributes:
        name: in the variables table.
        struct: key of the diagnostics.
        attribute: of the structure, which has a method `copy(attribute=value)`.
    """

    name: str
    struct: str
    attribute: str

    def read(self, diagnostics: Mapping[str, Any]) -> Any:
        """See HostField.read."""
        if self.struct not in diagnostics:
            raise EmagramError(
                f"field '{self.name}': expected jcm's diagnostics '{self.struct}' from an earlier term, got "
                f"{sorted(key for key in diagnostics if not key.startswith('_dt'))}"
            )
        return getattr(diagnostics[self.struct], self.attribute)

    def write(self, diagnostics: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """See HostField.write."""
        if self.struct not in diagnostics:
            return dict(diagnostics)
        return {**diagnostics, self.struct: diagnostics[self.struct].copy(**{self.attribute: value})}


SPEEDY: tuple[StructField, ...] = (
    StructField("surface_temperature", "_surface_flux", "tsfc"),
    StructField("surface_upwelling_longwave_flux_in_air", "_surface_flux", "rlus"),
    StructField("surface_downwelling_longwave_flux_in_air", "_surface_flux", "rlds"),
    StructField("surface_upward_sensible_heat_flux", "_surface_flux", "shf"),
    StructField("toa_outgoing_longwave_flux", "_longwave_rad", "ftop"),
    StructField("toa_incoming_shortwave_flux", "_shortwave_rad", "fsol"),
    StructField("toa_net_downward_shortwave_flux", "_shortwave_rad", "ftop"),
    StructField("surface_downwelling_shortwave_flux_in_air", "_shortwave_rad", "rsds"),
    StructField("surface_net_downward_shortwave_flux", "_shortwave_rad", "rsns"),
)
"""Surface and radiation of jcm's SPEEDY terms, as `jcm/physics/speedy/physics_data.py` documents them."""


@dataclass(frozen=True, eq=False)
class Grid:
    """jcm's σ levels and columns, in float64.

    Attributes:
        boundaries: (n_level + 1) σ at the interfaces, from 0 at the model top to 1.
        reference_pressure: [Pa] what jcm's normalised surface pressure is a multiple of.
        latitude: (n_column) [radian] in the order in which jcm's horizontal axes unfold.
    """

    boundaries: NDArray[np.float64]
    reference_pressure: float
    latitude: NDArray[np.float64]

    @classmethod
    def from_coordinates(cls, coordinates: Any, *, reference_pressure: float) -> Grid:
        """The grid of a jcm model.

        Raises:
            EmagramError: if its levels are not σ levels.
        """
        boundaries = getattr(coordinates.vertical, "boundaries", None)
        if boundaries is None:
            raise EmagramError(f"jcm's levels: expected σ levels, got '{type(coordinates.vertical).__name__}'")
        n_longitude, n_latitude = coordinates.horizontal.nodal_shape
        latitude = np.broadcast_to(np.asarray(coordinates.horizontal.latitudes), (n_longitude, n_latitude))
        return cls(np.asarray(boundaries, float), reference_pressure, latitude.reshape(-1).astype(float))

    def fields(self, normalised_surface_pressure: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
        """Pressures and places of columns, p = σ p_s.

        Args:
            normalised_surface_pressure: [1] (n_batch, n_column).
        Returns:
            by name, (n_batch, size, n_column) or (n_batch, n_column), in units of the variables table.
        """
        surface = self.reference_pressure * normalised_surface_pressure.astype(np.float64)
        interfaces = self.boundaries[:, None] * surface[:, None, :]
        return {
            "surface_air_pressure": surface,
            "air_pressure_at_interface": interfaces,
            "air_pressure": 0.5 * (interfaces[:, 1:] + interfaces[:, :-1]),
            "sine_of_latitude": np.broadcast_to(np.sin(self.latitude), surface.shape),
            "cosine_of_latitude": np.broadcast_to(np.cos(self.latitude), surface.shape),
        }


ON_GRID = (
    "surface_air_pressure",
    "air_pressure_at_interface",
    "air_pressure",
    "sine_of_latitude",
    "cosine_of_latitude",
)
"""The names of `Grid.fields`."""
