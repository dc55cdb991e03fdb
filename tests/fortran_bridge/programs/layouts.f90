!> layouts MODEL.emg: step the same columns from every layout a host may have and compare with the plain one, bit for
!> bit. Writes one line a check: "NAME: ok" or "NAME: wrong".
program layouts
  use, intrinsic :: ieee_arithmetic, only: ieee_quiet_nan, ieee_value
  use, intrinsic :: iso_fortran_env, only: int32, real32, real64
  use emagram, only: emagram_axis_column_1, emagram_axis_column_2, emagram_axis_level, emagram_columns, &
    emagram_error_missing_field, emagram_message_length, emagram_model
  use tiny_host, only: dt, fill, host_state, must, n1, n2, n_column, n_level, same_bits, step_plain
  implicit none (type, external)

  integer(int32), parameter :: c1 = emagram_axis_column_1, c2 = emagram_axis_column_2, lev = emagram_axis_level
  real(real64), parameter :: sentinel = -999
  type(emagram_model) :: model
  type(emagram_columns) :: columns
  type(host_state), target :: plain !! inputs, and the outputs of the plain layout
  type(host_state), target :: other !! the same inputs, for the fields that a layout leaves plain
  character(len=1024) :: path
  character(len=emagram_message_length) :: errmsg
  integer :: ierr

  call get_command_argument(1, path)
  call model%open(path, ierr=ierr, errmsg=errmsg)
  call must(ierr, errmsg)
  call fill(plain)
  other = plain
  call step_plain(model, plain)
  call verdict("plain", .not. untouched([plain%heating]) .and. all(plain%outgoing > 0))
  call halos()
  call reversed_levels()
  call blocks()
  call one_row()
  call single_precision()
  call other_units()
  call persistent_arrays()
  call no_columns()
  call model%close(ierr, errmsg)
  call must(ierr, errmsg)

contains

  !> (i, j, k) arrays with halos; nothing but the interior is read or written.
  subroutine halos()
    real(real64) :: p(-1:n1 + 2, 0:n2 + 1, n_level + 1), t(-1:n1 + 2, 0:n2 + 1, n_level)
    real(real64), target :: h(-1:n1 + 2, 0:n2 + 1, n_level), olr(-1:n1 + 2, 0:n2 + 1)

    p = ieee_value(p, ieee_quiet_nan)
    t = ieee_value(t, ieee_quiet_nan)
    h = sentinel
    olr = sentinel
    p(1:n1, 1:n2, :) = levels_last(plain%pressure)
    t(1:n1, 1:n2, :) = levels_last(plain%temperature)
    call begin_columns(n1, n2)
    call bind_grid()
    call input("air_pressure_at_interface", p(1:n1, 1:n2, :), [c1, c2, lev])
    call input("air_temperature", t(1:n1, 1:n2, :), [c1, c2, lev])
    call output("heating", h(1:n1, 1:n2, :), [c1, c2, lev])
    call output("toa_outgoing_flux", olr(1:n1, 1:n2), [c1, c2])
    call step_columns(n_column)
    call verdict("halos, interior", same_bits(levels_first(h(1:n1, 1:n2, :)), plain%heating) .and. &
      same_bits([olr(1:n1, 1:n2)], plain%outgoing))
    h(1:n1, 1:n2, :) = sentinel
    olr(1:n1, 1:n2) = sentinel
    call verdict("halos, untouched", untouched([h]) .and. untouched([olr]))
  end subroutine halos

  !> Levels from the surface up, bound in reverse; every second column of a wider array.
  subroutine reversed_levels()
    real(real64), target :: p(n1, n2, n_level + 1), t(2*n1, n2, n_level), h(n1, n2, n_level)

    p = levels_last(plain%pressure(n_level + 1:1:-1, :))
    t = sentinel
    t(1::2, :, :) = levels_last(plain%temperature(n_level:1:-1, :))
    h = sentinel
    call begin_columns(n1, n2)
    call bind_grid()
    call input("air_pressure_at_interface", p(:, :, n_level + 1:1:-1), [c1, c2, lev])
    call input("air_temperature", t(::2, :, n_level:1:-1), [c1, c2, lev])
    call output("heating", h(:, :, n_level:1:-1), [c1, c2, lev])
    call step_columns(n_column)
    call verdict("reversed levels", same_bits(levels_first(h(:, :, n_level:1:-1)), plain%heating))
  end subroutine reversed_levels

  !> (nproma, level, block), the layout of ICON and IFS.
  subroutine blocks()
    real(real64), target :: p(n1, n_level + 1, n2), t(n1, n_level, n2), h(n1, n_level, n2)
    logical :: same
    integer :: k

    do k = 1, n_level + 1
      p(:, k, :) = reshape(plain%pressure(k, :), [n1, n2])
      if (k <= n_level) t(:, k, :) = reshape(plain%temperature(k, :), [n1, n2])
    end do
    h = sentinel
    call begin_columns(n1, n2)
    call bind_grid()
    call input("air_pressure_at_interface", p, [c1, lev, c2])
    call input("air_temperature", t, [c1, lev, c2])
    call output("heating", h, [c1, lev, c2])
    call step_columns(n_column)
    same = .true.
    do k = 1, n_level
      same = same .and. same_bits([h(:, k, :)], plain%heating(k, :))
    end do
    call verdict("blocks", same)
  end subroutine blocks

  !> One row of an (i, j, k) array, whose j axis then has one element; the others are plain lists of columns.
  subroutine one_row()
    real(real64), target :: t(n1, n2, n_level), h(n1, n2, n_level)

    t = levels_last(plain%temperature)
    h = sentinel
    call begin_columns(n1, 1)
    call bind_list(n1)
    call input("air_temperature", t(:, 1:1, :), [c1, c2, lev])
    call output("heating", h(:, 1:1, :), [c1, c2, lev])
    call step_columns(n1)
    call verdict("one row", same_bits(transpose(h(:, 1, :)), plain%heating(:, :n1)) .and. untouched([h(:, 2:, :)]))
  end subroutine one_row

  !> real32 arrays: the inputs are exact in them, so the outputs are those of real64, rounded.
  subroutine single_precision()
    real(real32), target :: p(n_level + 1, n_column), t(n_level, n_column), h(n_level, n_column)

    p = real(plain%pressure, real32)
    t = real(plain%temperature, real32)
    h = real(sentinel, real32)
    call begin_columns(n_column, 1)
    call bind_list(n_column)
    call columns%input("air_pressure_at_interface", p, [lev, c1], ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%input("air_temperature", t, [lev, c1], ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%output("heating", h, [lev, c1], ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call step_columns(n_column)
    call verdict("real32", same_bits(real(h, real64), real(real(plain%heating, real32), real64)))
  end subroutine single_precision

  !> degC and g kg-1 on the way in, hPa to the model's Pa, against the host's own conversion.
  subroutine other_units()
    type(host_state), target :: converted
    real(real64), target :: p(n_level + 1, n_column), q(n_level, n_column), t(n_level, n_column)

    p = plain%pressure/100
    q = plain%humidity*1000
    t = plain%temperature - 273.15_real64
    converted = plain
    converted%pressure = p*100
    converted%humidity = q*1e-3_real64
    converted%temperature = t + 273.15_real64
    call step_plain(model, converted)
    call begin_columns(n_column, 1)
    call bind_list(n_column)
    call input("air_pressure_at_interface", p, [lev, c1], unit="hPa")
    call input("specific_humidity", q, [lev, c1], unit="g kg-1")
    call input("air_temperature", t, [lev, c1], unit="degC")
    call step_columns(n_column)
    call verdict("units", same_bits(other%heating, converted%heating) .and. &
      same_bits(other%outgoing, converted%outgoing))
  end subroutine other_units

  !> A persistent array is bound once; any other binding ends with the step.
  subroutine persistent_arrays()
    call begin_columns(n_column, 1)
    call bind_list(n_column)
    call columns%input("air_temperature", other%temperature, [lev, c1], persistent=.true., ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call model%step(columns, n_column, dt, 1, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call model%step(columns, n_column, dt, 2, ierr=ierr, errmsg=errmsg)
    call verdict("bindings end with the step", ierr == emagram_error_missing_field)
    call bind_list_but_temperature(n_column)
    other%heating = sentinel
    call step_columns(n_column)
    call verdict("persistent", same_bits(other%heating, plain%heating))
  end subroutine persistent_arrays

  !> A rank without columns binds arrays without elements and steps.
  subroutine no_columns()
    call begin_columns(0, 1)
    call bind_list(0)
    call step_columns(0)
    call verdict("no columns", .true.)
  end subroutine no_columns

  subroutine begin_columns(extent_1, extent_2)
    integer, intent(in) :: extent_1, extent_2

    call columns%new(model, extent_1, extent_2, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
  end subroutine begin_columns

  subroutine step_columns(number)
    integer, intent(in) :: number

    call model%step(columns, number, dt, 1, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%free(ierr, errmsg)
    call must(ierr, errmsg)
  end subroutine step_columns

  !> Bind the first columns of `other` as (level, column) and (column).
  subroutine bind_list(number)
    integer, intent(in) :: number

    call input("air_temperature", other%temperature(:, :number), [lev, c1])
    call bind_list_but_temperature(number)
  end subroutine bind_list

  subroutine bind_list_but_temperature(number)
    integer, intent(in) :: number

    call input("air_pressure_at_interface", other%pressure(:, :number), [lev, c1])
    call input("specific_humidity", other%humidity(:, :number), [lev, c1])
    call input("surface_temperature", other%surface_temperature(:number), [c1])
    call input("toa_incoming_shortwave_flux", other%insolation(:number), [c1])
    call output("heating", other%heating(:, :number), [lev, c1])
    call output("toa_outgoing_flux", other%outgoing(:number), [c1])
    call output("surface_downwelling_shortwave_flux", other%downwelling(:number), [c1])
  end subroutine bind_list_but_temperature

  !> Bind the fields of `other` that no grid layout varies as (level, i, j) and (i, j).
  subroutine bind_grid()
    real(real64), pointer :: q(:, :, :), ts(:, :), sw(:, :), olr(:, :), sfc(:, :)

    q(1:n_level, 1:n1, 1:n2) => other%humidity
    ts(1:n1, 1:n2) => other%surface_temperature
    sw(1:n1, 1:n2) => other%insolation
    olr(1:n1, 1:n2) => other%outgoing
    sfc(1:n1, 1:n2) => other%downwelling
    call input("specific_humidity", q, [lev, c1, c2])
    call input("surface_temperature", ts, [c1, c2])
    call input("toa_incoming_shortwave_flux", sw, [c1, c2])
    call output("toa_outgoing_flux", olr, [c1, c2])
    call output("surface_downwelling_shortwave_flux", sfc, [c1, c2])
  end subroutine bind_grid

  subroutine input(name, array, axes, unit)
    character(len=*), intent(in) :: name
    real(real64), intent(in), target :: array(..)
    integer(int32), intent(in) :: axes(:)
    character(len=*), intent(in), optional :: unit

    call columns%input(name, array, axes, unit=unit, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
  end subroutine input

  subroutine output(name, array, axes)
    character(len=*), intent(in) :: name
    real(real64), intent(inout), target :: array(..)
    integer(int32), intent(in) :: axes(:)

    call columns%output(name, array, axes, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
  end subroutine output

  !> (level, column) to (i, j, level) and back.
  pure function levels_last(array) result(grid)
    real(real64), intent(in) :: array(:, :)
    real(real64) :: grid(n1, n2, size(array, 1))

    grid = reshape(transpose(array), shape(grid))
  end function levels_last

  pure function levels_first(grid) result(array)
    real(real64), intent(in) :: grid(:, :, :)
    real(real64) :: array(size(grid, 3), size(grid, 1)*size(grid, 2))

    array = transpose(reshape(grid, [size(grid, 1)*size(grid, 2), size(grid, 3)]))
  end function levels_first

  pure function untouched(values)
    real(real64), intent(in) :: values(:)
    logical :: untouched

    untouched = same_bits(values, spread(sentinel, 1, size(values)))
  end function untouched

  subroutine verdict(name, right)
    character(len=*), intent(in) :: name
    logical, intent(in) :: right

    print "(3a)", name, ": ", trim(merge("ok   ", "wrong", right))
  end subroutine verdict

end program layouts
