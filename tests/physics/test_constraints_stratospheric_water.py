"""Cloud above the tropopause becomes vapour there, and nothing brings it back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from constraint_checks import check_fields, check_manifest, check_refused, check_time_step
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from constrained_columns import (
    CONSTANTS,
    ENERGY_CLOSED,
    KINDS,
    POSITIVITY,
    SEQUENCE,
    SPECIES,
    TIME_STEP,
    WATER_AND_ENERGY,
    WATER_CLOSED,
    WATERS,
    after,
    apply_all,
    columns,
    mass,
)
from emagram.physics.constraints import Prognostic, StratosphericWater
from emagram.physics.tropopause import TropopauseSearch, tropopause_pressure

SEARCH = TropopauseSearch(lowest_pressure=7.5e3, highest_pressure=4.5e4, fallback_pressure=1.0e4)
LAW = StratosphericWater(
    name="aloft",
    temperature=Prognostic("T", "dT"),
    vapor_rate="dqv",
    liquid=SPECIES[1],
    ice=SPECIES[2],
    interface_pressure="p",
    tropopause=SEARCH,
    constants=CONSTANTS,
    time_step=TIME_STEP,
)
CP, LV, LF = CONSTANTS.heat_capacity_dry_air, CONSTANTS.latent_heat_vaporization, CONSTANTS.latent_heat_fusion
CHANGED = ("dT", "dqv", "dql", "dqi")


def high_columns(seed: int, n_column: int, n_level: int, kind: str = "ordinary") -> dict[str, Tensor]:
    """Columns with a temperature, whose tropopause lies anywhere from 100 hPa to 400 hPa."""
    fields = columns(seed, n_column, n_level, kind)
    generator = torch.Generator().manual_seed(seed)
    middle = 0.5 * (fields["p"][:, 1:] + fields["p"][:, :-1])
    tropopause = 1.0e4 + 3.0e4 * torch.rand(n_column, 1, generator=generator, dtype=torch.float64)
    return fields | {"T": 290.0 * (torch.maximum(middle, tropopause) / 1.0e5) ** 0.19}


def is_above(fields: dict[str, Tensor]) -> Tensor:
    tropopause = tropopause_pressure(fields["p"], fields["T"], SEARCH, constants=CONSTANTS)
    return 0.5 * (fields["p"][:, 1:] + fields["p"][:, :-1]) < tropopause[:, None]


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(KINDS))
@settings(deadline=None)
def test_no_cloud_above_and_every_layer_keeps_water_and_energy(seed: int, n_level: int, kind: str) -> None:
    fields = high_columns(seed, 6, n_level, kind)
    closed = LAW.apply(fields)
    above = is_above(fields)
    for water in ("l", "i"):
        left = after(closed, water)[above]
        assert bool((left >= 0.0).all())
        assert bool((left <= 4.0e-16 * fields[f"q{water}"][above].abs()).all())
    assert float(LAW.residuals(closed)["aloft"].max()) <= WATER_CLOSED
    change = {name: closed[name] - fields[name] for name in CHANGED}
    water = change["dqv"] + change["dql"] + change["dqi"]
    energy = CP * change["dT"] + (LV + LF) * change["dqv"] + LF * change["dql"]
    assert float(water.abs().max()) <= 1.0e-20
    assert float(energy.abs().max()) <= 1.0e-12
    for name in set(fields) - set(CHANGED):
        assert closed[name] is fields[name]
    for name in CHANGED:
        assert torch.equal(closed[name][~above], fields[name][~above])


def test_there_was_cloud_above() -> None:
    """Else the test above would pass with a constraint that does nothing."""
    fields = high_columns(3, 200, 30)
    assert float(LAW.residuals(fields)["aloft"].median()) > 1.0e-7
    above = is_above(fields)
    assert 3.0 < float(above.sum(dim=1).double().mean()) < 15.0
    closed = LAW.apply(fields)
    assert all(bool((closed[name] != fields[name])[above].float().mean() > 0.9) for name in CHANGED)


def test_by_hand() -> None:
    """Isothermal from 200 hPa: 3 g/kg of liquid and 1 g/kg of ice in the upper of two layers become vapour."""
    one = torch.ones(1, 3, dtype=torch.float64)
    fields = {"p": torch.tensor([[5e3, 1.5e4, 2.5e4, 5e4]], dtype=torch.float64), "T": 210.0 * one}
    fields |= {"ql": 2e-3 * one, "qi": 0.0 * one, "dT": 0.0 * one, "dqv": 0.0 * one}
    fields |= {"dql": 1e-3 / TIME_STEP * one, "dqi": 1e-3 / TIME_STEP * one}
    search = replace(SEARCH, highest_pressure=2.0e4)
    law = replace(LAW, tropopause=search)
    assert float(tropopause_pressure(fields["p"], fields["T"], search, constants=CONSTANTS)) == 2.0e4
    layer = 1.0e4 / CONSTANTS.gravity
    assert float(law.residuals(fields)["aloft"]) == pytest.approx(4e-3 * layer / TIME_STEP, rel=1e-13)
    closed = law.apply(fields)
    cooled = -(LV * 3e-3 + (LV + LF) * 1e-3) / CP / TIME_STEP
    assert closed["dqv"][0].tolist() == pytest.approx([4e-3 / TIME_STEP, 0.0, 0.0], rel=1e-13)
    assert closed["dT"][0].tolist() == pytest.approx([cooled, 0.0, 0.0], rel=1e-13)
    assert closed["dql"][0].tolist() == pytest.approx([-2e-3 / TIME_STEP, 1e-3 / TIME_STEP, 1e-3 / TIME_STEP])
    assert closed["dqi"][0].tolist() == pytest.approx([0.0, 1e-3 / TIME_STEP, 1e-3 / TIME_STEP])


@given(st.integers(0, 2**31), st.integers(2, 40), st.sampled_from(KINDS))
@settings(deadline=None)
def test_positivity_and_projection_bring_no_cloud_back(seed: int, n_level: int, kind: str) -> None:
    """Exactly none where there was exactly none, and no more than rounding where there was."""
    fields = LAW.apply(apply_all(high_columns(seed, 6, n_level, kind), SEQUENCE[:-2]))
    above = is_above(fields)
    closed = apply_all(fields, (POSITIVITY, WATER_AND_ENERGY))
    for water in ("l", "i"):
        none = above & (after(fields, water) == 0.0)
        assert bool((after(closed, water)[none] == 0.0).all())
        assert torch.equal(closed[f"dq{water}"][none], fields[f"dq{water}"][none])
    assert float(LAW.residuals(closed)["aloft"].max()) <= WATER_CLOSED
    assert float(WATER_AND_ENERGY.residuals(closed)["column_energy"].abs().max()) <= ENERGY_CLOSED
    assert float(POSITIVITY.residuals(closed)["positivity"].max()) == 0.0


def test_cloud_would_come_back_without_it() -> None:
    fields = apply_all(high_columns(4, 50, 30), SEQUENCE)
    assert float(LAW.residuals(fields)["aloft"].median()) > 1.0e-7


def test_water_is_neither_made_nor_lost() -> None:
    fields = high_columns(5, 100, 25, "negative water")
    held = [sum((mass(one) * after(one, water)).sum(dim=1) for water in WATERS) for one in (fields, LAW.apply(fields))]
    torch.testing.assert_close(held[1], held[0], rtol=1e-14, atol=1e-16)


def test_gradients_match_finite_differences() -> None:
    fields = high_columns(6, 3, 6)
    assert bool(is_above(fields).any(dim=1).all())
    assert not bool(is_above(fields)[:, -1].any())
    scale = {"dT": 1e-4, "dqv": 1e-7, "dql": 1e-7, "dqi": 1e-7}

    def close(*values: Tensor) -> tuple[Tensor, ...]:
        given = {name: value * scale[name] for name, value in zip(scale, values, strict=True)}
        closed = LAW.apply({**fields, **given})
        return tuple(closed[name] / scale[name] for name in scale)

    values = tuple((fields[name] / scale[name]).requires_grad_() for name in scale)
    assert torch.autograd.gradcheck(close, values, eps=1e-5, atol=1e-6, rtol=1e-4)


def test_applying_it_again_changes_nothing() -> None:
    once = LAW.apply(high_columns(7, 50, 20))
    twice = LAW.apply(once)
    for name in CHANGED:
        torch.testing.assert_close(twice[name], once[name], rtol=1e-13, atol=1e-22)


def test_entry_and_fields() -> None:
    check_manifest(LAW)
    check_fields(LAW, high_columns(8, 3, 10))
    check_time_step(LAW)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"vapor_rate": "dqi"}, "constraint 'aloft': expected distinct outputs"),
        ({"lowest_pressure": 5e4}, "tropopause: expected 'lowest_pressure' below 'highest_pressure'"),
        ({"fallback_pressure": None}, "tropopause: expected a positive 'fallback_pressure', got None"),
        ({"liquid": {"rate": "dql"}}, "expected key 'state', got none"),
    ],
)
def test_bad_entries_are_refused(change: dict[str, object], text: str) -> None:
    check_refused(LAW, change, text)
