# One static library per top-level folder, with the warnings, the include rule and the instruction set all of them share.

# For code that waits for kernels, disks and people: compiled far more often than it is waited for. Under the sanitizers -O1 takes three
# times as long to compile as -O0.
if(INVP_SANITIZE)
  set(INVP_LITTLE_OPTIMIZATION -O0)
else()
  set(INVP_LITTLE_OPTIMIZATION -O1)
endif()

# invp_library(NAME USES LIB... BOOKKEEPING REGEX SOURCES FILE...)
# Sources that match BOOKKEEPING are optimised little.
# The folder's sources see the headers of their own folder and of what they USE and of nothing else: an include against the
# arrows engine <- layers <- invp, engine <- optim <- invp, data <- invp does not build.
function(invp_library name)
  cmake_parse_arguments(ARG "" "BOOKKEEPING" "USES;LINKS;SOURCES" ${ARGN})
  if(ARG_BOOKKEEPING)
    set(bookkeeping ${ARG_SOURCES})
    list(FILTER bookkeeping INCLUDE REGEX "${ARG_BOOKKEEPING}")
    set_source_files_properties(${bookkeeping} PROPERTIES COMPILE_OPTIONS ${INVP_LITTLE_OPTIMIZATION})
  endif()
  add_library(invp_${name} STATIC ${ARG_SOURCES})
  invp_compile_options(invp_${name})
  # Headers are reached as "folder/file.h" through a directory that holds one link: the folder itself. It is the same for all
  # builds, so that ccache knows a file again that the build with CUDA compiles as the one without does.
  set(view ${CMAKE_SOURCE_DIR}/.cache/include/${name})
  file(MAKE_DIRECTORY ${view})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${name} ${view}/${name} SYMBOLIC)
  target_include_directories(invp_${name} PUBLIC ${view})
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(invp_${name} PUBLIC invp_${used})
  endforeach()
  target_link_libraries(invp_${name} PUBLIC ${ARG_LINKS})
endfunction()

# invp_cuda_sources(NAME FILE...): what a library has in builds with CUDA. With INVP_CUDA_EMULATED the kernels are compiled as
# C++ against tests/emulator, which plays the GPU on the CPU.
function(invp_cuda_sources name)
  target_sources(invp_${name} PRIVATE ${ARGN})
  target_compile_definitions(invp_${name} PUBLIC INVP_CUDA)
  set(kernels ${ARGN})
  list(FILTER kernels INCLUDE REGEX "\\.cu$")
  if(INVP_CUDA_EMULATED)
    set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++;-Wno-unknown-pragmas;-Wno-conversion;-Wno-unused-const-variable")
    target_compile_definitions(invp_${name} PUBLIC INVP_CUDA_EMULATED)
    target_link_libraries(invp_${name} PUBLIC invp_emulator)
  else()
    target_link_libraries(invp_${name} PUBLIC CUDA::cudart_static)
    target_compile_options(invp_${name} PRIVATE
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
  target_link_libraries(test_${name} PRIVATE invp_gtest)
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
