!> What a run is told: the namelist group `case` of a file, read on rank 0 and checked.
!!
!! Everything else lies beside that file under fixed names, so a run folder can be moved: initial.nc (needed),
!! restart.nc (continued from where it is there), and what the run writes.
module host_settings
  use emagram_boundary_layer_kernels, only: boundary_layer_parameters
  use emagram_convection_kernels, only: convection_parameters
  use emagram_coupler, only: emagram_coupling
  use emagram_kinds, only: rk
  use emagram_longwave_kernels, only: longwave_parameters
  use emagram_microphysics_kernels, only: microphysics_parameters
  use emagram_shortwave_kernels, only: shortwave_parameters
  use emagram_sun_kernels, only: sun_parameters
  use emagram_surface_kernels, only: surface_parameters
  use host_clock, only: days_per_year, seconds_per_day
  use host_fields, only: n_state, name_length, state_names
  use host_forcing, only: forcing_settings
  use host_parallel, only: agree, broadcast, this_rank
  implicit none (type, external)
  private
  public :: read_settings

  integer, parameter :: line_length = 512

  !> What can be taken from an emulator one by one: the tendencies of the state, and fluxes in three groups.
  character(len=name_length), parameter, public :: taken_names(n_state + 3) = [character(len=name_length) :: &
    state_names%name, &
    "precipitation", "shortwave", "longwave"]

  !> Time, files and what the sun does.
  type, public :: host_options
    integer :: days = 0 !! [day] of the whole run
    integer :: time_step = 1200 !! [s], divides a day
    integer :: start_year = 1
    integer :: start_day = 0 !! [day] of the year, 0 for the first of January
    integer :: chunk = 16 !! columns stepped together
    integer :: radiation_steps = 1 !! radiation is computed every so many steps and held in between
    integer :: history_days = 1 !! [day] mean of a history record
    integer :: restart_days = 30 !! [day] between restart files
    integer :: record_steps = 0 !! columns are recorded every so many steps, 0 for never
    integer :: record_offset = 0 !! first step of those in a run
    integer :: record_from = 0 !! [day]
    integer :: record_to = huge(1) !! [day] not included
    real(rk) :: record_temperature_noise = 0.0_rk !! [K] of the states that are recorded, standard deviation
    real(rk) :: record_water_noise = 0.0_rk !! [1] of the logarithm of vapour and clouds
    real(rk) :: record_wind_noise = 0.0_rk !! [m s-1]
    character(len=16) :: sun = "seasonal_diurnal" !! or daily_mean, or fixed
    real(rk) :: fixed_insolation = 0.0_rk !! [W m-2] at the top, of a fixed sun
    real(rk) :: fixed_cosine_zenith = 0.0_rk !! [1]
    real(rk) :: surface_relaxation = 0.0_rk !! [s] of a slab towards its reference temperature, 0 for none
  end type host_options

  !> Whose physics: the host's own, or that of the model file beside the case, merged and closed.
  type, public :: physics_settings
    character(len=16) :: source = "conventional" !! or emulator
    character(len=64) :: model_sha256 = "" !! of the model file; any where it is blank
    character(len=8) :: on_invalid = "mask" !! or clip, or error
    character(len=8) :: constraints = "enforce" !! or measure: residuals are measured, and nothing is changed
    logical :: reject_extrapolated = .false. !! columns outside the training range fall back to the host's physics
    real(rk) :: extrapolation_margin = 0.0_rk !! [1] of the width of that range which counts to it
    character(len=48) :: variables(size(taken_names)) = "" !! some of taken_names; all where there is none
    type(emagram_coupling) :: coupling
  contains
    procedure :: takes
  end type physics_settings

  !> All of the group.
  type, public :: run_settings
    type(host_options) :: host
    type(physics_settings) :: physics
    type(forcing_settings) :: forcing
    type(sun_parameters) :: sun
    type(longwave_parameters) :: longwave
    type(shortwave_parameters) :: shortwave
    type(surface_parameters) :: surface
    type(boundary_layer_parameters) :: boundary_layer
    type(convection_parameters) :: convection
    type(microphysics_parameters) :: microphysics
  end type run_settings

contains

  !> Whether one of taken_names comes from the emulator.
  pure function takes(self, number) result(it_does)
    class(physics_settings), intent(in) :: self
    integer, intent(in) :: number
    logical :: it_does
    it_does = all(self%variables == "") .or. any(self%variables == taken_names(number))
  end function takes

  !> Read and check; collective.
  subroutine read_settings(path, settings, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(run_settings), intent(out) :: settings
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=line_length), allocatable :: lines(:)
    integer :: n(1)
    n = 0
    if (this_rank() == 0) call read_lines(path, lines, ierr, errmsg)
    call agree(ierr, errmsg)
    if (ierr /= 0) return
    if (this_rank() == 0) n = size(lines)
    call broadcast(n)
    if (this_rank() /= 0) allocate (lines(n(1)))
    call broadcast(lines)
    if (size(lines) == 0) lines = [character(len=line_length) :: ""] ! an internal file has a line at least
    call read_group(lines, settings, ierr, errmsg)
    call check_time(settings%host, ierr, errmsg)
    call check_rest(settings, ierr, errmsg)
    call check_physics(settings%physics, settings%host, ierr, errmsg)
    if (ierr /= 0) errmsg = "file '"//path//"': "//errmsg
  end subroutine read_settings

  subroutine read_lines(path, lines, ierr, errmsg)
    character(len=*), intent(in) :: path
    character(len=line_length), allocatable, intent(out) :: lines(:)
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=line_length) :: line
    character(len=256) :: reason
    integer :: unit, status
    lines = [character(len=line_length) ::]
    open (newunit=unit, file=path, status="old", action="read", iostat=status, iomsg=reason)
    if (status == 0) then
      do
        read (unit, "(a)", iostat=status, iomsg=reason) line
        if (status /= 0) exit
        lines = [lines, line]
      end do
      close (unit)
      if (is_iostat_end(status)) return
    end if
    ierr = 1
    errmsg = "file '"//path//"': "//trim(reason)
  end subroutine read_lines

  subroutine read_group(lines, settings, ierr, errmsg)
    character(len=*), intent(in) :: lines(:)
    type(run_settings), intent(inout) :: settings
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(host_options) :: host
    type(physics_settings) :: physics
    type(forcing_settings) :: forcing
    type(sun_parameters) :: sun
    type(longwave_parameters) :: longwave
    type(shortwave_parameters) :: shortwave
    type(surface_parameters) :: surface
    type(boundary_layer_parameters) :: boundary_layer
    type(convection_parameters) :: convection
    type(microphysics_parameters) :: microphysics
    namelist /case/ host, physics, forcing, sun, longwave, shortwave, surface, boundary_layer, convection, microphysics
    integer :: status
    character(len=256) :: reason
    if (.not. any(adjustl(lines) == "&case")) then
      ierr = 1
      errmsg = "expected a line '&case', got none"
      return
    end if
    reason = ""
    read (lines, nml=case, iostat=status, iomsg=reason)
    if (status /= 0) then
      ierr = 1
      errmsg = "expected a namelist group 'case' of known names, got '"//trim(reason)//"'"
    end if
    settings = run_settings(host, physics, forcing, sun, longwave, shortwave, surface, boundary_layer, convection, &
      microphysics)
  end subroutine read_group

  subroutine check_time(host, ierr, errmsg)
    type(host_options), intent(in) :: host
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    call need(host%days >= 1, "days", "at least 1", host%days, ierr, errmsg)
    call need(host%time_step >= 1, "time_step", "at least 1", host%time_step, ierr, errmsg)
    if (ierr /= 0) return
    call need(modulo(seconds_per_day, host%time_step) == 0, "time_step", "a divisor of a day", host%time_step, ierr, &
      errmsg)
    call need(host%start_year >= 1, "start_year", "at least 1", host%start_year, ierr, errmsg)
    call need(host%start_day >= 0 .and. host%start_day < days_per_year, "start_day", "0 to 364", host%start_day, &
      ierr, errmsg)
    call need(host%radiation_steps >= 1, "radiation_steps", "at least 1", host%radiation_steps, ierr, errmsg)
    if (ierr /= 0) return
    call need(modulo(seconds_per_day/host%time_step, host%radiation_steps) == 0, "radiation_steps", &
      "a divisor of the steps of a day", host%radiation_steps, ierr, errmsg)
    call need(host%history_days >= 1, "history_days", "at least 1", host%history_days, ierr, errmsg)
    if (ierr /= 0) return
    call need(host%restart_days >= 1 .and. modulo(host%restart_days, host%history_days) == 0, "restart_days", &
      "a multiple of history_days", host%restart_days, ierr, errmsg)
    call need(modulo(host%days, host%history_days) == 0, "days", "a multiple of history_days", host%days, ierr, errmsg)
  end subroutine check_time

  subroutine check_rest(settings, ierr, errmsg)
    type(run_settings), intent(in) :: settings
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    associate (host => settings%host, forcing => settings%forcing)
      call need(host%chunk >= 1, "chunk", "at least 1", host%chunk, ierr, errmsg)
      call need(host%record_steps >= 0, "record_steps", "0 or more", host%record_steps, ierr, errmsg)
      call need(host%record_offset >= 0, "record_offset", "0 or more", host%record_offset, ierr, errmsg)
      if (ierr /= 0) return
      if (all(host%sun /= [character(len=16) :: "seasonal_diurnal", "daily_mean", "fixed"])) then
        ierr = 1
        errmsg = "'sun': expected seasonal_diurnal, daily_mean or fixed, got '"//trim(host%sun)//"'"
      else if (.not. (host%fixed_cosine_zenith >= 0.0_rk .and. host%fixed_cosine_zenith <= 1.0_rk &
        .and. host%fixed_insolation >= 0.0_rk .and. host%fixed_insolation <= 2000.0_rk)) then
        ierr = 1
        errmsg = "'fixed_insolation', 'fixed_cosine_zenith': expected 0 to 2000 W m-2 and 0 to 1, got others"
      else if (.not. (min(host%surface_relaxation, forcing%temperature_relaxation, forcing%humidity_relaxation, &
        forcing%wind_relaxation) >= 0.0_rk)) then
        ierr = 1
        errmsg = "relaxation times: expected 0 s or more, got less"
      else if (.not. (min(host%record_temperature_noise, host%record_water_noise, host%record_wind_noise) >= 0.0_rk &
        .and. host%record_temperature_noise <= 20.0_rk .and. host%record_water_noise <= 1.0_rk &
        .and. host%record_wind_noise <= 20.0_rk)) then
        ierr = 1
        errmsg = "noise of records: expected 0 to 20 K, 1 and 20 m s-1, got another"
      else if (.not. (forcing%top_pressure > 0.0_rk .and. forcing%top_pressure <= 5.0e4_rk)) then
        ierr = 1
        errmsg = "'top_pressure': expected above 0 and at most 50000 Pa, got another"
      end if
    end associate
  end subroutine check_rest

  subroutine check_physics(physics, host, ierr, errmsg)
    type(physics_settings), intent(in) :: physics
    type(host_options), intent(in) :: host
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    if (ierr /= 0) return
    if (all(physics%source /= [character(len=16) :: "conventional", "emulator"])) then
      ierr = 1
      errmsg = "'source': expected conventional or emulator, got '"//trim(physics%source)//"'"
    else if (all(physics%on_invalid /= [character(len=8) :: "mask", "clip", "error"])) then
      ierr = 1
      errmsg = "'on_invalid': expected mask, clip or error, got '"//trim(physics%on_invalid)//"'"
    else if (all(physics%constraints /= [character(len=8) :: "enforce", "measure"])) then
      ierr = 1
      errmsg = "'constraints': expected enforce or measure, got '"//trim(physics%constraints)//"'"
    else
      call physics%coupling%check(ierr, errmsg)
    end if
    do i = 1, size(physics%variables)
      if (ierr /= 0 .or. any(physics%variables(i) == [character(len=name_length) :: taken_names, ""])) cycle
      ierr = 1
      errmsg = "'variables': expected what an emulator gives, got '"//trim(physics%variables(i))//"'"
    end do
    if (physics%source == "emulator") call need(host%radiation_steps == 1, "radiation_steps", "1 with an emulator", &
      host%radiation_steps, ierr, errmsg)
  end subroutine check_physics

  subroutine need(met, name, expected, got, ierr, errmsg)
    logical, intent(in) :: met
    character(len=*), intent(in) :: name, expected
    integer, intent(in) :: got
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (ierr /= 0 .or. met) return
    ierr = 1
    write (errmsg, "(5a, i0)") "'", name, "': expected ", expected, ", got ", got
  end subroutine need
end module host_settings
