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
find_package(pugixml REQUIRED)
# Without a version: to Eigen's own check, 5 does not satisfy a wish for 3.4. All systems that we build on have 3.4 or newer.
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(Spectra REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)
# invp_plain_library(NAME HEADER): NAME::NAME, a library without a usable file for find_package.
function(invp_plain_library name header)
  find_path(INVP_${name}_INCLUDE ${header} REQUIRED)
  find_library(INVP_${name}_LIBRARY ${name} REQUIRED)
  add_library(${name}::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(${name}::${name} PROPERTIES
    IMPORTED_LOCATION ${INVP_${name}_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${INVP_${name}_INCLUDE})
endfunction()
# Debian's file for libzip asks for programs of packages that the library does not need.
invp_plain_library(zip zip.h)
# Debian's package of ISA-L has no file for CMake.
invp_plain_library(isal isa-l/crc.h)
# Some systems have files of libwebp and libtiff for CMake, and some do not.
invp_plain_library(webp webp/decode.h)
invp_plain_library(webpdemux webp/demux.h)
invp_plain_library(tiff tiffio.h)
# Optional: without it one process trains, and says how to get more.
if(INVP_MPI)
  set(MPI_CXX_SKIP_MPICXX ON)
  find_package(MPI QUIET COMPONENTS CXX)
endif()
if(INVP_CUDA AND NOT INVP_CUDA_EMULATED)
  find_package(CUDAToolkit REQUIRED)
  include(Cudnn)
  include(Nccl)
  include(Nvjpeg)
endif()
if(INVP_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_LIBRARIES GTest::gmock GTest::gtest)
  check_cxx_source_compiles("#include <gmock/gmock.h>
    int main(int count, char** words) { testing::InitGoogleMock(&count, words); return RUN_ALL_TESTS(); }" INVP_GTEST_LINKS)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(INVP_GTEST_LINKS)
    add_library(invp_gtest INTERFACE)
    target_link_libraries(invp_gtest INTERFACE GTest::gmock GTest::gtest GTest::gtest_main)
  else()
    # The distribution's static library is of its own compiler, and does not link with an older one. Its sources lie beside it.
    find_path(GTEST_SOURCES googletest/src/gtest-all.cc HINTS /usr/src/googletest REQUIRED)
    add_library(invp_gtest STATIC ${GTEST_SOURCES}/googletest/src/gtest-all.cc ${GTEST_SOURCES}/googletest/src/gtest_main.cc
      ${GTEST_SOURCES}/googlemock/src/gmock-all.cc)
    target_include_directories(invp_gtest SYSTEM PRIVATE ${GTEST_SOURCES}/googletest ${GTEST_SOURCES}/googlemock)
    target_link_libraries(invp_gtest PUBLIC Threads::Threads)
  endif()
endif()
if(INVP_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()
