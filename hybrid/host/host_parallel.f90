!> The columns of a run shared among ranks: contiguous parts in column order, gathered on and scattered from rank 0.
module host_parallel
  use, intrinsic :: iso_fortran_env, only: int64
  use emagram_kinds, only: rk
  use emagram_mpi, only: emagram_agree
  use mpi_f08, only: MPI_Allreduce, MPI_Bcast, MPI_CHARACTER, MPI_COMM_WORLD, MPI_Comm_rank, MPI_Comm_size, &
    MPI_DOUBLE_PRECISION, MPI_Gatherv, MPI_IN_PLACE, MPI_INTEGER, MPI_INTEGER8, MPI_LOGICAL, MPI_MAX, MPI_Scatterv, &
    MPI_SUM
  implicit none (type, external)
  private
  public :: add_up, agree, broadcast, gather, largest, scatter, share_columns, this_rank

  !> The values of rank 0, on every rank.
  interface broadcast
    module procedure broadcast_flag, broadcast_numbers, broadcast_values, broadcast_lines
  end interface broadcast

  !> Which columns are this rank's: first + 1 to first + number of n_column.
  type, public :: column_share
    integer :: n_column = 0
    integer :: first = 0
    integer :: number = 0
    integer, allocatable :: firsts(:), numbers(:) !! of all ranks
  end type column_share

contains

  function this_rank() result(rank)
    integer :: rank
    call MPI_Comm_rank(MPI_COMM_WORLD, rank)
  end function this_rank

  !> Divide n_column columns among all ranks; some get none where there are more ranks than columns.
  subroutine share_columns(n_column, share)
    integer, intent(in) :: n_column
    type(column_share), intent(out) :: share
    integer :: n_rank, i
    call MPI_Comm_size(MPI_COMM_WORLD, n_rank)
    allocate (share%firsts(n_rank), share%numbers(n_rank))
    do i = 1, n_rank
      share%firsts(i) = int(int(n_column, int64)*(i - 1)/n_rank)
      share%numbers(i) = int(int(n_column, int64)*i/n_rank) - share%firsts(i)
    end do
    share%n_column = n_column
    share%first = share%firsts(this_rank() + 1)
    share%number = share%numbers(this_rank() + 1)
  end subroutine share_columns

  !> The error of the lowest rank that has one, on every rank.
  subroutine agree(ierr, errmsg)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call emagram_agree(MPI_COMM_WORLD, ierr, errmsg)
  end subroutine agree

  subroutine broadcast_flag(value)
    logical, intent(inout) :: value
    call MPI_Bcast(value, 1, MPI_LOGICAL, 0, MPI_COMM_WORLD)
  end subroutine broadcast_flag

  subroutine broadcast_numbers(values)
    integer, contiguous, intent(inout) :: values(:)
    call MPI_Bcast(values, size(values), MPI_INTEGER, 0, MPI_COMM_WORLD)
  end subroutine broadcast_numbers

  subroutine broadcast_values(values)
    real(rk), contiguous, intent(inout) :: values(:)
    call MPI_Bcast(values, size(values), MPI_DOUBLE_PRECISION, 0, MPI_COMM_WORLD)
  end subroutine broadcast_values

  subroutine broadcast_lines(lines)
    character(len=*), contiguous, intent(inout) :: lines(:)
    call MPI_Bcast(lines, len(lines)*size(lines), MPI_CHARACTER, 0, MPI_COMM_WORLD)
  end subroutine broadcast_lines

  !> The columns of all ranks, in their order, on rank 0.
  subroutine gather(share, mine, whole)
    type(column_share), intent(in) :: share
    real(rk), contiguous, intent(in) :: mine(:, :) !! (n, columns of this rank)
    real(rk), contiguous, intent(inout) :: whole(:, :) !! (n, n_column) on rank 0, of any size elsewhere
    integer :: n
    n = size(mine, 1)
    call MPI_Gatherv(mine, n*share%number, MPI_DOUBLE_PRECISION, whole, n*share%numbers, n*share%firsts, &
      MPI_DOUBLE_PRECISION, 0, MPI_COMM_WORLD)
  end subroutine gather

  !> Each rank its columns of what rank 0 holds.
  subroutine scatter(share, whole, mine)
    type(column_share), intent(in) :: share
    real(rk), contiguous, intent(in) :: whole(:, :) !! (n, n_column) on rank 0, of any size elsewhere
    real(rk), contiguous, intent(inout) :: mine(:, :) !! (n, columns of this rank)
    integer :: n
    n = size(mine, 1)
    call MPI_Scatterv(whole, n*share%numbers, n*share%firsts, MPI_DOUBLE_PRECISION, mine, n*share%number, &
      MPI_DOUBLE_PRECISION, 0, MPI_COMM_WORLD)
  end subroutine scatter

  !> The largest of all ranks' values, on every rank; unlike a sum it depends on no order.
  subroutine largest(values)
    real(rk), contiguous, intent(inout) :: values(:, :)
    call MPI_Allreduce(MPI_IN_PLACE, values, size(values), MPI_DOUBLE_PRECISION, MPI_MAX, MPI_COMM_WORLD)
  end subroutine largest

  !> The sums of all ranks' counts, on every rank.
  subroutine add_up(counts)
    integer(int64), contiguous, intent(inout) :: counts(:)
    call MPI_Allreduce(MPI_IN_PLACE, counts, size(counts), MPI_INTEGER8, MPI_SUM, MPI_COMM_WORLD)
  end subroutine add_up
end module host_parallel
