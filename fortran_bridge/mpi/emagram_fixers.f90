!> Global fixers over MPI: what is left of a budget in the mean over the globe is taken out by one small change, the
!> same bits on any number of ranks and in any order of columns. Twin of physics/global_fixers.py, where equations are.
!>
!> Every procedure is collective and gives the same ierr, errmsg and correction on every rank; after an error the fields
!> are as they were. Levels run from the top down.
module emagram_fixers
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use emagram, only: emagram_error_argument, emagram_ok
  use emagram_global_sums, only: emagram_globe
  implicit none (type, external)
  private
  public :: emagram_fix_dry_mass, emagram_fix_energy, emagram_fix_water, emagram_globe

  real(real64), parameter :: spared = 1.0e-12_real64 !! share of the vapour that no fixer takes, left to rounding

  !> What a fixer found and did.
  type, public :: emagram_correction
    real(real64) :: before = 0.0_real64 !! residual in the mean over the globe [Pa], [kg m-2 s-1] or [W m-2], as given
    real(real64) :: after = 0.0_real64 !! and as returned
    real(real64) :: size = 0.0_real64 !! mean over the globe of what was changed, absolute, same unit
    real(real64) :: scale = 0.0_real64 !! relative change of pressure [1], of vapour [s-1], or heating [K s-1]
  end type emagram_correction

contains

  !> Scale the surface pressure so that the dry air of the globe weighs what it should.
  subroutine emagram_fix_dry_mass(globe, pressure_coordinate, surface_coordinate, water, dry_pressure, &
    surface_pressure, correction, ierr, errmsg)
    type(emagram_globe), intent(in) :: globe
    real(real64), intent(in) :: pressure_coordinate(:) !! [Pa] (n_level + 1) part of the interface pressures that stays
    real(real64), intent(in) :: surface_coordinate(:) !! [1] (n_level + 1) and that in proportion to the surface
    real(real64), intent(in) :: water(:, :) !! [kg kg-1] (n_level, n_column) vapour and condensate
    real(real64), intent(in) :: dry_pressure !! [Pa] what the mean over the globe should be
    real(real64), intent(inout) :: surface_pressure(:) !! [Pa] (n_column)
    type(emagram_correction), intent(out) :: correction
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    real(real64) :: terms(size(surface_pressure), 2), total(2), support, fixed(size(surface_pressure))

    ierr = emagram_ok
    errmsg = ""
    call globe%check_shape("surface_pressure", shape(surface_pressure), [globe%n_column], ierr, errmsg)
    call globe%check_shape("water", shape(water), [size(pressure_coordinate) - 1, globe%n_column], ierr, errmsg)
    call globe%check_shape("surface_coordinate", shape(surface_coordinate), shape(pressure_coordinate), ierr, errmsg)
    call globe%agree(ierr, errmsg)
    if (ierr /= emagram_ok) return
    call dry_terms(surface_pressure)
    call globe%totals("dry pressure", terms, total, ierr, errmsg)
    if (ierr /= emagram_ok) return
    correction%before = total(1)/globe%area - dry_pressure
    support = total(2)/globe%area
    if (.not. support > max(correction%before, 0.0_real64)) then
      errmsg = "global fixer 'dry_mass': expected more than"//decimal(max(correction%before, 0.0_real64))// &
        " Pa that slide with the surface, got"//decimal(support)//" Pa"
      ierr = emagram_error_argument
      return
    end if
    correction%scale = -correction%before/support
    fixed = surface_pressure*(1.0_real64 + correction%scale)
    call dry_terms(fixed)
    terms(:, 2) = globe%weight*abs(fixed - surface_pressure)
    call globe%totals("dry pressure", terms, total, ierr, errmsg)
    if (ierr /= emagram_ok) return
    correction%after = total(1)/globe%area - dry_pressure
    correction%size = total(2)/globe%area
    surface_pressure = fixed

  contains

    !> Weighted dry pressure, and what of it is in proportion to the surface pressure.
    subroutine dry_terms(pressure)
      real(real64), intent(in) :: pressure(:)
      real(real64) :: staying, sliding
      integer :: i, k
      do i = 1, size(pressure)
        staying = 0.0_real64
        sliding = 0.0_real64
        do k = 1, size(water, 1)
          staying = staying + (1.0_real64 - water(k, i))*(pressure_coordinate(k + 1) - pressure_coordinate(k))
          sliding = sliding + (1.0_real64 - water(k, i))*(surface_coordinate(k + 1) - surface_coordinate(k))
        end do
        terms(i, 1) = globe%weight(i)*(staying + sliding*pressure(i))
        terms(i, 2) = globe%weight(i)*(sliding*pressure(i))
      end do
    end subroutine dry_terms
  end subroutine emagram_fix_dry_mass

  !> Close the water of the globe by scaling the vapour that each layer would have.
  subroutine emagram_fix_water(globe, interface_pressure, available, residual, time_step, vapor_rate, correction, &
    ierr, errmsg)
    type(emagram_globe), intent(in) :: globe
    real(real64), intent(in) :: interface_pressure(:, :) !! [Pa] (n_level + 1, n_column)
    real(real64), intent(in) :: available(:, :) !! [kg kg-1] (n_level, n_column) vapour after the step
    real(real64), intent(in) :: residual(:) !! [kg m-2 s-1] (n_column) gain of water beyond what fluxes brought
    real(real64), intent(in) :: time_step !! [s]
    real(real64), intent(inout) :: vapor_rate(:, :) !! [kg kg-1 s-1] (n_level, n_column)
    type(emagram_correction), intent(out) :: correction
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    real(real64) :: mass(size(vapor_rate, 1), size(vapor_rate, 2)), fixed(size(vapor_rate, 1), size(vapor_rate, 2))
    real(real64) :: vapor(size(vapor_rate, 1), size(vapor_rate, 2))
    real(real64) :: held(size(residual)), total(3), excess, most

    ierr = emagram_ok
    errmsg = ""
    call globe%check_shape("vapor_rate", shape(vapor_rate), shape(available), ierr, errmsg)
    call check_columns(globe, interface_pressure, residual, shape(vapor_rate), ierr, errmsg)
    if (ierr /= emagram_ok) return
    mass = (interface_pressure(2:, :) - interface_pressure(:size(mass, 1), :))/globe%gravity
    vapor = merge(0.0_real64, available, available < 0.0_real64) ! max may lose what is no number
    held = column_sum(mass*vapor)
    call globe%totals("water", reshape([globe%weight*residual, globe%weight*held, massless(mass)], &
      [size(residual), 3]), total, ierr, errmsg)
    call check_mass(total(3), ierr, errmsg)
    if (ierr /= emagram_ok) return
    correction%before = total(1)/globe%area
    excess = correction%before*time_step
    most = (1.0_real64 - spared)*total(2)/globe%area
    if (excess > most .or. (.not. most > 0.0_real64 .and. abs(excess) > 0.0_real64)) then
      errmsg = "global fixer 'water': expected vapour that can give"//decimal(excess)//" kg m-2, got"// &
        decimal(most)//" kg m-2"
      ierr = emagram_error_argument
      return
    end if
    if (most > 0.0_real64) correction%scale = -correction%before/(total(2)/globe%area)
    fixed = vapor_rate + correction%scale*vapor
    held = column_sum(mass*(fixed - vapor_rate))
    call finish(globe, "water", residual, held, correction, ierr, errmsg)
    if (ierr == emagram_ok) vapor_rate = fixed
  end subroutine emagram_fix_water

  !> Close the energy of the globe by the same heating everywhere.
  subroutine emagram_fix_energy(globe, interface_pressure, residual, heating, correction, ierr, errmsg)
    type(emagram_globe), intent(in) :: globe
    real(real64), intent(in) :: interface_pressure(:, :) !! [Pa] (n_level + 1, n_column)
    real(real64), intent(in) :: residual(:) !! [W m-2] (n_column) gain of energy beyond what fluxes brought
    real(real64), intent(inout) :: heating(:, :) !! [K s-1] (n_level, n_column)
    type(emagram_correction), intent(out) :: correction
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    real(real64) :: mass(size(heating, 1), size(heating, 2)), fixed(size(heating, 1), size(heating, 2))
    real(real64) :: total(3)

    ierr = emagram_ok
    errmsg = ""
    call check_columns(globe, interface_pressure, residual, shape(heating), ierr, errmsg)
    if (ierr /= emagram_ok) return
    mass = (interface_pressure(2:, :) - interface_pressure(:size(mass, 1), :))/globe%gravity
    call globe%totals("energy", reshape([globe%weight*residual, globe%weight*column_sum(mass), massless(mass)], &
      [size(residual), 3]), total, ierr, errmsg)
    call check_mass(total(3), ierr, errmsg)
    if (ierr /= emagram_ok) return
    correction%before = total(1)/globe%area
    correction%scale = -correction%before/(globe%heat_capacity*(total(2)/globe%area))
    fixed = heating + correction%scale
    call finish(globe, "energy", residual, column_sum(globe%heat_capacity*mass*(fixed - heating)), correction, ierr, &
      errmsg)
    if (ierr == emagram_ok) heating = fixed
  end subroutine emagram_fix_energy

  !> What is left after a change of the columns, and the size of that change.
  subroutine finish(globe, name, residual, change, correction, ierr, errmsg)
    type(emagram_globe), intent(in) :: globe
    character(len=*), intent(in) :: name
    real(real64), intent(in) :: residual(:), change(:) !! (n_column)
    type(emagram_correction), intent(inout) :: correction
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(real64) :: total(2)

    call globe%totals(name, reshape([globe%weight*(residual + change), globe%weight*abs(change)], &
      [size(residual), 2]), total, ierr, errmsg)
    if (ierr /= emagram_ok) return
    correction%after = total(1)/globe%area
    correction%size = total(2)/globe%area
  end subroutine finish

  subroutine check_columns(globe, interface_pressure, residual, rate_shape, ierr, errmsg)
    type(emagram_globe), intent(in) :: globe
    real(real64), intent(in) :: interface_pressure(:, :), residual(:)
    integer, intent(in) :: rate_shape(2)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg

    call globe%check_shape("residual", shape(residual), [globe%n_column], ierr, errmsg)
    call globe%check_shape("rates", rate_shape, [rate_shape(1), globe%n_column], ierr, errmsg)
    call globe%check_shape("interface_pressure", shape(interface_pressure), rate_shape + [1, 0], ierr, errmsg)
    call globe%agree(ierr, errmsg)
  end subroutine check_columns

  subroutine check_mass(n_massless, ierr, errmsg)
    real(real64), intent(in) :: n_massless !! layers of all ranks
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=20) :: number

    if (ierr /= emagram_ok .or. .not. n_massless > 0.0_real64) return
    ierr = emagram_error_argument
    write (number, "(i0)") nint(n_massless, int64)
    errmsg = "layers: expected pressures that increase downwards, got "//trim(number)//" that do not"
  end subroutine check_mass

  !> For a message, which may be cut but must not end the program: errmsg is of any length.
  pure function decimal(value) result(text)
    real(real64), intent(in) :: value
    character(len=12) :: text

    write (text, "(es12.5)") value
  end function decimal

  !> From the top down, in that order.
  pure function column_sum(values) result(total)
    real(real64), intent(in) :: values(:, :) !! (n_level, n_column)
    real(real64) :: total(size(values, 2))
    integer :: i, k

    total = 0.0_real64
    do i = 1, size(values, 2)
      do k = 1, size(values, 1)
        total(i) = total(i) + values(k, i)
      end do
    end do
  end function column_sum

  !> How many layers of each column have no mass.
  pure function massless(mass) result(number)
    real(real64), intent(in) :: mass(:, :) !! (n_level, n_column)
    real(real64) :: number(size(mass, 2))

    number = real(count(.not. mass > 0.0_real64, dim=1), real64)
  end function massless
end module emagram_fixers
