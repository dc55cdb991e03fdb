!> stopped.json: when, where and by which variable a run left physical bounds.
module host_stop
  use host_clock, only: clock, seconds_per_day
  use host_columns, only: state_fault
  use host_files, only: remove_file, rename_file
  use host_parallel, only: this_rank
  implicit none (type, external)
  private
  public :: remove_stop, write_stop

contains

  !> The run goes on: on rank 0, what an earlier one left.
  subroutine remove_stop(folder)
    character(len=*), intent(in) :: folder
    if (this_rank() == 0) call remove_file(folder//"/stopped.json")
  end subroutine remove_stop

  !> Where this fails the sentence of the error still says it all.
  subroutine write_stop(folder, fault, begin)
    character(len=*), intent(in) :: folder
    type(state_fault), intent(in) :: fault
    type(clock), intent(in) :: begin !! of the step
    character(len=:), allocatable :: path
    character(len=256) :: reason
    character(len=8) :: level
    integer :: unit, status, ierr
    path = folder//"/stopped.json"
    level = "null"
    if (fault%level >= 0) write (level, "(i0)") fault%level
    open (newunit=unit, file=path//".part", status="replace", action="write", iostat=status, iomsg=reason)
    if (status /= 0) return
    write (unit, "(a, es23.15e3, 5a, i0, 2(a, es23.15e3), 5a, 3(a, a), a)", iostat=status) &
      '{"day": ', begin%seconds()/seconds_per_day, ', "date": "', begin%date(), '", "after": "', trim(fault%after), &
      '", "column": ', fault%column, ', "latitude": ', fault%latitude, ', "longitude": ', fault%longitude, &
      ', "level": ', trim(level), ', "variable": "', trim(fault%variable), '"', ', "value": ', number(fault%value), &
      ', "minimum": ', number(fault%smallest), ', "maximum": ', number(fault%greatest), "}"
    close (unit, iostat=ierr)
    if (status == 0 .and. ierr == 0) call rename_file(path//".part", path, ierr, reason)
    if (status /= 0 .or. ierr /= 0) call remove_file(path//".part")
  end subroutine write_stop

  !> As JSON has it, which knows no number that is not finite.
  pure function number(value) result(text)
    use, intrinsic :: ieee_arithmetic, only: ieee_is_finite
    use emagram_kinds, only: rk
    real(rk), intent(in) :: value
    character(len=24) :: text
    text = "null"
    if (ieee_is_finite(value)) write (text, "(es23.15e3)") value
  end function number
end module host_stop
