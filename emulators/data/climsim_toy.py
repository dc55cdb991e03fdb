"""A tiny stand-in for ClimSim's files that needs no data: a known function of the column, closed in water and energy.

Nobody's climate: smooth profiles that a simple physics changes every step. What it offers to tests is that `mlo` is
exactly `mli` plus time step × `toy_physics(mli)`, that this is a smooth function a network can learn, and that the
budgets of water, energy and surface sunlight close to round-off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from ...physics.constants import Constants
from ...physics.thermodynamics import liquid_fraction, saturation_specific_humidity
from .climsim_grid import ColumnGrid

Array = NDArray[np.float64]
RawStep = dict[str, dict[str, Array]]
"""`mli` and `mlo`: variables of one step by ClimSim name, (n_column,) or (n_column, n_level), level 0 at the top."""

TIME_STEP = 1200.0  # s
SOLAR_CONSTANT = 1361.0  # W m-2
NO_ICE_SNOW = 1.0e30  # m, what ClimSim has for snow on sea ice where there is none
STATE = ("state_t", "state_q0001", "state_q0002", "state_q0003", "state_u", "state_v")

_SATURATED = 0.8  # relative humidity above which vapour condenses
_CONDENSATION_TIME = 7200.0  # s
_FALL_TIME = 5400.0  # s, of cloud that precipitates
_DRAG_TIME = 2.0e5  # s
_RELAXATION_TIME = 4.0e4  # s, of the forcing towards the climate
_DAY = 86400.0
_TRACE_GASES = {"pbuf_ozone": 4.0e-8, "pbuf_CH4": 9.99e-7, "pbuf_N2O": 4.91e-7}


def toy_climsim(
    grid: ColumnGrid, n_step: int, seed: int, *, time_step: float = TIME_STEP, constants: Constants | None = None
) -> Iterator[RawStep]:
    """Successive steps of all columns.

    Args:
        grid: of the columns.
        n_step: number of steps.
        seed: of the weather.
        time_step: [s].
        constants: of the physics, E3SM's unless given.
    Yields:
        `mli` and `mlo` of each step, float64, every variable of ClimSim's files and `cam_out_FSNT`, `cam_out_FLUT`.
    """
    constants = constants or Constants()
    random = np.random.Generator(np.random.PCG64(seed))
    surface = _surface(grid, random)
    pressure = _pressure(grid, surface["state_ps"])
    climate = _climate(grid, pressure, constants)
    state = _stir(climate, random, 1.0)
    for step in range(n_step):
        mli = state | surface | _sun(grid, step * time_step) | _gases(pressure) | {"state_pmid": pressure}
        mlo = _step(mli, grid, time_step, constants)
        yield {"mli": {k: v.copy() for k, v in mli.items()}, "mlo": mlo}
        share = time_step / _RELAXATION_TIME
        target = _stir(climate, random, 2.0)
        state = {name: mlo[name] + share * (target[name] - mlo[name]) for name in STATE}


def toy_physics(
    mli: Mapping[str, Array], grid: ColumnGrid, *, time_step: float = TIME_STEP, constants: Constants | None = None
) -> dict[str, Array]:
    """What the toy's physics does to columns: tendencies `ptend_*` [per s] and fluxes `cam_out_*`.

    Vapour beyond 80 % relative humidity condenses, cloud falls out, air radiates and absorbs sunlight, wind slows and
    its energy heats. Each process conserves water and energy, so that over the layers of mass Δp / g
    Σ (dq1 + dq2 + dq3) = −P and Σ (cp dT + (Lv + Lf) dq1 + Lf dq2 + dK) = −Lf (P − S) + R, R the radiation.
    """
    constants = constants or Constants()
    mass = grid.coordinate.layer_thickness(torch.from_numpy(mli["state_ps"])).numpy() / constants.gravity
    tendencies, fluxes = _water(mli, mass, constants)
    heating, radiation = _radiation(mli, mass, constants)
    for wind in ("u", "v"):
        slowing = -mli[f"state_{wind}"] / _DRAG_TIME
        tendencies[f"ptend_{wind}"] = slowing
        kinetic = slowing * (mli[f"state_{wind}"] + 0.5 * time_step * slowing)
        heating = heating - kinetic / constants.heat_capacity_dry_air
    tendencies["ptend_t"] = tendencies["ptend_t"] + heating
    return tendencies | fluxes | radiation


def _step(mli: dict[str, Array], grid: ColumnGrid, time_step: float, constants: Constants) -> dict[str, Array]:
    physics = toy_physics(mli, grid, time_step=time_step, constants=constants)
    after = {name: mli[name] + time_step * physics[name.replace("state", "ptend")] for name in STATE}
    return after | {name: value for name, value in physics.items() if name.startswith("cam_out_")}


def _water(mli: Mapping[str, Array], mass: Array, constants: Constants) -> tuple[dict[str, Array], dict[str, Array]]:
    """Condensation into liquid and ice by temperature, and their fall to the ground."""
    temperature, vapour = mli["state_t"], mli["state_q0001"]
    saturation = _saturation(mli["state_pmid"], temperature, constants)
    condensing = np.maximum(vapour - _SATURATED * saturation, 0.0) / _CONDENSATION_TIME
    liquid_share = liquid_fraction(torch.from_numpy(temperature)).numpy()
    rain, snow = mli["state_q0002"] / _FALL_TIME, mli["state_q0003"] / _FALL_TIME
    liquid, ice = liquid_share * condensing, (1.0 - liquid_share) * condensing
    latent = constants.latent_heat_vaporization * condensing + constants.latent_heat_fusion * ice
    tendencies = {
        "ptend_t": latent / constants.heat_capacity_dry_air,
        "ptend_q0001": -condensing,
        "ptend_q0002": liquid - rain,
        "ptend_q0003": ice - snow,
    }
    depth = mass / constants.density_liquid_water
    fluxes = {"cam_out_PRECC": ((rain + snow) * depth).sum(axis=1), "cam_out_PRECSC": (snow * depth).sum(axis=1)}
    return tendencies, fluxes


def _radiation(mli: Mapping[str, Array], mass: Array, constants: Constants) -> tuple[Array, dict[str, Array]]:
    """Heating [K s-1] and fluxes: cooling to space by temperature, a share of the sunlight absorbed evenly."""
    capacity = constants.heat_capacity_dry_air
    temperature, pressure = mli["state_t"], mli["state_pmid"]
    cooling = 2.0 / _DAY * (temperature / 260.0) ** 4 * pressure / (pressure + 1.0e4)
    absorbed = 0.2 * mli["pbuf_SOLIN"]
    heating = (absorbed / (capacity * mass.sum(axis=1)))[:, None] - cooling
    cloud = ((mli["state_q0002"] + mli["state_q0003"]) * mass).sum(axis=1)
    reaching = 0.75 * mli["pbuf_SOLIN"] / (1.0 + 4.0 * cloud)
    albedo = {"SOLS": "ASDIR", "SOLL": "ALDIR", "SOLSD": "ASDIF", "SOLLD": "ALDIF"}
    share = {"SOLS": 0.3, "SOLL": 0.35, "SOLSD": 0.2, "SOLLD": 0.15}
    sunlight = {f"cam_out_{name}": share[name] * reaching for name in share}
    net = sum(sunlight[f"cam_out_{s}"] * (1.0 - mli[f"cam_in_{a}"]) for s, a in albedo.items()) + 0.0 * reaching
    down = 0.85 * constants.stefan_boltzmann * temperature[:, -1] ** 4
    outgoing = mli["cam_in_LWUP"] - down + (capacity * cooling * mass).sum(axis=1)
    fluxes = {"cam_out_NETSW": net, "cam_out_FLWDS": down, "cam_out_FSNT": net + absorbed, "cam_out_FLUT": outgoing}
    return heating, sunlight | fluxes


def _climate(grid: ColumnGrid, pressure: Array, constants: Constants) -> dict[str, Array]:
    """A warm, moist equator, cold poles, a dry isothermal stratosphere and westerly jets."""
    sine = np.sin(np.deg2rad(grid.latitude))[:, None]
    sigma = pressure / constants.reference_pressure
    temperature = np.maximum((300.0 - 45.0 * sine**2) * sigma**0.19, 205.0)
    humidity = 0.85 * sigma * (1.0 - 0.3 * sine**2)
    vapour = np.maximum(humidity * _saturation(pressure, temperature, constants), 2.0e-6)
    zonal = 60.0 * sine**2 * (1.0 - sine**2) * 4.0 * (1.0 - sigma) - 5.0 * (1.0 - sine**2)
    nothing = np.zeros_like(temperature)
    states = (temperature, vapour, nothing, nothing, zonal, nothing)
    return dict(zip(STATE, states, strict=True))


def _stir(climate: Mapping[str, Array], random: np.random.Generator, strength: float) -> dict[str, Array]:
    """Smooth weather upon the climate: a few waves over the depth of each column; water stays positive."""
    shape = climate["state_t"].shape
    depth = (np.arange(shape[1]) + 0.5) / shape[1]
    waves = np.stack([np.cos(math.pi * n * depth) / (1 + n) for n in range(4)])
    wave = {name: strength * random.standard_normal((shape[0], 4)) @ waves for name in ("t", "q", "u", "v")}
    state = {name: value.copy() for name, value in climate.items()}
    state["state_t"] += 2.0 * wave["t"]
    state["state_q0001"] *= np.exp(0.2 * wave["q"])
    state["state_u"] += 4.0 * wave["u"]
    state["state_v"] += 4.0 * wave["v"]
    return state


def _surface(grid: ColumnGrid, random: np.random.Generator) -> dict[str, Array]:
    """Conditions below the columns, constant in time; poleward of 60° the sea is frozen."""
    n = grid.n_column
    sine = np.abs(np.sin(np.deg2rad(grid.latitude)))
    land = (random.random(n) < 0.3).astype(np.float64)
    ice = np.where((sine > 0.866) & (land == 0.0), 0.8, 0.0)
    albedo = 0.07 + 0.15 * land + 0.5 * ice
    surface = {
        "state_ps": np.clip(9.9e4 + 1500.0 * random.standard_normal(n) - 8.0e3 * land, 6.0e4, 1.05e5),
        "pbuf_LHFLX": 130.0 * (1.0 - sine) * (1.0 - 0.5 * land),
        "pbuf_SHFLX": 15.0 + 15.0 * land,
        "pbuf_TAUX": 0.05 * random.standard_normal(n),
        "pbuf_TAUY": 0.05 * random.standard_normal(n),
        "cam_in_LWUP": 5.67e-8 * (302.0 - 45.0 * sine**2) ** 4,
        "cam_in_ICEFRAC": ice,
        "cam_in_LANDFRAC": land,
        "cam_in_OCNFRAC": 1.0 - land - ice,
        "cam_in_SNOWHICE": np.where(ice > 0.0, 0.02, NO_ICE_SNOW),
        "cam_in_SNOWHLAND": 0.1 * land * sine**4,
    }
    factors = {"ALDIF": 1.1, "ALDIR": 1.0, "ASDIF": 0.9, "ASDIR": 0.8}
    return surface | {f"cam_in_{name}": factor * albedo for name, factor in factors.items()}


def _sun(grid: ColumnGrid, seconds: float) -> dict[str, Array]:
    """Sunlight at the top of the air on an equinox."""
    hour = np.deg2rad(grid.longitude) + 2.0 * math.pi * seconds / _DAY - math.pi
    cosine = np.maximum(np.cos(np.deg2rad(grid.latitude)) * np.cos(hour), 0.0)
    return {"pbuf_COSZRS": cosine, "pbuf_SOLIN": SOLAR_CONSTANT * cosine}


def _gases(pressure: Array) -> dict[str, Array]:
    """Ozone with its layer at 10 hPa, methane and nitrous oxide that vanish in the stratosphere, mass fractions."""
    layer = 1.2e-5 * np.exp(-((np.log(pressure / 1.0e3)) ** 2) / 2.0)
    gases = {name: value * pressure / (pressure + 2.0e3) for name, value in _TRACE_GASES.items()}
    return gases | {"pbuf_ozone": gases["pbuf_ozone"] + layer}


def _pressure(grid: ColumnGrid, surface_pressure: Array) -> Array:
    interface = grid.coordinate.interface_pressure(torch.from_numpy(surface_pressure)).numpy()
    return np.asarray(0.5 * (interface[:, 1:] + interface[:, :-1]))


def _saturation(pressure: Array, temperature: Array, constants: Constants) -> Array:
    saturation = saturation_specific_humidity(
        torch.from_numpy(pressure), torch.from_numpy(temperature), constants=constants
    )
    return np.asarray(saturation.numpy())
