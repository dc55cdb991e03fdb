# The column physics, emagram_physics: for each process its kernels, emagram_<process>_kernels, and its checking front
# end, emagram_<process>, which Python sees too (f90wrap.cmake). Parts are what kernels share.

set(EMAGRAM_PHYSICS_FOLDER "${EMAGRAM_ROOT}/physics/fortran")
set(EMAGRAM_PHYSICS_PARTS
    two_stream
)
set(EMAGRAM_PHYSICS
    thermodynamics
    sun
    longwave
    shortwave
    surface
    diffusion
    turbulence
    boundary_layer
    budgets
    parcel
    convection
    microphysics
)

set(_sources "${EMAGRAM_CONSTANTS_F90}" "${EMAGRAM_PHYSICS_FOLDER}/emagram_kinds.f90"
             "${EMAGRAM_PHYSICS_FOLDER}/emagram_checks.f90")
foreach(part IN LISTS EMAGRAM_PHYSICS_PARTS)
  list(APPEND _sources "${EMAGRAM_PHYSICS_FOLDER}/emagram_${part}.f90")
endforeach()
foreach(process IN LISTS EMAGRAM_PHYSICS)
  list(APPEND _sources "${EMAGRAM_PHYSICS_FOLDER}/emagram_${process}_kernels.f90"
       "${EMAGRAM_PHYSICS_FOLDER}/emagram_${process}.f90")
endforeach()
add_library(emagram_physics STATIC ${_sources})
set_target_properties(emagram_physics PROPERTIES POSITION_INDEPENDENT_CODE ON
                                                 Fortran_MODULE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/physics_modules")
target_include_directories(emagram_physics PUBLIC "${CMAKE_CURRENT_BINARY_DIR}/physics_modules")
target_link_libraries(emagram_physics PRIVATE emagram_flags)
# A column's work arrays live on the stack: without this gfortran allocates them at every call.
target_compile_options(emagram_physics PRIVATE $<$<COMPILE_LANG_AND_ID:Fortran,GNU>:-fstack-arrays>)
