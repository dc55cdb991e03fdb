"""Momentum and dry mass are measured, and nothing is changed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from constraint_checks import check_fields, check_manifest, check_refused

from constrained_columns import CONSTANTS, KINDS, RATES, columns, mass
from emagram.physics.constraints import Accounts, close

LAW = Accounts("accounts", "p", RATES, ("du", "dv"), ("olr", "net"), CONSTANTS)
STRESSLESS, WATER_ALONE = replace(LAW, stress=()), replace(LAW, winds=(), stress=())


@pytest.mark.parametrize("kind", KINDS)
def test_what_they_hold(kind: str) -> None:
    """Fields of the right shape in the place of the stress."""
    fields = columns(3, 20, 15, kind)
    ledger = close((LAW,), fields)
    water = sum((mass(fields) * fields[rate]).sum(dim=1) for rate in RATES)
    expected = {"accounts_dry_mass": -water}
    for name, wind, stress in (("eastward", "du", "olr"), ("northward", "dv", "net")):
        expected[f"accounts_{name}_momentum"] = (mass(fields) * fields[wind]).sum(dim=1) - fields[stress]
    assert list(ledger.entries) == list(expected)
    for name, value in expected.items():
        entry = ledger.entries[name]
        assert entry.budget.unit == ("kg m-2 s-1" if name.endswith("mass") else "Pa")
        for residual in entry.residuals:
            torch.testing.assert_close(residual, value, rtol=1e-12, atol=1e-18)
        assert not bool(entry.unmet.any())
        assert entry.budget.tolerance == math.inf
    assert all(ledger.fields[name] is fields[name] for name in fields)
    assert ledger.changes["accounts"] == {}


def test_by_hand() -> None:
    """1 and 2 kg m-2; the layers gain 3 and 5 of water and lose as much dry air."""
    fields = {name: torch.zeros(1, 2, dtype=torch.float64) for name in ("dqv", "dql", "dqi", "du", "dv")}
    fields |= {"p": torch.tensor([[0.0, 1.0, 3.0]], dtype=torch.float64) * CONSTANTS.gravity}
    fields |= {"olr": torch.tensor([7.0]).double(), "net": torch.tensor([-1.0]).double()}
    fields["dqv"][0] = torch.tensor([1.0, 2.0])
    fields["dqi"][0] = torch.tensor([2.0, 3.0])
    fields["du"][0] = torch.tensor([4.0, 3.0])
    held = {name: float(value) for name, value in LAW.residuals(fields).items()}
    assert held == pytest.approx(
        {"accounts_dry_mass": -13.0, "accounts_eastward_momentum": 3.0, "accounts_northward_momentum": 1.0}, rel=1e-14
    )
    assert float(STRESSLESS.residuals(fields)["accounts_eastward_momentum"]) == pytest.approx(10.0, rel=1e-14)


def test_winds_and_stress_may_lack() -> None:
    assert [budget.name for budget in WATER_ALONE.budgets] == ["accounts_dry_mass"]
    assert LAW.outputs == ()
    assert set(STRESSLESS.inputs) == set(LAW.inputs) - {"olr", "net"}


def test_entry_and_fields() -> None:
    for law in (LAW, STRESSLESS, WATER_ALONE):
        check_manifest(law)
        check_fields(law, columns(4))
        assert law.to_manifest()["enforced"] is False


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"enforced": True}, "constraint 'accounts': expected 'enforced' to be false, got True"),
        ({"water": []}, "expected distinct water"),
        ({"winds": ["du"]}, "expected 2 names in 'winds' or none"),
        ({"stress": ["olr"]}, "expected 2 names in 'stress' or none"),
        ({"winds": []}, "expected 0 names in 'stress' or none"),
        ({"winds": ["du", "dqv"]}, "expected distinct fields"),
    ],
)
def test_bad_entries_are_refused(change: dict[str, object], text: str) -> None:
    check_refused(LAW, change, text)
