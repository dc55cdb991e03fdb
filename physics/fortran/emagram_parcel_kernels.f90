!> Ascent of an air parcel, for callers that have checked.
!!
!! Dry adiabatic to its lifting condensation level, saturated above, where the share chi of what condenses stays in
!! the parcel: 0 is the pseudoadiabatic and 1 the reversible ascent. With L = Lv + (1 - w) Lf, w(T) the liquid share
!! of cloud, and the condensate q_c = chi (q_0 - q_s) that freezes as the parcel cools,
!!   cp dT + L dq_s + Lf q_c dw = Rd T d(ln p).
module emagram_parcel_kernels
  use emagram_constants, only: gas_constant_dry_air, gas_constant_water_vapor, heat_capacity_dry_air, &
    latent_heat_fusion, latent_heat_vaporization
  use emagram_kinds, only: ik, rk
  use emagram_thermodynamics_kernels, only: liquid_fraction_of, saturate
  implicit none (type, external)
  private
  public :: parcel, new_parcel, lift, virtual_temperature_of, parcel_ascent_kernel

  !> A parcel and where it condenses.
  type :: parcel
    real(rk) :: pressure !! [Pa]
    real(rk) :: temperature !! [K]
    real(rk) :: humidity !! [kg kg-1] vapour
    real(rk) :: condensate !! [kg kg-1] that stayed in it
    real(rk) :: condensation_pressure !! [Pa], 0 where it never condenses
    real(rk) :: water !! [kg kg-1] at the start
    real(rk) :: retained !! [1] chi
  end type parcel

  real(rk), parameter :: kappa = gas_constant_dry_air/heat_capacity_dry_air !! [1]
  real(rk), parameter :: all_liquid = 273.16_rk, all_ice = 253.16_rk !! [K] the mixed phase is between
  real(rk), parameter :: largest_step = 0.05_rk !! [1] in ln p, of the integration
  real(rk), parameter :: coldest = 180.0_rk !! [K] where a parcel may condense: the polynomials jump and end below

contains

  !> A parcel at rest; what exceeds saturation has condensed without heating it.
  pure function new_parcel(air_pressure, air_temperature, specific_humidity, retained) result(new)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1]
    real(rk), intent(in) :: retained !! [1]
    type(parcel) :: new
    real(rk) :: saturation, slope, slope_pressure
    new%pressure = air_pressure
    new%temperature = air_temperature
    new%water = max(specific_humidity, 0.0_rk)
    new%retained = retained
    call saturate(air_pressure, air_temperature, saturation, slope, slope_pressure)
    new%humidity = min(saturation, new%water)
    new%condensate = retained*(new%water - new%humidity)
    new%condensation_pressure = condensation_pressure_of(air_pressure, air_temperature, new%humidity)
  end function new_parcel

  !> Pressure at which air lifted dry adiabatically saturates, at most its own; 0 where it does not above 180 K.
  !!
  !! Newton's method, kept between bounds, for ln(q_s(T exp(kappa x), p exp(x)) / q) = 0 with x = ln(p_c / p).
  pure function condensation_pressure_of(air_pressure, air_temperature, specific_humidity) result(pressure)
    real(rk), intent(in) :: air_pressure !! [Pa]
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1] at most that of saturation
    real(rk) :: pressure
    integer, parameter :: most = 60
    real(rk) :: x, next, lower, upper, departure, gradient
    integer :: i
    pressure = 0.0_rk
    if (specific_humidity <= 0.0_rk .or. air_temperature <= coldest) return
    lower = log(coldest/air_temperature)/kappa
    upper = 0.0_rk
    call subsaturation(air_pressure, air_temperature, specific_humidity, lower, departure, gradient)
    if (departure > 0.0_rk) return
    x = upper
    do i = 1, most
      call subsaturation(air_pressure, air_temperature, specific_humidity, x, departure, gradient)
      if (departure > 0.0_rk) upper = x
      if (departure <= 0.0_rk) lower = x
      next = 0.5_rk*(lower + upper)
      if (gradient > 0.0_rk) next = x - departure/gradient
      if (next < lower .or. next > upper) next = 0.5_rk*(lower + upper)
      if (abs(next - x) < 1.0e-13_rk) exit
      x = next
    end do
    pressure = air_pressure*exp(x)
  end function condensation_pressure_of

  !> ln(q_s / q) of air lifted to p exp(x), and its derivative with x.
  pure subroutine subsaturation(air_pressure, air_temperature, specific_humidity, x, departure, gradient)
    real(rk), intent(in) :: air_pressure, air_temperature, specific_humidity, x
    real(rk), intent(out) :: departure, gradient
    real(rk) :: lifted, saturation, slope, slope_pressure
    lifted = air_temperature*exp(kappa*x)
    call saturate(air_pressure*exp(x), lifted, saturation, slope, slope_pressure)
    departure = log(saturation/specific_humidity)
    gradient = (kappa*lifted*slope + slope_pressure)/saturation
  end subroutine subsaturation

  !> Take a parcel up to a lower pressure.
  pure subroutine lift(raised, to_pressure)
    type(parcel), intent(inout) :: raised
    real(rk), intent(in) :: to_pressure !! [Pa]
    real(rk) :: dry_pressure, saturation, slope, slope_pressure
    dry_pressure = min(max(raised%condensation_pressure, to_pressure), raised%pressure)
    if (dry_pressure < raised%pressure) then
      raised%temperature = raised%temperature*(dry_pressure/raised%pressure)**kappa
      raised%pressure = dry_pressure
    end if
    if (to_pressure >= raised%pressure) return
    call lift_saturated(raised, to_pressure)
    call saturate(raised%pressure, raised%temperature, saturation, slope, slope_pressure)
    raised%humidity = min(saturation, raised%water)
    raised%condensate = raised%retained*(raised%water - raised%humidity)
  end subroutine lift

  !> Runge-Kutta steps of fourth order in ln p, that end where the lapse rate jumps: where cloud begins to freeze and
  !! where all of it is ice.
  pure subroutine lift_saturated(raised, to_pressure)
    type(parcel), intent(inout) :: raised
    real(rk), intent(in) :: to_pressure !! [Pa]
    real(rk) :: here, there, step, cooler, coolest, boundary
    here = log(raised%pressure)
    there = log(to_pressure)
    do while (here > there)
      step = max(there - here, -largest_step)
      call step_up(raised, here, step, cooler, coolest)
      boundary = next_boundary(raised%temperature)
      if (coolest >= boundary) then
        raised%temperature = cooler
        if (there - here >= -largest_step) exit
        here = here + step
      else
        call step_to_temperature(raised, here, boundary)
      end if
    end do
    ! the step to a boundary may end a little above
    if (here < there) raised%temperature = raised%temperature &
      + (there - here)*saturated_lapse(raised, here, raised%temperature)
    raised%pressure = to_pressure
  end subroutine lift_saturated

  !> Temperature [K] at or below the given where the lapse rate jumps next; 0 below the last.
  pure function next_boundary(air_temperature) result(boundary)
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk) :: boundary
    boundary = 0.0_rk
    if (air_temperature > all_ice) boundary = all_ice
    if (air_temperature > all_liquid) boundary = all_liquid
  end function next_boundary

  !> One step in ln p: the temperature there, and the lowest that the step has looked at.
  pure subroutine step_up(raised, here, step, cooler, coolest)
    type(parcel), intent(in) :: raised
    real(rk), intent(in) :: here, step !! ln p
    real(rk), intent(out) :: cooler, coolest !! [K]
    real(rk) :: k1, k2, k3, k4, start
    start = raised%temperature
    k1 = saturated_lapse(raised, here, start)
    k2 = saturated_lapse(raised, here + 0.5_rk*step, start + 0.5_rk*step*k1)
    k3 = saturated_lapse(raised, here + 0.5_rk*step, start + 0.5_rk*step*k2)
    k4 = saturated_lapse(raised, here + step, start + step*k3)
    cooler = start + step*(k1 + 2.0_rk*(k2 + k3) + k4)/6.0_rk
    coolest = min(cooler, start + step*k3)
  end subroutine step_up

  !> One step in temperature, of ln p, to a boundary, and over it.
  pure subroutine step_to_temperature(raised, here, boundary)
    type(parcel), intent(inout) :: raised
    real(rk), intent(inout) :: here !! ln p
    real(rk), intent(in) :: boundary !! [K]
    real(rk), parameter :: margin = 1.0e-9_rk !! [K] to evaluate on one side
    real(rk) :: step, start, k1, k2, k3, k4
    start = raised%temperature
    step = boundary + margin - start
    k1 = 1.0_rk/saturated_lapse(raised, here, start)
    k2 = 1.0_rk/saturated_lapse(raised, here + 0.5_rk*step*k1, start + 0.5_rk*step)
    k3 = 1.0_rk/saturated_lapse(raised, here + 0.5_rk*step*k2, start + 0.5_rk*step)
    k4 = 1.0_rk/saturated_lapse(raised, here + step*k3, start + step)
    here = here + step*(k1 + 2.0_rk*(k2 + k3) + k4)/6.0_rk
    raised%temperature = boundary - margin
  end subroutine step_to_temperature

  !> dT/d(ln p) [K] of the saturated parcel.
  pure function saturated_lapse(raised, log_pressure, air_temperature) result(lapse)
    type(parcel), intent(in) :: raised
    real(rk), intent(in) :: log_pressure !! ln p
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk) :: lapse
    real(rk) :: liquid, latent_heat, saturation, slope, slope_pressure, capacity
    liquid = liquid_fraction_of(air_temperature)
    latent_heat = latent_heat_vaporization + (1.0_rk - liquid)*latent_heat_fusion
    call saturate(exp(log_pressure), air_temperature, saturation, slope, slope_pressure)
    capacity = heat_capacity_dry_air + latent_heat*slope
    if (liquid > 0.0_rk .and. liquid < 1.0_rk) capacity = capacity &
      + latent_heat_fusion*raised%retained*max(raised%water - saturation, 0.0_rk)/(all_liquid - all_ice)
    lapse = (gas_constant_dry_air*air_temperature - latent_heat*slope_pressure)/capacity
  end function saturated_lapse

  !> Virtual temperature [K] of air that carries condensate.
  elemental function virtual_temperature_of(air_temperature, specific_humidity, condensate) result(temperature)
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1]
    real(rk), intent(in) :: condensate !! [kg kg-1]
    real(rk) :: temperature
    real(rk), parameter :: excess = gas_constant_water_vapor/gas_constant_dry_air - 1.0_rk
    temperature = air_temperature*(1.0_rk + excess*specific_humidity - condensate)
  end function virtual_temperature_of

  !> The ascent of one parcel for each column, from its lowest level upwards.
  pure subroutine parcel_ascent_kernel(n_level, n_column, retained_condensate, air_pressure, air_temperature, &
    specific_humidity, parcel_temperature, parcel_humidity, parcel_condensate, condensation_pressure) &
    bind(c, name="emagram_parcel_ascent_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    real(rk), intent(in), value :: retained_condensate !! [1]
    real(rk), intent(in) :: air_pressure(n_level, n_column) !! [Pa] of the levels
    real(rk), intent(in) :: air_temperature(n_column) !! [K] of the parcel at the lowest level
    real(rk), intent(in) :: specific_humidity(n_column) !! [kg kg-1] of the parcel at the lowest level
    real(rk), intent(out) :: parcel_temperature(n_level, n_column) !! [K]
    real(rk), intent(out) :: parcel_humidity(n_level, n_column) !! [kg kg-1]
    real(rk), intent(out) :: parcel_condensate(n_level, n_column) !! [kg kg-1]
    real(rk), intent(out) :: condensation_pressure(n_column) !! [Pa], 0 where it never condenses
    type(parcel) :: raised
    integer(ik) :: i, k
    do i = 1, n_column
      raised = new_parcel(air_pressure(n_level, i), air_temperature(i), specific_humidity(i), retained_condensate)
      condensation_pressure(i) = raised%condensation_pressure
      do k = n_level, 1, -1
        call lift(raised, air_pressure(k, i))
        parcel_temperature(k, i) = raised%temperature
        parcel_humidity(k, i) = raised%humidity
        parcel_condensate(k, i) = raised%condensate
      end do
    end do
  end subroutine parcel_ascent_kernel
end module emagram_parcel_kernels
