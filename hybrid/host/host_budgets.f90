!> budgets.csv: for every day the global means of what enters and leaves the columns, and the largest residuals.
!!
!! residual_… of a process: float64 sum of its rates against the fluxes it reported, the largest of all columns and
!! steps. closure_state_…: what the total energy and water of a column gained over the day against all that was
!! reported to enter it, which rounding of the totals alone makes about 1e-9 W m-2. residual_before_…: of the emulator,
!! merged with the host's physics where it is, before its constraints. budget_…: of each budget of the model, in how
!! many columns and steps it was unmet, and its largest residuals just before and just after its own constraint.
module host_budgets
  use, intrinsic :: iso_fortran_env, only: int64
  use emagram_budgets_kernels, only: column_totals_kernel
  use emagram_constants, only: latent_heat_fusion, latent_heat_vaporization
  use emagram_kinds, only: ik, rk
  use host_clock, only: clock, seconds_per_day
  use host_columns, only: column_block, rank_columns
  use host_emulator, only: rank_emulator
  use host_fields, only: air_temperature, area, cape, cloud_ice, cloud_liquid, eastward_wind, &
    emulator_extrapolated, emulator_rejected, energy_at_dawn, energy_input, evaporation, field_name, filled_water, &
    forcing_energy, forcing_water, limited_water, n_process, n_scalar, northward_wind, precipitation, &
    process_names, sensible_heat, snowfall, specific_humidity, sum_of_day, surface_downwelling_longwave, &
    surface_net_shortwave, surface_relaxation, surface_temperature, surface_upwelling_longwave, toa_net_shortwave, &
    toa_outgoing_longwave, water_at_dawn, water_input
  use host_files, only: remove_file, rename_file
  use host_parallel, only: add_up, agree, largest, this_rank
  implicit none (type, external)
  private
  public :: begin_budgets, take_dawn_totals, write_budgets

  character(len=*), parameter :: means(*) = [character(len=40) :: "toa_net_downward_flux_w_m2", &
    "toa_outgoing_longwave_flux_w_m2", "surface_net_downward_flux_w_m2", "surface_temperature_k", &
    "precipitation_mm_day", "evaporation_mm_day", "snowfall_mm_day", "cape_j_kg", "forcing_energy_w_m2", &
    "forcing_water_mm_day", "withheld_water_mm_day", "filled_water_mm_day", "surface_relaxation_w_m2", &
    "emulator_rejected_fraction", "emulator_extrapolated_fraction"]
  integer, parameter :: cell_length = 24 !! of a number

contains

  !> The head of a new file, and the lines of the days that were done; collective.
  subroutine begin_budgets(path, budget, now, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(field_name), intent(in), optional :: budget(:) !! of the model, where there is one
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=:), allocatable :: heading
    heading = head(budget)
    if (this_rank() == 0) call begin_lines(path, heading, max(len(heading), cell_length*(1 + count_of(heading, ","))), &
      now, ierr, errmsg)
    call agree(ierr, errmsg)
  end subroutine begin_budgets

  subroutine begin_lines(path, heading, length, now, ierr, errmsg)
    character(len=*), intent(in) :: path, heading
    integer, intent(in) :: length !! of the longest line
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=length), allocatable :: lines(:)
    allocate (lines(0:now%day()))
    if (now%step > 0) call read_lines(path, lines, ierr, errmsg)
    lines(0) = heading
    call write_lines(path//".part", lines, ierr, errmsg)
    call rename_file(path//".part", path, ierr, errmsg)
    if (ierr /= 0) call remove_file(path//".part")
  end subroutine begin_lines

  subroutine read_lines(path, lines, ierr, errmsg)
    character(len=*), intent(in) :: path
    character(len=*), intent(inout) :: lines(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=256) :: reason
    integer :: unit, status, i
    if (ierr /= 0) return
    open (newunit=unit, file=path, status="old", action="read", iostat=status, iomsg=reason)
    do i = 1, size(lines)
      if (status == 0) read (unit, "(a)", iostat=status, iomsg=reason) lines(i)
    end do
    if (status == 0) close (unit, iostat=status, iomsg=reason)
    if (status == 0) return
    ierr = 1
    write (errmsg, "(3a, i0, 2a)") "file '", path, "': expected the lines of ", size(lines) - 1, &
      " days that were done, got '", trim(reason)//"'"
  end subroutine read_lines

  subroutine write_lines(path, lines, ierr, errmsg)
    character(len=*), intent(in) :: path
    character(len=*), intent(in) :: lines(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=256) :: reason
    integer :: unit, status, i
    if (ierr /= 0) return
    open (newunit=unit, file=path, status="replace", action="write", iostat=status, iomsg=reason)
    do i = 1, size(lines)
      if (status == 0) write (unit, "(a)", iostat=status, iomsg=reason) trim(lines(i))
    end do
    if (status == 0) close (unit, iostat=status, iomsg=reason)
    if (status == 0) return
    ierr = 1
    errmsg = "file '"//path//"': "//trim(reason)
  end subroutine write_lines

  pure function count_of(text, character) result(number)
    character(len=*), intent(in) :: text
    character, intent(in) :: character
    integer :: number, i
    number = count([(text(i:i) == character, i=1, len(text))])
  end function count_of

  function head(budget) result(line)
    type(field_name), intent(in), optional :: budget(:)
    character(len=:), allocatable :: line
    integer :: i
    line = "day"
    do i = 1, size(means)
      line = line//","//trim(means(i))
    end do
    line = line//",closure_state_energy_w_m2,closure_state_water_kg_m2_s"
    line = line//",residual_before_energy_w_m2,residual_before_water_kg_m2_s"
    do i = 1, n_process
      line = line//",residual_energy_w_m2_"//trim(process_names(i))//",residual_water_kg_m2_s_"//trim(process_names(i))
    end do
    if (.not. present(budget)) return
    do i = 1, size(budget)
      line = line//",budget_unmet_"//trim(budget(i)%name)//",budget_before_"//trim(budget(i)%name)//"_" &
        //in_names(budget(i)%unit)//",budget_after_"//trim(budget(i)%name)//"_"//in_names(budget(i)%unit)
    end do
  end function head

  !> A unit as it stands in names: W m-2 as w_m2, kg m-2 s-1 as kg_m2_s.
  pure function in_names(name) result(text)
    character(len=*), intent(in) :: name
    character(len=:), allocatable :: text
    character(len=len(name) + 1) :: unit
    integer :: i
    text = ""
    unit = name
    do i = 1, len_trim(unit)
      select case (unit(i:i))
      case ("A":"Z")
        text = text//achar(iachar(unit(i:i)) + 32)
      case (" ")
        text = text//"_"
      case ("a":"z", "0":"9")
        if (unit(max(i - 1, 1):i) == "-1" .and. unit(i + 1:i + 1) == " ") cycle
        text = text//unit(i:i)
      case default ! signs and points
      end select
    end do
  end function in_names

  !> Add the line of the day that ends now; collective.
  subroutine write_budgets(path, columns, emulator, now, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(rank_columns), intent(inout) :: columns
    type(rank_emulator), intent(inout) :: emulator
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    real(rk) :: residual(2, n_process + 2), mean(n_scalar)
    character(len=:), allocatable :: of_model
    character(len=256) :: reason
    integer :: unit, status, i
    residual = 0.0_rk
    do i = 1, size(columns%block)
      associate (block => columns%block(i))
        residual(:, :n_process) = max(residual(:, :n_process), block%residual)
        residual(:, n_process + 1) = max(residual(:, n_process + 1), &
          state_residual(block, real(now%steps_per_day(), rk)))
        residual(:, n_process + 2) = max(residual(:, n_process + 2), block%residual_before)
        block%residual = 0.0_rk
        block%residual_before = 0.0_rk
        call take_dawn_totals(block)
      end associate
    end do
    call largest(residual)
    call day_means(columns, now, mean)
    call close_ledgers(emulator, of_model)
    if (this_rank() == 0 .and. ierr == 0) then
      open (newunit=unit, file=path, status="old", position="append", action="write", iostat=status, iomsg=reason)
      if (status == 0) write (unit, "(i0, *(:, ',', es16.9e2))", advance="no", iostat=status, iomsg=reason) now%day(), &
        in_order(mean), residual(:, n_process + 1:), residual(:, :n_process)
      if (status == 0) write (unit, "(a)", iostat=status, iomsg=reason) of_model
      if (status == 0) close (unit, iostat=status, iomsg=reason)
      if (status /= 0) then
        ierr = 1
        errmsg = "file '"//path//"': "//trim(reason)
      end if
    end if
    call agree(ierr, errmsg)
  end subroutine write_budgets

  !> The cells of the model's budgets, and a new day for them; collective.
  subroutine close_ledgers(emulator, cells)
    type(rank_emulator), intent(inout) :: emulator
    character(len=:), allocatable, intent(out) :: cells
    character(len=3*cell_length) :: three
    real(rk), allocatable :: greatest(:, :)
    integer(int64), allocatable :: unmet(:)
    integer :: i
    cells = ""
    if (.not. emulator%is_on) return
    allocate (greatest(2, size(emulator%budget)), source=0.0_rk)
    allocate (unmet(size(emulator%budget)), source=0_int64)
    do i = 1, size(emulator%block)
      greatest = max(greatest, emulator%block(i)%ledger%largest)
      unmet = unmet + emulator%block(i)%ledger%n_unmet
      call emulator%block(i)%ledger%begin_day()
    end do
    call largest(greatest)
    call add_up(unmet)
    do i = 1, size(unmet)
      write (three, "(',', i0, 2(',', es17.9e3))") unmet(i), greatest(:, i)
      cells = cells//trim(three)
    end do
  end subroutine close_ledgers

  !> Global means of the day's sums on rank 0, in column order whatever the ranks.
  subroutine day_means(columns, now, mean)
    type(rank_columns), intent(inout) :: columns
    type(clock), intent(in) :: now
    real(rk), intent(out) :: mean(n_scalar)
    real(rk), allocatable :: weight(:), whole(:)
    integer :: i
    mean = 0.0_rk
    call columns%gather_scalar(area, weight)
    do i = 1, n_scalar
      call columns%gather_scalar(sum_of_day + i, whole)
      if (this_rank() == 0) mean(i) = sum(weight*whole)/(sum(weight)*now%steps_per_day())
    end do
    do i = 1, size(columns%block)
      columns%block(i)%scalar(:, sum_of_day + 1:sum_of_day + n_scalar) = 0.0_rk
    end do
  end subroutine day_means

  !> In the order of `means`.
  pure function in_order(mean) result(values)
    real(rk), intent(in) :: mean(n_scalar)
    real(rk) :: values(size(means))
    real(rk), parameter :: mm_day = real(seconds_per_day, rk)
    values = [mean(toa_net_shortwave) - mean(toa_outgoing_longwave), mean(toa_outgoing_longwave), &
      mean(surface_net_shortwave) + mean(surface_downwelling_longwave) - mean(surface_upwelling_longwave) &
      - mean(sensible_heat) - latent_heat_vaporization*mean(evaporation) - latent_heat_fusion*mean(snowfall), &
      mean(surface_temperature), mm_day*mean(precipitation), mm_day*mean(evaporation), mm_day*mean(snowfall), &
      mean(cape), mean(forcing_energy), mm_day*mean(forcing_water), mm_day*mean(limited_water), &
      mm_day*mean(filled_water), mean(surface_relaxation), mean(emulator_rejected), mean(emulator_extrapolated)]
  end function in_order

  !> Remember what the columns hold at the begin of a day.
  subroutine take_dawn_totals(block)
    type(column_block), intent(inout) :: block
    call take_totals(block, block%scalar(:, energy_at_dawn:water_at_dawn))
  end subroutine take_dawn_totals

  !> Energy [J m-2] and water [kg m-2] of the columns.
  pure subroutine take_totals(block, total)
    type(column_block), intent(in) :: block
    real(rk), intent(inout) :: total(:, :) !! (n_column, 2)
    call column_totals_kernel(int(block%n_level, ik), int(block%n_column, ik), block%interface_pressure, &
      block%profile(:, :, air_temperature), block%profile(:, :, specific_humidity), block%profile(:, :, cloud_liquid), &
      block%profile(:, :, cloud_ice), block%profile(:, :, eastward_wind), block%profile(:, :, northward_wind), &
      total(:, 1), total(:, 2))
  end subroutine take_totals

  !> Largest departure in a block of the day's gain of energy [W m-2] and water [kg m-2 s-1] from what was reported.
  pure function state_residual(block, steps) result(residual)
    type(column_block), intent(in) :: block
    real(rk), intent(in) :: steps !! of the day
    real(rk) :: residual(2)
    real(rk) :: total(block%n_column, 2)
    integer, parameter :: input(2) = [energy_input, water_input]
    call take_totals(block, total)
    residual = maxval(abs((total - block%scalar(:, energy_at_dawn:water_at_dawn))/seconds_per_day &
      - block%scalar(:, sum_of_day + input)/steps), dim=1)
  end function state_residual
end module host_budgets
