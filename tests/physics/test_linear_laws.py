"""Any linear law closes to rounding, by the smallest change that its covariance knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from constrained_columns import CONSTANTS, ENERGY_CLOSED, KINDS, POSITIVITY, WATER_AND_ENERGY, WATER_CLOSED, columns
from emagram.physics.constraints import ColumnEnergy, FluxTerm, Law, LinearLaws, Term, from_manifest
from emagram.physics.errors import EmagramError
from linear_laws import LAWS, WATER, dense_solution, levels

CLOSED = {"all_water": WATER_CLOSED, "all_energy": ENERGY_CLOSED}
SAME = 1.0e-9  # of the largest change of an output: the dense matrices have condition numbers of 1e6
ROUNDING = 1.0e-14  # of the terms of a law: where they reach 1e5 W m-2, they are themselves rounded to 1e-11


def magnitude(laws: LinearLaws, fields: dict[str, Tensor], law: Law) -> Tensor:
    """Σ |terms| of each column."""
    size = torch.zeros(fields["p"].shape[:-1], dtype=torch.float64)
    for term in law.terms:
        alone = replace(laws, laws=(Law("alone", law.unit, (term,), 1.0),), variance={term.field: 1.0}, covariance=())
        size = size + alone.residuals({**fields, term.field: fields[term.field].abs()})["alone"].abs()
    return size


@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from(KINDS), st.booleans())
@settings(deadline=None)
def test_every_column_closes(seed: int, n_level: int, kind: str, correlated: bool) -> None:
    fields = columns(seed, 6, n_level, kind)
    laws = levels(n_level) if correlated else LAWS
    closed = laws.apply(fields)
    for law in laws.laws:
        residual = laws.residuals(closed)[law.name].abs()
        assert bool((residual <= (ROUNDING * magnitude(laws, closed, law)).clamp(min=CLOSED[law.name])).all())
    assert all(float(value.abs().min()) > 10.0 * CLOSED[name] for name, value in laws.residuals(fields).items())
    for name in set(fields) - set(laws.outputs):
        assert closed[name] is fields[name]


@pytest.mark.parametrize("kind", KINDS)
def test_many_columns_close(kind: str) -> None:
    fields = columns(1, 100_000 // len(KINDS), 30, kind)
    laws = levels(30)
    closed = laws.apply(fields)
    for law in laws.laws:
        residual = laws.residuals(closed)[law.name].abs()
        assert bool((residual <= (ROUNDING * magnitude(laws, closed, law)).clamp(min=CLOSED[law.name])).all())


@pytest.mark.parametrize("n_level", [1, 2, 17])
@pytest.mark.parametrize("correlated", [False, True])
def test_the_change_is_the_smallest_by_dense_algebra(n_level: int, correlated: bool) -> None:
    fields = columns(n_level, 9, n_level)
    laws = levels(n_level) if correlated else LAWS
    closed = laws.apply(fields)
    for at in range(9):
        expected, residual = dense_solution(laws, fields, at)
        np.testing.assert_allclose([value[at] for value in laws.residuals(fields).values()], residual, rtol=1e-11)
        for name in laws.outputs:
            before, after = fields[name][at].reshape(-1).numpy(), closed[name][at].reshape(-1).numpy()
            largest = np.abs(expected[name] - before).max()
            assert np.abs(after - expected[name]).max() <= SAME * largest, name
            assert largest > 0.0


def test_a_covariance_matters() -> None:
    """Else the comparison above could not tell whether it is used."""
    fields = columns(3, 9, 17)
    with_it, without = levels(17), replace(levels(17), covariance=())
    for name in LAWS.outputs:
        change = (with_it.apply(fields)[name] - without.apply(fields)[name]).abs().max()
        assert float(change) > 0.01 * float((without.apply(fields)[name] - fields[name]).abs().max())


def test_it_is_column_energy_where_variance_goes_as_one_over_mass() -> None:
    fields = columns(4, 1, 20)
    mass = fields["p"].diff(dim=-1)[0] / CONSTANTS.gravity
    fluxes = ("toa", 1), ("olr", -1), ("net", -1)
    heating = Term("dT", CONSTANTS.heat_capacity_dry_air, per_mass=True)
    law = Law("energy", "W m-2", (heating, *(Term(name, -float(sign)) for name, sign in fluxes)))
    laws = LinearLaws("energy", (law,), {"dT": tuple((1.0 / mass).tolist())}, "p", CONSTANTS)
    twin = ColumnEnergy("energy", "dT", "p", tuple(FluxTerm(*flux) for flux in fluxes), CONSTANTS)
    torch.testing.assert_close(laws.apply(fields)["dT"], twin.apply(fields)["dT"], rtol=1e-12, atol=1e-18)
    torch.testing.assert_close(laws.residuals(fields), twin.residuals(fields), rtol=1e-13, atol=1e-10)


def test_it_is_water_and_energy_where_that_meets_no_bound() -> None:
    """Σ = σ_T² / m_k and σ_q a_k / m_k; what the winds gain and the fluxes bring is the rest of the law of energy."""
    fields = POSITIVITY.apply(columns(5, 1, 12, "saturated"))
    small = {name: 1.0e-3 * fields[name] for name in ("dqv", "dql", "dqi", "rain", "snow", "dT")}
    fields |= small | {"rain": small["rain"].abs(), "snow": 0.1 * small["rain"].abs()}
    twin = WATER_AND_ENERGY.apply(fields)
    mass = fields["p"].diff(dim=-1)[0] / CONSTANTS.gravity
    variance: dict[str, Any] = {"dT": tuple((WATER_AND_ENERGY.temperature_variance / mass).tolist())}
    for water in WATER_AND_ENERGY.waters:
        after = (fields[water.state] + WATER_AND_ENERGY.time_step * fields[water.rate])[0]
        spread = (WATER_AND_ENERGY.water_variance * after / mass).clamp(min=1.0e-60)
        variance[water.rate] = tuple(spread.tolist())
    terms = [Term(name, c, per_mass=True) for name, c in (("dT", CONSTANTS.heat_capacity_dry_air),)]
    vapor, liquid = CONSTANTS.latent_heat_vaporization + CONSTANTS.latent_heat_fusion, CONSTANTS.latent_heat_fusion
    terms += [Term("dqv", vapor, per_mass=True), Term("dql", liquid, per_mass=True), Term("rest", 1.0)]
    laws = LinearLaws("laws", (WATER, Law("energy", "W m-2", tuple(terms))), variance, "p", CONSTANTS)
    held = {**fields, "rest": torch.zeros(1, dtype=torch.float64)}
    held["rest"] = WATER_AND_ENERGY.residuals(fields)["column_energy"] - laws.residuals(held)["energy"]
    closed = laws.apply(held)
    assert torch.equal(twin["rain"], fields["rain"])  # no bound was met
    for name in variance:
        scale = float((twin[name] - fields[name]).abs().max())
        assert scale > 0.0
        torch.testing.assert_close(closed[name], twin[name], rtol=0.0, atol=1.0e-10 * scale + 1e-24)


@pytest.mark.parametrize("correlated", [False, True])
def test_gradients_match_finite_differences(correlated: bool) -> None:
    fields = columns(6, 2, 3)
    scales = {"dT": 1.0e-5, "dqv": 1.0e-8, "rain": 1.0e-8, "net": 100.0, "p": 1.0e4}
    laws = levels(3) if correlated else LAWS

    def closed(*values: Tensor) -> Tensor:
        scaled = {name: value * scales[name] for name, value in zip(scales, values, strict=True)}
        after = laws.apply({**fields, **scaled})
        return torch.cat([after["dT"] / 1.0e-5, after["dqv"] / 1.0e-8, after["olr"].unsqueeze(1) / 100.0], dim=1)

    values = tuple((fields[name] / scale).requires_grad_() for name, scale in scales.items())
    assert torch.autograd.gradcheck(closed, values, atol=1e-6, rtol=1e-5)


def test_closed_columns_are_left_alone_and_shifts_along_the_laws_do_not_show() -> None:
    fields = columns(7, 50, 20)
    laws = levels(20)
    once = laws.apply(fields)
    twice = laws.apply(once)
    for name in laws.outputs:
        largest = float(once[name].abs().max())
        torch.testing.assert_close(twice[name], once[name], rtol=0.0, atol=1.0e-14 * largest)


def test_leading_dimensions_are_columns() -> None:
    fields = columns(8, 24, 7)
    cube = {name: value.reshape(4, 6, *value.shape[1:]) for name, value in fields.items()}
    flat, folded = levels(7).apply(fields), levels(7).apply(cube)
    for name in LAWS.outputs:
        torch.testing.assert_close(folded[name].flatten(0, 1), flat[name], rtol=1e-13, atol=0.0)


def test_real32_outputs_stay_real32_and_close_to_their_rounding() -> None:
    fields = columns(9, 100, 60)
    single = fields | {name: fields[name].float() for name in LAWS.outputs}
    closed = LAWS.apply(single)
    assert all(closed[name].dtype == torch.float32 for name in LAWS.outputs)
    for law in LAWS.laws:
        residual = LAWS.residuals(closed)[law.name]
        assert residual.dtype == torch.float64
        assert bool((residual.abs() <= 1.0e-6 * magnitude(LAWS, closed, law)).all())


def test_columns_without_layers_need_no_pressure() -> None:
    """Beyond budgets of mass: fractions that add up to one, x + y + z = 1."""
    law = Law("whole", "1", (Term("x", 1.0), Term("y", 1.0), Term("z", 1.0), Term("one", -1.0)), 1.0e-12)
    laws = LinearLaws("whole", (law,), {"x": 1.0, "y": 4.0}, None, CONSTANTS)
    values = {"x": 0.1, "y": 0.2, "z": 0.2}
    fields = {name: torch.full((3,), value, dtype=torch.float64) for name, value in values.items()}
    closed = laws.apply({**fields, "one": torch.ones(3, dtype=torch.float64)})
    torch.testing.assert_close(closed["x"], torch.full((3,), 0.1 + 0.5 / 5.0, dtype=torch.float64))
    torch.testing.assert_close(closed["y"], torch.full((3,), 0.2 + 0.5 * 4.0 / 5.0, dtype=torch.float64))
    with pytest.raises(EmagramError, match=r"field 'y': expected shape \(3,\), got \(3, 1\)"):
        laws.apply({**closed, "y": closed["y"].unsqueeze(1)})


def twins() -> LinearLaws:
    """Σ q̇ and Σ m q̇ of vapour, which say the same where all layers have one mass."""
    plain = Law("plain", "kg kg-1 s-1", (Term("dqv", 1.0), Term("rain", 1.0)), 1.0e-20)
    weighed = Law("weighed", "kg m-2 s-1", (Term("dqv", 1.0, per_mass=True),), 1.0e-14)
    return LinearLaws("twins", (plain, weighed), {"dqv": 1.0e-16}, "p", CONSTANTS)


def test_a_column_in_which_laws_cannot_be_told_apart_keeps_its_values() -> None:
    fields, laws = columns(10, 4, 8), twins()
    fields["p"][2] = torch.linspace(1.0e4, 9.0e4, 9, dtype=torch.float64)
    fields["dqv"].requires_grad_()
    closed = laws.apply(fields)
    assert torch.equal(closed["dqv"][2], fields["dqv"][2])
    residual = laws.residuals(closed)
    unmet = {law.name: residual[law.name].abs() > law.budget.tolerance for law in laws.laws}
    for name in unmet:
        assert unmet[name].tolist() == [False, False, True, False]
    (gradient,) = torch.autograd.grad(closed["dqv"].square().sum(), fields["dqv"])
    torch.testing.assert_close(gradient[2], 2.0 * fields["dqv"][2].detach())
    assert bool(gradient.isfinite().all())


def test_nearly_dependent_laws_close_all_the_same() -> None:
    """Masses that differ by 1e-4: what tells the laws apart is 1e-8 of them."""
    fields, laws = columns(11, 200, 8), twins()
    generator = torch.Generator().manual_seed(1)
    thickness = 1.0e4 * (1.0 + 1.0e-4 * torch.randn((200, 8), generator=generator, dtype=torch.float64))
    fields["p"] = torch.cat([torch.zeros(200, 1, dtype=torch.float64), thickness.cumsum(1)], dim=1)
    closed = laws.apply(fields)
    for law in laws.laws:
        residual = laws.residuals(closed)[law.name].abs()
        assert bool((residual <= ROUNDING * magnitude(laws, closed, law)).all())


def test_a_value_that_is_not_finite_stays_in_its_column() -> None:
    fields = columns(12, 5, 8)
    whole = LAWS.apply(fields)
    fields["dT"][3, 4] = torch.nan
    broken = LAWS.apply(fields)
    for name in LAWS.outputs:
        others = [0, 1, 2, 4]
        assert torch.equal(broken[name][others], whole[name][others])
    assert bool(LAWS.residuals(broken)["all_energy"][3].isnan())


@pytest.mark.parametrize("thickness", [0.0, -5.0, float("nan")])
def test_layers_without_mass_are_named_and_counted(thickness: float) -> None:
    fields = columns(13, 5, 8)
    fields["p"][[1, 3], 4] = fields["p"][[1, 3], 3] + thickness
    for use in (LAWS.apply, LAWS.residuals):
        with pytest.raises(EmagramError, match="'p' to increase with the index, got a layer without mass in 2 columns"):
            use(fields)


def test_manifest_round_trip() -> None:
    for laws in (LAWS, levels(4), twins()):
        entry = laws.to_manifest()
        assert from_manifest([entry | {"new": 1}], CONSTANTS) == (laws,)
        assert entry["budgets"] == [{"name": law.name, "unit": law.unit} for law in laws.laws]
        assert [law["tolerance"] for law in entry["laws"]] == [law.budget.tolerance for law in laws.laws]


@pytest.mark.parametrize("key", ["name", "laws", "variance", "interface_pressure", "covariance"])
def test_every_missing_key_is_named(key: str) -> None:
    entry = {name: value for name, value in LAWS.to_manifest().items() if name != key}
    with pytest.raises(EmagramError, match=f"expected key '{key}'"):
        from_manifest([entry], CONSTANTS)


@pytest.mark.parametrize("name", [*LAWS.inputs, *LAWS.outputs])
def test_every_missing_field_is_named(name: str) -> None:
    fields = columns(14)
    del fields[name]
    with pytest.raises(EmagramError, match=f"expected field '{name}'"):
        LAWS.apply(fields)


def term(field: str, coefficient: Any = 1.0, per_mass: Any = False) -> dict[str, Any]:
    return {"field": field, "coefficient": coefficient, "per_mass": per_mass}


def law(*terms: dict[str, Any], name: str = "new", unit: str = "W m-2", tolerance: Any = 1.0e-9) -> dict[str, Any]:
    return {"name": name, "unit": unit, "tolerance": tolerance, "terms": list(terms)}


ENTRIES = [law.to_manifest() for law in LAWS.laws]
WATER_ENTRY, ENERGY_ENTRY = ENTRIES
TRIPLE = [item | {"coefficient": 3.0 * item["coefficient"]} for item in WATER_ENTRY["terms"]]
BOTH = [term("dT", 1004.64, True), term("dqv", 2834701.0, True), term("dql", 333701.0, True), term("dqi", 1.0, True)]
BOTH += [term("rain", 1000.0 + 3.337e8), term("olr", 1.0)]
BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"laws": []}, "expected distinct laws, got"),
    ({"laws": [WATER_ENTRY, WATER_ENTRY]}, "expected distinct laws, got"),
    ({"laws": [law(term("net"))]}, "expected 'dT', which has a variance, in a law"),
    ({"laws": [*ENTRIES, law(term("net"))]}, "a term of law 'new' that may change, got none with a variance among"),
    ({"laws": [*ENTRIES, law(term("olr", 0.0))]}, "a term of law 'new' that may change, got none"),
    ({"laws": [*ENTRIES, law(*TRIPLE)]}, r"got 'new', which follows from or contradicts \['all_water', 'all_energy'\]"),
    ({"laws": [*ENTRIES, law(*TRIPLE, term("net", 1.0))]}, "got 'new', which follows from or contradicts"),
    ({"laws": [*ENTRIES, law(*BOTH)]}, "got 'new', which follows from or contradicts"),
    ({"laws": [*ENTRIES, law(term("olr"), term("olr"))]}, "'new': expected distinct fields of its terms"),
    ({"laws": [*ENTRIES, law()]}, "'new': expected distinct fields of its terms"),
    ({"laws": [*ENTRIES, law(term("olr", float("nan")))]}, "term 'olr': expected a finite number or a tuple of them"),
    ({"laws": [*ENTRIES, law(term("olr", [1.0, float("inf")]))]}, "term 'olr': expected a finite number .* got inf"),
    ({"laws": [*ENTRIES, law(term("olr", []))]}, "term 'olr': expected a finite number or a tuple of them, got none"),
    ({"laws": [*ENTRIES, law(term("olr", "much"))]}, "term 'olr': expected a finite number .* got 'much'"),
    ({"laws": [*ENTRIES, law(term("olr", 1.0, 1))]}, "term 'olr': expected per_mass true or false, got 1"),
    ({"laws": [*ENTRIES, law(term("olr"), tolerance=0.0)]}, "'new': expected a positive 'tolerance', got 0.0"),
    ({"laws": [*ENTRIES, law(term("olr"), tolerance=None, unit="K")]}, r"'new': expected a tolerance \[K\], got None"),
    ({"laws": [*ENTRIES, *(law(term("olr"), name=str(i)) for i in range(7))]}, "expected at most 8 laws, got 9"),
    ({"variance": [{"output": "dT", "value": 0.0}]}, "expected a positive 'variance of 'dT'', got 0.0"),
    ({"variance": [{"output": "dT", "value": [1.0, -1.0]}]}, "expected a positive 'variance of 'dT'', got -1.0"),
    ({"variance": [{"output": "dT", "value": float("inf")}]}, "variance of 'dT': expected a finite number"),
    ({"variance": [{"output": "dT", "value": 1.0}] * 2}, "an output twice"),
    ({"variance": []}, "expected distinct outputs with a variance, got"),
    ({"variance": [{"output": "p", "value": 1.0}]}, "expected 'p', which has a variance, in a law"),
    ({"covariance": [[{"output": "net", "value": 1.0}]]}, "expected a variance of 'net', got a covariance alone"),
    ({"covariance": [[{"output": "olr", "value": float("nan")}]]}, "covariance of 'olr': expected a finite number"),
    ({"covariance": [[{"output": "olr", "value": 1.0}]] * 33}, "expected at most 32 u, got 33"),
    ({"covariance": [[{"output": o, "value": [1.0] * n} for o, n in (("dT", 2), ("dqv", 3))]]}, "expected . numbers"),
    ({"interface_pressure": None}, "expected an 'interface_pressure' for the mass of 'dqv', got None"),
)  # fmt: skip


@pytest.mark.parametrize(("change", "text"), BAD)
def test_bad_laws_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(EmagramError, match=text):
        from_manifest([LAWS.to_manifest() | change], CONSTANTS)


def test_numbers_that_do_not_fit_the_columns_are_refused() -> None:
    with pytest.raises(EmagramError, match="expected 6 numbers for the values of 'dT', got 5"):
        levels(5).apply(columns(15, 3, 6))
    for name in ("dqv", "rain"):
        fields = columns(16)
        fields[name] = fields[name][:1]
        with pytest.raises(EmagramError, match=f"field '{name}': expected shape"):
            LAWS.apply(fields)
    fields = columns(16)
    fields["dqv"] = fields["rain"]
    with pytest.raises(EmagramError, match="field 'dqv': expected one value for each of the 12 layers, got 1"):
        LAWS.apply(fields)
