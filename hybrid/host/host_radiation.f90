!> Sun, longwave and shortwave of a block, computed at every radiation step and held in between.
module host_radiation
  use emagram_kinds, only: ik, rk
  use emagram_longwave_kernels, only: longwave_kernel
  use emagram_shortwave_kernels, only: shortwave_kernel
  use emagram_sun_kernels, only: sun_kernel
  use emagram_surface_kernels, only: surface_longwave_kernel
  use host_clock, only: clock, seconds_per_day
  use host_columns, only: column_block
  use host_fields, only: air_temperature, albedo_diffuse_near_infrared, albedo_diffuse_visible, &
    albedo_direct_near_infrared, albedo_direct_visible, cloud_ice, cloud_liquid, cosine_zenith, &
    diffuse_near_infrared, diffuse_visible, direct_near_infrared, direct_visible, latitude, longitude, &
    longwave_heating, ozone, shortwave_heating, specific_humidity, surface_downwelling_longwave, &
    surface_net_shortwave, surface_temperature, surface_upwelling_longwave, toa_incoming_shortwave, &
    toa_net_shortwave, toa_outgoing_longwave
  use host_settings, only: host_options, run_settings
  use host_timers, only: time_of_longwave, time_of_shortwave, time_of_sun, timers
  implicit none (type, external)
  private
  public :: illuminate, radiate

contains

  subroutine radiate(block, settings, now, timer)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    type(timers), intent(inout) :: timer
    if (modulo(now%step, int(settings%host%radiation_steps, kind(now%step))) == 0) then
      call illuminate(block, settings, now)
      call timer%lap(time_of_sun)
      call compute_longwave(block, settings)
      call timer%lap(time_of_longwave)
      call compute_shortwave(block, settings)
    end if
    associate (s => block%scalar)
      block%rate(:, :, air_temperature) = block%profile(:, :, longwave_heating) + block%profile(:, :, shortwave_heating)
      block%energy = (s(:, toa_net_shortwave) - s(:, surface_net_shortwave)) + ((s(:, surface_upwelling_longwave) &
        - s(:, surface_downwelling_longwave)) - s(:, toa_outgoing_longwave))
    end associate
    call timer%lap(time_of_shortwave)
  end subroutine radiate

  !> What radiation starts from at the boundaries: the sun, and what the surface emits.
  subroutine illuminate(block, settings, now)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    call shine(block, settings, now)
    call surface_longwave_kernel(int(block%n_column, ik), block%scalar(:, surface_temperature), &
      block%scalar(:, surface_upwelling_longwave))
  end subroutine illuminate

  !> Insolation and zenith angle: of a fixed sun, or means over the radiation interval or the day.
  subroutine shine(block, settings, now)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    type(clock), intent(in) :: now
    real(rk) :: interval, middle
    associate (s => block%scalar, host => settings%host)
      if (host%sun == "fixed") then
        s(:, cosine_zenith) = host%fixed_cosine_zenith
        s(:, toa_incoming_shortwave) = host%fixed_insolation
        return
      end if
      interval = real(host%radiation_steps*now%time_step, rk)
      middle = now%day_of_year() + 0.5_rk*interval/seconds_per_day
      if (host%sun == "daily_mean") then
        interval = real(seconds_per_day, rk)
        middle = aint(middle) + 0.5_rk
      end if
      call sun_kernel(int(block%n_column, ik), settings%sun, middle, interval, s(:, latitude), s(:, longitude), &
        s(:, cosine_zenith), s(:, toa_incoming_shortwave))
    end associate
  end subroutine shine

  subroutine compute_longwave(block, settings)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    real(rk) :: upward(block%n_level + 1, block%n_column), downward(block%n_level + 1, block%n_column)
    associate (x => block%profile, s => block%scalar, n => block%n_level)
      call longwave_kernel(int(n, ik), int(block%n_column, ik), settings%longwave, block%interface_pressure, &
        x(:, :, air_temperature), x(:, :, specific_humidity), x(:, :, cloud_liquid), x(:, :, cloud_ice), &
        s(:, surface_upwelling_longwave), upward, downward, x(:, :, longwave_heating))
      s(:, toa_outgoing_longwave) = upward(1, :) - downward(1, :)
      s(:, surface_downwelling_longwave) = downward(n + 1, :)
    end associate
  end subroutine compute_longwave

  subroutine compute_shortwave(block, settings)
    type(column_block), intent(inout) :: block
    type(run_settings), intent(in) :: settings
    real(rk) :: upward(block%n_level + 1, block%n_column), downward(block%n_level + 1, block%n_column)
    associate (x => block%profile, s => block%scalar, n => block%n_level)
      call shortwave_kernel(int(n, ik), int(block%n_column, ik), settings%shortwave, block%interface_pressure, &
        x(:, :, specific_humidity), x(:, :, cloud_liquid), x(:, :, cloud_ice), x(:, :, ozone), s(:, cosine_zenith), &
        s(:, toa_incoming_shortwave), s(:, albedo_direct_visible), s(:, albedo_direct_near_infrared), &
        s(:, albedo_diffuse_visible), s(:, albedo_diffuse_near_infrared), upward, downward, &
        x(:, :, shortwave_heating), s(:, direct_visible), s(:, direct_near_infrared), s(:, diffuse_visible), &
        s(:, diffuse_near_infrared))
      s(:, toa_net_shortwave) = downward(1, :) - upward(1, :)
      s(:, surface_net_shortwave) = downward(n + 1, :) - upward(n + 1, :)
    end associate
  end subroutine compute_shortwave
end module host_radiation
