!> What a column gains, and what it holds: sums over its layers, for callers that have checked.
!!
!! The twin of frozen_energy_rate, water_rate and kinetic_energy_rate in physics/budgets.py. Energy counts from ice at
!! rest: e = cp T + (Lv + Lf) qv + Lf ql + (u**2 + v**2) / 2.
module emagram_budgets_kernels
  use emagram_constants, only: gravity, heat_capacity_dry_air, latent_heat_fusion, latent_heat_vaporization
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: column_budget_kernel, column_totals_kernel

contains

  !> Energy and water that a column gains from rates, pressure held: the left sides of the closure equations.
  !!
  !!   sum_k (cp dT + (Lv + Lf) dqv + Lf dql + dK)_k m_k,  sum_k (dqv + dql + dqi)_k m_k,  m_k = dp_k / g,
  !!   dK = ((u + du dt)**2 - u**2 + (v + dv dt)**2 - v**2) / (2 dt) = du (u + du dt / 2) + dv (v + dv dt / 2)
  pure subroutine column_budget_kernel(n_level, n_column, dt, pressure_interface, eastward_wind, northward_wind, &
    rate_temperature, rate_humidity, rate_liquid, rate_ice, rate_eastward_wind, rate_northward_wind, &
    energy_rate, water_rate) bind(c, name="emagram_column_budget_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    real(rk), intent(in), value :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: eastward_wind(n_level, n_column) !! [m s-1] before the step
    real(rk), intent(in) :: northward_wind(n_level, n_column) !! [m s-1] before the step
    real(rk), intent(in) :: rate_temperature(n_level, n_column) !! [K s-1]
    real(rk), intent(in) :: rate_humidity(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(in) :: rate_liquid(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(in) :: rate_ice(n_level, n_column) !! [kg kg-1 s-1]
    real(rk), intent(in) :: rate_eastward_wind(n_level, n_column) !! [m s-2]
    real(rk), intent(in) :: rate_northward_wind(n_level, n_column) !! [m s-2]
    real(rk), intent(out) :: energy_rate(n_column) !! [W m-2]
    real(rk), intent(out) :: water_rate(n_column) !! [kg m-2 s-1]
    real(rk) :: mass, kinetic, energy_error, water_error
    integer(ik) :: i, k
    do i = 1, n_column
      energy_rate(i) = 0.0_rk
      water_rate(i) = 0.0_rk
      energy_error = 0.0_rk
      water_error = 0.0_rk
      do k = 1, n_level
        mass = (pressure_interface(k + 1, i) - pressure_interface(k, i))/gravity
        kinetic = rate_eastward_wind(k, i)*(eastward_wind(k, i) + 0.5_rk*dt*rate_eastward_wind(k, i)) &
          + rate_northward_wind(k, i)*(northward_wind(k, i) + 0.5_rk*dt*rate_northward_wind(k, i))
        call add(mass*(frozen_energy(rate_temperature(k, i), rate_humidity(k, i), rate_liquid(k, i)) + kinetic), &
          energy_rate(i), energy_error)
        call add(mass*(rate_humidity(k, i) + rate_liquid(k, i) + rate_ice(k, i)), water_rate(i), water_error)
      end do
      energy_rate(i) = energy_rate(i) + energy_error
      water_rate(i) = water_rate(i) + water_error
    end do
  end subroutine column_budget_kernel

  !> Energy and water that a column holds; the potential energy of the surface is not counted.
  pure subroutine column_totals_kernel(n_level, n_column, pressure_interface, air_temperature, specific_humidity, &
    cloud_liquid, cloud_ice, eastward_wind, northward_wind, energy, water) &
    bind(c, name="emagram_column_totals_kernel")
    integer(ik), intent(in), value :: n_level, n_column
    real(rk), intent(in) :: pressure_interface(n_level + 1, n_column) !! [Pa]
    real(rk), intent(in) :: air_temperature(n_level, n_column) !! [K]
    real(rk), intent(in) :: specific_humidity(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_liquid(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: cloud_ice(n_level, n_column) !! [kg kg-1]
    real(rk), intent(in) :: eastward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(in) :: northward_wind(n_level, n_column) !! [m s-1]
    real(rk), intent(out) :: energy(n_column) !! [J m-2]
    real(rk), intent(out) :: water(n_column) !! [kg m-2]
    real(rk) :: mass, kinetic, energy_error, water_error
    integer(ik) :: i, k
    do i = 1, n_column
      energy(i) = 0.0_rk
      water(i) = 0.0_rk
      energy_error = 0.0_rk
      water_error = 0.0_rk
      do k = 1, n_level
        mass = (pressure_interface(k + 1, i) - pressure_interface(k, i))/gravity
        kinetic = 0.5_rk*(eastward_wind(k, i)**2 + northward_wind(k, i)**2)
        call add(mass*(frozen_energy(air_temperature(k, i), specific_humidity(k, i), cloud_liquid(k, i)) + kinetic), &
          energy(i), energy_error)
        call add(mass*(specific_humidity(k, i) + cloud_liquid(k, i) + cloud_ice(k, i)), water(i), water_error)
      end do
      energy(i) = energy(i) + energy_error
      water(i) = water(i) + water_error
    end do
  end subroutine column_totals_kernel

  !> cp T + (Lv + Lf) qv + Lf ql [J kg-1], of a state or of its rates.
  elemental function frozen_energy(air_temperature, specific_humidity, cloud_liquid) result(energy)
    real(rk), intent(in) :: air_temperature !! [K]
    real(rk), intent(in) :: specific_humidity !! [kg kg-1]
    real(rk), intent(in) :: cloud_liquid !! [kg kg-1]
    real(rk) :: energy
    energy = heat_capacity_dry_air*air_temperature &
      + (latent_heat_vaporization + latent_heat_fusion)*specific_humidity + latent_heat_fusion*cloud_liquid
  end function frozen_energy

  !> Add a term; what rounding drops is collected beside the total.
  !!
  !! Source: Neumaier 1974, doi:10.1002/zamm.19740540106
  pure subroutine add(term, total, error)
    real(rk), intent(in) :: term
    real(rk), intent(inout) :: total, error
    real(rk) :: raised
    raised = total + term
    if (abs(total) >= abs(term)) then
      error = error + ((total - raised) + term)
    else
      error = error + ((term - raised) + total)
    end if
    total = raised
  end subroutine add
end module emagram_budgets_kernels
