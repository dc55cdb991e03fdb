!> Moist convection: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_convection
  use emagram_checks, only: begin_checks, check_above_zero, check_interfaces, check_range, check_shape
  use emagram_convection_kernels, only: convection_kernel, convection_parameters
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: convection, convection_defaults

contains

  !> Rates of moist convection and its precipitation.
  subroutine convection(relaxation_time, reference_relative_humidity, source_depth, largest_inhibition, &
    retained_condensate, detrained_share, anvil_share, snow_temperature, rain_temperature, surface_depth, dt, &
    pressure_interface, air_temperature, specific_humidity, rate_temperature, rate_humidity, rate_liquid, rate_ice, &
    rain, snow, cape, regime, ierr, errmsg)
    real(rk), intent(in) :: relaxation_time !! [s]
    real(rk), intent(in) :: reference_relative_humidity !! [1]
    real(rk), intent(in) :: source_depth !! [Pa]
    real(rk), intent(in) :: largest_inhibition !! [J kg-1]
    real(rk), intent(in) :: retained_condensate !! [1]
    real(rk), intent(in) :: detrained_share !! [1]
    real(rk), intent(in) :: anvil_share !! [1]
    real(rk), intent(in) :: snow_temperature !! [K]
    real(rk), intent(in) :: rain_temperature !! [K]
    real(rk), intent(in) :: surface_depth !! [Pa]
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: air_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_temperature(:, :) !! [K s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_humidity(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_liquid(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_ice(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rain(:) !! [kg m-2 s-1] (n_column)
    real(rk), intent(inout) :: snow(:) !! [kg m-2 s-1] (n_column)
    real(rk), intent(inout) :: cape(:) !! [J kg-1] (n_column)
    real(rk), intent(inout) :: regime(:) !! 0, 1 or 2 (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(convection_parameters) :: parameters
    integer :: layers(2)
    layers = [size(pressure_interface, 1) - 1, size(pressure_interface, 2)]
    parameters = convection_parameters(relaxation_time, reference_relative_humidity, source_depth, &
      largest_inhibition, retained_condensate, detrained_share, anvil_share, snow_temperature, rain_temperature, &
      surface_depth)
    call begin_checks(ierr, errmsg)
    call check_parameters(parameters, ierr, errmsg)
    call check_above_zero("dt", [dt], ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_shape("air_temperature", shape(air_temperature), layers, ierr, errmsg)
    call check_shape("specific_humidity", shape(specific_humidity), layers, ierr, errmsg)
    call check_shape("rate_temperature", shape(rate_temperature), layers, ierr, errmsg)
    call check_shape("rate_humidity", shape(rate_humidity), layers, ierr, errmsg)
    call check_shape("rate_liquid", shape(rate_liquid), layers, ierr, errmsg)
    call check_shape("rate_ice", shape(rate_ice), layers, ierr, errmsg)
    call check_shape("rain", size(rain), layers(2), ierr, errmsg)
    call check_shape("snow", size(snow), layers(2), ierr, errmsg)
    call check_shape("cape", size(cape), layers(2), ierr, errmsg)
    call check_shape("regime", size(regime), layers(2), ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_range("specific_humidity", specific_humidity, 0.0_rk, 1.0_rk, ierr, errmsg)
    if (ierr /= 0) return
    call convection_kernel(int(layers(1), ik), int(layers(2), ik), parameters, dt, pressure_interface, &
      air_temperature, specific_humidity, rate_temperature, rate_humidity, rate_liquid, rate_ice, rain, snow, cape, &
      regime)
  end subroutine convection

  !> The parameters that a host gets who changes none.
  subroutine convection_defaults(relaxation_time, reference_relative_humidity, source_depth, largest_inhibition, &
    retained_condensate, detrained_share, anvil_share, snow_temperature, rain_temperature, surface_depth)
    real(rk), intent(out) :: relaxation_time !! [s]
    real(rk), intent(out) :: reference_relative_humidity !! [1]
    real(rk), intent(out) :: source_depth !! [Pa]
    real(rk), intent(out) :: largest_inhibition !! [J kg-1]
    real(rk), intent(out) :: retained_condensate !! [1]
    real(rk), intent(out) :: detrained_share !! [1]
    real(rk), intent(out) :: anvil_share !! [1]
    real(rk), intent(out) :: snow_temperature !! [K]
    real(rk), intent(out) :: rain_temperature !! [K]
    real(rk), intent(out) :: surface_depth !! [Pa]
    type(convection_parameters) :: parameters
    relaxation_time = parameters%relaxation_time
    reference_relative_humidity = parameters%reference_relative_humidity
    source_depth = parameters%source_depth
    largest_inhibition = parameters%largest_inhibition
    retained_condensate = parameters%retained_condensate
    detrained_share = parameters%detrained_share
    anvil_share = parameters%anvil_share
    snow_temperature = parameters%snow_temperature
    rain_temperature = parameters%rain_temperature
    surface_depth = parameters%surface_depth
  end subroutine convection_defaults

  subroutine check_parameters(parameters, ierr, errmsg)
    type(convection_parameters), intent(in) :: parameters
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), parameter :: no_limit = 1.0e6_rk
    call check_above_zero("relaxation_time", [parameters%relaxation_time], ierr, errmsg)
    call check_range("reference_relative_humidity", parameters%reference_relative_humidity, 0.0_rk, 1.0_rk, ierr, &
      errmsg)
    call check_range("source_depth", parameters%source_depth, 0.0_rk, no_limit, ierr, errmsg)
    call check_range("largest_inhibition", parameters%largest_inhibition, 0.0_rk, no_limit, ierr, errmsg)
    call check_range("retained_condensate", parameters%retained_condensate, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("detrained_share", parameters%detrained_share, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("anvil_share", parameters%anvil_share, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_above_zero("snow_temperature", [parameters%snow_temperature], ierr, errmsg)
    call check_range("rain_temperature", parameters%rain_temperature, parameters%snow_temperature, no_limit, ierr, &
      errmsg)
    call check_range("surface_depth", parameters%surface_depth, 0.0_rk, no_limit, ierr, errmsg)
  end subroutine check_parameters
end module emagram_convection
