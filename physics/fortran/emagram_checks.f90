!> Checks of arguments, in one sentence: what the front ends of the column physics begin with.
!!
!! The first error wins: every check returns at once where ierr is set already.
module emagram_checks
  use, intrinsic :: ieee_arithmetic, only: ieee_is_finite
  use emagram_kinds, only: rk
  implicit none (type, external)
  private
  public :: begin_checks, check_shape, check_finite, check_above_zero, check_range, check_interfaces

  interface check_shape
    module procedure check_size, check_shape_2
  end interface check_shape

  interface check_finite
    module procedure check_finite_1, check_finite_2
  end interface check_finite

  interface check_above_zero
    module procedure check_above_zero_1, check_above_zero_2
  end interface check_above_zero

  interface check_range
    module procedure check_range_0, check_range_1, check_range_2
  end interface check_range

contains

  subroutine begin_checks(ierr, errmsg)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    ierr = 0
    errmsg = ""
  end subroutine begin_checks

  !> A vector has its size.
  subroutine check_size(name, got, expected, ierr, errmsg)
    character(len=*), intent(in) :: name
    integer, intent(in) :: got, expected
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0 .or. got == expected) return
    ierr = 1
    write (errmsg, "(3a, i0, a, i0)") "argument '", name, "': expected size ", expected, ", got ", got
  end subroutine check_size

  !> An array has its shape; (n_level, n_column) in Fortran is (n_column, n_level) in Python.
  subroutine check_shape_2(name, got, expected, ierr, errmsg)
    character(len=*), intent(in) :: name
    integer, intent(in) :: got(2), expected(2)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0 .or. all(got == expected)) return
    ierr = 1
    write (errmsg, "(3a, 3(i0, a), i0, a)") "argument '", name, "': expected ", expected(1), " values in each of ", &
      expected(2), " columns, got ", got(1), " in each of ", got(2), " columns"
  end subroutine check_shape_2

  subroutine check_finite_1(name, values, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (all(ieee_is_finite(values))) return
    ierr = 1
    write (errmsg, "(3a)") "argument '", name, "': expected finite values, got NaN or infinity"
  end subroutine check_finite_1

  subroutine check_finite_2(name, values, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:, :)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    do i = 1, size(values, 2)
      call check_finite_1(name, values(:, i), ierr, errmsg)
    end do
  end subroutine check_finite_2

  subroutine check_above_zero_1(name, values, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call check_finite_1(name, values, ierr, errmsg)
    if (ierr /= 0) return
    if (all(values > 0.0_rk)) return
    ierr = 1
    write (errmsg, "(3a, es12.4)") "argument '", name, "': expected values above 0, got ", minval(values)
  end subroutine check_above_zero_1

  subroutine check_above_zero_2(name, values, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:, :)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    do i = 1, size(values, 2)
      call check_above_zero_1(name, values(:, i), ierr, errmsg)
    end do
  end subroutine check_above_zero_2

  subroutine check_range_0(name, value, smallest, largest, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: value, smallest, largest
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call check_range_1(name, [value], smallest, largest, ierr, errmsg)
  end subroutine check_range_0

  subroutine check_range_1(name, values, smallest, largest, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:), smallest, largest
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: outside
    call check_finite_1(name, values, ierr, errmsg)
    if (ierr /= 0) return
    if (all(values >= smallest .and. values <= largest)) return
    outside = minval(values)
    if (outside >= smallest) outside = maxval(values)
    ierr = 1
    write (errmsg, "(3a, 3(es12.4, a))") "argument '", name, "': expected values from", smallest, " to", largest, &
      ", got", outside, ""
  end subroutine check_range_1

  subroutine check_range_2(name, values, smallest, largest, ierr, errmsg)
    character(len=*), intent(in) :: name
    real(rk), intent(in) :: values(:, :), smallest, largest
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    do i = 1, size(values, 2)
      call check_range_1(name, values(:, i), smallest, largest, ierr, errmsg)
    end do
  end subroutine check_range_2

  !> Interface pressures begin at or above 0 and increase downwards; there is at least one layer.
  subroutine check_interfaces(pressure, ierr, errmsg)
    real(rk), intent(in) :: pressure(:, :) !! [Pa] (n_level + 1, n_column)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i, n
    call check_finite_2("air_pressure_at_interface", pressure, ierr, errmsg)
    if (ierr /= 0) return
    n = size(pressure, 1)
    if (n < 2) then
      ierr = 1
      write (errmsg, "(a, i0)") "argument 'air_pressure_at_interface': expected at least 2 interfaces, got ", n
      return
    end if
    do i = 1, size(pressure, 2)
      if (pressure(1, i) >= 0.0_rk .and. all(pressure(2:, i) > pressure(:n - 1, i))) cycle
      ierr = 1
      errmsg = "argument 'air_pressure_at_interface': expected values that increase from the model top, got others"
      return
    end do
  end subroutine check_interfaces
end module emagram_checks
