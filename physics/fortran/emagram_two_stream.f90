!> Sunlight in a column of layers: what each layer reflects and lets through, and the fluxes between all of them.
!!
!! The two streams of the practical improved flux method (Zdunkowski et al. 1980) for delta-scaled optical depths:
!!   γ₁ = (8 − ω(5 + 3g))/4, γ₂ = 3ω(1 − g)/4, γ₃ = (2 − 3gμ₀)/4, γ₄ = 1 − γ₃, k² = γ₁² − γ₂²,
!! a layer's reflectance and transmittance as Meador and Weaver 1980 (their equations 14, 15, 25, 26, here with
!! tanh(kτ)/k and sech(kτ), so that they hold through k = 0), and the layers added from the surface up as Shonk and
!! Hogan 2008. Sources: Zdunkowski, Welch and Korb 1980, Beitr. Phys. Atmos. 53, 147–166; Meador and Weaver 1980,
!! doi:10.1175/1520-0469(1980)037<0630:TSATRT>2.0.CO;2; Shonk and Hogan 2008, doi:10.1175/2007JCLI1940.1
module emagram_two_stream
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: solve_layers, add_layers

  !> Depth beyond which nothing changes that anybody could measure, and cancellation would begin [1].
  real(rk), parameter :: deepest = 1.0e5_rk
  !> exp(−this) is nothing to a flux; smaller numbers become denormal, which is slow [1].
  real(rk), parameter :: darkest = 100.0_rk
  !> 1 − (kμ₀)² nearer to 0 is moved away [1]: an error of its size, where rounding would make a larger one.
  real(rk), parameter :: resonance = 1.0e-7_rk

contains

  !> Reflectance and transmittance of layers for diffuse light; the same, into diffuse light, for the direct beam; and
  !! what stays in the beam.
  pure subroutine solve_layers(n_level, absorption, scattering, asymmetric, cosine, reflect, transmit, &
    reflect_beam, transmit_beam, beam)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: absorption(n_level) !! [1] depth
    real(rk), intent(in) :: scattering(n_level) !! [1] depth, delta-scaled
    real(rk), intent(in) :: asymmetric(n_level) !! [1] scattering depth times asymmetry factor, delta-scaled
    real(rk), intent(in) :: cosine !! [1] μ₀, above 0
    real(rk), intent(out), dimension(n_level) :: reflect, transmit, reflect_beam, transmit_beam, beam !! [1]
    integer :: k
    do k = 1, n_level
      if (scattering(k) > 0.0_rk) then
        call scatter(min(absorption(k), deepest), min(scattering(k), deepest), asymmetric(k)/scattering(k), cosine, &
          reflect(k), transmit(k), reflect_beam(k), transmit_beam(k), beam(k))
      else
        reflect(k) = 0.0_rk
        transmit(k) = decay(2.0_rk*absorption(k))
        reflect_beam(k) = 0.0_rk
        transmit_beam(k) = 0.0_rk
        beam(k) = decay(absorption(k)/cosine)
      end if
    end do
  end subroutine solve_layers

  !> e^{−x}, 0 where that is nothing to a flux [1].
  elemental function decay(x) result(left)
    real(rk), intent(in) :: x !! [1]
    real(rk) :: left
    left = 0.0_rk
    if (x < darkest) left = exp(-x)
  end function decay

  !> One layer that scatters.
  pure subroutine scatter(absorption, scattering, g, cosine, reflect, transmit, reflect_beam, transmit_beam, beam)
    real(rk), intent(in) :: absorption, scattering !! [1] depths
    real(rk), intent(in) :: g !! [1] asymmetry factor
    real(rk), intent(in) :: cosine !! [1] μ₀
    real(rk), intent(out) :: reflect, transmit, reflect_beam, transmit_beam, beam !! [1]
    real(rk) :: depth, albedo, coalbedo, gamma1, gamma2, gamma3, gamma4, alpha1, alpha2
    real(rk) :: k2, x, through, tanh_by_k, sech, factor, mu, kmu2
    depth = absorption + scattering
    coalbedo = absorption/depth
    albedo = scattering/depth
    gamma2 = 0.75_rk*albedo*(1.0_rk - g)
    gamma1 = gamma2 + 2.0_rk*coalbedo
    k2 = 2.0_rk*coalbedo*(gamma1 + gamma2)
    x = sqrt(k2)*depth
    through = decay(x)
    sech = 2.0_rk*through/(1.0_rk + through**2)
    if (x < 1.0e-3_rk) then
      tanh_by_k = depth*(1.0_rk - x**2/3.0_rk)
    else
      tanh_by_k = depth/x*(1.0_rk - through**2)/(1.0_rk + through**2)
    end if
    factor = 1.0_rk/(1.0_rk + gamma1*tanh_by_k)
    reflect = gamma2*tanh_by_k*factor
    transmit = sech*factor

    mu = cosine
    if (abs(1.0_rk - k2*mu**2) < resonance) mu = sqrt((1.0_rk - resonance)/k2)
    kmu2 = k2*mu**2
    gamma3 = 0.5_rk - 0.75_rk*g*mu
    gamma4 = 1.0_rk - gamma3
    alpha1 = gamma1*gamma4 + gamma2*gamma3
    alpha2 = gamma1*gamma3 + gamma2*gamma4
    beam = decay(depth/mu)
    factor = albedo*factor/(1.0_rk - kmu2)
    reflect_beam = factor*((alpha2 - k2*mu*gamma3)*tanh_by_k + (gamma3 - mu*alpha2)*(1.0_rk - sech*beam))
    transmit_beam = factor*((gamma4 + mu*alpha1)*(sech - beam) - (alpha1 + k2*mu*gamma4)*tanh_by_k*beam)
    ! two streams are an approximation: at some angles they would scatter less than nothing, or more than all
    reflect_beam = max(0.0_rk, min(reflect_beam, 1.0_rk - beam))
    transmit_beam = max(0.0_rk, min(transmit_beam, 1.0_rk - beam - reflect_beam))
  end subroutine scatter

  !> Add the fluxes of light that enters the top as a beam, given the layers and the surface.
  pure subroutine add_layers(n_level, incoming, albedo_direct, albedo_diffuse, reflect, transmit, reflect_beam, &
    transmit_beam, beam, upward, downward, surface_direct, surface_diffuse)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: incoming !! [W m-2] through the horizontal top
    real(rk), intent(in) :: albedo_direct, albedo_diffuse !! [1] of the surface
    real(rk), intent(in), dimension(n_level) :: reflect, transmit, reflect_beam, transmit_beam, beam !! [1]
    real(rk), intent(inout) :: upward(n_level + 1), downward(n_level + 1) !! [W m-2] diffuse, and diffuse and direct
    real(rk), intent(inout) :: surface_direct, surface_diffuse !! [W m-2] downward
    real(rk) :: direct(n_level + 1) !! [W m-2]
    real(rk) :: albedo(n_level + 1) !! [1] of all that is below, for diffuse light
    real(rk) :: source(n_level + 1) !! [W m-2] upward from all that is below, lit by the beam alone
    real(rk) :: between(n_level) !! [1] the sum of the reflections between a layer and what is below
    real(rk) :: diffuse
    integer :: k
    direct(1) = incoming
    do k = 1, n_level
      direct(k + 1) = direct(k)*beam(k)
    end do
    albedo(n_level + 1) = albedo_diffuse
    source(n_level + 1) = albedo_direct*direct(n_level + 1)
    do k = n_level, 1, -1
      between(k) = 1.0_rk/(1.0_rk - reflect(k)*albedo(k + 1))
      albedo(k) = reflect(k) + transmit(k)**2*albedo(k + 1)*between(k)
      source(k) = reflect_beam(k)*direct(k) &
        + transmit(k)*between(k)*(source(k + 1) + albedo(k + 1)*transmit_beam(k)*direct(k))
    end do
    diffuse = 0.0_rk
    upward(1) = upward(1) + source(1)
    downward(1) = downward(1) + incoming
    do k = 1, n_level
      diffuse = (transmit(k)*diffuse + reflect(k)*source(k + 1) + transmit_beam(k)*direct(k))*between(k)
      upward(k + 1) = upward(k + 1) + albedo(k + 1)*diffuse + source(k + 1)
      downward(k + 1) = downward(k + 1) + diffuse + direct(k + 1)
    end do
    surface_direct = surface_direct + direct(n_level + 1)
    surface_diffuse = surface_diffuse + diffuse
  end subroutine add_layers
end module emagram_two_stream
