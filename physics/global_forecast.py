"""A global forecast closed: dry mass, water and energy of the globe before and after a step against its fluxes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from .constants import Constants
from .errors import EmagramError
from .global_fixers import Correction, fix_dry_mass, fix_energy, fix_water
from .globe import Globe, column_sum
from .vertical import HybridCoordinate

E3SM = Constants()
BUDGETS = {"dry_mass": "Pa", "water": "kg m-2 s-1", "energy": "W m-2"}
"""What can be closed, in that order, and the units of the residuals."""


@dataclass(frozen=True, eq=False)
class GlobalState:
    """The atmosphere over all columns of a globe, in any layout of columns.

    Attributes:
        surface_pressure: [Pa] (*columns); surface_geopotential: [m2 s-2] (*columns).
        air_temperature: [K]; specific_humidity, cloud_liquid, cloud_ice: [kg kg-1]; eastward_wind, northward_wind:
            [m s-1]; (*columns, n_level).
    Raises:
        EmagramError: if a shape does not fit that of the temperature.
    """

    surface_pressure: Tensor
    surface_geopotential: Tensor
    air_temperature: Tensor
    specific_humidity: Tensor
    cloud_liquid: Tensor
    cloud_ice: Tensor
    eastward_wind: Tensor
    northward_wind: Tensor

    def __post_init__(self) -> None:
        layers = tuple(self.air_temperature.shape)
        for field in fields(self):
            shape = tuple(getattr(self, field.name).shape)
            expected = layers[:-1] if field.name.startswith("surface") else layers
            if shape != expected:
                raise EmagramError(f"field '{field.name}': expected shape {expected}, got {shape}")

    @property
    def water(self) -> Tensor:
        """All water [kg kg-1] (*columns, n_level), float64."""
        return self.specific_humidity.double() + self.cloud_liquid.double() + self.cloud_ice.double()


@dataclass(frozen=True, eq=False)
class Forecast:
    """A step of the whole globe, whatever computed it.

    Attributes:
        before, after: states at the begin and the end.
        water_input: E − P [kg m-2 s-1] (*columns), mean over the step.
        energy_input: R_net + SHF + (Lv + Lf) E − Lf (P − S) [W m-2] (*columns), mean over the step, counted from ice.
        time_step: [s].
    Raises:
        EmagramError: if the time step is not positive, or a shape is not that of the state after.
    """

    before: GlobalState
    after: GlobalState
    water_input: Tensor
    energy_input: Tensor
    time_step: float

    def __post_init__(self) -> None:
        if not 0.0 < self.time_step < float("inf"):
            raise EmagramError(f"forecast 'time_step': expected more than 0 s, got {self.time_step}")
        layers = self.after.air_temperature.shape
        for name, expected, got in (
            ("before", layers, self.before.air_temperature.shape),
            ("water_input", layers[:-1], self.water_input.shape),
            ("energy_input", layers[:-1], self.energy_input.shape),
        ):
            if got != expected:
                raise EmagramError(f"forecast '{name}': expected shape {tuple(expected)}, got {tuple(got)}")


@dataclass(frozen=True, eq=False)
class ForecastFixer:
    """Closes forecasts of one globe.

    Attributes:
        globe: weights of its columns.
        coordinate: of the levels.
        constants: of the model.
        budgets: which of `BUDGETS` are closed.
    Raises:
        EmagramError: if a budget is unknown.

    >>> closed, corrections = ForecastFixer(globe, coordinate).close(forecast)
    >>> [(c.name, c.unit, abs(c.after) < 1e-9 * abs(c.before)) for c in corrections]
    [('dry_mass', 'Pa', True), ('water', 'kg m-2 s-1', True), ('energy', 'W m-2', True)]
    """

    globe: Globe
    coordinate: HybridCoordinate
    constants: Constants = E3SM
    budgets: tuple[str, ...] = tuple(BUDGETS)

    def __post_init__(self) -> None:
        for name in self.budgets:
            if name not in BUDGETS:
                raise EmagramError(f"global budgets: expected some of {', '.join(BUDGETS)}, got '{name}'")

    def close(self, forecast: Forecast) -> tuple[GlobalState, tuple[Correction, ...]]:
        """Close its budgets in the mean over the globe; collective.

        Water and dry mass together: the air of the globe is made to weigh what dry air and water should, then vapour
        is scaled to the water there should be; what is left is the dry air there was.

        Returns:
            the state after the step, and for each budget its residuals, of the forecast as given and as returned.
        Raises:
            EmagramError: if a value is not finite, or a budget cannot be closed.
        """
        first, done = self.residuals(forecast), {}
        for name, step in (
            ("dry_mass", self._close_mass),
            ("water", self._close_water),
            ("energy", self._close_energy),
        ):
            if name in self.budgets:
                state, done[name] = step(forecast)
                forecast = replace(forecast, after=state)
        last = self.residuals(forecast)
        return forecast.after, tuple(
            replace(done[name], before=float(first[name].detach()), after=float(last[name].detach())) for name in done
        )

    def residuals(self, forecast: Forecast) -> dict[str, Tensor]:
        """What the globe gained beyond what its fluxes brought [units of `BUDGETS`] (), by budget; collective."""
        columns = (self._dry_residual, self._water_residual, self._energy_residual)
        return {
            name: self.globe.mean(residual(forecast), f"{name} residual")
            for name, residual in zip(BUDGETS, columns, strict=True)
        }

    def _close_mass(self, forecast: Forecast) -> tuple[GlobalState, Correction]:
        before, after = forecast.before, forecast.after
        expected, water = self.globe.mean(column_sum(self._dry(before)), "dry pressure"), after.water
        if "water" in self.budgets:
            content = column_sum(self._water(before)) + forecast.time_step * forecast.water_input.double()
            expected = expected + self.constants.gravity * self.globe.mean(content, "water")
            water = torch.zeros_like(water)
        pressure, correction = fix_dry_mass(self.globe, self.coordinate, after.surface_pressure, water, expected)
        return replace(after, surface_pressure=pressure), correction

    def _close_water(self, forecast: Forecast) -> tuple[GlobalState, Correction]:
        vapor = forecast.after.specific_humidity
        rate, correction = fix_water(
            self.globe,
            self.coordinate.interface_pressure(forecast.after.surface_pressure.double()),
            torch.zeros_like(vapor, dtype=torch.float64),
            available=vapor,
            residual=self._water_residual(forecast),
            time_step=forecast.time_step,
            constants=self.constants,
        )
        fixed = vapor.double() + forecast.time_step * rate
        return replace(forecast.after, specific_humidity=fixed.to(vapor.dtype)), correction

    def _close_energy(self, forecast: Forecast) -> tuple[GlobalState, Correction]:
        temperature = forecast.after.air_temperature
        heating, correction = fix_energy(
            self.globe,
            self.coordinate.interface_pressure(forecast.after.surface_pressure.double()),
            torch.zeros_like(temperature, dtype=torch.float64),
            residual=self._energy_residual(forecast),
            constants=self.constants,
        )
        fixed = temperature.double() + forecast.time_step * heating
        return replace(forecast.after, air_temperature=fixed.to(temperature.dtype)), correction

    def _dry_residual(self, forecast: Forecast) -> Tensor:
        return column_sum(self._dry(forecast.after) - self._dry(forecast.before))

    def _water_residual(self, forecast: Forecast) -> Tensor:
        gain = column_sum(self._water(forecast.after) - self._water(forecast.before))
        return gain / forecast.time_step - forecast.water_input.double()

    def _energy_residual(self, forecast: Forecast) -> Tensor:
        before, after = forecast.before, forecast.after
        gain = column_sum(self._energy(after) - self._energy(before))
        raised = after.surface_pressure.double() - before.surface_pressure.double()
        gain = gain + after.surface_geopotential.double() * raised / self.constants.gravity
        return gain / forecast.time_step - forecast.energy_input.double()

    def _thickness(self, state: GlobalState) -> Tensor:
        return self.coordinate.layer_thickness(state.surface_pressure.double())

    def _dry(self, state: GlobalState) -> Tensor:
        """[Pa] (*columns, n_level)."""
        return (1.0 - state.water) * self._thickness(state)

    def _water(self, state: GlobalState) -> Tensor:
        """[kg m-2] (*columns, n_level)."""
        return state.water * (self._thickness(state) / self.constants.gravity)

    def _energy(self, state: GlobalState) -> Tensor:
        """½ (u² + v²) + cp T + (Lv + Lf) qv + Lf ql, by mass [J m-2] (*columns, n_level)."""
        c = self.constants
        energy = (
            0.5 * (state.eastward_wind.double() ** 2 + state.northward_wind.double() ** 2)
            + c.heat_capacity_dry_air * state.air_temperature.double()
            + (c.latent_heat_vaporization + c.latent_heat_fusion) * state.specific_humidity.double()
            + c.latent_heat_fusion * state.cloud_liquid.double()
        )
        return energy * (self._thickness(state) / c.gravity)
