!> residuals MODEL.emg: describe, measure and read the budget of the tiny model, and ask for what is not there.
program residuals
  use, intrinsic :: iso_fortran_env, only: int32, real64
  use emagram, only: emagram_budget_description, emagram_columns, emagram_message_length, emagram_model, &
    emagram_stage_after, emagram_stage_before, emagram_stage_predicted, emagram_stage_returned
  use tiny_host, only: bind_plain, dt, fill, host_state, must, n_column, same_bits
  implicit none (type, external)

  type(emagram_model) :: model
  type(emagram_columns) :: columns
  type(emagram_budget_description) :: budget
  type(host_state), target :: closed, measured
  real(real64) :: residual(n_column, 0:3), before(n_column), after(n_column), raw(n_column, 0:3)
  logical :: unmet(n_column)
  character(len=1024) :: path
  character(len=emagram_message_length) :: errmsg
  integer :: ierr

  call get_command_argument(1, path)
  call run(.true., measured, raw)
  call must(ierr, errmsg)
  call columns%unmet(1, unmet, ierr, errmsg)
  print "(2a)", "measured: ", trim(merge("ok   ", "wrong", all(unmet) .and. same_bits(raw(:, 0), raw(:, 3))))
  call run(.false., closed, residual)
  call columns%unmet(1, unmet, ierr, errmsg)
  print "(2a)", "closed: ", trim(merge("ok   ", "wrong", .not. any(unmet) .and. any(abs(closed%heating &
    - measured%heating) > 0) .and. maxval(abs(residual(:, 2))) < 1e-9_real64))
  call columns%budget(1, before, after, ierr, errmsg)
  call must(ierr, errmsg)
  print "(2a)", "every stage: ", trim(merge("ok   ", "wrong", same_bits(residual(:, 0), before) &
    .and. same_bits(residual(:, 3), after) .and. same_bits(residual(:, 0), raw(:, 0)) &
    .and. same_bits(residual(:, 0), residual(:, 1))))
  call model%describe_budget(1, budget, ierr, errmsg)
  call must(ierr, errmsg)
  print "(7a, es7.1e2)", "budget: ", budget%name, "|", budget%unit, "|", budget%constraint, "|", budget%tolerance
  call ask("stage -1", 1, -1)
  call ask("stage 4", 1, 4)
  call ask("budget 0", 0, 2)
  call ask("budget 2", 2, 2)
  call columns%unmet(2, unmet, ierr, errmsg)
  print "(a, i0, 2a)", "unmet 2: ", ierr, " ", trim(errmsg)
  call model%describe_budget(0, budget, ierr, errmsg)
  print "(a, i0, 2a)", "describe 0: ", ierr, " ", trim(errmsg)

contains

  !> Step the plain columns, and read the residuals of every stage.
  subroutine run(measure_only, state, residual)
    logical, intent(in) :: measure_only
    type(host_state), intent(out), target :: state
    real(real64), intent(out) :: residual(n_column, 0:3)
    integer(int32), parameter :: stages(*) = [emagram_stage_predicted, emagram_stage_before, emagram_stage_after, &
      emagram_stage_returned]
    integer :: i

    call model%open(path, measure_only=measure_only, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call columns%new(model, n_column, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    call fill(state)
    call bind_plain(columns, state)
    call model%step(columns, n_column, dt, 1, ierr=ierr, errmsg=errmsg)
    call must(ierr, errmsg)
    do i = 1, size(stages)
      call columns%budget_at(1, stages(i), residual(:, i - 1), ierr, errmsg)
      call must(ierr, errmsg)
    end do
  end subroutine run

  subroutine ask(name, index, stage)
    character(len=*), intent(in) :: name
    integer, intent(in) :: index
    integer(int32), intent(in) :: stage
    real(real64) :: found(n_column)

    call columns%budget_at(index, stage, found, ierr, errmsg)
    print "(2a, i0, 2a)", name, ": ", ierr, " ", trim(errmsg)
  end subroutine ask

end program residuals
