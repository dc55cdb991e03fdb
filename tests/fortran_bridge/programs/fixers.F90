!> mpirun -n N fixers IN OUT: each rank takes its share of the columns of IN, fixes dry mass, water and energy, and
!> writes what it has to OUT.RANK and one line to standard output: "RANK|IERR|ERRMSG|BITS OF THE CORRECTIONS".
!>
!> Both are streams of real64: n_level, n_column, dry pressure [Pa], time step [s], the coordinate (2 x n_level + 1),
!> then for every column its weight, surface pressure, residuals of water and energy, and profiles (interface pressure,
!> water, vapour available, vapour rate, heating); OUT has first column, surface pressures, vapour rates and heatings.
program fixers
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use emagram, only: emagram_message_length
  use emagram_fixers, only: emagram_correction, emagram_fix_dry_mass, emagram_fix_energy, emagram_fix_water, &
    emagram_globe
#ifdef EMAGRAM_MPI_F08
  use mpi_f08, only: MPI_Comm_rank, MPI_Comm_size, MPI_COMM_WORLD, MPI_Finalize, MPI_Init
#endif
  implicit none (type, external)
#ifndef EMAGRAM_MPI_F08
  ! allow(C091)
  external :: MPI_Comm_rank, MPI_Comm_size, MPI_Finalize, MPI_Init
  include "mpif-handles.h"
#endif

  real(real64), parameter :: gravity = 9.80616_real64, heat_capacity = 1004.64_real64
  type(emagram_globe) :: globe
  type(emagram_correction) :: corrections(3)
  real(real64) :: numbers(4)
  real(real64), allocatable :: fixed_part(:), sliding_part(:), columns(:, :)
  real(real64), allocatable :: pressure(:, :), rate(:, :), heating(:, :), surface(:)
  character(len=1024) :: path, output
  character(len=emagram_message_length) :: errmsg
  character(len=16) :: suffix
  integer :: ierr, ignored, rank, n_rank, unit, nz, first, last

  call get_command_argument(1, path)
  call get_command_argument(2, output)
  call MPI_Init(ignored)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ignored)
  call MPI_Comm_size(MPI_COMM_WORLD, n_rank, ignored)
  open (newunit=unit, file=path, access="stream", form="unformatted", action="read")
  read (unit) numbers
  nz = nint(numbers(1))
  allocate (fixed_part(nz + 1), sliding_part(nz + 1), columns(5*nz + 5, nint(numbers(2))))
  read (unit) fixed_part, sliding_part, columns
  close (unit)
  first = nint(numbers(2))*rank*(rank + 1)/(n_rank*(n_rank + 1)) + 1
  last = nint(numbers(2))*(rank + 1)*(rank + 2)/(n_rank*(n_rank + 1))
  columns = columns(:, first:last)
  surface = columns(2, :)
  pressure = columns(5:nz + 5, :)
  rate = columns(3*nz + 6:4*nz + 5, :)
  heating = columns(4*nz + 6:, :)

  work: block
    call globe%new(MPI_COMM_WORLD, columns(1, :), gravity, heat_capacity, ierr, errmsg)
    if (ierr /= 0) exit work
    call emagram_fix_dry_mass(globe, fixed_part, sliding_part, columns(nz + 6:2*nz + 5, :), numbers(3), surface, &
      corrections(1), ierr, errmsg)
    if (ierr /= 0) exit work
    call emagram_fix_water(globe, pressure, columns(2*nz + 6:3*nz + 5, :), columns(3, :), numbers(4), rate, &
      corrections(2), ierr, errmsg)
    if (ierr /= 0) exit work
    call emagram_fix_energy(globe, pressure, columns(4, :), heating, corrections(3), ierr, errmsg)
  end block work

  write (suffix, "(i0)") rank
  open (newunit=unit, file=trim(output)//"."//trim(suffix), access="stream", form="unformatted", action="write", &
    status="replace")
  write (unit) surface, rate, heating
  close (unit)
  print "(2(i0, a), 2a, *(z16.16, :, ' '))", rank, "|", ierr, "|", trim(errmsg), "|", transfer(corrections, [0_int64])
  call MPI_Finalize(ignored)
end program fixers
