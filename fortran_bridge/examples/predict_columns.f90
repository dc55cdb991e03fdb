!> mpirun -n 2 predict_columns_fortran MODEL.emg COLUMNS.nc OUTPUT.nc [CHUNK [error|mask|clip]]
!>
!> Run a model on the columns of a NetCDF file. Every input of the model is a variable of its name with dimensions
!> (column, level), (column, interface) or (column), as ncdump lists them, and an attribute `units`. The columns are
!> split over the ranks and stepped CHUNK (default 64) at a time; neither changes a bit of the output. A column that
!> the policy rejects (default error: none may be) keeps the fill value. Beside the outputs stand the residuals of the
!> model's column budgets before and after its constraints, and where one cannot hold. OUTPUT.nc appears when it is
!> complete.
!> predict_columns.c and predict_columns.py write the same bytes.
program predict_columns
  use, intrinsic :: ieee_arithmetic, only: ieee_is_nan
  use, intrinsic :: iso_fortran_env, only: error_unit, int32, int64, output_unit, real64
  use columns_file, only: budget_values, field_values, n_stage, read_columns, share, write_output
  use emagram, only: emagram_axis_column_1, emagram_axis_level, emagram_column_rejected, emagram_columns, &
    emagram_description, emagram_field_description, emagram_message_length, emagram_model, emagram_per_column, &
    emagram_policy_clip, emagram_policy_error, emagram_policy_mask
  use emagram_mpi, only: emagram_agree, emagram_open_mpi
  use mpi_f08, only: MPI_Comm_rank, MPI_Comm_size, MPI_COMM_WORLD, MPI_DOUBLE_PRECISION, MPI_Finalize, MPI_Gather, &
    MPI_Gatherv, MPI_Init, MPI_INTEGER
  use netcdf, only: nf90_fill_double
  implicit none (type, external)

  type :: arguments
    character(len=1024) :: model = ""
    character(len=1024) :: columns = ""
    character(len=1024) :: output = ""
    integer :: chunk = 64
    integer(int32) :: policy = emagram_policy_error
  end type arguments

  type(arguments) :: args
  type(emagram_model) :: model
  type(emagram_description) :: description
  type(share) :: mine
  type(field_values), allocatable :: fields(:)
  type(budget_values), allocatable :: budgets(:)
  integer(int32), allocatable :: reason(:)
  character(len=emagram_message_length) :: errmsg
  integer :: ierr, rank, n_rank

  call MPI_Init()
  call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  call MPI_Comm_size(MPI_COMM_WORLD, n_rank)
  work: block
    call read_arguments(args, ierr, errmsg)
    if (ierr /= 0) exit work
    call emagram_open_mpi(model, args%model, MPI_COMM_WORLD, policy=args%policy, ierr=ierr, errmsg=errmsg)
    if (ierr /= 0) exit work
    call model%describe(description, ierr, errmsg)
    if (ierr /= 0) exit work
    allocate (fields(size(description%field)))
    call read_columns(args%columns, description, rank, n_rank, mine, fields, ierr, errmsg)
    call emagram_agree(MPI_COMM_WORLD, ierr, errmsg)
    if (ierr /= 0) exit work
    allocate (reason(mine%number))
    call make_budgets(model, description%n_budget, mine%number, budgets, ierr, errmsg)
    if (ierr == 0) call step_chunks(model, description, mine, args%chunk, fields, budgets, reason, ierr, errmsg)
    call emagram_agree(MPI_COMM_WORLD, ierr, errmsg)
    if (ierr /= 0) exit work
    call gather(mine, description%n_input, fields, budgets, reason)
    if (rank == 0) call write_output(args%output, description, fields, budgets, reason, ierr, errmsg)
    call emagram_agree(MPI_COMM_WORLD, ierr, errmsg)
    if (ierr /= 0) exit work
    call model%close(ierr, errmsg)
  end block work
  if (rank == 0 .and. ierr /= 0) write (error_unit, "(2a)") "predict_columns: ", trim(errmsg)
  if (rank == 0 .and. ierr == 0) write (output_unit, "(a, i0, a, i0, 2a)") "predict_columns: ", mine%n_column, &
    " columns, ", count(reason >= emagram_column_rejected), " rejected, written to ", trim(args%output)
  call MPI_Finalize()
  if (ierr /= 0) stop 1, quiet=.true.

contains

  subroutine read_arguments(args, ierr, errmsg)
    type(arguments), intent(out) :: args
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    character(len=16) :: chunk, policy
    integer :: n

    n = command_argument_count()
    ierr = 0
    errmsg = ""
    if (n < 3 .or. n > 5) then
      ierr = 1
      errmsg = "expected the arguments MODEL.emg COLUMNS.nc OUTPUT.nc [CHUNK [error|mask|clip]]"
      return
    end if
    call get_command_argument(1, args%model)
    call get_command_argument(2, args%columns)
    call get_command_argument(3, args%output)
    chunk = "64"
    policy = "error"
    if (n > 3) call get_command_argument(4, chunk)
    if (n > 4) call get_command_argument(5, policy)
    args%chunk = 0
    if (verify(trim(chunk), "0123456789") == 0) read (chunk, *, iostat=ierr) args%chunk
    if (ierr /= 0 .or. args%chunk < 1) then
      ierr = 1
      errmsg = "argument CHUNK: expected a positive number of columns, got '"//trim(chunk)//"'"
      return
    end if
    select case (policy)
    case ("error")
      args%policy = emagram_policy_error
    case ("mask")
      args%policy = emagram_policy_mask
    case ("clip")
      args%policy = emagram_policy_clip
    case default
      ierr = 1
      errmsg = "argument POLICY: expected error, mask or clip, got '"//trim(policy)//"'"
    end select
  end subroutine read_arguments

  !> Room for what will be known of each budget.
  subroutine make_budgets(model, n_budget, n_column, budgets, ierr, errmsg)
    type(emagram_model), intent(in) :: model
    integer, intent(in) :: n_budget, n_column
    type(budget_values), allocatable, intent(out) :: budgets(:)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: i

    ierr = 0
    errmsg = ""
    allocate (budgets(n_budget))
    do i = 1, n_budget
      call model%describe_budget(i, budgets(i)%about, ierr, errmsg)
      if (ierr /= 0) return
      allocate (budgets(i)%residual(n_stage, n_column), budgets(i)%unmet(n_column))
    end do
  end subroutine make_budgets

  !> Step this rank's columns `chunk` at a time.
  subroutine step_chunks(model, description, mine, chunk, fields, budgets, reason, ierr, errmsg)
    type(emagram_model), intent(in) :: model
    type(emagram_description), intent(in) :: description
    type(share), intent(in) :: mine
    integer, intent(in) :: chunk
    type(field_values), intent(inout), target :: fields(:)
    type(budget_values), intent(inout) :: budgets(:)
    integer(int32), intent(out) :: reason(:)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: from, to

    ierr = 0
    errmsg = ""
    do from = 1, mine%number, chunk
      to = min(from + chunk - 1, mine%number)
      call step_chunk(model, description, mine%first, from, to, fields, budgets, reason(from:to), ierr, errmsg)
      if (ierr /= 0) return
    end do
  end subroutine step_chunks

  subroutine step_chunk(model, description, first, from, to, fields, budgets, reason, ierr, errmsg)
    type(emagram_model), intent(in) :: model
    type(emagram_description), intent(in) :: description
    integer, intent(in) :: first, from, to
    type(field_values), intent(inout), target :: fields(:)
    type(budget_values), intent(inout) :: budgets(:)
    integer(int32), intent(out) :: reason(:)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    type(emagram_columns) :: columns
    character(len=emagram_message_length) :: ignored_text
    real(real64) :: dt
    integer :: i, ignored

    reason = 0
    dt = merge(description%time_step, 1.0_real64, description%time_step > 0)
    call columns%new(model, to - from + 1, identity=[(int(first + i - 1, int64), i=from, to)], ierr=ierr, errmsg=errmsg)
    if (ierr /= 0) return
    step: block
      do i = 1, size(fields)
        call bind(columns, description%field(i), i <= description%n_input, from, to, fields(i), ierr, errmsg)
        if (ierr /= 0) exit step
      end do
      call model%step(columns, to - from + 1, dt, 0, ierr=ierr, errmsg=errmsg)
      if (ierr /= 0) exit step
      call columns%status(reason, ierr, errmsg)
      do i = 1, size(budgets)
        if (ierr == 0) call read_budget(columns, i, from, to, budgets(i), ierr, errmsg)
      end do
    end block step
    call columns%free(ignored, ignored_text)
  end subroutine step_chunk

  !> Residuals at every stage, fill values in rejected columns, and where the budget is unmet.
  subroutine read_budget(columns, index, from, to, budget, ierr, errmsg)
    type(emagram_columns), intent(in) :: columns
    integer, intent(in) :: index, from, to
    type(budget_values), intent(inout) :: budget
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    real(real64) :: residual(to - from + 1)
    logical :: unmet(to - from + 1)
    integer(int32) :: stage

    do stage = 0, n_stage - 1
      call columns%budget_at(index, stage, residual, ierr, errmsg)
      if (ierr /= 0) return
      where (ieee_is_nan(residual)) residual = nf90_fill_double
      budget%residual(stage + 1, from:to) = residual
    end do
    call columns%unmet(index, unmet, ierr, errmsg)
    budget%unmet(from:to) = merge(1_int32, 0_int32, unmet)
  end subroutine read_budget

  subroutine bind(columns, field, is_input, from, to, values, ierr, errmsg)
    type(emagram_columns), intent(inout) :: columns
    type(emagram_field_description), intent(in) :: field
    logical, intent(in) :: is_input
    integer, intent(in) :: from, to
    type(field_values), intent(inout), target :: values
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer(int32), parameter :: level_column(2) = [emagram_axis_level, emagram_axis_column_1]

    if (is_input .and. field%dimension == emagram_per_column) then
      call columns%input(field%name, values%value(1, from:to), level_column(2:), unit=values%unit, &
        ierr=ierr, errmsg=errmsg)
    else if (is_input) then
      call columns%input(field%name, values%value(:, from:to), level_column, unit=values%unit, &
        ierr=ierr, errmsg=errmsg)
    else if (field%dimension == emagram_per_column) then
      call columns%output(field%name, values%value(1, from:to), level_column(2:), ierr=ierr, errmsg=errmsg)
    else
      call columns%output(field%name, values%value(:, from:to), level_column, ierr=ierr, errmsg=errmsg)
    end if
  end subroutine bind

  !> Replace this rank's outputs by those of all ranks, on rank 0.
  subroutine gather(mine, n_input, fields, budgets, reason)
    type(share), intent(in) :: mine
    integer, intent(in) :: n_input
    type(field_values), intent(inout) :: fields(:)
    type(budget_values), intent(inout) :: budgets(:)
    integer(int32), allocatable, intent(inout) :: reason(:)
    integer :: number(n_rank), first(n_rank), i

    number = 0 ! the other ranks multiply them too
    first = 0
    call MPI_Gather(mine%number, 1, MPI_INTEGER, number, 1, MPI_INTEGER, 0, MPI_COMM_WORLD)
    call MPI_Gather(mine%first, 1, MPI_INTEGER, first, 1, MPI_INTEGER, 0, MPI_COMM_WORLD)
    do i = n_input + 1, size(fields)
      call gather_values(fields(i)%value, mine, number, first)
    end do
    do i = 1, size(budgets)
      call gather_values(budgets(i)%residual, mine, number, first)
      call gather_flags(budgets(i)%unmet, mine, number, first)
    end do
    call gather_flags(reason, mine, number, first)
  end subroutine gather

  subroutine gather_values(values, mine, number, first)
    real(real64), allocatable, intent(inout) :: values(:, :) !! (n, columns)
    type(share), intent(in) :: mine
    integer, intent(in) :: number(:), first(:) !! columns of each rank
    real(real64), allocatable :: whole(:, :)
    integer :: n

    n = size(values, 1)
    allocate (whole(n, merge(mine%n_column, 0, rank == 0)))
    call MPI_Gatherv(values, n*mine%number, MPI_DOUBLE_PRECISION, whole, n*number, n*first, MPI_DOUBLE_PRECISION, 0, &
      MPI_COMM_WORLD)
    call move_alloc(whole, values)
  end subroutine gather_values

  subroutine gather_flags(flags, mine, number, first)
    integer(int32), allocatable, intent(inout) :: flags(:) !! (columns)
    type(share), intent(in) :: mine
    integer, intent(in) :: number(:), first(:) !! columns of each rank
    integer(int32), allocatable :: whole(:)

    allocate (whole(merge(mine%n_column, 0, rank == 0)))
    call MPI_Gatherv(flags, mine%number, MPI_INTEGER, whole, number, first, MPI_INTEGER, 0, MPI_COMM_WORLD)
    call move_alloc(whole, flags)
  end subroutine gather_flags

end program predict_columns
