"""Refined values whose mean is the coarse one, in cells, images and columns."""

from __future__ import annotations

import math

import pytest
import torch
from constraint_checks import check_fields, check_manifest, check_refused
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from constrained_columns import CONSTANTS, columns, mass
from emagram.physics.constraints import Downscaling, close
from emagram.physics.downscaling import KINDS, downscale, downscale_image
from emagram.physics.errors import EmagramError

TOLERANCE = 1.0e-9  # K
LAW = Downscaling(
    name="mean_heating",
    kind="additive",
    profile="dT",
    mean="mean",
    unit="K s-1",
    tolerance=TOLERANCE,
    interface_pressure="p",
    scale=None,
    constants=CONSTANTS,
)


def law(kind: str) -> Downscaling:
    return Downscaling(**{**vars(LAW), "kind": kind, "scale": 0.7 if kind == "softmax" else None})


def profiles(seed: int, n_level: int = 12) -> dict[str, Tensor]:
    """A heating of order one with a mean that is not what is asked for."""
    fields = columns(seed, 5, n_level)
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(5, generator=generator, dtype=torch.float64)
    return {"p": fields["p"], "dT": 3.0e4 * fields["dT"] + 0.3, "mean": mean}


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(KINDS), st.booleans(), st.floats(-6.0, 6.0))
@settings(deadline=None)
def test_the_mean_is_the_coarse_value(seed: int, n_cell: int, kind: str, is_weighted: bool, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    refined = 3.0 * torch.randn(4, 3, n_cell, generator=generator, dtype=torch.float64)
    coarse = 10.0**size * torch.randn(4, 3, generator=generator, dtype=torch.float64)
    weight = 0.01 + torch.rand(4, 3, n_cell, generator=generator, dtype=torch.float64) if is_weighted else None
    got = downscale(refined, coarse, kind, weight)
    share = torch.full_like(refined, 1.0 / n_cell) if weight is None else weight / weight.sum(dim=-1, keepdim=True)
    largest = torch.maximum(got.abs().amax(dim=-1), refined.abs().amax(dim=-1))
    assert bool((((share * got).sum(dim=-1) - coarse).abs() <= 1.0e-14 * largest).all())
    if kind == "softmax":
        assert bool((got * coarse.unsqueeze(-1) >= 0.0).all())
        shift = got.abs().log() - refined
        torch.testing.assert_close(shift, shift[..., :1].expand_as(shift), rtol=1e-9, atol=1e-9)
    elif kind == "additive":
        shift = got - refined
        torch.testing.assert_close(shift, shift[..., :1].expand_as(shift), rtol=1e-12, atol=1e-14)
    else:
        ratio = got / refined
        torch.testing.assert_close(ratio, ratio[..., :1].expand_as(ratio), rtol=1e-12, atol=0.0)


def test_by_hand() -> None:
    """y = 1, 2, 6 (mean 3), x = 6; softmax of 0, ln 2, ln 3 (mean 2)."""
    refined, coarse = tensor(1, 2, 6), torch.tensor(6.0, dtype=torch.float64)
    assert downscale(refined, coarse, "additive").tolist() == [4.0, 5.0, 9.0]
    assert downscale(refined, coarse, "multiplicative").tolist() == [2.0, 4.0, 12.0]
    logarithm = tensor(0.0, math.log(2.0), math.log(3.0))
    assert downscale(logarithm, coarse, "softmax").tolist() == pytest.approx([3.0, 6.0, 9.0], rel=1e-14)
    weight = tensor(2, 1, 1)  # mean 2.5
    assert downscale(refined, coarse, "additive", weight).tolist() == [4.5, 5.5, 9.5]
    assert downscale(refined, coarse, "multiplicative", weight).tolist() == pytest.approx([2.4, 4.8, 14.4])
    assert downscale(logarithm, coarse, "softmax", weight).tolist() == pytest.approx([24 / 7, 48 / 7, 72 / 7])


def test_softmax_stays_finite_for_any_logarithm() -> None:
    got = downscale(tensor(-1.0e4, 0.0, 1.0e4), torch.tensor(3.0, dtype=torch.float64), "softmax")
    assert got.tolist() == [0.0, 0.0, 9.0]


@pytest.mark.parametrize("mean", [0.0, 1.0e-310])
def test_a_multiplicative_mean_of_zero_changes_nothing(mean: float) -> None:
    refined = torch.stack([tensor(1, 2, -3 + 3 * mean), tensor(1, 2, 6)])
    got = downscale(refined, tensor(1.0e10, 6.0), "multiplicative")
    assert torch.equal(got[0], refined[0])
    assert got[1].tolist() == [2.0, 4.0, 12.0]


def test_a_dry_cell_of_a_dry_coarse_cell_stays_dry() -> None:
    assert downscale(tensor(0, 0), torch.tensor(0.0).double(), "multiplicative").tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_real32_values_stay_real32(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    refined, coarse = torch.randn(7, 9, generator=generator), torch.rand(7, generator=generator)
    got = downscale(refined, coarse, kind)
    assert got.dtype == torch.float32
    exact = downscale(refined.double(), coarse.double(), kind)
    assert torch.equal(got, exact.float())


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_its_cells(kind: str) -> None:
    generator = torch.Generator().manual_seed(1)
    refined = torch.randn(2, 6, 9, generator=generator, dtype=torch.float64)
    coarse = torch.randn(2, 2, 3, generator=generator, dtype=torch.float64)
    area = 0.1 + torch.rand(6, 9, generator=generator, dtype=torch.float64)
    for weight in (None, area, area.expand(2, 6, 9)):
        got = downscale_image(refined, coarse, kind, 3, weight)
        for n, i, j in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3)).tolist():
            rows, places = slice(3 * i, 3 * i + 3), slice(3 * j, 3 * j + 3)
            share = None if weight is None else area[rows, places].flatten()
            expected = downscale(refined[n, rows, places].flatten(), coarse[n, i, j], kind, share)
            assert torch.equal(got[n, rows, places].flatten(), expected)
    assert torch.equal(
        downscale_image(refined, refined, kind, 1).isfinite(), torch.ones_like(refined, dtype=torch.bool)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_match_finite_differences(kind: str) -> None:
    generator = torch.Generator().manual_seed(2)
    refined = torch.randn(3, 5, generator=generator, dtype=torch.float64) + 2.0
    coarse = torch.randn(3, generator=generator, dtype=torch.float64)
    weight = torch.rand(5, generator=generator, dtype=torch.float64) + 0.1
    values = (refined.requires_grad_(), coarse.requires_grad_())
    assert torch.autograd.gradcheck(lambda y, x: downscale(y, x, kind, weight), values)


def test_gradients_are_finite_where_the_mean_is_zero() -> None:
    refined, coarse = tensor(1, -1).requires_grad_(), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    downscale(refined, coarse, "multiplicative").square().sum().backward()
    assert refined.grad is not None
    assert refined.grad.tolist() == [2.0, -2.0]
    assert coarse.grad is not None
    assert float(coarse.grad) == 0.0


@pytest.mark.parametrize(
    ("refined", "coarse", "kind", "weight", "text"),
    [
        (torch.ones(2, 3), torch.ones(3), "additive", None, r"expected coarse values of shape \(2,\), got \(3,\)"),
        (torch.ones(()), torch.ones(()), "additive", None, "expected coarse values"),
        (
            torch.ones(2, 3),
            torch.ones(2),
            "mean",
            None,
            "expected kind additive, multiplicative or softmax, got 'mean'",
        ),
        (torch.ones(2, 3), torch.ones(2), "additive", torch.ones(2), r"weights of shape \(2, 3\), got \(2,\)"),
        (torch.ones(2, 3), torch.ones(2), "additive", tensor(1, 0, 1), "expected positive weights, got one of 0"),
        (
            torch.ones(2, 3),
            torch.ones(2),
            "softmax",
            tensor(1, math.nan, 1),
            "expected positive weights, got one of nan",
        ),
    ],
)
def test_bad_cells_are_refused(refined: Tensor, coarse: Tensor, kind: str, weight: Tensor | None, text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        downscale(refined, coarse, kind, weight)


@pytest.mark.parametrize(
    ("refined", "coarse", "factor", "weight", "text"),
    [
        (torch.ones(4, 6), torch.ones(2, 3), 0, None, "expected a positive whole factor, got 0"),
        (torch.ones(4, 6), torch.ones(2, 3), 2.0, None, "expected a positive whole factor, got 2.0"),
        (torch.ones(6, 4), torch.ones(2, 3), 2, None, r"refined values of shape \(4, 6\), got \(6, 4\)"),
        (torch.ones(4, 6), torch.ones(2, 3), 2, torch.ones(6, 4), r"weights of shape \(4, 6\), got \(6, 4\)"),
        (torch.ones(4), torch.ones(2), 2, None, "expected refined values of shape"),
    ],
)
def test_bad_images_are_refused(refined: Tensor, coarse: Tensor, factor: int, weight: Tensor | None, text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        downscale_image(refined, coarse, "additive", factor, weight)


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(KINDS))
@settings(deadline=None)
def test_a_column_has_its_mean_by_mass(seed: int, n_level: int, kind: str) -> None:
    fields = profiles(seed, n_level)
    entry = close((law(kind),), fields).entries["mean_heating"]
    assert not bool(entry.unmet.any())
    share = mass(fields) / mass(fields).sum(dim=1, keepdim=True)
    expected = (share * fields["dT"]).sum(dim=1) - fields["mean"]
    torch.testing.assert_close(entry.residuals.before, expected, rtol=1e-12, atol=1e-14)
    profile = fields["dT"] / 0.7 if kind == "softmax" else fields["dT"]
    expected = downscale(profile, fields["mean"], kind, mass(fields))
    torch.testing.assert_close(law(kind).apply(fields)["dT"], expected, rtol=1e-12, atol=1e-14)


def test_a_column_without_a_mean_is_unmet() -> None:
    fields = profiles(4)
    fields["dT"] = torch.zeros_like(fields["dT"])
    fields["mean"][2] = 0.0
    entry = close((law("multiplicative"),), fields).entries["mean_heating"]
    assert entry.unmet.tolist() == [True, True, False, True, True]
    assert torch.equal(entry.residuals.after, -fields["mean"])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_columns_match_finite_differences(kind: str) -> None:
    fields = profiles(5, 4)

    def profile(heating: Tensor, mean: Tensor) -> Tensor:
        return law(kind).apply({**fields, "dT": heating, "mean": mean})["dT"]

    assert torch.autograd.gradcheck(profile, (fields["dT"].requires_grad_(), fields["mean"].requires_grad_()))


def test_entry_and_fields() -> None:
    for kind in KINDS:
        check_manifest(law(kind), optional=("scale",))
        check_fields(law(kind), profiles(6))
        assert ("scale" in law(kind).to_manifest()) == (kind == "softmax")


@pytest.mark.parametrize(
    ("kind", "change", "text"),
    [
        ("additive", {"kind": "mean"}, "'mean_heating': expected kind additive, multiplicative or softmax, got 'mean'"),
        ("additive", {"mean": "dT"}, "expected distinct profile and mean"),
        ("additive", {"scale": 1.0}, "expected a 'scale' for softmax alone, got 1.0"),
        ("softmax", {"scale": None}, "expected a positive 'scale', got None"),
        ("softmax", {"scale": -1.0}, "expected a positive 'scale', got -1.0"),
        ("additive", {"tolerance": 0.0}, "expected a positive 'tolerance', got 0.0"),
        ("additive", {"unit": ""}, "expected a unit, got ''"),
        ("additive", {"unit": 3}, "expected a unit, got 3"),
    ],
)
def test_bad_entries_are_refused(kind: str, change: dict[str, object], text: str) -> None:
    check_refused(law(kind), change, text)
