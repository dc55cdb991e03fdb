!> Implicit vertical diffusion of a column without flux through its top or bottom, for callers that have checked.
module emagram_diffusion_kernels
  use emagram_constants, only: gravity
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: diffusion_kernel, factor_diffusion, diffuse

contains

  !> Backward Euler step of diffusion in mass coordinates, rates from fluxes.
  !!
  !! With the mass m_k = dp_k / g of a layer and the exchange e_j = rho K / dz at interface j, between layers j - 1
  !! and j:  F_j = e_j (x'_j - x'_(j-1)),  (x'_k - x_k) / dt = (F_(k+1) - F_k) / m_k,  F = 0 at top and surface.
  !! Unconditionally stable, conserves the sum of m x, makes no new extremum.
  pure subroutine diffusion_kernel(n_level, n_column, dt, pressure_interface, exchange, quantity, rate, flux) &
    bind(c, name="emagram_diffusion_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    real(rk), intent(in), value :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: exchange(n_level + 1, n_column) !! [kg m-2 s-1] at interfaces; first and last are not used
    real(rk), intent(in) :: quantity(n_level, n_column) !! [x]
    real(rk), intent(out) :: rate(n_level, n_column) !! [x s-1]
    real(rk), intent(out) :: flux(n_level + 1, n_column) !! [x kg m-2 s-1] upward, after the step
    real(rk) :: mass(n_level), factors(3, n_level)
    integer(ik) :: i
    do i = 1, n_column
      mass = (pressure_interface(2:, i) - pressure_interface(:n_level, i))/gravity
      call factor_diffusion(n_level, dt, mass, exchange(:, i), factors)
      call diffuse(n_level, dt, factors, quantity(:, i), flux(:, i))
      rate(:, i) = (flux(2:, i) - flux(:n_level, i))/mass
    end do
  end subroutine diffusion_kernel

  !> What the elimination from the top needs of the masses and exchanges, for any number of quantities.
  !!
  !! With r_k = e_(k+1) dt:  d_1 = m_1,  d_(k+1) = m_(k+1) + g_k d_k,  g_k = r_k / (d_k + r_k): d is the mass above that
  !! is felt from below, g the share of it. Sums of positive numbers, so that no exchange, however strong beside the
  !! mass, loses digits.
  pure subroutine factor_diffusion(n_level, dt, mass, exchange, factors)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: exchange(n_level + 1) !! [kg m-2 s-1]
    real(rk), intent(out) :: factors(3, n_level) !! d [kg m-2], g [1], 1 / (d + r) [m2 kg-1]
    real(rk) :: above
    integer(ik) :: k
    above = mass(1)
    do k = 1, n_level - 1
      factors(1, k) = above
      factors(3, k) = 1.0_rk/(above + exchange(k + 1)*dt)
      factors(2, k) = exchange(k + 1)*dt*factors(3, k)
      above = mass(k + 1) + factors(2, k)*above
    end do
    factors(:, n_level) = [above, 0.0_rk, 1.0_rk/above]
  end subroutine factor_diffusion

  !> Fluxes at the end of the step.
  !!
  !! From the increments i = x' - x and the differences D_k = x_(k+1) - x_k alone: a well-mixed column stays so to the
  !! last bit, and rounding is that of the masses, not of the exchanges:
  !!   v_1 = 0,  v_(k+1) = g_k (v_k - d_k D_k);  i_n = v_n / d_n,  a_k = D_k + i_(k+1),
  !!   F_(k+1) dt = g_k (d_k a_k - v_k),  i_k = v_k / (d_k + r_k) + g_k a_k
  pure subroutine diffuse(n_level, dt, factors, quantity, flux)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: factors(3, n_level) !! from factor_diffusion
    real(rk), intent(in) :: quantity(n_level) !! [x]
    real(rk), intent(out) :: flux(n_level + 1) !! [x kg m-2 s-1] upward
    real(rk) :: lag(n_level) !! v, what the mass above lacks beside layer k [x kg m-2]
    real(rk) :: increment, ahead
    integer(ik) :: k
    lag(1) = 0.0_rk
    do k = 1, n_level - 1
      lag(k + 1) = factors(2, k)*(lag(k) - factors(1, k)*(quantity(k + 1) - quantity(k)))
    end do
    flux(1) = 0.0_rk
    flux(n_level + 1) = 0.0_rk
    increment = lag(n_level)*factors(3, n_level)
    do k = n_level - 1, 1, -1
      ahead = (quantity(k + 1) - quantity(k)) + increment
      flux(k + 1) = factors(2, k)*(factors(1, k)*ahead - lag(k))/dt
      increment = lag(k)*factors(3, k) + factors(2, k)*ahead
    end do
  end subroutine diffuse
end module emagram_diffusion_kernels
