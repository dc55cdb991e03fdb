!> Cloud and precipitation of a column, for callers that have checked.
!!
!! Level 1 is the model top. From the top downwards, in each layer of mass m = dp/g:
!!   1. precipitation melts above 273.16 K, or freezes below, by what relaxes the layer to it:
!!      Lf melt = cp (T - T0) (1 - exp(-dt/tau_m)) m/dt, at most what there is;
!!   2. saturation adjustment at constant pressure: cp T + (Lv+Lf) qv + Lf ql and qv + ql + qi are kept,
!!      qv = min(q_s(T), total), and the condensate is liquid for the share w(T), both of the new T;
!!   3. cloud q_c becomes precipitation, q_c (1 - exp(-r dt)), in the phases of the cloud, with
!!      r = (w/tau_l + (1-w)/tau_i) (1 + C sqrt(F)) (1 - exp(-(q_c/q*)**2)), q* = w q*_l + (1-w) q*_i,
!!      F the precipitation that falls in;
!!   4. where no cloud is, precipitation evaporates in the ratio of rain and snow, x = k sqrt(F) dt (1 - RH) at the
!!      new RH, at most what there is.
!! What falls out of a layer falls into the next within the step. Rain carries Lf, and neither carries other heat:
!!   (dqv + dql + dqi) m = -(F_out - F_in),  (cp dT + (Lv+Lf) dqv + Lf dql) m = -Lf (rain_out - rain_in).
!! Source: 3 and 4 after Sundqvist, Berge and Kristjansson 1989,
!!   doi:10.1175/1520-0493(1989)117<1641:CACPSW>2.0.CO;2, with cloud that covers the layer; w(T) as ClimSim has it.
module emagram_microphysics_kernels
  use emagram_constants, only: gravity, heat_capacity_dry_air, latent_heat_fusion, latent_heat_vaporization
  use emagram_kinds, only: ik, rk
  use emagram_thermodynamics_kernels, only: liquid_fraction_of, saturate
  implicit none (type, external)
  private
  public :: microphysics_parameters, microphysics_kernel

  !> What a host may set.
  type, bind(c) :: microphysics_parameters
    real(rk) :: liquid_time = 5000.0_rk !! [s] in which cloud liquid becomes precipitation
    real(rk) :: liquid_threshold = 3.0e-4_rk !! [kg kg-1] of cloud liquid for that
    real(rk) :: ice_time = 3600.0_rk !! [s] in which cloud ice becomes precipitation
    real(rk) :: ice_threshold = 1.0e-6_rk !! [kg kg-1] of cloud ice for that
    real(rk) :: collection = 100.0_rk !! [(kg m-2 s-1)**-1/2] growth of conversion with falling precipitation
    real(rk) :: evaporation = 1.0e-5_rk !! [s-1 (kg m-2 s-1)**-1/2] of precipitation in dry air
    real(rk) :: melting_time = 1800.0_rk !! [s] of snow above freezing, and of rain below for freezing
  end type microphysics_parameters

  !> The layer at hand, and what falls through it.
  type :: layer
    real(rk) :: pressure !! [Pa]
    real(rk) :: mass !! [kg m-2]
    real(rk) :: temperature !! [K]
    real(rk) :: vapor, liquid, ice !! [kg kg-1]
    real(rk) :: rain, snow !! [kg m-2 s-1] at its top, then at its bottom
    real(rk) :: rain_gain !! [kg m-2 s-1] the difference
    real(rk) :: precipitation_gain !! [kg m-2 s-1] the difference of rain and snow
    real(rk) :: liquid_loss, ice_loss !! [kg kg-1] to precipitation
  end type layer

  real(rk), parameter :: latent_heat_sublimation = latent_heat_vaporization + latent_heat_fusion !! [J kg-1]
  real(rk), parameter :: melting_point = 273.16_rk !! [K]
  real(rk), parameter :: mixed_width = 20.0_rk !! [K] below it, in which cloud is liquid and ice

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
    type(layer) :: air
    integer(ik) :: i, k
    do i = 1, n_column
      rain(1, i) = 0.0_rk
      snow(1, i) = 0.0_rk
      do k = 1, n_level
        air = layer(0.5_rk*(pressure_interface(k, i) + pressure_interface(k + 1, i)), &
          (pressure_interface(k + 1, i) - pressure_interface(k, i))/gravity, air_temperature(k, i), &
          specific_humidity(k, i), cloud_liquid(k, i), cloud_ice(k, i), rain(k, i), snow(k, i), 0.0_rk, 0.0_rk, &
          0.0_rk, 0.0_rk)
        call melt(air, dt, parameters%melting_time)
        call adjust(air%pressure, air%temperature, air%vapor, air%liquid, air%ice)
        if (air%liquid + air%ice > 0.0_rk) then
          call convert(air, dt, parameters)
        else if (rain(k, i) + snow(k, i) > 0.0_rk) then
          call evaporate(air, dt, parameters%evaporation)
        end if
        rain(k + 1, i) = air%rain
        snow(k + 1, i) = air%snow
        rate_liquid(k, i) = rate_to(cloud_liquid(k, i), air%liquid, air%liquid_loss, dt)
        rate_ice(k, i) = rate_to(cloud_ice(k, i), air%ice, air%ice_loss, dt)
        rate_humidity(k, i) = -(rate_liquid(k, i) + rate_ice(k, i)) - air%precipitation_gain/air%mass
        rate_temperature(k, i) = -(latent_heat_sublimation*rate_humidity(k, i) &
          + latent_heat_fusion*(rate_liquid(k, i) + air%rain_gain/air%mass))/heat_capacity_dry_air
      end do
    end do
  end subroutine microphysics_kernel

  !> Rate from old to new, less a loss, that leaves nothing negative when multiplied by dt and added to old.
  elemental function rate_to(old, new, loss, dt) result(rate)
    real(rk), intent(in) :: old, new, loss !! [kg kg-1]
    real(rk), intent(in) :: dt !! [s]
    real(rk) :: rate
    rate = ((new - old) - loss)/dt
    if (old >= 0.0_rk .and. old + rate*dt < 0.0_rk) rate = -old/dt*(1.0_rk - 2.0_rk*epsilon(dt))
  end function rate_to

  !> Snow melts in a warm layer, rain freezes in a cold one; neither passes the melting point.
  pure subroutine melt(air, dt, melting_time)
    type(layer), intent(inout) :: air
    real(rk), intent(in) :: dt, melting_time !! [s]
    real(rk) :: melting
    if (air%rain + air%snow <= 0.0_rk) return
    melting = heat_capacity_dry_air*(air%temperature - melting_point)*(1.0_rk - exp(-dt/melting_time))*air%mass &
      /(latent_heat_fusion*dt)
    melting = max(min(melting, air%snow), -air%rain)
    air%rain = air%rain + melting
    air%snow = air%snow - melting
    air%rain_gain = melting
    air%temperature = air%temperature - latent_heat_fusion*melting*dt/(heat_capacity_dry_air*air%mass)
  end subroutine melt

  !> Saturation adjustment; without cloud and below saturation no water changes, not a bit.
  !!
  !! First all cloud evaporates; where that leaves more vapour than saturation, the temperature above it is found
  !! where the energy of saturated air is what there is.
  pure subroutine adjust(air_pressure, air_temperature, vapor, liquid, ice)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(inout) :: air_temperature !! [K]
    real(rk), intent(inout) :: vapor, liquid, ice !! [kg kg-1]
    real(rk) :: total, energy, clear, excess, slope, saturation
    total = vapor + liquid + ice
    energy = heat_capacity_dry_air*air_temperature + latent_heat_sublimation*vapor + latent_heat_fusion*liquid
    clear = (energy - latent_heat_sublimation*total)/heat_capacity_dry_air
    call saturated_excess(air_pressure, clear, total, energy, excess, slope, saturation)
    if (saturation >= total) then
      air_temperature = clear
      vapor = total
      liquid = 0.0_rk
      ice = 0.0_rk
      return
    end if
    call solve_temperature(air_pressure, total, energy, clear, air_temperature)
    call saturated_excess(air_pressure, air_temperature, total, energy, excess, slope, saturation)
    vapor = min(saturation, total)
    liquid = liquid_fraction_of(air_temperature)*(total - vapor)
    ice = (total - vapor) - liquid
  end subroutine adjust

  !> Temperature of saturated air with an energy, between the clear one and energy/cp, from a guess.
  !!
  !! Newton's method; bisection where that leaves the bounds or does not halve its step.
  pure subroutine solve_temperature(air_pressure, total, energy, clear, air_temperature)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: total !! [kg kg-1] water
    real(rk), intent(in) :: energy !! [J kg-1]
    real(rk), intent(in) :: clear !! [K]
    real(rk), intent(inout) :: air_temperature !! [K]
    integer, parameter :: most = 200
    real(rk), parameter :: converged = 1.0e-10_rk !! [K] of a step of second order
    real(rk) :: lower, upper, step, before, excess, slope, saturation
    integer :: i
    lower = clear
    upper = energy/heat_capacity_dry_air
    before = upper - lower
    do i = 1, most
      call saturated_excess(air_pressure, air_temperature, total, energy, excess, slope, saturation)
      if (excess > 0.0_rk) upper = air_temperature
      if (excess <= 0.0_rk) lower = air_temperature
      step = 0.5_rk*(lower + upper) - air_temperature
      if (2.0_rk*abs(excess) <= before*slope) step = -excess/slope
      if (air_temperature + step < lower .or. air_temperature + step > upper) then
        step = 0.5_rk*(lower + upper) - air_temperature
      end if
      air_temperature = air_temperature + step
      before = abs(step)
      if (before < converged) exit
    end do
  end subroutine solve_temperature

  !> Energy of saturated air, cp T + (Lv+Lf) q_s + Lf w (total - q_s), above what there is [J kg-1], and its slope with
  !! temperature [J kg-1 K-1].
  pure subroutine saturated_excess(air_pressure, air_temperature, total, energy, excess, slope, saturation)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: total !! [kg kg-1] water
    real(rk), intent(in) :: energy !! [J kg-1]
    real(rk), intent(out) :: excess, slope
    real(rk), intent(out) :: saturation !! [kg kg-1]
    real(rk) :: fraction, slope_saturation, slope_pressure
    call saturate(air_pressure, air_temperature, saturation, slope_saturation, slope_pressure)
    fraction = liquid_fraction_of(air_temperature)
    excess = heat_capacity_dry_air*air_temperature + latent_heat_sublimation*saturation &
      + latent_heat_fusion*fraction*(total - saturation) - energy
    slope = heat_capacity_dry_air + (latent_heat_sublimation - latent_heat_fusion*fraction)*slope_saturation
    if (fraction > 0.0_rk .and. fraction < 1.0_rk) slope = slope + latent_heat_fusion*(total - saturation)/mixed_width
  end subroutine saturated_excess

  !> Cloud becomes precipitation.
  pure subroutine convert(air, dt, parameters)
    type(layer), intent(inout) :: air
    real(rk), intent(in) :: dt !! [s]
    type(microphysics_parameters), intent(in) :: parameters
    real(rk) :: cloud, fraction, rate, threshold, share
    cloud = air%liquid + air%ice
    fraction = air%liquid/cloud
    threshold = fraction*parameters%liquid_threshold + (1.0_rk - fraction)*parameters%ice_threshold
    rate = (fraction/parameters%liquid_time + (1.0_rk - fraction)/parameters%ice_time) &
      *(1.0_rk + parameters%collection*sqrt(air%rain + air%snow))*(1.0_rk - exp(-(cloud/threshold)**2))
    share = 1.0_rk - exp(-rate*dt)
    air%liquid_loss = share*air%liquid
    air%ice_loss = share*air%ice
    air%rain = air%rain + air%liquid_loss*air%mass/dt
    air%snow = air%snow + air%ice_loss*air%mass/dt
    air%rain_gain = air%rain_gain + air%liquid_loss*air%mass/dt
    air%precipitation_gain = (air%liquid_loss + air%ice_loss)*air%mass/dt
  end subroutine convert

  !> Precipitation evaporates into air below saturation, and does not saturate it.
  pure subroutine evaporate(air, dt, coefficient)
    type(layer), intent(inout) :: air
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: coefficient !! [s-1 (kg m-2 s-1)**-1/2]
    real(rk), parameter :: nearly = 1.0_rk - 1.0e-6_rk
    real(rk) :: falling, rain_share, latent_heat, strength, evaporated, saturation, slope, slope_pressure
    falling = air%rain + air%snow
    rain_share = air%rain/falling
    latent_heat = latent_heat_sublimation - rain_share*latent_heat_fusion
    call saturate(air%pressure, air%temperature, saturation, slope, slope_pressure)
    if (air%vapor >= nearly*saturation) return
    strength = coefficient*sqrt(falling)*dt
    evaporated = strength*(nearly*saturation - air%vapor) &
      /(saturation + strength*(1.0_rk + latent_heat/heat_capacity_dry_air*slope))
    evaporated = min(evaporated, falling*dt/air%mass)
    call keep_below_saturation(air, latent_heat, evaporated)
    falling = min(evaporated*air%mass/dt, falling)
    air%precipitation_gain = -falling
    air%rain_gain = air%rain_gain - rain_share*falling
    air%rain = max(air%rain - rain_share*falling, 0.0_rk)
    air%snow = max(air%snow - (1.0_rk - rain_share)*falling, 0.0_rk)
  end subroutine evaporate

  !> Halve what evaporates until the cooled layer holds it: where saturation is not convex, in thin air.
  pure subroutine keep_below_saturation(air, latent_heat, evaporated)
    type(layer), intent(in) :: air
    real(rk), intent(in) :: latent_heat !! [J kg-1]
    real(rk), intent(inout) :: evaporated !! [kg kg-1]
    integer, parameter :: most = 60
    real(rk) :: saturation, slope, slope_pressure
    integer :: i
    do i = 1, most
      call saturate(air%pressure, air%temperature - latent_heat*evaporated/heat_capacity_dry_air, saturation, slope, &
        slope_pressure)
      if (air%vapor + evaporated <= saturation) return
      evaporated = 0.5_rk*evaporated
    end do
    evaporated = 0.0_rk
  end subroutine keep_below_saturation
end module emagram_microphysics_kernels
