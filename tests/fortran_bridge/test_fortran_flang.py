"""The same sources with another compiler, which shares no module file with gfortran."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BRIDGE = Path(__file__).resolve().parents[2] / "fortran_bridge"
PROGRAMS = Path(__file__).resolve().parent / "programs"
PARTS = ("c", "layout", "report", "descriptions", "views")
MODULES = (*(f"fortran/emagram_{part}.f90" for part in PARTS), "fortran/emagram.f90", "mpi/emagram_mpi.F90")


def find_flang() -> str | None:
    folders = [Path(folder) for folder in os.environ["PATH"].split(":") if Path(folder).is_dir()]
    names = [file.name for folder in folders for file in folder.glob("flang*")]
    found = [name for name in names if re.fullmatch(r"flang(-new)?(-\d+)?", name)]
    return shutil.which(max(found)) if found else None


@pytest.fixture(scope="module")
def flang(emagram_build, tmp_path_factory):
    """Compile a program of programs/ from the module sources."""
    compiler = find_flang()
    if compiler is None:
        pytest.skip("no flang on PATH (Debian: apt-get install flang)")
    library = emagram_build / "lib"

    def call(name: str) -> Path:
        folder = tmp_path_factory.mktemp("flang")
        sources = [*(BRIDGE / module for module in MODULES), PROGRAMS / "tiny_host.f90", PROGRAMS / name]
        shown = subprocess.run(["mpicc", "--showme:incdirs"], capture_output=True, text=True, check=True).stdout
        flags = ["-O2", "-std=f2018", *(f"-I{include}" for include in shown.split())]
        links = [library / "libemagram_mpi.a", f"-L{library}", "-lemagram", f"-Wl,-rpath,{library}"]
        command = [compiler, *flags, *sources, *links, "-lmpi_mpifh", "-lmpi", "-o", folder / "program"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        assert done.returncode == 0, done.stderr[:3000]
        return folder / "program"

    return call


def test_layouts(flang, tiny_model):
    done = subprocess.run([flang("layouts.f90"), tiny_model], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [line.split(": ")[1].strip() for line in done.stdout.splitlines()]
    assert found == ["ok"] * 11, done.stdout


@pytest.mark.mpi
def test_an_integer_communicator(flang, mpirun, tiny_model):
    done = mpirun(2, flang("mpi_open.F90"), tiny_model)
    lines = sorted(line.strip() for line in done.stdout.splitlines())
    assert [line.split("|")[:3] for line in lines] == [["0", "0", ""], ["1", "0", ""]], done.stderr
