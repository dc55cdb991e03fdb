!> bench_bind MODEL.emg: time the description of every field of a model; writes the number of fields and the
!> microseconds that one round takes (median of 21).
program bench_bind
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use emagram, only: emagram_axis_column_1, emagram_axis_level, emagram_columns, emagram_description, &
    emagram_message_length, emagram_model, emagram_per_column
  use tiny_host, only: must
  implicit none (type, external)

  integer, parameter :: n_column = 64, n_round = 1000, n_repeat = 21
  type(emagram_model) :: model
  type(emagram_columns) :: columns
  type(emagram_description) :: description
  real(real64), allocatable, target :: values(:, :)
  real(real64) :: microseconds(n_repeat)
  character(len=1024) :: path
  character(len=emagram_message_length) :: errmsg
  integer(int64) :: before, after, rate
  integer :: ierr, i, j, r

  call get_command_argument(1, path)
  call model%open(path, ierr=ierr, errmsg=errmsg)
  call must(ierr, errmsg)
  call model%describe(description, ierr, errmsg)
  call must(ierr, errmsg)
  call columns%new(model, n_column, ierr=ierr, errmsg=errmsg)
  call must(ierr, errmsg)
  allocate (values(description%n_level + 1, n_column))
  values = 0
  do r = 1, n_repeat
    call system_clock(before, rate)
    do j = 1, n_round
      do i = 1, size(description%field)
        associate (field => description%field(i))
          if (field%dimension == emagram_per_column) then
            call columns%output(field%name, values(1, :), [emagram_axis_column_1], unit=field%unit, ierr=ierr, &
              errmsg=errmsg)
          else
            call columns%output(field%name, values(:field%size, :), [emagram_axis_level, emagram_axis_column_1], &
              unit=field%unit, ierr=ierr, errmsg=errmsg)
          end if
        end associate
        call must(ierr, errmsg)
      end do
    end do
    call system_clock(after)
    microseconds(r) = real(after - before, real64)/real(rate, real64)*1e6_real64/n_round
  end do
  print "(i0, a, f0.3)", size(description%field), " ", median(microseconds)

contains

  pure function median(values)
    real(real64), intent(in) :: values(:)
    real(real64) :: median
    integer :: i

    do i = 1, size(values)
      median = values(i)
      if (count(values < median) <= size(values)/2 .and. count(values <= median) > size(values)/2) return
    end do
  end function median

end program bench_bind
