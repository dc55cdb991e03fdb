!> Ascent of an air parcel: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_parcel
  use emagram_checks, only: begin_checks, check_above_zero, check_range, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_parcel_kernels, only: parcel_ascent_kernel
  implicit none (type, external)
  private
  public :: parcel_ascent

contains

  !> Temperature and water of a parcel lifted from the lowest level.
  subroutine parcel_ascent(retained_condensate, air_pressure, air_temperature, specific_humidity, &
    parcel_temperature, parcel_humidity, parcel_condensate, condensation_pressure, ierr, errmsg)
    real(rk), intent(in) :: retained_condensate !! [1]
    real(rk), intent(in) :: air_pressure(:, :) !! [Pa] (n_level, n_column)
    real(rk), intent(in) :: air_temperature(:) !! [K] (n_column)
    real(rk), intent(in) :: specific_humidity(:) !! [kg kg-1] (n_column)
    real(rk), intent(inout) :: parcel_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(inout) :: parcel_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(inout) :: parcel_condensate(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(inout) :: condensation_pressure(:) !! [Pa] (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: levels(2)
    levels = shape(air_pressure)
    call begin_checks(ierr, errmsg)
    call check_range("retained_condensate", retained_condensate, 0.0_rk, 1.0_rk, ierr, errmsg)
    call check_shape("air_temperature", size(air_temperature), levels(2), ierr, errmsg)
    call check_shape("specific_humidity", size(specific_humidity), levels(2), ierr, errmsg)
    call check_shape("parcel_temperature", shape(parcel_temperature), levels, ierr, errmsg)
    call check_shape("parcel_humidity", shape(parcel_humidity), levels, ierr, errmsg)
    call check_shape("parcel_condensate", shape(parcel_condensate), levels, ierr, errmsg)
    call check_shape("condensation_pressure", size(condensation_pressure), levels(2), ierr, errmsg)
    call check_above_zero("air_pressure", air_pressure, ierr, errmsg)
    call check_increasing(air_pressure, ierr, errmsg)
    call check_above_zero("air_temperature", air_temperature, ierr, errmsg)
    call check_range("specific_humidity", specific_humidity, 0.0_rk, 1.0_rk, ierr, errmsg)
    if (ierr /= 0) return
    call parcel_ascent_kernel(int(levels(1), ik), int(levels(2), ik), retained_condensate, air_pressure, &
      air_temperature, specific_humidity, parcel_temperature, parcel_humidity, parcel_condensate, &
      condensation_pressure)
  end subroutine parcel_ascent

  subroutine check_increasing(air_pressure, ierr, errmsg)
    real(rk), intent(in) :: air_pressure(:, :) !! [Pa] (n_level, n_column)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: n
    if (ierr /= 0) return
    n = size(air_pressure, 1)
    if (all(air_pressure(2:, :) > air_pressure(:n - 1, :))) return
    ierr = 1
    errmsg = "argument 'air_pressure': expected values that increase from the model top, got others"
  end subroutine check_increasing
end module emagram_parcel
