!> The fields of a model file bound once to arrays of the host's blocks.
!!
!! Its inputs are the columns as recorded before physics, its outputs rates of the state and fluxes at top and surface,
!! which land in arrays of its own: the coupling merges them with the host's and the constraints close them there.
module host_binding
  use, intrinsic :: iso_fortran_env, only: int64
  use emagram, only: emagram_axis_column_1, emagram_axis_level, emagram_columns, emagram_field_description, &
    emagram_input, emagram_model
  use emagram_constants, only: density_liquid_water
  use emagram_kinds, only: rk
  use host_columns, only: column_block
  use host_fields, only: albedo_diffuse_near_infrared, albedo_diffuse_visible, albedo_direct_near_infrared, &
    albedo_direct_visible, constant_names, cosine_zenith, diffuse_near_infrared, diffuse_visible, &
    direct_near_infrared, direct_visible, eastward_stress, land_area_fraction, n_state, nitrous_oxide, &
    northward_stress, open_ocean_area_fraction, ozone, precipitation, sensible_heat, snowfall, state_names, &
    surface_air_pressure, surface_downwelling_longwave, surface_net_shortwave, surface_temperature, &
    surface_upwelling_longwave, toa_incoming_shortwave, toa_net_shortwave, toa_outgoing_longwave
  use host_ledger, only: block_ledger
  use host_settings, only: physics_settings, taken_names
  implicit none (type, external)
  private
  public :: bind_block, check_outputs

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
    type(block_ledger) :: ledger
  end type emulated_block

  !> Which outputs a model has.
  type, public :: given_outputs
    logical :: rate(n_state) = .false.
    logical :: flux(n_flux) = .false.
  end type given_outputs

contains

  !> Room for the outputs of a block, and every field of the model bound for good.
  subroutine bind_block(model, field, mine, block, gives, ierr, errmsg)
    type(emagram_model), intent(in) :: model
    type(emagram_field_description), intent(in) :: field(:)
    type(emulated_block), intent(inout), target :: mine
    type(column_block), intent(inout), target :: block
    type(given_outputs), intent(inout) :: gives
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    associate (n => block%n_column, p => block%interface_pressure)
      allocate (mine%layer_pressure, source=0.5_rk*(p(:block%n_level, :) + p(2:, :)))
      allocate (mine%latent_heat(n), mine%zero(n), mine%weight(n), source=0.0_rk)
      allocate (mine%rate(block%n_level, n, n_state), mine%flux(n, n_flux), source=0.0_rk)
    end associate
    call mine%columns%new(model, block%n_column, &
      identity=[(int(block%first + i, int64), i=0, block%n_column - 1)], ierr=ierr, errmsg=errmsg)
    do i = 1, size(field)
      if (ierr /= 0) return
      if (field(i)%direction == emagram_input) then
        call bind_input(mine, block, field(i), ierr, errmsg)
      else
        call bind_output(gives, mine, field(i), ierr, errmsg)
      end if
    end do
  end subroutine bind_block

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

  subroutine bind_output(gives, mine, field, ierr, errmsg)
    type(given_outputs), intent(inout) :: gives
    type(emulated_block), intent(inout), target :: mine
    type(emagram_field_description), intent(in) :: field
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    i = findloc(rate_names == field%name, .true., dim=1)
    if (i > 0) then
      gives%rate(i) = .true.
      call mine%columns%output(field%name, mine%rate(:, :, i), [emagram_axis_level, emagram_axis_column_1], &
        persistent=.true., ierr=ierr, errmsg=errmsg)
      return
    end if
    i = findloc(fluxes%name == field%name, .true., dim=1)
    if (i > 0) then
      gives%flux(i) = .true.
      call mine%columns%output(field%name, mine%flux(:, i), [emagram_axis_column_1], persistent=.true., ierr=ierr, &
        errmsg=errmsg)
      return
    end if
    ierr = 1
    errmsg = "model: expected outputs that the host can use, got '"//field%name//"'"
  end subroutine bind_output

  !> All that the host is to take, the model must give.
  subroutine check_outputs(gives, settings, ierr, errmsg)
    type(given_outputs), intent(in) :: gives
    type(physics_settings), intent(in) :: settings
    integer, intent(inout) :: ierr
    character(len=*), intent(inout) :: errmsg
    integer :: i
    do i = 1, n_state
      call need(gives%rate(i), rate_names(i), i)
    end do
    do i = 1, n_flux
      call need(gives%flux(i), fluxes(i)%name, fluxes(i)%taken)
    end do

  contains

    subroutine need(is_given, name, taken)
      logical, intent(in) :: is_given
      character(len=*), intent(in) :: name
      integer, intent(in) :: taken
      if (ierr /= 0 .or. is_given .or. .not. settings%takes(taken)) return
      ierr = 1
      errmsg = "model: expected an output '"//trim(name)//"', got none; 'variables' can leave out '"// &
        trim(taken_names(taken))//"'"
    end subroutine need
  end subroutine check_outputs
end module host_binding
