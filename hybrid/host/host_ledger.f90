!> What the constraints of a model had to do in a block: of each budget the residual before and after its own constraint
!! and where it is unmet, and how large their changes are beside the tendencies, by regime.
!!
!! A regime of a column and step is whether the sun shines on it and whether it rains there after the constraints.
!! Sums are of the columns, so that no result depends on ranks or blocks.
module host_ledger
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use emagram, only: emagram_budget_description, emagram_columns, emagram_model, emagram_stage_after, &
    emagram_stage_before
  use emagram_constants, only: gravity, heat_capacity_dry_air
  use emagram_kinds, only: rk
  use host_columns, only: column_block
  use host_fields, only: air_temperature, field_name, precipitation, specific_humidity, toa_incoming_shortwave
  implicit none (type, external)
  private
  public :: list_budgets, name_of_sum

  integer, parameter, public :: n_regime = 4
  character(len=*), parameter, public :: regime_names = "night dry, day dry, night raining, day raining"
  real(rk), parameter :: raining = 1.0_rk/86400.0_rk !! [kg m-2 s-1] more is rain
  integer, parameter :: before = 1, after = 2

  !> Sums over the steps of a history record, then two of each budget.
  type(field_name), parameter :: fixed_sums(*) = [ &
    field_name("emulated_steps_by_regime", "1"), &
    field_name("heating_correction_by_regime", "W m-2"), &
    field_name("heating_tendency_by_regime", "W m-2"), &
    field_name("moistening_correction_by_regime", "kg m-2 s-1"), &
    field_name("moistening_tendency_by_regime", "kg m-2 s-1")]

  integer, parameter, public :: n_fixed_sum = size(fixed_sums)

  !> Of a block.
  type, public :: block_ledger
    real(rk), allocatable :: residual(:, :, :) !! (n_column, n_budget, 2) before and after, of the last step
    logical, allocatable :: unmet(:, :) !! (n_column, n_budget) of the last step
    real(rk), allocatable :: largest(:, :) !! (2, n_budget) magnitude before and after, of the day
    integer(int64), allocatable :: n_unmet(:) !! (n_budget) columns and steps of the day
    real(rk), allocatable :: sum(:, :, :) !! (n_regime, n_column, n_sum) of the history record
  contains
    procedure :: make, measure, sum_up, begin_day
  end type block_ledger

contains

  !> Names and units of a model's budgets; in names all but letters and digits is _, for tables and files.
  subroutine list_budgets(model, n_budget, budget, ierr, errmsg)
    type(emagram_model), intent(in) :: model
    integer, intent(in) :: n_budget
    type(field_name), allocatable, intent(out) :: budget(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(emagram_budget_description) :: found
    integer :: i
    allocate (budget(n_budget))
    do i = 1, n_budget
      if (ierr == 0) call model%describe_budget(i, found, ierr, errmsg)
      if (ierr == 0) budget(i) = field_name(plain(found%name), found%unit)
    end do
  end subroutine list_budgets

  pure function plain(name) result(text)
    character(len=*), intent(in) :: name
    character(len=len(name)) :: text
    character(len=*), parameter :: kept = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    integer :: i
    do i = 1, len(name)
      text(i:i) = merge(name(i:i), "_", index(kept, name(i:i)) > 0)
    end do
  end function plain

  subroutine make(self, n_budget, n_column)
    class(block_ledger), intent(inout) :: self
    integer, intent(in) :: n_budget, n_column
    allocate (self%residual(n_column, n_budget, 2), self%largest(2, n_budget), source=0.0_rk)
    allocate (self%sum(n_regime, n_column, n_fixed_sum + 2*n_budget), source=0.0_rk)
    allocate (self%unmet(n_column, n_budget), source=.false.)
    allocate (self%n_unmet(n_budget), source=0_int64)
  end subroutine make

  !> Take what the last constrain found. Columns that it could not close have no residual, and count as none.
  subroutine measure(self, columns, n_column, ierr, errmsg)
    class(block_ledger), intent(inout) :: self
    type(emagram_columns), intent(in) :: columns
    integer, intent(in) :: n_column
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(real64) :: found(n_column)
    integer :: i, stage
    do i = 1, size(self%n_unmet)
      do stage = before, after
        found = 0.0_real64
        if (ierr == 0) call columns%budget_at(i, merge(emagram_stage_before, emagram_stage_after, stage == before), &
          found, ierr, errmsg)
        self%residual(:, i, stage) = merge(abs(found), 0.0_rk, abs(found) <= huge(found))
        self%largest(stage, i) = max(self%largest(stage, i), maxval(self%residual(:, i, stage)))
      end do
      if (ierr == 0) call columns%unmet(i, self%unmet(:, i), ierr, errmsg)
      self%n_unmet(i) = self%n_unmet(i) + count(self%unmet(:, i))
    end do
  end subroutine measure

  !> Add a step to the sums: residuals before, unmet budgets, and vertical integrals of the magnitudes of changes and of
  !! the rates that came of them.
  subroutine sum_up(self, block, change, rate)
    class(block_ledger), intent(inout) :: self
    type(column_block), intent(in) :: block
    real(rk), intent(in) :: change(:, :, :) !! [K s-1], [s-1] (n_level, n_column, 2) by the constraints, magnitudes
    real(rk), intent(in) :: rate(:, :, :) !! (n_level, n_column, n_state) after them
    real(rk) :: mass(block%n_level)
    integer :: i, r, b
    associate (n => n_fixed_sum, heat => heat_capacity_dry_air, t => air_temperature, q => specific_humidity)
      do i = 1, block%n_column
        r = 1 + merge(1, 0, block%scalar(i, toa_incoming_shortwave) > 0.0_rk) &
          + merge(2, 0, block%scalar(i, precipitation) > raining)
        mass = (block%interface_pressure(2:, i) - block%interface_pressure(:block%n_level, i))/gravity
        self%sum(r, i, :n) = self%sum(r, i, :n) + [1.0_rk, heat*sum(mass*change(:, i, t)), &
          heat*sum(mass*abs(rate(:, i, t))), sum(mass*change(:, i, q)), sum(mass*abs(rate(:, i, q)))]
        do b = 1, size(self%n_unmet)
          self%sum(r, i, n + 2*b - 1) = self%sum(r, i, n + 2*b - 1) + self%residual(i, b, before)
          self%sum(r, i, n + 2*b) = self%sum(r, i, n + 2*b) + merge(1.0_rk, 0.0_rk, self%unmet(i, b))
        end do
      end do
    end associate
  end subroutine sum_up

  !> Forget the day that ended.
  subroutine begin_day(self)
    class(block_ledger), intent(inout) :: self
    self%largest = 0.0_rk
    self%n_unmet = 0
  end subroutine begin_day

  !> Name and unit of a sum of the history.
  pure function name_of_sum(number, budget) result(field)
    integer, intent(in) :: number
    type(field_name), intent(in) :: budget(:)
    type(field_name) :: field
    integer :: b
    if (number <= n_fixed_sum) then
      field = fixed_sums(number)
      return
    end if
    b = (number - n_fixed_sum + 1)/2
    if (modulo(number - n_fixed_sum, 2) == 1) then
      field = field_name("residual_before_"//trim(budget(b)%name)//"_by_regime", budget(b)%unit)
    else
      field = field_name("unmet_"//trim(budget(b)%name)//"_by_regime", "1")
    end if
  end function name_of_sum
end module host_ledger
