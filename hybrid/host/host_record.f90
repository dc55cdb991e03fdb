!> The columns as recorded before and after physics, in ClimSim's format: PREFIX.mli.DATE.nc and PREFIX.mlo.DATE.nc.
!!
!! Variables (lev, ncol) and (ncol) as ncdump lists them, names and units of ClimSim. The date is that of the begin of
!! the step. Two more variables than ClimSim has make the column energy closable: cam_out_FSNT, the net sunlight at
!! the top, and cam_out_FLUT, the longwave flux to space.
module host_record
  use emagram_constants, only: density_liquid_water, latent_heat_vaporization
  use emagram_kinds, only: rk
  use host_clock, only: clock
  use host_columns, only: rank_columns
  use host_fields, only: albedo_diffuse_near_infrared, albedo_diffuse_visible, albedo_direct_near_infrared, &
    albedo_direct_visible, before_physics, cosine_zenith, diffuse_near_infrared, diffuse_visible, &
    direct_near_infrared, direct_visible, eastward_stress, evaporation, field_name, land_area_fraction, n_state, &
    nitrous_oxide, northward_stress, open_ocean_area_fraction, ozone, precipitation, sensible_heat, snowfall, &
    surface_air_pressure, surface_downwelling_longwave, surface_net_shortwave, surface_upwelling_longwave, &
    toa_incoming_shortwave, toa_net_shortwave, toa_outgoing_longwave
  use host_files, only: netcdf_file
  use host_parallel, only: agree, this_rank
  implicit none (type, external)
  private
  public :: record_columns

  character(len=*), parameter :: prefix = "emagram"

  type(field_name), parameter :: state_of_climsim(n_state) = [ &
    field_name("state_t", "K"), field_name("state_q0001", "kg kg-1"), field_name("state_q0002", "kg kg-1"), &
    field_name("state_q0003", "kg kg-1"), field_name("state_u", "m s-1"), field_name("state_v", "m s-1")]

  type(field_name), parameter :: gases_of_climsim(ozone:nitrous_oxide) = [ &
    field_name("pbuf_ozone", "kg kg-1"), field_name("pbuf_CH4", "kg kg-1"), field_name("pbuf_N2O", "kg kg-1")]

  !> A scalar of the host, times a factor, is a variable of ClimSim; number 0 stands for zero everywhere.
  type :: scalar_of_climsim
    type(field_name) :: field
    integer :: number = 0
    real(rk) :: factor = 1.0_rk
  end type scalar_of_climsim

  type(scalar_of_climsim), parameter :: inputs(*) = [ &
    scalar_of_climsim(field_name("state_ps", "Pa"), surface_air_pressure), &
    scalar_of_climsim(field_name("pbuf_SOLIN", "W m-2"), toa_incoming_shortwave), &
    scalar_of_climsim(field_name("pbuf_LHFLX", "W m-2"), evaporation, latent_heat_vaporization), &
    scalar_of_climsim(field_name("pbuf_SHFLX", "W m-2"), sensible_heat), &
    scalar_of_climsim(field_name("pbuf_TAUX", "N m-2"), eastward_stress), &
    scalar_of_climsim(field_name("pbuf_TAUY", "N m-2"), northward_stress), &
    scalar_of_climsim(field_name("pbuf_COSZRS", "1"), cosine_zenith), &
    scalar_of_climsim(field_name("cam_in_ALDIF", "1"), albedo_diffuse_near_infrared), &
    scalar_of_climsim(field_name("cam_in_ALDIR", "1"), albedo_direct_near_infrared), &
    scalar_of_climsim(field_name("cam_in_ASDIF", "1"), albedo_diffuse_visible), &
    scalar_of_climsim(field_name("cam_in_ASDIR", "1"), albedo_direct_visible), &
    scalar_of_climsim(field_name("cam_in_LWUP", "W m-2"), surface_upwelling_longwave), &
    scalar_of_climsim(field_name("cam_in_ICEFRAC", "1"), 0), &
    scalar_of_climsim(field_name("cam_in_LANDFRAC", "1"), land_area_fraction), &
    scalar_of_climsim(field_name("cam_in_OCNFRAC", "1"), open_ocean_area_fraction), &
    scalar_of_climsim(field_name("cam_in_SNOWHICE", "m"), 0), &
    scalar_of_climsim(field_name("cam_in_SNOWHLAND", "m"), 0)]

  type(scalar_of_climsim), parameter :: outputs(*) = [ &
    scalar_of_climsim(field_name("state_ps", "Pa"), surface_air_pressure), &
    scalar_of_climsim(field_name("cam_out_NETSW", "W m-2"), surface_net_shortwave), &
    scalar_of_climsim(field_name("cam_out_FLWDS", "W m-2"), surface_downwelling_longwave), &
    scalar_of_climsim(field_name("cam_out_PRECSC", "m s-1"), snowfall, 1.0_rk/density_liquid_water), &
    scalar_of_climsim(field_name("cam_out_PRECC", "m s-1"), precipitation, 1.0_rk/density_liquid_water), &
    scalar_of_climsim(field_name("cam_out_SOLS", "W m-2"), direct_visible), &
    scalar_of_climsim(field_name("cam_out_SOLL", "W m-2"), direct_near_infrared), &
    scalar_of_climsim(field_name("cam_out_SOLSD", "W m-2"), diffuse_visible), &
    scalar_of_climsim(field_name("cam_out_SOLLD", "W m-2"), diffuse_near_infrared), &
    scalar_of_climsim(field_name("cam_out_FSNT", "W m-2"), toa_net_shortwave), &
    scalar_of_climsim(field_name("cam_out_FLUT", "W m-2"), toa_outgoing_longwave)]

contains

  !> Write both files of the step that has just been done; collective, with one outcome on all ranks.
  subroutine record_columns(columns, begin, folder, ierr, errmsg)
    class(rank_columns), intent(in) :: columns
    type(clock), intent(in) :: begin !! time at the begin of the step
    character(len=*), intent(in) :: folder
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call write_file(columns, begin, folder, .true., ierr, errmsg)
    call write_file(columns, begin, folder, .false., ierr, errmsg)
  end subroutine record_columns

  subroutine write_file(columns, begin, folder, is_input, ierr, errmsg)
    class(rank_columns), intent(in) :: columns
    type(clock), intent(in) :: begin
    character(len=*), intent(in) :: folder
    logical, intent(in) :: is_input
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(netcdf_file) :: file
    integer :: variable, i
    if (ierr /= 0) return
    if (this_rank() == 0) then
      call file%create(folder//"/"//prefix//merge(".mli.", ".mlo.", is_input)//begin%date()//".nc", ierr, errmsg)
      call define_file(file, columns, begin, is_input, ierr, errmsg)
    end if
    variable = 0
    call put_date(file, begin, variable, ierr, errmsg)
    do i = 1, n_state
      call put_profile(columns, merge(before_physics, 0, is_input) + i, file, variable, ierr, errmsg)
    end do
    if (is_input) then
      do i = ozone, nitrous_oxide
        call put_profile(columns, i, file, variable, ierr, errmsg)
      end do
      call put_pressure(columns, file, variable, ierr, errmsg)
      call put_scalars(columns, inputs, file, variable, ierr, errmsg)
    else
      call put_scalars(columns, outputs, file, variable, ierr, errmsg)
    end if
    call file%close(ierr, errmsg)
    call agree(ierr, errmsg)
  end subroutine write_file

  !> Variables are defined in the order in which they are written, so their numbers count up.
  subroutine define_file(file, columns, begin, is_input, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    class(rank_columns), intent(in) :: columns
    type(clock), intent(in) :: begin
    logical, intent(in) :: is_input
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: ncol, lev, variable, i
    call file%define_dimension("ncol", columns%share%n_column, ncol, ierr, errmsg)
    call file%define_dimension("lev", columns%n_level, lev, ierr, errmsg)
    call file%define_whole_number("ymd", variable, ierr, errmsg)
    call file%define_whole_number("tod", variable, ierr, errmsg)
    do i = 1, n_state
      call file%define(state_of_climsim(i), [ncol, lev], variable, ierr, errmsg)
    end do
    if (is_input) then
      do i = ozone, nitrous_oxide
        call file%define(gases_of_climsim(i), [ncol, lev], variable, ierr, errmsg)
      end do
      call file%define(field_name("state_pmid", "Pa"), [ncol, lev], variable, ierr, errmsg)
    end if
    do i = 1, merge(size(inputs), size(outputs), is_input)
      if (is_input) call file%define(inputs(i)%field, [ncol], variable, ierr, errmsg)
      if (.not. is_input) call file%define(outputs(i)%field, [ncol], variable, ierr, errmsg)
    end do
    call file%put_global("source", "Emagram column host", ierr, errmsg)
    call file%put_global("calendar", "noleap", ierr, errmsg)
    call file%put_global("time_step_seconds", begin%time_step, ierr, errmsg)
    call file%end_define(ierr, errmsg)
  end subroutine define_file

  !> The integers `ymd` and `tod`: the date as YYYYMMDD and the second of the day.
  subroutine put_date(file, begin, variable, ierr, errmsg)
    type(netcdf_file), intent(in) :: file
    type(clock), intent(in) :: begin
    integer, intent(inout) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    variable = variable + 2
    if (this_rank() /= 0) return
    call file%put_whole_number(variable - 1, begin%ymd(), ierr, errmsg)
    call file%put_whole_number(variable, begin%second_of_day(), ierr, errmsg)
  end subroutine put_date

  subroutine put_profile(columns, number, file, variable, ierr, errmsg)
    class(rank_columns), intent(in) :: columns
    integer, intent(in) :: number
    type(netcdf_file), intent(in) :: file
    integer, intent(inout) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: whole(:, :)
    variable = variable + 1
    call columns%gather_profile(number, whole)
    if (this_rank() == 0) call file%put(variable, transpose(whole), 0, ierr, errmsg)
  end subroutine put_profile

  !> Pressure in the middle of the layers, from the hybrid coordinate.
  subroutine put_pressure(columns, file, variable, ierr, errmsg)
    class(rank_columns), intent(in) :: columns
    type(netcdf_file), intent(in) :: file
    integer, intent(inout) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: surface(:), pressure(:, :)
    integer :: i
    variable = variable + 1
    call columns%gather_scalar(surface_air_pressure, surface)
    if (this_rank() /= 0) return
    allocate (pressure(size(surface), columns%n_level))
    do i = 1, columns%n_level
      pressure(:, i) = 0.5_rk*(columns%p0*(columns%hyai(i) + columns%hyai(i + 1)) &
        + surface*(columns%hybi(i) + columns%hybi(i + 1)))
    end do
    call file%put(variable, pressure, 0, ierr, errmsg)
  end subroutine put_pressure

  subroutine put_scalars(columns, scalars, file, variable, ierr, errmsg)
    class(rank_columns), intent(in) :: columns
    type(scalar_of_climsim), intent(in) :: scalars(:)
    type(netcdf_file), intent(in) :: file
    integer, intent(inout) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: whole(:)
    integer :: i
    do i = 1, size(scalars)
      variable = variable + 1
      call columns%gather_scalar(max(scalars(i)%number, 1), whole)
      whole = scalars(i)%factor*whole
      if (scalars(i)%number == 0) whole = 0.0_rk
      if (this_rank() == 0) call file%put(variable, whole, 0, ierr, errmsg)
    end do
  end subroutine put_scalars
end module host_record
