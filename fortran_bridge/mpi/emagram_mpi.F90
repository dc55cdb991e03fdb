!> Open a model on every rank of a communicator while only rank 0 reads the file.
!> An integer communicator always works; with EMAGRAM_MPI_F08 defined so does type(MPI_Comm) of mpi_f08.
!> Every procedure here is collective and gives the same ierr and errmsg on every rank.
module emagram_mpi
  use, intrinsic :: iso_c_binding, only: c_associated, c_char, c_f_pointer, c_int, c_null_char, c_ptr
  use, intrinsic :: iso_fortran_env, only: int32, real64
  use emagram, only: emagram_make_options, emagram_message_length, emagram_model
  use emagram_c, only: emagram_options
#ifdef EMAGRAM_MPI_F08
  use mpi_f08, only: MPI_Comm
#endif
  implicit none (type, external)
  private

  !> call emagram_open_mpi(model, path, comm, ierr=ierr, errmsg=errmsg); optional arguments as in model%open.
  !> `path` counts on rank 0 alone. After an error no rank holds a model.
  interface emagram_open_mpi
    module procedure open_integer
#ifdef EMAGRAM_MPI_F08
    module procedure open_f08
#endif
  end interface emagram_open_mpi

  !> call emagram_agree(comm, ierr, errmsg): if ierr is nonzero on any rank, ierr and errmsg of the lowest such rank
  !> come back on every rank.
  interface emagram_agree
    module procedure agree_integer
#ifdef EMAGRAM_MPI_F08
    module procedure agree_f08
#endif
  end interface emagram_agree

  public :: emagram_open_mpi, emagram_agree

  interface

    function emagram_mpi_open_f(path, options, comm, model) result(code) bind(c, name="emagram_mpi_open_f")
      import :: c_char, c_int, c_ptr, emagram_options
      implicit none (type, external)
      character(kind=c_char), intent(in) :: path(*)
      type(emagram_options), intent(in) :: options
      integer(c_int), value :: comm
      type(c_ptr), intent(inout) :: model
      integer(c_int) :: code
    end function emagram_mpi_open_f

    function emagram_mpi_agree_f(comm, code, message, size) result(agreed) bind(c, name="emagram_mpi_agree_f")
      import :: c_char, c_int
      implicit none (type, external)
      integer(c_int), value :: comm
      integer(c_int), value :: code
      character(kind=c_char), intent(inout) :: message(*)
      integer(c_int), value :: size
      integer(c_int) :: agreed
    end function emagram_mpi_agree_f

    function emagram_mpi_last_error() result(text) bind(c, name="emagram_mpi_last_error")
      import :: c_ptr
      implicit none (type, external)
      type(c_ptr) :: text
    end function emagram_mpi_last_error

  end interface

contains

  subroutine open_integer(model, path, comm, policy, allow_other_dt, defer_constraints, extrapolation_margin, &
    measure_only, ierr, errmsg)
    type(emagram_model), intent(inout) :: model
    character(len=*), intent(in) :: path
    integer, intent(in) :: comm
    integer(int32), intent(in), optional :: policy
    logical, intent(in), optional :: allow_other_dt
    logical, intent(in), optional :: defer_constraints
    real(real64), intent(in), optional :: extrapolation_margin
    logical, intent(in), optional :: measure_only
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    errmsg = ""
    ierr = emagram_mpi_open_f(trim(path)//c_null_char, &
      emagram_make_options(policy, allow_other_dt, defer_constraints, extrapolation_margin, measure_only), &
      comm, model%handle)
    if (ierr /= 0) call copy_text(emagram_mpi_last_error(), errmsg)
  end subroutine open_integer

  subroutine agree_integer(comm, ierr, errmsg)
    integer, intent(in) :: comm
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=emagram_message_length) :: message

    message = errmsg
    ierr = emagram_mpi_agree_f(comm, ierr, message, len(message))
    if (ierr /= 0) errmsg = message
  end subroutine agree_integer

#ifdef EMAGRAM_MPI_F08

  subroutine open_f08(model, path, comm, policy, allow_other_dt, defer_constraints, extrapolation_margin, &
    measure_only, ierr, errmsg)
    type(emagram_model), intent(inout) :: model
    character(len=*), intent(in) :: path
    type(MPI_Comm), intent(in) :: comm
    integer(int32), intent(in), optional :: policy
    logical, intent(in), optional :: allow_other_dt
    logical, intent(in), optional :: defer_constraints
    real(real64), intent(in), optional :: extrapolation_margin
    logical, intent(in), optional :: measure_only
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg

    call open_integer(model, path, comm%MPI_VAL, policy, allow_other_dt, defer_constraints, extrapolation_margin, &
      measure_only, ierr, errmsg)
  end subroutine open_f08

  subroutine agree_f08(comm, ierr, errmsg)
    type(MPI_Comm), intent(in) :: comm
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg

    call agree_integer(comm%MPI_VAL, ierr, errmsg)
  end subroutine agree_f08

#endif

  subroutine copy_text(pointer, text)
    type(c_ptr), intent(in) :: pointer
    character(len=*), intent(inout) :: text
    character(kind=c_char), pointer :: characters(:)
    integer :: i

    text = ""
    if (.not. c_associated(pointer)) return
    call c_f_pointer(pointer, characters, [len(text)])
    do i = 1, len(text)
      if (characters(i) == c_null_char) return
      text(i:i) = characters(i)
    end do
  end subroutine copy_text

end module emagram_mpi
