!> Call a column emulator from a climate model: open a model once, name the arrays where you step, step.
!>
!> Every call ends with `ierr, errmsg`, both intent(out): ierr = 0 and a blank errmsg, or the code of the error
!> (emagram_error_*) and one sentence. Optional arguments stand before them, so a call that leaves any out passes
!> ierr and errmsg by keyword:
!>
!>     call columns%input("air_temperature", t, [emagram_axis_column_1, emagram_axis_level], &
!>       unit="degC", ierr=ierr, errmsg=errmsg)
!>
!> A bound array must stay where it is until the step returns. Give it the TARGET attribute (its POINTER association
!> holds too): a compiler may otherwise keep an output in a register across the step. Bind variables and sections of
!> them, never expressions or vector subscripts, which are temporaries. Level 1 is the model top.
module emagram
  use, intrinsic :: iso_c_binding, only: c_associated, c_char, c_f_pointer, c_int, c_int32_t, c_int64_t, &
    c_loc, c_null_char, c_null_ptr, c_ptr, c_size_t, c_sizeof
  use, intrinsic :: iso_fortran_env, only: int8, int32, int64, real32, real64
  use emagram_c, only: emagram_axis_column_1, emagram_axis_column_2, emagram_axis_level, emagram_axis_neighbour, &
    emagram_policy_error, emagram_policy_mask, emagram_policy_clip, &
    emagram_per_column, emagram_per_layer, emagram_per_interface, emagram_input, emagram_output, emagram_inout, &
    emagram_column_ok, emagram_column_extrapolated, emagram_column_clipped, emagram_column_rejected, &
    emagram_column_non_finite_input, emagram_column_invalid_input, emagram_column_level_order, &
    emagram_column_non_finite_output, emagram_timing, &
    emagram_ok, emagram_error_argument, emagram_error_file, emagram_error_format, emagram_error_version, &
    emagram_error_checksum, emagram_error_selftest, emagram_error_field, emagram_error_missing_field, &
    emagram_error_time_step, emagram_error_rejected, emagram_error_unsupported, emagram_error_memory, &
    emagram_error_internal
  use emagram_c, only: emagram_persistent, emagram_field, emagram_options, emagram_last_error, &
    c_description => emagram_description, c_field_description => emagram_field_description, &
    c_open => emagram_open, c_open_memory => emagram_open_memory, c_close => emagram_close, &
    c_describe => emagram_describe, c_describe_field => emagram_describe_field, &
    c_columns_new => emagram_columns_new, c_columns_free => emagram_columns_free, c_bind => emagram_bind, &
    c_step => emagram_step, c_begin => emagram_begin, c_finish => emagram_finish, c_constrain => emagram_constrain, &
    c_status => emagram_status, c_budget => emagram_budget, c_timers => emagram_timers
  use emagram_layout, only: set_layout
  implicit none (type, external)
  private

  public :: emagram_axis_column_1, emagram_axis_column_2, emagram_axis_level, emagram_axis_neighbour
  public :: emagram_policy_error, emagram_policy_mask, emagram_policy_clip
  public :: emagram_per_column, emagram_per_layer, emagram_per_interface
  public :: emagram_input, emagram_output, emagram_inout
  public :: emagram_column_ok, emagram_column_extrapolated, emagram_column_clipped, emagram_column_rejected
  public :: emagram_column_non_finite_input, emagram_column_invalid_input, emagram_column_level_order
  public :: emagram_column_non_finite_output
  public :: emagram_ok, emagram_error_argument, emagram_error_file, emagram_error_format, emagram_error_version
  public :: emagram_error_checksum, emagram_error_selftest, emagram_error_field, emagram_error_missing_field
  public :: emagram_error_time_step, emagram_error_rejected, emagram_error_unsupported, emagram_error_memory
  public :: emagram_error_internal
  public :: emagram_timing

  !> Long enough for every sentence of the library: character(len=emagram_message_length) :: errmsg.
  integer, parameter, public :: emagram_message_length = 1024

  !> One input or output of a model.
  type, public :: emagram_field_description
    character(len=:), allocatable :: name
    character(len=:), allocatable :: unit
    integer :: direction = 0 !! emagram_input, emagram_output or emagram_inout
    integer :: dimension = 0 !! emagram_per_column, emagram_per_layer or emagram_per_interface
    integer :: size = 0 !! values a column
    real(real64) :: valid_minimum = 0 !! [unit]
    real(real64) :: valid_maximum = 0 !! [unit]
  end type emagram_field_description

  !> What a model file says of itself.
  type, public :: emagram_description
    character(len=:), allocatable :: name
    character(len=:), allocatable :: sha256 !! of the manifest, 64 hexadecimal digits
    character(len=:), allocatable :: manifest !! the JSON text
    integer :: n_level = 0 !! layers
    integer :: n_neighbour = 0 !! 1, or 9 for a 3x3 stencil
    integer :: n_input = 0
    integer :: n_output = 0
    integer :: n_budget = 0
    real(real64) :: time_step = 0 !! [s]; 0: any, the rates do not depend on it
    type(emagram_field_description), allocatable :: field(:) !! inputs, then outputs, in the order of the manifest
  end type emagram_description

  !> A model file in memory: immutable, shared by every thread. A copy of the variable is the same model; close one.
  type, public :: emagram_model
    type(c_ptr) :: handle = c_null_ptr !! emagram_model * of emagram.h, for callers of the C interface
  contains
    procedure :: open => model_open
    procedure :: open_memory => model_open_memory
    procedure :: close => model_close
    procedure :: describe => model_describe
    procedure :: step => model_step
    procedure :: begin => model_begin
    procedure :: constrain => model_constrain
  end type emagram_model

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
    procedure :: timers => columns_timers
  end type emagram_columns

  public :: emagram_make_options

  interface
    pure function c_strlen(text) result(length) bind(c, name="strlen")
      import :: c_ptr, c_size_t
      implicit none (type, external)
      type(c_ptr), value, intent(in) :: text
      integer(c_size_t) :: length
    end function c_strlen
  end interface

contains

  !> Open a model file, verify its checksums and replay its self-test.
  subroutine model_open(self, path, policy, allow_other_dt, defer_constraints, extrapolation_margin, ierr, errmsg)
    class(emagram_model), intent(inout) :: self
    character(len=*), intent(in) :: path !! trailing blanks do not count
    integer(int32), intent(in), optional :: policy !! emagram_policy_*; default error
    logical, intent(in), optional :: allow_other_dt !! accept a dt other than the model's; default no
    logical, intent(in), optional :: defer_constraints !! leave the constraints to `constrain`; default no
    real(real64), intent(in), optional :: extrapolation_margin
      !! [1] of the width of the training range that an input may lie beyond it before a column counts as extrapolated
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_open(trim(path)//c_null_char, emagram_make_options(policy, allow_other_dt, defer_constraints, &
      extrapolation_margin), self%handle), ierr, errmsg)
  end subroutine model_open

  !> Open a model from the bytes of its file; what is needed of them is copied.
  subroutine model_open_memory(self, bytes, policy, allow_other_dt, defer_constraints, extrapolation_margin, ierr, &
    errmsg)
    class(emagram_model), intent(inout) :: self
    integer(int8), intent(in), contiguous, target :: bytes(:)
    integer(int32), intent(in), optional :: policy !! as in `open`
    logical, intent(in), optional :: allow_other_dt
    logical, intent(in), optional :: defer_constraints
    real(real64), intent(in), optional :: extrapolation_margin
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_open_memory(c_loc(bytes), size(bytes, kind=c_size_t), &
      emagram_make_options(policy, allow_other_dt, defer_constraints, extrapolation_margin), self%handle), ierr, errmsg)
  end subroutine model_open_memory

  !> The options of `open` as emagram.h has them; absent ones take its defaults.
  function emagram_make_options(policy, allow_other_dt, defer_constraints, extrapolation_margin) result(options)
    integer(int32), intent(in), optional :: policy
    logical, intent(in), optional :: allow_other_dt
    logical, intent(in), optional :: defer_constraints
    real(real64), intent(in), optional :: extrapolation_margin
    type(emagram_options) :: options

    options%struct_size = c_sizeof(options) ! the other components are those of the type, which are the defaults
    if (present(policy)) options%policy = policy
    if (present(allow_other_dt)) options%allow_other_dt = merge(1_c_int32_t, 0_c_int32_t, allow_other_dt)
    if (present(defer_constraints)) options%defer_constraints = merge(1_c_int32_t, 0_c_int32_t, defer_constraints)
    if (present(extrapolation_margin)) options%extrapolation_margin = extrapolation_margin
  end function emagram_make_options

  subroutine model_close(self, ierr, errmsg)
    class(emagram_model), intent(inout) :: self
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_close(self%handle), ierr, errmsg)
  end subroutine model_close

  subroutine model_describe(self, description, ierr, errmsg)
    class(emagram_model), intent(in) :: self
    type(emagram_description), intent(out) :: description
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(c_description) :: c
    integer :: i

    c%struct_size = c_sizeof(c)
    call report(c_describe(self%handle, c), ierr, errmsg)
    if (ierr /= 0) return
    description%name = text_at(c%name)
    description%sha256 = text_at(c%sha256)
    description%manifest = text_at(c%manifest)
    description%n_level = c%n_level
    description%n_neighbour = c%n_neighbour
    description%n_input = c%n_input
    description%n_output = c%n_output
    description%n_budget = c%n_budget
    description%time_step = c%time_step
    allocate (description%field(c%n_field))
    do i = 1, c%n_field
      call describe_field(self%handle, i, description%field(i), ierr, errmsg)
      if (ierr /= 0) return
    end do
  end subroutine model_describe

  subroutine describe_field(model, index, description, ierr, errmsg)
    type(c_ptr), intent(in) :: model
    integer, intent(in) :: index !! from 1
    type(emagram_field_description), intent(inout) :: description
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(c_field_description) :: c

    c%struct_size = c_sizeof(c)
    call report(c_describe_field(model, int(index - 1, c_int32_t), c), ierr, errmsg)
    if (ierr /= 0) return
    description%name = text_at(c%name)
    description%unit = text_at(c%unit)
    description%direction = c%direction
    description%dimension = c%dimension
    description%size = c%size
    description%valid_minimum = c%valid_minimum
    description%valid_maximum = c%valid_maximum
  end subroutine describe_field

  !> Run the model on the first `number` columns and write the outputs: rates per second and fluxes.
  subroutine model_step(self, columns, number, dt, step, member, ierr, errmsg)
    class(emagram_model), intent(in) :: self
    type(emagram_columns), intent(inout) :: columns
    integer, intent(in) :: number
    real(real64), intent(in) :: dt !! the host's time step [s]
    integer, intent(in) :: step !! the host's step counter
    integer, intent(in), optional :: member !! the host's ensemble member; default 0
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_step(self%handle, columns%handle, int(number, c_int64_t), dt, int(step, c_int64_t), &
      member_or_zero(member)), ierr, errmsg)
  end subroutine model_step

  !> The first half of `step`: compute. columns%finish writes the outputs.
  subroutine model_begin(self, columns, number, dt, step, member, ierr, errmsg)
    class(emagram_model), intent(in) :: self
    type(emagram_columns), intent(inout) :: columns
    integer, intent(in) :: number
    real(real64), intent(in) :: dt !! [s]
    integer, intent(in) :: step
    integer, intent(in), optional :: member
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_begin(self%handle, columns%handle, int(number, c_int64_t), dt, int(step, c_int64_t), &
      member_or_zero(member)), ierr, errmsg)
  end subroutine model_begin

  pure function member_or_zero(member) result(number)
    integer, intent(in), optional :: member
    integer(c_int64_t) :: number

    number = 0
    if (present(member)) number = member
  end function member_or_zero

  !> Apply the model's constraints to the bound inputs and to the outputs as they now stand in the host's arrays.
  subroutine model_constrain(self, columns, number, dt, ierr, errmsg)
    class(emagram_model), intent(in) :: self
    type(emagram_columns), intent(inout) :: columns
    integer, intent(in) :: number
    real(real64), intent(in) :: dt !! [s]
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_constrain(self%handle, columns%handle, int(number, c_int64_t), dt), ierr, errmsg)
  end subroutine model_constrain

  !> A view of n1 by n2 columns.
  subroutine columns_new(self, model, n1, n2, identity, ierr, errmsg)
    class(emagram_columns), intent(inout) :: self
    type(emagram_model), intent(in) :: model
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

  !> Calls, columns and seconds so far.
  subroutine columns_timers(self, timing, ierr, errmsg)
    class(emagram_columns), intent(in) :: self
    type(emagram_timing), intent(out) :: timing
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    timing%struct_size = c_sizeof(timing)
    call report(c_timers(self%handle, timing), ierr, errmsg)
  end subroutine columns_timers

  !> Hand the code of a C call to the caller, with its text.
  subroutine report(code, ierr, errmsg)
    integer(c_int), intent(in) :: code
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    errmsg = ""
    if (code /= emagram_ok) errmsg = text_at(emagram_last_error())
    ierr = code
  end subroutine report

  subroutine fail(code, message, ierr, errmsg)
    integer(c_int), intent(in) :: code
    character(len=*), intent(in) :: message
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    errmsg = message
    ierr = code
  end subroutine fail

  !> The C string at an address; empty for a null pointer.
  function text_at(pointer) result(text)
    type(c_ptr), intent(in) :: pointer
    character(len=:), allocatable :: text
    character(kind=c_char), pointer :: characters(:)
    integer :: i

    text = ""
    if (.not. c_associated(pointer)) return
    call c_f_pointer(pointer, characters, [c_strlen(pointer)])
    text = repeat(" ", size(characters))
    do i = 1, size(characters)
      text(i:i) = characters(i)
    end do
  end function text_at

  pure function quoted(name) result(text)
    character(len=*), intent(in) :: name
    character(len=:), allocatable :: text

    text = "'"//trim(name)//"'"
  end function quoted

  pure function decimal(number) result(text)
    integer(c_int64_t), intent(in) :: number
    character(len=:), allocatable :: text
    character(len=20) :: buffer

    write (buffer, "(i0)") number
    text = trim(buffer)
  end function decimal

end module emagram
