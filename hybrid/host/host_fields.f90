!> What a column of the host carries: profiles and scalars by number, each with a name and a unit.
!!
!! One table of numbers lets everything that gathers, writes or reads a field do so in one loop. Names are CF-like, as
!! in physics/variables.py; the names of ClimSim stand in host_record.
module host_fields
  implicit none (type, external)
  private

  integer, parameter, public :: name_length = 128

  !> Name and unit of a field.
  type, public :: field_name
    character(len=name_length) :: name
    character(len=32) :: unit
  end type field_name

  ! Profiles (n_level, n_column, n_profile). The first n_state are the state, in the order of the tendencies.
  integer, parameter, public :: n_state = 6
  integer, parameter, public :: air_temperature = 1, specific_humidity = 2, cloud_liquid = 3, cloud_ice = 4, &
    eastward_wind = 5, northward_wind = 6
  integer, parameter, public :: before_physics = 6 !! plus a number of the state: as recorded before physics
  integer, parameter, public :: ozone = 13, methane = 14, nitrous_oxide = 15
  integer, parameter, public :: reference_temperature = 16, reference_humidity = 17, reference_eastward = 18, &
    reference_northward = 19
  integer, parameter, public :: longwave_heating = 20, shortwave_heating = 21
  integer, parameter, public :: sum_state = 21 !! plus a number of the state: summed over the steps of a history record
  integer, parameter, public :: sum_heating = 27 !! plus a number of a process
  integer, parameter, public :: sum_moistening = 34 !! plus a number of a process
  integer, parameter, public :: sum_longwave_heating = 42, sum_shortwave_heating = 43
  integer, parameter, public :: sum_heating_correction = 44, sum_moistening_correction = 45 !! by the constraints
  integer, parameter, public :: sum_heating_magnitude = 46, sum_moistening_magnitude = 47 !! after them, of the emulator
  integer, parameter, public :: n_profile = 47

  type(field_name), parameter, public :: state_names(n_state) = [ &
    field_name("air_temperature", "K"), &
    field_name("specific_humidity", "kg kg-1"), &
    field_name("mass_fraction_of_cloud_liquid_water_in_air", "kg kg-1"), &
    field_name("mass_fraction_of_cloud_ice_in_air", "kg kg-1"), &
    field_name("eastward_wind", "m s-1"), &
    field_name("northward_wind", "m s-1")]

  !> The constant profiles of the initial file, from number ozone on.
  type(field_name), parameter, public :: constant_names(ozone:reference_northward) = [ &
    field_name("mass_fraction_of_ozone_in_air", "kg kg-1"), &
    field_name("mass_fraction_of_methane_in_air", "kg kg-1"), &
    field_name("mass_fraction_of_nitrous_oxide_in_air", "kg kg-1"), &
    field_name("reference_air_temperature", "K"), &
    field_name("reference_specific_humidity", "kg kg-1"), &
    field_name("reference_eastward_wind", "m s-1"), &
    field_name("reference_northward_wind", "m s-1")]

  ! Scalars (n_column, n_scalar): constants of the column, then what each step computes.
  integer, parameter, public :: latitude = 1, longitude = 2, area = 3, surface_air_pressure = 4, wetness = 5, &
    land_area_fraction = 6, heat_capacity = 7, reference_surface_temperature = 8, albedo_direct_visible = 9, &
    albedo_direct_near_infrared = 10, albedo_diffuse_visible = 11, albedo_diffuse_near_infrared = 12
  integer, parameter, public :: n_constant = 12
  integer, parameter, public :: surface_temperature = 13, cosine_zenith = 14, toa_incoming_shortwave = 15, &
    toa_net_shortwave = 16, toa_outgoing_longwave = 17, surface_net_shortwave = 18, &
    surface_downwelling_longwave = 19, surface_upwelling_longwave = 20, direct_visible = 21, &
    direct_near_infrared = 22, diffuse_visible = 23, diffuse_near_infrared = 24, sensible_heat = 25, &
    evaporation = 26, eastward_stress = 27, northward_stress = 28, convective_rain = 29, convective_snow = 30, &
    stratiform_rain = 31, stratiform_snow = 32, cape = 33, convection_regime = 34, boundary_layer_height = 35, &
    forcing_energy = 36, forcing_water = 37, limited_water = 38, surface_relaxation = 39, filled_water = 40, &
    energy_input = 41, water_input = 42, precipitation = 43, snowfall = 44, open_ocean_area_fraction = 45, &
    emulator_share = 46, emulator_rejected = 47, emulator_extrapolated = 48, energy_residual_before = 49, &
    water_residual_before = 50
  integer, parameter, public :: n_scalar = 50
  ! and behind them
  integer, parameter, public :: sum_of_day = n_scalar !! plus a number of a scalar: summed over the steps of the day
  integer, parameter, public :: sum_of_record = 2*n_scalar !! the same over the steps of a history record
  integer, parameter, public :: energy_at_dawn = 3*n_scalar + 1, water_at_dawn = 3*n_scalar + 2
  integer, parameter, public :: n_scalar_in_all = 3*n_scalar + 2

  type(field_name), parameter, public :: scalar_names(n_scalar) = [ &
    field_name("lat", "degrees_north"), &
    field_name("lon", "degrees_east"), &
    field_name("area", "steradian"), &
    field_name("surface_air_pressure", "Pa"), &
    field_name("surface_wetness", "1"), &
    field_name("land_area_fraction", "1"), &
    field_name("surface_heat_capacity", "J m-2 K-1"), &
    field_name("reference_surface_temperature", "K"), &
    field_name("albedo_direct_visible", "1"), &
    field_name("albedo_direct_near_infrared", "1"), &
    field_name("albedo_diffuse_visible", "1"), &
    field_name("albedo_diffuse_near_infrared", "1"), &
    field_name("surface_temperature", "K"), &
    field_name("cosine_of_solar_zenith_angle", "1"), &
    field_name("toa_incoming_shortwave_flux", "W m-2"), &
    field_name("toa_net_downward_shortwave_flux", "W m-2"), &
    field_name("toa_outgoing_longwave_flux", "W m-2"), &
    field_name("surface_net_downward_shortwave_flux", "W m-2"), &
    field_name("surface_downwelling_longwave_flux", "W m-2"), &
    field_name("surface_upwelling_longwave_flux", "W m-2"), &
    field_name("surface_direct_visible_flux", "W m-2"), &
    field_name("surface_direct_near_infrared_flux", "W m-2"), &
    field_name("surface_diffuse_visible_flux", "W m-2"), &
    field_name("surface_diffuse_near_infrared_flux", "W m-2"), &
    field_name("surface_upward_sensible_heat_flux", "W m-2"), &
    field_name("water_evaporation_flux", "kg m-2 s-1"), &
    field_name("surface_upward_eastward_stress", "N m-2"), &
    field_name("surface_upward_northward_stress", "N m-2"), &
    field_name("convective_rainfall_flux", "kg m-2 s-1"), &
    field_name("convective_snowfall_flux", "kg m-2 s-1"), &
    field_name("stratiform_rainfall_flux", "kg m-2 s-1"), &
    field_name("stratiform_snowfall_flux", "kg m-2 s-1"), &
    field_name("convective_available_potential_energy", "J kg-1"), &
    field_name("convection_regime", "1"), &
    field_name("boundary_layer_height", "m"), &
    field_name("energy_input_by_forcing", "W m-2"), &
    field_name("water_input_by_forcing", "kg m-2 s-1"), &
    field_name("water_withheld_from_forcing", "kg m-2 s-1"), &
    field_name("surface_heating_by_relaxation", "W m-2"), &
    field_name("water_added_against_rounding", "kg m-2 s-1"), &
    field_name("energy_input_by_all_processes", "W m-2"), &
    field_name("water_input_by_all_processes", "kg m-2 s-1"), &
    field_name("precipitation_flux", "kg m-2 s-1"), &
    field_name("snowfall_flux", "kg m-2 s-1"), &
    field_name("open_ocean_area_fraction", "1"), &
    field_name("emulator_share", "1"), &
    field_name("emulator_rejected", "1"), &
    field_name("emulator_extrapolated", "1"), &
    field_name("energy_residual_before_constraints", "W m-2"), &
    field_name("water_residual_before_constraints", "kg m-2 s-1")]

  ! The parts of a step that change the atmosphere, in their order; the emulator stands for those from radiation on.
  integer, parameter, public :: forcing = 1, surface = 2, radiation = 3, boundary_layer = 4, convection = 5, &
    microphysics = 6, emulator = 7
  integer, parameter, public :: n_process = 7
  character(len=14), parameter, public :: process_names(n_process) = [character(len=14) :: "forcing", "surface", &
    "radiation", "boundary_layer", "convection", "microphysics", "emulator"]
end module host_fields
