!> history.nc: means over some days of every column's state, heating and moistening by each process, and fluxes.
module host_history
  use emagram_kinds, only: rk
  use host_clock, only: clock
  use host_columns, only: rank_columns
  use host_emulator, only: rank_emulator
  use host_fields, only: area, field_name, latitude, longitude, n_process, n_scalar, n_state, process_names, &
    scalar_names, state_names, sum_heating, sum_heating_correction, sum_heating_magnitude, sum_longwave_heating, &
    sum_moistening, sum_moistening_correction, sum_moistening_magnitude, sum_of_record, &
    sum_shortwave_heating, sum_state, surface_air_pressure, surface_temperature
  use host_files, only: netcdf_file
  use host_ledger, only: n_fixed_sum, n_regime, name_of_sum, regime_names
  use host_parallel, only: agree, gather, this_rank
  implicit none (type, external)
  private
  public :: write_history

  integer, parameter :: fixed_scalars(*) = [latitude, longitude, area, surface_air_pressure]
  integer, parameter :: first_computed = surface_temperature !! scalars from here on change from step to step
  integer, parameter :: last_sum = sum_moistening_magnitude !! profiles from sum_state + 1 to here are summed

contains

  !> Write the means of the days that end now as their record, and begin the next; collective.
  subroutine write_history(path, columns, emulator, now, days, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(rank_columns), intent(inout) :: columns
    type(rank_emulator), intent(inout) :: emulator
    type(clock), intent(in) :: now
    integer, intent(in) :: days !! of a record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(netcdf_file) :: file
    integer :: record, i
    real(rk) :: steps
    record = now%day()/days
    steps = real(days*now%steps_per_day(), rk)
    if (record == 1) call create_history(path, columns, emulator, now, ierr, errmsg)
    if (this_rank() == 0) call file%open(path, .true., ierr, errmsg)
    call put_time(file, now, days, record, ierr, errmsg)
    do i = sum_state + 1, last_sum
      call put_profile(columns, i, steps, file, record, ierr, errmsg)
    end do
    do i = first_computed, n_scalar
      call put_scalar(columns, i, steps, file, record, ierr, errmsg)
    end do
    if (emulator%is_on) call put_ledger(columns, emulator, steps, file, record, ierr, errmsg)
    if (this_rank() == 0) call file%close(ierr, errmsg)
    call agree(ierr, errmsg)
    do i = 1, size(columns%block)
      columns%block(i)%profile(:, :, sum_state + 1:last_sum) = 0.0_rk
      columns%block(i)%scalar(:, sum_of_record + 1:sum_of_record + n_scalar) = 0.0_rk
    end do
  end subroutine write_history

  !> Name and unit of a summed profile.
  pure function name_of(number) result(field)
    integer, intent(in) :: number
    type(field_name) :: field
    select case (number)
    case (sum_state + 1:sum_state + n_state)
      field = state_names(number - sum_state)
    case (sum_heating + 1:sum_heating + n_process)
      field = field_name("air_temperature_tendency_"//trim(process_names(number - sum_heating)), "K s-1")
    case (sum_moistening + 1:sum_moistening + n_process)
      field = field_name("specific_humidity_tendency_"//trim(process_names(number - sum_moistening)), "kg kg-1 s-1")
    case (sum_longwave_heating)
      field = field_name("air_temperature_tendency_longwave", "K s-1")
    case (sum_shortwave_heating)
      field = field_name("air_temperature_tendency_shortwave", "K s-1")
    case (sum_heating_correction)
      field = field_name("air_temperature_correction", "K s-1")
    case (sum_moistening_correction)
      field = field_name("specific_humidity_correction", "kg kg-1 s-1")
    case (sum_heating_magnitude)
      field = field_name("air_temperature_tendency_magnitude", "K s-1")
    case default
      field = field_name("specific_humidity_tendency_magnitude", "kg kg-1 s-1")
    end select
  end function name_of

  !> An empty file with the columns it is of; collective.
  subroutine create_history(path, columns, emulator, now, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(rank_columns), intent(in) :: columns
    type(rank_emulator), intent(in) :: emulator
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(netcdf_file) :: file
    real(rk), allocatable :: whole(:)
    integer :: i, variable
    if (this_rank() == 0) then
      call file%create(path, ierr, errmsg)
      call define_history(file, columns, emulator, now, ierr, errmsg)
      call file%put(1, columns%hyai, 0, ierr, errmsg)
      call file%put(2, columns%hybi, 0, ierr, errmsg)
    end if
    variable = 2
    do i = 1, size(fixed_scalars)
      variable = variable + 1
      call columns%gather_scalar(fixed_scalars(i), whole)
      if (this_rank() == 0) call file%put(variable, whole, 0, ierr, errmsg)
    end do
    if (this_rank() == 0) call file%close(ierr, errmsg)
    call agree(ierr, errmsg)
  end subroutine create_history

  subroutine define_history(file, columns, emulator, now, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(rank_columns), intent(in) :: columns
    type(rank_emulator), intent(in) :: emulator
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: time, ncol, lev, ilev, variable, i
    call file%define_dimension("time", 0, time, ierr, errmsg)
    call file%define_dimension("ncol", columns%share%n_column, ncol, ierr, errmsg)
    call file%define_dimension("lev", columns%n_level, lev, ierr, errmsg)
    call file%define_dimension("ilev", columns%n_level + 1, ilev, ierr, errmsg)
    call file%define(field_name("hyai", "1"), [ilev], variable, ierr, errmsg)
    call file%define(field_name("hybi", "1"), [ilev], variable, ierr, errmsg)
    do i = 1, size(fixed_scalars)
      call file%define(scalar_names(fixed_scalars(i)), [ncol], variable, ierr, errmsg)
    end do
    call file%define(field_name("time", "days since start"), [time], variable, ierr, errmsg)
    call file%define(field_name("days_in_mean", "day"), [time], variable, ierr, errmsg)
    do i = sum_state + 1, last_sum
      call file%define(name_of(i), [ncol, lev, time], variable, ierr, errmsg)
    end do
    do i = first_computed, n_scalar
      call file%define(scalar_names(i), [ncol, time], variable, ierr, errmsg)
    end do
    if (emulator%is_on) call define_ledger(file, emulator, ncol, time, ierr, errmsg)
    call file%put_global("source", "Emagram column host", ierr, errmsg)
    call file%put_global("time_step_seconds", now%time_step, ierr, errmsg)
    call file%end_define(ierr, errmsg)
  end subroutine define_history

  !> What the constraints had to do, by regime.
  subroutine define_ledger(file, emulator, ncol, time, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(rank_emulator), intent(in) :: emulator
    integer, intent(in) :: ncol, time !! numbers of dimensions
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: regime, variable, i
    call file%define_dimension("regime", n_regime, regime, ierr, errmsg)
    do i = 1, n_sum(emulator)
      call file%define(name_of_sum(i, emulator%budget), [ncol, regime, time], variable, ierr, errmsg)
    end do
    call file%put_global("regimes", regime_names, ierr, errmsg)
  end subroutine define_ledger

  pure function n_sum(emulator) result(number)
    type(rank_emulator), intent(in) :: emulator
    integer :: number
    number = n_fixed_sum + 2*size(emulator%budget)
  end function n_sum

  !> The sums of the ledgers as means over the steps of the record, and new sums.
  subroutine put_ledger(columns, emulator, steps, file, record, ierr, errmsg)
    type(rank_columns), intent(in) :: columns
    type(rank_emulator), intent(inout) :: emulator
    real(rk), intent(in) :: steps
    type(netcdf_file), intent(in) :: file
    integer, intent(in) :: record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(field_name) :: field
    real(rk) :: mine(n_regime, columns%share%number)
    real(rk), allocatable :: whole(:, :)
    integer :: variable, i, b, from
    allocate (whole(n_regime, merge(columns%share%n_column, 0, this_rank() == 0)))
    do i = 1, n_sum(emulator)
      do b = 1, size(columns%block)
        from = columns%block(b)%first - columns%share%first
        mine(:, from + 1:from + columns%block(b)%n_column) = emulator%block(b)%ledger%sum(:, :, i)
        emulator%block(b)%ledger%sum(:, :, i) = 0.0_rk
      end do
      call gather(columns%share, mine, whole)
      if (this_rank() /= 0) cycle
      field = name_of_sum(i, emulator%budget)
      call file%find(field%name, variable, ierr, errmsg)
      call file%put(variable, transpose(whole)/steps, record, ierr, errmsg)
    end do
  end subroutine put_ledger

  !> The end of the record in days since the start of the run, and how many days it covers.
  subroutine put_time(file, now, days, record, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(clock), intent(in) :: now
    integer, intent(in) :: days, record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: variable
    if (this_rank() /= 0) return
    call file%find("time", variable, ierr, errmsg)
    call file%put_number(variable, real(now%day(), rk), record, ierr, errmsg)
    call file%find("days_in_mean", variable, ierr, errmsg)
    call file%put_number(variable, real(days, rk), record, ierr, errmsg)
  end subroutine put_time

  subroutine put_profile(columns, number, steps, file, record, ierr, errmsg)
    type(rank_columns), intent(in) :: columns
    integer, intent(in) :: number
    real(rk), intent(in) :: steps
    type(netcdf_file), intent(in) :: file
    integer, intent(in) :: record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(field_name) :: field
    real(rk), allocatable :: whole(:, :)
    integer :: variable
    call columns%gather_profile(number, whole)
    if (this_rank() /= 0) return
    field = name_of(number)
    call file%find(field%name, variable, ierr, errmsg)
    call file%put(variable, transpose(whole)/steps, record, ierr, errmsg)
  end subroutine put_profile

  subroutine put_scalar(columns, number, steps, file, record, ierr, errmsg)
    type(rank_columns), intent(in) :: columns
    integer, intent(in) :: number
    real(rk), intent(in) :: steps
    type(netcdf_file), intent(in) :: file
    integer, intent(in) :: record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: whole(:)
    integer :: variable
    call columns%gather_scalar(sum_of_record + number, whole)
    if (this_rank() /= 0) return
    call file%find(scalar_names(number)%name, variable, ierr, errmsg)
    call file%put(variable, whole/steps, record, ierr, errmsg)
  end subroutine put_scalar
end module host_history
