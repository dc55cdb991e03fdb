!> NetCDF as the host uses it: errors as one sentence, variables checked as they are read, files that appear complete.
!!
!! Only rank 0 calls what is here. The first error wins: every procedure returns at once where ierr is set already.
module host_files
  use, intrinsic :: iso_c_binding, only: c_char, c_int, c_null_char
  use, intrinsic :: ieee_arithmetic, only: ieee_is_finite
  use emagram_kinds, only: rk
  use host_fields, only: field_name
  use netcdf, only: nf90_64bit_offset, nf90_clobber, nf90_close, nf90_create, nf90_def_dim, nf90_def_var, &
    nf90_double, nf90_enddef, nf90_get_att, nf90_get_var, nf90_global, nf90_inq_dimid, nf90_inq_varid, &
    nf90_inquire_dimension, nf90_inquire_variable, nf90_int, nf90_max_var_dims, nf90_noerr, nf90_nowrite, nf90_open, &
    nf90_put_att, nf90_put_var, nf90_strerror, nf90_unlimited, nf90_write
  implicit none (type, external)
  private
  public :: failed, rename_file, remove_file

  !> An open file.
  type, public :: netcdf_file
    integer :: id = -1
    character(len=:), allocatable :: path !! as it will be called
    character(len=:), allocatable :: temporary !! as it is called until it is complete; not allocated when reading
  contains
    procedure :: open, create, close, dimension_size, read_number, define_dimension, define, end_define, put_global, &
      find, put_number, define_whole_number, put_whole_number, check_complete
    generic :: read => read_vector, read_matrix
    generic :: put => put_vector, put_matrix
    procedure, private :: read_vector, read_matrix, put_vector, put_matrix
  end type netcdf_file

  interface
    function c_rename(from, to) result(code) bind(c, name="rename")
      import :: c_char, c_int
      implicit none (type, external)
      character(kind=c_char), intent(in) :: from(*), to(*)
      integer(c_int) :: code
    end function c_rename

    function c_remove(path) result(code) bind(c, name="remove")
      import :: c_char, c_int
      implicit none (type, external)
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int) :: code
    end function c_remove
  end interface

contains

  subroutine open(self, path, writable, ierr, errmsg)
    class(netcdf_file), intent(inout) :: self
    character(len=*), intent(in) :: path
    logical, intent(in) :: writable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    self%path = path
    if (failed(nf90_open(path, merge(nf90_write, nf90_nowrite, writable), self%id), "file '"//path//"'", ierr, &
      errmsg)) self%id = -1
  end subroutine open

  !> Begin a file under a temporary name; close gives it its own.
  subroutine create(self, path, ierr, errmsg)
    class(netcdf_file), intent(inout) :: self
    character(len=*), intent(in) :: path
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    self%path = path
    self%temporary = path//".part"
    if (failed(nf90_create(self%temporary, ior(nf90_clobber, nf90_64bit_offset), self%id), "file '"//path//"'", &
      ierr, errmsg)) self%id = -1
  end subroutine create

  !> Close a file, also after an error; one that was created is then renamed, or removed if anything went wrong.
  subroutine close(self, ierr, errmsg)
    class(netcdf_file), intent(inout) :: self
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: status
    if (self%id == -1) return
    status = nf90_close(self%id)
    self%id = -1
    if (ierr == 0) then
      if (failed(status, "file '"//self%path//"'", ierr, errmsg)) continue
    end if
    if (.not. allocated(self%temporary)) return
    if (ierr == 0) call rename_file(self%temporary, self%path, ierr, errmsg)
    if (ierr /= 0) call remove_file(self%temporary)
    deallocate (self%temporary)
  end subroutine close

  subroutine dimension_size(self, name, n, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    integer, intent(inout) :: n
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=:), allocatable :: subject
    integer :: dimension
    subject = "dimension '"//name//"' of '"//self%path//"'"
    if (ierr /= 0) return
    if (failed(nf90_inq_dimid(self%id, name, dimension), subject, ierr, errmsg)) return
    if (failed(nf90_inquire_dimension(self%id, dimension, len=n), subject, ierr, errmsg)) return
  end subroutine dimension_size

  !> Refuse a file whose last variable, `complete`, is not 1: netCDF reads zeros beyond the end of a truncated file.
  subroutine check_complete(self, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=:), allocatable :: subject
    integer :: variable, value
    if (ierr /= 0) return
    subject = "variable 'complete' of '"//self%path//"'"
    if (failed(nf90_inq_varid(self%id, "complete", variable), subject, ierr, errmsg)) return
    if (failed(nf90_get_var(self%id, variable, value), subject, ierr, errmsg)) return
    if (value == 1) return
    ierr = 1
    errmsg = "file '"//self%path//"': expected a complete file, got a truncated one"
  end subroutine check_complete

  !> A global attribute that is a whole number.
  subroutine read_number(self, name, value, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    integer, intent(inout) :: value
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (failed(nf90_get_att(self%id, nf90_global, name, value), "attribute '"//name//"' of '"//self%path//"'", ierr, &
      errmsg)) return
  end subroutine read_number

  subroutine read_vector(self, name, values, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    real(rk), intent(inout) :: values(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=:), allocatable :: subject
    integer :: variable
    subject = "variable '"//trim(name)//"' of '"//self%path//"'"
    call find_variable(self%id, trim(name), subject, shape(values), variable, ierr, errmsg)
    if (ierr /= 0) return
    if (failed(nf90_get_var(self%id, variable, values), subject, ierr, errmsg)) return
    if (all(ieee_is_finite(values))) return
    ierr = 1
    write (errmsg, "(2a, i0)") subject, ": expected finite values, got NaN or infinity in column ", &
      findloc(ieee_is_finite(values), .false., dim=1) - 1
  end subroutine read_vector

  subroutine read_matrix(self, name, values, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    real(rk), intent(inout) :: values(:, :) !! (n_level, n_column), a variable (column, level) as ncdump lists it
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=:), allocatable :: subject
    integer :: variable
    subject = "variable '"//trim(name)//"' of '"//self%path//"'"
    call find_variable(self%id, trim(name), subject, shape(values), variable, ierr, errmsg)
    if (ierr /= 0) return
    if (failed(nf90_get_var(self%id, variable, values), subject, ierr, errmsg)) return
    if (all(ieee_is_finite(values))) return
    ierr = 1
    write (errmsg, "(2a, i0)") subject, ": expected finite values, got NaN or infinity in column ", &
      findloc(all(ieee_is_finite(values), dim=1), .false., dim=1) - 1
  end subroutine read_matrix

  !> The number of a variable, if it has the expected shape.
  subroutine find_variable(file, name, subject, expected, variable, ierr, errmsg)
    integer, intent(in) :: file
    character(len=*), intent(in) :: name, subject
    integer, intent(in) :: expected(:)
    integer, intent(out) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: ids(nf90_max_var_dims), n, i
    integer, allocatable :: got(:)
    variable = -1
    if (ierr /= 0) return
    if (failed(nf90_inq_varid(file, name, variable), subject, ierr, errmsg)) return
    if (failed(nf90_inquire_variable(file, variable, ndims=n, dimids=ids), subject, ierr, errmsg)) return
    allocate (got(n), source=0)
    do i = 1, n
      if (failed(nf90_inquire_dimension(file, ids(i), len=got(i)), subject, ierr, errmsg)) return
    end do
    if (n == size(expected)) then
      if (all(got == expected)) return
    end if
    ierr = 1
    write (errmsg, "(6a)") subject, ": expected shape (", in_words(expected), "), got (", in_words(got), ")"
  end subroutine find_variable

  !> A shape as ncdump lists it.
  pure function in_words(extent) result(text)
    integer, intent(in) :: extent(:)
    character(len=:), allocatable :: text
    character(len=12) :: number
    integer :: i
    text = ""
    do i = size(extent), 1, -1
      write (number, "(i0)") extent(i)
      text = text//trim(number)
      if (i > 1) text = text//", "
    end do
  end function in_words

  !> A variable of one whole number.
  subroutine define_whole_number(self, name, variable, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    integer, intent(inout) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (failed(nf90_def_var(self%id, name, nf90_int, variable), "variable '"//name//"' of '"//self%path//"'", ierr, &
      errmsg)) return
  end subroutine define_whole_number

  subroutine put_whole_number(self, variable, value, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    integer, intent(in) :: variable, value
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (failed(nf90_put_var(self%id, variable, value), "file '"//self%path//"'", ierr, errmsg)) return
  end subroutine put_whole_number

  !> n = 0 for the dimension that grows.
  subroutine define_dimension(self, name, n, dimension, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    integer, intent(in) :: n
    integer, intent(inout) :: dimension
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (failed(nf90_def_dim(self%id, name, merge(n, nf90_unlimited, n > 0), dimension), "file '"//self%path//"'", &
      ierr, errmsg)) return
  end subroutine define_dimension

  subroutine define(self, field, dimensions, variable, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    type(field_name), intent(in) :: field
    integer, intent(in) :: dimensions(:) !! the one that varies fastest first
    integer, intent(inout) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=:), allocatable :: subject
    if (ierr /= 0) return
    subject = "variable '"//trim(field%name)//"' of '"//self%path//"'"
    if (failed(nf90_def_var(self%id, trim(field%name), nf90_double, dimensions, variable), subject, ierr, &
      errmsg)) return
    if (failed(nf90_put_att(self%id, variable, "units", trim(field%unit)), subject, ierr, errmsg)) return
  end subroutine define

  subroutine put_global(self, name, value, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    class(*), intent(in) :: value !! text or a whole number
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: status
    if (ierr /= 0) return
    status = nf90_noerr
    select type (value)
    type is (character(len=*))
      status = nf90_put_att(self%id, nf90_global, name, value)
    type is (integer)
      status = nf90_put_att(self%id, nf90_global, name, value)
    end select
    if (failed(status, "attribute '"//name//"' of '"//self%path//"'", ierr, errmsg)) return
  end subroutine put_global

  subroutine end_define(self, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (failed(nf90_enddef(self%id), "file '"//self%path//"'", ierr, errmsg)) return
  end subroutine end_define

  !> The whole of a variable, or one record of it where `record` is above 0.
  subroutine put_vector(self, variable, values, record, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    integer, intent(in) :: variable
    real(rk), intent(in) :: values(:)
    integer, intent(in) :: record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: status
    if (ierr /= 0) return
    if (record > 0) then
      status = nf90_put_var(self%id, variable, values, start=[1, record], count=[size(values), 1])
    else
      status = nf90_put_var(self%id, variable, values)
    end if
    if (failed(status, "file '"//self%path//"'", ierr, errmsg)) return
  end subroutine put_vector

  subroutine put_matrix(self, variable, values, record, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    integer, intent(in) :: variable
    real(rk), intent(in) :: values(:, :)
    integer, intent(in) :: record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: status
    if (ierr /= 0) return
    if (record > 0) then
      status = nf90_put_var(self%id, variable, values, start=[1, 1, record], count=[shape(values), 1])
    else
      status = nf90_put_var(self%id, variable, values)
    end if
    if (failed(status, "file '"//self%path//"'", ierr, errmsg)) return
  end subroutine put_matrix

  !> One number of a variable that has a value for each record.
  subroutine put_number(self, variable, value, record, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    integer, intent(in) :: variable
    real(rk), intent(in) :: value
    integer, intent(in) :: record
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (failed(nf90_put_var(self%id, variable, [value], start=[record], count=[1]), "file '"//self%path//"'", ierr, &
      errmsg)) return
  end subroutine put_number

  subroutine find(self, name, variable, ierr, errmsg)
    class(netcdf_file), intent(in) :: self
    character(len=*), intent(in) :: name
    integer, intent(inout) :: variable
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (failed(nf90_inq_varid(self%id, trim(name), variable), "variable '"//trim(name)//"' of '"//self%path//"'", &
      ierr, errmsg)) return
  end subroutine find

  subroutine rename_file(from, to, ierr, errmsg)
    character(len=*), intent(in) :: from, to
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0) return
    if (c_rename(from//c_null_char, to//c_null_char) == 0) return
    ierr = 1
    errmsg = "file '"//to//"': the finished file cannot be renamed to it"
  end subroutine rename_file

  subroutine remove_file(path)
    character(len=*), intent(in) :: path
    integer :: ignored
    ignored = c_remove(path//c_null_char)
  end subroutine remove_file

  !> Turn the status of a netCDF call into ierr and one sentence about `subject`.
  function failed(status, subject, ierr, errmsg)
    integer, intent(in) :: status
    character(len=*), intent(in) :: subject
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    logical :: failed
    failed = status /= nf90_noerr
    if (.not. failed) return
    ierr = 1
    errmsg = subject//": "//trim(nf90_strerror(status))
  end function failed
end module host_files
