!> The columns of a rank, in blocks that fit a core's cache, and how they are gathered, scattered and checked.
module host_columns
  use emagram_kinds, only: rk
  use host_fields, only: field_name, latitude, longitude, n_process, n_profile, n_scalar_in_all, n_state, &
    scalar_names, state_names, surface_temperature
  use host_files, only: netcdf_file
  use host_parallel, only: agree, column_share, gather, scatter, this_rank
  implicit none (type, external)
  private

  integer, parameter, public :: mode_period = 1, mode_phase = 2, mode_half_waves = 3, mode_omega = 4, &
    mode_temperature = 5, mode_humidity = 6
  integer, parameter, public :: n_mode_property = 6
  type(field_name), parameter, public :: mode_names(n_mode_property) = [ &
    field_name("forcing_period", "s"), &
    field_name("forcing_phase", "radian"), &
    field_name("forcing_half_waves", "1"), &
    field_name("forcing_vertical_velocity", "Pa s-1"), &
    field_name("forcing_heating", "K s-1"), &
    field_name("forcing_relative_moistening", "s-1")]

  real(rk), parameter :: smallest(n_state) = [100.0_rk, 0.0_rk, 0.0_rk, 0.0_rk, -400.0_rk, -400.0_rk]
  real(rk), parameter :: greatest(n_state) = [400.0_rk, 0.1_rk, 0.1_rk, 0.1_rk, 400.0_rk, 400.0_rk]
  real(rk), parameter :: coldest = 100.0_rk, warmest = 400.0_rk !! [K] surface

  !> Where a state left its bounds.
  type, public :: state_fault
    logical :: is_there = .false.
    integer :: column = 0 !! 0 first
    integer :: level = -1 !! 0 first; -1 for a quantity of the surface
    character(len=48) :: variable = ""
    real(rk) :: value = 0.0_rk, smallest = 0.0_rk, greatest = 0.0_rk
    real(rk) :: latitude = 0.0_rk, longitude = 0.0_rk
    character(len=16) :: after = "" !! the part of the step
  end type state_fault

  !> Some columns, with everything that a step of them needs. Level 1 is the model top.
  type, public :: column_block
    integer :: first = 0 !! columns of the run before these
    integer :: n_column = 0
    integer :: n_level = 0
    real(rk), allocatable :: interface_pressure(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), allocatable :: profile(:, :, :) !! (n_level, n_column, n_profile), see host_fields
    real(rk), allocatable :: scalar(:, :) !! (n_column, n_scalar_in_all), see host_fields
    real(rk), allocatable :: mode(:, :, :) !! (n_mode, n_column, n_mode_property) of the large-scale forcing
    real(rk), allocatable :: rate(:, :, :) !! (n_level, n_column, n_state) of the part of the step at work
    real(rk), allocatable :: energy(:), water(:) !! [W m-2], [kg m-2 s-1] (n_column) into the columns by its fluxes
    real(rk), allocatable :: total(:, :, :) !! as rate, of all parts so far; summed only where it is allocated
    real(rk) :: residual(2, n_process) = 0.0_rk !! largest of the day: energy [W m-2], water [kg m-2 s-1]
    real(rk) :: residual_before(2) = 0.0_rk !! the same of the emulator before its constraints
    real(rk) :: largest_filling = 1.0e-15_rk !! [kg kg-1] of water below zero that is filled up; more is an error
    type(state_fault) :: fault
  end type column_block

  !> The columns of this rank.
  type, public :: rank_columns
    type(column_share) :: share
    integer :: n_level = 0
    integer :: n_mode = 0
    real(rk), allocatable :: hyai(:), hybi(:) !! [1] (n_level + 1)
    real(rk) :: p0 = 0.0_rk !! [Pa]
    type(column_block), allocatable :: block(:)
  contains
    procedure :: make_blocks, gather_profile, gather_scalar, read_profile, read_scalar, read_mode
  end type rank_columns

  public :: check_state, check_surface

contains

  subroutine make_blocks(self, chunk)
    class(rank_columns), intent(inout) :: self
    integer, intent(in) :: chunk !! columns in a block
    integer :: i, n
    allocate (self%block((self%share%number + chunk - 1)/chunk))
    do i = 1, size(self%block)
      associate (block => self%block(i))
        block%first = self%share%first + (i - 1)*chunk
        n = min(chunk, self%share%first + self%share%number - block%first)
        block%n_column = n
        block%n_level = self%n_level
        allocate (block%interface_pressure(self%n_level + 1, n), source=0.0_rk)
        allocate (block%profile(self%n_level, n, n_profile), source=0.0_rk)
        allocate (block%scalar(n, n_scalar_in_all), source=0.0_rk)
        allocate (block%rate(self%n_level, n, n_state), block%energy(n), block%water(n), source=0.0_rk)
        allocate (block%mode(self%n_mode, n, n_mode_property), source=0.0_rk)
      end associate
    end do
  end subroutine make_blocks

  !> A profile of all columns on rank 0, (n_level, n_column); collective.
  subroutine gather_profile(self, number, whole)
    class(rank_columns), intent(in) :: self
    integer, intent(in) :: number
    real(rk), allocatable, intent(out) :: whole(:, :)
    real(rk), allocatable :: mine(:, :)
    integer :: i, from
    allocate (mine(self%n_level, self%share%number))
    do i = 1, size(self%block)
      from = self%block(i)%first - self%share%first
      mine(:, from + 1:from + self%block(i)%n_column) = self%block(i)%profile(:, :, number)
    end do
    allocate (whole(self%n_level, merge(self%share%n_column, 0, this_rank() == 0)))
    call gather(self%share, mine, whole)
  end subroutine gather_profile

  !> A scalar of all columns on rank 0, (n_column); collective.
  subroutine gather_scalar(self, number, whole)
    class(rank_columns), intent(in) :: self
    integer, intent(in) :: number
    real(rk), allocatable, intent(out) :: whole(:)
    real(rk), allocatable :: mine(:, :), gathered(:, :)
    integer :: i, from
    allocate (mine(1, self%share%number))
    do i = 1, size(self%block)
      from = self%block(i)%first - self%share%first
      mine(1, from + 1:from + self%block(i)%n_column) = self%block(i)%scalar(:, number)
    end do
    allocate (gathered(1, merge(self%share%n_column, 0, this_rank() == 0)))
    call gather(self%share, mine, gathered)
    whole = gathered(1, :)
  end subroutine gather_scalar

  !> A variable (column, level) of a file open on rank 0 into a profile of every rank; collective.
  subroutine read_profile(self, file, name, number, ierr, errmsg)
    class(rank_columns), intent(inout) :: self
    type(netcdf_file), intent(in) :: file
    type(field_name), intent(in) :: name
    integer, intent(in) :: number
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: mine(:, :)
    integer :: i, from
    if (ierr /= 0) return
    call read_share(self%share, file, name, self%n_level, mine, ierr, errmsg)
    if (ierr /= 0) return
    do i = 1, size(self%block)
      from = self%block(i)%first - self%share%first
      self%block(i)%profile(:, :, number) = mine(:, from + 1:from + self%block(i)%n_column)
    end do
  end subroutine read_profile

  !> The same of a variable (column, mode).
  subroutine read_mode(self, file, number, ierr, errmsg)
    class(rank_columns), intent(inout) :: self
    type(netcdf_file), intent(in) :: file
    integer, intent(in) :: number
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: mine(:, :)
    integer :: i, from
    if (ierr /= 0) return
    call read_share(self%share, file, mode_names(number), self%n_mode, mine, ierr, errmsg)
    if (ierr /= 0) return
    do i = 1, size(self%block)
      from = self%block(i)%first - self%share%first
      self%block(i)%mode(:, :, number) = mine(:, from + 1:from + self%block(i)%n_column)
    end do
  end subroutine read_mode

  !> The same of a variable (column), into a scalar.
  subroutine read_scalar(self, file, number, ierr, errmsg)
    class(rank_columns), intent(inout) :: self
    type(netcdf_file), intent(in) :: file
    integer, intent(in) :: number
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: mine(:, :)
    integer :: i, from
    if (ierr /= 0) return
    call read_share(self%share, file, scalar_names(number), 0, mine, ierr, errmsg)
    if (ierr /= 0) return
    do i = 1, size(self%block)
      from = self%block(i)%first - self%share%first
      self%block(i)%scalar(:, number) = mine(1, from + 1:from + self%block(i)%n_column)
    end do
  end subroutine read_scalar

  !> Read on rank 0, agree, scatter.
  subroutine read_share(share, file, name, n, mine, ierr, errmsg)
    type(column_share), intent(in) :: share
    type(netcdf_file), intent(in) :: file
    type(field_name), intent(in) :: name
    integer, intent(in) :: n !! values in a column, 0 for a variable (column)
    real(rk), allocatable, intent(out) :: mine(:, :)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), allocatable :: whole(:, :)
    allocate (whole(max(n, 1), merge(share%n_column, 0, this_rank() == 0)))
    if (this_rank() == 0 .and. n == 0) call file%read(name%name, whole(1, :), ierr, errmsg)
    if (this_rank() == 0 .and. n > 0) call file%read(name%name, whole, ierr, errmsg)
    call agree(ierr, errmsg)
    if (ierr /= 0) return
    allocate (mine(max(n, 1), share%number))
    call scatter(share, whole, mine)
  end subroutine read_share

  !> Refuse a state that is not finite or no atmosphere's, naming the first column that is, its level and variable
  !! (column 0, level 0 first).
  subroutine check_state(block, after, place, ierr, errmsg)
    type(column_block), intent(inout) :: block
    character(len=*), intent(in) :: after !! the part of a step
    character(len=*), intent(in) :: place !! in words, when that was
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i, at(2), first
    if (ierr /= 0) return
    first = block%n_column + 1
    do i = 1, n_state
      if (all(block%profile(:, :, i) >= smallest(i) .and. block%profile(:, :, i) <= greatest(i))) cycle
      at = findloc(.not. (block%profile(:, :, i) >= smallest(i) .and. block%profile(:, :, i) <= greatest(i)), .true.)
      if (at(2) >= first) cycle
      first = at(2)
      block%fault = state_fault(.true., block%first + at(2) - 1, at(1) - 1, state_names(i)%name, &
        block%profile(at(1), at(2), i), smallest(i), greatest(i))
    end do
    if (block%fault%is_there) call report_fault(block, after, place, ierr, errmsg)
    call check_surface(block, after, place, ierr, errmsg)
  end subroutine check_state

  !> The same of the surface alone.
  subroutine check_surface(block, after, place, ierr, errmsg)
    type(column_block), intent(inout) :: block
    character(len=*), intent(in) :: after !! the part of a step
    character(len=*), intent(in) :: place !! in words, when that was
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: at
    if (ierr /= 0) return
    associate (ts => block%scalar(:, surface_temperature))
      at = findloc(.not. (ts >= coldest .and. ts <= warmest), .true., dim=1)
      if (at == 0) return
      block%fault = state_fault(.true., block%first + at - 1, -1, "surface_temperature", ts(at), coldest, warmest)
    end associate
    call report_fault(block, after, place, ierr, errmsg)
  end subroutine check_surface

  !> The part of the step, the place and a sentence.
  subroutine report_fault(block, after, place, ierr, errmsg)
    type(column_block), intent(inout) :: block
    character(len=*), intent(in) :: after, place
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: at
    at = block%fault%column - block%first + 1
    block%fault%after = after
    block%fault%latitude = block%scalar(at, latitude)
    block%fault%longitude = block%scalar(at, longitude)
    ierr = 1
    errmsg = sentence_of(block%fault, place)
  end subroutine report_fault

  pure function sentence_of(fault, place) result(sentence)
    type(state_fault), intent(in) :: fault
    character(len=*), intent(in) :: place
    character(len=512) :: sentence
    character(len=24) :: level, lat, lon
    write (lat, "(f8.2)") fault%latitude
    write (lon, "(f8.2)") fault%longitude
    level = ""
    if (fault%level >= 0) write (level, "(a, i0)") " at level ", fault%level
    write (sentence, "(a, i0, 9a, 3(a, es12.4))") "column ", fault%column, " (lat ", trim(adjustl(lat)), ", lon ", &
      trim(adjustl(lon)), ") ", place, ": expected ", trim(fault%variable), trim(level), " from", &
      fault%smallest, " to", fault%greatest, ", got", fault%value
  end function sentence_of
end module host_columns
