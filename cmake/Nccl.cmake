# nccl::nccl, where it is found: joins ranks on GPUs. Optional; scripts/dependencies unpacks it into .cache/nccl for a toolkit that
# lacks it.
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${CMAKE_SOURCE_DIR}/.cache/nccl/include)
# NVIDIA's Python packages hold the library under its full name only.
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${CUDAToolkit_LIBRARY_DIR} ${CMAKE_SOURCE_DIR}/.cache/nccl/lib)
set(version "0")
if(NCCL_INCLUDE_DIR AND NCCL_LIBRARY)
  file(STRINGS ${NCCL_INCLUDE_DIR}/nccl.h version REGEX "define NCCL_(MAJOR|MINOR) ")
  string(REGEX REPLACE "[^0-9]+([0-9]+)[^0-9]+([0-9]+).*" "\\1.\\2" version "${version}")
endif()
# 2.18: what a configuration of communicators can say.
if(version VERSION_GREATER_EQUAL 2.18)
  add_library(nccl::nccl UNKNOWN IMPORTED)
  set_target_properties(nccl::nccl PROPERTIES
    IMPORTED_LOCATION ${NCCL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${NCCL_INCLUDE_DIR})
else()
  message(STATUS "NCCL 2.18 or newer was not found (${version}): a run has one GPU. scripts/dependencies fetches it.")
endif()
