# The Fortran modules, the MPI layer and the example programs.
#
# Targets: emagram_fortran (module emagram and what it is made of), emagram_mpi (C), emagram_mpi_fortran (module
# emagram_mpi), predict_columns_c and predict_columns_fortran.

set(EMAGRAM_MODULE_DIR "${CMAKE_CURRENT_BINARY_DIR}/modules")
set(EMAGRAM_BRIDGE "${EMAGRAM_ROOT}/fortran_bridge")

function(emagram_fortran_library target)
  add_library(${target} STATIC ${ARGN})
  target_link_libraries(${target} PRIVATE "$<BUILD_INTERFACE:emagram_flags>")
  target_include_directories(
    ${target} INTERFACE "$<BUILD_INTERFACE:${EMAGRAM_MODULE_DIR}>"
                        "$<INSTALL_INTERFACE:${EMAGRAM_INSTALL_MODULE_DIR}>")
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON
                                             Fortran_MODULE_DIRECTORY "${EMAGRAM_MODULE_DIR}")
endfunction()

# Module files belong to one compiler: another one builds the sources installed beside them.
set(EMAGRAM_INSTALL_MODULE_DIR "${CMAKE_INSTALL_INCLUDEDIR}/emagram/${CMAKE_Fortran_COMPILER_ID}")

if(EMAGRAM_FORTRAN)
  set(_modules emagram_c emagram_layout emagram_report emagram_descriptions emagram_views emagram)
  list(TRANSFORM _modules PREPEND "${EMAGRAM_BRIDGE}/fortran/")
  list(TRANSFORM _modules APPEND ".f90")
  emagram_fortran_library(emagram_fortran ${_modules})
  target_link_libraries(emagram_fortran PUBLIC emagram)
  set_target_properties(emagram_fortran PROPERTIES EXPORT_NAME fortran)
  add_library(Emagram::fortran ALIAS emagram_fortran)
endif()

if(EMAGRAM_MPI)
  find_package(MPI REQUIRED COMPONENTS C)
  add_library(emagram_mpi STATIC "${EMAGRAM_BRIDGE}/mpi/emagram_mpi.c")
  target_include_directories(
    emagram_mpi PUBLIC "$<BUILD_INTERFACE:${EMAGRAM_BRIDGE}/mpi>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(emagram_mpi PUBLIC emagram MPI::MPI_C PRIVATE "$<BUILD_INTERFACE:emagram_flags>")
  set_target_properties(emagram_mpi PROPERTIES POSITION_INDEPENDENT_CODE ON EXPORT_NAME mpi)
  add_library(Emagram::mpi ALIAS emagram_mpi)
endif()

if(EMAGRAM_MPI AND EMAGRAM_FORTRAN)
  find_package(MPI REQUIRED COMPONENTS Fortran)
  emagram_fortran_library(emagram_mpi_fortran "${EMAGRAM_BRIDGE}/mpi/emagram_mpi.F90")
  target_link_libraries(emagram_mpi_fortran PUBLIC emagram_fortran emagram_mpi)
  if(MPI_Fortran_HAVE_F08_MODULE)
    target_compile_definitions(emagram_mpi_fortran PRIVATE EMAGRAM_MPI_F08)
    target_link_libraries(emagram_mpi_fortran PUBLIC MPI::MPI_Fortran)
  endif()
  set_target_properties(emagram_mpi_fortran PROPERTIES EXPORT_NAME mpi_fortran)
  add_library(Emagram::mpi_fortran ALIAS emagram_mpi_fortran)
endif()

set(EMAGRAM_PROGRAM_TARGETS "")
if(EMAGRAM_PROGRAMS AND EMAGRAM_MPI)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(NETCDF IMPORTED_TARGET netcdf)
  pkg_check_modules(NETCDFF IMPORTED_TARGET netcdf-fortran)
endif()
if(EMAGRAM_PROGRAMS AND EMAGRAM_MPI AND NOT NETCDF_FOUND)
  message(STATUS "predict_columns is not built: netCDF is not found")
elseif(EMAGRAM_PROGRAMS AND EMAGRAM_MPI)
  add_executable(predict_columns_c "${EMAGRAM_BRIDGE}/examples/predict_columns.c")
  target_link_libraries(predict_columns_c PRIVATE emagram_mpi PkgConfig::NETCDF emagram_flags)
  list(APPEND EMAGRAM_PROGRAM_TARGETS predict_columns_c)
endif()

if(EMAGRAM_PROGRAMS AND EMAGRAM_MPI AND EMAGRAM_FORTRAN AND NOT NETCDFF_FOUND)
  message(STATUS "predict_columns_fortran is not built: netCDF-Fortran is not found")
elseif(EMAGRAM_PROGRAMS AND EMAGRAM_MPI AND EMAGRAM_FORTRAN)
  add_executable(predict_columns_fortran "${EMAGRAM_BRIDGE}/examples/columns_file.f90"
                                         "${EMAGRAM_BRIDGE}/examples/predict_columns.f90")
  set_target_properties(predict_columns_fortran PROPERTIES Fortran_MODULE_DIRECTORY
                                                           "${CMAKE_CURRENT_BINARY_DIR}/program_modules")
  target_compile_options(predict_columns_fortran PRIVATE "-I${NETCDFF_INCLUDEDIR}")
  target_link_libraries(predict_columns_fortran PRIVATE emagram_mpi_fortran PkgConfig::NETCDFF emagram_flags)
  list(APPEND EMAGRAM_PROGRAM_TARGETS predict_columns_fortran)
endif()

if(SKBUILD)
  # Beside the Python modules, where libemagram lies in emagram/lib.
  foreach(program IN LISTS EMAGRAM_PROGRAM_TARGETS)
    set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
    install(TARGETS ${program} RUNTIME DESTINATION emagram/bin)
  endforeach()
endif()
