"""A project that knows only the installed library, found by CMake and by pkg-config, in a path with a space."""

import os
import shlex
from pathlib import Path

import pytest

from commands import CMAKE, run

OUTSIDE = Path(__file__).resolve().parent / "outside"
EXPECTED = "tiny: 8 levels\n"


@pytest.fixture(scope="module")
def outside(emagram_build, tmp_path_factory) -> Path:
    """The build folder of the outside project."""
    build = tmp_path_factory.mktemp("outside build")
    run([CMAKE, "-S", OUTSIDE, "-B", build, f"-DCMAKE_PREFIX_PATH={emagram_build}"])
    run([CMAKE, "--build", build])
    return build


@pytest.mark.parametrize("program", ["outside_fortran", "outside_mpi", "outside_static"])
def test_find_package(outside, tiny_model, program):
    assert run([outside / program, tiny_model]) == EXPECTED


def test_the_static_program_needs_no_libemagram(outside):
    assert "libemagram" not in run(["ldd", outside / "outside_static"])
    assert "libemagram" in run(["ldd", outside / "outside_fortran"])


def test_pkg_config(emagram_build, tiny_model, tmp_path):
    (config,) = emagram_build.rglob("emagram-fortran.pc")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(config.parent)}
    flags = shlex.split(run(["pkg-config", "--cflags", "--libs", "emagram-fortran"], env=environment))
    program = tmp_path / "program"
    (library,) = emagram_build.rglob("libemagram.so")
    run(["gfortran", OUTSIDE / "main.f90", *flags, f"-Wl,-rpath,{library.parent}", "-o", program], cwd=tmp_path)
    assert run([program, tiny_model]) == EXPECTED


def test_libemagram_links_no_mpi_no_python_no_torch_no_openmp(emagram_build):
    (library,) = emagram_build.rglob("libemagram.so")
    needed = run(["ldd", library])
    for name in ("mpi", "python", "torch", "gomp"):
        assert name not in needed.replace(str(emagram_build), "")


def test_module_sources_are_installed(emagram_build):
    names = {file.name for file in (emagram_build / "share/emagram/fortran").iterdir()}
    modules = ("c", "layout", "report", "descriptions", "views")
    expected = {"emagram.f90", "emagram_layout.inc", "emagram_mpi.F90"} | {f"emagram_{name}.f90" for name in modules}
    assert expected <= names


def test_only_the_interface_is_exported(emagram_build):
    (library,) = emagram_build.rglob("libemagram.so")
    names = [line.split()[-1] for line in run(["nm", "-D", "--defined-only", library]).splitlines()]
    assert "emagram_step" in names
    assert all(name.startswith("emagram_") for name in names)
