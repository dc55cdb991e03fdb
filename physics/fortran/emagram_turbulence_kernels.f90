!> Height of the boundary layer and eddy diffusivities of a column, for callers that have checked.
!!
!! Level 1 is the model top. Local mixing only: no counter-gradient flux.
module emagram_turbulence_kernels
  use emagram_constants, only: gas_constant_dry_air, gas_constant_water_vapor, gravity, heat_capacity_dry_air
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: boundary_layer_parameters, turbulence_kernel, column_heights, column_turbulence, surface_scales, scales_of

  !> What is tuned.
  type, bind(c) :: boundary_layer_parameters
    real(rk) :: critical_richardson_number = 0.3_rk !! [1] bulk number at the top of the boundary layer
    real(rk) :: surface_layer_fraction = 0.1_rk !! [1] of its height, above which the turbulent velocity is constant
    real(rk) :: largest_height = 6000.0_rk !! [m] of the boundary layer above the surface
    real(rk) :: mixing_length = 30.0_rk !! [m] far from the surface, outside the boundary layer
    real(rk) :: background_diffusivity = 0.01_rk !! [m2 s-1] everywhere
  end type boundary_layer_parameters

  !> What the surface fluxes say of turbulence.
  type :: surface_scales
    real(rk) :: friction_velocity !! [m s-1]
    real(rk) :: virtual_heat_flux !! [K m s-1] kinematic flux of virtual temperature, upward
    real(rk) :: buoyancy_flux !! [m2 s-3] g / Tv times it
    real(rk) :: warming !! [K] of the virtual temperature of the lowest layer by that flux in this step
  end type surface_scales

  real(rk), parameter :: von_karman = 0.4_rk !! [1]
  real(rk), parameter :: smallest_friction_velocity = 0.01_rk !! [m s-1]
  real(rk), parameter :: smallest_shear = 1.0e-12_rk !! [m2 s-2] so that nothing overflows in still air
  !> Moist air: Tv = T (1 + virtual q)
  real(rk), parameter :: virtual = gas_constant_water_vapor/gas_constant_dry_air - 1.0_rk !! [1]

contains

  !> Diffusivities at the interfaces and the height of the boundary layer, from the state and the surface fluxes.
  !!
  !! Height h, the lowest at which the bulk Richardson number against the lowest layer (index a) is critical:
  !!   Ri_b(z) = (g / (cp Tv_a)) (s_v(z) - s_v,a - cp dT) (z - z_a) / (|U(z) - U_a|**2 + 100 u***2),
  !! s_v = cp Tv + g z, dT = 8.5 (w'Tv') / w_m over an unstable surface, else 0, less what the surface fluxes have
  !! already warmed the lowest layer by in this step, w'Tv' rho dt / m: without that, h grows with dt over thin layers.
  !! Inside, with B the buoyancy flux,
  !!   K_m = kappa w z (1 - z / h)**2,  K_h = K_m / Pr,
  !!   B > 0: w**3 = u***3 + 15 kappa min(z, f h) B,  Pr = sqrt(u* / w_m) + 7.2 kappa f w* / w_m,  w***3 = B h,
  !!   B <= 0: w = u* / phi, phi = 1 + 5 zeta for zeta = -kappa z B / u***3 <= 1, else 5 + zeta,  Pr = 1,
  !! w_m = w(f h). Everywhere at least, with S**2 = |dU/dz|**2, N**2 = (g / (cp Tv)) ds_v/dz, Ri = N**2 / S**2:
  !!   K = l**2 S / (1 + 10 Ri (1 + 8 Ri)) for Ri > 0, l**2 sqrt(S**2 - 18 N**2) else,  1 / l = 1 / (kappa z) + 1 / l_0,
  !! plus the background.
  !! Source: Troen and Mahrt 1986, doi:10.1007/BF00122760; Holtslag and Boville 1993,
  !!   doi:10.1175/1520-0442(1993)006<1825:LVNBLD>2.0.CO;2 (profile, Prandtl number, free atmosphere); the shear of the
  !!   height from Vogelezang and Holtslag 1996, doi:10.1007/BF02430331.
  pure subroutine turbulence_kernel(n_level, n_column, parameters, dt, pressure_interface, air_temperature, &
    specific_humidity, eastward_wind, northward_wind, sensible_heat_flux, evaporation, stress_eastward, &
    stress_northward, diffusivity_heat, diffusivity_momentum, boundary_layer_height) &
    bind(c, name="emagram_turbulence_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    type(boundary_layer_parameters), intent(in) :: parameters
    real(rk), intent(in), value :: dt !! [s] for which the lowest layer has got the surface fluxes; 0 if it has not
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level, n_column) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: eastward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(in) :: northward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(in) :: sensible_heat_flux(n_column) !! [W m-2] upward
    real(rk), intent(in) :: evaporation(n_column) !! [kg m-2 s-1] upward
    real(rk), intent(in) :: stress_eastward(n_column) !! [N m-2]
    real(rk), intent(in) :: stress_northward(n_column) !! [N m-2]
    real(rk), intent(out) :: diffusivity_heat(n_level + 1, n_column) !! [m2 s-1] at interfaces, 0 at first and last
    real(rk), intent(out) :: diffusivity_momentum(n_level + 1, n_column) !! [m2 s-1]
    real(rk), intent(out) :: boundary_layer_height(n_column) !! [m] above the surface
    real(rk) :: virtual_temperature(n_level), height(n_level), height_interface(n_level + 1)
    type(surface_scales) :: scales
    integer(ik) :: i
    do i = 1, n_column
      call column_heights(n_level, pressure_interface(:, i), air_temperature(:, i), specific_humidity(:, i), &
        virtual_temperature, height, height_interface)
      scales = scales_of(dt, pressure_interface(n_level:, i), air_temperature(n_level, i), &
        specific_humidity(n_level, i), [sensible_heat_flux(i), evaporation(i), stress_eastward(i), stress_northward(i)])
      call column_turbulence(n_level, parameters, scales, virtual_temperature, height, height_interface, &
        eastward_wind(:, i), northward_wind(:, i), diffusivity_heat(:, i), diffusivity_momentum(:, i), &
        boundary_layer_height(i))
    end do
  end subroutine turbulence_kernel

  !> Virtual temperature, and heights above the surface by the hypsometric equation, dz = -(Rd Tv / g) dln p.
  !!
  !! The pressure of a layer is the mean of its interfaces. The height of the top interface is not computed: it may be
  !! infinite.
  pure subroutine column_heights(n_level, pressure_interface, air_temperature, specific_humidity, &
    virtual_temperature, height, height_interface)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: pressure_interface(n_level + 1) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level) !! [kg kg-1]
    real(rk), intent(out) :: virtual_temperature(n_level) !! [K]
    real(rk), intent(out) :: height(n_level) !! [m]
    real(rk), intent(out) :: height_interface(n_level + 1) !! [m], 0 in the first
    real(rk) :: scale
    integer(ik) :: k
    height_interface(n_level + 1) = 0.0_rk
    do k = n_level, 1, -1
      virtual_temperature(k) = air_temperature(k)*(1.0_rk + virtual*specific_humidity(k))
      scale = gas_constant_dry_air*virtual_temperature(k)/gravity
      height(k) = height_interface(k + 1) &
        + scale*log(2.0_rk*pressure_interface(k + 1)/(pressure_interface(k) + pressure_interface(k + 1)))
      if (k > 1) height_interface(k) = height_interface(k + 1) &
        + scale*log(pressure_interface(k + 1)/pressure_interface(k))
    end do
    height_interface(1) = 0.0_rk
  end subroutine column_heights

  !> Friction velocity and buoyancy flux from the fluxes of heat, water and momentum.
  pure function scales_of(dt, pressure, air_temperature, specific_humidity, fluxes) result(scales)
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pressure(2) !! [Pa] above and below the lowest layer
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1]
    real(rk), intent(in) :: fluxes(4) !! SHF [W m-2], E [kg m-2 s-1], stress eastward and northward [N m-2]
    type(surface_scales) :: scales
    real(rk) :: moist, density
    moist = 1.0_rk + virtual*specific_humidity
    density = 0.5_rk*(pressure(1) + pressure(2))/(gas_constant_dry_air*air_temperature*moist)
    scales%friction_velocity = max(sqrt(sqrt(fluxes(3)**2 + fluxes(4)**2)/density), smallest_friction_velocity)
    scales%virtual_heat_flux = (moist*fluxes(1)/heat_capacity_dry_air + virtual*air_temperature*fluxes(2))/density
    scales%warming = scales%virtual_heat_flux*density*dt*gravity/(pressure(2) - pressure(1))
    scales%buoyancy_flux = gravity*scales%virtual_heat_flux/(air_temperature*moist)
  end function scales_of

  !> Height of the boundary layer and diffusivities of one column.
  pure subroutine column_turbulence(n_level, parameters, scales, virtual_temperature, height, height_interface, &
    eastward_wind, northward_wind, diffusivity_heat, diffusivity_momentum, boundary_layer_height)
    integer(ik), intent(in) :: n_level
    type(boundary_layer_parameters), intent(in) :: parameters
    type(surface_scales), intent(in) :: scales
    real(rk), intent(in) :: virtual_temperature(n_level) !! [K]
    real(rk), intent(in) :: height(n_level) !! [m]
    real(rk), intent(in) :: height_interface(n_level + 1) !! [m]
    real(rk), intent(in) :: eastward_wind(n_level) !! [m s-1]
    real(rk), intent(in) :: northward_wind(n_level) !! [m s-1]
    real(rk), intent(out) :: diffusivity_heat(n_level + 1) !! [m2 s-1]
    real(rk), intent(out) :: diffusivity_momentum(n_level + 1) !! [m2 s-1]
    real(rk), intent(out) :: boundary_layer_height !! [m]
    real(rk) :: static_energy(n_level), excess, speed, inverse_prandtl, free, z
    integer(ik) :: j
    static_energy = heat_capacity_dry_air*virtual_temperature + gravity*height
    excess = -heat_capacity_dry_air*scales%warming
    call find_top(n_level, parameters, scales%friction_velocity, virtual_temperature(n_level), excess, static_energy, &
      height, eastward_wind, northward_wind, boundary_layer_height)
    if (scales%buoyancy_flux > 0.0_rk) then
      speed = turbulent_velocity(parameters, scales, boundary_layer_height, boundary_layer_height)
      excess = excess + heat_capacity_dry_air*8.5_rk*scales%virtual_heat_flux/speed
      call find_top(n_level, parameters, scales%friction_velocity, virtual_temperature(n_level), excess, &
        static_energy, height, eastward_wind, northward_wind, boundary_layer_height)
    end if

    inverse_prandtl = inverse_prandtl_number(parameters, scales, boundary_layer_height)
    diffusivity_heat(1) = 0.0_rk
    diffusivity_momentum(1) = 0.0_rk
    diffusivity_heat(n_level + 1) = 0.0_rk
    diffusivity_momentum(n_level + 1) = 0.0_rk
    do j = 2, n_level
      z = height_interface(j)
      free = parameters%background_diffusivity + free_diffusivity(parameters%mixing_length, z, &
        gravity*(static_energy(j - 1) - static_energy(j)) &
        /(0.5_rk*heat_capacity_dry_air*(virtual_temperature(j - 1) + virtual_temperature(j))), &
        (eastward_wind(j - 1) - eastward_wind(j))**2 + (northward_wind(j - 1) - northward_wind(j))**2, &
        height(j - 1) - height(j))
      diffusivity_momentum(j) = free
      diffusivity_heat(j) = free
      if (z >= boundary_layer_height) cycle
      speed = von_karman*turbulent_velocity(parameters, scales, z, boundary_layer_height) &
        *z*(1.0_rk - z/boundary_layer_height)**2
      diffusivity_momentum(j) = max(free, speed)
      diffusivity_heat(j) = max(free, speed*inverse_prandtl)
    end do
  end subroutine column_turbulence

  !> The lowest height at which the bulk Richardson number is critical; at least the mid-point of the lowest layer.
  pure subroutine find_top(n_level, parameters, friction_velocity, virtual_temperature, excess, static_energy, height, &
    eastward_wind, northward_wind, top)
    integer(ik), intent(in) :: n_level
    type(boundary_layer_parameters), intent(in) :: parameters
    real(rk), intent(in) :: friction_velocity !! [m s-1]
    real(rk), intent(in) :: virtual_temperature !! [K] of the lowest layer
    real(rk), intent(in) :: excess !! [J kg-1] of what rises over the lowest layer
    real(rk), intent(in) :: static_energy(n_level) !! [J kg-1]
    real(rk), intent(in) :: height(n_level) !! [m]
    real(rk), intent(in) :: eastward_wind(n_level) !! [m s-1]
    real(rk), intent(in) :: northward_wind(n_level) !! [m s-1]
    real(rk), intent(out) :: top !! [m]
    real(rk) :: below, here, shear
    integer(ik) :: k
    below = 0.0_rk
    top = height(n_level)
    do k = n_level - 1, 1, -1
      shear = (eastward_wind(k) - eastward_wind(n_level))**2 + (northward_wind(k) - northward_wind(n_level))**2
      here = gravity*(static_energy(k) - static_energy(n_level) - excess)*(height(k) - height(n_level)) &
        /(heat_capacity_dry_air*virtual_temperature*(shear + 100.0_rk*friction_velocity**2))
      if (here >= parameters%critical_richardson_number) then
        top = height(k + 1) &
          + (parameters%critical_richardson_number - below)/(here - below)*(height(k) - height(k + 1))
        exit
      end if
      below = here
      top = height(k)
      if (top >= parameters%largest_height) exit
    end do
    top = min(top, max(parameters%largest_height, height(n_level)))
  end subroutine find_top

  !> Velocity of the eddies that carry momentum at height z [m s-1].
  pure function turbulent_velocity(parameters, scales, z, top) result(speed)
    type(boundary_layer_parameters), intent(in) :: parameters
    type(surface_scales), intent(in) :: scales
    real(rk), intent(in) :: z !! [m]
    real(rk), intent(in) :: top !! [m] of the boundary layer
    real(rk) :: speed, cube, zeta
    cube = scales%friction_velocity**3
    if (scales%buoyancy_flux > 0.0_rk) then
      speed = (cube + 15.0_rk*von_karman*min(z, parameters%surface_layer_fraction*top)*scales%buoyancy_flux) &
        **(1.0_rk/3.0_rk)
    else
      zeta = -von_karman*z*scales%buoyancy_flux/cube
      speed = scales%friction_velocity/(min(1.0_rk + 5.0_rk*zeta, 5.0_rk + zeta))
    end if
  end function turbulent_velocity

  !> Diffusivity of heat over that of momentum [1].
  pure function inverse_prandtl_number(parameters, scales, top) result(ratio)
    type(boundary_layer_parameters), intent(in) :: parameters
    type(surface_scales), intent(in) :: scales
    real(rk), intent(in) :: top !! [m] of the boundary layer
    real(rk) :: ratio, speed, convective
    ratio = 1.0_rk
    if (scales%buoyancy_flux <= 0.0_rk) return
    speed = turbulent_velocity(parameters, scales, top, top)
    convective = (scales%buoyancy_flux*top)**(1.0_rk/3.0_rk)
    ratio = 1.0_rk/(sqrt(scales%friction_velocity/speed) &
      + 7.2_rk*von_karman*parameters%surface_layer_fraction*convective/speed)
  end function inverse_prandtl_number

  !> Diffusivity by the local Richardson number [m2 s-1]; differences are over dz, so N**2 = buoyancy / dz.
  pure function free_diffusivity(mixing_length, z, buoyancy, shear, dz) result(diffusivity)
    real(rk), intent(in) :: mixing_length !! [m]
    real(rk), intent(in) :: z !! [m]
    real(rk), intent(in) :: buoyancy !! [m s-2] of the layer above over the one below
    real(rk), intent(in) :: shear !! [m2 s-2] squared difference of winds
    real(rk), intent(in) :: dz !! [m]
    real(rk) :: diffusivity, length, richardson
    length = von_karman*z*mixing_length/(von_karman*z + mixing_length)
    if (buoyancy <= 0.0_rk) then
      diffusivity = length**2*sqrt(shear - 18.0_rk*buoyancy*dz)/dz
    else
      richardson = buoyancy*dz/max(shear, smallest_shear)
      diffusivity = length**2*(sqrt(shear)/dz)/(1.0_rk + 10.0_rk*richardson*(1.0_rk + 8.0_rk*richardson))
    end if
  end function free_diffusivity
end module emagram_turbulence_kernels
