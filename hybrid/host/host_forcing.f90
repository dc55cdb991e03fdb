!> Large-scale forcing: what the flow around a column would do to it, prescribed.
!!
!!   ω(p, t) = Σ_m W_m F_m,  F_m = sin(2π t/τ_m + φ_m) sin(π n_m (p − p_t)/(p_s − p_t)), 0 above p_t
!!   Ṫ = −ω ∂T/∂p + κ T ω/p + Σ_m A_m F_m + (T_ref − T)/(τ_T + Δt)
!!   q̇ = −ω ∂q/∂p + q Σ_m B_m F_m + (q_ref − q)/(τ_q + Δt)
!!
!! with upstream differences; cloud water is lifted only, winds are only relaxed. Everything follows from the time
!! alone, so a restart needs no state of it. Humidity is never taken below zero: what is withheld is reported.
module host_forcing
  use emagram_constants, only: gas_constant_dry_air, gravity, heat_capacity_dry_air
  use emagram_kinds, only: rk
  use host_columns, only: column_block, mode_half_waves, mode_humidity, mode_omega, mode_period, mode_phase, &
    mode_temperature
  use host_fields, only: air_temperature, cloud_ice, eastward_wind, limited_water, northward_wind, &
    reference_eastward, reference_humidity, reference_northward, reference_temperature, specific_humidity
  implicit none (type, external)
  private
  public :: check_courant_number, forcing_rates

  real(rk), parameter :: pi = acos(-1.0_rk)
  real(rk), parameter :: kappa = gas_constant_dry_air/heat_capacity_dry_air

  !> What is the same in all columns.
  type, public :: forcing_settings
    real(rk) :: top_pressure = 1.0e4_rk !! [Pa] no vertical motion above
    real(rk) :: temperature_relaxation = 0.0_rk !! [s], 0 for none
    real(rk) :: humidity_relaxation = 0.0_rk !! [s], 0 for none
    real(rk) :: wind_relaxation = 0.0_rk !! [s], 0 for none
  end type forcing_settings

contains

  !> Rates of the state (n_level, n_column, n_state); what is withheld of the drying goes to the block's scalar.
  subroutine forcing_rates(block, settings, time, dt, rate)
    type(column_block), intent(inout) :: block
    type(forcing_settings), intent(in) :: settings
    real(rk), intent(in) :: time !! [s] in the middle of the step
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(inout) :: rate(:, :, :)
    real(rk) :: pressure(block%n_level), omega(block%n_level), heating(block%n_level), moistening(block%n_level)
    integer :: i, f
    do i = 1, block%n_column
      associate (x => block%profile(:, i, :), p => block%interface_pressure(:, i))
        pressure = 0.5_rk*(p(1:block%n_level) + p(2:))
        call sum_modes(block, settings, i, time, omega, heating, moistening)
        do f = air_temperature, cloud_ice
          rate(:, i, f) = advection(omega, pressure, x(:, f))
        end do
        rate(:, i, air_temperature) = rate(:, i, air_temperature) + heating &
          + kappa*x(:, air_temperature)*omega/pressure &
          + relaxation(x(:, reference_temperature), x(:, air_temperature), settings%temperature_relaxation, dt)
        rate(:, i, specific_humidity) = rate(:, i, specific_humidity) + moistening*x(:, specific_humidity) &
          + relaxation(x(:, reference_humidity), x(:, specific_humidity), settings%humidity_relaxation, dt)
        rate(:, i, eastward_wind) = relaxation(x(:, reference_eastward), x(:, eastward_wind), &
          settings%wind_relaxation, dt)
        rate(:, i, northward_wind) = relaxation(x(:, reference_northward), x(:, northward_wind), &
          settings%wind_relaxation, dt)
      end associate
      call withhold(block, i, dt, rate(:, i, specific_humidity:cloud_ice))
    end do
  end subroutine forcing_rates

  !> Refuse vertical motion that could carry air through more than a layer in a step.
  subroutine check_courant_number(block, settings, dt, ierr, errmsg)
    type(column_block), intent(in) :: block
    type(forcing_settings), intent(in) :: settings
    real(rk), intent(in) :: dt !! [s]
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: pressure(block%n_level), bound(block%n_level), number
    integer :: i, m
    do i = 1, block%n_column
      if (ierr /= 0) return
      associate (p => block%interface_pressure(:, i))
        pressure = 0.5_rk*(p(1:block%n_level) + p(2:))
        bound = 0.0_rk
        do m = 1, size(block%mode, 1)
          bound = bound + abs(block%mode(m, i, mode_omega)*wave(pressure, p(block%n_level + 1), &
            block%mode(m, i, mode_half_waves), settings%top_pressure))
        end do
        number = dt*maxval(bound(2:)/(pressure(2:) - pressure(:block%n_level - 1)))
        number = max(number, dt*maxval(bound(:block%n_level - 1)/(pressure(2:) - pressure(:block%n_level - 1))))
      end associate
      if (number <= 1.0_rk) cycle
      ierr = 1
      write (errmsg, "(a, i0, a, f0.2)") "forcing of column ", block%first + i - 1, ": expected vertical motion "// &
        "through at most 1 layer in a step, got ", number
    end do
  end subroutine check_courant_number

  pure subroutine sum_modes(block, settings, i, time, omega, heating, moistening)
    type(column_block), intent(in) :: block
    type(forcing_settings), intent(in) :: settings
    integer, intent(in) :: i
    real(rk), intent(in) :: time
    real(rk), intent(out) :: omega(:) !! [Pa s-1]
    real(rk), intent(out) :: heating(:) !! [K s-1]
    real(rk), intent(out) :: moistening(:) !! [s-1] relative to the humidity
    real(rk) :: shape_of_mode(size(omega)), pressure(size(omega))
    integer :: m
    omega = 0.0_rk
    heating = 0.0_rk
    moistening = 0.0_rk
    associate (p => block%interface_pressure(:, i), n => block%n_level)
      pressure = 0.5_rk*(p(1:n) + p(2:))
      do m = 1, size(block%mode, 1)
        associate (mode => block%mode(m, i, :))
          shape_of_mode = sin(2.0_rk*pi*time/mode(mode_period) + mode(mode_phase)) &
            *wave(pressure, p(n + 1), mode(mode_half_waves), settings%top_pressure)
          omega = omega + mode(mode_omega)*shape_of_mode
          heating = heating + mode(mode_temperature)*shape_of_mode
          moistening = moistening + mode(mode_humidity)*shape_of_mode
        end associate
      end do
    end associate
  end subroutine sum_modes

  !> sin(π n s), s = (p − p_t)/(p_s − p_t) between p_t and the surface.
  elemental function wave(pressure, surface_pressure, half_waves, top_pressure) result(amplitude)
    real(rk), intent(in) :: pressure, surface_pressure, half_waves, top_pressure
    real(rk) :: amplitude
    amplitude = sin(pi*half_waves*max((pressure - top_pressure)/(surface_pressure - top_pressure), 0.0_rk))
  end function wave

  !> −ω ∂x/∂p, the difference taken from where the air comes; none comes through top and surface.
  pure function advection(omega, pressure, x) result(rate)
    real(rk), intent(in) :: omega(:), pressure(:), x(:)
    real(rk) :: rate(size(x))
    integer :: n
    n = size(x)
    rate = 0.0_rk
    where (omega(2:) > 0.0_rk)
      rate(2:) = -omega(2:)*(x(2:) - x(:n - 1))/(pressure(2:) - pressure(:n - 1))
    end where
    where (omega(:n - 1) < 0.0_rk)
      rate(:n - 1) = -omega(:n - 1)*(x(2:) - x(:n - 1))/(pressure(2:) - pressure(:n - 1))
    end where
  end function advection

  elemental function relaxation(reference, x, time_scale, dt) result(rate)
    real(rk), intent(in) :: reference, x
    real(rk), intent(in) :: time_scale !! [s], 0 for none
    real(rk), intent(in) :: dt !! [s]
    real(rk) :: rate
    rate = 0.0_rk
    if (time_scale > 0.0_rk) rate = (reference - x)/(time_scale + dt)
  end function relaxation

  !> Keep water at or above zero: what the forcing would take beyond that is withheld, and summed.
  pure subroutine withhold(block, i, dt, rate)
    type(column_block), intent(inout) :: block
    integer, intent(in) :: i
    real(rk), intent(in) :: dt
    real(rk), intent(inout) :: rate(:, :) !! (n_level, 3) of the waters
    real(rk) :: limited(size(rate, 1), 3)
    integer :: n
    n = block%n_level
    limited = max(rate, -block%profile(:, i, specific_humidity:cloud_ice)/dt)
    block%scalar(i, limited_water) = sum(sum(limited - rate, dim=2) &
      *(block%interface_pressure(2:, i) - block%interface_pressure(:n, i)))/gravity
    rate = limited
  end subroutine withhold
end module host_forcing
