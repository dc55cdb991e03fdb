!> Where the time of a rank goes: one running clock whose laps are added to the part of the step that just ended.
module host_timers
  use, intrinsic :: iso_fortran_env, only: int64
  use emagram_kinds, only: rk
  use host_parallel, only: agree, largest, this_rank
  implicit none (type, external)
  private
  public :: write_timers

  integer, parameter, public :: time_of_forcing = 1, time_of_surface = 2, time_of_sun = 3, time_of_longwave = 4, &
    time_of_shortwave = 5, time_of_boundary_layer = 6, time_of_convection = 7, time_of_microphysics = 8, &
    time_of_budgets = 9, time_of_bookkeeping = 10, time_of_files = 11, time_of_emulator = 12, time_of_constraints = 13
  integer, parameter, public :: n_timer = 13
  character(len=14), parameter, public :: timer_names(n_timer) = [character(len=14) :: "forcing", "surface", "sun", &
    "longwave", "shortwave", "boundary_layer", "convection", "microphysics", "budgets", "bookkeeping", "files", &
    "emulator", "constraints"]

  character(len=14), parameter :: line_names(n_timer + 1) = [timer_names, "all           "]

  type, public :: timers
    integer(int64) :: last = 0
    integer(int64) :: ticks(n_timer) = 0
  contains
    procedure :: start, is_running, lap, seconds
  end type timers

contains

  subroutine start(self)
    class(timers), intent(inout) :: self
    call system_clock(self%last)
  end subroutine start

  pure function is_running(self) result(it_is)
    class(timers), intent(in) :: self
    logical :: it_is
    it_is = self%last /= 0
  end function is_running

  !> The time since the last lap belongs to this part.
  subroutine lap(self, part)
    class(timers), intent(inout) :: self
    integer, intent(in) :: part
    integer(int64) :: now
    call system_clock(now)
    self%ticks(part) = self%ticks(part) + now - self%last
    self%last = now
  end subroutine lap

  function seconds(self) result(values)
    class(timers), intent(in) :: self
    real(rk) :: values(n_timer) !! [s]
    integer(int64) :: rate
    call system_clock(count_rate=rate)
    values = real(self%ticks, rk)/real(rate, rk)
  end function seconds

  !> timers.csv: seconds of the slowest rank in every part, and all of a run's column-steps; collective.
  !! An error that there is already stays.
  subroutine write_timers(path, timer, column_steps, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(timers), intent(in) :: timer
    integer(int64), intent(in) :: column_steps !! of all ranks
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: values(n_timer + 1, 1)
    character(len=256) :: reason
    integer :: unit, status, i
    values(:n_timer, 1) = timer%seconds()
    values(n_timer + 1, 1) = sum(values(:n_timer, 1))
    call largest(values)
    if (this_rank() == 0) then
      open (newunit=unit, file=path, status="replace", action="write", iostat=status, iomsg=reason)
      if (status == 0) write (unit, "(a)", iostat=status, iomsg=reason) "part,seconds,column_steps"
      do i = 1, n_timer + 1
        if (status == 0) write (unit, "(2a, f0.6, a, i0)", iostat=status, iomsg=reason) trim(line_names(i)), ",", &
          values(i, 1), ",", column_steps
      end do
      if (status == 0) close (unit, iostat=status, iomsg=reason)
      if (status /= 0 .and. ierr == 0) then
        ierr = 1
        errmsg = "file '"//path//"': "//trim(reason)
      end if
    end if
    call agree(ierr, errmsg)
  end subroutine write_timers
end module host_timers
