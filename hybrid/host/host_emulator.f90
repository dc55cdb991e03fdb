!> The emulator of a run: a model file opened once on all ranks, asked and closed block by block.
!!
!! What the library says of rejected columns and unmet budgets is kept for the log, see host_log, and what the
!! constraints had to do for budgets and history, see host_ledger.
module host_emulator
  use, intrinsic :: iso_fortran_env, only: int32
  use emagram, only: emagram_budget_description, emagram_column_extrapolated, emagram_column_invalid_input, &
    emagram_column_level_order, emagram_column_non_finite_input, emagram_column_non_finite_output, &
    emagram_column_rejected, emagram_description, emagram_message_length, emagram_model, emagram_policy_clip, &
    emagram_policy_error, emagram_policy_mask
  use emagram_constants, only: latent_heat_vaporization
  use emagram_kinds, only: rk
  use emagram_mpi, only: emagram_open_mpi
  use host_binding, only: bind_block, check_outputs, emulated_block, given_outputs
  use host_clock, only: clock
  use host_columns, only: column_block, rank_columns
  use host_fields, only: emulator_extrapolated, emulator_rejected, evaporation, field_name, name_length
  use host_ledger, only: list_budgets
  use host_log, only: event_log
  use host_parallel, only: agree
  use host_settings, only: physics_settings, taken_names
  use mpi_f08, only: MPI_COMM_WORLD
  implicit none (type, external)
  private

  !> Kinds of events: why columns were rejected, the last by the case and not by the library; then unmet budgets.
  integer(int32), parameter :: reasons(*) = [emagram_column_non_finite_input, emagram_column_invalid_input, &
    emagram_column_level_order, emagram_column_non_finite_output]
  character(len=name_length), parameter :: rejections(*) = [character(len=name_length) :: &
    "rejected, non_finite_input", "rejected, invalid_input", "rejected, level_order", "rejected, non_finite_output", &
    "rejected, outside the training range"]

  !> The model and its blocks.
  type, public :: rank_emulator
    logical :: is_on = .false. !! or the run is conventional throughout
    type(emagram_model) :: model
    type(physics_settings) :: settings
    type(field_name), allocatable :: budget(:) !! of the model, names as in files
    character(len=name_length), allocatable :: unmet_key(:) !! what messages of the library on each begin with
    type(emulated_block), allocatable :: block(:)
    type(column_block) :: scratch !! for what the host's own physics would do
    type(event_log) :: events
  contains
    procedure :: open => open_emulator
    procedure :: predict, constrain, takes_all
  end type rank_emulator

contains

  !> Open the model file and bind its fields to the blocks, which must stay where they are; collective.
  subroutine open_emulator(self, path, settings, columns, time_step, ierr, errmsg)
    class(rank_emulator), intent(inout), target :: self
    character(len=*), intent(in) :: path !! of the model file
    type(physics_settings), intent(in) :: settings
    type(rank_columns), intent(inout), target :: columns
    integer, intent(in) :: time_step !! [s]
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(emagram_description) :: model
    type(given_outputs) :: gives
    integer :: i
    if (ierr /= 0 .or. settings%source == "conventional") return
    self%settings = settings
    call emagram_open_mpi(self%model, path, MPI_COMM_WORLD, policy=policy_of(settings%on_invalid), &
      defer_constraints=.true., extrapolation_margin=settings%extrapolation_margin, &
      measure_only=settings%constraints == "measure", ierr=ierr, errmsg=errmsg)
    if (ierr == 0) call self%model%describe(model, ierr, errmsg)
    if (ierr == 0) call check_model(path, model, settings, columns%n_level, time_step, ierr, errmsg)
    if (ierr == 0) call list_budgets(self%model, model%n_budget, self%budget, ierr, errmsg)
    if (ierr == 0) call list_keys(self%model, model%n_budget, self%unmet_key, ierr, errmsg)
    allocate (self%block(size(columns%block)))
    do i = 1, size(columns%block)
      if (ierr /= 0) exit
      call bind_block(self%model, model%field, self%block(i), columns%block(i), gives, ierr, errmsg)
      call self%block(i)%ledger%make(size(self%budget), columns%block(i)%n_column)
      if (settings%constraints == "measure") columns%block(i)%largest_filling = huge(1.0_rk)
    end do
    if (ierr == 0 .and. size(columns%block) > 0) call check_outputs(gives, settings, ierr, errmsg)
    if (ierr == 0) call self%events%listen([character(len=name_length) :: rejections, &
      (unmet_kind(self%budget(i)%name), i=1, size(self%budget))], ierr, errmsg)
    call agree(ierr, errmsg)
    self%is_on = ierr == 0
  end subroutine open_emulator

  pure function policy_of(on_invalid) result(policy)
    character(len=*), intent(in) :: on_invalid
    integer(int32) :: policy
    policy = emagram_policy_mask
    if (on_invalid == "clip") policy = emagram_policy_clip
    if (on_invalid == "error") policy = emagram_policy_error
  end function policy_of

  !> The file that the run began with, for these levels and this time step.
  subroutine check_model(path, model, settings, n_level, time_step, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(emagram_description), intent(in) :: model
    type(physics_settings), intent(in) :: settings
    integer, intent(in) :: n_level, time_step
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (settings%model_sha256 /= "" .and. settings%model_sha256 /= model%sha256) then
      ierr = 1
      errmsg = "model file '"//path//"': expected the one that the run began with (SHA-256 "// &
        settings%model_sha256(:12)//"), got another ("//model%sha256(:12)//")"
    else if (model%n_level /= n_level) then
      ierr = 1
      write (errmsg, "(3a, i0, a, i0)") "model file '", path, "': expected a model of ", n_level, " levels, got ", &
        model%n_level
    else if (model%time_step > 0.0_rk .and. abs(model%time_step - time_step) > 0.0_rk) then
      ierr = 1
      write (errmsg, "(3a, i0, a, f0.1, a)") "model file '", path, "': expected a model of a time step of ", &
        time_step, " s, got ", model%time_step, " s"
    end if
  end subroutine check_model

  !> Whether nothing of the host's own physics is needed where a column is not rejected.
  pure function takes_all(self) result(it_does)
    class(rank_emulator), intent(in) :: self
    logical :: it_does
    integer :: i
    it_does = all([(self%settings%takes(i), i=1, size(taken_names))])
  end function takes_all

  !> The name of the events in which a budget does not hold after its constraint.
  pure function unmet_kind(budget) result(name)
    character(len=*), intent(in) :: budget
    character(len=name_length) :: name
    name = "budget '"//trim(budget)//"' unmet"
  end function unmet_kind

  !> Budgets have names of their own in files: what the library says of each has the model's.
  subroutine list_keys(model, n_budget, key, ierr, errmsg)
    type(emagram_model), intent(in) :: model
    integer, intent(in) :: n_budget
    character(len=name_length), allocatable, intent(out) :: key(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(emagram_budget_description) :: found
    integer :: i
    allocate (key(n_budget))
    do i = 1, n_budget
      if (ierr == 0) call model%describe_budget(i, found, ierr, errmsg)
      if (ierr == 0) key(i) = "budget '"//found%name//"'"
    end do
  end subroutine list_keys

  !> Rates and fluxes of a block, and which of its columns were rejected or lie outside the training range.
  subroutine predict(self, number, block, now, ierr, errmsg)
    class(rank_emulator), intent(inout), target :: self
    integer, intent(in) :: number !! of the block
    type(column_block), intent(inout), target :: block
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer(int32) :: status(block%n_column)
    character(len=emagram_message_length) :: reason
    associate (mine => self%block(number), s => block%scalar)
      mine%latent_heat = latent_heat_vaporization*s(:, evaporation)
      call self%events%forget_messages()
      call self%model%step(mine%columns, block%n_column, real(now%time_step, rk), int(now%step), ierr=ierr, &
        errmsg=reason)
      if (ierr /= 0) then
        errmsg = "emulator in the step of "//now%date()//": "//trim(reason)
        return
      end if
      call mine%columns%status(status, ierr, errmsg)
      s(:, emulator_extrapolated) = merge(1.0_rk, 0.0_rk, status >= emagram_column_extrapolated &
        .and. status < emagram_column_rejected)
      s(:, emulator_rejected) = merge(1.0_rk, 0.0_rk, status >= emagram_column_rejected)
      if (self%settings%reject_extrapolated) s(:, emulator_rejected) = max(s(:, emulator_rejected), &
        s(:, emulator_extrapolated))
      call note_rejections(self%events, status, self%settings%reject_extrapolated)
    end associate
  end subroutine predict

  !> The message of the library is of the first column that was rejected, and so of its reason.
  subroutine note_rejections(events, status, reject_extrapolated)
    type(event_log), intent(inout) :: events
    integer(int32), intent(in) :: status(:)
    logical, intent(in) :: reject_extrapolated
    integer :: i, first
    first = findloc(status >= emagram_column_rejected, .true., dim=1)
    if (first > 0) then
      do i = 1, size(reasons)
        call events%note(i, count(status == reasons(i)), merge("columns rejected", "                ", &
          status(first) == reasons(i)))
      end do
    end if
    if (reject_extrapolated) call events%note(size(rejections), count(status >= emagram_column_extrapolated &
      .and. status < emagram_column_rejected), "")
  end subroutine note_rejections

  !> Close the rates and fluxes of a block, as they stand now, by the constraints of the model file, or only measure
  !! what they lack.
  subroutine constrain(self, number, block, now, ierr, errmsg)
    class(rank_emulator), intent(inout), target :: self
    integer, intent(in) :: number !! of the block
    type(column_block), intent(inout), target :: block
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=emagram_message_length) :: reason
    integer :: i
    call self%events%forget_messages()
    associate (mine => self%block(number))
      call self%model%constrain(mine%columns, block%n_column, real(now%time_step, rk), ierr, reason)
      if (ierr == 0) call mine%ledger%measure(mine%columns, block%n_column, ierr, reason)
      if (ierr /= 0) errmsg = "constraints in the step of "//now%date()//": "//trim(reason)
      if (ierr /= 0 .or. self%settings%constraints == "measure") return
      do i = 1, size(self%budget)
        call self%events%note(size(rejections) + i, count(mine%ledger%unmet(:, i)), trim(self%unmet_key(i)))
      end do
    end associate
  end subroutine constrain
end module host_emulator
