# What `cmake --install` leaves; the Python wheel has its own, smaller list.

include(CMakePackageConfigHelpers)
set(EMAGRAM_INSTALL_CONFIG_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/Emagram")
set(EMAGRAM_INSTALL_SOURCE_DIR "${CMAKE_INSTALL_DATADIR}/emagram/fortran")

# The library.
install(TARGETS emagram emagram_static EXPORT EmagramTargets)
install(FILES "${EMAGRAM_BRIDGE}/include/emagram.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")

# The Fortran modules: built, and as source for other compilers.
if(EMAGRAM_FORTRAN)
  install(TARGETS emagram_fortran EXPORT EmagramTargets)
  install(DIRECTORY "${EMAGRAM_MODULE_DIR}/" DESTINATION "${EMAGRAM_INSTALL_MODULE_DIR}")
  install(DIRECTORY "${EMAGRAM_BRIDGE}/fortran/" DESTINATION "${EMAGRAM_INSTALL_SOURCE_DIR}")
endif()
if(EMAGRAM_MPI)
  install(TARGETS emagram_mpi EXPORT EmagramMPITargets)
  install(FILES "${EMAGRAM_BRIDGE}/mpi/emagram_mpi.h" "${EMAGRAM_BRIDGE}/mpi/emagram_sum.h"
          DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(DIRECTORY "${EMAGRAM_BRIDGE}/mpi/" DESTINATION "${EMAGRAM_INSTALL_SOURCE_DIR}" FILES_MATCHING
          PATTERN "*.F90" PATTERN "*.f90" PATTERN "*.c")
endif()
if(TARGET emagram_mpi_fortran)
  install(TARGETS emagram_mpi_fortran EXPORT EmagramMPITargets)
endif()

# The programs.
foreach(program IN LISTS EMAGRAM_PROGRAM_TARGETS)
  set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS ${program})
endforeach()

# find_package(Emagram [COMPONENTS MPI])
install(EXPORT EmagramTargets NAMESPACE Emagram:: DESTINATION "${EMAGRAM_INSTALL_CONFIG_DIR}")
if(EMAGRAM_MPI)
  install(EXPORT EmagramMPITargets NAMESPACE Emagram:: DESTINATION "${EMAGRAM_INSTALL_CONFIG_DIR}")
endif()
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/EmagramConfig.cmake.in"
                              "${CMAKE_CURRENT_BINARY_DIR}/EmagramConfig.cmake"
                              INSTALL_DESTINATION "${EMAGRAM_INSTALL_CONFIG_DIR}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/EmagramConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/EmagramConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/EmagramConfigVersion.cmake"
        DESTINATION "${EMAGRAM_INSTALL_CONFIG_DIR}")

# pkg-config; the prefix is found from where the file lies, so the installation can be moved
file(RELATIVE_PATH EMAGRAM_PC_TO_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
set(EMAGRAM_PKGCONFIG_FILES emagram)
if(EMAGRAM_FORTRAN)
  list(APPEND EMAGRAM_PKGCONFIG_FILES emagram-fortran)
endif()
foreach(name IN LISTS EMAGRAM_PKGCONFIG_FILES)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endforeach()
