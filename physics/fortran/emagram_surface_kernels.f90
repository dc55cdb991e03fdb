!> Exchange of the surface with the lowest layer of air, and the slab below it, for callers that have checked.
!!
!! Level 1 is the model top. Every kernel treats each column by itself.
module emagram_surface_kernels
  use emagram_constants, only: gas_constant_dry_air, gas_constant_water_vapor, gravity, &
    heat_capacity_dry_air, latent_heat_fusion, latent_heat_vaporization, stefan_boltzmann
  use emagram_kinds, only: ik, rk
  use emagram_thermodynamics_kernels, only: saturation_specific_humidity_of
  implicit none (type, external)
  private
  public :: surface_parameters, surface_exchange_kernel, slab_kernel, surface_longwave_kernel, surface_longwave_of

  !> Coefficients of the bulk formulas of Reed and Jablonowski 2012, and gusts.
  type, bind(c) :: surface_parameters
    real(rk) :: heat_exchange_coefficient = 1.1e-3_rk !! [1] of heat and of water
    real(rk) :: smallest_drag_coefficient = 7.0e-4_rk !! [1] in calm air
    real(rk) :: drag_coefficient_per_wind = 6.5e-5_rk !! [s m-1] its growth with wind
    real(rk) :: largest_drag_coefficient = 2.0e-3_rk !! [1] reached at 20 m s-1
    real(rk) :: gustiness = 1.0_rk !! [m s-1] wind that stirs when the mean wind is zero
  end type surface_parameters

  !> What the bulk formulas need to know of the lowest layer.
  type :: lowest_layer
    real(rk) :: mass !! [kg m-2]
    real(rk) :: density !! [kg m-3]
    real(rk) :: height !! [m] of its mid-point above the surface
  end type lowest_layer

contains

  !> Bulk formulas, implicit in the lowest layer, rates from fluxes.
  !!
  !! With V = sqrt(u**2 + v**2 + gust**2) and the state x' after dt:
  !!   SHF = rho C_H V (cp Ts - cp T' - g z),  E = rho C_H V w (q_s(Ts, ps) - q'),  tau = -rho C_D V u',
  !! w the wetness, 1 where dew falls (E < 0). Rates of the layer of mass m = dp / g:
  !!   dq = E / m,  du = tau / m,  cp dT = SHF / m - dK,  dK = du (u + du dt / 2) + dv (v + dv dt / 2),
  !! so cp dT + (Lv + Lf) dq + dK = (SHF + (Lv + Lf) E) / m: what friction takes from the wind heats the layer.
  !! The flux of dry static energy vanishes where the layer and the surface lie on one dry adiabat.
  !! Source: Reed and Jablonowski 2012, doi:10.1029/2011MS000099, who leave the height term g z out.
  pure subroutine surface_exchange_kernel(n_level, n_column, parameters, dt, pressure_interface, &
    air_temperature, specific_humidity, eastward_wind, northward_wind, surface_temperature, wetness, &
    rate_temperature, rate_humidity, rate_eastward_wind, rate_northward_wind, &
    sensible_heat_flux, evaporation, stress_eastward, stress_northward) bind(c, name="emagram_surface_exchange_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    type(surface_parameters), intent(in) :: parameters
    real(rk), intent(in), value :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level, n_column) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: eastward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(in) :: northward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(in) :: surface_temperature(n_column) !! [K]
    real(rk), intent(in) :: wetness(n_column) !! [1] 0 dry, 1 open water or ice
    real(rk), intent(out) :: rate_temperature(n_level, n_column) !! [K s-1] zero but in the lowest layer, as all rates
    real(rk), intent(out) :: rate_humidity(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_eastward_wind(n_level, n_column) !! [m s-2]
    real(rk), intent(out) :: rate_northward_wind(n_level, n_column) !! [m s-2]
    real(rk), intent(out) :: sensible_heat_flux(n_column) !! [W m-2] upward
    real(rk), intent(out) :: evaporation(n_column) !! [kg m-2 s-1] upward, below 0 where dew falls
    real(rk), intent(out) :: stress_eastward(n_column) !! [N m-2] force on the air
    real(rk), intent(out) :: stress_northward(n_column) !! [N m-2] force on the air
    type(lowest_layer) :: air
    real(rk) :: wind, heat_transfer, drag, excess, deficit, kinetic_rate
    integer(ik) :: i, k

    k = n_level
    do i = 1, n_column
      air = lowest_layer_of(pressure_interface(k:k + 1, i), air_temperature(k, i), specific_humidity(k, i))
      wind = sqrt(eastward_wind(k, i)**2 + northward_wind(k, i)**2 + parameters%gustiness**2)
      heat_transfer = air%density*parameters%heat_exchange_coefficient*wind
      drag = air%density*drag_coefficient(parameters, wind)*wind

      excess = surface_temperature(i) - air_temperature(k, i) - gravity*air%height/heat_capacity_dry_air
      sensible_heat_flux(i) = implicit_flux(heat_transfer, dt/air%mass, heat_capacity_dry_air*excess)
      deficit = saturation_specific_humidity_of(pressure_interface(k + 1, i), surface_temperature(i)) &
        - specific_humidity(k, i)
      evaporation(i) = implicit_flux(merge(heat_transfer, wetness(i)*heat_transfer, deficit < 0.0_rk), &
        dt/air%mass, deficit)
      stress_eastward(i) = implicit_flux(drag, dt/air%mass, -eastward_wind(k, i))
      stress_northward(i) = implicit_flux(drag, dt/air%mass, -northward_wind(k, i))

      rate_temperature(:k - 1, i) = 0.0_rk
      rate_humidity(:k - 1, i) = 0.0_rk
      rate_eastward_wind(:k - 1, i) = 0.0_rk
      rate_northward_wind(:k - 1, i) = 0.0_rk
      rate_humidity(k, i) = evaporation(i)/air%mass
      rate_eastward_wind(k, i) = stress_eastward(i)/air%mass
      rate_northward_wind(k, i) = stress_northward(i)/air%mass
      kinetic_rate = rate_eastward_wind(k, i)*(eastward_wind(k, i) + 0.5_rk*dt*rate_eastward_wind(k, i)) &
        + rate_northward_wind(k, i)*(northward_wind(k, i) + 0.5_rk*dt*rate_northward_wind(k, i))
      rate_temperature(k, i) = (sensible_heat_flux(i)/air%mass - kinetic_rate)/heat_capacity_dry_air
    end do
  end subroutine surface_exchange_kernel

  !> A slab of one temperature under the air, explicit in the fluxes that the air has seen.
  !!
  !!   C dTs/dt = SW_net + LW_down - LW_up - SHF - Lv E - Lf S
  !! The slab is what exchanges liquid water: it gives Lv to evaporate it and Lf to melt what falls as snow. Explicit,
  !! so that both sides of the surface count the same energy; stable while dt < 2 C / (dF/dTs), for a dF/dTs of
  !! 50 W m-2 K-1 and 1200 s while C > 3e4 J m-2 K-1, 7 mm of water.
  pure subroutine slab_kernel(n_column, dt, heat_capacity, net_shortwave, downwelling_longwave, &
    upwelling_longwave, sensible_heat_flux, evaporation, snow, surface_temperature, rate_surface_temperature, &
    net_surface_flux) bind(c, name="emagram_slab_kernel")
    integer(ik), intent(in), value :: n_column
    real(rk), intent(in), value :: dt !! [s]
    real(rk), intent(in) :: heat_capacity(n_column) !! [J m-2 K-1] 0 where the temperature is prescribed
    real(rk), intent(in) :: net_shortwave(n_column) !! [W m-2] downward
    real(rk), intent(in) :: downwelling_longwave(n_column) !! [W m-2]
    real(rk), intent(in) :: upwelling_longwave(n_column) !! [W m-2]
    real(rk), intent(in) :: sensible_heat_flux(n_column) !! [W m-2] upward
    real(rk), intent(in) :: evaporation(n_column) !! [kg m-2 s-1] upward
    real(rk), intent(in) :: snow(n_column) !! [kg m-2 s-1] downward
    real(rk), intent(inout) :: surface_temperature(n_column) !! [K]
    real(rk), intent(out) :: rate_surface_temperature(n_column) !! [K s-1] 0 where prescribed
    real(rk), intent(out) :: net_surface_flux(n_column) !! [W m-2] into the surface, prescribed or not
    integer(ik) :: i
    do i = 1, n_column
      net_surface_flux(i) = net_shortwave(i) + (downwelling_longwave(i) - upwelling_longwave(i)) &
        - sensible_heat_flux(i) - latent_heat_vaporization*evaporation(i) - latent_heat_fusion*snow(i)
      rate_surface_temperature(i) = 0.0_rk
      if (heat_capacity(i) > 0.0_rk) rate_surface_temperature(i) = net_surface_flux(i)/heat_capacity(i)
      surface_temperature(i) = surface_temperature(i) + rate_surface_temperature(i)*dt
    end do
  end subroutine slab_kernel

  !> Longwave emission of a black surface over n points.
  pure subroutine surface_longwave_kernel(n, surface_temperature, upwelling_longwave) &
    bind(c, name="emagram_surface_longwave_kernel")
    integer(ik), intent(in), value :: n !! points
    real(rk), intent(in) :: surface_temperature(n) !! [K]
    real(rk), intent(out) :: upwelling_longwave(n) !! [W m-2]
    upwelling_longwave = surface_longwave_of(surface_temperature)
  end subroutine surface_longwave_kernel

  !> Longwave emission of a black surface, sigma Ts**4 [W m-2].
  elemental function surface_longwave_of(surface_temperature) result(flux)
    real(rk), intent(in) :: surface_temperature !! [K]
    real(rk) :: flux
    flux = stefan_boltzmann*surface_temperature**4
  end function surface_longwave_of

  !> Mass, density and mid-point height of the lowest layer; its pressure is the mean of its interfaces.
  pure function lowest_layer_of(pressure, air_temperature, specific_humidity) result(air)
    real(rk), intent(in) :: pressure(2) !! [Pa] above and below
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1]
    type(lowest_layer) :: air
    real(rk) :: middle, gas_constant
    middle = 0.5_rk*(pressure(1) + pressure(2))
    gas_constant = gas_constant_dry_air + (gas_constant_water_vapor - gas_constant_dry_air)*specific_humidity
    air%mass = (pressure(2) - pressure(1))/gravity
    air%density = middle/(gas_constant*air_temperature)
    air%height = gas_constant*air_temperature/gravity*log(pressure(2)/middle)
  end function lowest_layer_of

  !> Drag coefficient of the sea, linear in wind up to a largest value [1].
  pure function drag_coefficient(parameters, wind) result(coefficient)
    type(surface_parameters), intent(in) :: parameters
    real(rk), intent(in) :: wind !! [m s-1]
    real(rk) :: coefficient
    coefficient = min(parameters%smallest_drag_coefficient + parameters%drag_coefficient_per_wind*wind, &
      parameters%largest_drag_coefficient)
  end function drag_coefficient

  !> Flux c (x_s - x') into a layer whose x' = x + step * flux: c (x_s - x) / (1 + c step).
  elemental function implicit_flux(transfer, step, difference) result(flux)
    real(rk), intent(in) :: transfer !! [kg m-2 s-1] c, density times coefficient times wind
    real(rk), intent(in) :: step !! [m2 s kg-1] dt over the mass of the layer
    real(rk), intent(in) :: difference !! [x] x_s - x at the beginning
    real(rk) :: flux !! [x kg m-2 s-1]
    flux = transfer*difference/(1.0_rk + transfer*step)
  end function implicit_flux
end module emagram_surface_kernels
