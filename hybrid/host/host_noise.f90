!> States beside the way of a run: noise on what is recorded, and the physics of the noisy state.
!!
!! An emulator that is left alone makes errors that the physics it learned from would never make, and must have seen how
!! physics answers them. The run itself goes on without noise.
module host_noise
  use, intrinsic :: iso_fortran_env, only: int64
  use emagram_kinds, only: rk
  use host_clock, only: clock
  use host_columns, only: column_block
  use host_fields, only: air_temperature, before_physics, cloud_ice, eastward_wind, n_state, northward_wind, &
    specific_humidity
  use host_settings, only: host_options
  implicit none (type, external)
  private
  public :: add_noise, is_noisy

contains

  pure function is_noisy(host) result(it_is)
    type(host_options), intent(in) :: host
    logical :: it_is
    it_is = max(host%record_temperature_noise, host%record_water_noise, host%record_wind_noise) > 0.0_rk
  end function is_noisy

  !> Change the state before physics of a block, the same whatever the ranks: each column has numbers of its own.
  pure subroutine add_noise(block, host, now)
    type(column_block), intent(inout) :: block
    type(host_options), intent(in) :: host
    type(clock), intent(in) :: now
    real(rk) :: x(n_state), unused
    integer(int64) :: stream
    integer :: i, k
    do i = 1, block%n_column
      stream = ieor(73856093_int64*(block%first + i), 19349663_int64*(now%step + 1))
      do k = 1, 20 ! neighbours begin alike
        call draw(stream, unused)
      end do
      do k = 1, block%n_level
        x = block%profile(k, i, :n_state)
        call disturb(x, host, stream)
        block%profile(k, i, :n_state) = x
      end do
    end do
    block%profile(:, :, before_physics + 1:before_physics + n_state) = block%profile(:, :, :n_state)
  end subroutine add_noise

  pure subroutine disturb(x, host, stream)
    real(rk), intent(inout) :: x(n_state)
    type(host_options), intent(in) :: host
    integer(int64), intent(inout) :: stream
    real(rk) :: z
    integer :: f
    do f = 1, n_state
      call draw(stream, z)
      if (f == air_temperature) x(f) = x(f) + host%record_temperature_noise*z
      if (f >= specific_humidity .and. f <= cloud_ice) x(f) = x(f)*exp(host%record_water_noise*z)
      if (f == eastward_wind .or. f == northward_wind) x(f) = x(f) + host%record_wind_noise*z
    end do
  end subroutine disturb

  !> A number of mean 0 and variance 1, nearly normal: the sum of four uniform ones.
  pure subroutine draw(stream, z)
    integer(int64), intent(inout) :: stream !! not 0
    real(rk), intent(out) :: z
    integer :: i
    z = -2.0_rk
    do i = 1, 4
      stream = ieor(stream, ishft(stream, 13)) ! xorshift64: Marsaglia 2003, doi:10.18637/jss.v008.i14
      stream = ieor(stream, ishft(stream, -7))
      stream = ieor(stream, ishft(stream, 17))
      z = z + real(ishft(stream, -11), rk)*2.0_rk**(-53)
    end do
    z = sqrt(3.0_rk)*z
  end subroutine draw
end module host_noise
