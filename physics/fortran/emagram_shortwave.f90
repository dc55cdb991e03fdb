!> Shortwave radiation: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_shortwave
  use emagram_checks, only: begin_checks, check_finite, check_interfaces, check_range, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_shortwave_kernels, only: shortwave_kernel, shortwave_parameters
  implicit none (type, external)
  private
  public :: shortwave

contains

  !> Fluxes at the interfaces and into the surface, and heating from their divergence; exact zeros at night.
  subroutine shortwave(liquid_radius, ice_radius, cloud_factor, ozone_factor, water_vapor_factor, rayleigh_factor, &
    pressure_interface, specific_humidity, cloud_liquid, cloud_ice, ozone, cosine_of_solar_zenith_angle, &
    toa_incoming_shortwave_flux, albedo_direct_visible, albedo_direct_near_infrared, albedo_diffuse_visible, &
    albedo_diffuse_near_infrared, upward, downward, rate_temperature, surface_direct_visible, &
    surface_direct_near_infrared, surface_diffuse_visible, surface_diffuse_near_infrared, ierr, errmsg)
    real(rk), intent(in) :: liquid_radius !! [m]
    real(rk), intent(in) :: ice_radius !! [m]
    real(rk), intent(in) :: cloud_factor !! [1]
    real(rk), intent(in) :: ozone_factor !! [1]
    real(rk), intent(in) :: water_vapor_factor !! [1]
    real(rk), intent(in) :: rayleigh_factor !! [1]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_liquid(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_ice(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: ozone(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cosine_of_solar_zenith_angle(:) !! [1] (n_column)
    real(rk), intent(in) :: toa_incoming_shortwave_flux(:) !! [W m-2] (n_column)
    real(rk), intent(in) :: albedo_direct_visible(:) !! [1] (n_column)
    real(rk), intent(in) :: albedo_direct_near_infrared(:) !! [1] (n_column)
    real(rk), intent(in) :: albedo_diffuse_visible(:) !! [1] (n_column)
    real(rk), intent(in) :: albedo_diffuse_near_infrared(:) !! [1] (n_column)
    real(rk), intent(inout) :: upward(:, :) !! [W m-2] (n_level + 1, n_column)
    real(rk), intent(inout) :: downward(:, :) !! [W m-2] (n_level + 1, n_column)
    real(rk), intent(inout) :: rate_temperature(:, :) !! [K s-1] (n_level, n_column)
    real(rk), intent(inout) :: surface_direct_visible(:) !! [W m-2] (n_column)
    real(rk), intent(inout) :: surface_direct_near_infrared(:) !! [W m-2] (n_column)
    real(rk), intent(inout) :: surface_diffuse_visible(:) !! [W m-2] (n_column)
    real(rk), intent(inout) :: surface_diffuse_near_infrared(:) !! [W m-2] (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: layers(2), edges(2)
    type(shortwave_parameters) :: parameters
    layers = shape(specific_humidity)
    edges = [layers(1) + 1, layers(2)]
    parameters = shortwave_parameters(liquid_radius, ice_radius, cloud_factor, ozone_factor, water_vapor_factor, &
      rayleigh_factor)
    call begin_checks(ierr, errmsg)
    call check_parameters(parameters, ierr, errmsg)
    call check_shape("air_pressure_at_interface", shape(pressure_interface), edges, ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_finite("specific_humidity", specific_humidity, ierr, errmsg)
    call check_layers("cloud_liquid", cloud_liquid, layers, ierr, errmsg)
    call check_layers("cloud_ice", cloud_ice, layers, ierr, errmsg)
    call check_layers("ozone", ozone, layers, ierr, errmsg)
    call check_column("cosine_of_solar_zenith_angle", cosine_of_solar_zenith_angle, layers(2), 1.0_rk, ierr, errmsg)
    call check_column("toa_incoming_shortwave_flux", toa_incoming_shortwave_flux, layers(2), 1.0e5_rk, ierr, errmsg)
    call check_column("albedo_direct_visible", albedo_direct_visible, layers(2), 1.0_rk, ierr, errmsg)
    call check_column("albedo_direct_near_infrared", albedo_direct_near_infrared, layers(2), 1.0_rk, ierr, errmsg)
    call check_column("albedo_diffuse_visible", albedo_diffuse_visible, layers(2), 1.0_rk, ierr, errmsg)
    call check_column("albedo_diffuse_near_infrared", albedo_diffuse_near_infrared, layers(2), 1.0_rk, ierr, errmsg)
    call check_shape("upwelling_shortwave_flux_in_air", shape(upward), edges, ierr, errmsg)
    call check_shape("downwelling_shortwave_flux_in_air", shape(downward), edges, ierr, errmsg)
    call check_shape("rate_temperature", shape(rate_temperature), layers, ierr, errmsg)
    call check_shape("surface_direct_visible", size(surface_direct_visible), layers(2), ierr, errmsg)
    call check_shape("surface_direct_near_infrared", size(surface_direct_near_infrared), layers(2), ierr, errmsg)
    call check_shape("surface_diffuse_visible", size(surface_diffuse_visible), layers(2), ierr, errmsg)
    call check_shape("surface_diffuse_near_infrared", size(surface_diffuse_near_infrared), layers(2), ierr, errmsg)
    if (ierr /= 0) return
    call shortwave_kernel(int(layers(1), ik), int(layers(2), ik), parameters, pressure_interface, specific_humidity, &
      cloud_liquid, cloud_ice, ozone, cosine_of_solar_zenith_angle, toa_incoming_shortwave_flux, &
      albedo_direct_visible, albedo_direct_near_infrared, albedo_diffuse_visible, albedo_diffuse_near_infrared, &
      upward, downward, rate_temperature, surface_direct_visible, surface_direct_near_infrared, &
      surface_diffuse_visible, surface_diffuse_near_infrared)
  end subroutine shortwave

  subroutine check_parameters(parameters, ierr, errmsg)
    type(shortwave_parameters), intent(in) :: parameters
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), parameter :: largest = 1.0e6_rk
    ! the ranges that the optics of cloud were made for
    call check_range("liquid_radius", parameters%liquid_radius, 4.2e-6_rk, 16.6e-6_rk, ierr, errmsg)
    call check_range("ice_radius", parameters%ice_radius, 13.0e-6_rk, 130.0e-6_rk, ierr, errmsg)
    call check_range("cloud_factor", parameters%cloud_factor, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("ozone_factor", parameters%ozone_factor, 0.0_rk, largest, ierr, errmsg)
    call check_range("water_vapor_factor", parameters%water_vapor_factor, 0.0_rk, largest, ierr, errmsg)
    call check_range("rayleigh_factor", parameters%rayleigh_factor, 0.0_rk, largest, ierr, errmsg)
  end subroutine check_parameters

  subroutine check_layers(name, values, layers, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:, :)
    integer, intent(in) :: layers(2)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call check_shape(name, shape(values), layers, ierr, errmsg)
    call check_finite(name, values, ierr, errmsg)
  end subroutine check_layers

  !> A value of each column, from 0 to largest.
  subroutine check_column(name, values, n_column, largest, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:)
    integer, intent(in) :: n_column
    real(rk), intent(in) :: largest
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call check_shape(name, size(values), n_column, ierr, errmsg)
    call check_range(name, values, 0.0_rk, largest, ierr, errmsg)
  end subroutine check_column
end module emagram_shortwave
