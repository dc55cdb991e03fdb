!> The column physics of a block: the host's own, or an emulator's, merged with the host's where that is asked for or a
!! column was rejected.
!!
!! Tendencies and fluxes are merged first, then the constraints of the model file close what came out, so the columns
!! close whatever the share, the variables taken and the columns rejected.
module host_coupling
  use emagram_budgets_kernels, only: column_budget_kernel
  use emagram_constants, only: latent_heat_fusion
  use emagram_coupler, only: emagram_merge
  use emagram_kinds, only: ik, rk
  use host_clock, only: clock
  use host_columns, only: column_block
  use host_emulator, only: rank_emulator
  use host_binding, only: emulated_block, fluxes, n_flux
  use host_fields, only: air_temperature, boundary_layer_height, cape, cloud_ice, cloud_liquid, convection_regime, &
    convective_rain, convective_snow, eastward_wind, emulator_extrapolated, emulator_rejected, emulator_share, &
    energy_residual_before, longwave_heating, n_state, northward_wind, precipitation, &
    process_of_emulator => emulator, shortwave_heating, snowfall, specific_humidity, stratiform_rain, &
    stratiform_snow, sum_heating_correction, sum_heating_magnitude, sum_moistening_correction, &
    sum_moistening_magnitude, surface_downwelling_longwave, surface_net_shortwave, &
    surface_upwelling_longwave, toa_net_shortwave, toa_outgoing_longwave, water_residual_before
  use host_physics, only: accept_rates, step_conventional
  use host_radiation, only: illuminate
  use host_settings, only: run_settings
  use host_timers, only: time_of_bookkeeping, time_of_constraints, time_of_emulator, time_of_sun, timers
  implicit none (type, external)
  private
  public :: step_physics

  integer, parameter :: without_emulator(*) = [emulator_share, emulator_rejected, emulator_extrapolated, &
    energy_residual_before, water_residual_before]
  integer, parameter :: unknown_to_emulator(*) = [cape, convection_regime, boundary_layer_height, convective_rain, &
    convective_snow, stratiform_rain, stratiform_snow]

contains

  !> From the state before physics to the state after it and the fluxes at top and surface.
  subroutine step_physics(block, emulator, number, settings, now, timer, ierr, errmsg)
    type(column_block), intent(inout), target :: block
    type(rank_emulator), intent(inout), target :: emulator
    integer, intent(in) :: number !! of the block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: share
    share = 0.0_rk
    if (emulator%is_on) share = settings%physics%coupling%share_at(now%step)
    block%scalar(:, without_emulator) = 0.0_rk
    if (share > 0.0_rk) then
      call step_emulated(block, emulator, number, share, settings, now, timer, ierr, errmsg)
    else
      call step_conventional(block, settings, now, timer, ierr, errmsg)
    end if
  end subroutine step_physics

  !> Predict, merge, close, apply.
  subroutine step_emulated(block, emulator, number, share, settings, now, timer, ierr, errmsg)
    type(column_block), intent(inout), target :: block
    type(rank_emulator), intent(inout), target :: emulator
    integer, intent(in) :: number
    real(rk), intent(in) :: share
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    associate (mine => emulator%block(number), s => block%scalar)
      s(:, unknown_to_emulator) = 0.0_rk
      block%profile(:, :, [longwave_heating, shortwave_heating]) = 0.0_rk
      call illuminate(block, settings, now)
      call timer%lap(time_of_sun)
      call emulator%predict(number, block, now, ierr, errmsg)
      mine%weight = share*(1.0_rk - s(:, emulator_rejected))
      s(:, emulator_share) = mine%weight
      call timer%lap(time_of_emulator)
      if (any(mine%weight < 1.0_rk) .or. .not. emulator%takes_all()) then
        call merge_with_host(block, emulator, mine, settings, now, timer, ierr, errmsg)
      end if
      if (ierr /= 0) return
      call close_columns(block, emulator, number, now, ierr, errmsg)
      block%rate = mine%rate
      block%energy = energy_into(block, mine%flux)
      block%water = -s(:, precipitation)
      call timer%lap(time_of_constraints)
      if (ierr /= 0) return
    end associate
    call accept_rates(block, process_of_emulator, now, timer, ierr, errmsg)
  end subroutine step_emulated

  !> What the host's own physics would do, on a copy of the block, mixed into what the emulator did.
  subroutine merge_with_host(block, emulator, mine, settings, now, timer, ierr, errmsg)
    type(column_block), intent(inout) :: block
    type(rank_emulator), intent(inout) :: emulator
    type(emulated_block), intent(inout) :: mine
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: none(block%n_column)
    integer :: i
    if (ierr /= 0) return
    none = 0.0_rk
    associate (own => emulator%scratch)
      own = block
      allocate (own%total, mold=own%rate)
      own%total = 0.0_rk
      call timer%lap(time_of_bookkeeping)
      call step_conventional(own, settings, now, timer, ierr, errmsg)
      block%fault = own%fault
      do i = 1, n_state
        call emagram_merge(merge(mine%weight, none, settings%physics%takes(i)), own%total(:, :, i), mine%rate(:, :, i))
      end do
      do i = 1, n_flux
        call emagram_merge(merge(mine%weight, none, settings%physics%takes(fluxes(i)%taken)), &
          own%scalar(:, fluxes(i)%number)/fluxes(i)%factor, mine%flux(:, i))
      end do
    end associate
    call timer%lap(time_of_bookkeeping)
  end subroutine merge_with_host

  !> Apply the constraints, take the fluxes, and keep what was found and changed for budgets and history.
  subroutine close_columns(block, emulator, number, now, ierr, errmsg)
    type(column_block), intent(inout), target :: block
    type(rank_emulator), intent(inout), target :: emulator
    integer, intent(in) :: number
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: energy(block%n_column), water(block%n_column)
    real(rk) :: before(block%n_level, block%n_column, 2)
    associate (rate => emulator%block(number)%rate, flux => emulator%block(number)%flux, x => block%profile)
      call column_budget_kernel(int(block%n_level, ik), int(block%n_column, ik), real(now%time_step, rk), &
        block%interface_pressure, x(:, :, eastward_wind), x(:, :, northward_wind), rate(:, :, air_temperature), &
        rate(:, :, specific_humidity), rate(:, :, cloud_liquid), rate(:, :, cloud_ice), rate(:, :, eastward_wind), &
        rate(:, :, northward_wind), energy, water)
      block%scalar(:, energy_residual_before) = abs(energy - energy_into(block, flux))
      block%scalar(:, water_residual_before) = abs(water + flux_of(flux, precipitation))
      block%residual_before = max(block%residual_before, [maxval(block%scalar(:, energy_residual_before)), &
        maxval(block%scalar(:, water_residual_before))])
      before = rate(:, :, :specific_humidity)
      call emulator%constrain(number, block, now, ierr, errmsg)
      call take_fluxes(block, flux)
      before = abs(rate(:, :, :specific_humidity) - before)
      x(:, :, sum_heating_correction) = x(:, :, sum_heating_correction) + before(:, :, air_temperature)
      x(:, :, sum_moistening_correction) = x(:, :, sum_moistening_correction) + before(:, :, specific_humidity)
      x(:, :, sum_heating_magnitude) = x(:, :, sum_heating_magnitude) + abs(rate(:, :, air_temperature))
      x(:, :, sum_moistening_magnitude) = x(:, :, sum_moistening_magnitude) + abs(rate(:, :, specific_humidity))
      call emulator%block(number)%ledger%sum_up(block, before, rate)
    end associate
  end subroutine close_columns

  subroutine take_fluxes(block, flux)
    type(column_block), intent(inout) :: block
    real(rk), intent(in) :: flux(:, :) !! (n_column, n_flux) in the units of the model
    integer :: i
    do i = 1, n_flux
      block%scalar(:, fluxes(i)%number) = flux_of(flux, fluxes(i)%number)
    end do
  end subroutine take_fluxes

  !> Energy that fluxes bring into the columns: radiation, and rain that leaves the heat of its freezing behind.
  pure function energy_into(block, flux) result(energy)
    type(column_block), intent(in) :: block
    real(rk), intent(in) :: flux(:, :) !! (n_column, n_flux) in the units of the model
    real(rk) :: energy(size(flux, 1)) !! [W m-2]
    energy = (flux_of(flux, toa_net_shortwave) - flux_of(flux, surface_net_shortwave)) &
      + ((block%scalar(:, surface_upwelling_longwave) - flux_of(flux, surface_downwelling_longwave)) &
      - flux_of(flux, toa_outgoing_longwave)) &
      - latent_heat_fusion*(flux_of(flux, precipitation) - flux_of(flux, snowfall))
  end function energy_into

  !> One of the fluxes, in the unit of the host's scalar of that number.
  pure function flux_of(flux, number) result(values)
    real(rk), intent(in) :: flux(:, :) !! (n_column, n_flux) in the units of the model
    integer, intent(in) :: number
    real(rk) :: values(size(flux, 1))
    integer :: i
    i = findloc(fluxes%number, number, dim=1)
    values = fluxes(i)%factor*flux(:, i)
  end function flux_of
end module host_coupling
