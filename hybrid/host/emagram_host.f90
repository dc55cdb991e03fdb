!> mpirun -n 4 emagram-host CASE.nml
!>
!> Step columns of atmosphere, each by itself, through large-scale forcing, surface exchange and column physics. What
!> the run reads and writes lies in the folder of CASE.nml: initial.nc and restart.nc (continued from where it is
!> there); restart.nc, history.nc, budgets.csv, timers.csv and columns/ (recorded columns). Neither the number of
!> ranks nor a restart changes a bit of what is computed. `emagram run CASE.toml` prepares such a folder.
program emagram_host
  use, intrinsic :: iso_fortran_env, only: error_unit, int64, output_unit
  use emagram_kinds, only: rk
  use host_budgets, only: begin_budgets, take_dawn_totals, write_budgets
  use host_clock, only: clock
  use host_columns, only: check_state, rank_columns
  use host_emulator, only: rank_emulator
  use host_forcing, only: check_courant_number
  use host_history, only: write_history
  use host_noise, only: is_noisy
  use host_parallel, only: agree, broadcast, largest, this_rank
  use host_record, only: record_columns
  use host_restart, only: read_initial, read_restart, write_restart
  use host_settings, only: read_settings, run_settings
  use host_step, only: step_block
  use host_stop, only: remove_stop, write_stop
  use host_timers, only: time_of_files, timers, write_timers
  use mpi_f08, only: MPI_Finalize, MPI_Init
  implicit none (type, external)

  character(len=1024) :: path, errmsg
  character(len=:), allocatable :: folder
  type(run_settings) :: settings
  type(rank_columns), target :: columns
  type(rank_emulator), target :: emulator
  type(clock) :: now
  type(timers) :: timer
  type(clock), allocatable :: stop_time !! the begin of the step that failed on this rank
  integer(int64) :: steps_done
  integer :: ierr

  call MPI_Init()
  ierr = 0
  steps_done = 0
  errmsg = ""
  work: block
    call find_folder(path, folder, ierr, errmsg)
    if (ierr /= 0) exit work
    call read_settings(trim(path), settings, ierr, errmsg)
    if (ierr /= 0) exit work
    call begin_run(ierr, errmsg)
    if (ierr /= 0) exit work
    steps_done = -now%step
    call timer%start()
    do while (now%day() < settings%host%days)
      call step_day(ierr, errmsg)
      if (ierr /= 0) exit work
      call end_day(ierr, errmsg)
      if (ierr /= 0) exit work
    end do
  end block work
  if (timer%is_running()) call write_timers(folder//"/timers.csv", timer, &
    columns%share%n_column*(steps_done + now%step), ierr, errmsg)
  if (this_rank() == 0 .and. ierr /= 0) write (error_unit, "(2a)") "emagram-host: ", trim(errmsg)
  call MPI_Finalize()
  if (ierr /= 0) stop 1, quiet=.true.

contains

  !> The argument and the folder it lies in.
  subroutine find_folder(path, folder, ierr, errmsg)
    character(len=*), intent(out) :: path
    character(len=:), allocatable, intent(out) :: folder
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    path = ""
    if (command_argument_count() == 1) call get_command_argument(1, path)
    if (path == "") then
      ierr = 1
      errmsg = "expected one argument, CASE.nml"
    end if
    folder = "."
    if (index(path, "/") > 0) folder = path(:index(path, "/", back=.true.) - 1)
    if (folder == "") folder = "/"
  end subroutine find_folder

  !> Columns and time from the initial file, or from the restart file where there is one.
  subroutine begin_run(ierr, errmsg)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=:), allocatable :: restart
    logical :: is_there
    integer :: i
    restart = folder//"/restart.nc"
    call read_initial(folder//"/initial.nc", settings%host%chunk, columns, ierr, errmsg)
    if (ierr /= 0) return
    now = clock(settings%host%time_step, settings%host%start_year, settings%host%start_day)
    inquire (file=restart, exist=is_there)
    call broadcast(is_there)
    if (is_there) call read_restart(restart, columns, now, ierr, errmsg)
    do i = 1, size(columns%block)
      call check_state(columns%block(i), "", "in the beginning", ierr, errmsg)
      call check_courant_number(columns%block(i), settings%forcing, real(now%time_step, rk), ierr, errmsg)
      call take_dawn_totals(columns%block(i))
    end do
    call agree(ierr, errmsg)
    call emulator%open(folder//"/model.emg", settings%physics, columns, now%time_step, ierr, errmsg)
    if (ierr == 0) call remove_stop(folder)
    if (ierr == 0) call begin_budgets(folder//"/budgets.csv", emulator%budget, now, ierr, errmsg)
  end subroutine begin_run

  !> The steps of a day. A rank whose columns fail waits for the others where they next meet.
  subroutine step_day(ierr, errmsg)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(clock) :: begin
    type(rank_columns), allocatable :: noisy
    integer :: i, step
    do step = 1, now%steps_per_day()
      begin = now
      if (allocated(noisy)) deallocate (noisy)
      if (is_recorded(begin) .and. is_noisy(settings%host)) allocate (noisy, source=columns)
      do i = 1, size(columns%block)
        call step_block(columns, noisy, emulator, i, settings, begin, timer, ierr, errmsg)
        if (ierr /= 0 .and. .not. allocated(stop_time)) stop_time = begin
      end do
      now%step = now%step + 1
      if (.not. is_recorded(begin)) cycle
      call agree_on_state(ierr, errmsg)
      if (ierr /= 0) return
      if (allocated(noisy)) then
        call record_columns(noisy, begin, folder//"/columns", ierr, errmsg)
      else
        call record_columns(columns, begin, folder//"/columns", ierr, errmsg)
      end if
      if (ierr /= 0) return
      call timer%lap(time_of_files)
    end do
    call agree_on_state(ierr, errmsg)
  end subroutine step_day

  !> Agree on the earliest error, of the lowest rank where there are several, which leaves word of it in stopped.json if
  !! a state was out of bounds.
  subroutine agree_on_state(ierr, errmsg)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=len(errmsg)) :: mine
    real(rk) :: earliest(1, 1) !! step, negative: what is largest is the earliest
    integer :: i
    earliest = -huge(earliest)
    if (allocated(stop_time)) earliest = -real(stop_time%step, rk)
    call largest(earliest)
    if (allocated(stop_time)) then
      if (-real(stop_time%step, rk) < earliest(1, 1)) ierr = 0 ! others were earlier
    end if
    mine = ""
    if (ierr /= 0) mine = errmsg
    call agree(ierr, errmsg)
    if (ierr == 0 .or. mine /= errmsg .or. .not. allocated(stop_time)) return
    do i = 1, size(columns%block)
      if (columns%block(i)%fault%is_there) call write_stop(folder, columns%block(i)%fault, stop_time)
      if (columns%block(i)%fault%is_there) return
    end do
  end subroutine agree_on_state

  pure function is_recorded(begin) result(it_is)
    type(clock), intent(in) :: begin
    logical :: it_is
    integer :: stride
    it_is = .false.
    associate (host => settings%host)
      stride = host%record_steps
      if (stride == 0) return
      if (begin%day() < host%record_from .or. begin%day() >= host%record_to) return
      if (begin%step < host%record_offset) return
      it_is = modulo(begin%step - host%record_offset, int(stride, kind(begin%step))) == 0
    end associate
  end function is_recorded

  !> What is due at the end of a day.
  subroutine end_day(ierr, errmsg)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    logical :: is_last
    associate (host => settings%host)
      is_last = now%day() == host%days
      call write_budgets(folder//"/budgets.csv", columns, emulator, now, ierr, errmsg)
      call emulator%events%write_day(now)
      if (ierr == 0 .and. modulo(now%day(), host%history_days) == 0) then
        call write_history(folder//"/history.nc", columns, emulator, now, host%history_days, ierr, errmsg)
      end if
      if (ierr == 0 .and. (is_last .or. modulo(now%day(), host%restart_days) == 0)) then
        call write_restart(folder//"/restart.nc", columns, now, ierr, errmsg)
      end if
      if (this_rank() == 0 .and. ierr == 0) then
        write (output_unit, "(a, i0, a, i0)") "day ", now%day(), " of ", host%days
        flush (output_unit)
      end if
    end associate
    call timer%lap(time_of_files)
  end subroutine end_day
end program emagram_host
