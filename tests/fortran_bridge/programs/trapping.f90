!> trapping MODEL.emg, built with -ffpe-trap=invalid,zero,overflow: the host survives every call, with good and with
!> invalid columns, and finds its floating-point environment as it was. Writes one line a check.
program trapping
  use, intrinsic :: ieee_arithmetic, only: ieee_all, ieee_down, ieee_get_flag, ieee_get_halting_mode, &
    ieee_get_rounding_mode, ieee_quiet_nan, ieee_round_type, ieee_set_flag, ieee_set_rounding_mode, ieee_usual, &
    ieee_value, operator(==)
  use, intrinsic :: iso_fortran_env, only: int32
  use emagram, only: emagram_column_non_finite_input, emagram_columns, emagram_description, emagram_message_length, &
    emagram_model, emagram_policy_mask
  use tiny_host, only: bind_plain, dt, fill, host_state, must, n_column
  implicit none (type, external)

  type(emagram_model) :: model
  type(emagram_columns) :: columns
  type(emagram_description) :: description
  type(host_state), target :: state
  character(len=1024) :: path
  character(len=emagram_message_length) :: errmsg
  integer(int32) :: reason(n_column)
  integer :: ierr

  call get_command_argument(1, path)
  call fill(state)
  state%temperature(3, 2) = ieee_value(state%temperature(3, 2), ieee_quiet_nan)
  call ieee_set_flag(ieee_all, .false.)
  call ieee_set_rounding_mode(ieee_down)
  call check("before")
  call model%open(path, policy=emagram_policy_mask, ierr=ierr, errmsg=errmsg)
  call must(ierr, errmsg)
  call check("open")
  call model%describe(description, ierr, errmsg)
  call must(ierr, errmsg)
  call columns%new(model, n_column, ierr=ierr, errmsg=errmsg)
  call must(ierr, errmsg)
  call bind_plain(columns, state)
  call check("bind")
  call model%step(columns, n_column, dt, 1, ierr=ierr, errmsg=errmsg)
  call must(ierr, errmsg)
  call check("step")
  call columns%status(reason, ierr, errmsg)
  call must(ierr, errmsg)
  call verdict("the invalid column is found", reason(2) == emagram_column_non_finite_input .and. &
    count(reason == emagram_column_non_finite_input) == 1)
  call columns%free(ierr, errmsg)
  call must(ierr, errmsg)
  call model%close(ierr, errmsg)
  call must(ierr, errmsg)
  call check("close")
  call model%open("/nowhere/none.emg", ierr=ierr, errmsg=errmsg)
  call check("failed open")

contains

  subroutine check(name)
    character(len=*), intent(in) :: name
    logical :: halting(size(ieee_usual)), raised(size(ieee_all))
    type(ieee_round_type) :: rounding

    call ieee_get_halting_mode(ieee_usual, halting)
    call ieee_get_flag(ieee_all, raised)
    call ieee_get_rounding_mode(rounding)
    call verdict(name, all(halting) .and. .not. any(raised) .and. rounding == ieee_down)
  end subroutine check

  subroutine verdict(name, right)
    character(len=*), intent(in) :: name
    logical, intent(in) :: right

    print "(3a)", name, ": ", trim(merge("ok   ", "wrong", right))
  end subroutine verdict

end program trapping
