# Fortran modules as a Python extension: f90wrap writes flat Fortran wrappers, f2py their C side, CMake compiles.
#
# Needs EMAGRAM_ROOT, EMAGRAM_CONSTANTS_F90 (constants.cmake) and
# find_package(Python COMPONENTS Interpreter Development.Module NumPy) with f90wrap installed.
#
# emagram_f90wrap(<target> WRAP <file>... LIBRARY <library>)
#   WRAP: modules that Python sees; their procedures are called wrap_<module>__<procedure>
#   LIBRARY: where they are compiled

function(emagram_f90wrap target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LIBRARY" "WRAP")
  set(folder "${CMAKE_BINARY_DIR}/f90wrap/${target}")
  file(MAKE_DIRECTORY "${folder}/modules")
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "import numpy.f2py; print(numpy.f2py.get_include())"
    OUTPUT_VARIABLE f2py_include OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

  set(wrappers "")
  set(wrapper_names "")
  foreach(source IN LISTS arg_WRAP)
    get_filename_component(name "${source}" NAME)
    list(APPEND wrappers "${folder}/wrap_${name}")
    list(APPEND wrapper_names "wrap_${name}")
  endforeach()
  set(kind_map "${EMAGRAM_ROOT}/physics/fortran/kind_map")
  add_custom_command(
    OUTPUT ${wrappers}
    COMMAND "${Python_EXECUTABLE}" -m f90wrap --prefix wrap_ --kind-map "${kind_map}"
            --default-string-length 256 --mod-name "${target}" ${arg_WRAP}
    DEPENDS ${arg_WRAP} "${kind_map}"
    WORKING_DIRECTORY "${folder}" VERBATIM)
  set(generated "${folder}/${target}module.c" "${folder}/${target}-f2pywrappers.f")
  add_custom_command(
    OUTPUT ${generated}
    COMMAND "${Python_EXECUTABLE}" -m numpy.f2py --quiet --lower -m "${target}" ${wrapper_names}
    DEPENDS ${wrappers}
    WORKING_DIRECTORY "${folder}" VERBATIM)

  Python_add_library(${target} MODULE WITH_SOABI
    ${wrappers} ${generated} "${f2py_include}/fortranobject.c")
  target_include_directories(${target} SYSTEM PRIVATE "${f2py_include}")
  target_link_libraries(${target} PRIVATE ${arg_LIBRARY} Python::NumPy)
  set_target_properties(${target} PROPERTIES Fortran_MODULE_DIRECTORY "${folder}/modules")
  set_source_files_properties(${wrappers} ${generated} "${f2py_include}/fortranobject.c"
    PROPERTIES COMPILE_OPTIONS "-w")
  target_compile_options(${target} PRIVATE -ffp-contract=off)
endfunction()

set(_front_ends "")
foreach(process IN LISTS EMAGRAM_PHYSICS)
  list(APPEND _front_ends "${EMAGRAM_PHYSICS_FOLDER}/emagram_${process}.f90")
endforeach()
emagram_f90wrap(_fortran_physics WRAP ${_front_ends} "${EMAGRAM_CONSTANTS_F90}" LIBRARY emagram_physics)
install(TARGETS _fortran_physics DESTINATION "emagram/physics")
