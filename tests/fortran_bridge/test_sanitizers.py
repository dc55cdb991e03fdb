"""The library and the programs under the address and undefined-behaviour sanitizers."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from commands import ROOT, install, run
from featured_model import bad_features, write_featured
from test_bad_constraints import bad_files, sound
from test_bad_input import broken_files
from test_programs import write_columns
from tiny_model import tiny_columns

pytestmark = pytest.mark.long
N_MUTANT = 500


@pytest.fixture(scope="module")
def sanitized() -> Path:
    build = ROOT / "build" / "sanitized"
    return install(build, build.with_name("sanitized prefix"), "-DEMAGRAM_SANITIZE=ON")


def clean(command: list[str | Path], **environment: str) -> str:
    """Run; a sanitizer's report fails, also where the program itself would go on."""
    options = {"UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"} | environment
    done = subprocess.run(command, env=os.environ | options, capture_output=True, text=True, check=False)
    assert "runtime error" not in done.stderr, done.stderr[-3000:]
    assert "Sanitizer" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_damaged_files(sanitized: Path, tiny_model: Path, tmp_path: Path) -> None:
    content = tiny_model.read_bytes()
    files = {name: data for name, (data, *_) in broken_files(content).items()}
    constrained = sound(tmp_path).read_bytes()
    files |= {name: data for name, (data, _) in bad_files(constrained).items()}
    write_featured(tmp_path / "features.emg")
    featured = (tmp_path / "features.emg").read_bytes()
    files |= {name: data for name, (data, _) in bad_features(tmp_path / "features.emg", tmp_path).items()}
    n_bad = len(files)
    rng = np.random.default_rng(0)
    for number in range(N_MUTANT):
        mutant = bytearray((content, constrained, featured)[number % 3])
        for place in rng.integers(0, len(mutant), rng.integers(1, 6)):
            mutant[place] = rng.integers(0, 256)
        files[f"mutant {number}"] = bytes(mutant[: rng.integers(1, len(content))] if number % 2 == 0 else mutant)
    paths = []
    for number, data in enumerate(files.values()):
        paths.append(tmp_path / f"{number}.emg")
        paths[-1].write_bytes(data)
    program = tmp_path / "open_files"
    source = Path(__file__).parent / "programs" / "open_files.c"
    link = [f"-I{sanitized}/include", f"-L{sanitized}/lib", "-lemagram", f"-Wl,-rpath,{sanitized}/lib"]
    run(["gcc", "-fsanitize=address,undefined", source, *link, "-o", program])
    codes = clean([program, tmp_path / "sound.emg", *paths]).split()
    assert codes[0] == "0"
    assert all(code != "0" for code in codes[1 : 1 + n_bad])
    assert "13" not in codes


@pytest.mark.mpi
@pytest.mark.parametrize("language", ["c", "fortran"])
def test_programs(sanitized: Path, tiny_model: Path, tmp_path: Path, language: str) -> None:
    columns = write_columns(tmp_path / "columns.nc", tiny_columns(203))
    program = sanitized / "bin" / f"predict_columns_{language}"
    command = ["mpirun", "--oversubscribe", "-n", "2", program, tiny_model, columns, tmp_path / "out.nc", "7"]
    clean(command, ASAN_OPTIONS="detect_leaks=0")  # Open MPI and netCDF keep what they allocate once
    assert (tmp_path / "out.nc").is_file()
