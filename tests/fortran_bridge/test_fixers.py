"""Global fixers in Fortran over MPI: the numbers of their Python twin, the same bits on any number of ranks."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commands import ROOT, run
from emagram.physics.errors import EmagramError
from emagram.physics.exact_sum import N_DIGIT, ExactSum
from emagram.physics.global_fixers import Correction, fix_dry_mass, fix_energy, fix_water
from emagram.physics.globe import Globe
from global_states import COORDINATE, N_LEVEL, WEIGHT, parts_of, random_state

TWINS = 1e-12
"""Relative: both sum columns from the top down, but multiply in another order."""
DRY_PRESSURE, TIME_STEP = 98200.0, 1200.0
Fields = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def fixers(fortran: Any) -> Path:
    path: Path = fortran.compile("fixers.F90", sources=(Path(__file__).parent / "programs" / "fixers.F90",))
    return path


@pytest.fixture(scope="module")
def fields() -> Fields:
    """Columns by name, (n_column) or (n_column, n)."""
    rng, state, n = np.random.default_rng(2), random_state(2), WEIGHT.numel()
    pressure = state.surface_pressure.reshape(-1)
    return {
        "weight": WEIGHT.reshape(-1).numpy(),
        "surface_pressure": pressure.numpy(),
        "water_residual": rng.normal(3e-6, 2e-5, n),
        "energy_residual": rng.normal(-0.7, 40.0, n),
        "interface_pressure": COORDINATE.interface_pressure(pressure).numpy(),
        "water": state.water.reshape(n, N_LEVEL).numpy(),
        "available": state.specific_humidity.reshape(n, N_LEVEL).numpy() - 1e-5,
        "vapor_rate": rng.normal(0.0, 1e-8, (n, N_LEVEL)),
        "heating": rng.normal(0.0, 3e-5, (n, N_LEVEL)),
    }


def write(path: Path, fields: Fields) -> Path:
    columns = np.concatenate([f.reshape(len(f), -1) for f in fields.values()], axis=1)
    head = [N_LEVEL, len(columns), DRY_PRESSURE, TIME_STEP]
    coordinate = [np.array(COORDINATE.hyai) * COORDINATE.p0, np.array(COORDINATE.hybi)]
    path.write_bytes(np.concatenate([head, *coordinate, columns.ravel()]).astype(np.float64).tobytes())
    return path


def read(path: Path, n_rank: int, n_column: int) -> list[np.ndarray]:
    """Surface pressure, vapour rate and heating of all ranks."""
    found: list[list[np.ndarray]] = []
    for rank, part in enumerate(parts_of(n_column, n_rank)):
        n = part.stop - part.start
        values = np.fromfile(f"{path}.{rank}")
        found.append([values[:n], *values[n:].reshape(2, n, N_LEVEL)])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def fix(
    mpirun: Callable[..., Any], program: Path, folder: Path, fields: Fields, n_rank: int
) -> tuple[list[np.ndarray], str]:
    """What the ranks return, and the bits of the corrections, which all say alike."""
    done = mpirun(n_rank, program, write(folder / "in", fields), folder / "out")
    lines = sorted(done.stdout.splitlines())
    assert [line.split("|")[0] for line in lines] == [str(rank) for rank in range(n_rank)], done.stderr
    (said,) = {line.partition("|")[2] for line in lines}
    return read(folder / "out", n_rank, len(fields["weight"])), said


def in_python(fields: Fields) -> tuple[list[torch.Tensor], list[Correction]]:
    f = {name: torch.from_numpy(value) for name, value in fields.items()}
    globe = Globe(f["weight"])
    pressure, dry = fix_dry_mass(globe, COORDINATE, f["surface_pressure"], f["water"], DRY_PRESSURE)
    rate, water = fix_water(
        globe,
        f["interface_pressure"],
        f["vapor_rate"],
        available=f["available"],
        residual=f["water_residual"],
        time_step=TIME_STEP,
    )
    heating, energy = fix_energy(globe, f["interface_pressure"], f["heating"], residual=f["energy_residual"])
    return [pressure, rate, heating], [dry, water, energy]


@pytest.mark.mpi
def test_fortran_does_what_python_does(fixers: Path, mpirun: Any, tmp_path: Path, fields: Fields) -> None:
    found, said = fix(mpirun, fixers, tmp_path, fields, 2)
    expected, corrections = in_python(fields)
    for mine, twin, name in zip(found, expected, ("surface_pressure", "vapor_rate", "heating"), strict=True):
        change, twins = mine - fields[name], twin.numpy() - fields[name]
        np.testing.assert_allclose(mine, twin, rtol=TWINS)
        assert np.abs(change).max() > 0.0
        np.testing.assert_allclose(change, twins, atol=TWINS * np.abs(mine).max())
    bits = [struct.unpack(">d", bytes.fromhex(word))[0] for word in said.split("|")[2].split()]
    for (before, after, size, scale), twin_ in zip(np.array(bits).reshape(3, 4), corrections, strict=True):
        magnitude = DRY_PRESSURE if twin_.name == "dry_mass" else abs(twin_.before)
        np.testing.assert_allclose(before, twin_.before, atol=TWINS * magnitude, rtol=0.0)
        np.testing.assert_allclose([size, scale], [twin_.size, twin_.scale], rtol=1e-11)
        assert abs(after) < TWINS * magnitude
        assert abs(twin_.after) < TWINS * magnitude


@pytest.mark.mpi
def test_ranks_and_order_change_no_bit(fixers: Path, mpirun: Any, tmp_path: Path, fields: Fields) -> None:
    whole, said = fix(mpirun, fixers, tmp_path, fields, 1)
    assert said.startswith("0||")
    for n_rank in (2, 3, 4):
        order = np.random.default_rng(n_rank).permutation(len(fields["weight"]))
        found, theirs = fix(mpirun, fixers, tmp_path, {name: f[order] for name, f in fields.items()}, n_rank)
        assert theirs == said
        for mine, one in zip(found, whole, strict=True):
            np.testing.assert_array_equal(mine, one[order])


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("energy_residual", -1, np.nan, "global sum of energy: expected finite values, got others"),
        ("water_residual", slice(None), 1.0, "global fixer 'water': expected vapour that can give 1.20000E+03 kg m-2"),
        ("weight", slice(None), 0.0, "globe: expected a column with an area above 0, got none"),
        ("weight", 3, -1.0, "globe: expected areas of 0 or more, got some below"),
        ("interface_pressure", (0, 2), 0.0, "layers: expected pressures that increase downwards, got 1 that do not"),
        ("surface_pressure", slice(None), 0.0, "global fixer 'dry_mass': expected more than 0.00000E+00 Pa that slide"),
        ("heating", -1, np.inf, "global sum of energy: expected finite values, got others"),
    ],
)
def test_what_cannot_be_is_one_sentence_on_all_ranks(
    fixers: Path, mpirun: Any, tmp_path: Path, fields: Fields, name: str, at: Any, value: float, message: str
) -> None:
    bad = {key: f.copy() for key, f in fields.items()}
    bad[name][at] = value
    found, said = fix(mpirun, fixers, tmp_path, bad, 2)
    code, errmsg, _ = said.split("|")
    assert int(code) == 1
    assert message in " ".join(errmsg.split())
    touched, left = (2, "heating") if message.startswith("global sum of energy") else (1, "vapor_rate")
    np.testing.assert_array_equal(found[touched], bad[left])


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Callable[[np.ndarray], tuple[int, float, np.ndarray]]:
    """emagram_sum.c alone: code, sum and digits of an array."""
    library = tmp_path_factory.mktemp("sum") / "sum.so"
    source = ROOT / "fortran_bridge" / "mpi" / "emagram_sum.c"
    run(["gcc", "-std=c11", "-O2", "-fsanitize=undefined", "-shared", "-fPIC", source, "-o", library])
    loaded = ctypes.CDLL(str(library))

    def call(values: np.ndarray) -> tuple[int, float, np.ndarray]:
        digits, total = np.zeros(N_DIGIT + 2, dtype=np.int64), ctypes.c_double(7.0)
        at = digits.ctypes.data_as(ctypes.c_void_p)
        loaded.emagram_sum_add(at, values.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(values.size))
        code = loaded.emagram_sum_read(at, ctypes.byref(total))
        loaded.emagram_sum_carry(at)
        return code, total.value, digits

    return call


@settings(max_examples=300, deadline=None)
@given(values=arrays(np.uint64, st.integers(0, 30), elements=st.integers(0, 2**64 - 1)), cancels=st.booleans())
def test_the_sum_in_c_is_that_in_python(in_c: Any, values: np.ndarray, cancels: bool) -> None:
    """Bit patterns of all kinds: subnormal, huge, not finite."""
    numbers = values.view(np.float64)
    if cancels:
        numbers = np.concatenate([numbers, -numbers[1:]])
    code, total, digits = in_c(numbers)
    twin = ExactSum.of(numbers)
    np.testing.assert_array_equal(digits[: N_DIGIT + 1], twin.digits)
    if code == 0:
        assert np.float64(total).tobytes() == np.float64(twin.read("x")).tobytes()
        return
    assert total == 0.0
    with pytest.raises(EmagramError, match={1: "expected finite values", 2: "that float64 holds"}[code]):
        twin.read("x")
