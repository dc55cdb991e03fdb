"""What every constraint owes a manifest and its user: the way there and back, and one sentence for what is missing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from torch import Tensor

from constrained_columns import CONSTANTS, TIME_STEP
from emagram.physics.constraints import Constraint, close, from_manifest
from emagram.physics.errors import EmagramError


def check_manifest(law: Constraint, optional: tuple[str, ...] = ()) -> None:
    """There and back, unknown keys aside; every key but the optional ones is needed, and its absence named."""
    entry = law.to_manifest()
    assert from_manifest([entry | {"new": 1}], CONSTANTS, TIME_STEP) == (law,)
    assert entry["budgets"] == [{"name": b.name, "unit": b.unit} for b in law.budgets]
    for key in set(entry) - {"type", "budgets", *optional}:
        less = {name: value for name, value in entry.items() if name != key}
        with pytest.raises(EmagramError, match=f"expected key '{key}'"):
            from_manifest([less], CONSTANTS, TIME_STEP)


def check_fields(law: Constraint, fields: Mapping[str, Tensor]) -> None:
    """Every field it says that it reads or changes is needed, and no other; other shapes are refused."""
    needed = {*law.inputs, *law.outputs}
    assert set(close((law,), {name: fields[name] for name in needed}).entries) == {b.name for b in law.budgets}
    for name in needed:
        with pytest.raises(EmagramError, match=f"expected field '{name}'"):
            close((law,), {other: value for other, value in fields.items() if other != name})
        bad = {**fields, name: fields[name].unsqueeze(0).repeat(2, *(1 for _ in fields[name].shape))}
        with pytest.raises(EmagramError, match="expected shape"):
            close((law,), bad)


def check_refused(law: Constraint, change: Mapping[str, object], text: str) -> None:
    """An entry with that change is refused, in one sentence."""
    with pytest.raises(EmagramError, match=text) as refused:
        from_manifest([law.to_manifest() | dict(change)], CONSTANTS, TIME_STEP)
    assert "\n" not in str(refused.value)


def check_time_step(law: Constraint) -> None:
    """It needs one."""
    with pytest.raises(EmagramError, match=f"'{law.name}': expected a model with a time step"):
        from_manifest([law.to_manifest()], CONSTANTS, None)
