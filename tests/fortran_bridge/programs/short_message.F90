!> short_message: what cannot be fixed, told to a host whose messages have 40 characters; prints "IERR|ERRMSG" of each.
program short_message
  use, intrinsic :: iso_fortran_env, only: real64
  use emagram_fixers, only: emagram_correction, emagram_fix_dry_mass, emagram_fix_energy, emagram_fix_water, &
    emagram_globe
  use mpi_f08, only: MPI_COMM_WORLD, MPI_Finalize, MPI_Init
  implicit none (type, external)

  type(emagram_globe) :: globe
  type(emagram_correction) :: correction
  real(real64) :: pressure(2, 1), dry(1, 1), rate(1, 1), residual(1), surface(1)
  character(len=40) :: errmsg
  integer :: ierr

  pressure(:, 1) = [0.0_real64, 1.0e5_real64]
  dry = 0.0_real64
  rate = 0.0_real64
  residual = 1.0_real64
  surface = 0.0_real64
  call MPI_Init()
  call globe%new(MPI_COMM_WORLD, [1.0_real64], 9.8_real64, 1004.0_real64, ierr, errmsg)
  call emagram_fix_energy(globe, pressure(2:1:-1, :), residual, rate, correction, ierr, errmsg)
  print "(i0, 2a)", ierr, "|", trim(errmsg)
  call emagram_fix_water(globe, pressure, dry, residual, 1.0_real64, rate, correction, ierr, errmsg)
  print "(i0, 2a)", ierr, "|", trim(errmsg)
  call emagram_fix_dry_mass(globe, [0.0_real64, 0.0_real64], [0.0_real64, 1.0_real64], dry, 1.0e5_real64, surface, &
    correction, ierr, errmsg)
  print "(i0, 2a)", ierr, "|", trim(errmsg)
  call MPI_Finalize()
end program short_message
