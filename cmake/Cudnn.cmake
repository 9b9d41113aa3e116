# cudnn::cudnn, the library, and cudnn::frontend, its C++ headers. Neither comes with a file for find_package.
find_path(CUDNN_INCLUDE_DIR cudnn_version.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
# NVIDIA's Python packages hold the library under its full name only.
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDAToolkit_LIBRARY_DIR})
if(NOT CUDNN_INCLUDE_DIR OR NOT CUDNN_LIBRARY)
  message(FATAL_ERROR "cuDNN 9 was not found: install NVIDIA's package cudnn9-cuda-${CUDAToolkit_VERSION_MAJOR}, or set "
    "CUDNN_INCLUDE_DIR to the folder of cudnn_version.h and CUDNN_LIBRARY to libcudnn.so.9. Without a GPU build the preset release.")
endif()
file(STRINGS ${CUDNN_INCLUDE_DIR}/cudnn_version.h major REGEX "define CUDNN_MAJOR ")
if(NOT major MATCHES " 9$")
  message(FATAL_ERROR "cuDNN 9 is needed, but ${CUDNN_INCLUDE_DIR}/cudnn_version.h says: ${major}.")
endif()
add_library(cudnn::cudnn UNKNOWN IMPORTED)
set_target_properties(cudnn::cudnn PROPERTIES
  IMPORTED_LOCATION ${CUDNN_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CUDNN_INCLUDE_DIR})

# scripts/dependencies unpacks it here.
find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend_version.h HINTS ${CMAKE_SOURCE_DIR}/.cache/cudnn-frontend/include)
if(NOT CUDNN_FRONTEND_INCLUDE_DIR)
  message(FATAL_ERROR "The headers of cudnn-frontend were not found: run scripts/dependencies, or set "
    "CUDNN_FRONTEND_INCLUDE_DIR to the folder of cudnn_frontend.h (1.32 or newer).")
endif()
file(STRINGS ${CUDNN_FRONTEND_INCLUDE_DIR}/cudnn_frontend_version.h version REGEX "define CUDNN_FRONTEND_(MAJOR|MINOR)_VERSION ")
string(REGEX REPLACE "[^0-9]+([0-9]+)[^0-9]+([0-9]+).*" "\\1.\\2" version "${version}")
if(version VERSION_LESS 1.32)
  message(FATAL_ERROR "cudnn-frontend 1.32 or newer is needed, but ${CUDNN_FRONTEND_INCLUDE_DIR} holds ${version}: run "
    "scripts/dependencies, or set CUDNN_FRONTEND_INCLUDE_DIR.")
endif()
add_library(cudnn::frontend INTERFACE IMPORTED)
set_target_properties(cudnn::frontend PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${CUDNN_FRONTEND_INCLUDE_DIR})
