!> Moist thermodynamics: what checks its arguments and calls the kernels. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the result untouched.
module emagram_thermodynamics
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_thermodynamics_kernels, only: saturation_liquid_kernel, saturation_ice_kernel, &
    saturation_mixed_kernel, vapor_pressure_kernel, relative_humidity_kernel, &
    saturation_specific_humidity_kernel, saturate_kernel
  implicit none (type, external)
  private
  public :: saturation_vapor_pressure_liquid, saturation_vapor_pressure_ice, saturation_vapor_pressure
  public :: vapor_pressure, relative_humidity, saturation_specific_humidity, saturate_air

contains

  !> Saturation vapour pressure over liquid water.
  subroutine saturation_vapor_pressure_liquid(air_temperature, pressure, ierr, errmsg)
    real(rk), intent(in) :: air_temperature(:) !! [K] (n)
    real(rk), intent(inout) :: pressure(:) !! [Pa] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("pressure", size(pressure), size(air_temperature), ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    if (ierr /= 0) return
    call saturation_liquid_kernel(size(air_temperature, kind=ik), air_temperature, pressure)
  end subroutine saturation_vapor_pressure_liquid

  !> Saturation vapour pressure over ice, over liquid water above freezing.
  subroutine saturation_vapor_pressure_ice(air_temperature, pressure, ierr, errmsg)
    real(rk), intent(in) :: air_temperature(:) !! [K] (n)
    real(rk), intent(inout) :: pressure(:) !! [Pa] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("pressure", size(pressure), size(air_temperature), ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    if (ierr /= 0) return
    call saturation_ice_kernel(size(air_temperature, kind=ik), air_temperature, pressure)
  end subroutine saturation_vapor_pressure_ice

  !> Mixed-phase saturation vapour pressure.
  subroutine saturation_vapor_pressure(air_temperature, pressure, ierr, errmsg)
    real(rk), intent(in) :: air_temperature(:) !! [K] (n)
    real(rk), intent(inout) :: pressure(:) !! [Pa] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("pressure", size(pressure), size(air_temperature), ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    if (ierr /= 0) return
    call saturation_mixed_kernel(size(air_temperature, kind=ik), air_temperature, pressure)
  end subroutine saturation_vapor_pressure

  !> Partial pressure of water vapour.
  subroutine vapor_pressure(air_pressure, specific_humidity, pressure, ierr, errmsg)
    real(rk), intent(in) :: air_pressure(:) !! [Pa] (n)
    real(rk), intent(in) :: specific_humidity(:) !! [kg kg-1] (n)
    real(rk), intent(inout) :: pressure(:) !! [Pa] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("specific_humidity", size(specific_humidity), size(air_pressure), ierr, errmsg)
    call check_shape("pressure", size(pressure), size(air_pressure), ierr, errmsg)
    call check_above_zero("air_pressure", air_pressure, ierr, errmsg)
    call check_finite("specific_humidity", specific_humidity, ierr, errmsg)
    if (ierr /= 0) return
    call vapor_pressure_kernel(size(air_pressure, kind=ik), air_pressure, specific_humidity, pressure)
  end subroutine vapor_pressure

  !> Relative humidity with mixed-phase saturation.
  subroutine relative_humidity(air_pressure, air_temperature, specific_humidity, humidity, ierr, errmsg)
    real(rk), intent(in) :: air_pressure(:) !! [Pa] (n)
    real(rk), intent(in) :: air_temperature(:) !! [K] (n)
    real(rk), intent(in) :: specific_humidity(:) !! [kg kg-1] (n)
    real(rk), intent(inout) :: humidity(:) !! [1] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("air_temperature", size(air_temperature), size(air_pressure), ierr, errmsg)
    call check_shape("specific_humidity", size(specific_humidity), size(air_pressure), ierr, errmsg)
    call check_shape("humidity", size(humidity), size(air_pressure), ierr, errmsg)
    call check_above_zero("air_pressure", air_pressure, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_finite("specific_humidity", specific_humidity, ierr, errmsg)
    if (ierr /= 0) return
    call relative_humidity_kernel(size(air_pressure, kind=ik), air_pressure, air_temperature, &
      specific_humidity, humidity)
  end subroutine relative_humidity

  !> Specific humidity at mixed-phase saturation.
  subroutine saturation_specific_humidity(air_pressure, air_temperature, humidity, ierr, errmsg)
    real(rk), intent(in) :: air_pressure(:) !! [Pa] (n)
    real(rk), intent(in) :: air_temperature(:) !! [K] (n)
    real(rk), intent(inout) :: humidity(:) !! [kg kg-1] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("air_temperature", size(air_temperature), size(air_pressure), ierr, errmsg)
    call check_shape("humidity", size(humidity), size(air_pressure), ierr, errmsg)
    call check_above_zero("air_pressure", air_pressure, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    if (ierr /= 0) return
    call saturation_specific_humidity_kernel(size(air_pressure, kind=ik), air_pressure, air_temperature, humidity)
  end subroutine saturation_specific_humidity

  !> Specific humidity at mixed-phase saturation, and its derivatives with temperature and logarithm of pressure.
  subroutine saturate_air(air_pressure, air_temperature, humidity, slope, slope_pressure, ierr, errmsg)
    real(rk), intent(in) :: air_pressure(:) !! [Pa] (n)
    real(rk), intent(in) :: air_temperature(:) !! [K] (n)
    real(rk), intent(inout) :: humidity(:) !! [kg kg-1] (n)
    real(rk), intent(inout) :: slope(:) !! [kg kg-1 K-1] (n)
    real(rk), intent(inout) :: slope_pressure(:) !! [kg kg-1] (n)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    call begin_checks(ierr, errmsg)
    call check_shape("air_temperature", size(air_temperature), size(air_pressure), ierr, errmsg)
    call check_shape("humidity", size(humidity), size(air_pressure), ierr, errmsg)
    call check_shape("slope", size(slope), size(air_pressure), ierr, errmsg)
    call check_shape("slope_pressure", size(slope_pressure), size(air_pressure), ierr, errmsg)
    call check_above_zero("air_pressure", air_pressure, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    if (ierr /= 0) return
    call saturate_kernel(size(air_pressure, kind=ik), air_pressure, air_temperature, humidity, slope, slope_pressure)
  end subroutine saturate_air
end module emagram_thermodynamics
