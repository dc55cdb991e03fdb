"""Global forecasts closed at their end: dry mass, water and energy, on maps and lists, on any processes."""

from __future__ import annotations

import dataclasses
import doctest
from typing import Any

import numpy as np
import pytest
import torch

from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.exact_sum import Reduction
from emagram.physics.global_fixers import Correction
from emagram.physics.global_forecast import BUDGETS, Forecast, ForecastFixer, GlobalState
from emagram.physics.globe import Globe
from global_states import COORDINATE, N_LATITUDE, WEIGHT, on_processes, random_forecast

LEFT = {"dry_mass": 1e-10, "water": 1e-19, "energy": 1e-10}
"""[Pa], [kg m-2 s-1], [W m-2]: 1e-15 of the pressure, 1e-14 of the rain and 1e-12 of the absorbed sunlight."""
E3SM = Constants()


def totals(state: GlobalState) -> np.ndarray:
    """Dry pressure [Pa], water [kg m-2] and energy [J m-2] in the mean, in long double, the plain way."""
    field = {f.name: getattr(state, f.name).numpy().astype(np.longdouble) for f in dataclasses.fields(state)}
    fixed, sliding = (np.diff(np.asarray(values, dtype=np.longdouble)) for values in (COORDINATE.hyai, COORDINATE.hybi))
    thickness = fixed * COORDINATE.p0 + sliding * field["surface_pressure"][..., np.newaxis]
    water = field["specific_humidity"] + field["cloud_liquid"] + field["cloud_ice"]
    energy = (
        0.5 * (field["eastward_wind"] ** 2 + field["northward_wind"] ** 2)
        + E3SM.heat_capacity_dry_air * field["air_temperature"]
        + (E3SM.latent_heat_vaporization + E3SM.latent_heat_fusion) * field["specific_humidity"]
        + E3SM.latent_heat_fusion * field["cloud_liquid"]
    )
    mass, height = thickness / E3SM.gravity, field["surface_geopotential"] / E3SM.gravity
    columns = [
        ((1 - water) * thickness).sum(-1),
        (water * mass).sum(-1),
        (energy * mass).sum(-1) + height * field["surface_pressure"],
    ]
    weight = WEIGHT.numpy().astype(np.longdouble)
    return np.array([(weight * column).sum() / weight.sum() for column in columns])


def plain_residuals(forecast: Forecast) -> np.ndarray:
    """What the same comes to from the totals of both states."""
    gain = totals(forecast.after) - totals(forecast.before)
    weight = WEIGHT.numpy()
    inputs = [float((weight * f.numpy()).sum() / weight.sum()) for f in (forecast.water_input, forecast.energy_input)]
    return np.array([gain[0], gain[1] / forecast.time_step - inputs[0], gain[2] / forecast.time_step - inputs[1]])


def part(state: GlobalState, rows: slice) -> GlobalState:
    return GlobalState(**{f.name: getattr(state, f.name)[rows] for f in dataclasses.fields(state)})


@pytest.mark.parametrize("seed", range(5))
def test_all_three_close_together(seed: int) -> None:
    forecast = random_forecast(seed)
    fixer = ForecastFixer(Globe(WEIGHT), COORDINATE)
    state, corrections = fixer.close(forecast)
    assert [(c.name, c.unit) for c in corrections] == list(BUDGETS.items())
    before = plain_residuals(forecast)
    np.testing.assert_allclose([c.before for c in corrections], before, rtol=1e-9)
    assert np.abs(before).min() > 1e-7
    after = plain_residuals(dataclasses.replace(forecast, after=state))
    for correction, left in zip(corrections, after, strict=True):
        assert abs(correction.after) < LEFT[correction.name]
        assert abs(left) < 10.0 * LEFT[correction.name]
    assert (state.specific_humidity >= 0.0).all()
    for name in ("cloud_liquid", "cloud_ice", "eastward_wind", "northward_wind", "surface_geopotential"):
        assert getattr(state, name) is getattr(forecast.after, name)


@pytest.mark.parametrize("budgets", [("energy",), ("water",), ("dry_mass",), ("water", "energy")])
def test_some_alone_leave_the_others_open(budgets: tuple[str, ...]) -> None:
    forecast = random_forecast(7)
    state, corrections = ForecastFixer(Globe(WEIGHT), COORDINATE, budgets=budgets).close(forecast)
    assert tuple(c.name for c in corrections) == budgets
    left = dict(zip(BUDGETS, plain_residuals(dataclasses.replace(forecast, after=state)), strict=True))
    for name, limit in LEFT.items():
        assert (abs(left[name]) < 10.0 * limit) == (name in budgets)


@pytest.mark.parametrize("number", [2, 3])
def test_processes_with_bands_of_latitude_give_the_bits_of_one(number: int) -> None:
    forecast = random_forecast(3)
    state, corrections = ForecastFixer(Globe(WEIGHT), COORDINATE).close(forecast)

    def work(process: int, reduction: Reduction) -> tuple[GlobalState, tuple[Correction, ...]]:
        rows = slice(N_LATITUDE * process // number, N_LATITUDE * (process + 1) // number)
        mine = Forecast(
            part(forecast.before, rows),
            part(forecast.after, rows),
            forecast.water_input[rows],
            forecast.energy_input[rows],
            forecast.time_step,
        )
        return ForecastFixer(Globe(WEIGHT[rows], reduction), COORDINATE).close(mine)

    found = on_processes(number, work)
    assert all(theirs == corrections for _, theirs in found)
    for name in ("surface_pressure", "specific_humidity", "air_temperature"):
        whole = torch.cat([getattr(theirs, name) for theirs, _ in found])
        np.testing.assert_array_equal(whole.numpy(), getattr(state, name).numpy())


def test_single_precision_says_what_its_rounding_leaves() -> None:
    forecast = random_forecast(4)
    single = GlobalState(**{f.name: getattr(forecast.after, f.name).float() for f in dataclasses.fields(GlobalState)})
    state, corrections = ForecastFixer(Globe(WEIGHT), COORDINATE).close(dataclasses.replace(forecast, after=single))
    assert state.air_temperature.dtype == torch.float32
    assert 1e-9 < abs(corrections[2].after) < 1e-2 < abs(corrections[2].before)


def test_it_is_differentiable() -> None:
    forecast = random_forecast(5)
    temperature = forecast.after.air_temperature.requires_grad_()
    state, _ = ForecastFixer(Globe(WEIGHT), COORDINATE).close(forecast)
    state.air_temperature[0, 0, 0].backward()
    slope = temperature.grad
    assert slope is not None
    layer = COORDINATE.layer_thickness(state.surface_pressure.detach())
    share = WEIGHT.unsqueeze(-1) * layer / (WEIGHT.unsqueeze(-1) * layer).sum()
    own = torch.zeros_like(share)
    own[0, 0, 0] = 1.0
    torch.testing.assert_close(slope, own - share, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_step": 0.0}, "forecast 'time_step': expected more than 0 s, got 0.0"),
        ({"water_input": torch.full((6, 12), torch.nan)}, "global sum of water.*: expected finite values, got 72"),
        ({"water_input": torch.full((6, 12), -0.01)}, "'water': expected vapour that can give"),
        ({"energy_input": torch.zeros(3)}, r"forecast 'energy_input': expected shape \(6, 12\), got \(3,\)"),
        (
            {"before": part(random_forecast(0).before, slice(2))},
            r"'before': expected shape \(6, 12, 10\), got \(2, 12, 10",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(EmagramError, match=message):
        ForecastFixer(Globe(WEIGHT), COORDINATE).close(dataclasses.replace(random_forecast(6), **change))


def test_shapes_and_names_are_checked() -> None:
    state = random_forecast(0).after
    with pytest.raises(EmagramError, match=r"field 'cloud_ice': expected shape \(6, 12, 10\), got \(6, 12\)"):
        dataclasses.replace(state, cloud_ice=state.surface_pressure)
    with pytest.raises(EmagramError, match="expected some of dry_mass, water, energy, got 'mass'"):
        ForecastFixer(Globe(WEIGHT), COORDINATE, budgets=("mass",))


def test_the_example() -> None:
    names = {"ForecastFixer": ForecastFixer, "globe": Globe(WEIGHT), "coordinate": COORDINATE}
    (example,) = doctest.DocTestFinder(recurse=False).find(
        ForecastFixer, "example", globs=names | {"forecast": random_forecast(0)}
    )
    failures: list[str] = []
    assert doctest.DocTestRunner().run(example, out=failures.append).attempted == 2
    assert not failures, "".join(failures)
