"""The whole sequence on columns of every kind: what it closes, what it bounds, and in which order."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained_columns import (
    BANDS,
    BOUNDS,
    CONSTANTS,
    ENERGY_CLOSED,
    KINDS,
    OUTPUTS,
    POSITIVITY,
    PRECIPITATION,
    SEQUENCE,
    SHORTWAVE,
    STILL_ALOFT,
    TIME_STEP,
    UPPER,
    WATER_AND_ENERGY,
    WATER_CLOSED,
    WATERS,
    after,
    aloft,
    apply_all,
    columns,
    mass,
)
from emagram.physics.constraints import CONSTRAINTS, Constraint, from_manifest
from emagram.physics.errors import EmagramError

CLOSED_FLOAT32 = {"column_water": 1.0e-10, "column_energy": 1.0e-3}  # rounding of real32 rates alone
SAME = 1.0e-12  # of an output's magnitude: what a second application may change


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(KINDS), st.booleans())
@settings(deadline=None)
def test_every_column_closes_and_obeys(seed: int, n_level: int, kind: str, still: bool) -> None:
    fields = columns(seed, 6, n_level, kind)
    closed = apply_all(fields, STILL_ALOFT if still else SEQUENCE)
    residual = WATER_AND_ENERGY.residuals(closed)
    kept = aloft(fields) & still  # what is there serves no other layer
    given_away = {water: torch.where(kept, fields[f"q{water}"].clamp(max=0.0), fields[f"q{water}"]) for water in WATERS}
    had_water = sum((mass(fields) * given_away[water]).sum(dim=1) for water in WATERS) >= 0.0
    assert kind == "negative water" or bool(had_water.all())
    assert not had_water.any() or float(residual["column_water"][had_water].abs().max()) <= WATER_CLOSED
    assert float(residual["column_energy"].abs().max()) <= ENERGY_CLOSED
    assert float(POSITIVITY.residuals(closed)["positivity"].max()) == 0.0
    assert float(SHORTWAVE.residuals(closed)["shortwave"].abs().max()) <= ENERGY_CLOSED
    assert all(bool((after(closed, water) >= 0.0).all()) for water in WATERS)
    assert bool(((closed["snow"] >= 0.0) & (closed["rain"] >= closed["snow"])).all())
    bands = torch.stack([closed[f"down{band}"] for band in range(BANDS)])
    assert bool((bands >= 0.0).all())
    assert bool((bands.sum(dim=0) <= closed["sun"] * (1.0 + SAME)).all())
    assert bool(((closed["net"] <= closed["toa"]) & (closed["toa"] <= closed["sun"])).all())
    assert bool(((closed["olr"] >= 0.0) & (closed["longwave_down"] >= 0.0)).all())
    for name in set(fields) - set(OUTPUTS):
        assert closed[name] is fields[name]


@pytest.mark.parametrize("kind", KINDS)
def test_there_was_something_to_close(kind: str) -> None:
    """Else the test above would pass with constraints that do nothing."""
    before = {k: v for c in SEQUENCE for k, v in c.residuals(columns(3, 50, 30, kind)).items()}
    before.pop("positivity_deficit")  # few columns lack that much
    assert set(before) == {"upper_water", "shortwave", "positivity", "column_water", "column_energy"}
    assert float(before["column_water"].abs().min()) > 1.0e-9
    assert float(before["column_energy"].abs().min()) > 0.1
    assert all(bool((value.abs() > 0.0).any()) for value in before.values())


def test_water_is_created_nowhere() -> None:
    """Without budgets' own words: water before = water after + rain, and no rain where there was no water to fall."""
    for kind in ("more rain than water", "no water", "negative water"):
        fields = columns(8, 200, 20, kind)
        closed = apply_all(fields)
        before = sum((mass(closed) * fields[f"q{water}"]).sum(dim=1) for water in WATERS)
        left = sum((mass(closed) * after(closed, water)).sum(dim=1) for water in WATERS)
        fallen = TIME_STEP * CONSTANTS.density_liquid_water * closed["rain"]
        torch.testing.assert_close(left + fallen, before, rtol=1e-13, atol=1e-15)
        if kind != "negative water":
            assert bool((closed["rain"] < fields["rain"]).any())


def test_a_debt_that_nothing_can_pay_is_reported() -> None:
    """Water that was negative before, with none to borrow: it goes to zero, and the budget shows what was missing."""
    fields = columns(9, 5, 10, "no water")
    fields["qv"] = torch.full_like(fields["qv"], -1.0e-7)
    fields |= {f"dq{water}": torch.zeros_like(fields["dqv"]) for water in WATERS}
    fields["rain"] = torch.zeros_like(fields["rain"])
    closed = apply_all(fields)
    assert not after(closed, "v").any()
    missing = 1.0e-7 * mass(fields).sum(dim=1) / TIME_STEP
    residual = WATER_AND_ENERGY.residuals(closed)
    torch.testing.assert_close(residual["column_water"], missing, rtol=1e-12, atol=0.0)
    assert float(residual["column_energy"].abs().max()) <= ENERGY_CLOSED


def test_real32_outputs_stay_real32_and_close_to_their_rounding() -> None:
    fields = columns(10, 100, 60)
    single = fields | {name: fields[name].float() for name in OUTPUTS}
    closed = apply_all(single)
    assert all(closed[name].dtype == torch.float32 for name in OUTPUTS)
    for name, residual in WATER_AND_ENERGY.residuals(closed).items():
        assert residual.dtype == torch.float64
        assert float(residual.abs().max()) <= CLOSED_FLOAT32[name]


def test_columns_do_not_feel_each_other() -> None:
    """And any leading dimensions do."""
    kinds = [columns(11, 4, 10, kind) for kind in KINDS]
    fields = {name: torch.cat([one[name] for one in kinds]) for name in kinds[0]}
    together = apply_all(fields)
    cube = apply_all({name: value.reshape(len(KINDS), 4, *value.shape[1:]) for name, value in fields.items()})
    for at in range(4 * len(KINDS)):
        alone = apply_all({name: value[at : at + 1] for name, value in fields.items()})
        for name in OUTPUTS:
            torch.testing.assert_close(alone[name][0], together[name][at], rtol=SAME, atol=1e-20)
            torch.testing.assert_close(cube[name].flatten(0, 1)[at], together[name][at], rtol=0.0, atol=0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("constraint", SEQUENCE, ids=lambda constraint: constraint.name)
def test_each_is_idempotent(constraint: Constraint, kind: str) -> None:
    fields = columns(12, 50, 20, kind)
    for earlier in SEQUENCE[: SEQUENCE.index(constraint)]:
        fields = earlier.apply(fields)
    once = constraint.apply(fields)
    twice = constraint.apply(once)
    for name in constraint.outputs:
        scale = float(fields[name].abs().max())
        torch.testing.assert_close(twice[name], once[name], rtol=0.0, atol=SAME * scale)
    for name in set(fields) - set(constraint.outputs):
        assert once[name] is fields[name]


def test_the_order_matters() -> None:
    """Each constraint before its successor; the other way round some bound or budget is open again."""
    fields = columns(13, 200, 20)
    for constraint in (WATER_AND_ENERGY, POSITIVITY, PRECIPITATION, BOUNDS, SHORTWAVE, UPPER):
        fields = constraint.apply(fields)
    open_again = WATER_AND_ENERGY.residuals(fields)
    assert float(open_again["column_water"].abs().max()) > 1.0e-6
    assert float(open_again["column_energy"].abs().max()) > 1.0
    kinds = list(CONSTRAINTS)
    assert all(
        kinds.index(a.to_manifest()["type"]) < kinds.index(b.to_manifest()["type"]) for a, b in pairwise(SEQUENCE)
    )


def test_manifest_round_trip() -> None:
    entries = [constraint.to_manifest() for constraint in SEQUENCE]
    assert from_manifest(entries, CONSTANTS, TIME_STEP) == SEQUENCE
    assert from_manifest([entry | {"new": 1} for entry in entries], CONSTANTS, TIME_STEP) == SEQUENCE
    assert [kind for entry in entries for kind in [entry["type"]] if "top_pressure" in entry] == ["upper_levels"]
    still = [constraint.to_manifest() for constraint in STILL_ALOFT]
    assert from_manifest(still, CONSTANTS, TIME_STEP) == STILL_ALOFT != SEQUENCE
    assert from_manifest([entry | {"top_pressure": 0} for entry in entries[4:]], CONSTANTS, TIME_STEP) == SEQUENCE[4:]
    for entry, constraint in zip(entries, SEQUENCE, strict=True):
        assert entry["budgets"] == [{"name": b.name, "unit": b.unit} for b in constraint.budgets]
        assert {b.name for b in constraint.budgets} == set(constraint.residuals(columns(1)))


@pytest.mark.parametrize("constraint", SEQUENCE, ids=lambda constraint: constraint.name)
def test_every_missing_key_and_field_is_named(constraint: Constraint) -> None:
    entry = constraint.to_manifest()
    for key in set(entry) - {"type", "budgets"}:
        less = {name: value for name, value in entry.items() if name != key}
        with pytest.raises(EmagramError, match=f"expected key '{key}'"):
            from_manifest([less], CONSTANTS, TIME_STEP)
    for name in (*constraint.inputs, *constraint.outputs):
        fields = columns(14)
        del fields[name]
        with pytest.raises(EmagramError, match=f"expected field '{name}'"):
            constraint.apply(fields)


@pytest.mark.parametrize(
    ("at", "change", "text"),
    [
        (0, {"receiver": "dT"}, "expected 'dT' in its water"),
        (0, {"water": ["dT"]}, "expected 'dT' in its outputs"),
        (0, {"top_pressure": -1.0}, "expected a positive 'top_pressure', got -1.0"),
        (1, {"albedo": ["albedo0"]}, "expected 4 albedos, one a flux, got 1"),
        (1, {"net": "down0"}, "expected distinct outputs"),
        (2, {"minimum": []}, "expected distinct outputs"),
        (2, {"minimum": [{"output": "olr", "value": float("inf")}]}, "minimum of 'olr': expected a finite number"),
        (3, {"snow": "rain"}, "expected distinct outputs"),
        (4, {"species": []}, "expected distinct species"),
        (4, {"top_pressure": -1.0}, "expected a positive 'top_pressure', got -1.0"),
        (5, {"top_pressure": None}, "expected a positive 'top_pressure', got None"),
        (5, {"top_pressure": float("nan")}, "expected a positive 'top_pressure', got nan"),
        (5, {"winds": [{"state": "u", "rate": "du"}]}, "expected two winds or none, got 1"),
        (5, {"water_variance": 0.0}, "expected a positive 'water_variance', got 0.0"),
        (5, {"radiation": [{"name": "olr", "sign": 2}]}, "flux 'olr': expected sign 1 or -1, got 2"),
        (5, {"type": "magic"}, "constraint type 'magic'"),
    ],
)
def test_bad_entries_are_refused(at: int, change: dict[str, object], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        from_manifest([SEQUENCE[at].to_manifest() | change], CONSTANTS, TIME_STEP)


def test_rates_of_no_time_step_and_repeated_budgets_are_refused() -> None:
    for constraint in (POSITIVITY, WATER_AND_ENERGY):
        with pytest.raises(EmagramError, match=f"'{constraint.name}': expected a model with a time step"):
            from_manifest([constraint.to_manifest()], CONSTANTS, None)
    with pytest.raises(EmagramError, match="expected distinct names of budgets"):
        from_manifest([POSITIVITY.to_manifest()] * 2, CONSTANTS, TIME_STEP)


@pytest.mark.parametrize("name", ["dqv", "rain", "u"])
def test_wrong_shapes_are_refused_rather_than_broadcast(name: str) -> None:
    fields = columns(15)
    fields[name] = fields[name][:1]
    with pytest.raises(EmagramError, match=f"field '{name}': expected shape"):
        WATER_AND_ENERGY.apply(fields)


@pytest.mark.parametrize("constraint", [c for c in SEQUENCE if "p" in c.inputs], ids=lambda c: c.name)
@pytest.mark.parametrize("thickness", [0.0, -5.0, float("nan")])
def test_layers_without_mass_are_named_and_counted(constraint: Constraint, thickness: float) -> None:
    """A layer that weighs nothing keeps any water below zero unseen, as no budget counts it."""
    fields = columns(13, 5, 8)
    fields["p"][[1, 3], 4] = fields["p"][[1, 3], 3] + thickness
    for use in (constraint.apply, constraint.residuals):
        with pytest.raises(EmagramError, match="'p' to increase with the index, got a layer without mass in 2 columns"):
            use(fields)
