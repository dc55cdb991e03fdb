"""The matrix kernels: accurate on every instruction set, and the same bits for every split of the columns."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emagram
from stepping import run, same_bits
from tiny_model import tiny_columns


@given(n=st.integers(1, 200), cuts=st.lists(st.integers(1, 199), max_size=3), seed=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_bits_do_not_depend_on_the_split(tiny_model: Path, n: int, cuts: list[int], seed: int) -> None:
    model, inputs = emagram.open(tiny_model), tiny_columns(n, seed)
    whole = run(model, inputs)
    edges = [0, *sorted({cut for cut in cuts if cut < n}), n]
    parts = [run(model, {k: v[a:b] for k, v in inputs.items()}) for a, b in itertools.pairwise(edges)]
    assert same_bits(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole})


KERNEL_CHECK = """
import itertools, sys
import emagram, numpy as np, tiny_model as t

for n_extra, hidden in ((0, 24), (37, 32), (38, 33), (101, 150)):
    tiny = t.TinyModel(n_extra=n_extra, hidden=hidden)
    model = emagram.open(tiny.write(f"{sys.argv[1]}/{n_extra}.emg"))
    inputs = tiny.extended(t.tiny_columns(131, seed=3))

    def run(rows):
        part = {name: np.ascontiguousarray(array[rows]) for name, array in inputs.items()}
        n = len(part["surface_temperature"])
        out = {f.name: np.full((n, f.size) if f.size > 1 else n, np.nan) for f in model.outputs}
        columns = model.columns(n)
        for name, array in (part | out).items():
            columns.bind(name, array, "column level" if array.ndim > 1 else "column")
        model.step(columns, n, 1200.0)
        return out

    whole, truth = run(slice(None)), tiny.predict(inputs)
    for name in whole:
        scale = np.abs(truth[name]).max()
        assert np.abs(whole[name] - truth[name]).max() <= 3e-6 * scale, (n_extra, name)
    for n in range(1, 131):
        edges = [0, *range(n, 131, n), 131]
        parts = [run(slice(a, b)) for a, b in itertools.pairwise(edges)][:3]
        for name in whole:
            got = np.concatenate([part[name] for part in parts])
            assert got.tobytes() == whole[name][: len(got)].tobytes(), (n_extra, n, name)
print("ok")
"""


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_every_instruction_set_is_accurate_and_indifferent_to_the_split(isa: str, tmp_path: Path) -> None:
    """Networks of several panels and of sums longer than a block, all batch sizes."""
    environment = os.environ | {"EMAGRAM_ISA": isa, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", KERNEL_CHECK, tmp_path], env=environment, capture_output=True, text=True, check=False
    )
    if "EMAGRAM_ISA: expected one of" in done.stderr:
        pytest.skip(f"this processor has no {isa}")
    assert done.stdout == "ok\n", done.stderr
