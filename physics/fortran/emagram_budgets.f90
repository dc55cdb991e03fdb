!> Column budgets: what checks its arguments and calls the kernels. Wrapped for Python by f90wrap.
!!
!! ierr is 0, or 1 with a sentence in errmsg and the results untouched.
module emagram_budgets
  use emagram_budgets_kernels, only: column_budget_kernel, column_totals_kernel
  use emagram_checks, only: begin_checks, check_above_zero, check_finite, check_interfaces, check_shape
  use emagram_kinds, only: ik, rk
  implicit none (type, external)
  private
  public :: column_budget, column_totals

contains

  !> Energy and water that a column gains from rates.
  subroutine column_budget(dt, pressure_interface, eastward_wind, northward_wind, rate_temperature, rate_humidity, &
    rate_liquid, rate_ice, rate_eastward_wind, rate_northward_wind, energy_rate, water_rate, ierr, errmsg)
    real(rk), intent(in) :: dt !! [s]
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: eastward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: northward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: rate_temperature(:, :) !! [K s-1] (n_level, n_column)
    real(rk), intent(in) :: rate_humidity(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(in) :: rate_liquid(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(in) :: rate_ice(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    real(rk), intent(in) :: rate_eastward_wind(:, :) !! [m s-2] (n_level, n_column)
    real(rk), intent(in) :: rate_northward_wind(:, :) !! [m s-2] (n_level, n_column)
    real(rk), intent(inout) :: energy_rate(:) !! [W m-2] (n_column)
    real(rk), intent(inout) :: water_rate(:) !! [kg m-2 s-1] (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: layers(2)
    call begin_checks(ierr, errmsg)
    layers = [size(pressure_interface, 1) - 1, size(pressure_interface, 2)]
    call check_above_zero("dt", [dt], ierr, errmsg)
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_layers("eastward_wind", eastward_wind, layers, ierr, errmsg)
    call check_layers("northward_wind", northward_wind, layers, ierr, errmsg)
    call check_layers("rate_temperature", rate_temperature, layers, ierr, errmsg)
    call check_layers("rate_humidity", rate_humidity, layers, ierr, errmsg)
    call check_layers("rate_liquid", rate_liquid, layers, ierr, errmsg)
    call check_layers("rate_ice", rate_ice, layers, ierr, errmsg)
    call check_layers("rate_eastward_wind", rate_eastward_wind, layers, ierr, errmsg)
    call check_layers("rate_northward_wind", rate_northward_wind, layers, ierr, errmsg)
    call check_shape("energy_rate", size(energy_rate), layers(2), ierr, errmsg)
    call check_shape("water_rate", size(water_rate), layers(2), ierr, errmsg)
    if (ierr /= 0) return
    call column_budget_kernel(int(layers(1), ik), int(layers(2), ik), dt, pressure_interface, eastward_wind, &
      northward_wind, rate_temperature, rate_humidity, rate_liquid, rate_ice, rate_eastward_wind, &
      rate_northward_wind, energy_rate, water_rate)
  end subroutine column_budget

  !> Energy and water that a column holds.
  subroutine column_totals(pressure_interface, air_temperature, specific_humidity, cloud_liquid, cloud_ice, &
    eastward_wind, northward_wind, energy, water, ierr, errmsg)
    real(rk), intent(in) :: pressure_interface(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), intent(in) :: air_temperature(:, :) !! [K] (n_level, n_column)
    real(rk), intent(in) :: specific_humidity(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_liquid(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: cloud_ice(:, :) !! [kg kg-1] (n_level, n_column)
    real(rk), intent(in) :: eastward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(in) :: northward_wind(:, :) !! [m s-1] (n_level, n_column)
    real(rk), intent(inout) :: energy(:) !! [J m-2] (n_column)
    real(rk), intent(inout) :: water(:) !! [kg m-2] (n_column)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: layers(2)
    call begin_checks(ierr, errmsg)
    layers = [size(pressure_interface, 1) - 1, size(pressure_interface, 2)]
    call check_interfaces(pressure_interface, ierr, errmsg)
    call check_layers("air_temperature", air_temperature, layers, ierr, errmsg)
    call check_layers("specific_humidity", specific_humidity, layers, ierr, errmsg)
    call check_layers("cloud_liquid", cloud_liquid, layers, ierr, errmsg)
    call check_layers("cloud_ice", cloud_ice, layers, ierr, errmsg)
    call check_layers("eastward_wind", eastward_wind, layers, ierr, errmsg)
    call check_layers("northward_wind", northward_wind, layers, ierr, errmsg)
    call check_shape("energy", size(energy), layers(2), ierr, errmsg)
    call check_shape("water", size(water), layers(2), ierr, errmsg)
    if (ierr /= 0) return
    call column_totals_kernel(int(layers(1), ik), int(layers(2), ik), pressure_interface, air_temperature, &
      specific_humidity, cloud_liquid, cloud_ice, eastward_wind, northward_wind, energy, water)
  end subroutine column_totals

  !> An array over layers has its shape and is finite.
  subroutine check_layers(name, values, layers, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:, :)
    integer, intent(in) :: layers(2)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call check_shape(name, shape(values), layers, ierr, errmsg)
    call check_finite(name, values, ierr, errmsg)
  end subroutine check_layers
end module emagram_budgets
