!> The columns of a globe shared among ranks, and sums over them: the same bits on any number of ranks and in any order
!> of columns. Twin of physics/globe.py.
!>
!> Procedures are collective unless they say otherwise, and give the same ierr and errmsg on every rank. A rank may have
!> no column.
module emagram_global_sums
  use, intrinsic :: iso_c_binding, only: c_double, c_int, c_int64_t
  use, intrinsic :: iso_fortran_env, only: real64
  use emagram, only: emagram_error_argument, emagram_ok
  use emagram_mpi, only: emagram_agree
#ifdef EMAGRAM_MPI_F08
  use mpi_f08, only: MPI_Comm
#endif
  implicit none (type, external)
  private

  integer, parameter :: sum_size = 70, not_finite = 69 !! of emagram_sum.h

  !> The columns of this rank and what each counts for.
  type, public :: emagram_globe
    integer, private :: comm = 0
    integer :: n_column = -1 !! of this rank
    real(real64), allocatable :: weight(:) !! (n_column) areas in any unit; not to be changed
    real(real64) :: area = 0.0_real64 !! sum of the weights of all ranks
    real(real64) :: gravity = 0.0_real64 !! [m s-2]
    real(real64) :: heat_capacity = 0.0_real64 !! [J kg-1 K-1] of dry air
  contains
    !> call globe%new(comm, weight, gravity, heat_capacity, ierr, errmsg)
    generic, public :: new => new_integer
#ifdef EMAGRAM_MPI_F08
    generic, public :: new => new_f08
    procedure, private :: new_f08
#endif
    procedure, private :: new_integer
    procedure, public :: agree, check_shape, mean, totals
  end type emagram_globe

  interface

    pure subroutine emagram_sum_add(sum, values, number) bind(c, name="emagram_sum_add")
      import :: c_double, c_int64_t, sum_size
      implicit none (type, external)
      integer(c_int64_t), intent(inout) :: sum(sum_size)
      real(c_double), intent(in) :: values(*)
      integer(c_int64_t), value :: number
    end subroutine emagram_sum_add

    function emagram_sum_read(sum, total) result(code) bind(c, name="emagram_sum_read")
      import :: c_double, c_int, c_int64_t, sum_size
      implicit none (type, external)
      integer(c_int64_t), intent(in) :: sum(sum_size)
      real(c_double), intent(out) :: total
      integer(c_int) :: code
    end function emagram_sum_read

    subroutine emagram_mpi_sum_f(comm, sums, number) bind(c, name="emagram_mpi_sum_f")
      import :: c_int, c_int64_t
      implicit none (type, external)
      integer(c_int), value :: comm
      integer(c_int64_t), intent(inout) :: sums(*)
      integer(c_int), value :: number
    end subroutine emagram_mpi_sum_f

  end interface

contains

  subroutine new_integer(self, comm, weight, gravity, heat_capacity, ierr, errmsg)
    class(emagram_globe), intent(inout) :: self
    integer, intent(in) :: comm
    real(real64), intent(in) :: weight(:) !! (n_column) areas, in any unit
    real(real64), intent(in) :: gravity !! [m s-2]
    real(real64), intent(in) :: heat_capacity !! [J kg-1 K-1] of dry air
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    real(real64) :: total(2)

    ierr = emagram_ok
    errmsg = ""
    self%comm = comm
    self%n_column = size(weight)
    self%weight = weight
    self%gravity = gravity
    self%heat_capacity = heat_capacity
    if (.not. (gravity > 0.0_real64 .and. heat_capacity > 0.0_real64)) call fail(ierr, errmsg, &
      "globe: expected gravity and heat capacity above 0, got others")
    call emagram_agree(comm, ierr, errmsg)
    call self%totals("areas", reshape([weight, merge(1.0_real64, 0.0_real64, weight < 0.0_real64)], &
      [size(weight), 2]), total, ierr, errmsg)
    if (ierr /= emagram_ok) return
    if (total(2) > 0.0_real64) call fail(ierr, errmsg, "globe: expected areas of 0 or more, got some below")
    if (.not. total(1) > 0.0_real64) call fail(ierr, errmsg, "globe: expected a column with an area above 0, got none")
    self%area = total(1)
  end subroutine new_integer

#ifdef EMAGRAM_MPI_F08

  subroutine new_f08(self, comm, weight, gravity, heat_capacity, ierr, errmsg)
    class(emagram_globe), intent(inout) :: self
    type(MPI_Comm), intent(in) :: comm
    real(real64), intent(in) :: weight(:) !! (n_column) areas, in any unit
    real(real64), intent(in) :: gravity !! [m s-2]
    real(real64), intent(in) :: heat_capacity !! [J kg-1 K-1] of dry air
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call self%new_integer(comm%MPI_VAL, weight, gravity, heat_capacity, ierr, errmsg)
  end subroutine new_f08

#endif

  !> Mean over the globe of a field of columns.
  subroutine mean(self, name, values, average, ierr, errmsg)
    class(emagram_globe), intent(in) :: self
    character(len=*), intent(in) :: name !! for messages
    real(real64), intent(in) :: values(:) !! (n_column)
    real(real64), intent(out) :: average !! in the unit of the values
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    real(real64) :: total(1)

    ierr = emagram_ok
    errmsg = ""
    average = 0.0_real64
    call self%check_shape(name, shape(values), [self%n_column], ierr, errmsg)
    call self%agree(ierr, errmsg)
    if (ierr /= emagram_ok) return
    call self%totals(name, reshape(self%weight*values, [size(values), 1]), total, ierr, errmsg)
    if (ierr == emagram_ok) average = total(1)/self%area
  end subroutine mean

  !> Whether the shape of a field is what is expected of this rank; not collective.
  subroutine check_shape(self, name, got, expected, ierr, errmsg)
    class(emagram_globe), intent(in) :: self
    character(len=*), intent(in) :: name
    integer, intent(in) :: got(:), expected(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=64) :: shapes(2)

    if (self%n_column < 0) call fail(ierr, errmsg, "globe: expected one made by new, got none")
    if (ierr /= emagram_ok .or. all(got == expected)) return
    write (shapes(1), "(*(i0, :, ', '))") expected
    write (shapes(2), "(*(i0, :, ', '))") got
    call fail(ierr, errmsg, "field '"//name//"': expected shape ("//trim(shapes(1))//"), got ("//trim(shapes(2))//")")
  end subroutine check_shape

  !> The error of the lowest rank that has one, on every rank.
  subroutine agree(self, ierr, errmsg)
    class(emagram_globe), intent(in) :: self
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg

    if (self%n_column >= 0) call emagram_agree(self%comm, ierr, errmsg)
  end subroutine agree

  !> Sums over the columns of all ranks, each rounded once.
  subroutine totals(self, name, terms, total, ierr, errmsg)
    class(emagram_globe), intent(in) :: self
    character(len=*), intent(in) :: name
    real(real64), intent(in) :: terms(:, :) !! (n_column, n_sum)
    real(real64), intent(out) :: total(:) !! (n_sum)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer(c_int64_t) :: sums(sum_size, size(terms, 2))
    character(len=24) :: number
    integer :: i, code

    total = 0.0_real64
    if (ierr /= emagram_ok) return
    sums = 0
    do i = 1, size(terms, 2)
      call emagram_sum_add(sums(:, i), terms(:, i), size(terms, 1, c_int64_t))
    end do
    call emagram_mpi_sum_f(self%comm, sums, size(sums, 2))
    do i = 1, size(terms, 2)
      code = emagram_sum_read(sums(:, i), total(i))
      write (number, "(i0)") sums(not_finite, i)
      if (code == 1) call fail(ierr, errmsg, "global sum of "//name//": expected finite values, got "//trim(number)// &
        " that are not")
      if (code == 2) call fail(ierr, errmsg, "global sum of "//name//": expected one that real64 holds, got more")
    end do
  end subroutine totals

  subroutine fail(ierr, errmsg, sentence)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=*), intent(in) :: sentence

    if (ierr /= emagram_ok) return
    ierr = emagram_error_argument
    errmsg = sentence
  end subroutine fail
end module emagram_global_sums
