!> What the library says of rejected columns and unmet budgets, kept until the end of the day: each kind of event once,
!! with its count and with the first that the library said of it, so that a log of a long run can be read.
module host_log
  use, intrinsic :: iso_c_binding, only: c_char, c_f_pointer, c_funloc, c_int, c_loc, c_null_char, c_ptr
  use, intrinsic :: iso_fortran_env, only: int64, output_unit
  use emagram_c, only: emagram_log_warning, emagram_set_log
  use host_clock, only: clock
  use host_fields, only: name_length
  use host_parallel, only: add_up, agree, this_rank
  implicit none (type, external)
  private

  integer, parameter :: message_length = 512, most_messages = 32

  !> What the library said in its present call.
  type :: messages
    integer :: number = 0
    character(len=message_length) :: text(most_messages) = ""
  end type messages

  !> Events of a day, of this rank.
  type, public :: event_log
    type(messages) :: said
    character(len=name_length), allocatable :: name(:) !! of each kind
    integer(int64), allocatable :: number(:) !! columns and steps
    character(len=message_length), allocatable :: first(:) !! what the library said first
  contains
    procedure :: listen, forget_messages, note, write_day
  end type event_log

contains

  !> Have the library's warnings kept here, in a variable that must stay where it is.
  subroutine listen(self, names, ierr, errmsg)
    class(event_log), intent(inout), target :: self
    character(len=*), intent(in) :: names(:) !! of the kinds of events
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    self%name = names
    allocate (self%number(size(names)), source=0_int64)
    allocate (self%first(size(names)))
    self%first = ""
    ierr = emagram_set_log(c_funloc(keep), emagram_log_warning, c_loc(self%said))
    if (ierr /= 0) errmsg = "log: the library cannot be listened to"
  end subroutine listen

  !> The callback; what is more than there is room for is not kept.
  subroutine keep(level, message, user) bind(c)
    integer(c_int), value :: level
    character(kind=c_char), intent(in) :: message(*)
    type(c_ptr), value :: user
    type(messages), pointer :: said
    integer :: i
    if (level > emagram_log_warning) return
    call c_f_pointer(user, said)
    if (said%number == most_messages) return
    said%number = said%number + 1
    said%text(said%number) = ""
    do i = 1, message_length
      if (message(i) == c_null_char) return
      said%text(said%number) (i:i) = message(i)
    end do
  end subroutine keep

  subroutine forget_messages(self)
    class(event_log), intent(inout) :: self
    self%said%number = 0
  end subroutine forget_messages

  !> Count events of a kind; the first message since forget_messages that contains `key` is of them.
  subroutine note(self, kind, number, key)
    class(event_log), intent(inout) :: self
    integer, intent(in) :: kind, number
    character(len=*), intent(in) :: key !! blank where no message is of them
    integer :: i
    if (number == 0) return
    self%number(kind) = self%number(kind) + number
    if (self%first(kind) /= "" .or. key == "") return
    do i = 1, self%said%number
      if (index(self%said%text(i), key) == 0) cycle
      self%first(kind) = self%said%text(i)
      return
    end do
  end subroutine note

  !> A line of each kind that there was on the day that ends, of all ranks, and a new day; collective.
  subroutine write_day(self, now)
    class(event_log), intent(inout) :: self
    type(clock), intent(in) :: now
    character(len=message_length) :: first
    integer :: i, has
    if (.not. allocated(self%number)) return
    call add_up(self%number)
    do i = 1, size(self%number)
      if (self%number(i) == 0) cycle
      first = self%first(i)
      has = merge(1, 0, first /= "")
      call agree(has, first) ! what the lowest rank heard that heard anything
      if (this_rank() == 0) write (output_unit, "(a, i0, a, i0, 3a)") "log: in day ", now%day(), ", ", self%number(i), &
        " columns and steps: ", trim(self%name(i)), trim(merge("; first ", "        ", has /= 0)//first)
    end do
    self%number = 0
    self%first = ""
  end subroutine write_day
end module host_log
