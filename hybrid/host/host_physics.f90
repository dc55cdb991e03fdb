!> The parts of a step that change the atmosphere of a block: large-scale forcing, surface exchange, column physics.
!!
!! Every part computes rates from the state that the part before left and says which energy and water its fluxes
!! brought into each column; take() holds the two against each other, applies the rates and sums up for the history.
module host_physics
  use emagram_boundary_layer_kernels, only: boundary_layer_kernel
  use emagram_budgets_kernels, only: column_budget_kernel
  use emagram_constants, only: gravity, latent_heat_fusion, latent_heat_vaporization
  use emagram_convection_kernels, only: convection_kernel
  use emagram_kinds, only: ik, rk
  use emagram_microphysics_kernels, only: microphysics_kernel
  use emagram_surface_kernels, only: surface_exchange_kernel
  use host_clock, only: clock
  use host_columns, only: check_state, column_block
  use host_fields, only: air_temperature, boundary_layer, boundary_layer_height, cape, cloud_ice, cloud_liquid, &
    convection, convection_regime, convective_rain, convective_snow, eastward_stress, eastward_wind, energy_input, &
    evaporation, filled_water, forcing, forcing_energy, forcing_water, microphysics, n_state, northward_stress, &
    northward_wind, precipitation, process_names, radiation, sensible_heat, snowfall, specific_humidity, &
    stratiform_rain, stratiform_snow, sum_heating, sum_moistening, surface, surface_temperature, water_input, wetness
  use host_forcing, only: forcing_rates
  use host_radiation, only: radiate
  use host_settings, only: run_settings
  use host_timers, only: time_of_bookkeeping, time_of_boundary_layer, time_of_budgets, time_of_convection, &
    time_of_forcing, time_of_microphysics, time_of_shortwave, time_of_surface, timers
  implicit none (type, external)
  private
  public :: accept_rates, step_conventional, step_forcing, step_surface_exchange

  abstract interface
    !> Compute the block's rates, and the energy and water that its fluxes bring into each column.
    subroutine process_body(block, settings, now, timer)
      import :: clock, column_block, run_settings, timers
      implicit none (type, external)
      type(column_block), intent(inout) :: block
      type(run_settings), intent(in) :: settings
      type(clock), intent(in) :: now
      type(timers), intent(inout) :: timer
    end subroutine process_body
  end interface

contains

  subroutine step_forcing(block, settings, now, timer, ierr, errmsg)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call take(forcing, force, time_of_forcing, block, settings, now, timer, ierr, errmsg)
  end subroutine step_forcing

  subroutine step_surface_exchange(block, settings, now, timer, ierr, errmsg)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call take(surface, exchange_with_surface, time_of_surface, block, settings, now, timer, ierr, errmsg)
  end subroutine step_surface_exchange

  !> The column physics: from the state before physics, which the block keeps, to the state after it and the fluxes at
  !! top and surface. This is what an emulator can stand in for.
  subroutine step_conventional(block, settings, now, timer, ierr, errmsg)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call take(radiation, radiate, time_of_shortwave, block, settings, now, timer, ierr, errmsg)
    call take(boundary_layer, mix, time_of_boundary_layer, block, settings, now, timer, ierr, errmsg)
    call take(convection, convect, time_of_convection, block, settings, now, timer, ierr, errmsg)
    call take(microphysics, condense, time_of_microphysics, block, settings, now, timer, ierr, errmsg)
    block%scalar(:, snowfall) = block%scalar(:, convective_snow) + block%scalar(:, stratiform_snow)
    block%scalar(:, precipitation) = block%scalar(:, convective_rain) + block%scalar(:, stratiform_rain) &
      + block%scalar(:, snowfall)
  end subroutine step_conventional

  !> Run a process, hold its rates against its fluxes, apply them.
  subroutine take(process, body, time, block, settings, now, timer, ierr, errmsg)
    integer, intent(in) :: process, time
    procedure(process_body) :: body
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    block%rate = 0.0_rk
    block%energy = 0.0_rk
    block%water = 0.0_rk
    call timer%lap(time_of_bookkeeping)
    call body(block, settings, now, timer)
    call timer%lap(time)
    call accept_rates(block, process, now, timer, ierr, errmsg)
  end subroutine take

  !> Hold a block's rates against its fluxes, sum them up and apply them.
  subroutine accept_rates(block, process, now, timer, ierr, errmsg)
    type(column_block), intent(inout) :: block
    integer, intent(in) :: process
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call hold_against_fluxes(block, process, real(now%time_step, rk))
    call timer%lap(time_of_budgets)
    block%profile(:, :, sum_heating + process) = block%profile(:, :, sum_heating + process) &
      + block%rate(:, :, air_temperature)
    block%profile(:, :, sum_moistening + process) = block%profile(:, :, sum_moistening + process) &
      + block%rate(:, :, specific_humidity)
    if (allocated(block%total)) block%total = block%total + block%rate
    call apply(block, real(now%time_step, rk))
    call check_state(block, process_names(process), "after "//trim(process_names(process))//" in the step of "// &
      now%date(), ierr, errmsg)
    call timer%lap(time_of_bookkeeping)
  end subroutine accept_rates

  !> Keep the largest residual; what the forcing brings has no flux but itself.
  subroutine hold_against_fluxes(block, process, dt)
    type(column_block), intent(inout) :: block
    integer, intent(in) :: process
    real(rk), intent(in) :: dt
    real(rk) :: energy(block%n_column), water(block%n_column)
    call column_budget_kernel(int(block%n_level, ik), int(block%n_column, ik), dt, block%interface_pressure, &
      block%profile(:, :, eastward_wind), block%profile(:, :, northward_wind), block%rate(:, :, air_temperature), &
      block%rate(:, :, specific_humidity), block%rate(:, :, cloud_liquid), block%rate(:, :, cloud_ice), &
      block%rate(:, :, eastward_wind), block%rate(:, :, northward_wind), energy, water)
    if (process == forcing) then
      block%scalar(:, forcing_energy) = energy
      block%scalar(:, forcing_water) = water
      block%energy = energy
      block%water = water
    end if
    block%residual(1, process) = max(block%residual(1, process), maxval(abs(energy - block%energy)))
    block%residual(2, process) = max(block%residual(2, process), maxval(abs(water - block%water)))
    block%scalar(:, energy_input) = block%scalar(:, energy_input) + block%energy
    block%scalar(:, water_input) = block%scalar(:, water_input) + block%water
  end subroutine hold_against_fluxes

  !> Add the rates; water that rounding (or an emulator that nothing closes) leaves below zero is filled up and the
  !! filling counted.
  subroutine apply(block, dt)
    type(column_block), intent(inout) :: block
    real(rk), intent(in) :: dt
    real(rk) :: filled
    integer :: f, i, k
    block%profile(:, :, :n_state) = block%profile(:, :, :n_state) + dt*block%rate
    do f = specific_humidity, cloud_ice
      do i = 1, block%n_column
        do k = 1, block%n_level
          filled = -block%profile(k, i, f)
          if (.not. (filled > 0.0_rk .and. filled < block%largest_filling)) cycle
          block%profile(k, i, f) = 0.0_rk
          block%scalar(i, filled_water) = block%scalar(i, filled_water) + filled/(dt*gravity) &
            *(block%interface_pressure(k + 1, i) - block%interface_pressure(k, i))
        end do
      end do
    end do
  end subroutine apply

  subroutine force(block, settings, now, timer)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    real(rk) :: dt
    dt = real(now%time_step, rk)
    call forcing_rates(block, settings%forcing, now%seconds() + 0.5_rk*dt, dt, block%rate)
    call timer%lap(time_of_forcing)
  end subroutine force

  subroutine exchange_with_surface(block, settings, now, timer)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    associate (x => block%profile, rate => block%rate, s => block%scalar)
      call surface_exchange_kernel(int(block%n_level, ik), int(block%n_column, ik), settings%surface, &
        real(now%time_step, rk), block%interface_pressure, x(:, :, air_temperature), x(:, :, specific_humidity), &
        x(:, :, eastward_wind), x(:, :, northward_wind), s(:, surface_temperature), s(:, wetness), &
        rate(:, :, air_temperature), rate(:, :, specific_humidity), rate(:, :, eastward_wind), &
        rate(:, :, northward_wind), s(:, sensible_heat), s(:, evaporation), s(:, eastward_stress), &
        s(:, northward_stress))
      block%energy = s(:, sensible_heat) + (latent_heat_vaporization + latent_heat_fusion)*s(:, evaporation)
      block%water = s(:, evaporation)
    end associate
    call timer%lap(time_of_surface)
  end subroutine exchange_with_surface

  subroutine mix(block, settings, now, timer)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    associate (x => block%profile, rate => block%rate, s => block%scalar)
      call boundary_layer_kernel(int(block%n_level, ik), int(block%n_column, ik), settings%boundary_layer, &
        real(now%time_step, rk), block%interface_pressure, x(:, :, air_temperature), x(:, :, specific_humidity), &
        x(:, :, cloud_liquid), x(:, :, cloud_ice), x(:, :, eastward_wind), x(:, :, northward_wind), &
        s(:, sensible_heat), s(:, evaporation), s(:, eastward_stress), &
        s(:, northward_stress), rate(:, :, air_temperature), rate(:, :, specific_humidity), rate(:, :, cloud_liquid), &
        rate(:, :, cloud_ice), rate(:, :, eastward_wind), rate(:, :, northward_wind), s(:, boundary_layer_height))
    end associate
    call timer%lap(time_of_boundary_layer)
  end subroutine mix

  subroutine convect(block, settings, now, timer)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    associate (x => block%profile, rate => block%rate, s => block%scalar)
      call convection_kernel(int(block%n_level, ik), int(block%n_column, ik), settings%convection, &
        real(now%time_step, rk), block%interface_pressure, x(:, :, air_temperature), x(:, :, specific_humidity), &
        rate(:, :, air_temperature), rate(:, :, specific_humidity), rate(:, :, cloud_liquid), rate(:, :, cloud_ice), &
        s(:, convective_rain), s(:, convective_snow), s(:, cape), s(:, convection_regime))
      block%energy = -latent_heat_fusion*s(:, convective_rain)
      block%water = -(s(:, convective_rain) + s(:, convective_snow))
    end associate
    call timer%lap(time_of_convection)
  end subroutine convect

  subroutine condense(block, settings, now, timer)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    real(rk) :: rain(block%n_level + 1, block%n_column), snow(block%n_level + 1, block%n_column)
    associate (x => block%profile, rate => block%rate, s => block%scalar, n => block%n_level)
      call microphysics_kernel(int(n, ik), int(block%n_column, ik), settings%microphysics, real(now%time_step, rk), &
        block%interface_pressure, x(:, :, air_temperature), x(:, :, specific_humidity), x(:, :, cloud_liquid), &
        x(:, :, cloud_ice), rate(:, :, air_temperature), rate(:, :, specific_humidity), rate(:, :, cloud_liquid), &
        rate(:, :, cloud_ice), rain, snow)
      s(:, stratiform_rain) = rain(n + 1, :)
      s(:, stratiform_snow) = snow(n + 1, :)
      block%energy = -latent_heat_fusion*s(:, stratiform_rain)
      block%water = -(s(:, stratiform_rain) + s(:, stratiform_snow))
    end associate
    call timer%lap(time_of_microphysics)
  end subroutine condense
end module host_physics
