import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parent / "programs"
STRICT = ("-std=f2018", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fcheck=all")


@dataclass(frozen=True)
class Fortran:
    """Compiles programs of this folder against the installed library with gfortran."""

    prefix: Path
    folder: Path

    def compile(self, name: str, *flags: str, sources: tuple[Path, ...] = ()) -> Path:
        """An executable of programs/NAME with the host of the tiny model, or of other `sources`."""
        program = self.folder / name.split(".")[0]
        files = sources or (PROGRAMS / "tiny_host.f90", PROGRAMS / name)
        modules, library = self.prefix / "include/emagram/GNU", self.prefix / "lib"
        archives = [library / f"libemagram_{part}.a" for part in ("mpi_fortran", "mpi", "fortran")]
        links = [*archives, f"-L{library}", "-lemagram", f"-Wl,-rpath,{library}"]
        compiler = shutil.which("mpifort") or "mpifort"
        build(self.folder, [compiler, *STRICT, *flags, f"-I{modules}", f"-J{self.folder}", *files, *links], program)
        return program


def build(folder: Path, command: list[str | Path], program: Path) -> None:
    done = subprocess.run([*command, "-o", program], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.fixture(scope="session")
def fortran(emagram_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Fortran:
    return Fortran(emagram_build, tmp_path_factory.mktemp("fortran programs"))


@pytest.fixture(scope="session")
def mpirun() -> Callable[..., subprocess.CompletedProcess[str]]:
    """mpirun(n_rank, command…): run to the end, within a minute."""

    def call(n_rank: int, *command: str | Path) -> subprocess.CompletedProcess[str]:
        launcher = ["mpirun", "--oversubscribe", "-n", str(n_rank)]
        return subprocess.run([*launcher, *command], capture_output=True, text=True, check=False, timeout=60)

    return call


@pytest.fixture(autouse=True)
def _root_may_run_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
    monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
