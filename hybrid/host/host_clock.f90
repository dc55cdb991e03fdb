!> Time of the host: a number of steps since the start, and the date it stands for in a calendar without leap years.
module host_clock
  use, intrinsic :: iso_fortran_env, only: int64
  use emagram_kinds, only: rk
  implicit none (type, external)
  private

  integer, parameter, public :: seconds_per_day = 86400
  integer, parameter, public :: days_per_year = 365
  integer, parameter :: month_end(12) = [31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365]

  !> The steps of a run; everything that depends on time is computed from `step`, so a restart needs nothing else.
  type, public :: clock
    integer :: time_step = 1200 !! [s], divides a day
    integer :: start_year = 1
    integer :: start_day = 0 !! [day] of the year, 0 for the first of January
    integer(int64) :: step = 0 !! steps done
  contains
    procedure :: steps_per_day, day, day_of_year, second_of_day, seconds, ymd, date
  end type clock

contains

  pure function steps_per_day(self) result(n)
    class(clock), intent(in) :: self
    integer :: n
    n = seconds_per_day/self%time_step
  end function steps_per_day

  !> Whole days since the start.
  pure function day(self) result(n)
    class(clock), intent(in) :: self
    integer :: n
    n = int(self%step/self%steps_per_day())
  end function day

  !> Seconds since the start.
  pure function seconds(self) result(time)
    class(clock), intent(in) :: self
    real(rk) :: time !! [s]
    time = real(self%step*self%time_step, rk)
  end function seconds

  !> Fractional days since the first of January of the present year.
  pure function day_of_year(self) result(days)
    class(clock), intent(in) :: self
    real(rk) :: days !! [day]
    days = real(modulo(self%start_day + self%day(), days_per_year), rk) &
      + real(self%second_of_day(), rk)/seconds_per_day
  end function day_of_year

  !> Seconds since midnight.
  pure function second_of_day(self) result(second)
    class(clock), intent(in) :: self
    integer :: second !! [s]
    second = int(modulo(self%step, int(self%steps_per_day(), int64)))*self%time_step
  end function second_of_day

  !> The date as the number YYYYMMDD.
  pure function ymd(self) result(number)
    class(clock), intent(in) :: self
    integer :: number
    integer :: day_in_run, in_year, month
    day_in_run = self%start_day + self%day()
    in_year = modulo(day_in_run, days_per_year)
    month = count(month_end <= in_year) + 1
    if (month > 1) in_year = in_year - month_end(month - 1)
    number = 10000*(self%start_year + day_in_run/days_per_year) + 100*month + in_year + 1
  end function ymd

  !> YYYY-MM-DD-SSSSS of the present time, as in ClimSim's file names.
  pure function date(self) result(text)
    class(clock), intent(in) :: self
    character(len=16) :: text
    integer :: number
    number = self%ymd()
    write (text, "(i4.4, '-', i2.2, '-', i2.2, '-', i5.5)") number/10000, modulo(number/100, 100), &
      modulo(number, 100), self%second_of_day()
  end function date
end module host_clock
