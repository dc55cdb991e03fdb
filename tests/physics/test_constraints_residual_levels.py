"""Water and energy closed by one level each, and nothing else changed."""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from constrained_columns import (
    CONSTANTS,
    ENERGY_CLOSED,
    KINDS,
    POSITIVITY,
    SEQUENCE,
    TIME_STEP,
    WATER_AND_ENERGY,
    WATER_CLOSED,
    after,
    apply_all,
    columns,
    mass,
)
from emagram.physics.constraints import ResidualLevels, from_manifest
from emagram.physics.constraints.moist_law import MoistLaw
from emagram.physics.errors import EmagramError

LAW = ResidualLevels(**{field.name: getattr(WATER_AND_ENERGY, field.name) for field in fields_of(MoistLaw)})
CP, LV, LF = CONSTANTS.heat_capacity_dry_air, CONSTANTS.latent_heat_vaporization, CONSTANTS.latent_heat_fusion


def prepared(seed: int, n_column: int, n_level: int, kind: str = "ordinary") -> dict[str, Tensor]:
    """Columns as the constraints before this one leave them."""
    return apply_all(columns(seed, n_column, n_level, kind), SEQUENCE[:-1])


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(KINDS), st.data())
@settings(deadline=None)
def test_every_column_closes_by_two_levels(seed: int, n_level: int, kind: str, data: st.DataObject) -> None:
    fields = prepared(seed, 6, n_level, kind)
    levels = st.none() | st.integers(0, n_level - 1)
    vapor, temperature = data.draw(levels), data.draw(levels)
    law = replace(LAW, vapor_level=vapor, temperature_level=temperature)
    closed = law.apply(fields)
    residual = law.residuals(closed)
    # terms of a very thin level are so large that their rounding alone is more
    scale = float((mass(closed) * closed["dqv"]).abs().max()) * 1.0e-15
    assert float(residual["column_water"].abs().max()) <= WATER_CLOSED + scale
    assert float(residual["column_energy"].abs().max()) <= ENERGY_CLOSED + LV * scale
    for name, level in (("dqv", vapor), ("dT", temperature)):
        kept = torch.arange(n_level) != (n_level - 1 if level is None else level)
        assert torch.equal(closed[name][:, kept], fields[name][:, kept])
        assert not torch.equal(closed[name][:, ~kept], fields[name][:, ~kept])
    for name in set(fields) - {"dqv", "dT"}:
        assert closed[name] is fields[name]


def test_the_lowest_level_takes_what_is_left() -> None:
    """By hand: layers of 1 and 2 kg m-2, r_A = 1 + 3·1 + 10 and what r_B then is."""
    zero, one = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    fields = {name: zero.clone() for name in ("qv", "ql", "qi", "u", "v", "du", "dv", "dT", "dqv", "dql", "dqi")}
    fields |= {"p": torch.tensor([[0.0, 1.0, 3.0]], dtype=torch.float64) * CONSTANTS.gravity}
    fields["dqv"][0, 0], fields["dqi"][0] = 1.0, 1.0
    fields |= {"rain": 0.010 * one, "snow": 0.004 * one, "toa": 500.0 * one}
    fields |= dict.fromkeys(("olr", "net", "longwave_down"), 60.0 * one) | {"longwave_up": 10.0 * one}
    closed = LAW.apply(fields)
    assert closed["dqv"][0].tolist() == pytest.approx([1.0, -7.0], rel=1e-14)
    energy = (LV + LF) * (1.0 - 14.0) + LF * 6.0 - (500.0 - 3.0 * 60.0 + 10.0)
    assert closed["dT"][0].tolist() == pytest.approx([0.0, -energy / (2.0 * CP)], rel=1e-12)


def test_what_the_network_returns_there_does_not_matter() -> None:
    fields = prepared(3, 8, 10)
    law = replace(LAW, vapor_level=4, temperature_level=7)
    other = {**fields, "dqv": fields["dqv"].clone(), "dT": fields["dT"].clone()}
    other["dqv"][:, 4] += 1.0e-6
    other["dT"][:, 7] -= 1.0e-3
    for name, value in law.apply(other).items():
        torch.testing.assert_close(value, law.apply(fields)[name], rtol=1e-9, atol=1e-18)


def test_bounds_are_not_kept_and_positivity_shows_it() -> None:
    fields = prepared(5, 50, 12, "more rain than water")
    assert float(POSITIVITY.residuals(fields)["positivity"].max()) == 0.0
    closed = LAW.apply(fields)
    below = after(closed, "v")[:, -1] < 0.0
    assert bool(below.any())
    assert bool((POSITIVITY.residuals(closed)["positivity"][below] > 0.0).all())


@pytest.mark.parametrize("levels", [(None, None), (0, 2), (1, 1)])
def test_gradients_match_finite_differences(levels: tuple[int | None, int | None]) -> None:
    fields = columns(21, 2, 3)
    law = replace(LAW, vapor_level=levels[0], temperature_level=levels[1])
    scale = {"dT": 1e-5, "dqv": 1e-8, "dql": 1e-8, "dqi": 1e-9, "rain": 1e-8, "snow": 1e-8, "du": 1e-4, "olr": 1e2}

    def close(*values: Tensor) -> tuple[Tensor, ...]:
        given = {name: value * scale[name] for name, value in zip(scale, values, strict=True)}
        closed = law.apply({**fields, **given})
        return tuple(closed[name] / scale[name] for name in ("dT", "dqv"))

    values = tuple((fields[name] / scale[name]).requires_grad_() for name in scale)
    assert torch.autograd.gradcheck(close, values, eps=1e-5, atol=1e-4, rtol=1e-3)


def test_budgets_and_manifest_are_those_of_the_projection() -> None:
    fields = columns(7, 20, 15)
    ours, theirs = LAW.residuals(fields), WATER_AND_ENERGY.residuals(fields)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    law = replace(LAW, vapor_level=3, temperature_level=0)
    for one in (LAW, law):
        assert from_manifest([one.to_manifest() | {"new": 1}], CONSTANTS, TIME_STEP) == (one,)
    assert "vapor_level" not in LAW.to_manifest()
    assert (law.to_manifest()["vapor_level"], law.to_manifest()["temperature_level"]) == (3, 0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"vapor_level": -1}, "constraint 'column': expected 'vapor_level' from 0 at the top, got -1"),
        ({"temperature_level": 2.0}, "expected 'temperature_level' from 0 at the top, got 2.0"),
        ({"temperature_level": True}, "expected 'temperature_level' from 0 at the top, got True"),
        ({"snowfall": "rain"}, "expected distinct outputs"),
        ({"winds": [{"state": "u", "rate": "du"}]}, "expected two winds or none, got 1"),
    ],
)
def test_bad_entries_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        from_manifest([LAW.to_manifest() | change], CONSTANTS, TIME_STEP)


def test_a_level_that_is_not_there_and_missing_parts_are_named() -> None:
    with pytest.raises(EmagramError, match="constraint 'column': expected 'vapor_level' below 6, got 6"):
        replace(LAW, vapor_level=6).apply(columns(1, 2, 6))
    with pytest.raises(EmagramError, match="'column': expected a model with a time step"):
        from_manifest([LAW.to_manifest()], CONSTANTS, None)
    for key in set(LAW.to_manifest()) - {"type", "budgets"}:
        less = {name: value for name, value in LAW.to_manifest().items() if name != key}
        with pytest.raises(EmagramError, match=f"expected key '{key}'"):
            from_manifest([less], CONSTANTS, TIME_STEP)
    for name in (*LAW.inputs, *LAW.outputs):
        with pytest.raises(EmagramError, match=f"expected field '{name}'"):
            LAW.apply({other: value for other, value in columns(1).items() if other != name})
