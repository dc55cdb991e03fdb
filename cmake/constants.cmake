# The constants of physics/constants.py as a C++ header and a Fortran module, without running Python.
#
# Needs EMAGRAM_ROOT. Sets EMAGRAM_GENERATED_DIR (holds emagram_constants.hpp) and EMAGRAM_CONSTANTS_F90.

set(EMAGRAM_GENERATED_DIR "${CMAKE_BINARY_DIR}/generated")
set(EMAGRAM_CONSTANTS_F90 "${EMAGRAM_GENERATED_DIR}/emagram_constants.f90")
set(_constants_py "${EMAGRAM_ROOT}/physics/constants.py")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_constants_py}")

set(_pattern "^    ([a-z][a-z_]*): float = ([0-9][0-9.e+-]*)  # (.+)$")
file(STRINGS "${_constants_py}" _lines REGEX "${_pattern}")
if(NOT _lines)
  message(FATAL_ERROR "physics/constants.py: expected lines such as '    gravity: float = 9.80616  # m s-2', got none")
endif()

set(_cpp "")
set(_fortran "")
foreach(_line IN LISTS _lines)
  string(REGEX MATCH "${_pattern}" _ "${_line}")
  string(APPEND _cpp "inline constexpr double ${CMAKE_MATCH_1} = ${CMAKE_MATCH_2};  // ${CMAKE_MATCH_3}\n")
  string(APPEND _fortran
    "  real(real64), parameter, public :: ${CMAKE_MATCH_1} = ${CMAKE_MATCH_2}_real64 !! [${CMAKE_MATCH_3}]\n")
endforeach()

file(CONFIGURE OUTPUT "${EMAGRAM_GENERATED_DIR}/emagram_constants.hpp" @ONLY CONTENT
"// Generated from physics/constants.py; do not edit.
#pragma once

namespace emagram::constants {
@_cpp@}  // namespace emagram::constants
")

file(CONFIGURE OUTPUT "${EMAGRAM_CONSTANTS_F90}" @ONLY CONTENT
"!> Generated from physics/constants.py; do not edit.
module emagram_constants
  use, intrinsic :: iso_fortran_env, only: real64
  implicit none (type, external)
  private
@_fortran@end module emagram_constants
")
