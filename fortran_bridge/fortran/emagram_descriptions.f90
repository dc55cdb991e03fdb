!> What a model file says of itself, its fields and its budgets.
module emagram_descriptions
  use, intrinsic :: iso_c_binding, only: c_int32_t, c_ptr, c_sizeof
  use, intrinsic :: iso_fortran_env, only: real64
  use emagram_c, only: c_budget_description => emagram_budget_description, c_description => emagram_description, &
    c_field_description => emagram_field_description, emagram_describe, emagram_describe_budget, &
    emagram_describe_field
  use emagram_report, only: report, text_at
  implicit none (type, external)
  private

  public :: describe_budget, describe_model

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

  !> A column budget: a residual that a constraint closes.
  type, public :: emagram_budget_description
    character(len=:), allocatable :: name
    character(len=:), allocatable :: unit
    character(len=:), allocatable :: constraint !! the name of what closes it
    real(real64) :: tolerance = 0 !! [unit] of |residual| up to which it is met
  end type emagram_budget_description

contains

  subroutine describe_model(model, description, ierr, errmsg)
    type(c_ptr), intent(in) :: model
    type(emagram_description), intent(out) :: description
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(c_description) :: c
    integer :: i

    c%struct_size = c_sizeof(c)
    call report(emagram_describe(model, c), ierr, errmsg)
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
      call describe_field(model, i, description%field(i), ierr, errmsg)
      if (ierr /= 0) return
    end do
  end subroutine describe_model

  subroutine describe_field(model, index, description, ierr, errmsg)
    type(c_ptr), intent(in) :: model
    integer, intent(in) :: index !! from 1
    type(emagram_field_description), intent(inout) :: description
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(c_field_description) :: c

    c%struct_size = c_sizeof(c)
    call report(emagram_describe_field(model, int(index - 1, c_int32_t), c), ierr, errmsg)
    if (ierr /= 0) return
    description%name = text_at(c%name)
    description%unit = text_at(c%unit)
    description%direction = c%direction
    description%dimension = c%dimension
    description%size = c%size
    description%valid_minimum = c%valid_minimum
    description%valid_maximum = c%valid_maximum
  end subroutine describe_field

  !> A budget by its number.
  subroutine describe_budget(model, index, description, ierr, errmsg)
    type(c_ptr), intent(in) :: model
    integer, intent(in) :: index !! from 1 to n_budget
    type(emagram_budget_description), intent(out) :: description
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(c_budget_description) :: c

    c%struct_size = c_sizeof(c)
    call report(emagram_describe_budget(model, int(index - 1, c_int32_t), c), ierr, errmsg)
    if (ierr /= 0) return
    description%name = text_at(c%name)
    description%unit = text_at(c%unit)
    description%constraint = text_at(c%constraint)
    description%tolerance = c%tolerance
  end subroutine describe_budget

end module emagram_descriptions
