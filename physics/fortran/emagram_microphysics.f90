!> Cloud and precipitation: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_microphysics
  use emagram_checks, only: begin_checks, check_above_zero, check_interfaces, check_range, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_microphysics_kernels, only: microphysics_kernel, microphysics_parameters
  implicit none (type, external)
  private
  public :: microphysics, microphysics_defaults

contains

  !> Rates of condensation, conversion, melting and evaporation, and the precipitation at every interface.
  subroutine microphysics(liquid_time, liquid_threshold, ice_time, ice_threshold, collection, evaporation, &
    melting_time, dt, pressure_interface, air_temperature, specific_humidity, cloud_liquid, cloud_ice, &
    rate_temperature, rate_humidity, rate_liquid, rate_ice, rain, snow, ierr, errmsg)
    real(rk), intent(in) :: liquid_time !! [s]
    real(rk), intent(in) :: liquid_threshold !! [kg kg-1]
    real(rk), intent(in) :: ice_time !! [s]
    real(rk), intent(in) :: ice_threshold !! [kg kg-1]
    real(rk), intent(in) :: collection !! [(kg m-2 s-1)**-1/2]
    real(rk), intent(in) :: evaporation !! [s-1 (kg m-2 s-1)**-1/2]
    real(rk), intent(in) :: melting_time !! [s]
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: air_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_liquid(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_ice(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_temperature(:, :) !! [K s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_humidity(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_liquid(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_ice(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rain(:, :) !! [kg m-2 s-1] (n_level + 1, n_column)
    real(rk), intent(inout) :: snow(:, :) !! [kg m-2 s-1] (n_level + 1, n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(microphysics_parameters) :: parameters
    integer :: layers(2), edges(2)
    edges = shape(pressure_interface)
    layers = [edges(1) - 1, edges(2)]
    parameters = microphysics_parameters(liquid_time, liquid_threshold, ice_time, ice_threshold, collection, &
      evaporation, melting_time)
    call begin_checks(ierr, errmsg)
    call check_parameters(parameters, ierr, errmsg)
    call check_above_zero("dt", [dt], ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_shape("air_temperature", shape(air_temperature), layers, ierr, errmsg)
    call check_shape("specific_humidity", shape(specific_humidity), layers, ierr, errmsg)
    call check_shape("cloud_liquid", shape(cloud_liquid), layers, ierr, errmsg)
    call check_shape("cloud_ice", shape(cloud_ice), layers, ierr, errmsg)
    call check_shape("rate_temperature", shape(rate_temperature), layers, ierr, errmsg)
    call check_shape("rate_humidity", shape(rate_humidity), layers, ierr, errmsg)
    call check_shape("rate_liquid", shape(rate_liquid), layers, ierr, errmsg)
    call check_shape("rate_ice", shape(rate_ice), layers, ierr, errmsg)
    call check_shape("rain", shape(rain), edges, ierr, errmsg)
    call check_shape("snow", shape(snow), edges, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_range("specific_humidity", specific_humidity, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("cloud_liquid", cloud_liquid, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("cloud_ice", cloud_ice, 0.0_rk, 1.0_rk, ierr, errmsg)
    if (ierr /= 0) return
    call microphysics_kernel(int(layers(1), ik), int(layers(2), ik), parameters, dt, pressure_interface, &
      air_temperature, specific_humidity, cloud_liquid, cloud_ice, rate_temperature, rate_humidity, rate_liquid, &
      rate_ice, rain, snow)
  end subroutine microphysics

  !> The parameters that a host gets who changes none.
  subroutine microphysics_defaults(liquid_time, liquid_threshold, ice_time, ice_threshold, collection, evaporation, &
    melting_time)
    real(rk), intent(out) :: liquid_time !! [s]
    real(rk), intent(out) :: liquid_threshold !! [kg kg-1]
    real(rk), intent(out) :: ice_time !! [s]
    real(rk), intent(out) :: ice_threshold !! [kg kg-1]
    real(rk), intent(out) :: collection !! [(kg m-2 s-1)**-1/2]
    real(rk), intent(out) :: evaporation !! [s-1 (kg m-2 s-1)**-1/2]
    real(rk), intent(out) :: melting_time !! [s]
    type(microphysics_parameters) :: parameters
    liquid_time = parameters%liquid_time
    liquid_threshold = parameters%liquid_threshold
    ice_time = parameters%ice_time
    ice_threshold = parameters%ice_threshold
    collection = parameters%collection
    evaporation = parameters%evaporation
    melting_time = parameters%melting_time
  end subroutine microphysics_defaults

  subroutine check_parameters(parameters, ierr, errmsg)
    type(microphysics_parameters), intent(in) :: parameters
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), parameter :: no_limit = 1.0e6_rk
    call check_above_zero("liquid_time", [parameters%liquid_time], ierr, errmsg)
    call check_above_zero("liquid_threshold", [parameters%liquid_threshold], ierr, errmsg)
    call check_above_zero("ice_time", [parameters%ice_time], ierr, errmsg)
    call check_above_zero("ice_threshold", [parameters%ice_threshold], ierr, errmsg)
    call check_range("collection", parameters%collection, 0.0_rk, no_limit, ierr, errmsg)
    call check_range("evaporation", parameters%evaporation, 0.0_rk, no_limit, ierr, errmsg)
    call check_above_zero("melting_time", [parameters%melting_time], ierr, errmsg)
  end subroutine check_parameters
end module emagram_microphysics
