"""The Fortran module against the plain layout, its errors, and the floating-point environment of the host."""

import subprocess
from pathlib import Path

import pytest

LAYOUTS = (
    "plain",
    "halos, interior",
    "halos, untouched",
    "reversed levels",
    "blocks",
    "one row",
    "real32",
    "units",
    "bindings end with the step",
    "persistent",
    "no columns",
)
MISTAKES = {
    "missing file": (2, "/nowhere/none.emg"),
    "not a model": (3, "model file"),
    "never opened": (1, "model"),
    "identity": (1, "expected 15 values, got 2"),
    "unknown name": (1, "'air_temprature'"),
    "unit": (7, "expected a unit like 'K', got 'Pa'"),
    "long unit": (7, "fewer than 64 characters, got 80"),
    "shape": (7, "extent 8, got extent 7"),
    "exchanged roles": (7, "'air_temperature'"),
    "role count": (7, "got 1 roles for rank 2"),
    "unknown role": (7, "99"),
    "scalar": (7, "rank 0"),
    "dt": (9, "1200 s, got 2400 s"),
    "too many columns": (1, "got 16"),
    "missing field": (8, "'air_pressure_at_interface'"),
    "nan": (10, "'air_temperature' at level 2 is not finite"),
    "fill value": (10, "'specific_humidity' at level 2"),
    "reversed levels": (10, "levels reversed"),
}


def output(program: Path, *arguments: str | Path) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def verdicts(text: str) -> dict[str, str]:
    return dict(line.split(": ") for line in text.splitlines())


def test_every_layout_gives_the_bits_of_the_plain_one(fortran, tiny_model):
    found = verdicts(output(fortran.compile("layouts.f90"), tiny_model))
    assert found == dict.fromkeys(LAYOUTS, "ok")


def test_sections_are_described_where_they_lie(fortran):
    found = verdicts(output(fortran.compile("addresses.f90")))
    assert len(found) == 10
    assert set(found.values()) == {"ok"}


def test_a_trapping_host_survives_and_finds_its_floating_point_environment(fortran, tiny_model):
    program = fortran.compile("trapping.f90", "-ffpe-trap=invalid,zero,overflow")
    found = verdicts(output(program, tiny_model))
    assert list(found) == ["before", "open", "bind", "step", "the invalid column is found", "close", "failed open"]
    assert set(found.values()) == {"ok"}


@pytest.fixture(scope="module")
def bad_input(fortran) -> Path:
    return fortran.compile("bad_input.f90")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_writes_nothing(bad_input, tiny_model, mistake):
    code, errmsg, untouched = output(bad_input, tiny_model, mistake).strip().split("|")
    expected, words = MISTAKES[mistake]
    assert int(code) == expected
    assert words in errmsg
    assert "\n" not in errmsg
    assert untouched == "T"


def test_thirty_fields_are_described(fortran, many_field_model):
    n_field, microseconds = output(fortran.compile("bench_bind.f90"), many_field_model).split()
    assert int(n_field) == 30
    print(f"\ndescribing 30 fields: {float(microseconds):.2f} µs a call")  # make test PYTEST="-s -k thirty_fields"


def test_the_example_in_the_readme_runs(fortran, tiny_model, tmp_path):
    readme = Path(__file__).resolve().parents[2] / "fortran_bridge/fortran/README.md"
    source = tmp_path / "example.f90"
    source.write_text(readme.read_text().split("```fortran\n")[1].split("```")[0])
    (tmp_path / "tiny.emg").write_bytes(tiny_model.read_bytes())
    program = fortran.compile("readme_example", sources=(source,))
    done = subprocess.run([program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.startswith("outgoing flux [W m-2]"), done.stdout + done.stderr
