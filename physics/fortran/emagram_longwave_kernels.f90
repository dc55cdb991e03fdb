!> Longwave radiation: a kernel for callers that have checked.
!!
!! Two bands, each grey. Most of the spectrum (fraction 1 − f of the Planck function) sees water vapour and well-mixed
!! gases, dτ = (a μ + b q) dp/p₀ (Byrne and O'Gorman 2013); the core of the 15 µm band of carbon dioxide (fraction f)
!! sees dτ = c μ dp/p₀ with c ≫ a, without which a grey stratosphere that absorbs sunlight in ozone could not cool to
!! space: it would reach 350 K. As the core takes its part, a is less than their 0.8678: with 0.5 the outgoing flux of
!! radiative-convective columns is that of the grey scheme, f = 0. Opacity counts from p₀ = 1000 hPa, not from the
!! surface, so that there is less of it over mountains. μ = 1.15 makes the 4 W m⁻² of doubled carbon dioxide.
!!
!! Clouds are black bodies of finite depth in both. Diffusivity factors are inside a, b, c and the coefficients of
!! cloud. Nothing scatters:
!!   dF↑/dτ = F↑ − B, dF↓/dτ = B − F↓, B = σT⁴ (times the fraction of the band),
!! solved in each layer with a source that is the layer's own where the layer is thin and that of its edge where it is
!! thick.
!! Sources: Byrne and O'Gorman 2013, doi:10.1175/JCLI-D-12-00262.1 (b, and a without core); Clough, Iacono and Moncet
!! 1992, doi:10.1029/92JD01419 (source within a layer); Stephens 1978,
!! doi:10.1175/1520-0469(1978)035<2123:RPIEWC>2.0.CO;2 (liquid cloud, the mean of its upward and downward
!! coefficients); Ebert and Curry 1992, doi:10.1029/91JD02472 (ice cloud, particles of 30 µm, times 1.66).
module emagram_longwave_kernels
  use emagram_constants, only: gravity, heat_capacity_dry_air, reference_pressure, stefan_boltzmann
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: longwave_parameters, longwave_kernel

  !> Optical depths of the atmosphere and of cloud.
  type, bind(c) :: longwave_parameters
    real(rk) :: well_mixed_depth = 0.5_rk !! [1] a, of 1000 hPa
    real(rk) :: water_vapor_depth = 1997.9_rk !! [1] b, of 1000 hPa of pure vapour
    real(rk) :: core_depth = 27.0_rk !! [1] c, of 1000 hPa in the core of the 15 µm band
    real(rk) :: core_fraction = 0.1_rk !! [1] f, of the Planck function in that core
    real(rk) :: well_mixed_factor = 1.0_rk !! [1] μ, opacity of well-mixed gases relative to today's
    real(rk) :: liquid_absorption = 144.0_rk !! [m2 kg-1]
    real(rk) :: ice_absorption = 64.0_rk !! [m2 kg-1]
    real(rk) :: cloud_factor = 0.7_rk !! [1] effective over mean optical depth of patchy cloud
  end type longwave_parameters

contains

  !> Fluxes at the interfaces, and heating from their divergence.
  pure subroutine longwave_kernel(n_level, n_column, parameters, pressure_interface, air_temperature, &
    specific_humidity, cloud_liquid, cloud_ice, surface_upwelling_longwave_flux, upward, downward, rate_temperature) &
    bind(c, name="emagram_longwave_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    type(longwave_parameters), intent(in) :: parameters
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level, n_column) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1] below 0 counts as 0, as for cloud
    real(rk), intent(in) :: cloud_liquid(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_ice(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: surface_upwelling_longwave_flux(n_column) !! [W m-2]
    real(rk), intent(out) :: upward(n_level + 1, n_column) !! [W m-2]
    real(rk), intent(out) :: downward(n_level + 1, n_column) !! [W m-2]
    real(rk), intent(out) :: rate_temperature(n_level, n_column) !! [K s-1]
    integer :: i
    do i = 1, n_column
      call radiate_column(n_level, parameters, pressure_interface(:, i), air_temperature(:, i), &
        specific_humidity(:, i), cloud_liquid(:, i), cloud_ice(:, i), surface_upwelling_longwave_flux(i), &
        upward(:, i), downward(:, i), rate_temperature(:, i))
    end do
  end subroutine longwave_kernel

  !> One column of longwave_kernel.
  pure subroutine radiate_column(n_level, parameters, pressure_interface, air_temperature, specific_humidity, &
    cloud_liquid, cloud_ice, surface_upwelling_longwave_flux, upward, downward, rate_temperature)
    integer(ik), intent(in) :: n_level
    type(longwave_parameters), intent(in) :: parameters
    real(rk), intent(in) :: pressure_interface(n_level + 1) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level) !! [K]
    real(rk), intent(in), dimension(n_level) :: specific_humidity, cloud_liquid, cloud_ice !! [kg kg-1]
    real(rk), intent(in) :: surface_upwelling_longwave_flux !! [W m-2]
    real(rk), intent(out) :: upward(n_level + 1), downward(n_level + 1) !! [W m-2]
    real(rk), intent(out) :: rate_temperature(n_level) !! [K s-1]
    real(rk), dimension(n_level) :: thickness, source, cloud_depth, depth
    real(rk) :: edge(n_level + 1)
    thickness = pressure_interface(2:) - pressure_interface(:n_level)
    source = stefan_boltzmann*air_temperature**4
    call interpolate_to_edges(n_level, thickness, source, edge)
    cloud_depth = parameters%cloud_factor/gravity*thickness &
      *(parameters%liquid_absorption*max(cloud_liquid, 0.0_rk) + parameters%ice_absorption*max(cloud_ice, 0.0_rk))
    upward = 0.0_rk
    downward = 0.0_rk
    depth = cloud_depth + thickness/reference_pressure*(parameters%well_mixed_depth*parameters%well_mixed_factor &
      + parameters%water_vapor_depth*max(specific_humidity, 0.0_rk))
    call add_band(n_level, 1.0_rk - parameters%core_fraction, depth, source, edge, surface_upwelling_longwave_flux, &
      upward, downward)
    if (parameters%core_fraction > 0.0_rk) then
      depth = cloud_depth + thickness/reference_pressure*parameters%core_depth*parameters%well_mixed_factor
      call add_band(n_level, parameters%core_fraction, depth, source, edge, surface_upwelling_longwave_flux, &
        upward, downward)
    end if
    rate_temperature = gravity/heat_capacity_dry_air/thickness &
      *((upward(2:) - downward(2:)) - (upward(:n_level) - downward(:n_level)))
  end subroutine radiate_column

  !> A quantity of layers, at the interfaces: linear in pressure between the middles of layers, constant beyond.
  pure subroutine interpolate_to_edges(n_level, thickness, layer, edge)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: thickness(n_level) !! [Pa]
    real(rk), intent(in) :: layer(n_level)
    real(rk), intent(out) :: edge(n_level + 1)
    edge(1) = layer(1)
    edge(2:n_level) = (layer(:n_level - 1)*thickness(2:) + layer(2:)*thickness(:n_level - 1)) &
      /(thickness(:n_level - 1) + thickness(2:))
    edge(n_level + 1) = layer(n_level)
  end subroutine interpolate_to_edges

  !> Add the fluxes of a band that holds a fraction of the Planck function.
  !!
  !! A layer of depth Δ lets e^{−Δ} through and emits (1 − e^{−Δ} − w) B_edge + w B_layer from its edge.
  pure subroutine add_band(n_level, fraction, depth, source, edge, surface_upwelling_longwave_flux, upward, downward)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: fraction !! [1]
    real(rk), intent(in) :: depth(n_level) !! [1]
    real(rk), intent(in) :: source(n_level) !! [W m-2]
    real(rk), intent(in) :: edge(n_level + 1) !! [W m-2]
    real(rk), intent(in) :: surface_upwelling_longwave_flux !! [W m-2]
    real(rk), intent(inout) :: upward(n_level + 1), downward(n_level + 1) !! [W m-2]
    real(rk), dimension(n_level) :: through, own, of_edge
    real(rk) :: flux
    integer :: k
    do k = 1, n_level
      through(k) = exp(-min(depth(k), 100.0_rk)) ! nothing gets through more, and denormal numbers are slow
      own(k) = weight_of_layer(depth(k), through(k))
      of_edge(k) = max(1.0_rk - through(k) - own(k), 0.0_rk)
    end do
    flux = 0.0_rk
    do k = 1, n_level
      flux = through(k)*flux + fraction*(own(k)*source(k) + of_edge(k)*edge(k + 1))
      downward(k + 1) = downward(k + 1) + flux
    end do
    flux = fraction*surface_upwelling_longwave_flux
    upward(n_level + 1) = upward(n_level + 1) + flux
    do k = n_level, 1, -1
      flux = through(k)*flux + fraction*(own(k)*source(k) + of_edge(k)*edge(k))
      upward(k) = upward(k) + flux
    end do
  end subroutine add_band

  !> w = 2 ((1 − e^{−Δ})/Δ − e^{−Δ}): Δ in thin layers, 2/Δ in thick ones [1].
  elemental function weight_of_layer(depth, through) result(weight)
    real(rk), intent(in) :: depth !! [1] Δ
    real(rk), intent(in) :: through !! [1] e^{−Δ}
    real(rk) :: weight
    if (depth < 1.0e-3_rk) then
      weight = depth*(1.0_rk - depth*(2.0_rk/3.0_rk - 0.25_rk*depth))
    else
      weight = 2.0_rk*((1.0_rk - through)/depth - through)
    end if
  end function weight_of_layer
end module emagram_longwave_kernels
