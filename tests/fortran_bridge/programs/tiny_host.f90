!> A host with the columns of the tiny model in the plainest layout: (level, column), real64, model units.
module tiny_host
  use, intrinsic :: iso_fortran_env, only: error_unit, int64, real32, real64
  use emagram, only: emagram_axis_column_1, emagram_axis_level, emagram_columns, emagram_message_length, emagram_model
  implicit none (type, external)
  private

  integer, parameter, public :: n_level = 8, n1 = 5, n2 = 3, n_column = n1*n2
  real(real64), parameter, public :: dt = 1200

  type, public :: host_state
    real(real64) :: pressure(n_level + 1, n_column) !! [Pa]
    real(real64) :: temperature(n_level, n_column) !! [K]
    real(real64) :: humidity(n_level, n_column) !! [kg kg-1]
    real(real64) :: surface_temperature(n_column) !! [K]
    real(real64) :: insolation(n_column) !! [W m-2]
    real(real64) :: heating(n_level, n_column) !! [K s-1]
    real(real64) :: outgoing(n_column) !! [W m-2]
    real(real64) :: downwelling(n_column) !! [W m-2]
  end type host_state

  public :: fill, step_plain, bind_plain, must, same_bits

  interface same_bits
    module procedure same_bits_1, same_bits_2
  end interface same_bits

contains

  !> Plausible columns, all numbers exact in real32; outputs hold a sentinel.
  subroutine fill(state)
    type(host_state), intent(out) :: state
    real(real64) :: sigma
    integer :: c, k

    do c = 1, n_column
      do k = 0, n_level
        sigma = 0.001_real64 + 0.999_real64*k/n_level
        state%pressure(k + 1, c) = rounded(sigma*(95000 + 500*c))
      end do
      do k = 1, n_level
        sigma = real(k, real64)/n_level
        state%temperature(k, c) = rounded(210 + 80*sigma + 0.5_real64*modulo(7*c + 3*k, 11))
        state%humidity(k, c) = rounded(0.012_real64*sigma**3*(0.5_real64 + real(c, real64)/n_column))
      end do
      state%surface_temperature(c) = rounded(280 + 0.7_real64*c)
      state%insolation(c) = rounded(max(0.0_real64, 1300 - 120.0_real64*c))
    end do
    state%heating = -999
    state%outgoing = -999
    state%downwelling = -999
  end subroutine fill

  pure function rounded(value) result(near)
    real(real64), intent(in) :: value
    real(real64) :: near

    near = real(real(value, real32), real64)
  end function rounded

  subroutine bind_plain(columns, state)
    type(emagram_columns), intent(inout) :: columns
    type(host_state), intent(inout), target :: state
    integer, parameter :: both(2) = [emagram_axis_level, emagram_axis_column_1], one(1) = [emagram_axis_column_1]
    character(len=emagram_message_length) :: errmsg
    integer :: ierr

    call columns%input("air_pressure_at_interface", state%pressure, both, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%input("air_temperature", state%temperature, both, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%input("specific_humidity", state%humidity, both, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%input("surface_temperature", state%surface_temperature, one, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%input("toa_incoming_shortwave_flux", state%insolation, one, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%output("heating", state%heating, both, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%output("toa_outgoing_flux", state%outgoing, one, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%output("surface_downwelling_shortwave_flux", state%downwelling, one, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
  end subroutine bind_plain

  subroutine step_plain(model, state)
    type(emagram_model), intent(in) :: model
    type(host_state), intent(inout), target :: state
    type(emagram_columns) :: columns
    character(len=emagram_message_length) :: errmsg
    integer :: ierr

    call columns%new(model, n_column, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call bind_plain(columns, state)
    call model%step(columns, n_column, dt, 1, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%free(ierr, errmsg)
    call must(ierr, errmsg)
  end subroutine step_plain

  subroutine must(ierr, errmsg)
    integer, intent(in) :: ierr
    character(len=*), intent(in) :: errmsg

    if (ierr == 0) return
    write (error_unit, "(a, i0, 2a)") "unexpected error ", ierr, ": ", trim(errmsg)
    error stop 1, quiet=.true.
  end subroutine must

  pure function same_bits_1(a, b) result(same)
    real(real64), intent(in) :: a(:), b(:)
    logical :: same

    same = size(a) == size(b) .and. all(transfer(a, [0_int64]) == transfer(b, [0_int64]))
  end function same_bits_1

  pure function same_bits_2(a, b) result(same)
    real(real64), intent(in) :: a(:, :), b(:, :)
    logical :: same

    same = all(shape(a) == shape(b)) .and. all(transfer(a, [0_int64]) == transfer(b, [0_int64]))
  end function same_bits_2

end module tiny_host
