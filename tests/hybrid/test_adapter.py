"""The adapter guide's snippets run as they stand there."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from linear_model import HEATING, OUTGOING, PRESSURE, UPWELLING, close, linear_outputs, residual, write_linear_model

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "hybrid" / "ADAPTER.md"
N_COLUMN, N_LEVEL, N_STEP = 24, 8, 4

FORTRAN_PROGRAM = """
module adapted
  use emagram, only: emagram_model, emagram_columns, emagram_message_length, emagram_policy_mask, &
    emagram_column_rejected, col => emagram_axis_column_1, lev => emagram_axis_level
  use emagram_mpi, only: emagram_open_mpi, emagram_agree
  use emagram_coupler, only: emagram_coupling, emagram_merge
  use emagram_fixers, only: emagram_correction, emagram_fix_dry_mass, emagram_fix_energy, emagram_fix_water, &
    emagram_globe
  use, intrinsic :: iso_fortran_env, only: int32, int64, real64
  implicit none (type, external)
  integer, parameter :: nz = 8
  real(real64), parameter :: dt = 1800
  type(emagram_coupling), parameter :: coupling = emagram_coupling(spin_up=1, ramp="linear", ramp_steps=2)
contains
  subroutine start(model, columns, comm, n, column_number, ierr, errmsg)
    type(emagram_model), intent(inout) :: model
    type(emagram_columns), intent(inout) :: columns
    integer, intent(in) :: comm, n
    integer(int64), intent(in) :: column_number(:)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    {start}
  end subroutine start

  subroutine step_longwave(model, columns, comm, n, step, p, t, cos_latitude, flux_up, heating, outgoing, after, &
    ierr, errmsg)
    type(emagram_model), intent(in) :: model
    type(emagram_columns), intent(inout) :: columns
    integer, intent(in) :: comm, n, step
    real(real64), intent(in), target :: p(nz + 1, n), t(nz, n), cos_latitude(n), flux_up(n)
    real(real64), intent(inout), target :: heating(nz, n), outgoing(n)
    real(real64), intent(inout) :: after(n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    real(real64) :: own_heating(nz, n), own_outgoing(n), weight(n), before(n)
    integer(int32) :: status(n)
    {step}
  end subroutine step_longwave

  subroutine fix_globe(comm, log, area, gravity, heat_capacity, ak, bk, water, dry_pressure, p, vapor, residual_water, &
    residual_energy, ps, vapor_rate, heating, ierr, errmsg)
    integer, intent(in) :: comm, log
    real(real64), intent(in) :: area(:), gravity, heat_capacity, ak(:), bk(:), water(:, :), dry_pressure, p(:, :)
    real(real64), intent(in) :: vapor(:, :), residual_water(:), residual_energy(:)
    real(real64), intent(inout) :: ps(:), vapor_rate(:, :), heating(:, :)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(emagram_globe) :: globe
    type(emagram_correction) :: correction
    {fix}
  end subroutine fix_globe

  subroutine own_longwave(t, flux_up, heating, outgoing)
    real(real64), intent(in) :: t(:, :), flux_up(:)
    real(real64), intent(out) :: heating(:, :), outgoing(:)
    heating = -1e-7_real64*t(nz:1:-1, :)
    outgoing = 0.5_real64*flux_up
  end subroutine own_longwave
end module adapted

program host
  use adapted, only: dt, nz, start, step_longwave
  use emagram, only: emagram_columns, emagram_message_length, emagram_model
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use mpi_f08, only: MPI_Comm_rank, MPI_Comm_size, MPI_COMM_WORLD, MPI_Finalize, MPI_Init
  implicit none (type, external)
  integer, parameter :: n_column = 24
  type(emagram_model) :: model
  type(emagram_columns) :: columns
  character(len=emagram_message_length) :: errmsg
  real(real64), allocatable, target :: p(:, :), t(:, :), cos_latitude(:), flux_up(:)
  real(real64), allocatable, target :: heating(:, :), outgoing(:), after(:)
  character(len=16) :: file
  integer :: rank, n_rank, n, first, i, k, step, ierr, unit

  call MPI_Init()
  call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  call MPI_Comm_size(MPI_COMM_WORLD, n_rank)
  n = n_column/n_rank
  first = rank*n
  allocate (p(nz + 1, n), t(nz, n), cos_latitude(n), flux_up(n), heating(nz, n), outgoing(n), after(n))
  do i = 1, n
    k = first + i
    p(:, i) = [((95000 + 100*k)*(real(step, real64)/nz), step=0, nz)]
    t(:, i) = [(5.0_real64 - 7*step + modulo(7*k + 3*step, 11), step=0, nz - 1)] ! [degC], upwards from the surface
    cos_latitude(i) = real(k, real64)/n_column
    flux_up(i) = 200 + 10*k
    if (k == 5) t(3, i) = 900
  end do
  call start(model, columns, MPI_COMM_WORLD%MPI_VAL, n, [(int(first + i, int64), i=1, n)], ierr, errmsg)
  write (file, '(a, i0)') 'columns.', rank
  open (newunit=unit, file=file, status='replace', action='write')
  do step = 0, 3
    if (ierr == 0) call step_longwave(model, columns, MPI_COMM_WORLD%MPI_VAL, n, step, p, t, cos_latitude, flux_up, &
      heating, outgoing, after, ierr, errmsg)
    if (ierr /= 0) exit
    do i = 1, n
      write (unit, '(i0, 1x, i0, *(1x, es24.16e3))') step, first + i, p(:, i), t(nz:1:-1, i), cos_latitude(i), &
        flux_up(i), heating(:, i), outgoing(i), after(i)
    end do
  end do
  if (ierr /= 0) print '(a)', trim(errmsg)
  call MPI_Finalize()
  if (ierr /= 0) stop 1
end program host
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def host(emagram_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's Fortran, compiled in the frame above; beside it the model file that it names."""
    folder = tmp_path_factory.mktemp("adapted")
    start, step, fix = blocks("fortran")
    (folder / "host.f90").write_text(FORTRAN_PROGRAM.format(start=start, step=step, fix=fix))
    write_linear_model(folder / "longwave.emg", time_step=1800.0)
    library = emagram_build / "lib"
    flags = ["-std=f2018", "-Wall", "-Werror", "-fcheck=all", f"-I{emagram_build}/include/emagram/GNU"]
    archives = [library / f"libemagram_{part}.a" for part in ("mpi_fortran", "mpi", "fortran")]
    links = [*archives, f"-L{library}", "-lemagram", f"-Wl,-rpath,{library}"]
    coupler = ROOT / "hybrid" / "coupler" / "emagram_coupler.f90"
    command = [shutil.which("mpifort") or "mpifort", *flags, coupler, "host.f90", *links, "-o", "host"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return folder / "host"


def written(host: Path, n_rank: int) -> list[str]:
    """The program's lines in the order of steps and columns."""
    command = ["mpirun", "--oversubscribe", "-n", str(n_rank), "./host"]
    done = subprocess.run(command, cwd=host.parent, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for rank in range(n_rank) for line in (host.parent / f"columns.{rank}").read_text().splitlines()]
    return sorted(lines, key=lambda line: [int(word) for word in line.split()[:2]])


@pytest.mark.mpi
def test_the_fortran_steps_blend_fall_back_and_close(host: Path) -> None:
    rows = np.array([line.split() for line in written(host, 1)], dtype=float).reshape(N_STEP, N_COLUMN, -1)
    parts = np.split(rows[:, :, 2:], np.cumsum([N_LEVEL + 1, N_LEVEL, 1, 1, N_LEVEL, 1]), axis=-1)
    pressure, temperature, place, upwelling, heating, outgoing, after = parts
    for step, share in enumerate((0.0, 0.5, 1.0, 1.0)):
        inputs = {
            PRESSURE: pressure[step],
            "air_temperature": temperature[step] + 273.15,
            "cosine_of_latitude": place[step, :, 0],
            UPWELLING: upwelling[step, :, 0],
        }
        raw = linear_outputs(inputs, raw=True)
        weight = np.where(np.arange(1, N_COLUMN + 1) == 5, 0.0, share)
        own_heating = -1e-7 * temperature[step]  # [degC] there
        merged = {
            HEATING: weight[:, None] * raw[HEATING] + (1.0 - weight[:, None]) * own_heating,
            OUTGOING: weight * raw[OUTGOING] + (1.0 - weight) * 0.5 * inputs[UPWELLING],
        }
        expected, found = close(inputs, merged), {HEATING: heating[step], OUTGOING: outgoing[step, :, 0]}
        np.testing.assert_allclose(found[HEATING], expected[HEATING], rtol=0.0, atol=1e-11)
        np.testing.assert_allclose(found[OUTGOING], expected[OUTGOING], rtol=1e-6)
        assert np.abs(residual(inputs, found)).max() < 1e-10
        assert np.abs(after[step]).max() < 1e-10


@pytest.mark.mpi
def test_the_fortran_steps_give_the_same_bits_on_four_ranks(host: Path) -> None:
    one, four = written(host, 1), written(host, 4)
    assert len(one) == N_STEP * N_COLUMN
    assert one == four


def test_the_guide_is_one_page_and_its_links_lead_somewhere() -> None:
    text = GUIDE.read_text()
    assert len(text.splitlines()) <= 120
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (GUIDE.parent / target).exists(), target


@pytest.mark.long
@pytest.mark.skipif(find_spec("jcm") is None, reason="jcm is not installed; make test-long installs it")
def test_the_python_lines_run(tmp_path: Path) -> None:
    write_linear_model(tmp_path / "longwave.emg", time_step=1800.0)
    (python,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0 column-steps were rejected\n"
