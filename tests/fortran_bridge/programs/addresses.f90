!> addresses: what set_layout says of sections of rank 1 to 4 is where they lie in the host's own array: no copy.
!> Writes one line a check: "NAME: ok" or "NAME: wrong".
program addresses
  use, intrinsic :: iso_c_binding, only: c_associated, c_int64_t, c_loc
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use emagram_c, only: emagram_field, emagram_real32, emagram_real64
  use emagram_layout, only: set_layout
  implicit none (type, external)

  real(real64), target :: a(-1:8, 0:5, 7, 2)
  real(real32), allocatable, target :: b(:, :)
  type(emagram_field) :: field

  call set_layout(field, a(1:6, 2, 3, 1))
  call check("rank 1", c_associated(field%data, c_loc(a(1, 2, 3, 1))), [6], [8])
  call set_layout(field, a(1:6:2, 5:1:-1, 3, 2))
  call check("rank 2", c_associated(field%data, c_loc(a(1, 5, 3, 2))), [3, 5], [16, -80])
  call set_layout(field, a(1:6, 1:4, 7:1:-1, 2))
  call check("rank 3", c_associated(field%data, c_loc(a(1, 1, 7, 2))), [6, 4, 7], [8, 80, -480])
  call set_layout(field, a(:, 1:4, :, 2:1:-1))
  call check("rank 4", c_associated(field%data, c_loc(a(-1, 1, 1, 2))), [10, 4, 7, 2], [8, 80, 480, -3360])
  call set_layout(field, a(4, 1:4, :, 1))
  call check("inner element", c_associated(field%data, c_loc(a(4, 1, 1, 1))), [4, 7], [80, 480])
  call set_layout(field, a(1:6, 2:2, :, 1))
  call check("extent 1", c_associated(field%data, c_loc(a(1, 2, 1, 1))), [6, 1, 7], [8, 0, 480])
  call set_layout(field, a(1:0, 1:4, :, 1))
  call check("extent 0", c_associated(field%data), [0, 4, 7], [0, 0, 0])
  call check("real64", field%dtype == emagram_real64, [0, 4, 7], [0, 0, 0])
  allocate (b(4, 6))
  call set_layout(field, b(:, 6:1:-1))
  call check("allocatable", c_associated(field%data, c_loc(b(1, 6))), [4, 6], [4, -16])
  call check("real32", field%dtype == emagram_real32, [4, 6], [4, -16])

contains

  subroutine check(name, same_place, extents, strides)
    character(len=*), intent(in) :: name
    logical, intent(in) :: same_place
    integer, intent(in) :: extents(:)
    integer, intent(in) :: strides(:) !! [bytes]
    logical :: right
    integer :: n

    n = size(extents)
    right = same_place .and. field%n_axis == n
    if (right) right = all(field%axis(:n)%extent == int(extents, c_int64_t)) .and. &
      all(field%axis(:n)%stride == int(strides, c_int64_t))
    print "(3a)", name, ": ", trim(merge("ok   ", "wrong", right))
  end subroutine check

end program addresses
