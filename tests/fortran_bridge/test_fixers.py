"""Global fixers in Fortran over MPI: the numbers of their Python twin, the same bits on any number of ranks."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commands import ROOT, run
from emagram.physics.errors import EmagramError
from emagram.physics.exact_sum import N_DIGIT, ExactSum
from global_columns import DRY_PRESSURE, TWINS, Fields, assert_like_python, random_fields, read, write


@pytest.fixture(scope="module")
def fixers(fortran: Any) -> Path:
    path: Path = fortran.compile(
        "fixers.F90", "-DEMAGRAM_MPI_F08", sources=(Path(__file__).parent / "programs" / "fixers.F90",)
    )
    return path


@pytest.fixture(scope="module")
def fields() -> Fields:
    return random_fields()


def fix(
    mpirun: Callable[..., Any], program: Path, folder: Path, fields: Fields, n_rank: int
) -> tuple[list[np.ndarray], str]:
    """What the ranks return, and the bits of the corrections, which all say alike."""
    done = mpirun(n_rank, program, write(folder / "in", fields), folder / "out")
    lines = sorted(done.stdout.splitlines())
    assert [line.split("|")[0] for line in lines] == [str(rank) for rank in range(n_rank)], done.stderr
    (said,) = {line.partition("|")[2] for line in lines}
    return read(folder / "out", n_rank, len(fields["weight"])), said


@pytest.mark.mpi
def test_fortran_does_what_python_does(fixers: Path, mpirun: Any, tmp_path: Path, fields: Fields) -> None:
    found, said = fix(mpirun, fixers, tmp_path, fields, 2)
    corrections = assert_like_python(fields, found)
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
        ("energy_residual", -1, np.nan, "global sum of energy: expected finite values, got 1 that are not"),
        ("water_residual", slice(None), 1.0, "global fixer 'water': expected vapour that can give 1.20000E+03 kg m-2"),
        ("weight", slice(None), 0.0, "globe: expected a column with an area above 0, got none"),
        ("weight", 3, -1.0, "globe: expected areas of 0 or more, got some below"),
        ("interface_pressure", (0, 2), 0.0, "layers: expected pressures that increase downwards, got 1 that do not"),
        ("surface_pressure", slice(None), 0.0, "global fixer 'dry_mass': expected more than 0.00000E+00 Pa that slide"),
        ("heating", -1, np.inf, "global sum of energy: expected finite values, got 1 that are not"),
        ("vapor_rate", -1, np.inf, "global sum of water: expected finite values, got 1 that are not"),
        ("available", -1, np.nan, "global sum of water: expected finite values, got 1 that are not"),
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


@pytest.mark.mpi
def test_a_short_message_is_cut_and_ends_no_program(fortran: Any, mpirun: Any) -> None:
    program = fortran.compile(
        "short_message.F90", "-DEMAGRAM_MPI_F08", sources=(Path(__file__).parent / "programs" / "short_message.F90",)
    )
    done = mpirun(1, program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1|layers: expected pressures that increase",
        "1|global fixer 'water': expected vapour th",
        "1|global fixer 'dry_mass': expected more t",
    ]


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
