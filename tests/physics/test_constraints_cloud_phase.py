"""Cloud of the phase its temperature asks for, after the melting or freezing that this takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from constrained_columns import (
    CONSTANTS,
    ENERGY_CLOSED,
    KINDS,
    POSITIVITY,
    SEQUENCE,
    SPECIES,
    STILL_ALOFT,
    TIME_STEP,
    UPPER,
    WATER_AND_ENERGY,
    WATER_CLOSED,
    after,
    aloft,
    apply_all,
    columns,
)
from emagram.physics.constraints import CloudPhase, Prognostic, from_manifest
from emagram.physics.errors import EmagramError
from emagram.physics.thermodynamics import liquid_fraction

LAW = CloudPhase("phase", Prognostic("T", "dT"), SPECIES[1], SPECIES[2], "p", CONSTANTS, TIME_STEP)
CP, LF = CONSTANTS.heat_capacity_dry_air, CONSTANTS.latent_heat_fusion
PHASE_CLOSED = 1.0e-14  # kg m-2 s-1
UNDERFLOW = 1.0e-300  # [kg kg-1] of which a rate is lost, Δt being long


def cloudy(seed: int, n_column: int, n_level: int, kind: str = "ordinary") -> dict[str, Tensor]:
    """Columns as they are closed before, with more cloud than usual, from 200 K to 310 K."""
    fields = columns(seed, n_column, n_level, kind)
    generator = torch.Generator().manual_seed(seed + 1)
    shape = (n_column, n_level)
    fields["T"] = 200.0 + 110.0 * torch.rand(shape, generator=generator, dtype=torch.float64)
    for water in ("ql", "qi"):
        fields[water] = fields[water] * 10.0 ** (3.0 * torch.rand(shape, generator=generator, dtype=torch.float64))
    return apply_all(fields, STILL_ALOFT)


def temperature(fields: dict[str, Tensor]) -> Tensor:
    return fields["T"] + TIME_STEP * fields["dT"]


def layer(air_temperature: float, liquid: float, ice: float) -> dict[str, Tensor]:
    """One layer of 1 kg m-2 that nothing changes."""
    values = {"T": air_temperature, "ql": liquid, "qi": ice, "dT": 0.0, "dql": 0.0, "dqi": 0.0}
    fields = {name: torch.full((1, 1), value, dtype=torch.float64) for name, value in values.items()}
    return {**fields, "p": torch.tensor([[0.0, CONSTANTS.gravity]], dtype=torch.float64)}


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(KINDS), st.sampled_from([0.0, 3.0e4]))
@settings(deadline=None)
def test_every_layer_has_its_phase_and_columns_stay_closed(seed: int, n_level: int, kind: str, top: float) -> None:
    fields = cloudy(seed, 6, n_level, kind)
    law = replace(LAW, top_pressure=top)
    closed = law.apply(fields)
    assert float(law.residuals(closed)["phase"].max()) <= PHASE_CLOSED
    before, now = (WATER_AND_ENERGY.residuals(one) for one in (fields, closed))
    assert float((now["column_water"] - before["column_water"]).abs().max()) <= WATER_CLOSED
    assert float(now["column_energy"].abs().max()) <= ENERGY_CLOSED
    assert float(POSITIVITY.residuals(closed)["positivity"].max()) == 0.0
    liquid, ice = after(closed, "l"), after(closed, "i")
    torch.testing.assert_close(liquid + ice, after(fields, "l") + after(fields, "i"), rtol=1e-14, atol=1e-16)
    kept = (after(fields, "l") + after(fields, "i") <= 0.0) | (
        aloft(fields, top) & ~aloft(fields, top).all(dim=1)[:, None]
    )
    for name in ("dT", "dql", "dqi"):
        assert torch.equal(closed[name][kept], fields[name][kept])
    energy = CP * (temperature(closed) - temperature(fields)) + LF * (liquid - after(fields, "l"))
    assert float(energy.abs().max()) <= 1.0e-9  # of 3e5 J kg-1
    for name in set(fields) - {"dT", "dql", "dqi"}:
        assert closed[name] is fields[name]


def test_there_was_something_to_place_in_every_regime() -> None:
    """Else the test above would pass with a constraint that does nothing."""
    fields = cloudy(3, 200, 30)
    assert float(LAW.residuals(fields)["phase"].min()) > 1.0e-8
    closed = LAW.apply(fields)
    share = liquid_fraction(temperature(closed))[after(fields, "l") + after(fields, "i") > 0.0]
    assert min(int((share == 0.0).sum()), int((share == 1.0).sum()), int(((share > 0.0) & (share < 1.0)).sum())) > 100
    crossed = (liquid_fraction(temperature(fields)) == 1.0) & (liquid_fraction(temperature(closed)) < 1.0)
    assert bool(crossed.any())  # melting itself decides the regime


@pytest.mark.parametrize(
    ("air_temperature", "liquid", "ice", "expected"),
    [
        (240.0, 1e-3, 2e-3, 0.0),  # all freezes, and stays below 253.16 K
        (290.0, 1e-3, 2e-3, 3e-3),  # all melts, and stays above 273.16 K
        (263.16, 0.0, 0.0, 0.0),
        (263.16, 1e-3, 1e-3, 1e-3),  # half of each already
    ],
)
def test_by_hand(air_temperature: float, liquid: float, ice: float, expected: float) -> None:
    closed = LAW.apply(layer(air_temperature, liquid, ice))
    assert float(after(closed, "l")) == pytest.approx(expected, rel=1e-13, abs=1e-18)
    assert float(after(closed, "i")) == pytest.approx(liquid + ice - expected, rel=1e-13, abs=1e-18)
    warmed = -LF / CP * (expected - liquid)
    assert float(temperature(closed)) == pytest.approx(air_temperature + warmed, rel=1e-14)


@given(st.floats(180.0, 320.0), st.floats(0.0, 0.02), st.floats(0.0, 0.02))
@example(180.0, 5.0e-324, 0.0)
@settings(deadline=None)
def test_the_closed_form_is_what_bisection_finds(air_temperature: float, liquid: float, ice: float) -> None:
    """The root of cp T + Lf f(T) n − H, which grows with T."""
    cloud, heat = liquid + ice, CP * air_temperature + LF * liquid

    def share(t: float) -> float:
        return min(max((t - 253.16) / 20.0, 0.0), 1.0)

    low, high = 100.0, 400.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if CP * middle + LF * share(middle) * cloud > heat else (middle, high)
    closed = LAW.apply(layer(air_temperature, liquid, ice))
    assert float(temperature(closed)) == pytest.approx(low, abs=1e-9)
    assert float(after(closed, "l")) == pytest.approx(share(low) * cloud, rel=1e-9, abs=1e-12 * cloud + UNDERFLOW)


def test_a_layer_with_less_cloud_than_none_is_left_and_shown() -> None:
    fields = layer(290.0, 1.0e-3, -2.0e-3)
    closed = LAW.apply(fields)
    assert all(torch.equal(closed[name], fields[name]) for name in fields)
    assert float(LAW.residuals(closed)["phase"]) == pytest.approx(2.0e-3 / TIME_STEP, rel=1e-12)


@pytest.mark.parametrize(
    ("air_temperature", "liquid", "ice"),
    [(240.0, 1e-3, 2e-3), (263.0, 1e-3, 2e-3), (290.0, 1e-3, 2e-3), (290.0, 1e-3, -2e-3), (250.0, 1e-2, 1e-3)],
)
def test_gradients_match_finite_differences(air_temperature: float, liquid: float, ice: float) -> None:
    """Below, between and above the ends of the clip, and where a layer is left alone."""
    fields = layer(air_temperature, liquid, ice)
    scale = {"dT": 1e-4, "dql": 1e-6, "dqi": 1e-6}

    def close(*values: Tensor) -> tuple[Tensor, ...]:
        given = {name: value * scale[name] for name, value in zip(scale, values, strict=True)}
        closed = LAW.apply({**fields, **given})
        return tuple(closed[name] / scale[name] for name in scale)

    values = tuple(torch.full((1, 1), 0.3, dtype=torch.float64, requires_grad=True) for _ in scale)
    assert torch.autograd.gradcheck(close, values, eps=1e-5, atol=1e-6, rtol=1e-4)


def test_gradients_are_finite_where_there_is_no_cloud() -> None:
    for kind in KINDS:
        fields = columns(22, 30, 8, kind) | {"T": torch.full((30, 8), 260.0, dtype=torch.float64)}
        leaves = [fields[name].requires_grad_() for name in LAW.outputs]
        closed = LAW.apply(fields)
        sum((closed[name] * 1.0e6).square().sum() for name in LAW.outputs).backward()
        assert all(leaf.grad is not None and bool(leaf.grad.isfinite().all()) for leaf in leaves), kind


def test_no_layer_is_upper_without_others_below() -> None:
    fields = cloudy(6, 20, 12)
    above = replace(LAW, top_pressure=1.0e6).apply(fields)
    assert all(torch.equal(value, LAW.apply(fields)[name]) for name, value in above.items())


def test_applying_it_again_changes_nothing_but_rounding() -> None:
    once = LAW.apply(cloudy(8, 50, 20))
    twice = LAW.apply(once)
    for name in LAW.outputs:
        scale = float(once[name].abs().max())
        torch.testing.assert_close(twice[name], once[name], rtol=0.0, atol=1.0e-12 * scale)


def test_real32_outputs_stay_real32() -> None:
    fields = cloudy(9, 50, 20)
    closed = LAW.apply(fields | {name: fields[name].float() for name in LAW.outputs})
    assert all(closed[name].dtype == torch.float32 for name in LAW.outputs)
    assert float(LAW.residuals(closed)["phase"].max()) <= 1.0e-8


def test_manifest_round_trip() -> None:
    for law in (LAW, replace(LAW, top_pressure=UPPER.top_pressure)):
        entry = law.to_manifest()
        assert (
            from_manifest([*(one.to_manifest() for one in SEQUENCE), entry | {"new": 1}], CONSTANTS, TIME_STEP)[-1]
            == law
        )
        assert ("top_pressure" in entry) == bool(law.top_pressure)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"ice": {"state": "ql", "rate": "dql"}}, "constraint 'phase': expected distinct outputs"),
        ({"top_pressure": -1.0}, "expected a positive 'top_pressure', got -1.0"),
        ({"temperature": "T"}, "expected values of the format"),
        ({"liquid": {"state": "ql"}}, "expected key 'rate', got none"),
    ],
)
def test_bad_entries_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        from_manifest([LAW.to_manifest() | change], CONSTANTS, TIME_STEP)


def test_missing_parts_are_named() -> None:
    with pytest.raises(EmagramError, match="'phase': expected a model with a time step"):
        from_manifest([LAW.to_manifest()], CONSTANTS, None)
    for key in set(LAW.to_manifest()) - {"type", "budgets"}:
        less = {name: value for name, value in LAW.to_manifest().items() if name != key}
        with pytest.raises(EmagramError, match=f"expected key '{key}'"):
            from_manifest([less], CONSTANTS, TIME_STEP)
    for name in (*LAW.inputs, *LAW.outputs):
        with pytest.raises(EmagramError, match=f"expected field '{name}'"):
            LAW.apply({other: value for other, value in layer(260.0, 1e-3, 1e-3).items() if other != name})
