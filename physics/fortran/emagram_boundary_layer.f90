!> Turbulent mixing: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_boundary_layer
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_interfaces, check_range, check_shape
  use emagram_boundary_layer_kernels, only: boundary_layer_kernel, boundary_layer_parameters
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: boundary_layer, boundary_layer_defaults

contains

  !> Rates of turbulent mixing, surface fluxes not applied.
  subroutine boundary_layer(critical_richardson_number, surface_layer_fraction, largest_height, mixing_length, &
    background_diffusivity, dt, pressure_interface, air_temperature, specific_humidity, cloud_liquid, cloud_ice, &
    eastward_wind, northward_wind, sensible_heat_flux, evaporation, stress_eastward, stress_northward, &
    rate_temperature, rate_humidity, rate_liquid, rate_ice, rate_eastward_wind, rate_northward_wind, &
    boundary_layer_height, ierr, errmsg)
    real(rk), intent(in) :: critical_richardson_number !! [1]
    real(rk), intent(in) :: surface_layer_fraction !! [1]
    real(rk), intent(in) :: largest_height !! [m]
    real(rk), intent(in) :: mixing_length !! [m]
    real(rk), intent(in) :: background_diffusivity !! [m2 s-1]
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: air_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_liquid(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_ice(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: eastward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: northward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: sensible_heat_flux(:) !! [W m-2] upward (n_column)
    real(rk), intent(in) :: evaporation(:) !! [kg m-2 s-1] upward (n_column)
    real(rk), intent(in) :: stress_eastward(:) !! [N m-2] on the air (n_column)
    real(rk), intent(in) :: stress_northward(:) !! [N m-2] on the air (n_column)
    real(rk), intent(inout) :: rate_temperature(:, :) !! [K s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_humidity(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_liquid(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_ice(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_eastward_wind(:, :) !! [m s-2] (n_level, n_column)
    real(rk), intent(inout) :: rate_northward_wind(:, :) !! [m s-2] (n_level, n_column)
    real(rk), intent(inout) :: boundary_layer_height(:) !! [m] (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: layers(2), n_column
    call begin_checks(ierr, errmsg)
    layers = [size(pressure_interface, 1) - 1, size(pressure_interface, 2)]
    n_column = layers(2)
    call check_above_zero("critical_richardson_number", [critical_richardson_number], ierr, errmsg)
    call check_above_zero("largest_height", [largest_height], ierr, errmsg)
    call check_above_zero("mixing_length", [mixing_length], ierr, errmsg)
    call check_range("surface_layer_fraction", surface_layer_fraction, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("background_diffusivity", background_diffusivity, 0.0_rk, 1.0e3_rk, ierr, errmsg)
    call check_above_zero("dt", [dt], ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_shape("air_temperature", shape(air_temperature), layers, ierr, errmsg)
    call check_shape("specific_humidity", shape(specific_humidity), layers, ierr, errmsg)
    call check_shape("cloud_liquid", shape(cloud_liquid), layers, ierr, errmsg)
    call check_shape("cloud_ice", shape(cloud_ice), layers, ierr, errmsg)
    call check_shape("eastward_wind", shape(eastward_wind), layers, ierr, errmsg)
    call check_shape("northward_wind", shape(northward_wind), layers, ierr, errmsg)
    call check_shape("sensible_heat_flux", size(sensible_heat_flux), n_column, ierr, errmsg)
    call check_shape("evaporation", size(evaporation), n_column, ierr, errmsg)
    call check_shape("stress_eastward", size(stress_eastward), n_column, ierr, errmsg)
    call check_shape("stress_northward", size(stress_northward), n_column, ierr, errmsg)
    call check_shape("rate_temperature", shape(rate_temperature), layers, ierr, errmsg)
    call check_shape("rate_humidity", shape(rate_humidity), layers, ierr, errmsg)
    call check_shape("rate_liquid", shape(rate_liquid), layers, ierr, errmsg)
    call check_shape("rate_ice", shape(rate_ice), layers, ierr, errmsg)
    call check_shape("rate_eastward_wind", shape(rate_eastward_wind), layers, ierr, errmsg)
    call check_shape("rate_northward_wind", shape(rate_northward_wind), layers, ierr, errmsg)
    call check_shape("boundary_layer_height", size(boundary_layer_height), n_column, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_finite("specific_humidity", specific_humidity, ierr, errmsg)
    call check_finite("cloud_liquid", cloud_liquid, ierr, errmsg)
    call check_finite("cloud_ice", cloud_ice, ierr, errmsg)
    call check_finite("eastward_wind", eastward_wind, ierr, errmsg)
    call check_finite("northward_wind", northward_wind, ierr, errmsg)
    call check_finite("sensible_heat_flux", sensible_heat_flux, ierr, errmsg)
    call check_finite("evaporation", evaporation, ierr, errmsg)
    call check_finite("stress_eastward", stress_eastward, ierr, errmsg)
    call check_finite("stress_northward", stress_northward, ierr, errmsg)
    if (ierr /= 0) return
    call boundary_layer_kernel(int(layers(1), ik), int(n_column, ik), &
      boundary_layer_parameters(critical_richardson_number, surface_layer_fraction, largest_height, mixing_length, &
      background_diffusivity), dt, pressure_interface, air_temperature, specific_humidity, cloud_liquid, cloud_ice, &
      eastward_wind, northward_wind, sensible_heat_flux, evaporation, stress_eastward, stress_northward, &
      rate_temperature, rate_humidity, rate_liquid, rate_ice, rate_eastward_wind, rate_northward_wind, &
      boundary_layer_height)
  end subroutine boundary_layer

  !> The parameters that a host gets who changes none.
  subroutine boundary_layer_defaults(critical_richardson_number, surface_layer_fraction, largest_height, &
    mixing_length, background_diffusivity)
    real(rk), intent(out) :: critical_richardson_number !! [1]
    real(rk), intent(out) :: surface_layer_fraction !! [1]
    real(rk), intent(out) :: largest_height !! [m]
    real(rk), intent(out) :: mixing_length !! [m]
    real(rk), intent(out) :: background_diffusivity !! [m2 s-1]
    type(boundary_layer_parameters) :: parameters
    critical_richardson_number = parameters%critical_richardson_number
    surface_layer_fraction = parameters%surface_layer_fraction
    largest_height = parameters%largest_height
    mixing_length = parameters%mixing_length
    background_diffusivity = parameters%background_diffusivity
  end subroutine boundary_layer_defaults
end module emagram_boundary_layer
