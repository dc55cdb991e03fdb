!> How a Fortran array lies in memory: the address of its first element and the byte stride along each axis,
!> measured between neighbouring elements. No compiler's array descriptor is read, no section is copied.
module emagram_layout
  use, intrinsic :: iso_c_binding, only: c_int64_t, c_intptr_t, c_loc
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use emagram_c, only: emagram_field, real32_type => emagram_real32, real64_type => emagram_real64
  implicit none (type, external)
  private

  public :: set_layout

  !> call set_layout(field, array): set data, dtype, n_axis and the extents and strides of `field`.
  !> A rank above 4 leaves n_axis = 0.
  interface set_layout
    module procedure set_layout_real32, set_layout_real64
  end interface set_layout

  !> What an array without elements points at: nothing is read there.
  real(real64), target :: nothing = 0

contains

  subroutine set_layout_real32(field, array)
    type(emagram_field), intent(inout) :: field
    real(real32), intent(in), target :: array(..)

    field%dtype = real32_type
    include "emagram_layout.inc"
  end subroutine set_layout_real32

  subroutine set_layout_real64(field, array)
    type(emagram_field), intent(inout) :: field
    real(real64), intent(in), target :: array(..)

    field%dtype = real64_type
    include "emagram_layout.inc"
  end subroutine set_layout_real64

  function address(element)
    type(*), intent(in), target :: element
    integer(c_intptr_t) :: address
    address = transfer(c_loc(element), address)
  end function address

end module emagram_layout
