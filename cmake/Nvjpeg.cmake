# nvjpeg::nvjpeg, where it is found: decodes JPEGs on the GPU. Optional; scripts/dependencies unpacks it into .cache/nvjpeg for a
# toolkit that lacks it.
find_path(NVJPEG_INCLUDE_DIR nvjpeg.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${CMAKE_SOURCE_DIR}/.cache/nvjpeg/include)
# NVIDIA's Python packages hold the library under its full name only.
find_library(NVJPEG_LIBRARY NAMES nvjpeg libnvjpeg.so.${CUDAToolkit_VERSION_MAJOR}
  HINTS ${CUDAToolkit_LIBRARY_DIR} ${CMAKE_SOURCE_DIR}/.cache/nvjpeg/lib)
set(version "none")
if(NVJPEG_INCLUDE_DIR AND NVJPEG_LIBRARY)
  file(STRINGS ${NVJPEG_INCLUDE_DIR}/nvjpeg.h version REGEX "define NVJPEG_VER_MAJOR ")
  string(REGEX REPLACE "[^0-9]+" "" version "${version}")
endif()
if(version EQUAL CUDAToolkit_VERSION_MAJOR)
  add_library(nvjpeg::nvjpeg UNKNOWN IMPORTED)
  set_target_properties(nvjpeg::nvjpeg PROPERTIES
    IMPORTED_LOCATION ${NVJPEG_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${NVJPEG_INCLUDE_DIR})
else()
  message(STATUS "nvJPEG for CUDA ${CUDAToolkit_VERSION_MAJOR} was not found (${version}): the GPU will decode no JPEGs. "
    "scripts/dependencies fetches it.")
endif()
