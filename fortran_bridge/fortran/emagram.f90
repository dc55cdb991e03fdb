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
  use, intrinsic :: iso_c_binding, only: c_int32_t, c_int64_t, c_loc, c_null_char, c_size_t, c_sizeof
  use, intrinsic :: iso_fortran_env, only: int8, int32, real64
  use emagram_c, only: emagram_axis_column_1, emagram_axis_column_2, emagram_axis_level, emagram_axis_neighbour, &
    emagram_policy_error, emagram_policy_mask, emagram_policy_clip, &
    emagram_per_column, emagram_per_layer, emagram_per_interface, emagram_input, emagram_output, emagram_inout, &
    emagram_column_ok, emagram_column_extrapolated, emagram_column_clipped, emagram_column_rejected, &
    emagram_column_non_finite_input, emagram_column_invalid_input, emagram_column_level_order, &
    emagram_column_non_finite_output, emagram_timing, &
    emagram_ok, emagram_error_argument, emagram_error_file, emagram_error_format, emagram_error_version, &
    emagram_error_checksum, emagram_error_selftest, emagram_error_field, emagram_error_missing_field, &
    emagram_error_time_step, emagram_error_rejected, emagram_error_unsupported, emagram_error_memory, &
    emagram_error_internal, &
    emagram_stage_predicted, emagram_stage_before, emagram_stage_after, emagram_stage_returned
  use emagram_c, only: c_begin => emagram_begin, c_close => emagram_close, c_constrain => emagram_constrain, &
    c_open => emagram_open, c_open_memory => emagram_open_memory, c_step => emagram_step, emagram_options
  use emagram_descriptions, only: describe_budget, describe_model, emagram_budget_description, emagram_description, &
    emagram_field_description
  use emagram_report, only: report
  use emagram_views, only: emagram_columns, emagram_opened
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
  public :: emagram_stage_predicted, emagram_stage_before, emagram_stage_after, emagram_stage_returned
  public :: emagram_timing
  public :: emagram_budget_description, emagram_columns, emagram_description, emagram_field_description

  !> Long enough for every sentence of the library: character(len=emagram_message_length) :: errmsg.
  integer, parameter, public :: emagram_message_length = 1024

  !> A model file in memory: immutable, shared by every thread. A copy of the variable is the same model; close one.
  type, extends(emagram_opened), public :: emagram_model
  contains
    procedure :: open => model_open
    procedure :: open_memory => model_open_memory
    procedure :: close => model_close
    procedure :: describe => model_describe
    procedure :: describe_budget => model_describe_budget
    procedure :: step => model_step
    procedure :: begin => model_begin
    procedure :: constrain => model_constrain
  end type emagram_model

  public :: emagram_make_options

contains

  !> Open a model file, verify its checksums and replay its self-test.
  subroutine model_open(self, path, policy, allow_other_dt, defer_constraints, extrapolation_margin, measure_only, &
    ierr, errmsg)
    class(emagram_model), intent(inout) :: self
    character(len=*), intent(in) :: path !! trailing blanks do not count
    integer(int32), intent(in), optional :: policy !! emagram_policy_*; default error
    logical, intent(in), optional :: allow_other_dt !! accept a dt other than the model's; default no
    logical, intent(in), optional :: defer_constraints !! leave the constraints to `constrain`; default no
    real(real64), intent(in), optional :: extrapolation_margin
      !! [1] of the width of the training range that an input may lie beyond it before a column counts as extrapolated
    logical, intent(in), optional :: measure_only !! residuals are measured, constraints change nothing; default no
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_open(trim(path)//c_null_char, emagram_make_options(policy, allow_other_dt, defer_constraints, &
      extrapolation_margin, measure_only), self%handle), ierr, errmsg)
  end subroutine model_open

  !> Open a model from the bytes of its file; what is needed of them is copied.
  subroutine model_open_memory(self, bytes, policy, allow_other_dt, defer_constraints, extrapolation_margin, &
    measure_only, ierr, errmsg)
    class(emagram_model), intent(inout) :: self
    integer(int8), intent(in), contiguous, target :: bytes(:)
    integer(int32), intent(in), optional :: policy !! as in `open`
    logical, intent(in), optional :: allow_other_dt
    logical, intent(in), optional :: defer_constraints
    real(real64), intent(in), optional :: extrapolation_margin
    logical, intent(in), optional :: measure_only
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call report(c_open_memory(c_loc(bytes), size(bytes, kind=c_size_t), &
      emagram_make_options(policy, allow_other_dt, defer_constraints, extrapolation_margin, measure_only), &
      self%handle), ierr, errmsg)
  end subroutine model_open_memory

  !> The options of `open` as emagram.h has them; absent ones take its defaults.
  function emagram_make_options(policy, allow_other_dt, defer_constraints, extrapolation_margin, measure_only) &
    result(options)
    integer(int32), intent(in), optional :: policy
    logical, intent(in), optional :: allow_other_dt
    logical, intent(in), optional :: defer_constraints
    real(real64), intent(in), optional :: extrapolation_margin
    logical, intent(in), optional :: measure_only
    type(emagram_options) :: options

    options%struct_size = c_sizeof(options) ! the other components are those of the type, which are the defaults
    if (present(policy)) options%policy = policy
    if (present(allow_other_dt)) options%allow_other_dt = merge(1_c_int32_t, 0_c_int32_t, allow_other_dt)
    if (present(defer_constraints)) options%defer_constraints = merge(1_c_int32_t, 0_c_int32_t, defer_constraints)
    if (present(extrapolation_margin)) options%extrapolation_margin = extrapolation_margin
    if (present(measure_only)) options%measure_only = merge(1_c_int32_t, 0_c_int32_t, measure_only)
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

    call describe_model(self%handle, description, ierr, errmsg)
  end subroutine model_describe

  !> Name, unit, constraint and tolerance of a budget.
  subroutine model_describe_budget(self, index, description, ierr, errmsg)
    class(emagram_model), intent(in) :: self
    integer, intent(in) :: index !! from 1 to n_budget
    type(emagram_budget_description), intent(out) :: description
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call describe_budget(self%handle, index, description, ierr, errmsg)
  end subroutine model_describe_budget

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

end module emagram
