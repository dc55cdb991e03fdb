!> Longwave radiation: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_longwave
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_interfaces, check_range, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_longwave_kernels, only: longwave_kernel, longwave_parameters
  implicit none (type, external)
  private
  public :: longwave

contains

  !> Fluxes at the interfaces, and heating from their divergence.
  subroutine longwave(well_mixed_depth, water_vapor_depth, core_depth, core_fraction, well_mixed_factor, &
    liquid_absorption, ice_absorption, cloud_factor, pressure_interface, air_temperature, specific_humidity, &
    cloud_liquid, cloud_ice, surface_upwelling_longwave_flux, upward, downward, rate_temperature, ierr, errmsg)
    real(rk), intent(in) :: well_mixed_depth !! [1]
    real(rk), intent(in) :: water_vapor_depth !! [1]
    real(rk), intent(in) :: core_depth !! [1]
    real(rk), intent(in) :: core_fraction !! [1]
    real(rk), intent(in) :: well_mixed_factor !! [1]
    real(rk), intent(in) :: liquid_absorption !! [m2 kg-1]
    real(rk), intent(in) :: ice_absorption !! [m2 kg-1]
    real(rk), intent(in) :: cloud_factor !! [1]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: air_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_liquid(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_ice(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: surface_upwelling_longwave_flux(:) !! [W m-2] (n_column)
    real(rk), intent(inout) :: upward(:, :) !! [W m-2] (n_level + 1, n_column)
    real(rk), intent(inout) :: downward(:, :) !! [W m-2] (n_level + 1, n_column)
    real(rk), intent(inout) :: rate_temperature(:, :) !! [K s-1] (n_level, n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: layers(2), edges(2)
    type(longwave_parameters) :: parameters
    layers = shape(air_temperature)
    edges = [layers(1) + 1, layers(2)]
    parameters = longwave_parameters(well_mixed_depth, water_vapor_depth, core_depth, core_fraction, &
      well_mixed_factor, liquid_absorption, ice_absorption, cloud_factor)
    call begin_checks(ierr, errmsg)
    call check_parameters(parameters, ierr, errmsg)
    call check_shape("air_pressure_at_interface", shape(pressure_interface), edges, ierr, errmsg)
    call check_shape("specific_humidity", shape(specific_humidity), layers, ierr, errmsg)
    call check_shape("cloud_liquid", shape(cloud_liquid), layers, ierr, errmsg)
    call check_shape("cloud_ice", shape(cloud_ice), layers, ierr, errmsg)
    call check_shape("surface_upwelling_longwave_flux", size(surface_upwelling_longwave_flux), layers(2), ierr, errmsg)
    call check_shape("upwelling_longwave_flux_in_air", shape(upward), edges, ierr, errmsg)
    call check_shape("downwelling_longwave_flux_in_air", shape(downward), edges, ierr, errmsg)
    call check_shape("rate_temperature", shape(rate_temperature), layers, ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_finite("specific_humidity", specific_humidity, ierr, errmsg)
    call check_finite("cloud_liquid", cloud_liquid, ierr, errmsg)
    call check_finite("cloud_ice", cloud_ice, ierr, errmsg)
    call check_range("surface_upwelling_longwave_flux", surface_upwelling_longwave_flux, 0.0_rk, 1.0e4_rk, ierr, &
      errmsg)
    if (ierr /= 0) return
    call longwave_kernel(int(layers(1), ik), int(layers(2), ik), parameters, pressure_interface, air_temperature, &
      specific_humidity, cloud_liquid, cloud_ice, surface_upwelling_longwave_flux, upward, downward, rate_temperature)
  end subroutine longwave

  subroutine check_parameters(parameters, ierr, errmsg)
    type(longwave_parameters), intent(in) :: parameters
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), parameter :: largest = 1.0e6_rk
    call check_range("well_mixed_depth", parameters%well_mixed_depth, 0.0_rk, largest, ierr, errmsg)
    call check_range("water_vapor_depth", parameters%water_vapor_depth, 0.0_rk, largest, ierr, errmsg)
    call check_range("core_depth", parameters%core_depth, 0.0_rk, largest, ierr, errmsg)
    call check_range("core_fraction", parameters%core_fraction, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("well_mixed_factor", parameters%well_mixed_factor, 0.0_rk, largest, ierr, errmsg)
    call check_range("liquid_absorption", parameters%liquid_absorption, 0.0_rk, largest, ierr, errmsg)
    call check_range("ice_absorption", parameters%ice_absorption, 0.0_rk, largest, ierr, errmsg)
    call check_range("cloud_factor", parameters%cloud_factor, 0.0_rk, 1.0_rk, ierr, errmsg)
  end subroutine check_parameters
end module emagram_longwave
