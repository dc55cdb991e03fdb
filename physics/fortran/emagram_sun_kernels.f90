!> Sunlight at the top of the atmosphere, averaged over a time step: functions, and a kernel for checked arguments.
!!
!! The sun's longitude λ follows from Kepler's equation; sin δ = sin ε sin λ gives its declination δ, and cos ζ = sin
!! φ sin δ + cos φ cos δ cos h the zenith angle at latitude φ and hour angle h. Days are mean solar days: the equation
!! of time is left out, as climate models do.
!! Source: Berger 1978, doi:10.1175/1520-0469(1978)035<2362:LTVODI>2.0.CO;2
module emagram_sun_kernels
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: sun_parameters, sun_kernel, solar_position, mean_cosine_of_zenith_angle

  real(rk), parameter :: pi = acos(-1.0_rk)
  real(rk), parameter :: radians = pi/180.0_rk !! [degree-1]
  real(rk), parameter :: seconds_per_day = 86400.0_rk !! [s]

  !> The orbit today, and the calendar.
  type, bind(c) :: sun_parameters
    real(rk) :: solar_irradiance = 1361.0_rk !! [W m-2] at the mean distance
    real(rk) :: obliquity = 23.44_rk !! [degree]
    real(rk) :: eccentricity = 0.0167_rk !! [1]
    real(rk) :: longitude_of_perihelion = 282.9_rk !! [degree] of the sun, from the March equinox
    real(rk) :: days_per_year = 365.0_rk !! [day]
    real(rk) :: day_of_equinox = 79.5_rk !! [day] of the March equinox, from the beginning of the year
  end type sun_parameters

contains

  !> Mean over the step of max(cos ζ, 0), and of the irradiance through the horizontal top.
  pure subroutine sun_kernel(n_column, parameters, day, dt, latitude, longitude, cosine_of_solar_zenith_angle, &
    toa_incoming_shortwave_flux) bind(c, name="emagram_sun_kernel")
    integer(ik), intent(in), value :: n_column
    type(sun_parameters), intent(in) :: parameters
    real(rk), intent(in), value :: day !! [day] of the middle of the step, from the beginning of a year, in UTC
    real(rk), intent(in), value :: dt !! [s] time step
    real(rk), intent(in) :: latitude(n_column) !! [degree_north]
    real(rk), intent(in) :: longitude(n_column) !! [degree_east]
    real(rk), intent(out) :: cosine_of_solar_zenith_angle(n_column) !! [1]
    real(rk), intent(out) :: toa_incoming_shortwave_flux(n_column) !! [W m-2]
    real(rk) :: declination, squared_inverse_distance, hour_angle
    integer :: i
    call solar_position(parameters, day, declination, squared_inverse_distance)
    do i = 1, n_column
      hour_angle = 2.0_rk*pi*(modulo(day, 1.0_rk) - 0.5_rk) + radians*longitude(i)
      cosine_of_solar_zenith_angle(i) = mean_cosine_of_zenith_angle(radians*latitude(i), declination, hour_angle, &
        2.0_rk*pi*dt/seconds_per_day)
      toa_incoming_shortwave_flux(i) = parameters%solar_irradiance*squared_inverse_distance &
        *cosine_of_solar_zenith_angle(i)
    end do
  end subroutine sun_kernel

  !> Declination δ [rad], and (mean distance/distance)² [1].
  pure subroutine solar_position(parameters, day, declination, squared_inverse_distance)
    type(sun_parameters), intent(in) :: parameters
    real(rk), intent(in) :: day !! [day] from the beginning of a year
    real(rk), intent(out) :: declination !! [rad]
    real(rk), intent(out) :: squared_inverse_distance !! [1]
    real(rk) :: anomaly_at_equinox, mean_anomaly, true_anomaly
    associate (e => parameters%eccentricity, perihelion => radians*parameters%longitude_of_perihelion)
      anomaly_at_equinox = mean_anomaly_of(-perihelion, e)
      mean_anomaly = anomaly_at_equinox + 2.0_rk*pi*(day - parameters%day_of_equinox)/parameters%days_per_year
      true_anomaly = true_anomaly_of(mean_anomaly, e)
      declination = asin(sin(radians*parameters%obliquity)*sin(true_anomaly + perihelion))
      squared_inverse_distance = ((1.0_rk + e*cos(true_anomaly))/(1.0_rk - e**2))**2
    end associate
  end subroutine solar_position

  !> Kepler's equation, M = E − e sin E, with tan(E/2) = √((1 − e)/(1 + e)) tan(ν/2) [rad].
  pure function mean_anomaly_of(true_anomaly, e) result(mean_anomaly)
    real(rk), intent(in) :: true_anomaly !! [rad] ν
    real(rk), intent(in) :: e !! [1] eccentricity
    real(rk) :: mean_anomaly
    real(rk) :: eccentric_anomaly
    eccentric_anomaly = 2.0_rk*atan2(sqrt(1.0_rk - e)*sin(0.5_rk*true_anomaly), &
      sqrt(1.0_rk + e)*cos(0.5_rk*true_anomaly))
    mean_anomaly = eccentric_anomaly - e*sin(eccentric_anomaly)
  end function mean_anomaly_of

  !> The inverse, by Newton's method [rad]; five steps reach rounding for e up to 0.3.
  pure function true_anomaly_of(mean_anomaly, e) result(true_anomaly)
    real(rk), intent(in) :: mean_anomaly !! [rad]
    real(rk), intent(in) :: e !! [1] eccentricity
    real(rk) :: true_anomaly
    real(rk) :: eccentric_anomaly
    integer :: step
    eccentric_anomaly = mean_anomaly + e*sin(mean_anomaly)
    do step = 1, 5
      eccentric_anomaly = eccentric_anomaly - (eccentric_anomaly - e*sin(eccentric_anomaly) - mean_anomaly) &
        /(1.0_rk - e*cos(eccentric_anomaly))
    end do
    true_anomaly = 2.0_rk*atan2(sqrt(1.0_rk + e)*sin(0.5_rk*eccentric_anomaly), &
      sqrt(1.0_rk - e)*cos(0.5_rk*eccentric_anomaly))
  end function true_anomaly_of

  !> Mean of max(cos ζ, 0) over an interval of hour angle [1], by integration over the part of each day it shares.
  pure function mean_cosine_of_zenith_angle(latitude, declination, hour_angle, width) result(cosine)
    real(rk), intent(in) :: latitude !! [rad]
    real(rk), intent(in) :: declination !! [rad]
    real(rk), intent(in) :: hour_angle !! [rad] of the middle of the interval, 0 at noon
    real(rk), intent(in) :: width !! [rad] of the interval, above 0
    real(rk) :: cosine
    real(rk) :: constant, amplitude, half_day, first, last, rise, set
    integer :: turn
    constant = sin(latitude)*sin(declination)
    amplitude = cos(latitude)*cos(declination)
    if (constant >= amplitude) then
      half_day = pi ! polar day
    else if (constant <= -amplitude) then
      half_day = 0.0_rk ! polar night
    else
      half_day = acos(-constant/amplitude)
    end if
    first = hour_angle - 0.5_rk*width
    last = hour_angle + 0.5_rk*width
    cosine = 0.0_rk
    do turn = nint(first/(2.0_rk*pi)), nint(last/(2.0_rk*pi))
      rise = max(first - 2.0_rk*pi*turn, -half_day)
      set = min(last - 2.0_rk*pi*turn, half_day)
      if (set <= rise) cycle
      ! sin(set) − sin(rise), without its cancellation in short steps
      cosine = cosine + constant*(set - rise) &
        + 2.0_rk*amplitude*cos(0.5_rk*(set + rise))*sin(0.5_rk*(set - rise))
    end do
    cosine = min(max(cosine/width, 0.0_rk), 1.0_rk)
  end function mean_cosine_of_zenith_angle
end module emagram_sun_kernels
