"""Gradients of the constraints that decide, on each set of their decisions, against finite differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from constrained_columns import CONSTANTS, WATERS
from emagram.physics.constraints import (
    Bounds,
    Constraint,
    Minimum,
    Positivity,
    Precipitation,
    Prognostic,
    Shortwave,
    UpperLevels,
)

SPECIES = tuple(Prognostic(f"q{water}", f"dq{water}") for water in WATERS)
PRESSURE = torch.tensor([[0.0, 1.0, 2.5, 3.0, 5.0]], dtype=torch.float64) * CONSTANTS.gravity
"""Layers of 1, 1.5, 0.5 and 2 kg m-2."""

WATER_AFTER: dict[str, dict[str, list[float]]] = {
    "none lacks": {"v": [1.0, 2.0, 3.0, 4.0], "l": [0.5, 0.1, 0.2, 0.3], "i": [0.1, 0.2, 0.3, 0.4]},
    "from below": {"v": [-1.0, -0.5, 3.0, 4.0], "l": [0.5, 0.1, 0.2, 0.3], "i": [0.1, 0.2, 0.3, 0.4]},
    "from above": {"v": [1.0, 2.0, 3.0, -0.6], "l": [0.5, 0.1, 0.2, 0.3], "i": [0.4, 0.2, 0.3, -0.1]},
    "from both sides": {"v": [2.0, -0.5, 0.3, -0.6], "l": [0.5, 0.1, 0.2, 0.3], "i": [0.4, 0.2, 0.3, 0.1]},
    "from vapour": {"v": [1.0, 2.0, 3.0, 4.0], "l": [-0.5, 0.1, 0.2, 0.1], "i": [0.1, -0.8, 0.3, 0.1]},
    "from vapour that lacks": {"v": [1.0, 2.0, 3.0, -0.6], "l": [-0.5, 0.1, 0.2, 0.1], "i": [0.1, 0.2, 0.3, 0.1]},
    "not enough": {"v": [0.1, -0.2, 0.3, 0.1], "l": [-1.5, -0.1, -0.2, -1.0], "i": [0.1, 0.2, 0.3, 0.1]},
}


def check(constraint: Constraint, fields: dict[str, Tensor], names: tuple[str, ...]) -> None:
    """All outputs by all of `names`, away from every kink."""

    def outputs(*values: Tensor) -> tuple[Tensor, ...]:
        closed = constraint.apply(fields | dict(zip(names, values, strict=True)))
        return tuple(closed[name] for name in constraint.outputs)

    values = tuple(fields[name].clone().requires_grad_() for name in names)
    assert torch.autograd.gradcheck(outputs, values, eps=1.0e-6, atol=1.0e-7, rtol=1.0e-6)


@pytest.mark.parametrize("top_pressure", [0.0, 6.0])
@pytest.mark.parametrize("kind", WATER_AFTER)
def test_borrowing(kind: str, top_pressure: float) -> None:
    fields = {"p": PRESSURE}
    for water, values in WATER_AFTER[kind].items():
        fields[f"q{water}"] = torch.full((1, 4), 0.25, dtype=torch.float64)
        fields[f"dq{water}"] = (torch.tensor([values], dtype=torch.float64) - 0.25) / 2.0
    positivity = Positivity("positivity", SPECIES, "p", CONSTANTS, 2.0, top_pressure)
    changed = positivity.apply(fields)
    assert (kind == "none lacks") == all(torch.equal(changed[name], fields[name]) for name in positivity.outputs)
    check(positivity, fields, ("p", *(name for species in SPECIES for name in (species.state, species.rate))))


@pytest.mark.parametrize(
    ("incoming", "bands", "top"),
    [
        (100.0, (20.0, 30.0), 60.0),
        (100.0, (80.0, 90.0), 60.0),
        (100.0, (-20.0, 30.0), 5.0),
        (100.0, (20.0, 30.0), 130.0),
        (100.0, (-20.0, 130.0), 95.0),
        (-1.0, (20.0, 30.0), 60.0),
    ],
)
def test_sunlight(incoming: float, bands: tuple[float, float], top: float) -> None:
    """Dim; brighter than what enters; a band below zero; more at the top than enters; both; night."""
    values = {"sun": incoming, "d0": bands[0], "d1": bands[1], "a0": 0.1, "a1": 0.3, "net": 7.0, "top": top}
    fields = {name: torch.tensor([value], dtype=torch.float64) for name, value in values.items()}
    check(Shortwave("shortwave", ("d0", "d1"), ("a0", "a1"), "net", "sun", "top"), fields, tuple(values))


@pytest.mark.parametrize(
    "fields",
    [{"rain": 2.0, "snow": 1.0}, {"rain": 2.0, "snow": 3.0}, {"rain": 2.0, "snow": -1.0}, {"rain": -2.0, "snow": -1.0}],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Precipitation("precipitation", "rain", "snow"),
        lambda: Bounds("bounds", (Minimum("rain", 0.5), Minimum("snow", 0.0))),
    ],
)
def test_least_values(make: Callable[[], Constraint], fields: dict[str, float]) -> None:
    check(make(), {name: torch.tensor([value], dtype=torch.float64) for name, value in fields.items()}, tuple(fields))


def test_water_that_is_given_back_below() -> None:
    fields = {"p": PRESSURE, "dqv": torch.tensor([[1.0, -2.0, 0.5, 3.0]], dtype=torch.float64)}
    fields["dql"] = -0.3 * fields["dqv"].flip(-1)
    upper = UpperLevels("upper", ("dqv", "dql"), ("dqv", "dql"), "dqv", 20.0, "p", CONSTANTS)
    assert not bool(upper.apply(fields)["dql"][0, :2].any())
    check(upper, fields, ("p", "dqv", "dql"))
