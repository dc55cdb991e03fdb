!> Turbulent mixing of a column, for callers that have checked.
!!
!! Level 1 is the model top. The fluxes at the surface are not applied here: the surface exchange has put them into the
!! lowest layer, for the same dt; here they only say how strong the turbulence is.
module emagram_boundary_layer_kernels
  use emagram_constants, only: gas_constant_dry_air, gravity, heat_capacity_dry_air
  use emagram_diffusion_kernels, only: diffuse, factor_diffusion
  use emagram_kinds, only: ik, rk
  use emagram_turbulence_kernels, only: boundary_layer_parameters, column_heights, column_turbulence, scales_of
  implicit none (type, external)
  private
  public :: boundary_layer_parameters, boundary_layer_kernel

contains

  !> Implicit diffusion of dry static energy, water and wind, rates from fluxes, friction to heat.
  !!
  !! With the upward fluxes F_j of emagram_diffusion_kernels at the interfaces, zero at both ends, of s = cp T + g z
  !! (z frozen), qv, ql, qi, u and v, and W_j = F_u,j u'_j + F_v,j v'_j, u'_j the mean of the layers beside after dt:
  !!   dx_k = (F_(k+1) - F_k) / m_k,  cp dT_k = (F_s,(k+1) - F_s,k + W_(k+1) - W_k) / m_k - dK_k.
  !! The last three terms are the dissipation of kinetic energy,
  !!   (e |dU'|**2)_k / 2 + (e |dU'|**2)_(k+1) / 2 + m_k |dU_k / dt|**2 dt / 2 >= 0,
  !! and the column keeps sum (cp T + (Lv + Lf) qv + Lf ql + K) m and sum (qv + ql + qi) m.
  !! Source: the coefficients as in emagram_turbulence_kernels; the dissipation after Boville and Bretherton 2003,
  !!   doi:10.1175/1520-0442(2003)016<3877:HAKEDI>2.0.CO;2
  pure subroutine boundary_layer_kernel(n_level, n_column, parameters, dt, pressure_interface, air_temperature, &
    specific_humidity, cloud_liquid, cloud_ice, eastward_wind, northward_wind, sensible_heat_flux, evaporation, &
    stress_eastward, stress_northward, rate_temperature, rate_humidity, rate_liquid, rate_ice, &
    rate_eastward_wind, rate_northward_wind, boundary_layer_height) bind(c, name="emagram_boundary_layer_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    type(boundary_layer_parameters), intent(in) :: parameters
    real(rk), intent(in), value :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level, n_column) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_liquid(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_ice(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: eastward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(in) :: northward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(in) :: sensible_heat_flux(n_column) !! [W m-2] upward
    real(rk), intent(in) :: evaporation(n_column) !! [kg m-2 s-1] upward
    real(rk), intent(in) :: stress_eastward(n_column) !! [N m-2]
    real(rk), intent(in) :: stress_northward(n_column) !! [N m-2]
    real(rk), intent(out) :: rate_temperature(n_level, n_column) !! [K s-1]
    real(rk), intent(out) :: rate_humidity(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_liquid(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_ice(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(out) :: rate_eastward_wind(n_level, n_column) !! [m s-2]
    real(rk), intent(out) :: rate_northward_wind(n_level, n_column) !! [m s-2]
    real(rk), intent(out) :: boundary_layer_height(n_column) !! [m] above the surface
    real(rk), dimension(n_level) :: virtual_temperature, height, mass
    real(rk) :: factors(3, n_level)
    real(rk), dimension(n_level + 1) :: height_interface, heat, momentum, flux, work
    integer(ik) :: i

    do i = 1, n_column
      mass = (pressure_interface(2:, i) - pressure_interface(:n_level, i))/gravity
      call column_heights(n_level, pressure_interface(:, i), air_temperature(:, i), specific_humidity(:, i), &
        virtual_temperature, height, height_interface)
      call column_turbulence(n_level, parameters, scales_of(dt, pressure_interface(n_level:, i), &
        air_temperature(n_level, i), specific_humidity(n_level, i), &
        [sensible_heat_flux(i), evaporation(i), stress_eastward(i), stress_northward(i)]), virtual_temperature, &
        height, height_interface, eastward_wind(:, i), northward_wind(:, i), heat, momentum, boundary_layer_height(i))
      call to_exchange(n_level, pressure_interface(:, i), virtual_temperature, height, heat, momentum)

      call factor_diffusion(n_level, dt, mass, momentum, factors)
      work = 0.0_rk
      rate_temperature(:, i) = 0.0_rk
      call mix_wind(n_level, dt, mass, factors, eastward_wind(:, i), rate_eastward_wind(:, i), work, &
        rate_temperature(:, i))
      call mix_wind(n_level, dt, mass, factors, northward_wind(:, i), rate_northward_wind(:, i), work, &
        rate_temperature(:, i))

      call factor_diffusion(n_level, dt, mass, heat, factors)
      call diffuse(n_level, dt, factors, heat_capacity_dry_air*air_temperature(:, i) + gravity*height, flux)
      flux = flux + work
      rate_temperature(:, i) = ((flux(2:) - flux(:n_level))/mass + rate_temperature(:, i))/heat_capacity_dry_air
      call mix_water(n_level, dt, mass, factors, specific_humidity(:, i), rate_humidity(:, i))
      call mix_water(n_level, dt, mass, factors, cloud_liquid(:, i), rate_liquid(:, i))
      call mix_water(n_level, dt, mass, factors, cloud_ice(:, i), rate_ice(:, i))
    end do
  end subroutine boundary_layer_kernel

  !> Diffusivities [m2 s-1] at the interfaces become exchanges of mass, rho K / dz [kg m-2 s-1].
  pure subroutine to_exchange(n_level, pressure_interface, virtual_temperature, height, heat, momentum)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: pressure_interface(n_level + 1) !! [Pa]
    real(rk), intent(in) :: virtual_temperature(n_level) !! [K]
    real(rk), intent(in) :: height(n_level) !! [m]
    real(rk), intent(inout) :: heat(n_level + 1), momentum(n_level + 1)
    real(rk) :: density_over_distance
    integer(ik) :: j
    do j = 2, n_level
      density_over_distance = 2.0_rk*pressure_interface(j) &
        /(gas_constant_dry_air*(virtual_temperature(j - 1) + virtual_temperature(j))*(height(j - 1) - height(j)))
      heat(j) = density_over_distance*heat(j)
      momentum(j) = density_over_distance*momentum(j)
    end do
  end subroutine to_exchange

  !> Rate of one component of the wind; its kinetic energy leaves the layer and flows through the interfaces.
  pure subroutine mix_wind(n_level, dt, mass, factors, wind, rate, work, lost)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: factors(3, n_level) !! from factor_diffusion
    real(rk), intent(in) :: wind(n_level) !! [m s-1]
    real(rk), intent(out) :: rate(n_level) !! [m s-2]
    real(rk), intent(inout) :: work(n_level + 1) !! [W m-2] upward, of the stress at the interfaces: added to
    real(rk), intent(inout) :: lost(n_level) !! [W kg-1] minus the rate of kinetic energy: added to
    real(rk) :: flux(n_level + 1)
    integer(ik) :: k
    call diffuse(n_level, dt, factors, wind, flux)
    rate = (flux(2:) - flux(:n_level))/mass
    lost = lost - rate*(wind + 0.5_rk*dt*rate)
    do k = 2, n_level
      work(k) = work(k) + flux(k)*0.5_rk*((wind(k - 1) + dt*rate(k - 1)) + (wind(k) + dt*rate(k)))
    end do
  end subroutine mix_wind

  !> Rate of one kind of water.
  pure subroutine mix_water(n_level, dt, mass, factors, water, rate)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: factors(3, n_level) !! from factor_diffusion
    real(rk), intent(in) :: water(n_level) !! [kg kg-1]
    real(rk), intent(out) :: rate(n_level) !! [kg kg-1 s-1]
    real(rk) :: flux(n_level + 1)
    call diffuse(n_level, dt, factors, water, flux)
    rate = (flux(2:) - flux(:n_level))/mass
  end subroutine mix_water
end module emagram_boundary_layer_kernels
