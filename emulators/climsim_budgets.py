"""Column budgets of ClimSim's outputs, of a prediction as of the truth: what closes, what is bounded, by how much not.

Outputs are rates of a time step; P = ρw · lwe_precipitation_rate and S = ρw · lwe_snowfall_rate [kg m⁻² s⁻¹], Δp of the
moist layers. A to D are the names of the budgets in Emagram. Level 0 is the model top.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..physics.budgets import column_integral
from ..physics.constants import Constants
from ..physics.thermodynamics import liquid_fraction

LARGEST_OLR = 400.0
"""[W m-2], taken as the largest outgoing longwave flux; clear sky over hot deserts reaches about 350."""

HEATING = "tendency_of_air_temperature_due_to_model_physics"
VAPOR = "tendency_of_specific_humidity_due_to_model_physics"
LIQUID = "tendency_of_mass_fraction_of_cloud_liquid_water_in_air_due_to_model_physics"
ICE = "tendency_of_mass_fraction_of_cloud_ice_in_air_due_to_model_physics"
CLOUD = "tendency_of_mass_fraction_of_cloud_condensed_water_in_air_due_to_model_physics"
WINDS = (
    ("eastward_wind", "tendency_of_eastward_wind_due_to_model_physics"),
    ("northward_wind", "tendency_of_northward_wind_due_to_model_physics"),
)
WATERS = (
    ("specific_humidity", VAPOR),
    ("mass_fraction_of_cloud_liquid_water_in_air", LIQUID),
    ("mass_fraction_of_cloud_ice_in_air", ICE),
)
RAIN_AND_SNOW, SNOW = "lwe_precipitation_rate", "lwe_snowfall_rate"
NET_SHORTWAVE = "surface_net_downward_shortwave_flux"
LONGWAVE_DOWN, LONGWAVE_UP = "surface_downwelling_longwave_flux_in_air", "surface_upwelling_longwave_flux_in_air"
TOA_SHORTWAVE, OLR = "toa_net_downward_shortwave_flux", "toa_outgoing_longwave_flux"
SUNLIGHT = "toa_incoming_shortwave_flux"
BANDS = {
    f"surface_downwelling_{band}_flux_in_air": f"surface_albedo_for_{band}_radiation"
    for band in ("direct_visible", "direct_near_infrared", "diffuse_visible", "diffuse_near_infrared")
}
"""Sunlight onto the surface (SOLS, SOLL, SOLSD, SOLLD), and the albedo for it."""


@dataclass(frozen=True)
class ColumnState:
    """Columns before physics with the outputs for them, and what budgets need besides.

    Args:
        fields: inputs and outputs by name, (n_column,) or (n_column, n_level).
        interface_pressure: [Pa] (n_column, n_level + 1).
        constants: of the host or data set.
        time_step: [s] of the rates.
    """

    fields: Mapping[str, Tensor]
    interface_pressure: Tensor
    constants: Constants
    time_step: float

    def __getitem__(self, name: str) -> Tensor:
        return self.fields[name].double()

    def integral(self, rate: Tensor) -> Tensor:
        """Σ x Δp / g [x kg m-2] (n_column,)."""
        return column_integral(rate, self.interface_pressure, constants=self.constants)

    def mass_flux(self, name: str) -> Tensor:
        """A depth of water per time as [kg m-2 s-1] (n_column,)."""
        return self[name] * self.constants.density_liquid_water


@dataclass(frozen=True)
class Budget:
    """One quantity per column that vanishes where the budget holds: a signed residual, or the size of a violation.

    Args:
        name: as reported.
        unit: of the residual.
        threshold: [unit]; columns above it in magnitude are counted.
        needs: names of inputs and outputs without which it cannot be told.
        residual: (n_column,), float64.
        signed: False for the size of a violation, which is never negative.
    """

    name: str
    unit: str
    threshold: float
    needs: tuple[str, ...]
    residual: Callable[[ColumnState], Tensor]
    signed: bool = True


def water_residual(state: ColumnState) -> Tensor:
    """A, water: r = Σ(dq1 + dq2 + dq3)Δp/g + P [kg m-2 s-1].

    Evaporation enters before the interval, so no latent heat flux. Data with hidden precipitating water do not close
    in each sample, only on average.
    """
    return state.integral(state[VAPOR] + state[LIQUID] + state[ICE]) + state.mass_flux(RAIN_AND_SNOW)


def energy_source(state: ColumnState) -> Tensor:
    """E = Σ[cp dT + (Lv + Lf) dq1 + Lf dq2 + dKE]Δp/g + Lf (P − S) [W m-2], what radiation must have supplied.

    dKE = Σ over u and v of (u + ½ Δt du) du, exact for a step Δt.
    """
    constants = state.constants
    fusion = constants.latent_heat_fusion
    rate = constants.heat_capacity_dry_air * state[HEATING]
    rate = rate + (constants.latent_heat_vaporization + fusion) * state[VAPOR] + fusion * state[LIQUID]
    for wind, tendency in WINDS:
        rate = rate + (state[wind] + 0.5 * state.time_step * state[tendency]) * state[tendency]
    return state.integral(rate) + fusion * (state.mass_flux(RAIN_AND_SNOW) - state.mass_flux(SNOW))


def surface_radiation(state: ColumnState) -> Tensor:
    """Net radiation into the surface, NETSW − (LWUP − FLWDS) [W m-2] (n_column,)."""
    return state[NET_SHORTWAVE] - (state[LONGWAVE_UP] - state[LONGWAVE_DOWN])


def energy_residual(state: ColumnState) -> Tensor:
    """B, frozen moist static energy: r = E − R_net [W m-2], R_net = FSNT − FLUT − NETSW + (LWUP − FLWDS)."""
    return energy_source(state) - (state[TOA_SHORTWAVE] - state[OLR] - surface_radiation(state))


def diagnosed_toa_radiation(state: ColumnState) -> Tensor:
    """R_toa = E + NETSW − (LWUP − FLWDS) [W m-2], the net radiation at the top that would close B."""
    return energy_source(state) + surface_radiation(state)


def shortwave_residual(state: ColumnState) -> Tensor:
    """C, surface shortwave: r = NETSW − Σ SOL (1 − albedo) over the four bands [W m-2]."""
    absorbed = [state[band] * (1.0 - state[albedo]) for band, albedo in BANDS.items()]
    return state[NET_SHORTWAVE] - torch.stack(absorbed).sum(dim=0)


def _sunlight_at_surface(state: ColumnState) -> Tensor:
    return torch.stack([state[band] for band in BANDS]).sum(dim=0)


def _negative_sunlight(state: ColumnState) -> Tensor:
    return torch.stack([(-state[band]).clamp(min=0.0) for band in BANDS]).sum(dim=0)


def _sunlight_at_night(state: ColumnState) -> Tensor:
    largest = torch.stack([state[name].abs() for name in (NET_SHORTWAVE, *BANDS)]).amax(dim=0)
    return torch.where(state[SUNLIGHT] <= 0.0, largest, 0.0)


def _below_zero(water: str, tendency: str) -> Callable[[ColumnState], Tensor]:
    def deficit(state: ColumnState) -> Tensor:
        # water that was negative before is not the emulator's doing
        after = state[water].clamp(min=0.0) + state.time_step * state[tendency]
        return state.integral((-after).clamp(min=0.0))

    return deficit


def _after(state: ColumnState, name: str, tendency: str) -> Tensor:
    return state[name] + state.time_step * state[tendency]


def _misplaced_cloud(state: ColumnState) -> Tensor:
    """Σ|ql − f(T)(ql + qi)|Δp/g after the step [kg m-2]."""
    liquid, ice = (_after(state, *names) for names in WATERS[1:])
    fraction = liquid_fraction(_after(state, "air_temperature", HEATING))
    return state.integral((liquid - fraction * (liquid + ice)).abs())


def split_cloud(state: ColumnState) -> ColumnState:
    """The same columns with tendencies of liquid and ice from that of their sum, for sets with one cloud tendency.

    The cloud after the step, ql + qi + Δt dqn, is split by f(T + Δt dT). Unchanged where both are there already, or
    where a field for it is missing.
    """
    needed = ("air_temperature", HEATING, CLOUD, WATERS[1][0], WATERS[2][0])
    if {LIQUID, ICE} <= set(state.fields) or not set(needed) <= set(state.fields):
        return state
    liquid, ice = state[WATERS[1][0]], state[WATERS[2][0]]
    fraction = liquid_fraction(_after(state, "air_temperature", HEATING))
    change = fraction * (liquid + ice + state.time_step * state[CLOUD]) - liquid
    phases = {LIQUID: change / state.time_step, ICE: state[CLOUD] - change / state.time_step}
    return replace(state, fields={**state.fields, **phases})


_SOURCE = (
    *(name for pair in WINDS for name in pair),
    HEATING,
    VAPOR,
    LIQUID,
    RAIN_AND_SNOW,
    SNOW,
    NET_SHORTWAVE,
    LONGWAVE_DOWN,
    LONGWAVE_UP,
)
_CLEAR = 1.0e-6  # W m-2, above the rounding of fluxes
_MASS = 1.0e-9  # kg m-2, likewise of water paths

BUDGETS: tuple[Budget, ...] = (
    # 4e-7 kg m-2 s-1 condensed release 1 W m-2
    Budget("A_water", "kg m-2 s-1", 4.0e-7, (VAPOR, LIQUID, ICE, RAIN_AND_SNOW), water_residual),
    Budget("B_energy", "W m-2", 1.0, (*_SOURCE, TOA_SHORTWAVE, OLR), energy_residual),
    Budget("B_diagnosed_toa_radiation", "W m-2", math.inf, _SOURCE, diagnosed_toa_radiation),
    Budget(
        "B_toa_radiation_above_sunlight", "W m-2", 1.0, (*_SOURCE, SUNLIGHT),
        lambda s: (diagnosed_toa_radiation(s) - s[SUNLIGHT]).clamp(min=0.0), signed=False,
    ),
    Budget(
        "B_toa_radiation_below_largest_olr", "W m-2", 1.0, _SOURCE,
        lambda s: (-LARGEST_OLR - diagnosed_toa_radiation(s)).clamp(min=0.0), signed=False,
    ),
    Budget("C_surface_shortwave", "W m-2", 1.0, (NET_SHORTWAVE, *BANDS, *BANDS.values()), shortwave_residual),
    Budget(
        "D_negative_snowfall", "kg m-2 s-1", 1.0e-12, (SNOW,),
        lambda s: (-s.mass_flux(SNOW)).clamp(min=0.0), signed=False,
    ),
    Budget(
        "D_snowfall_above_precipitation", "kg m-2 s-1", 1.0e-12, (SNOW, RAIN_AND_SNOW),
        lambda s: (s.mass_flux(SNOW) - s.mass_flux(RAIN_AND_SNOW)).clamp(min=0.0), signed=False,
    ),
    Budget("D_negative_sunlight", "W m-2", _CLEAR, tuple(BANDS), _negative_sunlight, signed=False),
    Budget(
        "D_sunlight_above_toa", "W m-2", _CLEAR, (SUNLIGHT, *BANDS),
        lambda s: (_sunlight_at_surface(s) - s[SUNLIGHT].clamp(min=0.0)).clamp(min=0.0), signed=False,
    ),
    Budget(
        "D_net_above_downwelling_sunlight", "W m-2", _CLEAR, (NET_SHORTWAVE, *BANDS),
        lambda s: (s[NET_SHORTWAVE] - _sunlight_at_surface(s)).clamp(min=0.0), signed=False,
    ),
    Budget("D_sunlight_at_night", "W m-2", _CLEAR, (SUNLIGHT, NET_SHORTWAVE, *BANDS), _sunlight_at_night, signed=False),
    *(
        Budget(f"D_negative_{label}", "kg m-2", _MASS, names, _below_zero(*names), signed=False)
        for label, names in zip(("vapor", "cloud_liquid", "cloud_ice"), WATERS, strict=True)
    ),
    Budget(
        "D_cloud_phase", "kg m-2", _MASS, ("air_temperature", HEATING, *WATERS[1], *WATERS[2]),
        _misplaced_cloud, signed=False,
    ),
)  # fmt: skip


def column_budgets(state: ColumnState) -> dict[str, Tensor]:
    """Residual of every budget that the fields allow, by name, (n_column,), float64."""
    whole = split_cloud(state)
    return {b.name: b.residual(whole) for b in BUDGETS if not missing_fields(b, state)}


def missing_fields(budget: Budget, state: ColumnState) -> tuple[str, ...]:
    """Names that a budget needs and the columns lack; cloud phases that `split_cloud` gives count as there."""
    # a phase that was put in by rule cannot be checked against the rule
    fields = state.fields if budget.name == "D_cloud_phase" else split_cloud(state).fields
    return tuple(name for name in budget.needs if name not in fields)
