program main
  use, intrinsic :: iso_fortran_env, only: error_unit
  use emagram, only: emagram_description, emagram_message_length, emagram_model
  implicit none (type, external)
  type(emagram_model) :: model
  type(emagram_description) :: description
  character(len=1024) :: path
  character(len=emagram_message_length) :: errmsg
  integer :: ierr

  call get_command_argument(1, path)
  call model%open(path, ierr=ierr, errmsg=errmsg)
  if (ierr == 0) call model%describe(description, ierr, errmsg)
  if (ierr /= 0) then
    write (error_unit, "(a)") trim(errmsg)
    error stop 1, quiet=.true.
  end if
  print "(2a, i0, a)", description%name, ": ", description%n_level, " levels"
  call model%close(ierr, errmsg)
end program main
