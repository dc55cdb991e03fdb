!> Sunlight at the top of the atmosphere: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_sun
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_range, check_shape
  use emagram_kinds, only: ik, rk
  use emagram_sun_kernels, only: sun_kernel, sun_parameters
  implicit none (type, external)
  private
  public :: sun

contains

  !> Mean over the step of max(cos ζ, 0), and of the irradiance through the horizontal top.
  subroutine sun(day, dt, solar_irradiance, obliquity, eccentricity, longitude_of_perihelion, days_per_year, &
    day_of_equinox, latitude, longitude, cosine_of_solar_zenith_angle, toa_incoming_shortwave_flux, ierr, errmsg)
    real(rk), intent(in) :: day !! [day] of the middle of the step, from the beginning of a year, in UTC
    real(rk), intent(in) :: dt !! [s] time step
    real(rk), intent(in) :: solar_irradiance !! [W m-2]
    real(rk), intent(in) :: obliquity !! [degree]
    real(rk), intent(in) :: eccentricity !! [1]
    real(rk), intent(in) :: longitude_of_perihelion !! [degree]
    real(rk), intent(in) :: days_per_year !! [day]
    real(rk), intent(in) :: day_of_equinox !! [day]
    real(rk), intent(in) :: latitude(:) !! [degree_north] (n_column)
    real(rk), intent(in) :: longitude(:) !! [degree_east] (n_column)
    real(rk), intent(inout) :: cosine_of_solar_zenith_angle(:) !! [1] (n_column)
    real(rk), intent(inout) :: toa_incoming_shortwave_flux(:) !! [W m-2] (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: n_column
    n_column = size(latitude)
    call begin_checks(ierr, errmsg)
    call check_shape("longitude", size(longitude), n_column, ierr, errmsg)
    call check_shape("cosine_of_solar_zenith_angle", size(cosine_of_solar_zenith_angle), n_column, ierr, errmsg)
    call check_shape("toa_incoming_shortwave_flux", size(toa_incoming_shortwave_flux), n_column, ierr, errmsg)
    call check_finite("day", [day], ierr, errmsg)
    call check_above_zero("time_step", [dt], ierr, errmsg)
    call check_range("solar_irradiance", solar_irradiance, 0.0_rk, 1.0e5_rk, ierr, errmsg)
    call check_range("obliquity", obliquity, 0.0_rk, 90.0_rk, ierr, errmsg)
    call check_range("eccentricity", eccentricity, 0.0_rk, 0.3_rk, ierr, errmsg)
    call check_range("longitude_of_perihelion", longitude_of_perihelion, 0.0_rk, 360.0_rk, ierr, errmsg)
    call check_above_zero("days_per_year", [days_per_year], ierr, errmsg)
    call check_finite("day_of_equinox", [day_of_equinox], ierr, errmsg)
    call check_range("latitude", latitude, -90.0_rk, 90.0_rk, ierr, errmsg)
    call check_range("longitude", longitude, -360.0_rk, 360.0_rk, ierr, errmsg)
    if (ierr /= 0) return
    call sun_kernel(int(n_column, ik), sun_parameters(solar_irradiance, obliquity, eccentricity, &
      longitude_of_perihelion, days_per_year, day_of_equinox), day, dt, latitude, longitude, &
      cosine_of_solar_zenith_angle, toa_incoming_shortwave_flux)
  end subroutine sun
end module emagram_sun
