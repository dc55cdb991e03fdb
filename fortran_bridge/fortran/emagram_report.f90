!> What every call of module emagram ends with: the code of the C function and its sentence.
module emagram_report
  use, intrinsic :: iso_c_binding, only: c_associated, c_char, c_f_pointer, c_int, c_int64_t, c_ptr, c_size_t
  use emagram_c, only: emagram_last_error, emagram_ok
  implicit none (type, external)
  private

  public :: decimal, fail, quoted, report, text_at

  interface
    pure function c_strlen(text) result(length) bind(c, name="strlen")
      import :: c_ptr, c_size_t
      implicit none (type, external)
      type(c_ptr), value, intent(in) :: text
      integer(c_size_t) :: length
    end function c_strlen
  end interface

contains

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

end module emagram_report
