"""Physical constants, a property of the host or the data set.

The values below are those of E3SM and ClimSim (E3SM, share/util/shr_const_mod.F90; the gas constants are
6.02214e26 x 1.38065e-23 J K-1 kmol-1 over 28.966 and 18.016 kg kmol-1). Their lines are the only source:
cmake/constants.cmake reads them and writes the Fortran module and the C++ header of the same names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from .errors import EmagramError


@dataclass(frozen=True, kw_only=True)
class Constants:
    """Constants that travel with a host and with a model file; each line ends with its unit.

    Raises:
        EmagramError: if a value is not a positive finite number.
    """

    gravity: float = 9.80616  # m s-2
    heat_capacity_dry_air: float = 1004.64  # J kg-1 K-1
    gas_constant_dry_air: float = 287.0423113650487  # J kg-1 K-1
    gas_constant_water_vapor: float = 461.5046398201599  # J kg-1 K-1
    latent_heat_vaporization: float = 2.501e6  # J kg-1
    latent_heat_fusion: float = 3.337e5  # J kg-1
    density_liquid_water: float = 1000.0  # kg m-3
    reference_pressure: float = 1.0e5  # Pa
    stefan_boltzmann: float = 5.67e-8  # W m-2 K-4

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0.0):
                raise EmagramError(f"constant '{name}': expected a positive number, got {value!r}")

    @property
    def epsilon(self) -> float:
        """Ratio of the gas constants of dry air and water vapour, ε = Rd/Rv [1]."""
        return self.gas_constant_dry_air / self.gas_constant_water_vapor

    def to_manifest(self) -> dict[str, float]:
        """The `constants` entry of a model file's manifest."""
        return asdict(self)

    @classmethod
    def from_manifest(cls, entry: Mapping[str, float]) -> Constants:
        """Read the `constants` entry of a manifest.

        Raises:
            EmagramError: if a constant is missing, unknown or not positive.
        """
        known = [field.name for field in fields(cls)]
        for name in known:
            if name not in entry:
                raise EmagramError(f"constants: expected '{name}', got only {sorted(entry)}")
        for name in entry:
            if name not in known:
                raise EmagramError(f"constants: expected only {known}, got '{name}'")
        return cls(**{name: entry[name] for name in known})
