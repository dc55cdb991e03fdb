"""Climate-invariant inputs against atmospheres in which they are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from emagram.physics.climate_invariant import (
    DEFICIT_FLOOR,
    hydrostatic_height,
    plume_buoyancy,
    scaled_latent_heat_flux,
)
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.thermodynamics import moist_static_energy, relative_humidity, saturation_specific_humidity

CONSTANTS = Constants()
DRY = Constants(latent_heat_vaporization=1e-30)  # water that holds no heat
KAPPA = CONSTANTS.gas_constant_dry_air / CONSTANTS.heat_capacity_dry_air
Profiles = tuple[Tensor, Tensor, Tensor]


def pressures(n_level: int, top: float = 1.0e4) -> Tensor:
    return torch.linspace(top, 1.0e5, n_level, dtype=torch.float64)


def still_air(n_column: int = 6, n_level: int = 9) -> Profiles:
    """A troposphere of moist air, warmer from column to column."""
    pressure = pressures(n_level).expand(n_column, -1)
    surface = torch.linspace(270.0, 303.0, n_column, dtype=torch.float64)[:, None]
    temperature = surface * (pressure / 1.0e5) ** 0.18
    return pressure, temperature, 0.7 * saturation_specific_humidity(pressure, temperature)


def neutral(surface_temperature: float, n_level: int = 12) -> Profiles:
    """Saturated air whose moist static energy is the same at all heights, level by level from below."""
    pressure = pressures(n_level, 2.0e4)
    temperature = torch.full_like(pressure, surface_temperature)
    energy: list[float] = []
    for k in reversed(range(n_level)):
        low, high = 100.0, 330.0
        for _ in range(200 if energy else 0):
            temperature[k] = 0.5 * (low + high)
            low, high = (
                (low, float(temperature[k]))
                if energy_at(pressure, temperature, k) > energy[0]
                else (
                    float(temperature[k]),
                    high,
                )
            )
        energy.append(energy_at(pressure, temperature, k))
    return pressure, temperature, saturation_specific_humidity(pressure, temperature)


def energy_at(pressure: Tensor, temperature: Tensor, k: int) -> float:
    """cp T + g z + Lv q_s of layer k from the layers below it, written without the module under test."""
    saturated = saturation_specific_humidity(pressure, temperature).tolist()
    virtual = [
        t * (1.0 + (1.0 / CONSTANTS.epsilon - 1.0) * q) for t, q in zip(temperature.tolist(), saturated, strict=True)
    ]
    p, height = pressure.tolist(), 0.0
    for j in range(k, len(p) - 1):
        mean = 0.5 * (virtual[j] + virtual[j + 1])
        height += CONSTANTS.gas_constant_dry_air * mean / CONSTANTS.gravity * math.log(p[j + 1] / p[j])
    return (
        CONSTANTS.heat_capacity_dry_air * float(temperature[k])
        + CONSTANTS.gravity * height
        + CONSTANTS.latent_heat_vaporization * saturated[k]
    )


@pytest.mark.parametrize("surface_temperature", [275.0, 300.0])
def test_a_saturated_neutral_column_is_not_buoyant(surface_temperature: float) -> None:
    column = neutral(surface_temperature)
    assert float(column[1].max() - column[1].min()) > 30.0
    assert plume_buoyancy(*column).abs().max() < 1e-11


def test_a_dry_isothermal_column_has_the_buoyancy_of_its_height() -> None:
    """B = −g Rd/cp ln(p_lowest / p): no water, so h_plume − h_env = −g z and z = Rd T/g ln(p_lowest / p)."""
    pressure = pressures(7)
    temperature = torch.full_like(pressure, 250.0)
    buoyancy = plume_buoyancy(pressure, temperature, torch.zeros_like(pressure), constants=DRY)
    expected = -CONSTANTS.gravity * KAPPA * (1.0e5 / pressure).log()
    torch.testing.assert_close(buoyancy, expected, rtol=1e-13, atol=1e-13)
    height = hydrostatic_height(pressure, temperature, torch.zeros_like(pressure))
    scale = CONSTANTS.gas_constant_dry_air * 250.0 / CONSTANTS.gravity
    torch.testing.assert_close(height, scale * (1.0e5 / pressure).log(), rtol=1e-13, atol=1e-9)


def test_a_dry_adiabat_is_neutral_to_second_order() -> None:
    worst = []
    for n_level in (20, 39):  # half the distance
        pressure = pressures(n_level, 3.0e4)
        temperature = 300.0 * (pressure / 1.0e5) ** KAPPA
        buoyancy = plume_buoyancy(pressure, temperature, torch.zeros_like(pressure), constants=DRY)
        worst.append(float(buoyancy.abs().max()))
    assert 1e-6 < worst[1] < 1e-2
    assert math.log2(worst[0] / worst[1]) == pytest.approx(2.0, abs=0.1)


def test_the_lowest_layer_lacks_what_it_lacks_to_saturation() -> None:
    pressure, temperature, humidity = still_air()
    p, t, q = (value[:, -1] for value in (pressure, temperature, humidity))
    saturated = saturation_specific_humidity(p, t)
    latent, capacity = CONSTANTS.latent_heat_vaporization, CONSTANTS.heat_capacity_dry_air
    kappa = 1.0 + latent**2 * saturated / (CONSTANTS.gas_constant_water_vapor * capacity * t**2)
    expected = -CONSTANTS.gravity * latent * (saturated - q) / (kappa * capacity * t)
    torch.testing.assert_close(plume_buoyancy(pressure, temperature, humidity)[:, -1], expected, rtol=1e-9, atol=0.0)


def test_a_moister_surface_lifts_and_warmer_air_aloft_holds_down() -> None:
    pressure, temperature, humidity = still_air()
    before = plume_buoyancy(pressure, temperature, humidity)
    moist = humidity.clone()
    moist[:, -1] *= 1.1
    assert (plume_buoyancy(pressure, temperature, moist)[:, 1:] > before[:, 1:]).all()
    warm = temperature.clone()
    warm[:, 3] += 1.0
    assert (plume_buoyancy(pressure, warm, humidity)[:, 3] < before[:, 3]).all()
    assert torch.equal(plume_buoyancy(pressure, warm, humidity)[:, 5:], before[:, 5:])


def test_the_environment_counts_by_its_saturation_not_by_its_humidity() -> None:
    """Where Beucler et al.'s code and paper differ; humidity aloft enters by virtual temperature alone."""
    pressure, temperature, humidity = still_air()
    dry = humidity.clone()
    dry[:, :-1] = 0.0
    change = plume_buoyancy(pressure, temperature, dry) - plume_buoyancy(pressure, temperature, humidity)
    lowered = hydrostatic_height(pressure, temperature, dry) - hydrostatic_height(pressure, temperature, humidity)
    saturated = saturation_specific_humidity(pressure, temperature)
    latent, capacity = CONSTANTS.latent_heat_vaporization, CONSTANTS.heat_capacity_dry_air
    kappa = 1.0 + latent**2 * saturated / (CONSTANTS.gas_constant_water_vapor * capacity * temperature**2)
    expected = -(CONSTANTS.gravity**2) * lowered / (kappa * capacity * temperature)
    torch.testing.assert_close(change, expected, rtol=1e-6, atol=1e-12)


def test_buoyancy_stays_within_bounds_where_air_cannot_saturate() -> None:
    """From the stratopause up, with q_s up to 1; and it has no jump where that begins."""
    pressure = torch.tensor([5.0, 50.0, 1.0e4, 1.0e5], dtype=torch.float64).expand(4001, -1)
    temperature = torch.tensor([240.0, 270.0, 220.0, 295.0], dtype=torch.float64).repeat(4001, 1)
    temperature[:, 1] = torch.linspace(230.0, 290.0, 4001)
    assert (saturation_specific_humidity(pressure, temperature)[:, 1] == 1.0).any()
    buoyancy = plume_buoyancy(pressure, temperature, torch.full_like(pressure, 1e-6))
    assert buoyancy.isfinite().all()
    assert (buoyancy[:, 0] > -0.5 * CONSTANTS.gravity).all()
    assert buoyancy[:, 1].diff().abs().max() < 0.05


def test_height_knows_ratios_of_pressure_alone() -> None:
    pressure, temperature, humidity = still_air()
    height = hydrostatic_height(pressure, temperature, humidity)
    assert (height.diff(dim=1) < 0.0).all()
    assert not height[:, -1].any()
    torch.testing.assert_close(hydrostatic_height(0.5 * pressure, temperature, humidity), height, rtol=1e-12, atol=0.0)


def bulk_flux(state: Profiles) -> Tensor:
    """[W m-2] of a wet surface at the temperature of the air, with density × speed × coefficient of 0.012."""
    p, t, q = (value[:, -1] for value in state)
    return 0.012 * CONSTANTS.latent_heat_vaporization * (saturation_specific_humidity(p, t) - q)


def test_scaled_flux_and_relative_humidity_do_not_know_the_climate() -> None:
    pressure, temperature, humidity = still_air()
    warm = temperature + 4.0
    moist = (
        humidity * saturation_specific_humidity(pressure, warm) / saturation_specific_humidity(pressure, temperature)
    )
    today, later = (pressure, temperature, humidity), (pressure, warm, moist)
    assert (bulk_flux(later) > 1.2 * bulk_flux(today)).all()
    for state in (today, later):
        expected = torch.full((6,), 0.012, dtype=torch.float64)
        torch.testing.assert_close(scaled_latent_heat_flux(bulk_flux(state), *state), expected, rtol=1e-12, atol=0.0)
    # exactly so for q / q_s; for e / e_s to the share of vapour in the air
    torch.testing.assert_close(relative_humidity(*later), relative_humidity(*today), rtol=0.02, atol=0.0)


def test_scaled_flux_is_linear_in_the_flux_and_bounded_by_the_floor() -> None:
    pressure, temperature, humidity = still_air()
    humidity = humidity.clone()
    humidity[:3, -1] = saturation_specific_humidity(pressure, temperature)[:3, -1] * torch.tensor([0.9999, 1.0, 1.1])
    flux = torch.tensor([100.0, -20.0, 5.0, 0.0, 300.0, -1.0], dtype=torch.float64)
    scaled = scaled_latent_heat_flux(flux, pressure, temperature, humidity)
    floored = flux[:3] / (CONSTANTS.latent_heat_vaporization * DEFICIT_FLOOR)
    torch.testing.assert_close(scaled[:3], floored, rtol=1e-12, atol=0.0)
    assert scaled[3] == 0.0
    assert (scaled.sign() == flux.sign()).all()
    doubled = scaled_latent_heat_flux(2.0 * flux, pressure, temperature, humidity)
    torch.testing.assert_close(doubled, 2.0 * scaled, rtol=1e-15, atol=0.0)


def test_columns_do_not_know_of_each_other_nor_of_their_layout() -> None:
    state = still_air()
    flux = torch.linspace(-10.0, 200.0, 6, dtype=torch.float64)
    whole, scaled = plume_buoyancy(*state), scaled_latent_heat_flux(flux, *state)
    for column in range(6):
        alone = tuple(value[column] for value in state)
        assert torch.equal(plume_buoyancy(*alone), whole[column])
        assert torch.equal(scaled_latent_heat_flux(flux[column], *alone), scaled[column])
    strided = tuple(torch.stack([value, value], dim=-1)[..., 0] for value in state)
    assert torch.equal(plume_buoyancy(*strided), whole)
    cube = tuple(value.reshape(2, 3, -1) for value in state)
    assert torch.equal(plume_buoyancy(*cube).reshape(6, -1), whole)


def test_single_precision_comes_back_single_but_is_computed_double() -> None:
    state = tuple(value.float() for value in still_air())
    buoyancy = plume_buoyancy(*state)
    assert buoyancy.dtype == torch.float32
    assert torch.equal(buoyancy, plume_buoyancy(*(value.double() for value in state)).float())
    flux = torch.full((6,), 80.0)
    assert scaled_latent_heat_flux(flux, *state).dtype == torch.float32


def test_gradients_are_those_of_differences() -> None:
    state = tuple(value.clone().requires_grad_() for value in still_air(3, 5))
    flux = torch.tensor([80.0, -5.0, 200.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(plume_buoyancy, state)
    assert torch.autograd.gradcheck(scaled_latent_heat_flux, (flux, *state))


def spoiled(which: int, value: float) -> Profiles:
    state = [profile.clone() for profile in still_air()]
    state[which][2, 3] = value
    return state[0], state[1], state[2]


@pytest.mark.parametrize(
    "function", [plume_buoyancy, hydrostatic_height, lambda *s: scaled_latent_heat_flux(s[0][:, 0], *s)]
)
@pytest.mark.parametrize(
    ("state", "text"),
    [
        (spoiled(0, 0.0), "expected positive values of 'air_pressure', got 0"),
        (spoiled(1, -3.5), "expected positive values of 'air_temperature', got -3.5"),
        (spoiled(1, np.nan), "expected positive values of 'air_temperature', got nan"),
        (
            (*still_air()[:2], still_air(n_level=8)[2]),
            r"expected 'specific_humidity' of the shape .*\(6, 9\), got \(6, 8\)",
        ),
    ],
)
def test_bad_columns_are_refused(function: Callable[..., Tensor], state: Profiles, text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        function(*state)


def test_a_flux_of_other_columns_is_refused() -> None:
    with pytest.raises(EmagramError, match=r"expected one flux a column, of shape \(6,\), got \(5,\)"):
        scaled_latent_heat_flux(torch.zeros(5), *still_air())


def test_energies_are_those_of_thermodynamics() -> None:
    """h_plume − h_env, put together from their parts."""
    pressure, temperature, humidity = still_air()
    height = hydrostatic_height(pressure, temperature, humidity)
    saturated = saturation_specific_humidity(pressure, temperature)
    excess = moist_static_energy(temperature, humidity, height)[:, -1:] - moist_static_energy(
        temperature, saturated, height
    )
    assert (plume_buoyancy(pressure, temperature, humidity).sign() == excess.sign()).all()
    assert (excess > 0.0).any()
