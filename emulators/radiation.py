"""Clear-sky radiation as an emulation task: what goes in, what comes out, what must close."""

from ..physics.constants import Constants
from ..physics.constraints import ColumnEnergy, FluxTerm
from .data.columns import RADIATION_INPUTS, RADIATION_OUTPUTS
from .emulator import EmulatorSpec
from .features import Feature

SCALE_BY = {name: "toa_incoming_shortwave_flux" for name in RADIATION_OUTPUTS if "shortwave" in name}
"""Shortwave scales with the sunlight that enters, and vanishes exactly at night."""


def radiation_constraints(constants: Constants) -> tuple[ColumnEnergy, ColumnEnergy]:
    """Longwave and shortwave heating of the column equal the net fluxes through its boundaries."""
    longwave = {
        "surface_upwelling_longwave_flux_in_air": 1,
        "toa_outgoing_longwave_flux": -1,
        "surface_downwelling_longwave_flux_in_air": -1,
    }
    shortwave = {
        "toa_incoming_shortwave_flux": 1,
        "toa_outgoing_shortwave_flux": -1,
        "surface_downwelling_shortwave_flux_in_air": -1,
        "surface_upwelling_shortwave_flux_in_air": 1,
    }
    return tuple(  # type: ignore[return-value]
        ColumnEnergy(
            name,
            heating=f"tendency_of_air_temperature_due_to_{name}_heating",
            interface_pressure="air_pressure_at_interface",
            fluxes=tuple(FluxTerm(flux, sign) for flux, sign in fluxes.items()),
            constants=constants,
        )
        for name, fluxes in (("longwave", longwave), ("shortwave", shortwave))
    )


def radiation_spec(n_level: int, features: tuple[Feature, ...], constants: Constants | None = None) -> EmulatorSpec:
    """The emulator of clear-sky radiation on `n_level` layers; its rates do not depend on the time step."""
    constants = constants or Constants()
    return EmulatorSpec(
        n_level,
        RADIATION_INPUTS,
        RADIATION_OUTPUTS,
        features,
        radiation_constraints(constants),
        scale_by=SCALE_BY,
        constants=constants,
    )
