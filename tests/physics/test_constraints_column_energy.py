"""Column budgets close to round-off, whatever the column; the correction is the smallest one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emagram.physics.constants import Constants
from emagram.physics.constraints import ColumnEnergy, FluxTerm, from_manifest
from emagram.physics.errors import EmagramError

CLOSED = 1.0e-10  # W m-2, real64 outputs
CLOSED_FLOAT32 = 1.0e-3  # W m-2, rounding of real32 heating alone makes about 4e-5

LONGWAVE = ColumnEnergy(
    name="longwave",
    heating="heating",
    interface_pressure="air_pressure_at_interface",
    fluxes=(FluxTerm("surface_up", 1), FluxTerm("toa_out", -1), FluxTerm("surface_down", -1)),
    constants=Constants(),
)
MANIFEST = {
    "type": "column_energy",
    "name": "longwave",
    "unit": "W m-2",
    "heating": "heating",
    "interface_pressure": "air_pressure_at_interface",
    "fluxes": [
        {"name": "surface_up", "sign": 1},
        {"name": "toa_out", "sign": -1},
        {"name": "surface_down", "sign": -1},
    ],
}


def columns(seed: int, n_column: int, n_level: int, top: float) -> dict[str, torch.Tensor]:
    """Random columns down to about 1000 hPa, heating of tens of K/day, fluxes of hundreds of W/m2."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    steps = 1.0e-3 + uniform(n_column, n_level)
    surface = 0.5e5 + 0.55e5 * uniform(n_column, 1)
    pressure = top + (surface - top) * torch.cumsum(steps / steps.sum(dim=1, keepdim=True), dim=1)
    return {
        "heating": 100.0 / 86400.0 * (2.0 * uniform(n_column, n_level) - 1.0),
        "air_pressure_at_interface": torch.cat([torch.full((n_column, 1), top, dtype=torch.float64), pressure], 1),
        "surface_up": 600.0 * uniform(n_column),
        "toa_out": 400.0 * uniform(n_column),
        "surface_down": 500.0 * uniform(n_column),
    }


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 137), st.sampled_from([0.0, 0.01, 200.0]))
def test_budget_closes_to_round_off(seed: int, n_column: int, n_level: int, top: float) -> None:
    fields = columns(seed, n_column, n_level, top)
    closed = LONGWAVE.apply(fields)
    assert float(LONGWAVE.residuals(closed)["longwave"].abs().max()) <= CLOSED


def test_budget_closes_under_a_very_thin_top_layer() -> None:
    fields = columns(1, 3, 60, 0.01)
    fields["air_pressure_at_interface"][:, 1] = 0.02
    closed = LONGWAVE.apply(fields)
    assert float(LONGWAVE.residuals(closed)["longwave"].abs().max()) <= CLOSED


def test_real32_heating_stays_real32_and_closes_to_its_rounding() -> None:
    fields = {name: value.float() for name, value in columns(2, 20, 60, 1.0).items()}
    closed = LONGWAVE.apply(fields)
    assert closed["heating"].dtype == torch.float32
    assert LONGWAVE.residuals(closed)["longwave"].dtype == torch.float64
    assert float(LONGWAVE.residuals(closed)["longwave"].abs().max()) <= CLOSED_FLOAT32


def test_residual_is_the_hand_computed_one() -> None:
    """One layer of 100 hPa: cp/g · h · Δp = 1004.64 / 9.80616 · 1e-5 · 1e4 = 10.2450 W m-2."""
    fields = {
        "heating": torch.tensor([[1.0e-5]], dtype=torch.float64),
        "air_pressure_at_interface": torch.tensor([[9.0e4, 1.0e5]], dtype=torch.float64),
        "surface_up": torch.tensor([400.0], dtype=torch.float64),
        "toa_out": torch.tensor([250.0], dtype=torch.float64),
        "surface_down": torch.tensor([300.0], dtype=torch.float64),
    }
    assert float(LONGWAVE.residuals(fields)["longwave"]) == pytest.approx(10.24499 - (400.0 - 250.0 - 300.0), abs=1e-5)


def test_correction_is_uniform_in_mass_and_touches_nothing_else() -> None:
    fields = columns(3, 4, 30, 5.0)
    closed = LONGWAVE.apply(fields)
    change = closed["heating"] - fields["heating"]
    torch.testing.assert_close(change, change[:, :1].expand_as(change), rtol=0.0, atol=1e-15)
    for name in set(fields) - {"heating"}:
        assert closed[name] is fields[name]


def test_closed_columns_are_left_alone() -> None:
    closed = LONGWAVE.apply(columns(4, 4, 30, 5.0))
    again = LONGWAVE.apply(closed)
    torch.testing.assert_close(again["heating"], closed["heating"], rtol=0.0, atol=1e-17)


def test_gradients_match_finite_differences() -> None:
    fields = columns(5, 2, 4, 100.0)
    names = ("heating", "surface_up", "toa_out", "surface_down")

    def close(*values: torch.Tensor) -> torch.Tensor:
        return LONGWAVE.apply({**fields, **dict(zip(names, values, strict=True))})["heating"]

    assert torch.autograd.gradcheck(close, tuple(fields[name].requires_grad_() for name in names), atol=1e-9)


def test_gradients_are_blind_to_what_the_closure_removes() -> None:
    """Closing is a projection: a shift uniform in mass cannot change the closed heating."""
    fields = columns(6, 2, 10, 100.0)
    shifted = {**fields, "heating": fields["heating"] + 1.0e-4}
    torch.testing.assert_close(
        LONGWAVE.apply(shifted)["heating"], LONGWAVE.apply(fields)["heating"], rtol=0.0, atol=1e-17
    )


def test_manifest_round_trip() -> None:
    assert LONGWAVE.to_manifest() == MANIFEST
    assert from_manifest([MANIFEST], Constants()) == (LONGWAVE,)


def test_constants_are_those_of_the_host() -> None:
    host = Constants(gravity=9.80665, heat_capacity_dry_air=1004.6)
    (constraint,) = from_manifest([MANIFEST], host)
    fields = columns(7, 2, 10, 100.0)
    gained = 1004.6 / 9.80665 * (fields["heating"] * fields["air_pressure_at_interface"].diff(dim=1)).sum(1)
    absorbed = fields["surface_up"] - fields["toa_out"] - fields["surface_down"]
    torch.testing.assert_close(constraint.residuals(fields)["longwave"], gained - absorbed, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"type": "column_water"}, "constraint type 'column_water'"),
        ({"unit": "kg m-2 s-1"}, "expected unit 'W m-2'"),
        ({"fluxes": []}, "constraint 'longwave': expected distinct fluxes"),
        ({"fluxes": [{"name": "a", "sign": 2}]}, "flux 'a': expected sign 1 or -1, got 2"),
        ({"fluxes": [{"name": "a"}]}, "expected key 'sign'"),
    ],
)
def test_bad_manifest_entries_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        from_manifest([{**MANIFEST, **change}], Constants())


def test_missing_field_is_named() -> None:
    fields = columns(8, 2, 4, 100.0)
    del fields["toa_out"]
    with pytest.raises(EmagramError, match="expected field 'toa_out'"):
        LONGWAVE.residuals(fields)["longwave"]


@pytest.mark.parametrize("name", ["surface_up", "air_pressure_at_interface"])
def test_wrong_shape_is_refused_rather_than_broadcast(name: str) -> None:
    fields = columns(9, 3, 4, 100.0)
    fields[name] = fields[name][..., :1] if name != "surface_up" else fields[name].unsqueeze(1)
    with pytest.raises(EmagramError, match=f"field '{name}': expected shape"):
        LONGWAVE.residuals(fields)["longwave"]
