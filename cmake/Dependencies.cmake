# Everything the project stands on, found by plain find_package; scripts/dependencies installs it. docs/dependencies.md says
# why each was chosen.
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
# oneDNN 3: scripts/dependencies unpacks it here, since Debian and Ubuntu ship older ones.
find_package(dnnl 3.2 CONFIG QUIET HINTS ${CMAKE_SOURCE_DIR}/.cache/onednn)
if(NOT dnnl_FOUND)
  message(FATAL_ERROR "oneDNN 3.2 or newer was not found: run scripts/dependencies, or set dnnl_DIR.")
endif()
find_package(nlohmann_json REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
# matio comes without a file for find_package.
find_path(MATIO_INCLUDE_DIR matio.h REQUIRED)
find_library(MATIO_LIBRARY matio REQUIRED)
add_library(matio::matio UNKNOWN IMPORTED)
set_target_properties(matio::matio PROPERTIES
  IMPORTED_LOCATION ${MATIO_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${MATIO_INCLUDE_DIR})
if(INVP_CUDA)
  find_package(CUDAToolkit REQUIRED)
endif()
if(INVP_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(INVP_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
