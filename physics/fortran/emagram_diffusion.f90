!> Implicit vertical diffusion: what checks its arguments and calls the kernel. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_diffusion
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_interfaces, check_range, check_shape
  use emagram_diffusion_kernels, only: diffusion_kernel
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: diffusion

contains

  !> Rate and fluxes of a quantity that is mixed.
  subroutine diffusion(dt, pressure_interface, exchange, quantity, rate, flux, ierr, errmsg)
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: exchange(:, :) !! [kg m-2 s-1] (n_level + 1, n_column), first and last not used
    real(rk), intent(in) :: quantity(:, :) !! [x] (n_level, n_column)
    real(rk), intent(inout) :: rate(:, :) !! [x s-1] (n_level, n_column)
    real(rk), intent(inout) :: flux(:, :) !! [x kg m-2 s-1] upward (n_level + 1, n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: layers(2)
    call begin_checks(ierr, errmsg)
    layers = [size(pressure_interface, 1) - 1, size(pressure_interface, 2)]
    call check_above_zero("dt", [dt], ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_shape("exchange", shape(exchange), shape(pressure_interface), ierr, errmsg)
    call check_shape("quantity", shape(quantity), layers, ierr, errmsg)
    call check_shape("rate", shape(rate), layers, ierr, errmsg)
    call check_shape("flux", shape(flux), shape(pressure_interface), ierr, errmsg)
    call check_range("exchange", exchange, 0.0_rk, huge(1.0_rk), ierr, errmsg)
    call check_finite("quantity", quantity, ierr, errmsg)
    if (ierr /= 0) return
    call diffusion_kernel(int(layers(1), ik), int(layers(2), ik), dt, pressure_interface, exchange, quantity, &
      rate, flux)
  end subroutine diffusion
end module emagram_diffusion
