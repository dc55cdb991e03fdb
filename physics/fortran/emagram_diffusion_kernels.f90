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
    real(rk) :: mass(n_level), pivot(n_level)
    integer(ik) :: i
    do i = 1, n_column
      mass = (pressure_interface(2:, i) - pressure_interface(:n_level, i))/gravity
      call factor_diffusion(n_level, dt, mass, exchange(:, i), pivot)
      call diffuse(n_level, dt, pivot, exchange(:, i), quantity(:, i), flux(:, i))
      rate(:, i) = (flux(2:, i) - flux(:n_level, i))/mass
    end do
  end subroutine diffusion_kernel

  !> Pivots of the elimination from the top, b_k = d_k + e_(k+1) dt, d_(k+1) = m_(k+1) + e_(k+1) dt d_k / b_k.
  !!
  !! Sums of positive numbers only, so no exchange, however strong beside the mass, loses digits.
  pure subroutine factor_diffusion(n_level, dt, mass, exchange, pivot)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: mass(n_level) !! [kg m-2]
    real(rk), intent(in) :: exchange(n_level + 1) !! [kg m-2 s-1]
    real(rk), intent(out) :: pivot(n_level) !! [kg m-2]
    real(rk) :: remainder
    integer(ik) :: k
    remainder = mass(1)
    do k = 1, n_level - 1
      pivot(k) = remainder + exchange(k + 1)*dt
      remainder = mass(k + 1) + exchange(k + 1)*dt*(remainder/pivot(k))
    end do
    pivot(n_level) = remainder
  end subroutine factor_diffusion

  !> Fluxes at the end of the step, from the increments x' - x: a well-mixed column stays so to the last bit.
  pure subroutine diffuse(n_level, dt, pivot, exchange, quantity, flux)
    integer(ik), intent(in) :: n_level
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pivot(n_level) !! [kg m-2] from factor_diffusion
    real(rk), intent(in) :: exchange(n_level + 1) !! [kg m-2 s-1]
    real(rk), intent(in) :: quantity(n_level) !! [x]
    real(rk), intent(out) :: flux(n_level + 1) !! [x kg m-2 s-1] upward
    real(rk) :: increment(n_level)
    integer(ik) :: k
    flux(1) = 0.0_rk
    do k = 2, n_level
      flux(k) = exchange(k)*(quantity(k) - quantity(k - 1))
    end do
    flux(n_level + 1) = 0.0_rk

    increment(1) = dt*flux(2)/pivot(1)
    do k = 2, n_level
      increment(k) = dt*((flux(k + 1) - flux(k)) + exchange(k)*increment(k - 1))/pivot(k)
    end do
    do k = n_level - 1, 1, -1
      increment(k) = increment(k) + dt*exchange(k + 1)*increment(k + 1)/pivot(k)
      flux(k + 1) = flux(k + 1) + exchange(k + 1)*(increment(k + 1) - increment(k))
    end do
  end subroutine diffuse
end module emagram_diffusion_kernels
