"""The README's lines of Python and Fortran run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()

FORTRAN_PROGRAM = """
program readme
  use emagram, only: emagram_model, emagram_columns, emagram_message_length, col => emagram_axis_column_1, &
    lev => emagram_axis_level
  use, intrinsic :: iso_fortran_env, only: real64
  implicit none (type, external)
  integer, parameter :: n = 4, nz = 8
  type(emagram_model) :: model
  type(emagram_columns) :: columns
  real(real64), target :: p(0:n + 1, nz + 1), t(n + 2, nz), q(nz, n), ts(n), sw(n), dtdt(nz, n), olr(n), sfc(n)
  character(len=emagram_message_length) :: errmsg
  integer :: ierr, k

  p = spread([(100 + 12400*real(k, real64), k=0, nz)], 1, n + 2)
  t = -5
  q = 2
  ts = 285
  sw = 400
  olr = -1
  {lines}
  if (ierr /= 0) print '(a)', trim(errmsg)
  print '(a, 2es12.3)', 'heating [K day-1] and outgoing flux [W m-2]', dtdt(nz, 1), olr(1)
  if (.not. all(olr /= -1)) ierr = 1
  if (ierr /= 0) stop 1
end program readme
"""


def block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert len(found) == 1
    return found[0]


def test_python_lines_run(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    done = subprocess.run(
        [sys.executable, "-c", block("python")], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "['longwave', 'shortwave'] close in every column" in done.stdout
    assert (tmp_path / "runs" / "generated-clear-sky-quick" / "best.emg").is_file()


def test_fortran_lines_run(tmp_path: Path, emagram_build: Path, tiny_model: Path) -> None:
    lines = "\n  ".join(block("fortran").splitlines())
    assert len(block("fortran").splitlines()) <= 12
    (tmp_path / "readme.f90").write_text(FORTRAN_PROGRAM.format(lines=lines))
    (tmp_path / "tiny.emg").write_bytes(tiny_model.read_bytes())
    library = emagram_build / "lib"
    flags = ["-std=f2018", "-Wall", "-Werror", f"-I{emagram_build}/include/emagram/GNU"]
    links = [library / "libemagram_fortran.a", f"-L{library}", "-lemagram", f"-Wl,-rpath,{library}"]
    for command in (["gfortran", *flags, "readme.f90", *links, "-o", "readme"], ["./readme"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


FOLDERS = ["cmake", "emulators", "fortran_bridge", "fortran_bridge/fortran", "hybrid", "kernels", "physics", "tests"]


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_links_lead_somewhere(folder: str) -> None:
    path = ROOT / folder / "README.md"
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert target.startswith("http") or (path.parent / target).exists(), target
