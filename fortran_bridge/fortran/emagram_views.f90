!> One call's view of the host's arrays: named, stepped, and what befell the columns. Models use module `emagram`.
module emagram_views
  use, intrinsic :: iso_c_binding, only: c_int, c_int32_t, c_int64_t, c_loc, c_null_char, c_null_ptr, c_ptr, c_sizeof
  use, intrinsic :: iso_fortran_env, only: int32, int64, real32, real64
  use emagram_c, only: c_bind => emagram_bind, c_budget => emagram_budget, c_budget_at => emagram_budget_at, &
    c_columns_free => emagram_columns_free, c_columns_new => emagram_columns_new, c_finish => emagram_finish, &
    c_status => emagram_status, c_timers => emagram_timers, c_unmet => emagram_unmet, emagram_error_argument, &
    emagram_error_field, emagram_field, emagram_persistent, emagram_timing
  use emagram_layout, only: set_layout
  use emagram_report, only: decimal, fail, quoted, report
  implicit none (type, external)
  private

  !> What a view is made of.
  type, public :: emagram_opened
    type(c_ptr) :: handle = c_null_ptr !! emagram_model * of emagram.h, for callers of the C interface
  end type emagram_opened

  !> One call's view of the host's arrays: one per thread or chunk. Bindings hold until the next step returns.
  type, public :: emagram_columns
    type(c_ptr) :: handle = c_null_ptr !! emagram_columns * of emagram.h, for callers of the C interface
  contains
    procedure :: new => columns_new
    procedure :: free => columns_free
    procedure, private :: input_real32, input_real64, output_real32, output_real64
    generic :: input => input_real32, input_real64
    generic :: output => output_real32, output_real64
    procedure :: finish => columns_finish
    procedure :: status => columns_status
    procedure :: budget => columns_budget
    procedure :: budget_at => columns_budget_at
    procedure :: unmet => columns_unmet
    procedure :: timers => columns_timers
  end type emagram_columns

contains

  !> A view of n1 by n2 columns.
  subroutine columns_new(self, model, n1, n2, identity, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    class(emagram_opened), intent(in) :: model
    integer, intent(in) :: n1
    integer, intent(in), optional :: n2 !! default 1: a plain list of columns
    integer(int64), intent(in), optional, contiguous, target :: identity(:)
      !! (n1 n2) global number of each column, the first index fastest; default counts from 0
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer(c_int64_t) :: extent_1, extent_2
    type(c_ptr) :: identity_pointer

    extent_1 = n1
    extent_2 = 1
    if (present(n2)) extent_2 = n2
    identity_pointer = c_null_ptr
    if (present(identity)) then
      if (size(identity, kind=c_int64_t) /= extent_1*extent_2) then
        call fail(emagram_error_argument, "columns "//quoted("identity")//": expected "// &
          decimal(extent_1*extent_2)//" values, got "//decimal(size(identity, kind=c_int64_t)), ierr, errmsg)
        return
      end if
      if (size(identity) > 0) identity_pointer = c_loc(identity)
    end if
    call report(c_columns_new(model%handle, extent_1, extent_2, identity_pointer, self%handle), ierr, errmsg)
  end subroutine columns_new

  subroutine columns_free(self, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_columns_free(self%handle), ierr, errmsg)
  end subroutine columns_free

  !> Name an array that the model reads. The array is of rank 1 to 4 and may be any section; nothing is copied.
  subroutine input_real64(self, name, array, axes, unit, persistent, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    character(len=*), intent(in) :: name !! as the model describes it
    real(real64), intent(in), target :: array(..)
    integer(int32), intent(in) :: axes(:) !! emagram_axis_*, the role of each axis of `array`
    character(len=*), intent(in), optional :: unit !! of the host's numbers; default the model's own
    logical, intent(in), optional :: persistent !! the array outlives every later step; default no
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(emagram_field) :: field

    call set_layout(field, array)
    call bind_field(self, name, field, rank(array), axes, unit, persistent, ierr, errmsg)
  end subroutine input_real64

  subroutine input_real32(self, name, array, axes, unit, persistent, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    character(len=*), intent(in) :: name
    real(real32), intent(in), target :: array(..)
    integer(int32), intent(in) :: axes(:)
    character(len=*), intent(in), optional :: unit
    logical, intent(in), optional :: persistent
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(emagram_field) :: field

    call set_layout(field, array)
    call bind_field(self, name, field, rank(array), axes, unit, persistent, ierr, errmsg)
  end subroutine input_real32

  !> Name an array that the model writes, or reads and writes (memory). Arguments as in `input`.
  subroutine output_real64(self, name, array, axes, unit, persistent, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    character(len=*), intent(in) :: name
    real(real64), intent(inout), target :: array(..)
    integer(int32), intent(in) :: axes(:)
    character(len=*), intent(in), optional :: unit
    logical, intent(in), optional :: persistent
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(emagram_field) :: field

    call set_layout(field, array)
    call bind_field(self, name, field, rank(array), axes, unit, persistent, ierr, errmsg)
  end subroutine output_real64

  subroutine output_real32(self, name, array, axes, unit, persistent, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    character(len=*), intent(in) :: name
    real(real32), intent(inout), target :: array(..)
    integer(int32), intent(in) :: axes(:)
    character(len=*), intent(in), optional :: unit
    logical, intent(in), optional :: persistent
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(emagram_field) :: field

    call set_layout(field, array)
    call bind_field(self, name, field, rank(array), axes, unit, persistent, ierr, errmsg)
  end subroutine output_real32

  subroutine bind_field(columns, name, field, n_axis, axes, unit, persistent, ierr, errmsg)
    type(emagram_columns), intent(in) :: columns
    character(len=*), intent(in) :: name
    type(emagram_field), intent(inout) :: field
    integer, intent(in) :: n_axis !! rank of the array
    integer(int32), intent(in) :: axes(:)
    character(len=*), intent(in), optional :: unit
    logical, intent(in), optional :: persistent
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    character(len=64), target :: c_unit

    if (size(axes) /= n_axis .or. n_axis > size(field%axis)) then
      call fail(emagram_error_field, "field "//quoted(name)//": expected a role for each axis of an array of rank "// &
        "1 to 4, got "//decimal(size(axes, kind=c_int64_t))//" roles for rank "//decimal(int(n_axis, c_int64_t)), &
        ierr, errmsg)
      return
    end if
    field%struct_size = c_sizeof(field)
    field%axis(:n_axis)%role = axes
    if (present(persistent)) field%flags = merge(emagram_persistent, 0_c_int32_t, persistent)
    if (present(unit)) then
      if (len_trim(unit) >= len(c_unit)) then
        call fail(emagram_error_field, "field "//quoted(name)//": expected a unit of fewer than 64 characters, got "// &
          decimal(len_trim(unit, kind=c_int64_t)), ierr, errmsg)
        return
      end if
      c_unit = trim(unit)//c_null_char
      field%unit = c_loc(c_unit)
    end if
    call report(c_bind(columns%handle, trim(name)//c_null_char, field), ierr, errmsg)
  end subroutine bind_field

  !> Write the outputs of model%begin to the bound arrays.
  subroutine columns_finish(self, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_finish(self%handle), ierr, errmsg)
  end subroutine columns_finish

  !> What befell each of the first size(reason) columns in the last step: emagram_column_*.
  subroutine columns_status(self, reason, ierr, errmsg)
    class(emagram_columns), intent(in) :: self
    integer(int32), intent(out), contiguous :: reason(:)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_status(self%handle, size(reason, kind=c_int64_t), reason), ierr, errmsg)
  end subroutine columns_status

  !> Residual of a column budget in the last step or constrain, before and after the constraints. Budgets are counted
  !> over the manifest's constraints in order: a constraint can have several, or none.
  subroutine columns_budget(self, index, before, after, ierr, errmsg)
    class(emagram_columns), intent(in) :: self
    integer, intent(in) :: index !! from 1 to n_budget
    real(real64), intent(inout), contiguous :: before(:) !! (number) [unit of the budget], NaN in rejected columns
    real(real64), intent(inout), contiguous :: after(:) !! as `before`
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    if (size(before) /= size(after)) then
      call fail(emagram_error_argument, "budget: expected before and after of one size, got "// &
        decimal(size(before, kind=c_int64_t))//" and "//decimal(size(after, kind=c_int64_t)), ierr, errmsg)
      return
    end if
    call report(c_budget(self%handle, int(index - 1, c_int32_t), size(before, kind=c_int64_t), before, after), &
      ierr, errmsg)
  end subroutine columns_budget

  !> The same residual at one stage: emagram_stage_predicted, before, after or returned.
  subroutine columns_budget_at(self, index, stage, residual, ierr, errmsg)
    class(emagram_columns), intent(in) :: self
    integer, intent(in) :: index !! from 1 to n_budget
    integer(int32), intent(in) :: stage !! emagram_stage_*
    real(real64), intent(inout), contiguous :: residual(:) !! (number) [unit of the budget], NaN in rejected columns
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_budget_at(self%handle, int(index - 1, c_int32_t), stage, size(residual, kind=c_int64_t), residual), &
      ierr, errmsg)
  end subroutine columns_budget_at

  !> Where the constraint of a budget cannot hold: the residual exceeds the budget's tolerance just after it or, where
  !> it is what no correction can repair, just before it.
  subroutine columns_unmet(self, index, unmet, ierr, errmsg)
    class(emagram_columns), intent(in) :: self
    integer, intent(in) :: index !! from 1 to n_budget
    logical, intent(out) :: unmet(:) !! (number)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer(c_int32_t) :: flag(size(unmet))

    flag = 0
    call report(c_unmet(self%handle, int(index - 1, c_int32_t), size(flag, kind=c_int64_t), flag), ierr, errmsg)
    unmet = flag /= 0
  end subroutine columns_unmet

  !> Calls, columns and seconds so far.
  subroutine columns_timers(self, timing, ierr, errmsg)
    class(emagram_columns), intent(in) :: self
    type(emagram_timing), intent(out) :: timing
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    timing%struct_size = c_sizeof(timing)
    call report(c_timers(self%handle, timing), ierr, errmsg)
  end subroutine columns_timers

end module emagram_views
