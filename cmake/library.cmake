# libemagram: no MPI, no Python, no torch, no OpenMP. nlohmann_json is header-only and stays inside.
find_package(nlohmann_json 3.10 REQUIRED)

set(emagram_sources
    api.cpp
    archive.cpp
    binding.cpp
    checks.cpp
    columns.cpp
    constraint_bounds.cpp
    constraint_column_energy.cpp
    constraint_entry.cpp
    constraint_positivity.cpp
    constraint_precipitation.cpp
    constraint_shortwave.cpp
    constraint_upper_levels.cpp
    constraint_water_and_energy.cpp
    constraints.cpp
    dense_baseline.cpp
    features.cpp
    instruction_set.cpp
    model.cpp
    plan.cpp
    projection.cpp
    sha256.cpp
    units.cpp
    units_table.cpp
    water.cpp
)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND emagram_sources dense_avx512.cpp dense_avx2.cpp)
endif()
list(TRANSFORM emagram_sources PREPEND "${EMAGRAM_ROOT}/fortran_bridge/src/")

# One dense kernel per instruction set. Contraction is wanted there: a fused multiply-add everywhere, for all batch
# sizes alike. These files hold no standard library code that the linker could share with others.
set(kernel_directory "${EMAGRAM_ROOT}/fortran_bridge/src")
set(kernel_options -O3 -ffp-contract=fast -Wno-psabi)
set_source_files_properties("${kernel_directory}/dense_baseline.cpp" PROPERTIES COMPILE_OPTIONS "${kernel_options}")
set_source_files_properties(
  "${kernel_directory}/dense_avx2.cpp"
  PROPERTIES COMPILE_OPTIONS "${kernel_options};-mavx2;-mfma"
)
set_source_files_properties(
  "${kernel_directory}/dense_avx512.cpp"
  PROPERTIES COMPILE_OPTIONS "${kernel_options};-mavx512f;-mfma;-mprefer-vector-width=512"
)

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
