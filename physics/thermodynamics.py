"""Moist thermodynamics of air columns, differentiable, for any tensor shape.

Saturation follows the cloud-resolving model of E3SM-MMF, so that relative humidity means what it means in
ClimSim. Twins in physics/fortran/ and fortran_bridge/src/thermodynamics.hpp evaluate the same operations in the
same order; a test compares the three. The polynomials cancel several digits in the cold, so arithmetic is float64
inside and the dtype of the argument outside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .constants import Constants

TRIPLE_POINT = 273.16  # K, origin of the polynomials, above which cloud is liquid
FREEZING_POINT = 273.15  # K, above which saturation over ice is that over liquid
ALL_ICE = 253.16  # K, below which cloud is ice
COLDEST_POLYNOMIAL_ICE = 185.0  # K, below which the parabola continues the polynomial
LOWEST_LIQUID = -80.0  # K from the triple point; constant below
LOWEST_ICE = -100.0  # K from the triple point; constant below

# Flatau et al. 1992, table 4, right-hand column; [hPa K-n], n = 0 ... 8
LIQUID = (
    6.11239921,
    0.443987641,
    0.142986287e-1,
    0.264847430e-3,
    0.302950461e-5,
    0.206739458e-7,
    0.640689451e-10,
    -0.952447341e-13,
    -0.976195544e-15,
)
ICE = (
    6.11147274,
    0.503160820,
    0.188439774e-1,
    0.420895665e-3,
    0.615021634e-5,
    0.602588177e-7,
    0.385852041e-9,
    0.146898966e-11,
    0.252751365e-14,
)
COLD_ICE = (0.00763685, 0.000151069, 7.48215e-07)  # the continuation below 185 K in SAM; [hPa K-n]

E3SM = Constants()


def saturation_vapor_pressure_liquid(air_temperature: Tensor) -> Tensor:
    """Saturation vapour pressure over liquid water, e_s = 100 Σ a_n (T − 273.16)ⁿ, constant below 193.16 K.

    Args:
        air_temperature: [K], any shape.
    Returns:
        [Pa], same shape.
    Source: Flatau, Walko and Cotton 1992, table 4, doi:10.1175/1520-0450(1992)031<1507:PFTSVP>2.0.CO;2
    """
    return _liquid(air_temperature.double()).to(air_temperature.dtype)


def saturation_vapor_pressure_ice(air_temperature: Tensor) -> Tensor:
    """Saturation vapour pressure over ice, e_s = 100 Σ a_n (T − 273.16)ⁿ between 185 K and 273.15 K.

    Above, it is that over liquid water; below, a parabola, constant below 173.16 K. Within 0.2 % of Murphy and Koop
    2005 down to 210 K; up to 7 % off between 200 K and 174 K, with a jump of 6 % at 185 K: kept, because ClimSim
    and E3SM-MMF have it.

    Args:
        air_temperature: [K], any shape.
    Returns:
        [Pa], same shape.
    Source: Flatau, Walko and Cotton 1992, table 4, doi:10.1175/1520-0450(1992)031<1507:PFTSVP>2.0.CO;2; the cold
        continuation as in SAM (Khairoutdinov and Randall 2003, doi:10.1175/1520-0469(2003)060<0607:CRMOTA>2.0.CO;2)
    """
    return _ice(air_temperature.double()).to(air_temperature.dtype)


def saturation_vapor_pressure(air_temperature: Tensor) -> Tensor:
    """Mixed-phase saturation vapour pressure, e_s = ω e_liquid + (1 − ω) e_ice, ω = (T − 253.16) / 20 in [0, 1].

    Args:
        air_temperature: [K], any shape.
    Returns:
        [Pa], same shape.
    Source: as ClimSim (Yu et al. 2023, doi:10.48550/arXiv.2306.08754).
    """
    return _mixed(air_temperature.double()).to(air_temperature.dtype)


def liquid_fraction(air_temperature: Tensor) -> Tensor:
    """Liquid share of cloud, ω = (T − 253.16) / 20 in [0, 1], as ClimSim partitions cloud.

    Args:
        air_temperature: [K], any shape.
    Returns:
        [1], same shape.
    Source: the cloud-resolving model of E3SM-MMF, SAM (Khairoutdinov and Randall 2003,
        doi:10.1175/1520-0469(2003)060<0607:CRMOTA>2.0.CO;2).
    """
    return ((air_temperature - ALL_ICE) / (TRIPLE_POINT - ALL_ICE)).clamp(0.0, 1.0)


def vapor_pressure(air_pressure: Tensor, specific_humidity: Tensor, *, constants: Constants = E3SM) -> Tensor:
    """Partial pressure of water vapour, e = p q / (ε + (1 − ε) q).

    Args:
        air_pressure: [Pa], any shape.
        specific_humidity: [kg kg-1] of moist air, same shape.
    Returns:
        [Pa], same shape.
    """
    epsilon = constants.epsilon
    return air_pressure * specific_humidity / (epsilon + (1.0 - epsilon) * specific_humidity)


def relative_humidity(
    air_pressure: Tensor, air_temperature: Tensor, specific_humidity: Tensor, *, constants: Constants = E3SM
) -> Tensor:
    """Relative humidity, e / e_s with mixed-phase saturation; may exceed 1.

    ClimSim's own feature is q Rv p / (Rd e_s) with Rv = 461 and Rd = 287, up to 2 % different.

    Args:
        air_pressure: [Pa], any shape.
        air_temperature: [K], same shape.
        specific_humidity: [kg kg-1] of moist air, same shape.
    Returns:
        [1], same shape, dtype of `air_temperature`.
    """
    vapor = vapor_pressure(air_pressure.double(), specific_humidity.double(), constants=constants)
    return (vapor / _mixed(air_temperature.double())).to(air_temperature.dtype)


def saturation_specific_humidity(
    air_pressure: Tensor, air_temperature: Tensor, *, constants: Constants = E3SM
) -> Tensor:
    """Specific humidity at mixed-phase saturation, q_s = ε e_s / (p − (1 − ε) e_s), at most 1.

    Where e_s ≥ p the air cannot saturate: q_s is 1, pure vapour.

    Args:
        air_pressure: [Pa], any shape.
        air_temperature: [K], same shape.
    Returns:
        [kg kg-1] of moist air, same shape, dtype of `air_temperature`.
    """
    epsilon = constants.epsilon
    pressure = air_pressure.double()
    saturation = torch.minimum(_mixed(air_temperature.double()), pressure)
    humidity = epsilon * saturation / (pressure - (1.0 - epsilon) * saturation)
    return humidity.to(air_temperature.dtype)


def specific_humidity_from_mole_fraction(mole_fraction: Tensor, *, constants: Constants = E3SM) -> Tensor:
    """Specific humidity from the mole fraction x of water vapour in dry air, w = ε x, q = w / (1 + w).

    RRTMGP and RFMIP count water vapour per mole of dry air, x = n_v / n_d.

    Args:
        mole_fraction: [1] of dry air, any shape.
    Returns:
        [kg kg-1] of moist air, same shape.
    """
    mixing_ratio = constants.epsilon * mole_fraction
    return mixing_ratio / (1.0 + mixing_ratio)


def potential_temperature(air_pressure: Tensor, air_temperature: Tensor, *, constants: Constants = E3SM) -> Tensor:
    """Potential temperature, θ = T (p0 / p)^(Rd / cp).

    Args:
        air_pressure: [Pa], any shape.
        air_temperature: [K], same shape.
    Returns:
        [K], same shape.
    """
    exponent = constants.gas_constant_dry_air / constants.heat_capacity_dry_air
    return air_temperature * (constants.reference_pressure / air_pressure) ** exponent


def moist_static_energy(
    air_temperature: Tensor, specific_humidity: Tensor, height: Tensor, *, constants: Constants = E3SM
) -> Tensor:
    """Moist static energy, h = cp T + g z + Lv q.

    Args:
        air_temperature: [K], any shape.
        specific_humidity: [kg kg-1], same shape.
        height: [m], same shape.
    Returns:
        [J kg-1], same shape.
    """
    return (
        constants.heat_capacity_dry_air * air_temperature
        + constants.gravity * height
        + constants.latent_heat_vaporization * specific_humidity
    )


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """Σ a_n xⁿ as a_0 + x (a_1 + x (a_2 + …)), innermost first."""
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = coefficient + x * total
    return total


def _liquid(air_temperature: Tensor) -> Tensor:
    return 100.0 * _horner(LIQUID, (air_temperature - TRIPLE_POINT).clamp(min=LOWEST_LIQUID))


def _ice(air_temperature: Tensor) -> Tensor:
    departure = air_temperature - TRIPLE_POINT
    cold = 100.0 * _horner(COLD_ICE, departure.clamp(min=LOWEST_ICE))
    warm = torch.where(air_temperature > FREEZING_POINT, _liquid(air_temperature), 100.0 * _horner(ICE, departure))
    return torch.where(air_temperature > COLDEST_POLYNOMIAL_ICE, warm, cold)


def _mixed(air_temperature: Tensor) -> Tensor:
    share = liquid_fraction(air_temperature)
    return share * _liquid(air_temperature) + (1.0 - share) * _ice(air_temperature)
