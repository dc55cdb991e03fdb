!> Moist convection of a column, for callers that have checked: simplified Betts-Miller with anvils.
!!
!! Level 1 is the model top. Where a parcel from near the surface has a level of free convection, the layers from its
!! level of zero buoyancy down to its source relax to its temperature T_p, shifted, and to the relative humidity r of
!! its saturated air (below its condensation level, to r times its own vapour pressure):
!!   dq_k = a_k (q_ref - q)_k (1 - exp(-dt/tau)) / dt,  dT_k = a_k (T_p + s - T)_k (1 - exp(-dt/tau)) / dt.
!! Deep, where that dries the column: a = 1, the condensate C = -sum dq m is detrained as cloud near the top for a
!! share and reaches the ground otherwise; the faster of warming and drying is slowed until the energy closes,
!! sum cp dT m = Lv (rain + liquid) + (Lv + Lf) (snow + ice), and s only takes up the rounding. Shallow, where it would
!! moisten: the top is lowered, through a part of a layer, until C = 0, and s makes sum cp dT m = 0. Warming of the
!! column before the shift is required in both.
!! Source: Frierson 2007, doi:10.1175/JAS3935.1, with its "shallower" scheme. That deep convection is slowed and not
!!   shifted keeps it from switching off and on from step to step. The inhibition limit, the parcel's choice and the
!!   anvils are additions; rain and snow part as in Jennings et al. 2018, doi:10.1038/s41467-018-03629-7 (near 1
!!   degree Celsius).
module emagram_convection_kernels
  use emagram_constants, only: gas_constant_dry_air, gravity, heat_capacity_dry_air, latent_heat_fusion, &
    latent_heat_vaporization
  use emagram_kinds, only: ik, rk
  use emagram_parcel_kernels, only: lift, new_parcel, parcel, virtual_temperature_of
  use emagram_thermodynamics_kernels, only: liquid_fraction_of, specific_humidity_of, vapor_pressure_of
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
    real(rk) :: detrained_share = 0.05_rk !! [1] of the condensate of deep convection, left as cloud
    real(rk) :: anvil_share = 0.3_rk !! [1] of the depth of the convection, below its top, that gets it
    real(rk) :: snow_temperature = 273.16_rk !! [K] near the surface, all snow below
    real(rk) :: rain_temperature = 275.16_rk !! [K] near the surface, all rain above
    real(rk) :: surface_depth = 5000.0_rk !! [Pa] what "near the surface" is
  end type convection_parameters

  integer(ik), parameter :: none = 0, shallow = 1, deep = 2 !! regimes
  real(rk), parameter :: latent_heat_sublimation = latent_heat_vaporization + latent_heat_fusion !! [J kg-1]

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
    real(rk) :: pressure(n_level), mass(n_level), reference_temperature(n_level), reference_humidity(n_level)
    real(rk) :: share(n_level)
    integer(ik) :: i, source, top, kind_of
    do i = 1, n_column
      rate_temperature(:, i) = 0.0_rk
      rate_humidity(:, i) = 0.0_rk
      rate_liquid(:, i) = 0.0_rk
      rate_ice(:, i) = 0.0_rk
      rain(i) = 0.0_rk
      snow(i) = 0.0_rk
      regime(i) = 0.0_rk
      pressure = 0.5_rk*(pressure_interface(:n_level, i) + pressure_interface(2:, i))
      mass = (pressure_interface(2:, i) - pressure_interface(:n_level, i))/gravity
      source = find_source(n_level, parameters%source_depth, pressure_interface(n_level + 1, i), pressure, &
        air_temperature(:, i), specific_humidity(:, i))
      call find_reference(n_level, parameters, source, pressure, mass, air_temperature(:, i), &
        specific_humidity(:, i), reference_temperature, reference_humidity, top, cape(i))
      if (top == 0) cycle
      call find_regime(n_level, top, source, mass, reference_temperature - air_temperature(:, i), &
        specific_humidity(:, i) - reference_humidity, share, kind_of)
      if (kind_of == none) cycle
      regime(i) = real(kind_of, rk)
      share = share*(1.0_rk - exp(-dt/parameters%relaxation_time))/dt
      rate_humidity(:, i) = share*(reference_humidity - specific_humidity(:, i))
      rate_temperature(:, i) = share*(reference_temperature - air_temperature(:, i))
      if (kind_of == deep) call precipitate(n_level, parameters, top, source, pressure, mass, &
        air_temperature(:, i), rate_humidity(:, i), rate_liquid(:, i), rate_ice(:, i), rain(i), snow(i))
      if (kind_of == deep) call balance(n_level, mass, rate_temperature(:, i), rate_humidity(:, i), &
        rate_liquid(:, i), rate_ice(:, i), rain(i), snow(i))
      call close_energy(n_level, mass, share, rate_liquid(:, i), rate_ice(:, i), rain(i), snow(i), &
        rate_temperature(:, i))
    end do
  end subroutine convection_kernel

  !> Where the parcel begins: the layer of largest moist static energy within a depth of the surface.
  pure function find_source(n_level, depth, surface_pressure, pressure, air_temperature, specific_humidity) &
    result(source)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: depth, surface_pressure !! [Pa]
    real(rk), intent(in) :: pressure(n_level) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level) !! [kg kg-1]
    integer(ik) :: source
    real(rk) :: geopotential, energy, largest
    integer(ik) :: k
    source = n_level
    geopotential = 0.0_rk
    largest = heat_capacity_dry_air*air_temperature(n_level) + latent_heat_vaporization*specific_humidity(n_level)
    do k = n_level - 1, 1, -1
      if (pressure(k) < surface_pressure - depth) exit
      geopotential = geopotential + 0.5_rk*gas_constant_dry_air*log(pressure(k + 1)/pressure(k)) &
        *sum(virtual_temperature_of(air_temperature(k:k + 1), specific_humidity(k:k + 1), 0.0_rk))
      energy = heat_capacity_dry_air*air_temperature(k) + latent_heat_vaporization*specific_humidity(k) + geopotential
      if (energy <= largest) cycle
      largest = energy
      source = k
    end do
  end function find_source

  !> Lift the parcel to its level of zero buoyancy: the profiles to relax to from there to the source.
  !!
  !! top is 0 where the parcel has no level of free convection above its condensation level, or has to overcome
  !! more than the largest inhibition before.
  pure subroutine find_reference(n_level, parameters, source, pressure, mass, air_temperature, specific_humidity, &
    reference_temperature, reference_humidity, top, cape)
    integer(ik), intent(in) :: n_level, source
    type(convection_parameters), intent(in) :: parameters
    real(rk), intent(in) :: pressure(n_level) !! [Pa]
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: air_temperature(n_level) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level) !! [kg kg-1]
    real(rk), intent(out) :: reference_temperature(n_level) !! [K]
    real(rk), intent(out) :: reference_humidity(n_level) !! [kg kg-1]
    integer(ik), intent(out) :: top
    real(rk), intent(out) :: cape !! [J kg-1]
    type(parcel) :: raised
    real(rk) :: work, inhibition
    integer(ik) :: k
    reference_temperature = air_temperature
    reference_humidity = specific_humidity
    top = 0
    cape = 0.0_rk
    inhibition = 0.0_rk
    raised = new_parcel(pressure(source), air_temperature(source), specific_humidity(source), &
      parameters%retained_condensate)
    do k = source, 1, -1
      if (raised%condensation_pressure <= 0.0_rk) exit
      call lift(raised, pressure(k))
      reference_temperature(k) = raised%temperature
      reference_humidity(k) = specific_humidity_of(pressure(k), parameters%reference_relative_humidity &
        *vapor_pressure_of(pressure(k), raised%humidity))
      if (k == source) cycle
      work = gas_constant_dry_air*mass(k)*gravity/pressure(k) &
        *(virtual_temperature_of(raised%temperature, raised%humidity, raised%condensate) &
        - virtual_temperature_of(air_temperature(k), specific_humidity(k), 0.0_rk))
      if (work > 0.0_rk .and. raised%pressure < raised%condensation_pressure) then
        cape = cape + work
        top = k
      else if (top > 0) then
        exit
      else
        inhibition = inhibition + max(-work, 0.0_rk)
        if (inhibition > parameters%largest_inhibition) exit
      end if
    end do
  end subroutine find_reference

  !> Deep, shallow or no convection, and the share of each layer that takes part.
  pure subroutine find_regime(n_level, top, source, mass, warming, drying, share, regime)
    integer(ik), intent(in) :: n_level, top, source
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: warming(n_level) !! [K]
    real(rk), intent(in) :: drying(n_level) !! [kg kg-1]
    real(rk), intent(out) :: share(n_level) !! [1]
    integer(ik), intent(out) :: regime
    real(rk) :: column, highest
    integer(ik) :: k, highest_drying
    share = 0.0_rk
    regime = none
    if (sum(warming(top:source)*mass(top:source)) <= 0.0_rk) return
    column = 0.0_rk
    highest = 0.0_rk
    highest_drying = 0
    do k = source, top, -1
      column = column + drying(k)*mass(k)
      if (column <= 0.0_rk) cycle
      highest = column
      highest_drying = k
    end do
    if (highest_drying == 0) return
    share(highest_drying:source) = 1.0_rk
    regime = deep
    if (highest_drying == top) return
    regime = shallow
    share(highest_drying - 1) = -highest/(drying(highest_drying - 1)*mass(highest_drying - 1))
  end subroutine find_regime

  !> What condenses is detrained as cloud below the top or reaches the ground, as snow where the air there is cold.
  pure subroutine precipitate(n_level, parameters, top, source, pressure, mass, air_temperature, rate_humidity, &
    rate_liquid, rate_ice, rain, snow)
    integer(ik), intent(in) :: n_level, top, source
    type(convection_parameters), intent(in) :: parameters
    real(rk), intent(in) :: pressure(n_level) !! [Pa]
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: air_temperature(n_level) !! [K]
    real(rk), intent(in) :: rate_humidity(n_level) !! [kg kg-1 s-1]
    real(rk), intent(inout) :: rate_liquid(n_level) !! [kg kg-1 s-1]
    real(rk), intent(inout) :: rate_ice(n_level) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rain, snow !! [kg m-2 s-1]
    real(rk) :: condensate, detrained, near_surface, liquid
    integer(ik) :: base
    condensate = -sum(rate_humidity(top:source)*mass(top:source))
    base = top
    do while (pressure(base + 1) <= pressure(top) + parameters%anvil_share*(pressure(source) - pressure(top)))
      base = base + 1
      if (base == source) exit
    end do
    detrained = parameters%detrained_share*condensate/sum(mass(top:base))
    rate_liquid(top:base) = liquid_fraction_of(air_temperature(top:base))*detrained
    rate_ice(top:base) = detrained - rate_liquid(top:base)
    near_surface = temperature_near_surface(n_level, parameters%surface_depth, pressure, mass, air_temperature)
    liquid = 1.0_rk
    if (near_surface <= parameters%snow_temperature) then
      liquid = 0.0_rk
    else if (near_surface < parameters%rain_temperature) then
      liquid = (near_surface - parameters%snow_temperature)/(parameters%rain_temperature - parameters%snow_temperature)
    end if
    rain = liquid*(1.0_rk - parameters%detrained_share)*condensate
    snow = (1.0_rk - liquid)*(1.0_rk - parameters%detrained_share)*condensate
  end subroutine precipitate

  !> Mean temperature [K] of the layers with their middle within a depth of that of the lowest.
  pure function temperature_near_surface(n_level, depth, pressure, mass, air_temperature) result(temperature)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: depth !! [Pa]
    real(rk), intent(in) :: pressure(n_level) !! [Pa]
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: air_temperature(n_level) !! [K]
    real(rk) :: temperature
    integer(ik) :: k
    k = n_level
    do while (k > 1)
      if (pressure(k - 1) < pressure(n_level) - depth) exit
      k = k - 1
    end do
    temperature = sum(air_temperature(k:)*mass(k:))/sum(mass(k:))
  end function temperature_near_surface

  !> Slow down the faster of warming and drying until what condenses releases what warms.
  !!
  !! Both vanish where either does, so that convection fades out instead of switching off and on from step to step.
  pure subroutine balance(n_level, mass, rate_temperature, rate_humidity, rate_liquid, rate_ice, rain, snow)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(inout) :: rate_temperature(n_level) !! [K s-1]
    real(rk), intent(inout) :: rate_humidity(n_level), rate_liquid(n_level), rate_ice(n_level) !! [kg kg-1 s-1]
    real(rk), intent(inout) :: rain, snow !! [kg m-2 s-1]
    real(rk) :: warmed, released, ratio
    warmed = heat_capacity_dry_air*sum(rate_temperature*mass)
    released = heat_released(n_level, mass, rate_liquid, rate_ice, rain, snow)
    if (warmed > released) then
      rate_temperature = rate_temperature*(released/warmed)
    else
      ratio = warmed/released
      rate_humidity = rate_humidity*ratio
      rate_liquid = rate_liquid*ratio
      rate_ice = rate_ice*ratio
      rain = rain*ratio
      snow = snow*ratio
    end if
  end subroutine balance

  !> What the phase changes release [W m-2].
  pure function heat_released(n_level, mass, rate_liquid, rate_ice, rain, snow) result(released)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: rate_liquid(n_level), rate_ice(n_level) !! [kg kg-1 s-1]
    real(rk), intent(in) :: rain, snow !! [kg m-2 s-1]
    real(rk) :: released
    released = latent_heat_vaporization*(rain + sum(rate_liquid*mass)) &
      + latent_heat_sublimation*(snow + sum(rate_ice*mass))
  end function heat_released

  !> Shift the temperatures uniformly, where layers take part, by what the phase changes release.
  pure subroutine close_energy(n_level, mass, share, rate_liquid, rate_ice, rain, snow, rate_temperature)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: share(n_level) !! [s-1]
    real(rk), intent(in) :: rate_liquid(n_level), rate_ice(n_level) !! [kg kg-1 s-1]
    real(rk), intent(in) :: rain, snow !! [kg m-2 s-1]
    real(rk), intent(inout) :: rate_temperature(n_level) !! [K s-1]
    real(rk) :: released
    released = heat_released(n_level, mass, rate_liquid, rate_ice, rain, snow)
    rate_temperature = rate_temperature &
      + share*(released/heat_capacity_dry_air - sum(rate_temperature*mass))/sum(share*mass)
  end subroutine close_energy
end module emagram_convection_kernels
