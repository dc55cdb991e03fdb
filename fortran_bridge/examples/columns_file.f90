!> The NetCDF files of predict_columns: columns in, predictions out.
module columns_file
  use, intrinsic :: iso_c_binding, only: c_char, c_int, c_null_char
  use, intrinsic :: iso_fortran_env, only: int32, int64, real64
  use emagram, only: emagram_column_clipped, emagram_column_extrapolated, emagram_column_invalid_input, &
    emagram_column_level_order, emagram_column_non_finite_input, emagram_column_non_finite_output, &
    emagram_budget_description, emagram_column_ok, emagram_description, emagram_field_description, &
    emagram_per_column, emagram_stage_returned
  use netcdf, only: nf90_64bit_offset, nf90_clobber, nf90_close, nf90_create, nf90_def_dim, nf90_def_var, &
    nf90_double, nf90_enddef, nf90_fill_double, nf90_get_att, nf90_get_var, nf90_global, nf90_inq_dimid, &
    nf90_inq_varid, nf90_inquire_attribute, nf90_inquire_dimension, nf90_inquire_variable, nf90_int, &
    nf90_max_name, nf90_max_var_dims, nf90_noerr, nf90_nowrite, nf90_open, nf90_put_att, nf90_put_var, nf90_strerror
  implicit none (type, external)
  private

  public :: read_columns, write_output

  integer, parameter, public :: n_stage = emagram_stage_returned + 1

  !> The values of one field of the model: (size, columns of this rank).
  type, public :: field_values
    real(real64), allocatable :: value(:, :)
    character(len=:), allocatable :: unit !! as the file states it
  end type field_values

  !> What is known of one budget of the model.
  type, public :: budget_values
    type(emagram_budget_description) :: about
    real(real64), allocatable :: residual(:, :) !! (n_stage, columns of this rank)
    integer(int32), allocatable :: unmet(:) !! (columns of this rank)
  end type budget_values

  !> Which columns are this rank's: first + 1 to first + number of n_column.
  type, public :: share
    integer :: n_column = 0
    integer :: first = 0
    integer :: number = 0
  end type share

  character(len=*), parameter :: dimension_names(0:3) = ["column   ", "level    ", "interface", "stage    "]

  integer(int32), parameter :: flag_values(*) = [emagram_column_ok, emagram_column_extrapolated, &
    emagram_column_clipped, emagram_column_non_finite_input, emagram_column_invalid_input, &
    emagram_column_level_order, emagram_column_non_finite_output]

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

  !> Read this rank's part of every input, and make room for every output.
  subroutine read_columns(path, description, rank, n_rank, mine, fields, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(emagram_description), intent(in) :: description
    integer, intent(in) :: rank, n_rank
    type(share), intent(out) :: mine
    type(field_values), intent(inout) :: fields(:)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    integer :: file, dimension_id, i, ignored

    if (failed(nf90_open(trim(path), nf90_nowrite, file), "file '"//trim(path)//"'", ierr, errmsg)) return
    read_all: block
      if (failed(nf90_inq_dimid(file, "column", dimension_id), "dimension 'column'", ierr, errmsg)) exit read_all
      if (failed(nf90_inquire_dimension(file, dimension_id, len=mine%n_column), "dimension 'column'", ierr, &
        errmsg)) exit read_all
      mine%first = int(int(mine%n_column, int64)*rank/n_rank)
      mine%number = int(int(mine%n_column, int64)*(rank + 1)/n_rank) - mine%first
      do i = 1, size(fields)
        allocate (fields(i)%value(description%field(i)%size, mine%number))
        fields(i)%value = nf90_fill_double
        if (i > description%n_input) cycle
        call read_variable(file, description%field(i), mine, fields(i), ierr, errmsg)
        if (ierr /= 0) exit read_all
      end do
    end block read_all
    ignored = nf90_close(file)
  end subroutine read_columns

  subroutine read_variable(file, field, mine, input, ierr, errmsg)
    integer, intent(in) :: file
    type(emagram_field_description), intent(in) :: field
    type(share), intent(in) :: mine
    type(field_values), intent(inout) :: input
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    character(len=:), allocatable :: subject
    integer :: variable, length, scale, offset

    subject = "variable '"//field%name//"'"
    if (failed(nf90_inq_varid(file, field%name, variable), subject, ierr, errmsg)) return
    call check_dimensions(file, variable, field, ierr, errmsg)
    if (ierr /= 0) return
    scale = nf90_inquire_attribute(file, variable, "scale_factor")
    offset = nf90_inquire_attribute(file, variable, "add_offset")
    if (scale == nf90_noerr .or. offset == nf90_noerr) then
      ierr = 1
      errmsg = subject//": expected plain numbers, got packed ones (scale_factor or add_offset)"
      return
    end if
    if (failed(nf90_inquire_attribute(file, variable, "units", len=length), subject//": attribute 'units'", ierr, &
      errmsg)) return
    input%unit = repeat(" ", length)
    if (failed(nf90_get_att(file, variable, "units", input%unit), subject//": attribute 'units'", ierr, errmsg)) return
    if (mine%number == 0) return
    if (field%dimension == emagram_per_column) then
      if (failed(nf90_get_var(file, variable, input%value(1, :), start=[mine%first + 1], count=[mine%number]), &
        subject, ierr, errmsg)) return
    else
      if (failed(nf90_get_var(file, variable, input%value, start=[1, mine%first + 1], &
        count=[field%size, mine%number]), subject, ierr, errmsg)) return
    end if
  end subroutine read_variable

  !> Refuse a variable whose dimensions are not (column) or (column, level) of the model's size.
  subroutine check_dimensions(file, variable, field, ierr, errmsg)
    integer, intent(in) :: file, variable
    type(emagram_field_description), intent(in) :: field
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    character(len=:), allocatable :: expected, got
    character(len=nf90_max_name) :: name
    integer :: ids(nf90_max_var_dims), n, i, length

    if (failed(nf90_inquire_variable(file, variable, ndims=n, dimids=ids), "variable '"//field%name//"'", ierr, &
      errmsg)) return
    expected = "column"
    if (field%dimension /= emagram_per_column) expected = "column, "//trim(dimension_names(field%dimension))
    got = ""
    length = 1
    do i = n, 1, -1
      if (failed(nf90_inquire_dimension(file, ids(i), name, length), field%name, ierr, errmsg)) return
      if (i < n) got = got//", "
      got = got//trim(name)
    end do
    if (got /= expected) then
      ierr = 1
      errmsg = "variable '"//field%name//"': expected dimensions ("//expected//"), got ("//got//")"
    else if (field%dimension /= emagram_per_column .and. length /= field%size) then
      ierr = 1
      write (errmsg, "(5a, i0, a, i0)") "variable '", field%name, "': expected ", &
        trim(dimension_names(field%dimension)), " = ", field%size, ", got ", length
    end if
  end subroutine check_dimensions

  !> Write the file under a temporary name and rename it when it is complete.
  subroutine write_output(path, description, fields, budgets, reason, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(emagram_description), intent(in) :: description
    type(field_values), intent(in) :: fields(:)
    type(budget_values), intent(in) :: budgets(:)
    integer(int32), intent(in) :: reason(:)
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    character(len=:), allocatable :: temporary
    integer :: file, status, close_status, ignored

    temporary = trim(path)//".part"
    if (failed(nf90_create(temporary, ior(nf90_clobber, nf90_64bit_offset), file), "file '"//trim(path)//"'", ierr, &
      errmsg)) return
    call write_variables(file, description, fields, budgets, reason, status)
    close_status = nf90_close(file)
    if (status == nf90_noerr) status = close_status
    if (failed(status, "file '"//trim(path)//"'", ierr, errmsg)) then
      ignored = c_remove(temporary//c_null_char)
    else if (c_rename(temporary//c_null_char, trim(path)//c_null_char) /= 0) then
      ierr = 1
      errmsg = "file '"//trim(path)//"': the finished file cannot be renamed to it"
      ignored = c_remove(temporary//c_null_char)
    end if
  end subroutine write_output

  subroutine write_variables(file, description, fields, budgets, reason, status)
    integer, intent(in) :: file
    type(emagram_description), intent(in) :: description
    type(field_values), intent(in) :: fields(:)
    type(budget_values), intent(in) :: budgets(:)
    integer(int32), intent(in) :: reason(:)
    integer, intent(out) :: status !! of netCDF
    integer :: variable(size(fields) + 2 + 2*size(budgets)), i, last

    last = size(fields)
    call define(file, description, budgets, size(reason), variable, status)
    do i = description%n_input + 1, size(fields)
      if (status /= nf90_noerr) return
      if (description%field(i)%dimension == emagram_per_column) then
        status = nf90_put_var(file, variable(i), fields(i)%value(1, :))
      else
        status = nf90_put_var(file, variable(i), fields(i)%value)
      end if
    end do
    if (status == nf90_noerr) status = nf90_put_var(file, variable(last + 1), reason)
    if (status == nf90_noerr) status = nf90_put_var(file, variable(last + 2), [(i, i=0, n_stage - 1)])
    do i = 1, size(budgets)
      if (status == nf90_noerr) status = nf90_put_var(file, variable(last + 1 + 2*i), budgets(i)%residual)
      if (status == nf90_noerr) status = nf90_put_var(file, variable(last + 2 + 2*i), budgets(i)%unmet)
    end do
  end subroutine write_variables

  !> Dimensions, variables and attributes, after CF-1.8.
  subroutine define(file, description, budgets, n_column, variable, status)
    integer, intent(in) :: file
    type(emagram_description), intent(in) :: description
    type(budget_values), intent(in) :: budgets(:)
    integer, intent(in) :: n_column
    integer, intent(out) :: variable(:) !! of each field, then of emagram_status and stage, then two of each budget
    integer, intent(out) :: status !! of netCDF
    integer :: dimension_id(0:3), length(0:3), i, last

    length = [n_column, description%n_level, description%n_level + 1, n_stage]
    status = nf90_noerr
    do i = 0, 3
      call keep_first(status, nf90_def_dim(file, trim(dimension_names(i)), length(i), dimension_id(i)))
    end do
    do i = description%n_input + 1, size(description%field)
      associate (field => description%field(i))
        if (field%dimension == emagram_per_column) then
          call keep_first(status, nf90_def_var(file, field%name, nf90_double, dimension_id(0), variable(i)))
        else
          call keep_first(status, nf90_def_var(file, field%name, nf90_double, &
            [dimension_id(field%dimension), dimension_id(0)], variable(i)))
        end if
        call keep_first(status, nf90_put_att(file, variable(i), "_FillValue", nf90_fill_double))
        call keep_first(status, nf90_put_att(file, variable(i), "units", field%unit))
        call keep_first(status, nf90_put_att(file, variable(i), "long_name", spaced(field%name)))
      end associate
    end do
    last = size(description%field) + 1
    call keep_first(status, nf90_def_var(file, "emagram_status", nf90_int, dimension_id(0), variable(last)))
    call keep_first(status, nf90_put_att(file, variable(last), "long_name", "what befell the column in the emulator"))
    call keep_first(status, nf90_put_att(file, variable(last), "flag_values", flag_values))
    call keep_first(status, nf90_put_att(file, variable(last), "flag_meanings", "ok extrapolated clipped "// &
      "non_finite_input invalid_input level_order non_finite_output"))
    call define_budgets(file, budgets, dimension_id(0), dimension_id(3), variable(last + 1:), status)
    call keep_first(status, nf90_put_att(file, nf90_global, "Conventions", "CF-1.8"))
    call keep_first(status, nf90_put_att(file, nf90_global, "source", "Emagram model '"//description%name//"'"))
    call keep_first(status, nf90_put_att(file, nf90_global, "emagram_model_sha256", description%sha256))
    call keep_first(status, nf90_enddef(file))
  end subroutine define

  !> What the stages mean, then the residual of each budget and where it is unmet.
  subroutine define_budgets(file, budgets, column, stage, variable, status)
    integer, intent(in) :: file
    type(budget_values), intent(in) :: budgets(:)
    integer, intent(in) :: column, stage !! numbers of dimensions
    integer, intent(inout) :: variable(:)
    integer, intent(inout) :: status !! of netCDF
    integer :: i

    call keep_first(status, nf90_def_var(file, "stage", nf90_int, stage, variable(1)))
    call keep_first(status, nf90_put_att(file, variable(1), "long_name", "when a residual was measured"))
    call keep_first(status, nf90_put_att(file, variable(1), "flag_values", [(int(i, int32), i=0, n_stage - 1)]))
    call keep_first(status, nf90_put_att(file, variable(1), "flag_meanings", "predicted before after returned"))
    do i = 1, size(budgets)
      associate (about => budgets(i)%about, residual => variable(2*i), unmet => variable(2*i + 1))
        call keep_first(status, nf90_def_var(file, "residual_of_"//about%name, nf90_double, [stage, column], residual))
        call keep_first(status, nf90_put_att(file, residual, "_FillValue", nf90_fill_double))
        call keep_first(status, nf90_put_att(file, residual, "units", about%unit))
        call keep_first(status, nf90_put_att(file, residual, "long_name", "residual of "//spaced(about%name)))
        call keep_first(status, nf90_def_var(file, "unmet_"//about%name, nf90_int, column, unmet))
        call keep_first(status, nf90_put_att(file, unmet, "long_name", "whether "//spaced(about%name)//" is unmet"))
        call keep_first(status, nf90_put_att(file, unmet, "flag_values", [0_int32, 1_int32]))
        call keep_first(status, nf90_put_att(file, unmet, "flag_meanings", "met unmet"))
      end associate
    end do
  end subroutine define_budgets

  pure subroutine keep_first(status, next)
    integer, intent(inout) :: status
    integer, intent(in) :: next

    if (status == nf90_noerr) status = next
  end subroutine keep_first

  pure function spaced(name) result(text)
    character(len=*), intent(in) :: name
    character(len=len(name)) :: text
    integer :: i

    do i = 1, len(name)
      text(i:i) = merge(" ", name(i:i), name(i:i) == "_")
    end do
  end function spaced

  !> Turn the status of a netCDF call into ierr and one sentence about `subject`.
  function failed(status, subject, ierr, errmsg)
    integer, intent(in) :: status
    character(len=*), intent(in) :: subject
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    logical :: failed

    failed = status /= nf90_noerr
    ierr = merge(1, 0, failed)
    errmsg = ""
    if (failed) errmsg = subject//": "//trim(nf90_strerror(status))
  end function failed

end module columns_file
