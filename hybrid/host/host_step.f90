!> A step of a block of columns: large-scale forcing, surface exchange, then the column physics or what stands in for
!! it, then the surface.
module host_step
  use emagram_kinds, only: ik, rk
  use emagram_surface_kernels, only: slab_kernel
  use host_clock, only: clock
  use host_columns, only: check_surface, column_block, rank_columns
  use host_coupling, only: step_physics
  use host_emulator, only: rank_emulator
  use host_fields, only: before_physics, energy_input, evaporation, filled_water, heat_capacity, longwave_heating, &
    n_scalar, n_state, reference_surface_temperature, sensible_heat, shortwave_heating, snowfall, sum_of_day, &
    sum_of_record, sum_longwave_heating, sum_shortwave_heating, sum_state, surface_downwelling_longwave, &
    surface_net_shortwave, surface_relaxation, surface_temperature, surface_upwelling_longwave, water_input
  use host_noise, only: add_noise
  use host_physics, only: step_conventional, step_forcing, step_surface_exchange
  use host_settings, only: run_settings
  use host_timers, only: time_of_bookkeeping, timers
  implicit none (type, external)
  private
  public :: step_block, sum_up

contains

  !> One step, all of it. `noisy` columns become the same columns after this step's physics, done by the host on a state
  !! with noise.
  subroutine step_block(columns, noisy, emulator, number, settings, now, timer, ierr, errmsg)
    type(rank_columns), intent(inout), target :: columns
    type(rank_columns), intent(inout), optional :: noisy
    type(rank_emulator), intent(inout), target :: emulator
    integer, intent(in) :: number !! of the block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(column_block), pointer :: block
    block => columns%block(number)
    block%scalar(:, [energy_input, water_input, filled_water]) = 0.0_rk
    block%gap = 0.0_rk
    call step_forcing(block, settings, now, timer, ierr, errmsg)
    call step_surface_exchange(block, settings, now, timer, ierr, errmsg)
    block%profile(:, :, before_physics + 1:before_physics + n_state) = block%profile(:, :, :n_state)
    if (present(noisy)) then
      noisy%block(number) = block
      call add_noise(noisy%block(number), settings%host, now)
      call step_conventional(noisy%block(number), settings, now, timer, ierr, errmsg)
    end if
    call step_physics(block, emulator, number, settings, now, timer, ierr, errmsg)
    call step_surface(block, settings, now)
    call check_surface(block, "slab", "after slab in the step of "//now%date(), ierr, errmsg)
    call timer%lap(time_of_bookkeeping)
  end subroutine step_block

  !> Warm the surface by the fluxes that the atmosphere saw, and by a relaxation that stands for what flows below it.
  subroutine step_surface(block, settings, now)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    real(rk) :: rate(block%n_column), net(block%n_column)
    associate (s => block%scalar, time_scale => settings%host%surface_relaxation, dt => real(now%time_step, rk))
      s(:, surface_relaxation) = 0.0_rk
      if (time_scale > 0.0_rk) s(:, surface_relaxation) = s(:, heat_capacity) &
        *(s(:, reference_surface_temperature) - s(:, surface_temperature))/(time_scale + dt)
      call slab_kernel(int(block%n_column, ik), dt, s(:, heat_capacity), &
        s(:, surface_net_shortwave) + s(:, surface_relaxation), s(:, surface_downwelling_longwave), &
        s(:, surface_upwelling_longwave), s(:, sensible_heat), s(:, evaporation), s(:, snowfall), &
        s(:, surface_temperature), rate, net)
    end associate
  end subroutine step_surface

  !> For the means of the day and of the history record.
  subroutine sum_up(block)
    type(column_block), intent(inout) :: block
    integer :: f
    do f = 1, n_state
      block%profile(:, :, sum_state + f) = block%profile(:, :, sum_state + f) + block%profile(:, :, f)
    end do
    block%profile(:, :, sum_longwave_heating) = block%profile(:, :, sum_longwave_heating) &
      + block%profile(:, :, longwave_heating)
    block%profile(:, :, sum_shortwave_heating) = block%profile(:, :, sum_shortwave_heating) &
      + block%profile(:, :, shortwave_heating)
    do f = 1, n_scalar
      block%scalar(:, sum_of_day + f) = block%scalar(:, sum_of_day + f) + block%scalar(:, f)
      block%scalar(:, sum_of_record + f) = block%scalar(:, sum_of_record + f) + block%scalar(:, f)
    end do
  end subroutine sum_up
end module host_step
