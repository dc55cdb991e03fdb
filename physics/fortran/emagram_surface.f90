!> Surface exchange and slab: what checks its arguments and calls the kernels. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_surface
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_interfaces, check_range, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_surface_kernels, only: slab_kernel, surface_exchange_kernel, surface_longwave_kernel, surface_parameters
  implicit none (type, external)
  private
  public :: surface_exchange, surface_defaults, slab, surface_longwave

contains

  !> Exchange of heat, water and momentum with the lowest layer.
  subroutine surface_exchange(heat_exchange_coefficient, smallest_drag_coefficient, drag_coefficient_per_wind, &
    largest_drag_coefficient, gustiness, dt, pressure_interface, air_temperature, specific_humidity, eastward_wind, &
    northward_wind, surface_temperature, wetness, rate_temperature, rate_humidity, rate_eastward_wind, &
    rate_northward_wind, sensible_heat_flux, evaporation, stress_eastward, stress_northward, ierr, errmsg)
    real(rk), intent(in) :: heat_exchange_coefficient !! [1]
    real(rk), intent(in) :: smallest_drag_coefficient !! [1]
    real(rk), intent(in) :: drag_coefficient_per_wind !! [s m-1]
    real(rk), intent(in) :: largest_drag_coefficient !! [1]
    real(rk), intent(in) :: gustiness !! [m s-1]
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: air_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: eastward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: northward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: surface_temperature(:) !! [K] (n_column)
    real(rk), intent(in) :: wetness(:) !! [1] (n_column)
    real(rk), intent(inout) :: rate_temperature(:, :) !! [K s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_humidity(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(inout) :: rate_eastward_wind(:, :) !! [m s-2] (n_level, n_column)
    real(rk), intent(inout) :: rate_northward_wind(:, :) !! [m s-2] (n_level, n_column)
    real(rk), intent(inout) :: sensible_heat_flux(:) !! [W m-2] upward (n_column)
    real(rk), intent(inout) :: evaporation(:) !! [kg m-2 s-1] upward (n_column)
    real(rk), intent(inout) :: stress_eastward(:) !! [N m-2] on the air (n_column)
    real(rk), intent(inout) :: stress_northward(:) !! [N m-2] on the air (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: layers(2), n_column
    call begin_checks(ierr, errmsg)
    layers = [size(pressure_interface, 1) - 1, size(pressure_interface, 2)]
    n_column = layers(2)
    call check_above_zero("heat_exchange_coefficient", [heat_exchange_coefficient], ierr, errmsg)
    call check_above_zero("largest_drag_coefficient", [largest_drag_coefficient], ierr, errmsg)
    call check_range("smallest_drag_coefficient", smallest_drag_coefficient, 0.0_rk, largest_drag_coefficient, &
      ierr, errmsg)
    call check_range("drag_coefficient_per_wind", drag_coefficient_per_wind, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_range("gustiness", gustiness, 0.0_rk, 100.0_rk, ierr, errmsg)
    call check_above_zero("dt", [dt], ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_shape("air_temperature", shape(air_temperature), layers, ierr, errmsg)
    call check_shape("specific_humidity", shape(specific_humidity), layers, ierr, errmsg)
    call check_shape("eastward_wind", shape(eastward_wind), layers, ierr, errmsg)
    call check_shape("northward_wind", shape(northward_wind), layers, ierr, errmsg)
    call check_shape("surface_temperature", size(surface_temperature), n_column, ierr, errmsg)
    call check_shape("wetness", size(wetness), n_column, ierr, errmsg)
    call check_shape("rate_temperature", shape(rate_temperature), layers, ierr, errmsg)
    call check_shape("rate_humidity", shape(rate_humidity), layers, ierr, errmsg)
    call check_shape("rate_eastward_wind", shape(rate_eastward_wind), layers, ierr, errmsg)
    call check_shape("rate_northward_wind", shape(rate_northward_wind), layers, ierr, errmsg)
    call check_shape("sensible_heat_flux", size(sensible_heat_flux), n_column, ierr, errmsg)
    call check_shape("evaporation", size(evaporation), n_column, ierr, errmsg)
    call check_shape("stress_eastward", size(stress_eastward), n_column, ierr, errmsg)
    call check_shape("stress_northward", size(stress_northward), n_column, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_finite("specific_humidity", specific_humidity, ierr, errmsg)
    call check_finite("eastward_wind", eastward_wind, ierr, errmsg)
    call check_finite("northward_wind", northward_wind, ierr, errmsg)
    call check_above_zero("surface_temperature", surface_temperature, ierr, errmsg)
    call check_range("wetness", wetness, 0.0_rk, 1.0_rk, ierr, errmsg)
    if (ierr /= 0) return
    call surface_exchange_kernel(int(layers(1), ik), int(n_column, ik), surface_parameters( &
      heat_exchange_coefficient, smallest_drag_coefficient, drag_coefficient_per_wind, largest_drag_coefficient, &
      gustiness), dt, pressure_interface, air_temperature, specific_humidity, eastward_wind, northward_wind, &
      surface_temperature, wetness, rate_temperature, rate_humidity, rate_eastward_wind, rate_northward_wind, &
      sensible_heat_flux, evaporation, stress_eastward, stress_northward)
  end subroutine surface_exchange

  !> The parameters that a host gets who changes none.
  subroutine surface_defaults(heat_exchange_coefficient, smallest_drag_coefficient, drag_coefficient_per_wind, &
    largest_drag_coefficient, gustiness)
    real(rk), intent(out) :: heat_exchange_coefficient !! [1]
    real(rk), intent(out) :: smallest_drag_coefficient !! [1]
    real(rk), intent(out) :: drag_coefficient_per_wind !! [s m-1]
    real(rk), intent(out) :: largest_drag_coefficient !! [1]
    real(rk), intent(out) :: gustiness !! [m s-1]
    type(surface_parameters) :: parameters
    heat_exchange_coefficient = parameters%heat_exchange_coefficient
    smallest_drag_coefficient = parameters%smallest_drag_coefficient
    drag_coefficient_per_wind = parameters%drag_coefficient_per_wind
    largest_drag_coefficient = parameters%largest_drag_coefficient
    gustiness = parameters%gustiness
  end subroutine surface_defaults

  !> One step of the slab.
  subroutine slab(dt, heat_capacity, net_shortwave, downwelling_longwave, upwelling_longwave, sensible_heat_flux, &
    evaporation, snow, surface_temperature, new_surface_temperature, rate_surface_temperature, net_surface_flux, &
    ierr, errmsg)
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: heat_capacity(:) !! [J m-2 K-1] (n_column), 0 where the temperature is prescribed
    real(rk), intent(in) :: net_shortwave(:) !! [W m-2] (n_column)
    real(rk), intent(in) :: downwelling_longwave(:) !! [W m-2] (n_column)
    real(rk), intent(in) :: upwelling_longwave(:) !! [W m-2] (n_column)
    real(rk), intent(in) :: sensible_heat_flux(:) !! [W m-2] upward (n_column)
    real(rk), intent(in) :: evaporation(:) !! [kg m-2 s-1] upward (n_column)
    real(rk), intent(in) :: snow(:) !! [kg m-2 s-1] downward (n_column)
    real(rk), intent(in) :: surface_temperature(:) !! [K] (n_column)
    real(rk), intent(inout) :: new_surface_temperature(:) !! [K] (n_column)
    real(rk), intent(inout) :: rate_surface_temperature(:) !! [K s-1] (n_column)
    real(rk), intent(inout) :: net_surface_flux(:) !! [W m-2] into the surface (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: n_column
    call begin_checks(ierr, errmsg)
    n_column = size(surface_temperature)
    call check_above_zero("dt", [dt], ierr, errmsg)
    call check_shape("heat_capacity", size(heat_capacity), n_column, ierr, errmsg)
    call check_shape("net_shortwave", size(net_shortwave), n_column, ierr, errmsg)
    call check_shape("downwelling_longwave", size(downwelling_longwave), n_column, ierr, errmsg)
    call check_shape("upwelling_longwave", size(upwelling_longwave), n_column, ierr, errmsg)
    call check_shape("sensible_heat_flux", size(sensible_heat_flux), n_column, ierr, errmsg)
    call check_shape("evaporation", size(evaporation), n_column, ierr, errmsg)
    call check_shape("snow", size(snow), n_column, ierr, errmsg)
    call check_shape("new_surface_temperature", size(new_surface_temperature), n_column, ierr, errmsg)
    call check_shape("rate_surface_temperature", size(rate_surface_temperature), n_column, ierr, errmsg)
    call check_shape("net_surface_flux", size(net_surface_flux), n_column, ierr, errmsg)
    call check_range("heat_capacity", heat_capacity, 0.0_rk, huge(1.0_rk), ierr, errmsg)
    call check_finite("net_shortwave", net_shortwave, ierr, errmsg)
    call check_finite("downwelling_longwave", downwelling_longwave, ierr, errmsg)
    call check_finite("upwelling_longwave", upwelling_longwave, ierr, errmsg)
    call check_finite("sensible_heat_flux", sensible_heat_flux, ierr, errmsg)
    call check_finite("evaporation", evaporation, ierr, errmsg)
    call check_finite("snow", snow, ierr, errmsg)
    call check_above_zero("surface_temperature", surface_temperature, ierr, errmsg)
    if (ierr /= 0) return
    new_surface_temperature = surface_temperature
    call slab_kernel(int(n_column, ik), dt, heat_capacity, net_shortwave, downwelling_longwave, upwelling_longwave, &
      sensible_heat_flux, evaporation, snow, new_surface_temperature, rate_surface_temperature, net_surface_flux)
  end subroutine slab

  !> Longwave emission of a black surface.
  subroutine surface_longwave(surface_temperature, upwelling_longwave, ierr, errmsg)
    real(rk), intent(in) :: surface_temperature(:) !! [K] (n)
    real(rk), intent(inout) :: upwelling_longwave(:) !! [W m-2] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("upwelling_longwave", size(upwelling_longwave), size(surface_temperature), ierr, errmsg)
    call check_above_zero("surface_temperature", surface_temperature, ierr, errmsg)
    if (ierr /= 0) return
    call surface_longwave_kernel(size(surface_temperature, kind=ik), surface_temperature, upwelling_longwave)
  end subroutine surface_longwave
end module emagram_surface
