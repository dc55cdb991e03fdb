# Compiler flags of everything that is compiled. No -ffast-math: closure is a promise about rounding.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

add_library(emagram_flags INTERFACE)
target_compile_options(
  emagram_flags
  INTERFACE
    $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Wpedantic -Werror -ffp-contract=off>
    $<$<COMPILE_LANG_AND_ID:Fortran,GNU>:-std=f2018 -Wall -Wextra -Werror -ffp-contract=off -fimplicit-none>
)
if(EMAGRAM_SANITIZE)
  target_compile_options(emagram_flags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  # gfortran 12 takes bounds of unallocated components for uninitialised values there
  target_compile_options(emagram_flags INTERFACE $<$<COMPILE_LANG_AND_ID:Fortran,GNU>:-Wno-maybe-uninitialized>)
  target_link_options(emagram_flags INTERFACE -fsanitize=address,undefined)
endif()
