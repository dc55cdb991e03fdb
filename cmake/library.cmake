# libemagram: no MPI, no Python, no torch, no OpenMP. nlohmann_json is header-only and stays inside.
find_package(nlohmann_json 3.10 REQUIRED)

set(emagram_sources
    api.cpp
    archive.cpp
    binding.cpp
    checks.cpp
    columns.cpp
    constraint_accounts.cpp
    constraint_bounds.cpp
    constraint_cloud_phase.cpp
    constraint_column_energy.cpp
    constraint_downscaling.cpp
    constraint_entry.cpp
    constraint_linear.cpp
    constraint_positivity.cpp
    constraint_precipitation.cpp
    constraint_residual_levels.cpp
    constraint_shortwave.cpp
    constraint_stratospheric_water.cpp
    constraint_upper_levels.cpp
    constraint_water_and_energy.cpp
    constraints.cpp
    dense_baseline.cpp
    features.cpp
    instruction_set.cpp
    laws_baseline.cpp
    model.cpp
    moist_entry.cpp
    plan.cpp
    sha256.cpp
    units.cpp
    units_table.cpp
)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND emagram_sources dense_avx512.cpp dense_avx2.cpp laws_avx512.cpp laws_avx2.cpp)
endif()
list(TRANSFORM emagram_sources PREPEND "${EMAGRAM_ROOT}/fortran_bridge/src/")

# What is compiled once per instruction set: dense_kernel.inc and laws.inc. These files hold no standard library code
# that the linker could share with others. In the dense kernel contraction is wanted: a fused multiply-add everywhere,
# for all batch sizes alike. In the laws it is not: their bits are the same on every instruction set, and a host's.
set(kernel_directory "${EMAGRAM_ROOT}/fortran_bridge/src")
set(avx512_options -mavx512f -mprefer-vector-width=512)
set(avx2_options -mavx2)
set(baseline_options)
foreach(set baseline avx2 avx512)
  set(dense_options -O3 -ffp-contract=fast -Wno-psabi ${${set}_options})
  set(law_options -O3 ${${set}_options})
  if(NOT set STREQUAL "baseline")
    list(APPEND dense_options -mfma)
  elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU") # gcc 12 fails in another pass after this one
    list(APPEND law_options -fno-tree-forwprop)
  endif()
  set_source_files_properties(
    "${kernel_directory}/dense_${set}.cpp"
    PROPERTIES COMPILE_OPTIONS "${dense_options}"
  )
  set_source_files_properties(
    "${kernel_directory}/laws_${set}.cpp"
    PROPERTIES COMPILE_OPTIONS "${law_options}"
  )
endforeach()

add_library(emagram_objects OBJECT ${emagram_sources})
target_include_directories(
  emagram_objects
  PUBLIC
    "$<BUILD_INTERFACE:${EMAGRAM_ROOT}/fortran_bridge/include>"
    "$<BUILD_INTERFACE:${EMAGRAM_ROOT}/fortran_bridge/src>"
    "$<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/generated>"
)
target_link_libraries(emagram_objects PRIVATE emagram_flags nlohmann_json::nlohmann_json)

add_library(emagram SHARED $<TARGET_OBJECTS:emagram_objects>)
add_library(emagram_static STATIC $<TARGET_OBJECTS:emagram_objects>)
foreach(target emagram emagram_static)
  target_include_directories(
    ${target}
    INTERFACE
      "$<BUILD_INTERFACE:${EMAGRAM_ROOT}/fortran_bridge/include>"
      "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
  )
  set_target_properties(${target} PROPERTIES OUTPUT_NAME emagram)
endforeach()
target_link_libraries(emagram PRIVATE emagram_flags)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux") # templates of the standard library would be exported too
  target_link_options(emagram PRIVATE "LINKER:--version-script=${CMAKE_CURRENT_LIST_DIR}/libemagram.map")
  set_target_properties(emagram PROPERTIES LINK_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/libemagram.map")
endif()
set_target_properties(emagram PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 1)
