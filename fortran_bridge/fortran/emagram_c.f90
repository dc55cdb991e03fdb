!> emagram.h in Fortran: its constants, structures and functions, one for one. Models use module `emagram`.
module emagram_c
  use, intrinsic :: iso_c_binding, only: c_char, c_double, c_funptr, c_int, c_int32_t, c_int64_t, c_null_ptr, &
    c_ptr, c_size_t
  implicit none (type, external)
  private

  integer(c_int), parameter, public :: emagram_header_version = 1

  integer(c_int), parameter, public :: &
    emagram_ok = 0, &
    emagram_error_argument = 1, &
    emagram_error_file = 2, &
    emagram_error_format = 3, &
    emagram_error_version = 4, &
    emagram_error_checksum = 5, &
    emagram_error_selftest = 6, &
    emagram_error_field = 7, &
    emagram_error_missing_field = 8, &
    emagram_error_time_step = 9, &
    emagram_error_rejected = 10, &
    emagram_error_unsupported = 11, &
    emagram_error_memory = 12, &
    emagram_error_internal = 13

  integer(c_int32_t), parameter, public :: &
    emagram_column_ok = 0, &
    emagram_column_extrapolated = 1, &
    emagram_column_clipped = 2, &
    emagram_column_rejected = 16, &
    emagram_column_non_finite_input = 16, &
    emagram_column_invalid_input = 17, &
    emagram_column_level_order = 18, &
    emagram_column_non_finite_output = 19

  integer(c_int32_t), parameter, public :: &
    emagram_policy_error = 0, &
    emagram_policy_mask = 1, &
    emagram_policy_clip = 2

  integer(c_int32_t), parameter, public :: &
    emagram_real32 = 1, &
    emagram_real64 = 2, &
    emagram_cpu = 0, &
    emagram_cuda = 1, &
    emagram_log_error = 0, &
    emagram_log_warning = 1, &
    emagram_log_info = 2, &
    emagram_log_debug = 3

  integer(c_int32_t), parameter, public :: &
    emagram_axis_column_1 = 1, &
    emagram_axis_column_2 = 2, &
    emagram_axis_level = 3, &
    emagram_axis_neighbour = 4, &
    emagram_max_axes = 4

  integer(c_int32_t), parameter, public :: &
    emagram_per_column = 0, &
    emagram_per_layer = 1, &
    emagram_per_interface = 2, &
    emagram_input = 1, &
    emagram_output = 2, &
    emagram_inout = 3, &
    emagram_stage_predicted = 0, &
    emagram_stage_before = 1, &
    emagram_stage_after = 2, &
    emagram_stage_returned = 3, &
    emagram_persistent = 1

  type, bind(c), public :: emagram_axis
    integer(c_int32_t) :: role = 0
    integer(c_int32_t) :: reserved = 0
    integer(c_int64_t) :: extent = 0
    integer(c_int64_t) :: stride = 0
  end type emagram_axis

  type, bind(c), public :: emagram_field
    integer(c_size_t) :: struct_size = 0
    type(c_ptr) :: data = c_null_ptr
    integer(c_int32_t) :: dtype = 0
    integer(c_int32_t) :: device = emagram_cpu
    integer(c_int32_t) :: n_axis = 0
    integer(c_int32_t) :: flags = 0
    type(c_ptr) :: unit = c_null_ptr
    type(emagram_axis) :: axis(emagram_max_axes)
  end type emagram_field

  type, bind(c), public :: emagram_options
    integer(c_size_t) :: struct_size = 0
    integer(c_int32_t) :: policy = emagram_policy_error
    integer(c_int32_t) :: allow_other_dt = 0
    integer(c_int32_t) :: defer_constraints = 0
    integer(c_int32_t) :: allow_code = 0
    real(c_double) :: extrapolation_margin = 0
    integer(c_int32_t) :: measure_only = 0
    integer(c_int32_t) :: reserved = 0
  end type emagram_options

  type, bind(c), public :: emagram_description
    integer(c_size_t) :: struct_size = 0
    integer(c_int32_t) :: n_field = 0
    integer(c_int32_t) :: n_input = 0
    integer(c_int32_t) :: n_output = 0
    integer(c_int32_t) :: n_level = 0
    integer(c_int32_t) :: n_neighbour = 0
    integer(c_int32_t) :: n_budget = 0
    real(c_double) :: time_step = 0
    type(c_ptr) :: name = c_null_ptr
    type(c_ptr) :: sha256 = c_null_ptr
    type(c_ptr) :: manifest = c_null_ptr
  end type emagram_description

  type, bind(c), public :: emagram_field_description
    integer(c_size_t) :: struct_size = 0
    type(c_ptr) :: name = c_null_ptr
    type(c_ptr) :: unit = c_null_ptr
    integer(c_int32_t) :: direction = 0
    integer(c_int32_t) :: dimension = 0
    integer(c_int32_t) :: size = 0
    integer(c_int32_t) :: reserved = 0
    real(c_double) :: valid_minimum = 0
    real(c_double) :: valid_maximum = 0
  end type emagram_field_description

  type, bind(c), public :: emagram_budget_description
    integer(c_size_t) :: struct_size = 0
    type(c_ptr) :: name = c_null_ptr
    type(c_ptr) :: unit = c_null_ptr
    type(c_ptr) :: constraint = c_null_ptr
    real(c_double) :: tolerance = 0
  end type emagram_budget_description

  !> Calls, columns and seconds, summed over the calls of one emagram_columns.
  type, bind(c), public :: emagram_timing
    integer(c_size_t) :: struct_size = 0
    integer(c_int64_t) :: n_call = 0
    integer(c_int64_t) :: n_column = 0
    integer(c_int64_t) :: n_rejected = 0
    real(c_double) :: gather_s = 0
    real(c_double) :: network_s = 0
    real(c_double) :: constraints_s = 0
    real(c_double) :: scatter_s = 0
  end type emagram_timing

  public :: emagram_abi_version, emagram_last_error, emagram_options_init
  public :: emagram_open, emagram_open_memory, emagram_close
  public :: emagram_describe, emagram_describe_field, emagram_describe_budget
  public :: emagram_columns_new, emagram_columns_free, emagram_bind
  public :: emagram_step, emagram_begin, emagram_finish, emagram_constrain
  public :: emagram_status, emagram_budget, emagram_budget_at, emagram_unmet
  public :: emagram_timers, emagram_set_log, emagram_set_parallel_for

  interface

    function emagram_abi_version() result(version) bind(c, name="emagram_abi_version")
      import :: c_int
      implicit none (type, external)
      integer(c_int) :: version
    end function emagram_abi_version

    function emagram_last_error() result(text) bind(c, name="emagram_last_error")
      import :: c_ptr
      implicit none (type, external)
      type(c_ptr) :: text
    end function emagram_last_error

    function emagram_options_init(options) result(code) bind(c, name="emagram_options_init")
      import :: c_int, emagram_options
      implicit none (type, external)
      type(emagram_options), intent(inout) :: options
      integer(c_int) :: code
    end function emagram_options_init

    function emagram_open(path, options, model) result(code) bind(c, name="emagram_open")
      import :: c_char, c_int, c_ptr, emagram_options
      implicit none (type, external)
      character(kind=c_char), intent(in) :: path(*)
      type(emagram_options), intent(in) :: options
      type(c_ptr), intent(inout) :: model
      integer(c_int) :: code
    end function emagram_open

    function emagram_open_memory(bytes, size, options, model) result(code) bind(c, name="emagram_open_memory")
      import :: c_int, c_ptr, c_size_t, emagram_options
      implicit none (type, external)
      type(c_ptr), value :: bytes
      integer(c_size_t), value :: size
      type(emagram_options), intent(in) :: options
      type(c_ptr), intent(inout) :: model
      integer(c_int) :: code
    end function emagram_open_memory

    function emagram_close(model) result(code) bind(c, name="emagram_close")
      import :: c_int, c_ptr
      implicit none (type, external)
      type(c_ptr), intent(inout) :: model
      integer(c_int) :: code
    end function emagram_close

    function emagram_describe(model, description) result(code) bind(c, name="emagram_describe")
      import :: c_int, c_ptr, emagram_description
      implicit none (type, external)
      type(c_ptr), value :: model
      type(emagram_description), intent(inout) :: description
      integer(c_int) :: code
    end function emagram_describe

    function emagram_describe_field(model, index, description) result(code) bind(c, name="emagram_describe_field")
      import :: c_int, c_int32_t, c_ptr, emagram_field_description
      implicit none (type, external)
      type(c_ptr), value :: model
      integer(c_int32_t), value :: index
      type(emagram_field_description), intent(inout) :: description
      integer(c_int) :: code
    end function emagram_describe_field

    function emagram_describe_budget(model, index, description) result(code) bind(c, name="emagram_describe_budget")
      import :: c_int, c_int32_t, c_ptr, emagram_budget_description
      implicit none (type, external)
      type(c_ptr), value :: model
      integer(c_int32_t), value :: index
      type(emagram_budget_description), intent(inout) :: description
      integer(c_int) :: code
    end function emagram_describe_budget

    function emagram_columns_new(model, extent_1, extent_2, identity, columns) result(code) &
      bind(c, name="emagram_columns_new")
      import :: c_int, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: model
      integer(c_int64_t), value :: extent_1
      integer(c_int64_t), value :: extent_2
      type(c_ptr), value :: identity
      type(c_ptr), intent(inout) :: columns
      integer(c_int) :: code
    end function emagram_columns_new

    function emagram_columns_free(columns) result(code) bind(c, name="emagram_columns_free")
      import :: c_int, c_ptr
      implicit none (type, external)
      type(c_ptr), intent(inout) :: columns
      integer(c_int) :: code
    end function emagram_columns_free

    function emagram_bind(columns, name, field) result(code) bind(c, name="emagram_bind")
      import :: c_char, c_int, c_ptr, emagram_field
      implicit none (type, external)
      type(c_ptr), value :: columns
      character(kind=c_char), intent(in) :: name(*)
      type(emagram_field), intent(in) :: field
      integer(c_int) :: code
    end function emagram_bind

    function emagram_step(model, columns, number, dt, step, member) result(code) bind(c, name="emagram_step")
      import :: c_double, c_int, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: model
      type(c_ptr), value :: columns
      integer(c_int64_t), value :: number
      real(c_double), value :: dt
      integer(c_int64_t), value :: step
      integer(c_int64_t), value :: member
      integer(c_int) :: code
    end function emagram_step

    function emagram_begin(model, columns, number, dt, step, member) result(code) bind(c, name="emagram_begin")
      import :: c_double, c_int, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: model
      type(c_ptr), value :: columns
      integer(c_int64_t), value :: number
      real(c_double), value :: dt
      integer(c_int64_t), value :: step
      integer(c_int64_t), value :: member
      integer(c_int) :: code
    end function emagram_begin

    function emagram_finish(columns) result(code) bind(c, name="emagram_finish")
      import :: c_int, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: columns
      integer(c_int) :: code
    end function emagram_finish

    function emagram_status(columns, number, reason) result(code) bind(c, name="emagram_status")
      import :: c_int, c_int32_t, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: columns
      integer(c_int64_t), value :: number
      integer(c_int32_t), intent(out) :: reason(*)
      integer(c_int) :: code
    end function emagram_status

    function emagram_constrain(model, columns, number, dt) result(code) bind(c, name="emagram_constrain")
      import :: c_double, c_int, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: model
      type(c_ptr), value :: columns
      integer(c_int64_t), value :: number
      real(c_double), value :: dt
      integer(c_int) :: code
    end function emagram_constrain

    function emagram_budget(columns, index, number, before, after) result(code) bind(c, name="emagram_budget")
      import :: c_double, c_int, c_int32_t, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: columns
      integer(c_int32_t), value :: index
      integer(c_int64_t), value :: number
      real(c_double), intent(inout) :: before(*)
      real(c_double), intent(inout) :: after(*)
      integer(c_int) :: code
    end function emagram_budget

    function emagram_budget_at(columns, index, stage, number, residual) result(code) bind(c, name="emagram_budget_at")
      import :: c_double, c_int, c_int32_t, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: columns
      integer(c_int32_t), value :: index
      integer(c_int32_t), value :: stage
      integer(c_int64_t), value :: number
      real(c_double), intent(inout) :: residual(*)
      integer(c_int) :: code
    end function emagram_budget_at

    function emagram_unmet(columns, index, number, unmet) result(code) bind(c, name="emagram_unmet")
      import :: c_int, c_int32_t, c_int64_t, c_ptr
      implicit none (type, external)
      type(c_ptr), value :: columns
      integer(c_int32_t), value :: index
      integer(c_int64_t), value :: number
      integer(c_int32_t), intent(inout) :: unmet(*)
      integer(c_int) :: code
    end function emagram_unmet

    function emagram_timers(columns, timing) result(code) bind(c, name="emagram_timers")
      import :: c_int, c_ptr, emagram_timing
      implicit none (type, external)
      type(c_ptr), value :: columns
      type(emagram_timing), intent(inout) :: timing
      integer(c_int) :: code
    end function emagram_timers

    function emagram_set_log(callback, level, user) result(code) bind(c, name="emagram_set_log")
      import :: c_funptr, c_int, c_ptr
      implicit none (type, external)
      type(c_funptr), value :: callback
      integer(c_int), value :: level
      type(c_ptr), value :: user
      integer(c_int) :: code
    end function emagram_set_log

    function emagram_set_parallel_for(parallel_for, user) result(code) bind(c, name="emagram_set_parallel_for")
      import :: c_funptr, c_int, c_ptr
      implicit none (type, external)
      type(c_funptr), value :: parallel_for
      type(c_ptr), value :: user
      integer(c_int) :: code
    end function emagram_set_parallel_for

  end interface

end module emagram_c
