"""Residuals before and after each constraint, which columns cannot hold it, and what it changed."""

from dataclasses import replace

import pytest
import torch

from constrained_columns import (
    KINDS,
    POSITIVITY,
    SEQUENCE,
    SHORTWAVE,
    TIME_STEP,
    WATER_AND_ENERGY,
    apply_all,
    columns,
    mass,
)
from emagram.physics.constraints import close
from emagram.physics.errors import EmagramError


@pytest.mark.parametrize("kind", KINDS)
def test_every_stage_is_the_residual_of_the_fields_as_they_stood(kind: str) -> None:
    fields = columns(3, 5, 12, kind)
    ledger = close(SEQUENCE, fields)
    now, closed = fields, apply_all(fields, SEQUENCE)
    for constraint in SEQUENCE:
        after = constraint.apply(now)
        stages = (constraint.residuals(state) for state in (fields, now, after, closed))
        predicted, before, just_after, returned = stages
        for name in predicted:
            expected = predicted[name], before[name], just_after[name], returned[name]
            assert all(torch.equal(a, b) for a, b in zip(ledger.entries[name].residuals, expected, strict=True))
            assert ledger.entries[name].constraint == constraint.name
        for name in constraint.outputs:
            assert torch.equal(ledger.changes[constraint.name][name], after[name] - now[name])
        now = after
    assert list(ledger.entries) == [budget.name for constraint in SEQUENCE for budget in constraint.budgets]
    assert all(torch.equal(ledger.fields[name], closed[name]) for name in fields)


def test_shortwave_is_broken_before_and_met_after() -> None:
    entry = close(SEQUENCE, columns(1, 40, 10, "ordinary")).entries[SHORTWAVE.name]
    assert float(entry.residuals.before.abs().min()) > 1.0e-3
    assert float(entry.residuals.after.abs().max()) < 1.0e-12
    assert not bool(entry.unmet.any())


@pytest.mark.parametrize("top_pressure", [0.0, 3.0e4])
@pytest.mark.parametrize("kind", ["ordinary", "negative water", "no water"])
def test_the_deficit_is_the_water_made_from_nothing(kind: str, top_pressure: float) -> None:
    positivity = replace(POSITIVITY, top_pressure=top_pressure)
    fields = columns(5, 200, 8, kind)
    for species in POSITIVITY.species:
        fields[species.rate][::3] -= 2.0 * fields[species.state][::3] / TIME_STEP
    ledger = close((positivity,), fields)
    made = sum((mass(fields) * ledger.changes[positivity.name][rate]).sum(dim=1) for rate in positivity.outputs)
    entry = ledger.entries[f"{positivity.name}_deficit"]
    torch.testing.assert_close(entry.residuals.before, made, rtol=1.0e-9, atol=1.0e-16)
    assert torch.equal(entry.unmet, made > 1.0e-14)
    assert int(entry.unmet.sum()) > 0
    assert int(entry.unmet.sum()) < 200 or kind == "no water"
    assert not bool(ledger.entries[positivity.name].unmet.any())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_residual_that_is_not_finite_is_unmet(bad: float) -> None:
    fields = columns(1, 5, 8, "ordinary")
    fields["dqv"][1, 3] = bad
    entries = close(SEQUENCE, fields).entries
    for name in (POSITIVITY.name, *(budget.name for budget in WATER_AND_ENERGY.budgets)):
        assert entries[name].unmet.tolist() == [False, True, False, False, False]
    assert not bool(entries[SHORTWAVE.name].unmet.any())


def test_rounding_of_real32_outputs_shows_where_they_are_returned_and_is_not_unmet() -> None:
    """As in the runtime: closed in float64, and written at the end."""
    fields = columns(1, 40, 10, "ordinary")
    outputs = {name for constraint in SEQUENCE for name in constraint.outputs}
    fields = {name: value.float() if name in outputs else value for name, value in fields.items()}
    ledger = close(SEQUENCE, fields)
    for entry in ledger.entries.values():
        assert not bool(entry.unmet.any()), entry.budget.name
    energy = ledger.entries[f"{WATER_AND_ENERGY.name}_energy"].residuals
    assert float(energy.after.abs().max()) < 1.0e-9
    assert 1.0e-9 < float(energy.returned.abs().max()) < 1.0e-3
    assert {name for name, value in ledger.fields.items() if value.dtype == torch.float32} == outputs


def test_what_a_later_constraint_breaks_shows_where_it_is_returned() -> None:
    fields = columns(2, 20, 10, "ordinary")
    ledger = close((WATER_AND_ENERGY, SHORTWAVE), fields)
    entry = ledger.entries[f"{WATER_AND_ENERGY.name}_energy"]
    assert float(entry.residuals.after.abs().max()) < 1.0e-9
    assert float(entry.residuals.returned.abs().max()) > 1.0


def test_a_missing_field_is_named() -> None:
    fields = columns(2, 3, 4, "ordinary")
    del fields["rain"]
    with pytest.raises(EmagramError, match="expected field 'rain'"):
        close(SEQUENCE, fields)
