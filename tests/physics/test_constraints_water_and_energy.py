"""The change that closes water and energy is the smallest one, and gradients flow through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from constrained_columns import (
    CONSTANTS,
    KINDS,
    OUTPUTS,
    POSITIVITY,
    PRECIPITATION,
    RATES,
    SEQUENCE,
    STILL_ALOFT,
    TIME_STEP,
    WATER_AND_ENERGY,
    WATERS,
    after,
    aloft,
    apply_all,
    columns,
    mass,
)
from emagram.physics.constraints.projection import Weights, smallest_change

Array = NDArray[np.float64]
CP, LV, LF = CONSTANTS.heat_capacity_dry_air, CONSTANTS.latent_heat_vaporization, CONSTANTS.latent_heat_fusion
LATENT = (LV + LF, LF, 0.0)
VARIANCES = (WATER_AND_ENERGY.temperature_variance, WATER_AND_ENERGY.water_variance)


def prepared(seed: int, n_column: int, n_level: int, kind: str = "ordinary") -> dict[str, Tensor]:
    """Columns as the constraints before this one leave them."""
    return apply_all(columns(seed, n_column, n_level, kind), SEQUENCE[:-1])


def dense_solution(fields: dict[str, Tensor], column: int, residual: Array, top_pressure: float) -> Array:
    """The smallest change [δT, δq_v, δq_l, δq_i] of one column, from the whole system of its optimality conditions."""
    m, is_lower = mass(fields)[column].numpy(), ~aloft(fields, top_pressure)[column].numpy()
    available = [is_lower * np.maximum(after(fields, water)[column].numpy(), 0.0) for water in WATERS]
    # in units in which every change costs its square; water that is not there cannot change
    unit = np.concatenate([np.sqrt(VARIANCES[0] / m), *(np.sqrt(VARIANCES[1] * a / m) for a in available)])
    rows = np.stack(
        [
            np.concatenate([np.zeros_like(m), m, m, m]),
            np.concatenate([CP * m, *(latent * m for latent in LATENT)]) / LV,
        ]
    )
    n = unit.size
    system = np.block([[np.eye(n), (rows * unit).T], [rows * unit, np.zeros((2, 2))]])
    right = np.concatenate([np.zeros(n), -residual / np.array([1.0, LV])])
    return unit * np.linalg.solve(system, right)[:n]


@pytest.mark.parametrize("top_pressure", [0.0, 1.0e4, 3.0e4])
@pytest.mark.parametrize("kind", ["ordinary", "saturated", "thin layers", "night"])
def test_the_change_is_the_smallest_one(kind: str, top_pressure: float) -> None:
    """With any number of layers whose water is not to change."""
    fields = prepared(4, 20, 12, kind)
    law = replace(WATER_AND_ENERGY, top_pressure=top_pressure)
    residuals = torch.stack(list(law.residuals(fields).values()), dim=1).numpy()
    assert (top_pressure > 0.0) == bool(aloft(fields, top_pressure).any())
    closed = law.apply(fields)
    change = torch.cat([closed[name] - fields[name] for name in ("dT", *RATES)], dim=1).numpy()
    checked = 0
    for column, residual in enumerate(residuals):
        if not all(bool((after(closed, w)[column] > 0.0)[after(fields, w)[column] > 0.0].all()) for w in WATERS):
            continue  # a bound is active there
        expected = dense_solution(fields, column, residual, top_pressure)
        for part, want in zip(np.split(change[column], 4), np.split(expected, 4), strict=True):
            np.testing.assert_allclose(part, want, rtol=1e-7, atol=1e-9 * np.abs(want).max() + 1e-19)
        checked += 1
    assert checked >= 15


WEIGHTS = Weights(CP, torch.tensor(LATENT, dtype=torch.float64), *VARIANCES, 1.0 / TIME_STEP)
AIR = torch.tensor(1.0e4, dtype=torch.float64)


@given(
    st.floats(-1.0e-4, 3.0e-4),
    st.floats(-800.0, 800.0),
    st.lists(st.one_of(st.just(0.0), st.floats(1.0e-6, 0.2)), min_size=3, max_size=3),
)
@settings(deadline=None, max_examples=300)
def test_no_choice_of_waters_used_up_is_better(water: float, energy: float, available: list[float]) -> None:
    """Of all eight, solved by numpy, the best that closes within the bounds costs as much."""
    amounts = torch.tensor(available, dtype=torch.float64)
    residuals = torch.tensor(water, dtype=torch.float64), torch.tensor(energy, dtype=torch.float64)
    change = smallest_change(residuals, AIR, amounts, WEIGHTS)
    loss = change.loss.numpy()
    assert (loss * TIME_STEP <= 1.0 + 1e-12).all()
    if not bool(change.closes):
        assert (loss * TIME_STEP >= 1.0 - 1e-12).all() or not any(available)
        assert water >= sum(available) / TIME_STEP * (1.0 - 1e-12) or not any(available)
        return
    assert loss @ amounts.numpy() == pytest.approx(water, rel=1e-9, abs=1e-15)
    closed = CP * 1.0e4 * float(change.cooling) + (loss * amounts.numpy()) @ np.array(LATENT)
    assert closed == pytest.approx(energy, rel=1e-9, abs=1e-7)
    costs = [cost for used in range(8) if (cost := _cost(residuals, AIR, amounts, WEIGHTS, used)) is not None]
    ours = float(AIR * change.cooling**2 / VARIANCES[0] + (amounts * change.loss**2 / VARIANCES[1]).sum())
    assert ours == pytest.approx(min(costs), rel=1e-6, abs=1e-12)


def random_budgets(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """r_A, r_B (n,) and waters (n, 3) that need every set of waters used up, of those that can be needed."""
    rng = np.random.default_rng(1)
    water, energy = 10.0 ** rng.uniform(-6.0, -3.0, n), rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(1.0, 5.0, n)
    return torch.from_numpy(water), torch.from_numpy(energy), torch.from_numpy(10.0 ** rng.uniform(-4.0, -0.5, (n, 3)))


def test_the_change_meets_its_optimality_conditions() -> None:
    water, energy, amounts = random_budgets(4000)
    change = smallest_change((water, energy), AIR.expand(4000), amounts, WEIGHTS)
    loss, cooling = bisected(water.numpy(), energy.numpy(), amounts.numpy())
    closes = change.closes.numpy()
    np.testing.assert_allclose(change.loss[closes], loss[closes], rtol=1e-6, atol=1e-9 / TIME_STEP)
    np.testing.assert_allclose(change.cooling[closes], cooling[closes], rtol=1e-6, atol=1e-12)
    is_used_up = change.loss * TIME_STEP >= 1.0 - 1e-12
    patterns, count = np.unique(is_used_up.numpy(), axis=0, return_counts=True)
    assert len(patterns) == 6  # liquid alone, or vapour and ice: L_s λ_B grows with L_s
    assert count.min() >= 5


def bisected(water: Array, energy: Array, amounts: Array) -> tuple[Array, Array]:
    """The loss and the cooling of the smallest change from its optimality conditions alone, without sets of waters.

    μ_s = min(σ_q (λ_A + L_s λ_B), 1 / Δt) grows with both multipliers, and so do both sums that they must close.
    """
    latent, limit = np.array(LATENT) / LV, 1.0 / TIME_STEP
    steepness = CP**2 * VARIANCES[0] / VARIANCES[1] * float(AIR) / LV**2

    def losses(of_energy: Array) -> Array:
        def trial(of_water: Array) -> Array:
            return np.asarray(np.minimum(of_water[:, None] + latent * of_energy[:, None], limit))

        return trial(bisect(lambda of_water: (trial(of_water) * amounts).sum(axis=1) >= water, len(water)))

    def closes_energy(of_energy: Array) -> Array:
        return steepness * of_energy + (losses(of_energy) * amounts * latent).sum(axis=1) >= energy / LV

    multiplier = bisect(closes_energy, len(water))
    return losses(multiplier), VARIANCES[0] * CP * multiplier / (VARIANCES[1] * LV)


def bisect(is_enough: Callable[[Array], Array], n: int) -> Array:
    """Where each of n conditions begins to hold, from −1000 to 1000."""
    low, high = np.full(n, -1e3), np.full(n, 1e3)
    for _ in range(90):
        middle = 0.5 * (low + high)
        enough = is_enough(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


@pytest.mark.parametrize("used", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1)])
def test_gradients_for_every_set_of_waters_used_up(used: tuple[int, ...]) -> None:
    """Away from the kinks, where two sets meet."""
    water, energy, amounts = random_budgets(30000)
    change = smallest_change((water, energy), AIR.expand(30000), amounts, WEIGHTS)
    share = change.loss * TIME_STEP
    is_clear = ((share < 0.9) | (share >= 1.0 - 1e-12)).all(dim=-1)
    chosen = torch.nonzero(is_clear & ((share > 0.95) == torch.tensor(used, dtype=torch.bool)).all(dim=-1))[:5, 0]
    assert len(chosen) == 5

    def solve(water: Tensor, energy: Tensor, scaled: Tensor) -> tuple[Tensor, ...]:
        found = smallest_change((1e-4 * water, energy), AIR.expand(5), 1e-2 * scaled, WEIGHTS)
        assert bool(((found.loss * TIME_STEP > 0.95) == torch.tensor(used, dtype=torch.bool)).all())
        return found.loss * TIME_STEP, found.cooling * 1e5, found.water_left * 1e4, found.energy_left

    values = (1e4 * water[chosen], energy[chosen], 1e2 * amounts[chosen])
    assert torch.autograd.gradcheck(solve, tuple(v.requires_grad_() for v in values), eps=1e-7, atol=1e-5, rtol=1e-4)


def _cost(residuals: tuple[Tensor, Tensor], air: Tensor, amounts: Tensor, weights: Weights, fixed: int) -> float | None:
    """Of the smallest change with a set of waters used up, by numpy; None where that breaks a bound or cannot close."""
    used = np.array([bool(fixed >> at & 1) for at in range(3)])
    a, limit, latent = amounts.numpy(), weights.limit, np.array(LATENT)
    right = np.array([float(residuals[0]), float(residuals[1])])
    right = right - np.array([(a * used).sum(), (a * used * latent).sum()]) * limit
    free = np.sqrt(VARIANCES[1] * a * ~used)
    rows = np.array([[0.0, *free], [CP * np.sqrt(float(air) * VARIANCES[0]), *(free * latent)]]) / np.array([[1], [LV]])
    z, *_ = np.linalg.lstsq(rows, right / np.array([1.0, LV]), rcond=None)
    if not np.allclose(rows @ z, right / np.array([1.0, LV]), rtol=1e-8, atol=1e-14):
        return None
    loss = np.where(used, limit, z[1:] * np.sqrt(VARIANCES[1] / np.maximum(a, 1e-300)))
    if (loss > limit * (1.0 + 1e-9)).any():
        return None
    return float(z[0] ** 2 + (a * loss**2).sum() / VARIANCES[1])


def test_each_water_changes_by_one_factor() -> None:
    fields = prepared(5, 20, 15)
    closed = WATER_AND_ENERGY.apply(fields)
    for water in WATERS:
        before, now = after(fields, water), after(closed, water)
        factor = torch.where(before > 1e-9, now / before.clamp(min=1e-300), torch.nan)
        spread = torch.nan_to_num(factor - factor.nanmedian(dim=1, keepdim=True).values)
        assert float(spread.abs().max()) < 1e-8
        assert not (now - before)[before == 0.0].any()


def test_residuals_by_hand() -> None:
    """One layer of 1 kg m-2."""
    one = torch.ones(1, dtype=torch.float64)
    fields = {name: torch.zeros(1, 1, dtype=torch.float64) for name in ("qv", "ql", "qi", "u", "v", "dv")}
    fields |= {"p": torch.tensor([[0.0, CONSTANTS.gravity]], dtype=torch.float64)}
    fields |= {"dT": 2.0 * one[None], "dqv": 3.0 * one[None], "dql": 5.0 * one[None], "dqi": 7.0 * one[None]}
    fields |= {"u": 11.0 * one[None], "du": 0.5 * one[None], "rain": 0.013 * one, "snow": 0.004 * one}
    fields |= {"toa": 17.0 * one, "olr": 19.0 * one, "net": 23.0 * one, "longwave_down": 29.0 * one}
    fields |= {"longwave_up": 31.0 * one}
    residual = WATER_AND_ENERGY.residuals(fields)
    assert float(residual["column_water"]) == pytest.approx(3.0 + 5.0 + 7.0 + 13.0, rel=1e-14)
    energy = CP * 2.0 + (LV + LF) * 3.0 + LF * 5.0 + 0.5 * (11.0 + 600.0 * 0.5) + LF * (13.0 - 4.0)
    assert float(residual["column_energy"]) == pytest.approx(energy - (17.0 - 19.0 - 23.0 - 29.0 + 31.0), rel=1e-14)


def test_without_winds_no_kinetic_energy() -> None:
    fields = prepared(6, 5, 10)
    still = replace(WATER_AND_ENERGY, winds=())
    calm = {**fields, "du": torch.zeros_like(fields["du"]), "dv": torch.zeros_like(fields["dv"])}
    for name, residual in still.residuals(fields).items():
        torch.testing.assert_close(residual, WATER_AND_ENERGY.residuals(calm)[name], rtol=1e-12, atol=1e-12)
    assert float(still.residuals(still.apply(fields))["column_energy"].abs().max()) <= 1e-10


SCALES = {"dT": 1e-5, "dqv": 1e-8, "dql": 1e-8, "dqi": 1e-9, "rain": 1e-8, "snow": 1e-8, "du": 1e-4, "dv": 1e-4}


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no rain"])  # where rain and snow have a kink
def test_gradients_match_finite_differences(kind: str, still: bool) -> None:
    """Through the whole sequence, in units in which outputs are of order one; the kinks lie elsewhere."""
    fields = columns(21, 2, 3, kind)
    if still:  # the first of the three layers
        fields["p"][:, 1] = 1.5e4
        fields["p"][:, 2] = fields["p"][:, 2].clamp(min=1.6e4)
    assert bool(aloft(fields)[:, 0].all()) or not still
    names = [*OUTPUTS, "du", "dv"]
    scale = {name: SCALES.get(name, 100.0) for name in names}

    def close(*values: Tensor) -> tuple[Tensor, ...]:
        given = {name: value * scale[name] for name, value in zip(names, values, strict=True)}
        closed = apply_all({**fields, **given}, STILL_ALOFT if still else SEQUENCE)
        return tuple(closed[name] / scale[name] for name in names)

    values = tuple((fields[name] / scale[name]).requires_grad_() for name in names)
    assert torch.autograd.gradcheck(close, values, eps=1e-5, atol=1e-4, rtol=1e-3, fast_mode=True)


def test_gradients_are_finite_where_there_is_no_water() -> None:
    for kind in KINDS:
        fields = columns(22, 30, 8, kind)
        leaves = [fields[name].requires_grad_() for name in OUTPUTS if name != "net"]  # which others determine
        closed = apply_all(fields)
        sum((closed[name] / SCALES.get(name, 100.0)).square().sum() for name in OUTPUTS).backward()
        assert all(leaf.grad is not None and bool(leaf.grad.isfinite().all()) for leaf in leaves), kind


def test_rain_gives_way_only_where_water_cannot() -> None:
    fields = prepared(23, 100, 12)
    assert torch.equal(WATER_AND_ENERGY.apply(fields)["rain"], fields["rain"])
    flood = POSITIVITY.apply(PRECIPITATION.apply(columns(23, 100, 12, "more rain than water")))
    flood["snow"] = 0.9 * flood["rain"]
    closed = WATER_AND_ENERGY.apply(flood)
    assert bool((closed["rain"] < flood["rain"]).all())
    assert bool((closed["snow"] <= closed["rain"]).all())
    assert all(float(after(closed, water).abs().max()) <= 1e-17 for water in WATERS)


@pytest.mark.parametrize("kind", ["ordinary", "saturated", "thin layers"])
def test_what_rounding_leaves_of_water_does_not_grow(kind: str) -> None:
    """Where all water is lost, rain closes; the last bit of a water that went must not become it again."""
    fields = columns(24, 200, 12, kind)
    fields |= {f"dq{water}": -1.5 * fields[f"q{water}"] / TIME_STEP for water in WATERS}
    fields = POSITIVITY.apply(PRECIPITATION.apply(fields))
    left = torch.stack([after(fields, water) for water in WATERS])
    assert bool((left > 0.0).any())
    closed = WATER_AND_ENERGY.apply(fields)
    assert all(torch.equal(closed[rate], fields[rate]) for rate in RATES)
    assert bool((closed["rain"] > fields["rain"]).all())
    assert float(WATER_AND_ENERGY.residuals(closed)["column_water"].abs().max()) <= 1e-15
    assert float(WATER_AND_ENERGY.residuals(closed)["column_energy"].abs().max()) <= 1e-10
