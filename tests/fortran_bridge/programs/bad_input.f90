!> bad_input MODEL.emg CASE: make one mistake; write ierr and errmsg of the call that should refuse it.
program bad_input
  use, intrinsic :: ieee_arithmetic, only: ieee_quiet_nan, ieee_value
  use, intrinsic :: iso_fortran_env, only: int8, int32, int64, real64
  use emagram, only: emagram_axis_column_1, emagram_axis_level, emagram_columns, emagram_message_length, emagram_model
  use tiny_host, only: bind_plain, dt, fill, host_state, must, n_column, n_level
  implicit none (type, external)

  integer(int32), parameter :: c1 = emagram_axis_column_1, lev = emagram_axis_level
  type(emagram_model) :: model
  type(emagram_columns) :: columns
  type(host_state), target :: state
  real(real64), target :: short(n_level - 1, n_column), scalar
  character(len=1024) :: path, mistake
  character(len=emagram_message_length) :: errmsg
  logical :: untouched
  integer :: ierr

  call get_command_argument(1, path)
  call get_command_argument(2, mistake)
  call fill(state)
  short = 250
  scalar = 250
  select case (mistake)
  case ("missing file")
    call model%open("/nowhere/none.emg", ierr=ierr, errmsg=errmsg)
  case ("not a model")
    call model%open_memory(int([1, 2, 3], int8), ierr=ierr, errmsg=errmsg)
  case ("never opened")
    call columns%new(model, n_column, ierr=ierr, errmsg=errmsg)
  case default
    call model%open(path, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%new(model, n_column, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call bind_plain(columns, state)
    call bind_wrong()
  end select
  untouched = all(nint(state%heating) == -999) .and. all(nint(state%outgoing) == -999)
  print "(i0, 2a, l1)", ierr, "|", trim(errmsg)//"|", untouched

contains

  subroutine bind_wrong()
    select case (mistake)
    case ("identity")
      call columns%new(model, n_column, identity=[1_int64, 2_int64], ierr=ierr, errmsg=errmsg)
    case ("unknown name")
      call columns%input("air_temprature", state%temperature, [lev, c1], ierr=ierr, errmsg=errmsg)
    case ("unit")
      call columns%input("air_temperature", state%temperature, [lev, c1], unit="Pa", ierr=ierr, errmsg=errmsg)
    case ("long unit")
      call columns%input("air_temperature", state%temperature, [lev, c1], unit=repeat("K", 80), ierr=ierr, &
        errmsg=errmsg)
    case ("shape")
      call columns%input("air_temperature", short, [lev, c1], ierr=ierr, errmsg=errmsg)
    case ("exchanged roles")
      call columns%input("air_temperature", state%temperature, [c1, lev], ierr=ierr, errmsg=errmsg)
    case ("role count")
      call columns%input("air_temperature", state%temperature, [lev], ierr=ierr, errmsg=errmsg)
    case ("unknown role")
      call columns%input("air_temperature", state%temperature, [99, c1], ierr=ierr, errmsg=errmsg)
    case ("scalar")
      call columns%input("surface_temperature", scalar, [c1], ierr=ierr, errmsg=errmsg)
    case default
      call step_wrong()
    end select
  end subroutine bind_wrong

  subroutine step_wrong()
    real(real64) :: step_length
    integer :: number

    step_length = dt
    number = n_column
    select case (mistake)
    case ("dt")
      step_length = 2*dt
    case ("too many columns")
      number = n_column + 1
    case ("missing field")
      call columns%free(ierr, errmsg)
      call must(ierr, errmsg)
      call columns%new(model, n_column, ierr=ierr, errmsg=errmsg)
      call must(ierr, errmsg)
    case ("nan")
      state%temperature(3, 2) = ieee_value(scalar, ieee_quiet_nan)
    case ("fill value")
      state%humidity(3, 2) = 9.96921e36_real64
    case ("reversed levels")
      state%pressure = state%pressure(n_level + 1:1:-1, :)
    case default
      error stop "bad_input: unknown case"
    end select
    call model%step(columns, number, step_length, 1, ierr=ierr, errmsg=errmsg)
  end subroutine step_wrong

end program bad_input
