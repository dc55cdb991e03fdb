!> Global fixers of a run: after each step, what water and energy the columns gained beyond what their fluxes brought is
!> taken out in the mean over the globe, and fixers.csv says how much that was.
!!
!! With every column closed nothing is left to take. Vapour is scaled first, which takes its latent heat along, then
!! all air is heated alike. Surface pressure stays in this host and pressure counts moist air, so that dry air makes
!! room for what evaporates: there is no dry mass to fix, and its change is only accounted.
module host_fixers
  use emagram_constants, only: gravity, heat_capacity_dry_air, latent_heat_fusion, latent_heat_vaporization
  use emagram_fixers, only: emagram_correction, emagram_fix_energy, emagram_fix_water, emagram_globe
  use emagram_kinds, only: rk
  use host_clock, only: clock
  use host_columns, only: check_state, column_block, gap_of_energy, gap_of_water, rank_columns
  use host_fields, only: air_temperature, area, specific_humidity, water_input
  use host_files, only: remove_file, rename_file
  use host_parallel, only: agree, this_rank
  use host_settings, only: fixer_settings
  use mpi_f08, only: MPI_COMM_WORLD
  implicit none (type, external)
  private

  character(len=*), parameter :: head = "step,residual_before_water_kg_m2_s,residual_after_water_kg_m2_s," &
    //"correction_water_kg_m2_s,vapor_growth_s,residual_before_energy_w_m2,residual_after_energy_w_m2," &
    //"correction_energy_w_m2,heating_k_s,dry_air_gain_kg_m2_s"
  integer, parameter :: n_value = 9, line_length = 256

  !> The fixers of this rank's columns, and what they did since the file was last written.
  type, public :: rank_fixers
    logical :: is_on = .false.
    type(fixer_settings) :: settings
    type(emagram_globe) :: globe
    real(rk), allocatable :: interface_pressure(:, :) !! [Pa] (n_level + 1, n_column)
    real(rk), allocatable :: done(:, :) !! (n_value, steps since then)
  contains
    procedure :: open => open_fixers
    procedure :: fix, write_steps
  end type rank_fixers

contains

  !> Weigh the columns, and keep the lines of the steps that were done; collective.
  subroutine open_fixers(self, path, settings, columns, now, ierr, errmsg)
    class(rank_fixers), intent(inout) :: self
    character(len=*), intent(in) :: path !! of fixers.csv
    type(fixer_settings), intent(in) :: settings
    type(rank_columns), intent(in) :: columns
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: weight(columns%share%number)
    integer :: i
    if (ierr /= 0 .or. .not. (settings%water .or. settings%energy)) return
    self%settings = settings
    allocate (self%interface_pressure(columns%n_level + 1, columns%share%number), self%done(n_value, 0))
    do i = 1, size(columns%block)
      associate (block => columns%block(i), from => columns%block(i)%first - columns%share%first)
        weight(from + 1:from + block%n_column) = block%scalar(:, area)
        self%interface_pressure(:, from + 1:from + block%n_column) = block%interface_pressure
      end associate
    end do
    call self%globe%new(MPI_COMM_WORLD, weight, gravity, heat_capacity_dry_air, ierr, errmsg)
    if (this_rank() == 0 .and. ierr == 0) call begin_file(path, now, ierr, errmsg)
    call agree(ierr, errmsg)
    self%is_on = ierr == 0
  end subroutine open_fixers

  !> The head, and as many lines of the file that is there as steps were done.
  subroutine begin_file(path, now, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=256) :: reason
    character(len=line_length) :: line
    integer :: old, new, status, i
    open (newunit=new, file=path//".part", status="replace", action="write", iostat=status, iomsg=reason)
    if (status == 0) write (new, "(a)", iostat=status, iomsg=reason) head
    if (status == 0 .and. now%step > 0) then
      open (newunit=old, file=path, status="old", action="read", iostat=status, iomsg=reason)
      if (status == 0) read (old, "(a)", iostat=status, iomsg=reason) line
      do i = 1, int(now%step)
        if (status == 0) read (old, "(a)", iostat=status, iomsg=reason) line
        if (status == 0) write (new, "(a)", iostat=status, iomsg=reason) trim(line)
      end do
      if (status == 0) close (old, iostat=status, iomsg=reason)
    end if
    if (status == 0) close (new, iostat=status, iomsg=reason)
    if (status /= 0) then
      ierr = 1
      write (errmsg, "(3a, i0, 2a)") "file '", path, "': expected the lines of ", now%step, &
        " steps that were done, got '", trim(reason)//"'"
    end if
    call rename_file(path//".part", path, ierr, errmsg)
    if (ierr /= 0) call remove_file(path//".part")
  end subroutine begin_file

  !> Take out of the state after a step what is left of its budgets; collective.
  subroutine fix(self, columns, now, ierr, errmsg)
    class(rank_fixers), intent(inout) :: self
    type(rank_columns), intent(inout) :: columns
    type(clock), intent(in) :: now !! at the begin of the step
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(emagram_correction) :: water, energy
    real(rk) :: dry_gain
    if (ierr /= 0) return
    call fix_water(self, columns, real(now%time_step, rk), water, ierr, errmsg)
    if (ierr == 0) call fix_energy(self, columns, real(now%time_step, rk), energy, ierr, errmsg)
    if (ierr == 0) call account_dry_air(self, columns, dry_gain, ierr, errmsg)
    if (ierr /= 0) then
      errmsg = "global fixers in the step of "//now%date()//": "//trim(errmsg)
      return
    end if
    self%done = reshape([self%done, water%before, water%after, water%size, water%scale, energy%before, energy%after, &
      energy%size, energy%scale, dry_gain], [n_value, size(self%done, 2) + 1])
    call check_columns(columns, now, ierr, errmsg)
  end subroutine fix

  subroutine fix_water(self, columns, dt, correction, ierr, errmsg)
    type(rank_fixers), intent(in) :: self
    type(rank_columns), intent(inout) :: columns
    real(rk), intent(in) :: dt
    type(emagram_correction), intent(out) :: correction
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk), dimension(columns%n_level, columns%share%number) :: vapor, rate
    real(rk), allocatable :: gain(:)
    integer :: b
    if (.not. self%settings%water) then
      call self%globe%mean("water", left_over(columns, gap_of_water), correction%before, ierr, errmsg)
      correction%after = correction%before
      return
    end if
    do b = 1, size(columns%block)
      associate (block => columns%block(b), from => columns%block(b)%first - columns%share%first)
        vapor(:, from + 1:from + block%n_column) = block%profile(:, :, specific_humidity)
      end associate
    end do
    rate = 0.0_rk
    call emagram_fix_water(self%globe, self%interface_pressure, vapor, left_over(columns, gap_of_water), dt, rate, &
      correction, ierr, errmsg)
    if (ierr /= 0) return
    do b = 1, size(columns%block)
      associate (block => columns%block(b), from => columns%block(b)%first - columns%share%first)
        gain = applied(block, rate(:, from + 1:from + block%n_column), dt, specific_humidity)
        block%gap(:, gap_of_water) = block%gap(:, gap_of_water) + gain
        block%gap(:, gap_of_energy) = block%gap(:, gap_of_energy) &
          + (latent_heat_vaporization + latent_heat_fusion)*gain
      end associate
    end do
    call self%globe%mean("water", left_over(columns, gap_of_water), correction%after, ierr, errmsg)
  end subroutine fix_water

  subroutine fix_energy(self, columns, dt, correction, ierr, errmsg)
    type(rank_fixers), intent(in) :: self
    type(rank_columns), intent(inout) :: columns
    real(rk), intent(in) :: dt
    type(emagram_correction), intent(out) :: correction
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: heating(columns%n_level, columns%share%number)
    integer :: b
    if (.not. self%settings%energy) then
      call self%globe%mean("energy", left_over(columns, gap_of_energy), correction%before, ierr, errmsg)
      correction%after = correction%before
      return
    end if
    heating = 0.0_rk
    call emagram_fix_energy(self%globe, self%interface_pressure, left_over(columns, gap_of_energy), heating, &
      correction, ierr, errmsg)
    if (ierr /= 0) return
    do b = 1, size(columns%block)
      associate (block => columns%block(b), from => columns%block(b)%first - columns%share%first)
        block%gap(:, gap_of_energy) = block%gap(:, gap_of_energy) + heat_capacity_dry_air &
          *applied(block, heating(:, from + 1:from + block%n_column), dt, air_temperature)
      end associate
    end do
    call self%globe%mean("energy", left_over(columns, gap_of_energy), correction%after, ierr, errmsg)
  end subroutine fix_energy

  !> Step a state of a block by a rate; what its columns gained per time, as the rounded state has it, by mass.
  function applied(block, rate, dt, number) result(gain)
    type(column_block), intent(inout) :: block
    real(rk), intent(in) :: rate(:, :), dt
    integer, intent(in) :: number !! of the state
    real(rk) :: gain(block%n_column), old
    integer :: i, k
    gain = 0.0_rk
    do i = 1, block%n_column
      do k = 1, block%n_level
        old = block%profile(k, i, number)
        block%profile(k, i, number) = old + dt*rate(k, i)
        gain(i) = gain(i) + (block%profile(k, i, number) - old)/dt*(block%interface_pressure(k + 1, i) &
          - block%interface_pressure(k, i))/gravity
      end do
    end do
  end function applied

  !> [kg m-2 s-1] what dry air gains in the mean, which is what all water loses.
  subroutine account_dry_air(self, columns, gain, ierr, errmsg)
    type(rank_fixers), intent(in) :: self
    type(rank_columns), intent(in) :: columns
    real(rk), intent(out) :: gain
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: water(columns%share%number)
    integer :: b
    water = left_over(columns, gap_of_water)
    do b = 1, size(columns%block)
      associate (block => columns%block(b), from => columns%block(b)%first - columns%share%first)
        water(from + 1:from + block%n_column) = water(from + 1:from + block%n_column) + block%scalar(:, water_input)
      end associate
    end do
    call self%globe%mean("water", water, gain, ierr, errmsg)
    gain = -gain
  end subroutine account_dry_air

  !> One of the gaps of all columns of this rank.
  pure function left_over(columns, number) result(values)
    type(rank_columns), intent(in) :: columns
    integer, intent(in) :: number
    real(rk) :: values(columns%share%number)
    integer :: b, from
    do b = 1, size(columns%block)
      from = columns%block(b)%first - columns%share%first
      values(from + 1:from + columns%block(b)%n_column) = columns%block(b)%gap(:, number)
    end do
  end function left_over

  subroutine check_columns(columns, now, ierr, errmsg)
    type(rank_columns), intent(inout) :: columns
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: b
    do b = 1, size(columns%block)
      call check_state(columns%block(b), "fixers", "after global fixers in the step of "//now%date(), ierr, errmsg)
    end do
  end subroutine check_columns

  !> Add the lines of the steps up to now; collective.
  subroutine write_steps(self, path, now, ierr, errmsg)
    class(rank_fixers), intent(inout) :: self
    character(len=*), intent(in) :: path
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=256) :: reason
    integer :: unit, status, i, n
    if (.not. self%is_on) return
    n = size(self%done, 2)
    if (this_rank() == 0 .and. ierr == 0) then
      open (newunit=unit, file=path, status="old", position="append", action="write", iostat=status, iomsg=reason)
      do i = 1, n
        if (status == 0) write (unit, "(i0, *(:, ',', es16.9e2))", iostat=status, iomsg=reason) &
          now%step - n + i, self%done(:, i)
      end do
      if (status == 0) close (unit, iostat=status, iomsg=reason)
      if (status /= 0) then
        ierr = 1
        errmsg = "file '"//path//"': "//trim(reason)
      end if
    end if
    call agree(ierr, errmsg)
    self%done = self%done(:, :0)
  end subroutine write_steps
end module host_fixers
