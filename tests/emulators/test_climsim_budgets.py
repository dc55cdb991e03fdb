"""Columns made to close exactly, and columns that violate each budget by a known amount."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from climsim_columns import N_CELL, TIME_STEP, small_grid, small_inputs, small_targets, tensors
from emagram.emulators.climsim_budget_statistics import BINS_PER_DECADE, SMALLEST, BudgetStatistics
from emagram.emulators.climsim_budgets import (
    BANDS,
    BUDGETS,
    ColumnState,
    column_budgets,
    diagnosed_toa_radiation,
    missing_fields,
    split_cloud,
)
from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError

G, CP, LV, LF, RHO = 9.80616, 1004.64, 2.501e6, 3.337e5, 1000.0
DUE = "_due_to_model_physics"
HEATING, VAPOR = "tendency_of_air_temperature" + DUE, "tendency_of_specific_humidity" + DUE
LIQUID = "tendency_of_mass_fraction_of_cloud_liquid_water_in_air" + DUE
ICE = "tendency_of_mass_fraction_of_cloud_ice_in_air" + DUE
CLOUD = "tendency_of_mass_fraction_of_cloud_condensed_water_in_air" + DUE
RAIN, SNOW = "lwe_precipitation_rate", "lwe_snowfall_rate"
NETSW = "surface_net_downward_shortwave_flux"
FLWDS, LWUP = "surface_downwelling_longwave_flux_in_air", "surface_upwelling_longwave_flux_in_air"
SOLIN, FSNT, FLUT = "toa_incoming_shortwave_flux", "toa_net_downward_shortwave_flux", "toa_outgoing_longwave_flux"
BY_NAME = {budget.name: budget for budget in BUDGETS}


def mass(fields: dict[str, np.ndarray]) -> np.ndarray:
    """Δp / g [kg m-2]."""
    coordinate = small_grid().coordinate
    a, b = np.diff(coordinate.hyai), np.diff(coordinate.hybi)
    return (a * 1e5 + b * fields["surface_air_pressure"][:, None]) / G


def closed_columns(seed: int = 0) -> dict[str, np.ndarray]:
    """Columns whose budgets hold by construction, each written out on its own.

    Water and energy are closed by the lowest layer; energy before and after is that of the two states.
    """
    rng = np.random.default_rng(seed)
    f = small_inputs(rng) | small_targets(rng)
    m = mass(f)
    # D: snow below precipitation, no negative water, cloud split by temperature, sunlight below that at the top
    for water in (
        "specific_humidity",
        "mass_fraction_of_cloud_liquid_water_in_air",
        "mass_fraction_of_cloud_ice_in_air",
    ):
        f[f"tendency_of_{water}{DUE}"] = -0.1 * f[water] / TIME_STEP
    # A: what the column loses falls out
    gained = ((f[VAPOR] + f[LIQUID] + f[ICE]) * m).sum(axis=1)
    f[RAIN] = -gained / RHO
    f[SNOW] = 0.4 * f[RAIN]
    # C: what the surface absorbs of each band
    for band in BANDS:
        f[band] = 0.2 * f[SOLIN] * rng.uniform(0.1, 1.0, N_CELL)
    f[NETSW] = sum(f[band] * (1.0 - f[albedo]) for band, albedo in BANDS.items())
    # B: a heating that accounts for all the rest of the change of energy over the step
    f[FSNT] = f[NETSW] + 0.1 * f[SOLIN]
    f[FLUT] = rng.uniform(150.0, 300.0, N_CELL)
    radiation = f[FSNT] - f[FLUT] - f[NETSW] - f[FLWDS] + f[LWUP]
    wind = [
        (f[f"{c}_wind"], f[f"{c}_wind"] + TIME_STEP * f[f"tendency_of_{c}_wind{DUE}"])
        for c in ("eastward", "northward")
    ]
    kinetic = sum(0.5 * (after**2 - before**2) for before, after in wind) / TIME_STEP
    source = ((LV + LF) * f[VAPOR] + LF * f[LIQUID] + kinetic) * m
    need = radiation - LF * RHO * (f[RAIN] - f[SNOW]) - source.sum(axis=1)
    f[HEATING] = (need / (CP * m.sum(axis=1)))[:, None] * np.ones_like(m)
    return f


def state(fields: dict[str, np.ndarray]) -> ColumnState:
    values = tensors(fields)
    pressure = small_grid().coordinate.interface_pressure(values["surface_air_pressure"])
    return ColumnState(values, pressure, Constants(), TIME_STEP)


def residual(name: str, fields: dict[str, np.ndarray]) -> np.ndarray:
    return column_budgets(state(fields))[name].numpy()


@pytest.mark.parametrize("seed", range(3))
def test_columns_that_close_have_no_residual(seed: int) -> None:
    residuals = column_budgets(state(closed_columns(seed)))
    assert set(residuals) == set(BY_NAME)
    assert float(residuals["A_water"].abs().max()) < 1e-15
    assert float(residuals["B_energy"].abs().max()) < 1e-9  # sums of 1e6 W m-2 of latent heat
    assert float(residuals["C_surface_shortwave"].abs().max()) < 1e-12
    for name, budget in BY_NAME.items():
        if not budget.signed and name != "D_cloud_phase":
            assert float(residuals[name].abs().max()) <= budget.threshold, name
    assert all(value.shape == (N_CELL,) and value.dtype == torch.float64 for value in residuals.values())


def test_water_is_counted_in_kg_m2_s() -> None:
    for name in (VAPOR, LIQUID, ICE):
        fields = closed_columns()
        fields[name] = fields[name] + 1e-9
        np.testing.assert_allclose(residual("A_water", fields), 1e-9 * mass(fields).sum(axis=1), rtol=1e-9)
    fields = closed_columns()
    fields[RAIN] = fields[RAIN] + 1e-9
    np.testing.assert_allclose(residual("A_water", fields), 1e-6, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (NETSW, 2.0, 2.0), (FLWDS, 2.0, 2.0), (LWUP, 2.0, -2.0), (FSNT, 2.0, -2.0), (FLUT, 2.0, 2.0),
        (RAIN, 1e-8, LF * 1e-5), (SNOW, 1e-8, -LF * 1e-5),
    ],
)  # fmt: skip
def test_every_flux_enters_the_energy_with_its_sign(name: str, change: float, expected: float) -> None:
    fields = closed_columns()
    fields[name] = fields[name] + change
    np.testing.assert_allclose(residual("B_energy", fields), expected, rtol=1e-7)


@pytest.mark.parametrize(("name", "energy"), [(HEATING, CP), (VAPOR, LV + LF), (LIQUID, LF), (ICE, 0.0)])
def test_every_tendency_enters_the_energy_with_its_heat(name: str, energy: float) -> None:
    fields = closed_columns()
    change = np.linspace(-1e-9, 3e-9, 14)
    fields[name] = fields[name] + change
    expected = energy * (change * mass(fields)).sum(axis=1)
    np.testing.assert_allclose(residual("B_energy", fields), expected, atol=1e-9, rtol=1e-7)


def test_kinetic_energy_is_that_of_the_whole_step() -> None:
    """Air brought to rest in one step gives up all its kinetic energy, half of what (u du) alone would say."""
    fields = closed_columns()
    before = residual("B_energy", fields)
    wind, tendency = fields["eastward_wind"], "tendency_of_eastward_wind" + DUE
    had = (wind + 0.5 * TIME_STEP * fields[tendency]) * fields[tendency]
    fields[tendency] = -wind / TIME_STEP
    expected = ((-0.5 * wind**2 / TIME_STEP - had) * mass(fields)).sum(axis=1)
    np.testing.assert_allclose(residual("B_energy", fields) - before, expected, rtol=1e-7)


def test_the_diagnosed_radiation_is_the_true_one_where_the_column_closes() -> None:
    fields = closed_columns()
    np.testing.assert_allclose(diagnosed_toa_radiation(state(fields)), fields[FSNT] - fields[FLUT], atol=1e-9)


def test_the_diagnosed_radiation_has_bounds() -> None:
    fields = closed_columns()
    total = CP * mass(fields).sum(axis=1)
    true = fields[FSNT] - fields[FLUT]
    warm = fields | {HEATING: fields[HEATING] + ((fields[SOLIN] + 30.0 - true) / total)[:, None]}
    np.testing.assert_allclose(residual("B_toa_radiation_above_sunlight", warm), 30.0, rtol=1e-8)
    assert not residual("B_toa_radiation_below_largest_olr", warm).any()
    cold = fields | {HEATING: fields[HEATING] + ((-420.0 - true) / total)[:, None]}
    np.testing.assert_allclose(residual("B_toa_radiation_below_largest_olr", cold), 20.0, rtol=1e-8)
    assert not residual("B_toa_radiation_above_sunlight", cold).any()


def test_each_band_is_absorbed_by_its_own_albedo() -> None:
    for number, (band, albedo) in enumerate(BANDS.items()):
        fields = closed_columns()
        for name in BANDS.values():
            fields[name] = np.full(N_CELL, 0.9)
        fields[albedo] = np.full(N_CELL, 0.1 * number)
        fields[band] = np.full(N_CELL, 50.0)
        others = sum(fields[b] for b in BANDS if b != band)
        expected = fields[NETSW] - 50.0 * (1.0 - 0.1 * number) - 0.1 * others
        np.testing.assert_allclose(residual("C_surface_shortwave", fields), expected, rtol=1e-9, atol=1e-9)


def test_bands_and_albedos_are_those_of_climsim() -> None:
    from emagram.physics.variables import find

    pairs = {"SOLS": "ASDIR", "SOLL": "ALDIR", "SOLSD": "ASDIF", "SOLLD": "ALDIF"}
    named = {find(f"cam_out_{s}", "climsim").name: find(f"cam_in_{a}", "climsim").name for s, a in pairs.items()}
    assert named == BANDS


def violated(name: str, value: float) -> dict[str, np.ndarray]:
    """Closed columns in which column 3 alone violates an inequality by `value`."""
    fields = closed_columns()
    fields[SOLIN] = np.full(N_CELL, 500.0)
    for band in BANDS:
        fields[band] = np.full(N_CELL, 50.0)
    fields[NETSW] = np.full(N_CELL, 100.0)
    if name == "D_negative_snowfall":
        fields[SNOW][3] = -value / RHO
    elif name == "D_snowfall_above_precipitation":
        fields[SNOW][3] = fields[RAIN][3] + value / RHO
    elif name == "D_negative_sunlight":
        fields[next(iter(BANDS))][3] = -value
    elif name == "D_sunlight_above_toa":
        fields[SOLIN][3] = 200.0 - value
    elif name == "D_net_above_downwelling_sunlight":
        fields[NETSW][3] = 200.0 + value
    elif name == "D_sunlight_at_night":
        fields[SOLIN][3] = 0.0
        for band in BANDS:
            fields[band][3] = 0.0
        fields[NETSW][3] = value
    else:
        water = {
            "D_negative_vapor": "specific_humidity",
            "D_negative_cloud_liquid": "mass_fraction_of_cloud_liquid_water_in_air",
            "D_negative_cloud_ice": "mass_fraction_of_cloud_ice_in_air",
        }[name]
        deficit = value / mass(fields)[3, 7]
        fields[f"tendency_of_{water}{DUE}"][3, 7] = -(fields[water][3, 7] + deficit) / TIME_STEP
    return fields


INEQUALITIES = [name for name in BY_NAME if name.startswith("D_") and name != "D_cloud_phase"]


@pytest.mark.parametrize("name", INEQUALITIES)
def test_a_violation_is_measured_in_its_column_alone(name: str) -> None:
    value = {"W m-2": 7.0, "kg m-2 s-1": 2e-5, "kg m-2": 3e-3}[BY_NAME[name].unit]
    found = residual(name, violated(name, value))
    assert found[3] == pytest.approx(value, rel=1e-9)
    assert not np.delete(found, 3).any()


def test_water_that_was_negative_before_is_not_counted() -> None:
    fields = closed_columns()
    fields["specific_humidity"][2, 0] = -1e-7
    fields[VAPOR][2, 0] = 0.0
    assert not residual("D_negative_vapor", fields).any()


def test_cloud_in_the_wrong_phase_is_measured() -> None:
    fields = closed_columns()
    fields["air_temperature"][:] = 263.16  # half liquid
    fields[HEATING][:] = 0.0
    for name in ("liquid_water", "ice"):
        fields[f"mass_fraction_of_cloud_{name}_in_air"][:] = 1e-5
        fields[f"tendency_of_mass_fraction_of_cloud_{name}_in_air{DUE}"][:] = 0.0
    assert np.abs(residual("D_cloud_phase", fields)).max() < 1e-15
    fields["mass_fraction_of_cloud_liquid_water_in_air"][4, 2] = 3e-5
    expected = np.where(np.arange(N_CELL) == 4, 1e-5 * mass(fields)[:, 2], 0.0)
    np.testing.assert_allclose(residual("D_cloud_phase", fields), expected, atol=1e-15, rtol=1e-9)


def test_one_cloud_tendency_is_split_by_temperature() -> None:
    """Cloud split by the rule after the step gives the same residuals with one tendency as with two."""
    fields = closed_columns()
    liquid, ice = (f"mass_fraction_of_cloud_{name}_in_air" for name in ("liquid_water", "ice"))
    after = fields["air_temperature"] + TIME_STEP * fields[HEATING]
    cloud = np.full_like(after, 4e-5)
    share = np.clip((after - 253.16) / 20.0, 0.0, 1.0)
    fields[LIQUID] = (share * cloud - fields[liquid]) / TIME_STEP
    fields[ICE] = ((1.0 - share) * cloud - fields[ice]) / TIME_STEP
    one = {name: value for name, value in fields.items() if name not in (LIQUID, ICE)}
    one[CLOUD] = fields[LIQUID] + fields[ICE]
    two_residuals, one_residuals = column_budgets(state(fields)), column_budgets(state(one))
    assert set(two_residuals) - set(one_residuals) == {"D_cloud_phase"}
    for name, value in one_residuals.items():
        np.testing.assert_allclose(
            value, two_residuals[name], rtol=1e-9, atol=1e-9 if BY_NAME[name].unit == "W m-2" else 1e-15
        )
    assert set(split_cloud(state(fields)).fields) == set(fields)


def test_what_cannot_be_told_is_named() -> None:
    fields = closed_columns()
    fields.pop(FLUT)
    fields.pop(ICE)
    found = state(fields)
    assert missing_fields(BY_NAME["B_energy"], found) == (FLUT,)
    assert missing_fields(BY_NAME["A_water"], found) == (ICE,)
    assert not {"A_water", "B_energy", "D_negative_cloud_ice"} & set(column_budgets(found))
    assert "B_diagnosed_toa_radiation" in column_budgets(found)


@given(order=st.permutations(range(N_CELL)))
@settings(max_examples=10, deadline=None)
def test_columns_do_not_see_each_other(order: list[int]) -> None:
    fields = closed_columns(1)
    fields[HEATING] = fields[HEATING] + 1e-5
    shuffled = {name: value[order] for name, value in fields.items()}
    for name, value in column_budgets(state(fields)).items():
        np.testing.assert_allclose(column_budgets(state(shuffled))[name], value[order], rtol=1e-9, atol=1e-9)


def statistics(parts: list[np.ndarray], weight: np.ndarray, name: str = "C_surface_shortwave") -> BudgetStatistics:
    found = BudgetStatistics(BY_NAME[name])
    for part in parts:
        found.add(torch.from_numpy(part), torch.from_numpy(weight))
    return found


def test_statistics_agree_with_numpy() -> None:
    rng = np.random.default_rng(2)
    parts, weight = [3.0 * rng.normal(size=11) for _ in range(4)], rng.uniform(0.5, 2.0, 11)
    summary = statistics(parts, weight).summary()
    values, weights = np.concatenate(parts), np.tile(weight, 4)
    assert summary["n_column"] == 44
    assert summary["mean"] == pytest.approx(np.average(values, weights=weights))
    assert summary["rms"] == pytest.approx(math.sqrt(np.average(values**2, weights=weights)))
    assert summary["max_abs"] == np.abs(values).max()
    assert summary["share_above"] == pytest.approx((np.abs(values) > 1.0).mean())
    assert 0.0 < summary["share_above"] < 1.0


@pytest.mark.parametrize(
    ("value", "place"),
    [(0.0, 0), (1e-30, 0), (1.5, 18 * BINS_PER_DECADE), (-2e-4, 14 * BINS_PER_DECADE), (1e9, 24 * BINS_PER_DECADE - 1)],
)
def test_the_histogram_counts_magnitudes_in_decades(value: float, place: int) -> None:
    histogram = statistics([np.array([value])], np.ones(1)).summary()["histogram"]
    assert SMALLEST == 1e-18
    assert len(histogram) == 24 * BINS_PER_DECADE
    assert sum(histogram) == 1
    assert histogram[place] == 1


def test_a_budget_without_a_threshold_has_no_share() -> None:
    summary = statistics([np.ones(2)], np.ones(2), "B_diagnosed_toa_radiation").summary()
    assert summary["threshold"] is None
    assert summary["share_above"] is None
    assert summary["mean"] == 1.0


def test_residuals_that_cannot_be_counted_are_refused() -> None:
    with pytest.raises(EmagramError, match="'C_surface_shortwave': expected finite residuals"):
        statistics([np.array([1.0, np.nan])], np.ones(2))
    with pytest.raises(EmagramError, match="expected a residual for each of 3 columns"):
        statistics([np.ones(2)], np.ones(3))
