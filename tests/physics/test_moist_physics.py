"""Convection and microphysics together: radiative-convective equilibrium, and real columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emagram.physics.fortran_physics.convection import convection
from emagram.physics.fortran_physics.microphysics import microphysics
from emagram.physics.fortran_physics.parcel import parcel_ascent
from moist_columns import (
    CONSTANTS,
    CP,
    ENERGY_TOLERANCE,
    LF,
    RD,
    WATER_TOLERANCE,
    Array,
    Columns,
    energy_gain,
    interfaces,
    saturation,
    water_gain,
)

DAY = 86400.0


@dataclass
class Equilibrium:
    """A column over an ocean of 300 K that loses 1.5 K a day below a stratosphere of 200 K, as in Pauluis and Garner
    2006, doi:10.1175/JAS3705.1, with its three lowest layers mixed within an hour.
    """

    time_step: float
    columns: Columns
    evaporation: list[float] = field(default_factory=list)  # [kg m-2 s-1]
    precipitation: list[float] = field(default_factory=list)  # [kg m-2 s-1]

    def run(self, days: float) -> None:
        for _ in range(int(days * DAY / self.time_step)):
            self.force()
            precipitation = 0.0
            for process, state in ((convection, "clear"), (microphysics, "cloudy")):
                arguments = getattr(self.columns, state)
                got = process(self.columns.pressure_interface, time_step=self.time_step, **arguments)
                self.columns = self.columns.step(got._asdict(), self.time_step)
                precipitation += float((got.rain + got.snow).ravel()[-1])
            self.precipitation.append(precipitation)

    def force(self) -> None:
        """Cool, evaporate and mix, in place."""
        columns, dt = self.columns, self.time_step
        temperature, humidity, mass = columns.air_temperature, columns.specific_humidity, columns.mass
        cooling = np.where(temperature > 207.5, -1.5, (200.0 - temperature) / 5.0)
        temperature += cooling / DAY * dt
        exner = (columns.pressure / 1.0e5) ** (RD / CP)
        exchange = columns.pressure[0, -1] / (RD * temperature[0, -1]) * 1.2e-3 * 5.0
        evaporation = exchange * (float(saturation(1.0e5, 300.0)) - humidity[0, -1])
        humidity[0, -1] += evaporation * dt / mass[0, -1]
        temperature[0, -1] += exchange * (300.0 - temperature[0, -1] / exner[0, -1]) * dt / mass[0, -1]
        share, low = 1.0 - np.exp(-dt / 3600.0), (slice(None), slice(-3, None))
        theta = np.average(temperature[low] / exner[low], weights=(mass * exner)[low])
        temperature[low] += share * (theta * exner[low] - temperature[low])
        humidity[low] += share * (np.average(humidity[low], weights=mass[low]) - humidity[low])
        self.evaporation.append(float(evaporation))


def water(columns: Columns) -> float:
    """[kg m-2]."""
    everything = columns.specific_humidity + columns.cloud_liquid + columns.cloud_ice
    return float((everything * columns.mass).sum())


@pytest.mark.parametrize("time_step", [600.0, 1800.0])
def test_radiative_convective_equilibrium_is_moist_adiabatic(time_step: float) -> None:
    pressure_interface = interfaces(np.array([1.0e5]), 60)
    pressure = 0.5 * (pressure_interface[:, 1:] + pressure_interface[:, :-1])
    air_temperature = np.maximum(298.0 * (pressure / 1.0e5) ** 0.18, 200.0)
    humidity = np.where(pressure > 1.0e4, 0.8 * saturation(pressure, air_temperature), 3.0e-6)
    none = np.zeros_like(pressure)
    run = Equilibrium(time_step, Columns(pressure_interface, air_temperature, humidity, none, none.copy()))
    run.run(40.0)
    before = water(run.columns)
    start = len(run.precipitation)
    run.run(20.0)
    evaporation, precipitation = (np.array(flux[start:]) for flux in (run.evaporation, run.precipitation))

    change = water(run.columns) - before
    assert change == pytest.approx(float((evaporation - precipitation).sum()) * time_step, abs=1e-9)
    assert precipitation.mean() == pytest.approx(evaporation.mean(), rel=0.05)
    # 1.5 K a day of the troposphere are 150 W m-2, 5 mm a day
    assert 4.0 < precipitation.mean() * DAY < 6.5
    temperature = run.columns.air_temperature
    parcel = parcel_ascent(
        pressure, air_temperature=temperature[:, -1], specific_humidity=run.columns.specific_humidity[:, -1]
    )
    troposphere = (pressure > 2.5e4) & (pressure < 9.0e4)
    assert np.abs(parcel.air_temperature - temperature)[troposphere].max() < 3.0
    relative_humidity = (run.columns.specific_humidity / saturation(pressure, temperature))[troposphere]
    assert relative_humidity.min() > 0.7
    assert relative_humidity.max() <= 1.0 + 1e-9


def rfmip_columns(folder: Path) -> tuple[Columns, Array]:
    """The RFMIP columns of all climates, and their surface temperature [K]."""
    (file,) = (folder / "rfmip").glob("multiple_input4MIPs_*.nc")
    with xr.open_dataset(file) as data:
        n_climate, n_site = data.sizes["expt"], data.sizes["site"]
        shape = (n_climate * n_site, -1)
        edges = np.broadcast_to(data.pres_level.values[None], (n_climate, *data.pres_level.shape))
        dry_ratio = CONSTANTS.epsilon * data.water_vapor.values.reshape(shape).astype(np.float64)
        surface_temperature = data.surface_temperature.values.ravel().astype(np.float64)
        air_temperature = data.temp_layer.values.reshape(shape).astype(np.float64)
    none = np.zeros_like(air_temperature)
    pressure_interface = edges.reshape(shape).astype(np.float64)
    humidity = dry_ratio / (1.0 + dry_ratio)
    return Columns(pressure_interface, air_temperature, humidity, none, none.copy()), surface_temperature


@pytest.mark.real_data
def test_real_columns_convect_where_it_is_warm_and_close_everywhere(real_data: Path) -> None:
    columns, surface_temperature = rfmip_columns(real_data)
    deep = convection(columns.pressure_interface, time_step=1200.0, **columns.clear)
    rates = deep._asdict()
    assert np.abs(water_gain(columns, rates).sum(axis=1) + deep.rain + deep.snow).max() <= WATER_TOLERANCE
    assert np.abs(energy_gain(columns, rates).sum(axis=1) + LF * deep.rain).max() <= ENERGY_TOLERANCE
    fall = DAY * (deep.rain + deep.snow)
    assert fall.max() < 300.0
    warm, cold = surface_temperature > 295.0, surface_temperature < 273.0
    assert fall[warm].mean() > 2.0 * fall[cold].mean()
    assert not deep.rain[columns.air_temperature[:, -8:].max(axis=1) < 273.16].any()

    after = columns.step(rates, 1200.0)
    large = microphysics(after.pressure_interface, time_step=1200.0, **after.cloudy)
    water_left = water_gain(after, large._asdict()) + np.diff(large.rain + large.snow)
    energy_left = energy_gain(after, large._asdict()) + LF * np.diff(large.rain)
    assert np.abs(water_left.sum(axis=1)).max() <= WATER_TOLERANCE
    assert np.abs(energy_left.sum(axis=1)).max() <= ENERGY_TOLERANCE
    last = after.step(large._asdict(), 1200.0)
    saturated = saturation(columns.pressure, last.air_temperature)
    assert (last.specific_humidity <= saturated * (1.0 + 1e-9) + 1e-16).all()
