!> Boundary-layer height, diffusivities: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_turbulence
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_interfaces, check_range, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_turbulence_kernels, only: boundary_layer_parameters, turbulence_kernel
  implicit none (type, external)
  private
  public :: turbulence

contains

  !> Diffusivities at the interfaces and the height of the boundary layer.
  subroutine turbulence(critical_richardson_number, surface_layer_fraction, largest_height, mixing_length, &
    background_diffusivity, dt, pressure_interface, air_temperature, specific_humidity, eastward_wind, &
    northward_wind, sensible_heat_flux, evaporation, stress_eastward, stress_northward, diffusivity_heat, &
    diffusivity_momentum, boundary_layer_height, ierr, errmsg)
    real(rk), intent(in) :: critical_richardson_number !! [1]
    real(rk), intent(in) :: surface_layer_fraction !! [1]
    real(rk), intent(in) :: largest_height !! [m]
    real(rk), intent(in) :: mixing_length !! [m]
    real(rk), intent(in) :: background_diffusivity !! [m2 s-1]
    real(rk), intent(in) :: dt !! [s] for which the lowest layer has got the surface fluxes; 0 if it has not
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: air_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: eastward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: northward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: sensible_heat_flux(:) !! [W m-2] upward (n_column)
    real(rk), intent(in) :: evaporation(:) !! [kg m-2 s-1] upward (n_column)
    real(rk), intent(in) :: stress_eastward(:) !! [N m-2] on the air (n_column)
    real(rk), intent(in) :: stress_northward(:) !! [N m-2] on the air (n_column)
    real(rk), intent(inout) :: diffusivity_heat(:, :) !! [m2 s-1] (n_level + 1, n_column)
    real(rk), intent(inout) :: diffusivity_momentum(:, :) !! [m2 s-1] (n_level + 1, n_column)
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
    call check_range("dt", dt, 0.0_rk, huge(1.0_rk), ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_shape("air_temperature", shape(air_temperature), layers, ierr, errmsg)
    call check_shape("specific_humidity", shape(specific_humidity), layers, ierr, errmsg)
    call check_shape("eastward_wind", shape(eastward_wind), layers, ierr, errmsg)
    call check_shape("northward_wind", shape(northward_wind), layers, ierr, errmsg)
    call check_shape("sensible_heat_flux", size(sensible_heat_flux), n_column, ierr, errmsg)
    call check_shape("evaporation", size(evaporation), n_column, ierr, errmsg)
    call check_shape("stress_eastward", size(stress_eastward), n_column, ierr, errmsg)
    call check_shape("stress_northward", size(stress_northward), n_column, ierr, errmsg)
    call check_shape("diffusivity_heat", shape(diffusivity_heat), shape(pressure_interface), ierr, errmsg)
    call check_shape("diffusivity_momentum", shape(diffusivity_momentum), shape(pressure_interface), ierr, errmsg)
    call check_shape("boundary_layer_height", size(boundary_layer_height), n_column, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_finite("specific_humidity", specific_humidity, ierr, errmsg)
    call check_finite("eastward_wind", eastward_wind, ierr, errmsg)
    call check_finite("northward_wind", northward_wind, ierr, errmsg)
    call check_finite("sensible_heat_flux", sensible_heat_flux, ierr, errmsg)
    call check_finite("evaporation", evaporation, ierr, errmsg)
    call check_finite("stress_eastward", stress_eastward, ierr, errmsg)
    call check_finite("stress_northward", stress_northward, ierr, errmsg)
    if (ierr /= 0) return
    call turbulence_kernel(int(layers(1), ik), int(n_column, ik), &
      boundary_layer_parameters(critical_richardson_number, surface_layer_fraction, largest_height, mixing_length, &
      background_diffusivity), dt, pressure_interface, air_temperature, specific_humidity, eastward_wind, &
      northward_wind, sensible_heat_flux, evaporation, stress_eastward, stress_northward, diffusivity_heat, &
      diffusivity_momentum, boundary_layer_height)
  end subroutine turbulence
end module emagram_turbulence
