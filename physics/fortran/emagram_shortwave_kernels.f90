!> Shortwave radiation: a kernel for callers that have checked.
!!
!! Two bands, parted at 0.7 µm as the surface's albedos are, of terms of a k-distribution: the visible has two of
!! ultraviolet light that ozone absorbs and one in which it absorbs little (Chappuis); the near infrared has one that
!! water vapour does not absorb and three that it does. They were fitted to the absorption of ozone and the
!! k-distribution of water vapour in Lacis and Hansen 1974, with pressure scaling p/p₀ for vapour. Air scatters in the
!! visible (the sun's mean of the Rayleigh depth). Cloud has the optics of Slingo 1989 (liquid) and Ebert and Curry
!! 1992 (ice) in four bands, delta-scaled; its depth is reduced by a factor as patches of cloud reflect less than
!! their mean (Cahalan et al. 1994). Streams and adding: emagram_two_stream. Absorption by other gases, aerosol and
!! curvature are left out.
!! Sources: Lacis and Hansen 1974, doi:10.1175/1520-0469(1974)031<0118:APFTAO>2.0.CO;2; Slingo 1989,
!! doi:10.1175/1520-0469(1989)046<1419:AGPFTS>2.0.CO;2; Ebert and Curry 1992, doi:10.1029/91JD02472; Cahalan et al.
!! 1994, doi:10.1175/1520-0469(1994)051<2434:TAOSC>2.0.CO;2
module emagram_shortwave_kernels
  use emagram_constants, only: gravity, heat_capacity_dry_air, reference_pressure
  use emagram_kinds, only: ik, rk
  use emagram_two_stream, only: add_layers, solve_layers
  implicit none (type, external)
  private
  public :: shortwave_parameters, shortwave_kernel

  !> What clouds are made of, and factors on the gases.
  type, bind(c) :: shortwave_parameters
    real(rk) :: liquid_radius = 10.0e-6_rk !! [m] effective radius of droplets
    real(rk) :: ice_radius = 30.0e-6_rk !! [m] effective radius of ice particles
    real(rk) :: cloud_factor = 0.7_rk !! [1] effective over mean optical depth of patchy cloud
    real(rk) :: ozone_factor = 1.0_rk !! [1]
    real(rk) :: water_vapor_factor = 1.0_rk !! [1]
    real(rk) :: rayleigh_factor = 1.0_rk !! [1]
  end type shortwave_parameters

  integer, parameter :: n_term = 7 !! terms of the k-distribution
  integer, parameter :: n_visible = 3 !! of them in the visible, the first ones
  integer, parameter :: n_optics = 4 !! bands of the optics of cloud
  !> [1] fraction of sunlight
  real(rk), parameter :: fraction(n_term) = &
    [0.0075_rk, 0.0126_rk, 0.4499_rk, 0.2983_rk, 0.1419_rk, 0.0622_rk, 0.0276_rk]
  !> [m2 kg-1] ozone: 1 cm at standard temperature and pressure is 0.021415 kg m-2
  real(rk), parameter :: ozone_absorption(n_term) = &
    [127.0_rk, 4.07_rk, 0.0471_rk, 0.0_rk, 0.0_rk, 0.0_rk, 0.0_rk]/0.021415_rk
  !> [m2 kg-1] water vapour at 1000 hPa
  real(rk), parameter :: vapor_absorption(n_term) = &
    [0.0_rk, 0.0_rk, 0.0_rk, 0.0_rk, 0.01137_rk, 0.2880_rk, 7.295_rk]
  !> [1] Rayleigh scattering by 1000 hPa of air
  real(rk), parameter :: rayleigh_depth(n_term) = [1.0_rk, 1.0_rk, 0.17_rk, 0.0_rk, 0.0_rk, 0.0_rk, 0.0_rk]
  !> which band of the optics of cloud
  integer, parameter :: optics_of(n_term) = [1, 1, 1, 2, 3, 3, 4]

  !> Slingo 1989, table 1, depth of 1 g m-2 is a + b/r, 1 − ω = c + d r, g = e + f r for a radius r [µm]
  real(rk), parameter :: liquid(6, n_optics) = reshape([ &
    2.817e-2_rk, 1.305_rk, -5.62e-8_rk, 1.63e-7_rk, 0.829_rk, 2.482e-3_rk, &
    2.682e-2_rk, 1.346_rk, -6.94e-6_rk, 2.35e-5_rk, 0.794_rk, 4.226e-3_rk, &
    2.264e-2_rk, 1.454_rk, 4.64e-4_rk, 1.24e-3_rk, 0.754_rk, 6.560e-3_rk, &
    1.281e-2_rk, 1.641_rk, 2.01e-1_rk, 7.56e-3_rk, 0.826_rk, 4.353e-3_rk], [6, n_optics])
  !> Ebert and Curry 1992, the same for ice
  real(rk), parameter :: ice(6, n_optics) = reshape([ &
    3.448e-3_rk, 2.431_rk, 1.00e-5_rk, 0.0_rk, 0.7661_rk, 5.851e-4_rk, &
    3.448e-3_rk, 2.431_rk, 1.10e-4_rk, 1.405e-5_rk, 0.7730_rk, 5.665e-4_rk, &
    3.448e-3_rk, 2.431_rk, 1.861e-2_rk, 8.328e-4_rk, 0.794_rk, 7.267e-4_rk, &
    3.448e-3_rk, 2.431_rk, 0.46658_rk, 2.05e-5_rk, 0.9595_rk, 1.076e-4_rk], [6, n_optics])

contains

  !> Fluxes at the interfaces and into the surface, and heating from their divergence; exact zeros at night.
  pure subroutine shortwave_kernel(n_level, n_column, parameters, pressure_interface, specific_humidity, cloud_liquid, &
    cloud_ice, ozone, cosine_of_solar_zenith_angle, toa_incoming_shortwave_flux, albedo_direct_visible, &
    albedo_direct_near_infrared, albedo_diffuse_visible, albedo_diffuse_near_infrared, upward, downward, &
    rate_temperature, surface_direct_visible, surface_direct_near_infrared, surface_diffuse_visible, &
    surface_diffuse_near_infrared) bind(c, name="emagram_shortwave_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    type(shortwave_parameters), intent(in) :: parameters
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1] below 0 counts as 0, as for the next three
    real(rk), intent(in) :: cloud_liquid(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_ice(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: ozone(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cosine_of_solar_zenith_angle(n_column) !! [1]
    real(rk), intent(in) :: toa_incoming_shortwave_flux(n_column) !! [W m-2]
    real(rk), intent(in) :: albedo_direct_visible(n_column), albedo_direct_near_infrared(n_column) !! [1]
    real(rk), intent(in) :: albedo_diffuse_visible(n_column), albedo_diffuse_near_infrared(n_column) !! [1]
    real(rk), intent(out) :: upward(n_level + 1, n_column) !! [W m-2]
    real(rk), intent(out) :: downward(n_level + 1, n_column) !! [W m-2]
    real(rk), intent(out) :: rate_temperature(n_level, n_column) !! [K s-1]
    real(rk), intent(out) :: surface_direct_visible(n_column), surface_direct_near_infrared(n_column) !! [W m-2]
    real(rk), intent(out) :: surface_diffuse_visible(n_column), surface_diffuse_near_infrared(n_column) !! [W m-2]
    real(rk) :: albedo(4), surface(4), optics(6, n_optics)
    integer :: i
    optics = optics_of_cloud(parameters)
    do i = 1, n_column
      albedo = [albedo_direct_visible(i), albedo_diffuse_visible(i), albedo_direct_near_infrared(i), &
        albedo_diffuse_near_infrared(i)]
      call radiate_column(n_level, parameters, optics, pressure_interface(:, i), specific_humidity(:, i), &
        cloud_liquid(:, i), cloud_ice(:, i), ozone(:, i), cosine_of_solar_zenith_angle(i), &
        toa_incoming_shortwave_flux(i), albedo, upward(:, i), downward(:, i), rate_temperature(:, i), surface)
      surface_direct_visible(i) = surface(1)
      surface_diffuse_visible(i) = surface(2)
      surface_direct_near_infrared(i) = surface(3)
      surface_diffuse_near_infrared(i) = surface(4)
    end do
  end subroutine shortwave_kernel

  !> One column; albedo and surface hold direct and diffuse of the visible, then of the near infrared.
  pure subroutine radiate_column(n_level, parameters, optics, pressure_interface, specific_humidity, cloud_liquid, &
    cloud_ice, ozone, cosine, incoming, albedo, upward, downward, rate_temperature, surface)
    integer(ik), intent(in) :: n_level
    type(shortwave_parameters), intent(in) :: parameters
    real(rk), intent(in) :: optics(6, n_optics) !! [m2 kg-1] of optics_of_cloud
    real(rk), intent(in) :: pressure_interface(n_level + 1) !! [Pa]
    real(rk), intent(in), dimension(n_level) :: specific_humidity, cloud_liquid, cloud_ice, ozone !! [kg kg-1]
    real(rk), intent(in) :: cosine !! [1]
    real(rk), intent(in) :: incoming !! [W m-2]
    real(rk), intent(in) :: albedo(4) !! [1]
    real(rk), intent(out) :: upward(n_level + 1), downward(n_level + 1) !! [W m-2]
    real(rk), intent(out) :: rate_temperature(n_level) !! [K s-1]
    real(rk), intent(out) :: surface(4) !! [W m-2]
    real(rk), dimension(n_level) :: thickness, air, vapor, ozone_path, liquid_path, ice_path
    real(rk), dimension(n_level) :: absorption, scattering, asymmetric
    real(rk), dimension(n_level) :: reflect, transmit, reflect_beam, transmit_beam, beam
    integer :: term, band
    upward = 0.0_rk
    downward = 0.0_rk
    rate_temperature = 0.0_rk
    surface = 0.0_rk
    if (incoming <= 0.0_rk .or. cosine <= 0.0_rk) return
    thickness = pressure_interface(2:) - pressure_interface(:n_level)
    air = parameters%rayleigh_factor*thickness/reference_pressure
    vapor = parameters%water_vapor_factor*max(specific_humidity, 0.0_rk)*thickness/gravity &
      *0.5_rk*(pressure_interface(2:) + pressure_interface(:n_level))/reference_pressure
    ozone_path = parameters%ozone_factor*max(ozone, 0.0_rk)*thickness/gravity
    liquid_path = parameters%cloud_factor*max(cloud_liquid, 0.0_rk)*thickness/gravity
    ice_path = parameters%cloud_factor*max(cloud_ice, 0.0_rk)*thickness/gravity
    do term = 1, n_term
      associate (cloud => optics(:, optics_of(term)))
        absorption = ozone_absorption(term)*ozone_path + vapor_absorption(term)*vapor &
          + cloud(1)*liquid_path + cloud(4)*ice_path
        scattering = rayleigh_depth(term)*air + cloud(2)*liquid_path + cloud(5)*ice_path
        asymmetric = cloud(3)*liquid_path + cloud(6)*ice_path
      end associate
      band = merge(1, 3, term <= n_visible)
      ! a grazing beam of 1e-6 is as good as none, and divides without overflow
      call solve_layers(n_level, absorption, scattering, asymmetric, max(cosine, 1.0e-6_rk), reflect, transmit, &
        reflect_beam, transmit_beam, beam)
      call add_layers(n_level, fraction(term)*incoming, albedo(band), albedo(band + 1), reflect, transmit, &
        reflect_beam, transmit_beam, beam, upward, downward, surface(band), surface(band + 1))
    end do
    rate_temperature = gravity/heat_capacity_dry_air/thickness &
      *((downward(:n_level) - upward(:n_level)) - (downward(2:) - upward(2:)))
  end subroutine radiate_column

  !> Depths of 1 kg m-2 of liquid, then ice: absorption, scattering, scattering times asymmetry [m2 kg-1].
  !!
  !! Delta-scaled by the forward peak f = g² of each: scattering (1 − f), asymmetry (g − f)/(1 − f) = g/(1 + g).
  pure function optics_of_cloud(parameters) result(optics)
    type(shortwave_parameters), intent(in) :: parameters
    real(rk) :: optics(6, n_optics)
    integer :: band
    do band = 1, n_optics
      optics(1:3, band) = depths(liquid(:, band), 1.0e6_rk*parameters%liquid_radius)
      optics(4:6, band) = depths(ice(:, band), 1.0e6_rk*parameters%ice_radius)
    end do
  end function optics_of_cloud

  pure function depths(table, radius) result(of_one_kilogram)
    real(rk), intent(in) :: table(6)
    real(rk), intent(in) :: radius !! [µm]
    real(rk) :: of_one_kilogram(3) !! [m2 kg-1]
    real(rk) :: extinction, coalbedo, g
    extinction = 1.0e3_rk*(table(1) + table(2)/radius)
    coalbedo = max(table(3) + table(4)*radius, 0.0_rk)
    g = table(5) + table(6)*radius
    of_one_kilogram(1) = extinction*coalbedo
    of_one_kilogram(2) = extinction*(1.0_rk - coalbedo)*(1.0_rk - g**2)
    of_one_kilogram(3) = of_one_kilogram(2)*g/(1.0_rk + g)
  end function depths
end module emagram_shortwave_kernels
