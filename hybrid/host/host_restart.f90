!> What a run begins with and continues from: initial.nc holds the grid, all constants and a first state; restart.nc a
!! later state with the grid it belongs to. Both are of the whole run, so any number of ranks reads them.
module host_restart
  use emagram_kinds, only: rk
  use host_clock, only: clock
  use host_columns, only: n_mode_property, rank_columns
  use host_fields, only: area, constant_names, field_name, latitude, land_area_fraction, longitude, n_constant, &
    n_state, open_ocean_area_fraction, ozone, reference_northward, scalar_names, state_names, surface_air_pressure, &
    surface_temperature
  use host_files, only: netcdf_file
  use host_parallel, only: agree, broadcast, share_columns, this_rank
  implicit none (type, external)
  private
  public :: read_initial, read_restart, write_restart

  character(len=*), parameter :: restart_format = "emagram-restart"
  integer, parameter :: kept_scalars(*) = [latitude, longitude, area, surface_air_pressure, surface_temperature]

contains

  !> Make the columns of this rank from the initial file; collective.
  subroutine read_initial(path, chunk, columns, ierr, errmsg)
    character(len=*), intent(in) :: path
    integer, intent(in) :: chunk
    type(rank_columns), intent(inout) :: columns
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(netcdf_file) :: file
    integer :: sizes(3), i
    sizes = 0
    if (this_rank() == 0) then
      call file%open(path, .false., ierr, errmsg)
      call file%dimension_size("ncol", sizes(1), ierr, errmsg)
      call file%dimension_size("lev", sizes(2), ierr, errmsg)
      call file%dimension_size("mode", sizes(3), ierr, errmsg)
      call file%check_complete(ierr, errmsg)
    end if
    call agree(ierr, errmsg)
    if (ierr /= 0) return
    call broadcast(sizes)
    call share_columns(sizes(1), columns%share)
    columns%n_level = sizes(2)
    columns%n_mode = sizes(3)
    call columns%make_blocks(chunk)
    call read_coordinate(file, columns, ierr, errmsg)
    do i = 1, n_constant
      call columns%read_scalar(file, i, ierr, errmsg)
    end do
    do i = ozone, reference_northward
      call columns%read_profile(file, constant_names(i), i, ierr, errmsg)
    end do
    do i = 1, n_mode_property
      call columns%read_mode(file, i, ierr, errmsg)
    end do
    call read_state(file, columns, ierr, errmsg)
    if (this_rank() == 0) call file%close(ierr, errmsg)
    call agree(ierr, errmsg)
    if (ierr == 0) call set_pressure(columns)
  end subroutine read_initial

  subroutine read_coordinate(file, columns, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(rank_columns), intent(inout) :: columns
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: p0(1)
    allocate (columns%hyai(columns%n_level + 1), columns%hybi(columns%n_level + 1), source=0.0_rk)
    p0 = 0.0_rk
    if (this_rank() == 0) then
      call file%read("hyai", columns%hyai, ierr, errmsg)
      call file%read("hybi", columns%hybi, ierr, errmsg)
      call file%read("P0", p0, ierr, errmsg)
    end if
    call agree(ierr, errmsg)
    call broadcast(columns%hyai)
    call broadcast(columns%hybi)
    call broadcast(p0)
    columns%p0 = p0(1)
  end subroutine read_coordinate

  subroutine read_state(file, columns, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(rank_columns), intent(inout) :: columns
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    do i = 1, n_state
      call columns%read_profile(file, state_names(i), i, ierr, errmsg)
    end do
    call columns%read_scalar(file, surface_temperature, ierr, errmsg)
  end subroutine read_state

  subroutine set_pressure(columns)
    type(rank_columns), intent(inout) :: columns
    integer :: b, i
    do b = 1, size(columns%block)
      associate (block => columns%block(b))
        do i = 1, block%n_column
          block%interface_pressure(:, i) = columns%hyai*columns%p0 + columns%hybi*block%scalar(i, surface_air_pressure)
        end do
        block%scalar(:, open_ocean_area_fraction) = 1.0_rk - block%scalar(:, land_area_fraction)
      end associate
    end do
  end subroutine set_pressure

  !> The state at a day's end, bit for bit, in a file that appears complete; collective.
  subroutine write_restart(path, columns, now, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(rank_columns), intent(in) :: columns
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(netcdf_file) :: file
    real(rk), allocatable :: profile(:, :), scalar(:)
    integer :: variable, i
    if (this_rank() == 0) then
      call file%create(path, ierr, errmsg)
      call define_restart(file, columns, now, ierr, errmsg)
      call file%put(1, columns%hyai, 0, ierr, errmsg)
      call file%put(2, columns%hybi, 0, ierr, errmsg)
    end if
    variable = 2
    do i = 1, size(kept_scalars)
      variable = variable + 1
      call columns%gather_scalar(kept_scalars(i), scalar)
      if (this_rank() == 0) call file%put(variable, scalar, 0, ierr, errmsg)
    end do
    do i = 1, n_state
      variable = variable + 1
      call columns%gather_profile(i, profile)
      if (this_rank() == 0) call file%put(variable, profile, 0, ierr, errmsg)
    end do
    if (this_rank() == 0) call file%put_whole_number(variable + 1, 1, ierr, errmsg)
    if (this_rank() == 0) call file%close(ierr, errmsg)
    call agree(ierr, errmsg)
  end subroutine write_restart

  subroutine define_restart(file, columns, now, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(rank_columns), intent(in) :: columns
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: ncol, lev, ilev, variable, i
    call file%define_dimension("ncol", columns%share%n_column, ncol, ierr, errmsg)
    call file%define_dimension("lev", columns%n_level, lev, ierr, errmsg)
    call file%define_dimension("ilev", columns%n_level + 1, ilev, ierr, errmsg)
    call file%define(field_name("hyai", "1"), [ilev], variable, ierr, errmsg)
    call file%define(field_name("hybi", "1"), [ilev], variable, ierr, errmsg)
    do i = 1, size(kept_scalars)
      call file%define(scalar_names(kept_scalars(i)), [ncol], variable, ierr, errmsg)
    end do
    do i = 1, n_state
      call file%define(state_names(i), [lev, ncol], variable, ierr, errmsg)
    end do
    call file%define_whole_number("complete", variable, ierr, errmsg)
    call file%put_global("format", restart_format, ierr, errmsg)
    call file%put_global("day", now%day(), ierr, errmsg)
    call file%put_global("time_step_seconds", now%time_step, ierr, errmsg)
    call file%end_define(ierr, errmsg)
  end subroutine define_restart

  !> Take the state and the day of a restart file, if it is of these columns and this time step; collective.
  subroutine read_restart(path, columns, now, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(rank_columns), intent(inout) :: columns
    type(clock), intent(inout) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(netcdf_file) :: file
    integer :: numbers(2), i
    numbers = 0
    if (this_rank() == 0) then
      call file%open(path, .false., ierr, errmsg)
      call file%check_complete(ierr, errmsg)
      call file%read_number("day", numbers(1), ierr, errmsg)
      call file%read_number("time_step_seconds", numbers(2), ierr, errmsg)
      if (ierr == 0 .and. numbers(2) /= now%time_step) then
        ierr = 1
        write (errmsg, "(3a, i0, a, i0, a)") "file '", path, "': expected a time step of ", now%time_step, &
          " s, got ", numbers(2), " s"
      end if
      call check_same_vector(file, "hyai", columns%hyai, ierr, errmsg)
      call check_same_vector(file, "hybi", columns%hybi, ierr, errmsg)
    end if
    call agree(ierr, errmsg)
    do i = 1, size(kept_scalars)
      if (kept_scalars(i) /= surface_temperature) call check_same_scalar(file, columns, kept_scalars(i), ierr, errmsg)
    end do
    call read_state(file, columns, ierr, errmsg)
    if (this_rank() == 0) call file%close(ierr, errmsg)
    call agree(ierr, errmsg)
    if (ierr /= 0) return
    call broadcast(numbers)
    now%step = int(numbers(1), kind(now%step))*now%steps_per_day()
  end subroutine read_restart

  subroutine check_same_scalar(file, columns, number, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(rank_columns), intent(in) :: columns
    integer, intent(in) :: number
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: expected(:)
    call columns%gather_scalar(number, expected)
    if (this_rank() == 0) call check_same_vector(file, trim(scalar_names(number)%name), expected, ierr, errmsg)
    call agree(ierr, errmsg)
  end subroutine check_same_scalar

  subroutine check_same_vector(file, name, expected, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: expected(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: got(size(expected))
    integer :: at
    got = 0.0_rk
    call file%read(name, got, ierr, errmsg)
    if (ierr /= 0) return
    at = findloc(abs(got - expected) > 0.0_rk, .true., dim=1)
    if (at == 0) return
    ierr = 1
    write (errmsg, "(5a, i0, 2(a, es12.5))") "file '", file%path, "': expected the grid of the initial file, got '", &
      name, "' at index ", at - 1, " of ", got(at), " instead of ", expected(at)
  end subroutine check_same_vector
end module host_restart
