"""A few-band two-stream clear-sky radiation scheme: the labelled stand-in for a truth where no real data are at hand.

Absorption coefficients are chosen to give fluxes and heating rates of the observed size and to respond to
temperature, water vapour, ozone and the greenhouse gases in the right direction; they are not measured.
Arrays are (column, level) or (column, interface), level 0 on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...physics.constants import Constants

Array = NDArray[np.float64]

EMISSIVITY = 0.98  # of every RFMIP surface
DIFFUSIVITY = 1.66  # slant path of diffuse radiation over the vertical one, Elsasser 1942
CONSTANTS = Constants()


@dataclass(frozen=True)
class Band:
    """A fixed fraction of the spectrum and its absorption.

    fraction [1]; vapour, continuum, ozone [m2 kg-1] per unit of q, q² and mole fraction;
    carbon_dioxide and trace_gases: optical depth of a whole atmosphere per unit of logarithm [1].
    """

    fraction: float
    vapour: float = 0.0
    continuum: float = 0.0
    ozone: float = 0.0
    carbon_dioxide: float = 0.0
    trace_gases: float = 0.0


LONGWAVE_BANDS = (
    Band(0.28, vapour=0.009, continuum=1.8, carbon_dioxide=0.008, trace_gases=0.02),
    Band(0.05, vapour=0.01, continuum=1.5, ozone=100.0, carbon_dioxide=0.012, trace_gases=0.03),
    Band(0.23, vapour=0.05, carbon_dioxide=0.4),
    Band(0.34, vapour=0.15, carbon_dioxide=0.012, trace_gases=0.03),
    Band(0.10, vapour=5.0),
)
SHORTWAVE_BANDS = (
    Band(0.010, ozone=1500.0),
    Band(0.010, ozone=150.0),
    Band(0.530, ozone=2.0),
    Band(0.250, vapour=0.002),
    Band(0.150, vapour=0.03),
    Band(0.050, vapour=1.0, carbon_dioxide=0.015),
)


def optical_depth(columns: xr.Dataset, band: Band) -> Array:
    """Vertical optical depth of each layer in one band [1] (column, level).

    Δτ = [k_vapour q + k_continuum q²] p/p₀ Δp/g + k_ozone x_ozone Δp/g + τ_mixed Δp/p₀, where τ_mixed grows with the
    logarithm of each well-mixed gas.
    """
    specific_humidity = columns["specific_humidity"].values
    pressure_thickness = np.diff(columns["air_pressure_at_interface"].values, axis=1)
    vapour = specific_humidity * (band.vapour + band.continuum * specific_humidity)
    broadening = columns["air_pressure"].values / CONSTANTS.reference_pressure
    ozone = band.ozone * columns["mole_fraction_of_ozone_in_air"].values
    mixed = band.carbon_dioxide * np.log1p(columns["mole_fraction_of_carbon_dioxide_in_air"].values / 1.0e-6)
    for gas, amount in (("methane", 1.0e-6), ("nitrous_oxide", 3.0e-7), ("cfc11eq", 1.0e-9)):
        mixed = mixed + band.trace_gases * np.log1p(columns[f"mole_fraction_of_{gas}_in_air"].values / amount)
    depth = (vapour * broadening + ozone) / CONSTANTS.gravity + mixed[:, None] / CONSTANTS.reference_pressure
    return np.asarray(depth * pressure_thickness)


def longwave_fluxes(columns: xr.Dataset) -> tuple[Array, Array]:
    """Upwelling and downwelling longwave flux [W m-2], both (column, interface).

    Isothermal layers that absorb and emit without scattering: F(below) = F(above) e^(−DΔτ) + f σT⁴ (1 − e^(−DΔτ)).
    """
    upwelling = np.zeros_like(columns["air_pressure_at_interface"].values)
    downwelling = np.zeros_like(upwelling)
    for band in LONGWAVE_BANDS:
        transmissivity = np.exp(-DIFFUSIVITY * optical_depth(columns, band))
        black_body = band.fraction * CONSTANTS.stefan_boltzmann
        emission = black_body * columns["air_temperature"].values ** 4 * (1.0 - transmissivity)
        surface = EMISSIVITY * black_body * columns["surface_temperature"].values ** 4
        down = _march_down(np.zeros_like(surface), transmissivity, emission)
        downwelling += down
        upwelling += _march_up(surface + (1.0 - EMISSIVITY) * down[:, -1], transmissivity, emission)
    return upwelling, downwelling


def shortwave_fluxes(columns: xr.Dataset) -> tuple[Array, Array]:
    """Upwelling and downwelling shortwave flux [W m-2], both (column, interface).

    A direct beam absorbed along the air mass 35/√(1224 μ² + 1) (Rodgers 1967), a reflecting surface, and diffuse
    radiation going up; no scattering in the air.
    """
    upwelling = np.zeros_like(columns["air_pressure_at_interface"].values)
    downwelling = np.zeros_like(upwelling)
    air_mass = 35.0 / np.sqrt(1224.0 * columns["cosine_of_solar_zenith_angle"].values ** 2 + 1.0)
    for band in SHORTWAVE_BANDS:
        depth = optical_depth(columns, band)
        nothing = np.zeros_like(depth)
        down = _march_down(
            band.fraction * columns["toa_incoming_shortwave_flux"].values, np.exp(-air_mass[:, None] * depth), nothing
        )
        downwelling += down
        upwelling += _march_up(columns["surface_albedo"].values * down[:, -1], np.exp(-DIFFUSIVITY * depth), nothing)
    return upwelling, downwelling


def _march_down(at_top: Array, transmissivity: Array, emission: Array) -> Array:
    """Flux at every interface, from the top one down [W m-2] (column, interface)."""
    flux = [at_top]
    for k in range(transmissivity.shape[1]):
        flux.append(flux[-1] * transmissivity[:, k] + emission[:, k])
    return np.stack(flux, axis=1)


def _march_up(at_surface: Array, transmissivity: Array, emission: Array) -> Array:
    """Flux at every interface, from the surface up [W m-2] (column, interface)."""
    return _march_down(at_surface, transmissivity[:, ::-1], emission[:, ::-1])[:, ::-1]
