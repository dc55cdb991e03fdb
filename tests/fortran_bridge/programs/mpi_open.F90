!> mpirun -n N mpi_open MODEL.emg: open on every rank through an integer communicator (and, with EMAGRAM_MPI_F08, a
!> type(MPI_Comm)), step, and write one line a rank: "RANK|IERR|ERRMSG|HEATING OF THE FIRST COLUMN'S TOP LEVEL".
!> Without it the compiler is one that can read neither the modules nor the mpif.h of this Open MPI.
program mpi_open
  use, intrinsic :: iso_fortran_env, only: int64
  use emagram, only: emagram_message_length, emagram_model
  use emagram_mpi, only: emagram_open_mpi
#ifdef EMAGRAM_MPI_F08
  use mpi_f08, only: MPI_Comm_rank, MPI_COMM_WORLD, MPI_Finalize, MPI_Init
#endif
  use tiny_host, only: fill, host_state, step_plain
  implicit none (type, external)
#ifndef EMAGRAM_MPI_F08
  ! allow(C091)
  external :: MPI_Comm_rank, MPI_Finalize, MPI_Init
  include "mpif-handles.h"
#endif

  type(emagram_model) :: model
  type(host_state) :: state
  character(len=1024) :: path
  character(len=emagram_message_length) :: errmsg, ignored_text
  integer :: ierr, ignored, rank

  call get_command_argument(1, path)
  call MPI_Init(ignored)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ignored)
  call fill(state)
#ifdef EMAGRAM_MPI_F08
  call emagram_open_mpi(model, path, MPI_COMM_WORLD%MPI_VAL, ierr=ierr, errmsg=errmsg)
  if (ierr == 0) call model%close(ierr, errmsg)
#endif
  call emagram_open_mpi(model, path, MPI_COMM_WORLD, ierr=ierr, errmsg=errmsg)
  if (ierr == 0) call step_plain(model, state)
  print "(2(i0, a), 2a, z16.16)", rank, "|", ierr, "|", trim(errmsg), "|", transfer(state%heating(1, 1), 0_int64)
  if (ierr == 0) call model%close(ignored, ignored_text)
  call MPI_Finalize(ignored)
end program mpi_open
