# The column host, emagram-host: Fortran over MPI with netCDF-Fortran, beside the Python modules as the other programs.

set(_host "${EMAGRAM_ROOT}/hybrid/host")
set(_modules fields clock parallel timers files columns forcing settings record restart history budgets radiation physics
    ledger log binding emulator coupling noise step stop)
list(TRANSFORM _modules PREPEND "${_host}/host_")
list(TRANSFORM _modules APPEND ".f90")

add_executable(emagram_host "${EMAGRAM_ROOT}/hybrid/coupler/emagram_coupler.f90" ${_modules} "${_host}/emagram_host.f90")
set_target_properties(emagram_host PROPERTIES OUTPUT_NAME emagram-host
                                              Fortran_MODULE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/host_modules")
target_compile_options(emagram_host PRIVATE "-I${NETCDFF_INCLUDEDIR}" -fstack-arrays)
target_link_libraries(emagram_host PRIVATE emagram_physics emagram_mpi_fortran PkgConfig::NETCDFF emagram_flags)
list(APPEND EMAGRAM_PROGRAM_TARGETS emagram_host)
if(SKBUILD)
  # beside the Python modules, and where batch scripts find the command emagram
  set(_packages "lib/python${Python_VERSION_MAJOR}.${Python_VERSION_MINOR}/site-packages")
  set_target_properties(emagram_host PROPERTIES INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN/../${_packages}/emagram/lib")
  install(TARGETS emagram_host RUNTIME DESTINATION emagram/bin)
  install(TARGETS emagram_host RUNTIME DESTINATION "${SKBUILD_SCRIPTS_DIR}")
endif()
