# cmake -DOUT=FILE -P WriteCommit.cmake, in the source folder: a header with the commit that is built. Written only where it changed.
set(commit unknown)
find_program(git git)
if(git)
  execute_process(COMMAND ${git} rev-parse --short=12 HEAD OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
    RESULT_VARIABLE missing)
  # Not empty below the top of another project's repository.
  execute_process(COMMAND ${git} rev-parse --show-cdup OUTPUT_VARIABLE way_up OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT missing AND NOT way_up)
    set(commit ${head})
    execute_process(COMMAND ${git} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
      string(APPEND commit " with changes")
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define INVP_COMMIT \"@commit@\"\n" @ONLY)
