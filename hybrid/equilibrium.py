"""Radiative–convective equilibrium of a run of the host: is it one, and how does it look beside a moist adiabat."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from ..emulators.atomic import write_atomically
from ..emulators.data.netcdf import open_netcdf
from ..physics.constants import Constants
from ..physics.errors import EmagramError
from ..physics.thermodynamics import relative_humidity, saturation_specific_humidity
from .case import SECONDS_PER_DAY
from .figures import STYLE
from .host_output import read_budgets

Array = NDArray[np.float64]

PICTURE_NAME = "equilibrium.png"
TOP_SHOWN = 5.0  # hPa
STEPS_PER_LAYER = 20
"""Of the moist adiabat's integration."""
HEATING = {
    "longwave": ("longwave", "#0072B2"),
    "shortwave": ("shortwave", "#E69F00"),
    "surface": ("surface fluxes", "#56B4E9"),
    "boundary_layer": ("boundary layer", "#009E73"),
    "convection": ("convection", "#D55E00"),
    "microphysics": ("cloud and rain", "#CC79A7"),
}
"""Label and colour (Okabe and Ito) of each process."""


@dataclass(frozen=True)
class MeanProfiles:
    """Means over time and columns, (n_level): [Pa], [K], [kg kg-1], [K s-1] by process."""

    air_pressure: Array
    air_temperature: Array
    specific_humidity: Array
    heating: dict[str, Array]


def judge_equilibrium(folder: Path, days: int) -> dict[str, float]:
    """Imbalances over the last days of a run, and a picture `equilibrium.png` of its mean profiles.

    Returns:
        net downward flux at the top and at the surface [W m-2], surface temperature [K], precipitation and evaporation
        [mm day-1], all means over time and area.
    Raises:
        EmagramError: if the run is shorter, or its files are missing.
    """
    budgets = read_budgets(folder)
    if len(budgets["day"]) < days:
        raise EmagramError(f"run folder '{folder}': expected at least {days} days, got {len(budgets['day'])}")
    write_atomically(folder / PICTURE_NAME, draw_equilibrium(read_profiles(folder / "history.nc", days)))
    names = {
        "toa_imbalance_w_m2": "toa_net_downward_flux_w_m2",
        "surface_imbalance_w_m2": "surface_net_downward_flux_w_m2",
        "surface_temperature_k": "surface_temperature_k",
        "precipitation_mm_day": "precipitation_mm_day",
        "evaporation_mm_day": "evaporation_mm_day",
    }
    return {name: float(np.mean(budgets[column][-days:])) for name, column in names.items()}


def read_profiles(history: Path, days: int) -> MeanProfiles:
    """Mean profiles of the last days of a history file.

    Raises:
        EmagramError: if the file is missing or damaged.
    """
    with open_netcdf(history) as file:
        time = np.asarray(file.variables["time"][:])
        records = time > time[-1] - days

        def mean(name: str) -> Array:
            return np.asarray(file.variables[name][records].mean(axis=(0, 2)), dtype=np.float64)

        surface_pressure = float(np.mean(file.variables["surface_air_pressure"][:]))
        coefficients = (np.asarray(file.variables[name][:]) for name in ("hyai", "hybi"))
        a, b = coefficients
        interface = a * Constants().reference_pressure + b * surface_pressure
        heating = {process: mean(f"air_temperature_tendency_{process}") for process in HEATING}
        pressure = 0.5 * (interface[1:] + interface[:-1])
        return MeanProfiles(pressure, mean("air_temperature"), mean("specific_humidity"), heating)


def moist_adiabat(pressure: Array, temperature: float, humidity: float) -> Array:
    """Temperature of a parcel lifted from the lowest level: dry adiabat to saturation, pseudoadiabat above.

    dT/d ln p = κ T, or (Rd T + Lv q_s) / (cp + ε Lv² q_s / (Rd T²)) where saturated; fourth-order Runge–Kutta.

    Args:
        pressure: [Pa] (n_level), from the top.
        temperature: [K], humidity: [kg kg-1] of the lowest level.
    Returns:
        [K] (n_level).
    Source: Bohren and Albrecht 1998, Atmospheric Thermodynamics, Oxford University Press
    """
    result = np.empty_like(pressure)
    result[-1] = temperature
    for k in range(len(pressure) - 1, 0, -1):
        log_pressure, step = np.log(pressure[k]), np.log(pressure[k - 1] / pressure[k]) / STEPS_PER_LAYER
        for _ in range(STEPS_PER_LAYER):
            temperature += step * _mean_slope(log_pressure, temperature, humidity, step)
            log_pressure += step
        result[k - 1] = temperature
    return result


def _mean_slope(log_pressure: float, temperature: float, humidity: float, step: float) -> float:
    half = 0.5 * step
    first = _slope(log_pressure, temperature, humidity)
    second = _slope(log_pressure + half, temperature + half * first, humidity)
    third = _slope(log_pressure + half, temperature + half * second, humidity)
    fourth = _slope(log_pressure + step, temperature + step * third, humidity)
    return (first + 2.0 * second + 2.0 * third + fourth) / 6.0


def _slope(log_pressure: float, temperature: float, humidity: float) -> float:
    constants = Constants()
    rd, cp, lv = (
        constants.gas_constant_dry_air,
        constants.heat_capacity_dry_air,
        constants.latent_heat_vaporization,
    )
    pressure = torch.tensor(np.exp(log_pressure), dtype=torch.float64)
    saturation = float(saturation_specific_humidity(pressure, torch.tensor(temperature, dtype=torch.float64)))
    if humidity < saturation:
        return rd * temperature / cp
    return (rd * temperature + lv * saturation) / (cp + constants.epsilon * lv**2 * saturation / (rd * temperature**2))


def draw_equilibrium(profiles: MeanProfiles) -> bytes:
    """A PNG of three panels over pressure: temperature beside the adiabat, humidity, heating by each process."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11.0, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        temperature, humidity, heating = figure.subplots(1, 3, sharey=True)
        _draw_temperature(temperature, profiles)
        _draw_humidity(humidity, profiles)
        _draw_heating(heating, profiles)
        _pressure_axis(temperature, profiles)
        figure.legend(*heating.get_legend_handles_labels(), title="heating by", loc="outside right upper")
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=160)
    return stream.getvalue()


def _draw_temperature(panel: Axes, profiles: MeanProfiles) -> None:
    pressure = 0.01 * profiles.air_pressure
    adiabat = moist_adiabat(
        profiles.air_pressure, float(profiles.air_temperature[-1]), float(profiles.specific_humidity[-1])
    )
    above = adiabat > 150.0
    panel.plot(adiabat[above], pressure[above], "--", color="#5b6670", label="moist adiabat\nfrom the lowest level")
    panel.plot(profiles.air_temperature, pressure, color="#D55E00", label="equilibrium")
    panel.set(xlabel="temperature [K]", xlim=(150.0, 310.0))
    panel.legend(loc="upper right")


def _draw_humidity(panel: Axes, profiles: MeanProfiles) -> None:
    pressure = 0.01 * profiles.air_pressure
    relative = relative_humidity(
        *map(torch.from_numpy, (profiles.air_pressure, profiles.air_temperature, profiles.specific_humidity))
    )
    (amount,) = panel.plot(1e3 * profiles.specific_humidity, pressure, color="#0072B2")
    panel.set(xlabel="specific humidity [g kg$^{-1}$]", xscale="log", xlim=(1e-3, 30.0))
    other = panel.twiny()
    (share,) = other.plot(100.0 * relative.numpy(), pressure, ":", color="#009E73")
    other.set(xlabel="relative humidity [%]", xlim=(0.0, 105.0))
    other.grid(visible=False)
    panel.legend([amount, share], ["specific", "relative (upper axis)"], loc="upper right")


def _draw_heating(panel: Axes, profiles: MeanProfiles) -> None:
    pressure = 0.01 * profiles.air_pressure
    for process, (label, colour) in HEATING.items():
        panel.plot(SECONDS_PER_DAY * profiles.heating[process], pressure, color=colour, label=label)
    total = sum(profiles.heating.values(), np.zeros_like(pressure))
    panel.plot(SECONDS_PER_DAY * total, pressure, color="black", linewidth=1.0, label="sum")
    panel.set(xlabel="heating [K day$^{-1}$]", xlim=(-6.0, 6.0))


def _pressure_axis(panel: Axes, profiles: MeanProfiles) -> None:
    panel.set(yscale="log", ylabel="pressure [hPa]", ylim=(1.02 * float(0.01 * profiles.air_pressure[-1]), TOP_SHOWN))
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
