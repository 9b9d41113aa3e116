# One static library per room (a folder with a CMakeLists.txt of its own), with the warnings, the include rule and the instruction set
# that all of them share.

# For code that waits for kernels, disks and people: compiled far more often than it is waited for. Under the sanitizers -O1 takes three
# times as long to compile as -O0. Fuzzers run it a million times.
if(INVP_SANITIZE AND NOT INVP_FUZZ)
  set(INVP_LITTLE_OPTIMIZATION -O0)
else()
  set(INVP_LITTLE_OPTIMIZATION -O1)
endif()

# For rooms that read what others wrote: a function whose frame was written over ends the program, and so does a call of the C library that
# would write past the end of what the compiler knows the size of. The sanitizers do both better; without optimization there is no second.
set(INVP_HARDENING "")
if(NOT INVP_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS "-O1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Werror")
  check_cxx_source_compiles("#include <cstdio>\nint main() { return std::puts(\"\"); }" INVP_FORTIFY_3)
  unset(CMAKE_REQUIRED_FLAGS)
  set(INVP_HARDENING -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${INVP_FORTIFY_3}>,3,2>)
endif()

# invp_rooms(FOLDER...): the rooms below this folder, each after those that it uses; and invp_<this folder>, which is all of them.
function(invp_rooms)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE above)
  add_library(invp_${above} INTERFACE)
  foreach(folder IN LISTS ARGN)
    add_subdirectory(${folder})
    string(REPLACE "/" "_" room invp_${above}_${folder})
    target_link_libraries(invp_${above} INTERFACE ${room})
  endforeach()
endfunction()

# invp_room(BOOKKEEPING UNTRUSTED USES ROOM... LINKS LIB... SOURCES FILE... CUDA FILE...): this folder as a library.
# BOOKKEEPING: it waits for disks and people, and is optimised little. UNTRUSTED: it reads what others wrote. CUDA: what it has in builds with CUDA only.
# Its sources see the headers of this room and of the rooms that it USES, and no others: any other include does not build.
# A room can only use rooms that came before it, so no two can include each other.
function(invp_room)
  cmake_parse_arguments(ARG "BOOKKEEPING;UNTRUSTED" "" "USES;LINKS;SOURCES;CUDA" ${ARGN})
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE room)
  string(REPLACE "/" "_" name invp_${room})
  set_property(DIRECTORY PROPERTY INVP_ROOM ${name})
  add_library(${name} STATIC ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  invp_compile_options(${name})
  if(ARG_BOOKKEEPING)
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${INVP_LITTLE_OPTIMIZATION}>)
  endif()
  if(ARG_UNTRUSTED)
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${INVP_HARDENING}>")
    set_property(GLOBAL APPEND PROPERTY INVP_UNTRUSTED_ROOMS ${name})
  endif()
  # Headers are reached as "engine/core/tensor.h" through a directory that holds one link: to the room itself. It is the same for
  # all builds, so that ccache knows a file again that the build with CUDA compiles as the one without does.
  string(REPLACE "/" "." view ${room})
  set(view ${CMAKE_SOURCE_DIR}/.cache/include/${view})
  cmake_path(GET room PARENT_PATH above)
  file(MAKE_DIRECTORY ${view}/${above})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${room} SYMBOLIC)
  target_include_directories(${name} PUBLIC ${view})
  foreach(used IN LISTS ARG_USES)
    string(REPLACE "/" "_" target invp_${used})
    if(NOT TARGET ${target})
      message(FATAL_ERROR "${room} uses ${used}, which is no room or comes after it. Rooms may only use those before them "
        "in the invp_rooms of their folder, so that no two need each other.")
    endif()
    target_link_libraries(${name} PUBLIC ${target})
  endforeach()
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
  if(INVP_CUDA)
    if(INVP_CUDA_EMULATED)
      target_compile_definitions(${name} PUBLIC INVP_CUDA INVP_CUDA_EMULATED)
      target_link_libraries(${name} PUBLIC invp_emulator)
    else()
      target_compile_definitions(${name} PUBLIC INVP_CUDA)
      target_link_libraries(${name} PUBLIC CUDA::cudart_static)
    endif()
    invp_cuda_sources(${ARG_CUDA})
  endif()
endfunction()

# invp_op(NAME TEST NAME): an operation of this room: NAME.h with the contract, NAME.cpp, the kernels NAME_cpu.cpp and
# NAME_cuda.cu (or .cpp), and its test in the same place below tests/. All of them must be there. TEST: the test has another name.
function(invp_op name)
  cmake_parse_arguments(ARG "" "TEST" "" ${ARGN})
  get_property(room DIRECTORY PROPERTY INVP_ROOM)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE folder)
  if(NOT ARG_TEST)
    set(ARG_TEST ${name})
  endif()
  set(test ${CMAKE_SOURCE_DIR}/tests/${folder}/${ARG_TEST}_test.cpp)
  cmake_path(NORMAL_PATH test)
  set(kernels ${name}_cuda.cu)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}_cuda.cpp)
    set(kernels ${name}_cuda.cpp)
  endif()
  foreach(file IN ITEMS ${name}.h ${name}.cpp ${name}_cpu.cpp ${kernels} ${test})
    if(NOT EXISTS ${file} AND NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "invp_op(${name}) in ${folder} wants the file ${file}")
    endif()
  endforeach()
  target_sources(${room} PRIVATE ${name}.cpp ${name}_cpu.cpp)
  if(INVP_CUDA)
    invp_cuda_sources(${kernels})
  endif()
  if(test MATCHES "/tests/engine/")
    set_property(GLOBAL APPEND PROPERTY INVP_OP_TESTS ${test})
  endif()
endfunction()

# invp_cuda_sources(FILE...): what this room has in builds with CUDA. With INVP_CUDA_EMULATED the kernels are compiled as C++ against
# tests/emulator, which plays the GPU on the CPU.
function(invp_cuda_sources)
  get_property(room DIRECTORY PROPERTY INVP_ROOM)
  target_sources(${room} PRIVATE ${ARGN})
  set(kernels ${ARGN})
  list(FILTER kernels INCLUDE REGEX "\\.cu$")
  if(INVP_CUDA_EMULATED)
    set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++;-Wno-unknown-pragmas;-Wno-conversion;-Wno-unused-const-variable")
  elseif(kernels)
    target_compile_options(${room} PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo --expt-relaxed-constexpr $<$<BOOL:${INVP_WERROR}>:-Werror=all-warnings> -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers>)
  endif()
endfunction()

function(invp_compile_options target)
  # Designated initializers name what differs from the defaults: leaving the rest out is their point.
  # -Wrestrict fires on std::string + in GCC 12 (its bug 105651). Clang's -Wpass-failed tells of loops that it did not
  # vectorise, and its -Wdeprecated-declarations of what libstdc++ 12 itself calls in std::ranges::stable_sort.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
    -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>
    $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>>)
  if(INVP_WERROR)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
  endif()
  if(INVP_NATIVE)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-march=native -mprefer-vector-width=512>)
  endif()
  # No fused multiply-add behind the reader's back: the augmentations are specified to the bit (a * b + c rounds twice).
  # Kernels that want it say so with std::fma or a pragma.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
  if(INVP_SANITIZE)
    # Null pointers the address sanitizer finds as well, and these checks before every access are a third of the compile time.
    target_compile_options(${target} PRIVATE -fsanitize=${INVP_SANITIZE} -fno-sanitize=null,vptr -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${INVP_SANITIZE})
  endif()
endfunction()

# invp_test(NAME USES LIB... SOURCES FILE...): one GoogleTest program a folder, run by ctest test by test.
function(invp_test name)
  cmake_parse_arguments(ARG "" "" "USES;SOURCES" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  invp_compile_options(test_${name})
  target_compile_options(test_${name} PRIVATE ${INVP_LITTLE_OPTIMIZATION})
  if(INVP_SANITIZE)
    # Undefined behaviour is looked for in what the tests test. Naive loops run for longer than they compile.
    target_compile_options(test_${name} PRIVATE -fno-sanitize=undefined)
    set(loops ${ARG_SOURCES})
    list(FILTER loops INCLUDE REGEX "^(engine/ops/|layers/|emulator/|invp/tsne/|data/synthetic)")
    set_source_files_properties(${loops} PROPERTIES COMPILE_OPTIONS -O1)
  endif()
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(test_${name} PRIVATE invp_${used})
  endforeach()
  target_link_libraries(test_${name} PRIVATE invp_engine invp_gtest)
  target_compile_definitions(test_${name} PRIVATE INVP_SOURCE_DIR="${CMAKE_SOURCE_DIR}" INVP_BINARY_DIR="${CMAKE_BINARY_DIR}")
  # Tests run side by side: waiting threads must not burn the other's core. The user's plans are not theirs, and an emulated
  # GPU's times mean nothing.
  set(environment OMP_WAIT_POLICY=passive INVP_PLAN_CACHE=${CMAKE_BINARY_DIR}/plans.json)
  if(INVP_CUDA_EMULATED)
    list(APPEND environment INVP_AUTOTUNE=0)
  endif()
  if(INVP_SANITIZE)
    list(APPEND environment OMP_NUM_THREADS=1)  # where a test does not say how many
    list(APPEND environment "LSAN_OPTIONS=print_suppressions=0:suppressions='${CMAKE_SOURCE_DIR}/cmake/leaks.txt'")
  endif()
  # gtest_discover_tests takes a list apart, and all but its first variable for properties: the variables are set after it.
  gtest_discover_tests(test_${name} DISCOVERY_TIMEOUT 60 TEST_LIST test_${name}_list PROPERTIES TIMEOUT 600)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/test_${name}_environment.cmake)
  file(WRITE ${file} "set_tests_properties(\${test_${name}_list} PROPERTIES ENVIRONMENT [==[${environment}]==])\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${file})
endfunction()

# invp_fuzz(NAME SOURCE FILE [FORMAT IMAGEFORMAT] LINKS LIB...): fuzz_NAME, a libFuzzer program over one kind of untrusted bytes.
# FORMAT: the pictures it is about.
function(invp_fuzz name)
  cmake_parse_arguments(ARG "" "SOURCE;FORMAT" "LINKS" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCE})
  invp_compile_options(fuzz_${name})
  target_include_directories(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_LINKS})
  if(ARG_FORMAT)
    target_compile_definitions(fuzz_${name} PRIVATE INVP_FUZZ_FORMAT=ImageFormat::${ARG_FORMAT})
  endif()
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers fuzz_${name})
endfunction()
