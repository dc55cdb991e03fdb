!> The emulator of a run: a model file opened once on all ranks, its fields bound once to arrays of the host's blocks.
!!
!! Its inputs are the columns as recorded before physics, its outputs rates of the state and fluxes at top and surface,
!! which land in arrays of its own: the coupling merges them with the host's and the constraints close them there.
module host_emulator
  use, intrinsic :: iso_fortran_env, only: int32, int64
  use emagram, only: emagram_axis_column_1, emagram_axis_level, emagram_column_extrapolated, emagram_column_rejected, &
    emagram_columns, emagram_description, emagram_field_description, emagram_message_length, emagram_model, &
    emagram_input, emagram_policy_clip, emagram_policy_error, emagram_policy_mask
  use emagram_constants, only: density_liquid_water, latent_heat_vaporization
  use emagram_kinds, only: rk
  use emagram_mpi, only: emagram_open_mpi
  use host_clock, only: clock
  use host_columns, only: column_block, rank_columns
  use host_fields, only: albedo_diffuse_near_infrared, albedo_diffuse_visible, albedo_direct_near_infrared, &
    albedo_direct_visible, constant_names, cosine_zenith, diffuse_near_infrared, diffuse_visible, &
    direct_near_infrared, direct_visible, eastward_stress, emulator_extrapolated, emulator_rejected, evaporation, &
    land_area_fraction, n_state, nitrous_oxide, northward_stress, open_ocean_area_fraction, ozone, precipitation, &
    sensible_heat, snowfall, state_names, surface_air_pressure, surface_downwelling_longwave, surface_net_shortwave, &
    surface_temperature, surface_upwelling_longwave, toa_incoming_shortwave, toa_net_shortwave, toa_outgoing_longwave
  use host_parallel, only: agree
  use host_settings, only: physics_settings, taken_names
  use mpi_f08, only: MPI_COMM_WORLD
  implicit none (type, external)
  private

  !> A scalar of the host under the name of a model file; number 0 stands for zero everywhere.
  type :: scalar_of_model
    character(len=56) :: name
    integer :: number
  end type scalar_of_model

  type(scalar_of_model), parameter :: inputs(*) = [ &
    scalar_of_model("surface_air_pressure", surface_air_pressure), &
    scalar_of_model("surface_temperature", surface_temperature), &
    scalar_of_model("toa_incoming_shortwave_flux", toa_incoming_shortwave), &
    scalar_of_model("cosine_of_solar_zenith_angle", cosine_zenith), &
    scalar_of_model("surface_upward_sensible_heat_flux", sensible_heat), &
    scalar_of_model("surface_upward_eastward_stress", eastward_stress), &
    scalar_of_model("surface_upward_northward_stress", northward_stress), &
    scalar_of_model("surface_albedo_for_direct_visible_radiation", albedo_direct_visible), &
    scalar_of_model("surface_albedo_for_direct_near_infrared_radiation", albedo_direct_near_infrared), &
    scalar_of_model("surface_albedo_for_diffuse_visible_radiation", albedo_diffuse_visible), &
    scalar_of_model("surface_albedo_for_diffuse_near_infrared_radiation", albedo_diffuse_near_infrared), &
    scalar_of_model("surface_upwelling_longwave_flux_in_air", surface_upwelling_longwave), &
    scalar_of_model("land_area_fraction", land_area_fraction), &
    scalar_of_model("open_ocean_area_fraction", open_ocean_area_fraction), &
    scalar_of_model("sea_ice_area_fraction", 0), &
    scalar_of_model("lwe_thickness_of_snow_over_land", 0), &
    scalar_of_model("snow_thickness_over_sea_ice", 0)]
  character(len=*), parameter :: latent_heat_name = "surface_upward_latent_heat_flux"

  !> The rates a model gives, in the order of the state.
  character(len=*), parameter :: rate_names(n_state) = [character(len=80) :: &
    "tendency_of_air_temperature_due_to_model_physics", &
    "tendency_of_specific_humidity_due_to_model_physics", &
    "tendency_of_mass_fraction_of_cloud_liquid_water_in_air_due_to_model_physics", &
    "tendency_of_mass_fraction_of_cloud_ice_in_air_due_to_model_physics", &
    "tendency_of_eastward_wind_due_to_model_physics", &
    "tendency_of_northward_wind_due_to_model_physics"]

  !> A flux that a model gives: the host's scalar is `factor` times it, and it is taken with a group of fluxes.
  type, public :: flux_of_model
    character(len=56) :: name
    integer :: number
    integer :: taken !! with which of taken_names
    real(rk) :: factor = 1.0_rk
  end type flux_of_model

  integer, parameter :: by_precipitation = n_state + 1, by_shortwave = n_state + 2, by_longwave = n_state + 3
  integer, parameter, public :: n_flux = 10
  type(flux_of_model), parameter, public :: fluxes(n_flux) = [ &
    flux_of_model("toa_net_downward_shortwave_flux", toa_net_shortwave, by_shortwave), &
    flux_of_model("toa_outgoing_longwave_flux", toa_outgoing_longwave, by_longwave), &
    flux_of_model("surface_net_downward_shortwave_flux", surface_net_shortwave, by_shortwave), &
    flux_of_model("surface_downwelling_longwave_flux_in_air", surface_downwelling_longwave, by_longwave), &
    flux_of_model("surface_downwelling_direct_visible_flux_in_air", direct_visible, by_shortwave), &
    flux_of_model("surface_downwelling_direct_near_infrared_flux_in_air", direct_near_infrared, by_shortwave), &
    flux_of_model("surface_downwelling_diffuse_visible_flux_in_air", diffuse_visible, by_shortwave), &
    flux_of_model("surface_downwelling_diffuse_near_infrared_flux_in_air", diffuse_near_infrared, by_shortwave), &
    flux_of_model("lwe_precipitation_rate", precipitation, by_precipitation, density_liquid_water), &
    flux_of_model("lwe_snowfall_rate", snowfall, by_precipitation, density_liquid_water)]

  !> What the model reads and writes of a block beside the block's own arrays.
  type, public :: emulated_block
    type(emagram_columns) :: columns
    real(rk), allocatable :: layer_pressure(:, :) !! [Pa] (n_level, n_column)
    real(rk), allocatable :: latent_heat(:) !! [W m-2] (n_column)
    real(rk), allocatable :: zero(:) !! (n_column)
    real(rk), allocatable :: rate(:, :, :) !! (n_level, n_column, n_state)
    real(rk), allocatable :: flux(:, :) !! (n_column, n_flux), in the units of the model
    real(rk), allocatable :: weight(:) !! [1] (n_column) of the emulator in the present step
  end type emulated_block

  !> The model and its blocks.
  type, public :: rank_emulator
    logical :: is_on = .false. !! or the run is conventional throughout
    type(emagram_model) :: model
    type(physics_settings) :: settings
    logical :: gives_rate(n_state) = .false., gives_flux(n_flux) = .false.
    type(emulated_block), allocatable :: block(:)
    type(column_block) :: scratch !! for what the host's own physics would do
  contains
    procedure :: open => open_emulator
    procedure :: predict, constrain, takes_all
  end type rank_emulator

contains

  !> Open the model file and bind its fields to the blocks, which must stay where they are; collective.
  subroutine open_emulator(self, path, settings, columns, time_step, ierr, errmsg)
    class(rank_emulator), intent(inout), target :: self
    character(len=*), intent(in) :: path !! of the model file
    type(physics_settings), intent(in) :: settings
    type(rank_columns), intent(inout), target :: columns
    integer, intent(in) :: time_step !! [s]
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    type(emagram_description) :: model
    integer :: i
    if (ierr /= 0 .or. settings%source == "conventional") return
    self%settings = settings
    call emagram_open_mpi(self%model, path, MPI_COMM_WORLD, policy=policy_of(settings%on_invalid), &
      defer_constraints=.true., extrapolation_margin=settings%extrapolation_margin, ierr=ierr, errmsg=errmsg)
    if (ierr == 0) call self%model%describe(model, ierr, errmsg)
    if (ierr == 0) call check_model(path, model, settings, columns%n_level, time_step, ierr, errmsg)
    allocate (self%block(size(columns%block)))
    do i = 1, size(columns%block)
      if (ierr == 0) call attach(self, self%block(i), columns%block(i), model, ierr, errmsg)
    end do
    call agree(ierr, errmsg)
    self%is_on = ierr == 0
  end subroutine open_emulator

  pure function policy_of(on_invalid) result(policy)
    character(len=*), intent(in) :: on_invalid
    integer(int32) :: policy
    policy = emagram_policy_mask
    if (on_invalid == "clip") policy = emagram_policy_clip
    if (on_invalid == "error") policy = emagram_policy_error
  end function policy_of

  !> The file that the run began with, for these levels and this time step.
  subroutine check_model(path, model, settings, n_level, time_step, ierr, errmsg)
    character(len=*), intent(in) :: path
    type(emagram_description), intent(in) :: model
    type(physics_settings), intent(in) :: settings
    integer, intent(in) :: n_level, time_step
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    if (settings%model_sha256 /= "" .and. settings%model_sha256 /= model%sha256) then
      ierr = 1
      errmsg = "model file '"//path//"': expected the one that the run began with (SHA-256 "// &
        settings%model_sha256(:12)//"), got another ("//model%sha256(:12)//")"
    else if (model%n_level /= n_level) then
      ierr = 1
      write (errmsg, "(3a, i0, a, i0)") "model file '", path, "': expected a model of ", n_level, " levels, got ", &
        model%n_level
    else if (model%time_step > 0.0_rk .and. abs(model%time_step - time_step) > 0.0_rk) then
      ierr = 1
      write (errmsg, "(3a, i0, a, f0.1, a)") "model file '", path, "': expected a model of a time step of ", &
        time_step, " s, got ", model%time_step, " s"
    end if
  end subroutine check_model

  !> Room for the outputs of a block, and every field of the model bound for good.
  subroutine attach(self, mine, block, model, ierr, errmsg)
    class(rank_emulator), intent(inout) :: self
    type(emulated_block), intent(inout), target :: mine
    type(column_block), intent(inout), target :: block
    type(emagram_description), intent(in) :: model
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    associate (n => block%n_column, p => block%interface_pressure)
      allocate (mine%layer_pressure, source=0.5_rk*(p(:block%n_level, :) + p(2:, :)))
      allocate (mine%latent_heat(n), mine%zero(n), mine%weight(n), source=0.0_rk)
      allocate (mine%rate(block%n_level, n, n_state), mine%flux(n, n_flux), source=0.0_rk)
    end associate
    call mine%columns%new(self%model, block%n_column, &
      identity=[(int(block%first + i, int64), i=0, block%n_column - 1)], ierr=ierr, errmsg=errmsg)
    do i = 1, size(model%field)
      if (ierr /= 0) return
      if (model%field(i)%direction == emagram_input) then
        call bind_input(mine, block, model%field(i), ierr, errmsg)
      else
        call bind_output(self, mine, model%field(i), ierr, errmsg)
      end if
    end do
    call check_outputs(self, ierr, errmsg)
  end subroutine attach

  subroutine bind_input(mine, block, field, ierr, errmsg)
    type(emulated_block), intent(inout), target :: mine
    type(column_block), intent(inout), target :: block
    type(emagram_field_description), intent(in) :: field
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    if (field%name == "air_pressure_at_interface") call bind_profile(block%interface_pressure)
    if (field%name == "air_pressure") call bind_profile(mine%layer_pressure)
    if (field%name == latent_heat_name) call bind_scalar(mine%latent_heat)
    if (any(field%name == [character(len=32) :: "air_pressure_at_interface", "air_pressure", latent_heat_name])) return
    do i = 1, n_state
      if (state_names(i)%name == field%name) call bind_profile(block%profile(:, :, i))
      if (state_names(i)%name == field%name) return
    end do
    do i = ozone, nitrous_oxide
      if (constant_names(i)%name == field%name) call bind_profile(block%profile(:, :, i))
      if (constant_names(i)%name == field%name) return
    end do
    do i = 1, size(inputs)
      if (inputs(i)%name /= field%name) cycle
      if (inputs(i)%number == 0) call bind_scalar(mine%zero)
      if (inputs(i)%number /= 0) call bind_scalar(block%scalar(:, inputs(i)%number))
      return
    end do
    ierr = 1
    errmsg = "model: expected inputs that the host has, got '"//field%name//"'"

  contains

    subroutine bind_profile(values)
      real(rk), intent(in), target :: values(:, :)
      call mine%columns%input(field%name, values, [emagram_axis_level, emagram_axis_column_1], persistent=.true., &
        ierr=ierr, errmsg=errmsg)
    end subroutine bind_profile

    subroutine bind_scalar(values)
      real(rk), intent(in), target :: values(:)
      call mine%columns%input(field%name, values, [emagram_axis_column_1], persistent=.true., ierr=ierr, errmsg=errmsg)
    end subroutine bind_scalar
  end subroutine bind_input

  subroutine bind_output(self, mine, field, ierr, errmsg)
    class(rank_emulator), intent(inout) :: self
    type(emulated_block), intent(inout), target :: mine
    type(emagram_field_description), intent(in) :: field
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    i = findloc(rate_names == field%name, .true., dim=1)
    if (i > 0) then
      self%gives_rate(i) = .true.
      call mine%columns%output(field%name, mine%rate(:, :, i), [emagram_axis_level, emagram_axis_column_1], &
        persistent=.true., ierr=ierr, errmsg=errmsg)
      return
    end if
    i = findloc(fluxes%name == field%name, .true., dim=1)
    if (i > 0) then
      self%gives_flux(i) = .true.
      call mine%columns%output(field%name, mine%flux(:, i), [emagram_axis_column_1], persistent=.true., ierr=ierr, &
        errmsg=errmsg)
      return
    end if
    ierr = 1
    errmsg = "model: expected outputs that the host can use, got '"//field%name//"'"
  end subroutine bind_output

  !> All that the host is to take, the model must give.
  subroutine check_outputs(self, ierr, errmsg)
    class(rank_emulator), intent(in) :: self
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    do i = 1, n_state
      call need(self%gives_rate(i), rate_names(i), i)
    end do
    do i = 1, n_flux
      call need(self%gives_flux(i), fluxes(i)%name, fluxes(i)%taken)
    end do

  contains

    subroutine need(is_given, name, taken)
      logical, intent(in) :: is_given
      character(len=*), intent(in) :: name
      integer, intent(in) :: taken
      if (ierr /= 0 .or. is_given .or. .not. self%settings%takes(taken)) return
      ierr = 1
      errmsg = "model: expected an output '"//trim(name)//"', got none; 'variables' can leave out '"// &
        trim(taken_names(taken))//"'"
    end subroutine need
  end subroutine check_outputs

  !> Whether nothing of the host's own physics is needed where a column is not rejected.
  pure function takes_all(self) result(it_does)
    class(rank_emulator), intent(in) :: self
    logical :: it_does
    integer :: i
    it_does = all([(self%settings%takes(i), i=1, size(taken_names))])
  end function takes_all

  !> Rates and fluxes of a block, and which of its columns were rejected or lie outside the training range.
  subroutine predict(self, number, block, now, ierr, errmsg)
    class(rank_emulator), intent(inout), target :: self
    integer, intent(in) :: number !! of the block
    type(column_block), intent(inout), target :: block
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer(int32) :: status(block%n_column)
    character(len=emagram_message_length) :: reason
    associate (mine => self%block(number), s => block%scalar)
      mine%latent_heat = latent_heat_vaporization*s(:, evaporation)
      call self%model%step(mine%columns, block%n_column, real(now%time_step, rk), int(now%step), ierr=ierr, &
        errmsg=reason)
      if (ierr /= 0) then
        errmsg = "emulator in the step of "//now%date()//": "//trim(reason)
        return
      end if
      call mine%columns%status(status, ierr, errmsg)
      s(:, emulator_extrapolated) = merge(1.0_rk, 0.0_rk, status >= emagram_column_extrapolated &
        .and. status < emagram_column_rejected)
      s(:, emulator_rejected) = merge(1.0_rk, 0.0_rk, status >= emagram_column_rejected)
      if (self%settings%reject_extrapolated) s(:, emulator_rejected) = max(s(:, emulator_rejected), &
        s(:, emulator_extrapolated))
    end associate
  end subroutine predict

  !> Close the rates and fluxes of a block, as they stand now, by the constraints of the model file.
  subroutine constrain(self, number, block, now, ierr, errmsg)
    class(rank_emulator), intent(inout), target :: self
    integer, intent(in) :: number !! of the block
    type(column_block), intent(inout), target :: block
    type(clock), intent(in) :: now
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    character(len=emagram_message_length) :: reason
    call self%model%constrain(self%block(number)%columns, block%n_column, real(now%time_step, rk), ierr, reason)
    if (ierr /= 0) errmsg = "constraints in the step of "//now%date()//": "//trim(reason)
  end subroutine constrain
end module host_emulator
