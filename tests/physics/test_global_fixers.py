"""Global fixers of columns: closed in the mean, the same bits whatever the order and the processes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from emagram.physics.constants import Constants
from emagram.physics.errors import EmagramError
from emagram.physics.exact_sum import Reduction
from emagram.physics.global_fixers import Correction, dry_pressure, fix_dry_mass, fix_energy, fix_water
from emagram.physics.globe import Globe, area_weights, column_sum
from global_states import COORDINATE, N_LEVEL, WEIGHT, on_processes, parts_of, random_state

CLOSED = 1e-12
"""Relative to the residual before: one rounding of each corrected value, averaged over the globe."""
DT = 1200.0
STATE = random_state(0)
N_COLUMN = WEIGHT.numel()
E3SM = Constants()


def columns() -> dict[str, Tensor]:
    """A list of columns with residuals, rates and what they could give."""
    rng = np.random.default_rng(5)
    pressure = STATE.surface_pressure.reshape(-1)
    return {
        "weight": WEIGHT.reshape(-1),
        "surface_pressure": pressure,
        "interface_pressure": COORDINATE.interface_pressure(pressure),
        "water": STATE.water.reshape(N_COLUMN, N_LEVEL),
        "available": STATE.specific_humidity.reshape(N_COLUMN, N_LEVEL) - 1e-5,  # some below zero
        "water_residual": torch.from_numpy(rng.normal(2e-6, 2e-5, N_COLUMN)),
        "energy_residual": torch.from_numpy(rng.normal(1.3, 40.0, N_COLUMN)),
        "vapor_rate": torch.from_numpy(rng.normal(0.0, 1e-8, (N_COLUMN, N_LEVEL))),
        "heating": torch.from_numpy(rng.normal(0.0, 3e-5, (N_COLUMN, N_LEVEL))),
    }


def fix_all(c: dict[str, Tensor], reduction: Reduction | None = None) -> tuple[list[Tensor], list[Correction]]:
    """All three fixers on some of the columns."""
    globe = Globe(c["weight"], reduction)
    pressure, dry = fix_dry_mass(globe, COORDINATE, c["surface_pressure"], c["water"], 98200.0)
    rate, water = fix_water(
        globe,
        c["interface_pressure"],
        c["vapor_rate"],
        available=c["available"],
        residual=c["water_residual"],
        time_step=DT,
    )
    heating, energy = fix_energy(globe, c["interface_pressure"], c["heating"], residual=c["energy_residual"])
    return [pressure, rate, heating], [dry, water, energy]


def mean(values: Tensor) -> float:
    weight = WEIGHT.reshape(-1)
    return float((weight * values).sum() / weight.sum())


def test_each_closes_the_mean_and_says_what_it_did() -> None:
    c = columns()
    (pressure, rate, heating), (dry, water, energy) = fix_all(c)
    mass = c["interface_pressure"].diff(dim=-1) / E3SM.gravity
    cp = E3SM.heat_capacity_dry_air
    left_water = c["water_residual"] + (mass * (rate - c["vapor_rate"])).sum(-1)
    left_energy = c["energy_residual"] + cp * (mass * (heating - c["heating"])).sum(-1)
    left_dry = ((1.0 - c["water"]) * COORDINATE.layer_thickness(pressure)).sum(-1)
    assert abs(mean(left_water)) < CLOSED * abs(water.before)
    assert abs(mean(left_energy)) < CLOSED * abs(energy.before)
    assert water.before == pytest.approx(mean(c["water_residual"]), rel=1e-12)
    assert energy.before == pytest.approx(mean(c["energy_residual"]), rel=1e-12)
    assert mean(left_dry) == pytest.approx(98200.0, rel=1e-15)
    for found in (dry, water, energy):
        assert abs(found.after) < CLOSED * (98200.0 if found is dry else abs(found.before))
        assert found.before != 0.0
    assert left_energy.abs().max() > 1.0  # columns stay open: only the mean is closed
    assert water.size == pytest.approx(abs(water.before), rel=1e-12)
    assert energy.size == pytest.approx(abs(energy.before), rel=0.05)


def test_the_change_is_a_ratio_or_uniform() -> None:
    c = columns()
    (pressure, rate, heating), (dry, water, energy) = fix_all(c)
    np.testing.assert_allclose(pressure / c["surface_pressure"], 1.0 + dry.scale, rtol=1e-15)
    after, positive = c["available"] + DT * (rate - c["vapor_rate"]), c["available"].clamp(min=0.0)
    np.testing.assert_allclose(after.clamp(min=0.0), positive * (1.0 + DT * water.scale), rtol=1e-9)
    np.testing.assert_array_equal(after[c["available"] < 0.0], c["available"][c["available"] < 0.0])
    np.testing.assert_allclose(heating - c["heating"], energy.scale, rtol=1e-9)
    assert [item.unit for item in (dry, water, energy)] == ["Pa", "kg m-2 s-1", "W m-2"]


def test_nothing_left_changes_nothing() -> None:
    c = columns() | {"water_residual": torch.zeros(N_COLUMN), "energy_residual": torch.zeros(N_COLUMN)}
    (_, rate, heating), (_, water, energy) = fix_all(c)
    torch.testing.assert_close(rate, c["vapor_rate"], rtol=0.0, atol=0.0)
    torch.testing.assert_close(heating, c["heating"], rtol=0.0, atol=0.0)
    assert (water.before, water.after, water.size, energy.before, energy.size) == (0.0, 0.0, 0.0, 0.0, 0.0)


def assert_same_bits(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())


@pytest.mark.parametrize("number", [1, 2, 3, 4, 100])
def test_processes_give_the_bits_of_one(number: int) -> None:
    c, parts = columns(), parts_of(N_COLUMN, number)
    whole, corrections = fix_all(c)

    def work(process: int, reduction: Reduction) -> Any:
        return fix_all({name: value[parts[process]] for name, value in c.items()}, reduction)

    found = on_processes(number, work)
    assert all(theirs == corrections for _, theirs in found)
    assert_same_bits([torch.cat(fields) for fields in zip(*(fields for fields, _ in found), strict=True)], whole)


def test_columns_in_any_order_give_the_same_bits() -> None:
    c = columns()
    whole, corrections = fix_all(c)
    for seed in range(5):
        order = torch.from_numpy(np.random.default_rng(seed).permutation(N_COLUMN))
        fields, found = fix_all({name: value[order] for name, value in c.items()})
        assert found == corrections
        assert_same_bits(fields, [field[order] for field in whole])


def test_a_map_is_its_columns() -> None:
    c = columns()
    as_map = {name: value.reshape(*WEIGHT.shape, *value.shape[1:]) for name, value in c.items()}
    fields, found = fix_all(as_map)
    whole, corrections = fix_all(c)
    assert found == corrections
    assert_same_bits([field.reshape(N_COLUMN, *field.shape[2:]) for field in fields], whole)


def test_single_precision_stays_and_its_rounding_is_what_is_left() -> None:
    c = columns()
    rates = {name: c[name].float() for name in ("vapor_rate", "heating", "surface_pressure")}
    fields, found = fix_all(c | rates)
    assert {field.dtype for field in fields} == {torch.float32}
    for name, correction in zip(("dry_mass", "water", "energy"), found, strict=True):
        assert 0.0 < abs(correction.after) < 1e-4 * abs(correction.before), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"water_residual": torch.full((N_COLUMN,), 1.0)}, "'water': expected vapour that can give 1200 kg m-2, got"),
        ({"available": torch.zeros(N_COLUMN, N_LEVEL)}, "'water': expected vapour that can give .*, got 0 kg m-2"),
        ({"energy_residual": torch.full((N_COLUMN,), torch.nan)}, "energy residual: expected finite values, got 72"),
        ({"available": torch.full((N_COLUMN, N_LEVEL), torch.inf)}, "water vapour: expected finite values, got 72"),
        ({"interface_pressure": torch.zeros(N_COLUMN, N_LEVEL + 1)}, "pressures that increase downwards, got 720 that"),
        ({"weight": torch.zeros(N_COLUMN)}, "globe: expected a column with an area above 0, got none"),
        ({"weight": -torch.ones(N_COLUMN)}, "globe: expected areas of 0 or more, got 72 that are not"),
        ({"weight": torch.full((N_COLUMN,), torch.nan)}, "areas of 0 or more, got 72 that are not"),
        ({"weight": torch.full((N_COLUMN,), torch.inf)}, "areas: expected finite values, got 72 that are not"),
        ({"surface_pressure": torch.zeros(N_COLUMN)}, "'dry_mass': expected more than 0 Pa that slide .*, got 0 Pa"),
        ({"water": torch.zeros(N_COLUMN, 3)}, r"field 'water': expected shape \(72, 10\), got \(72, 3\)"),
        ({"energy_residual": torch.zeros(3)}, r"field 'energy residual': expected shape \(72,\), got \(3,\)"),
        ({"heating": torch.zeros(N_COLUMN, 3)}, r"field 'interface_pressure': expected shape \(72, 4\), got"),
    ],
)
def test_what_cannot_be_is_named_on_every_process(change: dict[str, Tensor], message: str) -> None:
    c, parts = columns() | change, parts_of(N_COLUMN, 2)
    with pytest.raises(EmagramError, match=message):
        fix_all(c)
    if "expected shape" in message:  # a mistake in the program of one process, which the others cannot know
        return

    def fail(process: int, reduction: Reduction) -> str:
        with pytest.raises(EmagramError, match=message) as raised:
            fix_all({name: value[parts[process]] for name, value in c.items()}, reduction)
        return str(raised.value)

    assert len(set(on_processes(2, fail))) == 1


def test_a_bad_value_of_one_process_is_known_to_all() -> None:
    c, parts = columns(), parts_of(N_COLUMN, 3)
    c["energy_residual"][-1] = torch.nan

    def fail(process: int, reduction: Reduction) -> str:
        with pytest.raises(EmagramError) as raised:
            fix_all({name: value[parts[process]] for name, value in c.items()}, reduction)
        return str(raised.value)

    assert set(on_processes(3, fail)) == {"global sum of energy residual: expected finite values, got 1 that are not"}


def test_all_but_nothing_of_the_vapour_can_be_taken_and_none_is_below_zero() -> None:
    c = columns()
    mass = c["interface_pressure"].diff(dim=-1) / E3SM.gravity
    held = mean(column_sum(mass * c["available"].clamp(min=0.0)))
    c["water_residual"] = torch.full((N_COLUMN,), held * (1.0 - 1e-11) / DT, dtype=torch.float64)
    (_, rate, _), (_, water, _) = fix_all(c | {"vapor_rate": torch.zeros_like(c["available"])})
    assert water.scale * DT == pytest.approx(-1.0)
    assert ((c["available"] + DT * rate)[c["available"] >= 0.0] >= 0.0).all()
    c["water_residual"] *= 1.0 + 1e-10
    with pytest.raises(EmagramError, match="expected vapour that can give"):
        fix_all(c)


def test_gradients() -> None:
    c = {name: value.clone() for name, value in columns().items()}
    names = ("surface_pressure", "water", "vapor_rate", "available", "water_residual", "heating", "energy_residual")
    few = {name: value[:4] for name, value in c.items()}
    scale = {"surface_pressure": 1e5, "water": 1e-2, "available": 1e-2, "water_residual": 1e-5, "energy_residual": 40.0}

    def fixed(*values: Tensor) -> tuple[Tensor, ...]:
        given = {name: scale.get(name, 1e-5) * value for name, value in zip(names, values, strict=True)}
        fields, _ = fix_all(few | given)
        return fields[0] / 1e5, fields[1] / 1e-5, fields[2] / 1e-5

    values = tuple((few[name] / scale.get(name, 1e-5)).requires_grad_() for name in names)
    assert torch.autograd.gradcheck(fixed, values, eps=1e-6, atol=1e-6)


def test_a_gradient_through_processes_is_refused() -> None:
    c = columns()
    c["energy_residual"].requires_grad_()

    def fail(_: int, reduction: Reduction) -> str:
        with pytest.raises(EmagramError, match="expected no gradient where processes share the globe") as raised:
            fix_all(c, reduction)
        return str(raised.value)

    on_processes(1, fail)


def test_area_weights() -> None:
    bounds = np.array([-90.0, -30.0, 30.0, 90.0])
    weight = area_weights(bounds.tolist(), 4)
    np.testing.assert_allclose(weight, np.repeat([[0.125], [0.25], [0.125]], 4, axis=1), rtol=1e-15)
    np.testing.assert_array_equal(area_weights(bounds[::-1].tolist(), 4), weight)
    assert float(WEIGHT.sum()) == pytest.approx(2.0, rel=1e-14)
    latitude = torch.linspace(-82.5, 82.5, 12, dtype=torch.float64)
    fine = Globe(area_weights(np.linspace(-90.0, 90.0, 13).tolist(), 1))
    exact = fine.mean(torch.deg2rad(latitude).sin().square().unsqueeze(-1), "sin² φ")
    assert float(exact) == pytest.approx(1.0 / 3.0, abs=6e-3)
    for bad in ([-90.0, 0.0, 0.0], [-91.0, 0.0], [0.0], [0.0, float("nan")]):
        with pytest.raises(EmagramError, match="latitude bounds"):
            area_weights(bad, 4)


def test_dry_pressure_is_what_an_earlier_state_gives() -> None:
    c, globe = columns(), Globe(WEIGHT.reshape(-1))
    expected = dry_pressure(globe, COORDINATE, c["surface_pressure"], c["water"])
    kept, correction = fix_dry_mass(globe, COORDINATE, c["surface_pressure"], c["water"], expected)
    assert dataclasses.astuple(correction)[2:] == (0.0, 0.0, 0.0, 0.0)
    torch.testing.assert_close(kept, c["surface_pressure"], rtol=0.0, atol=0.0)


def test_a_column_sums_alike_however_it_lies_in_memory_and_beside_whatever_others() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 60)))
    level_major = values.t().contiguous().t()
    expected = sum((values[:, k] for k in range(60)), torch.zeros(40, dtype=torch.float64))
    for way in (values, level_major):
        np.testing.assert_array_equal(column_sum(way).numpy(), expected.numpy())
        np.testing.assert_array_equal(torch.cat([column_sum(way[i : i + 1]) for i in range(40)]), expected.numpy())
    assert not torch.equal(values.sum(-1), level_major.sum(-1))  # as torch itself does not promise
