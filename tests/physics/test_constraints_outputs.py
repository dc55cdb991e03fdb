"""Upper levels, sunlight, bounds and precipitation, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from constrained_columns import BANDS, BOUNDS, CONSTANTS, PRECIPITATION, RATES, SHORTWAVE, UPPER, columns, mass


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_water_taken_above_is_given_back_below() -> None:
    """Layers of 1, 2, 3 and 4 kg m-2; the first two lie above: R = 1·(1+2+3) + 2·(1+1+1) = 12, by 7 kg m-2 below."""
    upper = replace(UPPER, top_pressure=2.0 * CONSTANTS.gravity + 1e-9)
    fields = {"p": CONSTANTS.gravity * torch.tensor([[0.0, 1.0, 3.0, 6.0, 10.0]], dtype=torch.float64)}
    rates = (tensor(1, 1, 5, 5), tensor(2, 1, 6, 6), tensor(3, 1, 7, 7))
    fields |= {name: rate[None] for name, rate in zip(RATES, rates, strict=True)}
    assert float(upper.residuals(fields)["upper_water"]) == pytest.approx(12.0, rel=1e-15)
    closed = upper.apply(fields)
    torch.testing.assert_close(closed["dqv"], tensor(0, 0, 5 + 12 / 7, 5 + 12 / 7)[None], rtol=1e-15, atol=0.0)
    assert closed["dql"].tolist() == [[0.0, 0.0, 6.0, 6.0]]
    assert closed["dqi"].tolist() == [[0.0, 0.0, 7.0, 7.0]]
    assert float(upper.residuals(closed)["upper_water"]) == 0.0


def test_a_layer_is_upper_where_its_middle_is() -> None:
    fields = columns(1, 10, 30)
    fields |= {name: torch.ones_like(fields[name]) for name in RATES}
    middle = 0.5 * (fields["p"][:, 1:] + fields["p"][:, :-1])
    closed = UPPER.apply(fields)
    assert torch.equal(closed["dql"] == 0.0, middle < 1.0e4)
    water = [sum((mass(one) * one[name]).sum(dim=1) for name in RATES) for one in (fields, closed)]
    torch.testing.assert_close(water[1], water[0], rtol=1e-13, atol=0.0)


def test_a_column_that_is_all_upper_is_left_alone() -> None:
    fields = columns(2, 5, 10)
    fields["p"][:3] = fields["p"][:3] * 0.05
    closed = UPPER.apply(fields)
    for name in RATES:
        assert torch.equal(closed[name][:3], fields[name][:3])
        assert not torch.equal(closed[name][3:], fields[name][3:])
    assert not UPPER.residuals(fields)["upper_water"][:3].any()


def test_rates_that_are_not_water_are_zero_above_and_not_given_back() -> None:
    upper = replace(UPPER, rates=("du", *RATES))
    fields = columns(3, 5, 30)
    closed = upper.apply(fields)
    kept = closed["du"] != 0.0
    assert torch.equal(closed["du"][kept], fields["du"][kept])
    assert bool((~kept).any())
    assert torch.equal(upper.residuals(fields)["upper_water"], UPPER.residuals(fields)["upper_water"])


def sunlit(down: list[float], sun: float, toa: float = 250.0) -> dict[str, Tensor]:
    fields = {f"down{band}": tensor(value) for band, value in enumerate(down)}
    fields |= {f"albedo{band}": tensor(0.1 * (band + 1)) for band in range(BANDS)}
    return fields | {"sun": tensor(sun), "net": tensor(77.0), "toa": tensor(toa)}


@pytest.mark.parametrize(
    ("down", "sun", "toa", "expected", "net", "expected_toa"),
    [
        ([100.0, 50.0, 30.0, 20.0], 300.0, 250.0, [100.0, 50.0, 30.0, 20.0], 163.0, 250.0),
        ([100.0, 50.0, 30.0, 20.0], 300.0, 350.0, [100.0, 50.0, 30.0, 20.0], 163.0, 300.0),
        ([100.0, 50.0, 30.0, 20.0], 300.0, 20.0, [100.0, 50.0, 30.0, 20.0], 163.0, 163.0),
        ([100.0, -50.0, 30.0, 20.0], 300.0, 250.0, [100.0, 0.0, 30.0, 20.0], 123.0, 250.0),
        ([100.0, 50.0, 30.0, 20.0], 100.0, 90.0, [50.0, 25.0, 15.0, 10.0], 81.5, 90.0),
        ([100.0, 50.0, 30.0, 20.0], 0.0, 90.0, [0.0] * 4, 0.0, 0.0),
        ([-1.0, -2.0, -3.0, -4.0], -1e-4, -5.0, [0.0] * 4, 0.0, 0.0),
    ],
)
def test_sunlight_by_hand(
    down: list[float], sun: float, toa: float, expected: list[float], net: float, expected_toa: float
) -> None:
    fields = sunlit(down, sun, toa)
    before = sum(value * (1.0 - 0.1 * (band + 1)) for band, value in enumerate(down))
    assert float(SHORTWAVE.residuals(fields)["shortwave"]) == pytest.approx(77.0 - before)
    lit = SHORTWAVE.apply(fields)
    assert [float(lit[f"down{band}"]) for band in range(BANDS)] == pytest.approx(expected, abs=0.0, rel=1e-14)
    assert float(lit["net"]) == pytest.approx(net, abs=0.0, rel=1e-14)
    assert float(lit["toa"]) == pytest.approx(expected_toa, abs=0.0, rel=1e-14)


def test_without_a_flux_at_the_top_the_surface_is_the_same() -> None:
    fields = columns(4, 50)
    surface = replace(SHORTWAVE, toa_net=None)
    with_top, without = SHORTWAVE.apply(fields), surface.apply(fields)
    assert without["toa"] is fields["toa"]
    assert all(torch.equal(with_top[name], without[name]) for name in surface.outputs)
    assert "toa" not in surface.outputs


def test_outputs_are_at_least_their_minimum_whatever_their_shape() -> None:
    fields = {"olr": tensor(-3.0, 0.0, 4.0), "longwave_down": tensor(-1.0, 5.0, -2.0)[:, None].expand(3, 2)}
    raised = BOUNDS.apply(fields)
    assert raised["olr"].tolist() == [0.0, 0.0, 4.0]
    assert raised["longwave_down"].tolist() == [[0.0, 0.0], [5.0, 5.0], [0.0, 0.0]]
    assert BOUNDS.residuals(fields) == {}


def test_nan_is_not_hidden() -> None:
    """A column that blew up must be seen, not bounded."""
    assert bool(BOUNDS.apply({"olr": tensor(float("nan")), "longwave_down": tensor(1.0)})["olr"].isnan())
    rain = PRECIPITATION.apply({"rain": tensor(float("nan"), 1.0), "snow": tensor(0.5, float("nan"))})
    assert bool(rain["rain"].isnan().all())


def test_precipitation_by_hand() -> None:
    fields = {"rain": tensor(2.0, 1.0, -1.0, -1.0), "snow": tensor(1.0, 2.0, -2.0, 3.0)}
    fallen = PRECIPITATION.apply(fields)
    assert fallen["rain"].tolist() == [2.0, 2.0, 0.0, 3.0]
    assert fallen["snow"].tolist() == [1.0, 2.0, 0.0, 3.0]
