!> Moist thermodynamics: elemental functions, and kernels over n points for callers that have checked.
!!
!! The twin of physics/thermodynamics.py, operation for operation; sources of the formulas stand there.
module emagram_thermodynamics_kernels
  use emagram_constants, only: gas_constant_dry_air, gas_constant_water_vapor
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: saturation_liquid, saturation_ice, saturation_mixed, vapor_pressure_of, relative_humidity_of
  public :: saturation_specific_humidity_of, specific_humidity_of, liquid_fraction_of, saturate
  public :: saturation_liquid_kernel, saturation_ice_kernel, saturation_mixed_kernel
  public :: vapor_pressure_kernel, relative_humidity_kernel, saturation_specific_humidity_kernel, saturate_kernel

  real(rk), parameter :: triple_point = 273.16_rk !! [K]
  real(rk), parameter :: freezing_point = 273.15_rk !! [K]
  real(rk), parameter :: all_ice = 253.16_rk !! [K]
  real(rk), parameter :: coldest_polynomial_ice = 185.0_rk !! [K]
  real(rk), parameter :: lowest_liquid = -80.0_rk !! [K] from the triple point
  real(rk), parameter :: lowest_ice = -100.0_rk !! [K] from the triple point
  real(rk), parameter :: epsilon = gas_constant_dry_air/gas_constant_water_vapor !! [1]

  !> [hPa K-n], n = 0 ... 8
  real(rk), parameter :: liquid(0:8) = [ &
    6.11239921_rk, 0.443987641_rk, 0.142986287e-1_rk, 0.264847430e-3_rk, 0.302950461e-5_rk, &
    0.206739458e-7_rk, 0.640689451e-10_rk, -0.952447341e-13_rk, -0.976195544e-15_rk]
  !> [hPa K-n], n = 0 ... 8
  real(rk), parameter :: ice(0:8) = [ &
    6.11147274_rk, 0.503160820_rk, 0.188439774e-1_rk, 0.420895665e-3_rk, 0.615021634e-5_rk, &
    0.602588177e-7_rk, 0.385852041e-9_rk, 0.146898966e-11_rk, 0.252751365e-14_rk]
  !> [hPa K-n], n = 0 ... 2
  real(rk), parameter :: cold_ice(0:2) = [0.00763685_rk, 0.000151069_rk, 7.48215e-07_rk]

contains

  !> Sum of coefficients(n) x**n, innermost bracket first.
  pure function horner(coefficients, x) result(total)
    real(rk), intent(in) :: coefficients(0:)
    real(rk), intent(in) :: x
    real(rk) :: total
    integer :: n
    total = coefficients(ubound(coefficients, 1))
    do n = ubound(coefficients, 1) - 1, 0, -1
      total = coefficients(n) + x*total
    end do
  end function horner

  !> Saturation vapour pressure over liquid water [Pa].
  elemental function saturation_liquid(air_temperature) result(pressure)
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk) :: pressure
    pressure = 100.0_rk*horner(liquid, max(air_temperature - triple_point, lowest_liquid))
  end function saturation_liquid

  !> Saturation vapour pressure over ice, over liquid water above freezing [Pa].
  elemental function saturation_ice(air_temperature) result(pressure)
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk) :: pressure
    if (air_temperature > freezing_point) then
      pressure = saturation_liquid(air_temperature)
    else if (air_temperature > coldest_polynomial_ice) then
      pressure = 100.0_rk*horner(ice, air_temperature - triple_point)
    else
      pressure = 100.0_rk*horner(cold_ice, max(air_temperature - triple_point, lowest_ice))
    end if
  end function saturation_ice

  !> Liquid share of cloud [1]: 0 below 253.16 K, 1 above 273.16 K.
  elemental function liquid_fraction_of(air_temperature) result(liquid_fraction)
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk) :: liquid_fraction
    liquid_fraction = min(max((air_temperature - all_ice)/(triple_point - all_ice), 0.0_rk), 1.0_rk)
  end function liquid_fraction_of

  !> Mixed-phase saturation vapour pressure [Pa], liquid above 273.16 K, ice below 253.16 K.
  elemental function saturation_mixed(air_temperature) result(pressure)
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk) :: pressure
    real(rk) :: liquid_fraction
    liquid_fraction = liquid_fraction_of(air_temperature)
    pressure = liquid_fraction*saturation_liquid(air_temperature) &
      + (1.0_rk - liquid_fraction)*saturation_ice(air_temperature)
  end function saturation_mixed

  !> Partial pressure of water vapour [Pa].
  elemental function vapor_pressure_of(air_pressure, specific_humidity) result(pressure)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1]
    real(rk) :: pressure
    pressure = air_pressure*specific_humidity/(epsilon + (1.0_rk - epsilon)*specific_humidity)
  end function vapor_pressure_of

  !> Relative humidity [1].
  elemental function relative_humidity_of(air_pressure, air_temperature, specific_humidity) result(humidity)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1]
    real(rk) :: humidity
    humidity = vapor_pressure_of(air_pressure, specific_humidity)/saturation_mixed(air_temperature)
  end function relative_humidity_of

  !> Specific humidity [kg kg-1] of air with a partial pressure of water vapour.
  elemental function specific_humidity_of(air_pressure, vapor_pressure) result(humidity)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: vapor_pressure !! [Pa]
    real(rk) :: humidity
    humidity = epsilon*vapor_pressure/(air_pressure - (1.0_rk - epsilon)*vapor_pressure)
  end function specific_humidity_of

  !> Specific humidity at mixed-phase saturation [kg kg-1]; 1, pure vapour, where the air cannot saturate.
  elemental function saturation_specific_humidity_of(air_pressure, air_temperature) result(humidity)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk) :: humidity
    real(rk) :: saturation
    saturation = min(saturation_mixed(air_temperature), air_pressure)
    humidity = specific_humidity_of(air_pressure, saturation)
  end function saturation_specific_humidity_of

  !> Sum of coefficients(n) x**n, as horner has it, and its derivative.
  pure subroutine horner_with_slope(coefficients, x, total, slope)
    real(rk), intent(in) :: coefficients(0:)
    real(rk), intent(in) :: x
    real(rk), intent(out) :: total, slope
    integer :: n
    total = coefficients(ubound(coefficients, 1))
    slope = 0.0_rk
    do n = ubound(coefficients, 1) - 1, 0, -1
      slope = total + x*slope
      total = coefficients(n) + x*total
    end do
  end subroutine horner_with_slope

  !> Saturation vapour pressure over liquid water or ice [Pa], and its slope [Pa K-1].
  pure subroutine saturation_with_slope(air_temperature, over_ice, pressure, slope)
    real(rk), intent(in) :: air_temperature !! [K]
    logical, intent(in) :: over_ice
    real(rk), intent(out) :: pressure, slope
    real(rk) :: departure
    departure = air_temperature - triple_point
    if (over_ice .and. air_temperature <= coldest_polynomial_ice) then
      call horner_with_slope(cold_ice, max(departure, lowest_ice), pressure, slope)
      if (departure < lowest_ice) slope = 0.0_rk
    else if (over_ice .and. air_temperature <= freezing_point) then
      call horner_with_slope(ice, departure, pressure, slope)
    else
      call horner_with_slope(liquid, max(departure, lowest_liquid), pressure, slope)
      if (departure < lowest_liquid) slope = 0.0_rk
    end if
    pressure = 100.0_rk*pressure
    slope = 100.0_rk*slope
  end subroutine saturation_with_slope

  !> Specific humidity at mixed-phase saturation, to the last bit that of saturation_specific_humidity_of, and its
  !! derivatives dq/dT and dq/d(ln p).
  pure subroutine saturate(air_pressure, air_temperature, humidity, slope, slope_pressure)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(out) :: humidity !! [kg kg-1]
    real(rk), intent(out) :: slope !! [kg kg-1 K-1]
    real(rk), intent(out) :: slope_pressure !! [kg kg-1]
    real(rk) :: fraction, pressure, over_liquid, over_ice, slope_liquid, slope_ice, dry
    fraction = liquid_fraction_of(air_temperature)
    over_liquid = 0.0_rk; slope_liquid = 0.0_rk; over_ice = 0.0_rk; slope_ice = 0.0_rk
    if (fraction > 0.0_rk) call saturation_with_slope(air_temperature, .false., over_liquid, slope_liquid)
    if (fraction < 1.0_rk) call saturation_with_slope(air_temperature, .true., over_ice, slope_ice)
    pressure = fraction*over_liquid + (1.0_rk - fraction)*over_ice
    slope = fraction*slope_liquid + (1.0_rk - fraction)*slope_ice
    if (fraction > 0.0_rk .and. fraction < 1.0_rk) slope = slope + (over_liquid - over_ice)/(triple_point - all_ice)
    if (pressure >= air_pressure) then
      pressure = air_pressure
      slope = 0.0_rk
    end if
    dry = air_pressure - (1.0_rk - epsilon)*pressure
    humidity = epsilon*pressure/dry
    slope = slope*epsilon*air_pressure/dry**2
    slope_pressure = -humidity*air_pressure/dry
    if (pressure >= air_pressure) slope_pressure = 0.0_rk
  end subroutine saturate

  pure subroutine saturation_liquid_kernel(n, air_temperature, pressure) &
    bind(c, name="emagram_saturation_liquid_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: air_temperature(n) !! [K]
    real(rk), intent(out) :: pressure(n) !! [Pa]
    pressure = saturation_liquid(air_temperature)
  end subroutine saturation_liquid_kernel

  pure subroutine saturation_ice_kernel(n, air_temperature, pressure) &
    bind(c, name="emagram_saturation_ice_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: air_temperature(n) !! [K]
    real(rk), intent(out) :: pressure(n) !! [Pa]
    pressure = saturation_ice(air_temperature)
  end subroutine saturation_ice_kernel

  pure subroutine saturation_mixed_kernel(n, air_temperature, pressure) &
    bind(c, name="emagram_saturation_mixed_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: air_temperature(n) !! [K]
    real(rk), intent(out) :: pressure(n) !! [Pa]
    pressure = saturation_mixed(air_temperature)
  end subroutine saturation_mixed_kernel

  pure subroutine vapor_pressure_kernel(n, air_pressure, specific_humidity, pressure) &
    bind(c, name="emagram_vapor_pressure_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: air_pressure(n) !! [Pa]
    real(rk), intent(in) :: specific_humidity(n) !! [kg kg-1]
    real(rk), intent(out) :: pressure(n) !! [Pa]
    pressure = vapor_pressure_of(air_pressure, specific_humidity)
  end subroutine vapor_pressure_kernel

  pure subroutine relative_humidity_kernel(n, air_pressure, air_temperature, specific_humidity, humidity) &
    bind(c, name="emagram_relative_humidity_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: air_pressure(n) !! [Pa]
    real(rk), intent(in) :: air_temperature(n) !! [K]
    real(rk), intent(in) :: specific_humidity(n) !! [kg kg-1]
    real(rk), intent(out) :: humidity(n) !! [1]
    humidity = relative_humidity_of(air_pressure, air_temperature, specific_humidity)
  end subroutine relative_humidity_kernel

  pure subroutine saturation_specific_humidity_kernel(n, air_pressure, air_temperature, humidity) &
    bind(c, name="emagram_saturation_specific_humidity_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: air_pressure(n) !! [Pa]
    real(rk), intent(in) :: air_temperature(n) !! [K]
    real(rk), intent(out) :: humidity(n) !! [kg kg-1]
    humidity = saturation_specific_humidity_of(air_pressure, air_temperature)
  end subroutine saturation_specific_humidity_kernel

  pure subroutine saturate_kernel(n, air_pressure, air_temperature, humidity, slope, slope_pressure) &
    bind(c, name="emagram_saturate_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: air_pressure(n) !! [Pa]
    real(rk), intent(in) :: air_temperature(n) !! [K]
    real(rk), intent(out) :: humidity(n) !! [kg kg-1]
    real(rk), intent(out) :: slope(n) !! [kg kg-1 K-1]
    real(rk), intent(out) :: slope_pressure(n) !! [kg kg-1]
    integer(ik) :: i
    do i = 1, n
      call saturate(air_pressure(i), air_temperature(i), humidity(i), slope(i), slope_pressure(i))
    end do
  end subroutine saturate_kernel
end module emagram_thermodynamics_kernels
