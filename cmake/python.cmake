# The pybind11 face of libemagram, emagram/fortran_bridge/_bridge.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module NumPy)
execute_process(
  COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
  OUTPUT_VARIABLE pybind11_DIR
  OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY
)
find_package(pybind11 CONFIG REQUIRED)
pybind11_add_module(_bridge "${EMAGRAM_ROOT}/fortran_bridge/python/bridge.cpp")
target_link_libraries(_bridge PRIVATE emagram_objects emagram_flags)
if(SKBUILD)
  install(TARGETS _bridge DESTINATION emagram/fortran_bridge)
  install(TARGETS emagram DESTINATION emagram/lib)
  install(FILES "${EMAGRAM_ROOT}/fortran_bridge/include/emagram.h" DESTINATION emagram/include)
endif()
